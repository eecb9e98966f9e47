"""What a server counts, for Prometheus."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .requests import Finished

CONTENT_TYPE = CONTENT_TYPE_LATEST

HAND_OVER_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram: from a warm prefix on a fast GPU to a long cold one on a slow machine."""


@dataclass
class ServerMetrics:
    """One server's numbers, in a registry of its own.

    `status` of a request is its HTTP status; 499 if the client left before the end, and for a stream that broke the
    status that its error would have had. Completions that did not end are not counted among the tokens.
    """

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"srx_{name}", text, labels, registry=self.registry)

        self.requests = counter("requests", "Requests by endpoint and status", ("endpoint", "status"))
        self.in_flight = Gauge("srx_completions_in_flight", "Completions being generated", registry=self.registry)
        self.prompt_tokens = counter("prompt_tokens", "Tokens of the prompts")
        self.tokens = counter("tokens", "Completion tokens by the model that wrote them", ("author",))
        self.spans = counter("spans", "Spans that the big model wrote")
        self.refused = counter("refused_hand_overs", "Hand-overs that the offload budget refused")
        self.overrun = counter("overrun_tokens", "Big tokens thrown away because the small model had taken back")
        self.control = counter("control_tokens", "Small tokens decoded only to look for the closing tag")
        self.degraded = counter("degraded_completions", "Completions for which the big model failed")
        self.hand_over = Histogram(
            "srx_hand_over_seconds",
            "From a hand-over to the big model's first token",
            buckets=HAND_OVER_SECONDS,
            registry=self.registry,
        )
        for author in ("small", "big"):
            self.tokens.labels(author)

    def finished(self, end: Finished) -> None:
        """Count one completion."""
        usage = end.usage
        self.prompt_tokens.inc(usage.prompt_tokens)
        self.tokens.labels("small").inc(usage.completion_tokens - usage.big_tokens)
        self.tokens.labels("big").inc(usage.big_tokens)
        self.spans.inc(usage.spans)
        self.refused.inc(usage.refused)
        self.overrun.inc(usage.overrun_tokens)
        self.control.inc(usage.control_tokens)
        self.degraded.inc(bool(end.degraded))
        for seconds in usage.hand_over_seconds:
            self.hand_over.observe(seconds)

    @contextmanager
    def running(self, completions: int) -> Iterator[None]:
        """Count so many completions as in flight."""
        self.in_flight.inc(completions)
        try:
            yield
        finally:
            self.in_flight.dec(completions)

    def render(self) -> bytes:
        """All numbers in Prometheus' text format, of type `CONTENT_TYPE`."""
        return generate_latest(self.registry)
