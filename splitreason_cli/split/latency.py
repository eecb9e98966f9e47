"""Serial and pipelined time of a split generation, from prefill and decode rates.

The serial time is that of the prototype whose times Akhauri et al. (arXiv:2504.16379) report as run, the pipelined one
that of the cooperative execution they simulate.

Modelled: one request alone, each model on a machine of its own. A model reads (prefills) and writes (decodes) at
constant rates, and does one thing at a time.

Not modelled: rates that fall with the length of the context, other requests, two models on one machine, networks beyond
`hand_over_seconds`, the tags themselves (one token of the small model each), and spans that the small model closes
elsewhere because it was probed at other places. A model alone is taken to write as many tokens as the pair did.

Of what the paper reports, the speed-up of 8-9x over the big model at an offload share of 1.35 % follows from its rates
(`PAPER_SMALL`, `PAPER_BIG`): without any waiting it is 10 / (1 + 9 x share), which is 8.9. What does not follow:

    4-6x at 5 %            the rates give 6.9; 4-6x takes 7.4 to 16.7 %, or costs that the paper does not state
    seconds on AIME24      each model alone wrote texts of its own length, and the lengths are not published
    adding 5.5 % offload   for the same reason: no one length explains the table's sums
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..records.data import Author

Segments = Sequence[tuple[Author, int]]
"""Who wrote how many tokens, in order."""


@dataclass(frozen=True)
class Rates:
    """What one model reads and writes for one request. Raises ValueError unless both are positive."""

    prefill_tokens_per_second: float
    decode_tokens_per_second: float

    def __post_init__(self) -> None:
        for rate in (self.prefill_tokens_per_second, self.decode_tokens_per_second):
            if not 0 < rate < math.inf:
                raise ValueError(f"a rate is a positive number of tokens a second, got {rate:g}")

    def prefill_seconds(self, tokens: float) -> float:
        return tokens / self.prefill_tokens_per_second

    def decode_seconds(self, tokens: float) -> float:
        return tokens / self.decode_tokens_per_second


PAPER_SMALL, PAPER_BIG = Rates(30_000, 150), Rates(2_500, 15)
"""Models of 1.5B and 32B parameters on A6000s, as Akhauri et al. measured them."""


@dataclass(frozen=True)
class Setup:
    """The two models and how they are driven. The defaults of the serial fields are those of the paper's public code.

    Args:
        stride_tokens: pipelined: the big model reads the small one's text in chunks of so many tokens.
        probe_stride_tokens: pipelined: the small model reads the big one's text in chunks of so many tokens.
        bucket_tokens: serial: so many big tokens are probed together for the closing tag.
        probe_tokens: serial: small tokens decoded after each big token to look for the tag. The probes of a bucket are
            one batch, which takes as long as one of them: decoding waits for memory, not for arithmetic.
        hand_over_seconds: fixed latency at each change of author, in both modes.
        overrun_tokens: tokens the big model writes in vain past each span that is taken back, in both modes.
    """

    small: Rates = PAPER_SMALL
    big: Rates = PAPER_BIG
    stride_tokens: int = 128
    probe_stride_tokens: int = 16
    bucket_tokens: int = 8
    probe_tokens: int = 6
    hand_over_seconds: float = 0.0
    overrun_tokens: float = 0.0


@dataclass(frozen=True)
class Timing:
    """Where the seconds of one or several generations went.

    `prefill_seconds`: nobody writes because somebody still reads. `control_seconds`: the big model waits for probes, or
    writes what is thrown away.
    """

    small_decode_seconds: float = 0.0
    big_decode_seconds: float = 0.0
    prefill_seconds: float = 0.0
    hand_over_seconds: float = 0.0
    control_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        return (
            self.small_decode_seconds
            + self.big_decode_seconds
            + self.prefill_seconds
            + self.hand_over_seconds
            + self.control_seconds
        )

    def __add__(self, other: "Timing") -> "Timing":
        return Timing(
            self.small_decode_seconds + other.small_decode_seconds,
            self.big_decode_seconds + other.big_decode_seconds,
            self.prefill_seconds + other.prefill_seconds,
            self.hand_over_seconds + other.hand_over_seconds,
            self.control_seconds + other.control_seconds,
        )


def alone_timing(author: Author, segments: Segments, setup: Setup, prompt_tokens: int = 0) -> Timing:
    """The time one model takes to read the prompt and to write as many tokens as `segments` hold together."""
    rates = setup.small if author == "small" else setup.big
    decode = rates.decode_seconds(sum(tokens for _, tokens in segments))
    prefill = rates.prefill_seconds(prompt_tokens)
    if author == "small":
        return Timing(small_decode_seconds=decode, prefill_seconds=prefill)
    return Timing(big_decode_seconds=decode, prefill_seconds=prefill)


def serial_timing(segments: Segments, setup: Setup, prompt_tokens: int = 0, *, cold: bool = False) -> Timing:
    """The time if one model waits while the other works.

    At each hand-over the big model reads what is new since its last turn. The small model reads each bucket of big
    tokens and decodes its probes while the big model waits. As it has read the span by then, it takes back without
    reading more. If `cold`, no cache outlives a turn: at each hand-over, at each bucket (once for all its probes) and
    at each taking back, the whole prefix is read.

    A text that one model wrote alone needs neither the other model nor probes.
    """
    turns = merged(segments)
    if len(turns) < 2:
        return _one_author(turns, setup, prompt_tokens)
    timing = Timing(prefill_seconds=setup.small.prefill_seconds(prompt_tokens))
    length, big_has_read = prompt_tokens, 0
    for place, (author, tokens) in enumerate(turns):
        if author == "small":
            if cold and place:
                timing += Timing(prefill_seconds=setup.small.prefill_seconds(length))
            timing += _small_turn(tokens, setup, handed_over=place > 0)
        else:
            unread = length if cold else length - big_has_read
            timing += Timing(prefill_seconds=setup.big.prefill_seconds(unread))
            timing += _big_turn(tokens, setup, taken_back=place + 1 < len(turns))
            timing += _probes(tokens, setup, length if cold else None)
            big_has_read = length + tokens
        length += tokens
    return timing


def pipelined_timing(segments: Segments, setup: Setup, prompt_tokens: int = 0) -> Timing:
    """The time if each model reads in chunks, while the other writes, what the other writes.

    Both read the prompt at the start. A chunk is read as soon as it is complete and the chunk before it is read. At a
    change of author the last chunk, complete or not, is still unread, and with it whatever the reader has fallen
    behind: that is the wait. The small model's prediction of the closing tag comes with its reading, so probes cost
    nothing more.

    A text that one model wrote alone needs neither the other model nor probes.
    """
    turns = merged(segments)
    if len(turns) < 2:
        return _one_author(turns, setup, prompt_tokens)
    small = _Reader(setup.small, setup.probe_stride_tokens)
    big = _Reader(setup.big, setup.stride_tokens)
    small.receive(prompt_tokens, 0.0)
    big.receive(prompt_tokens, 0.0)
    # Even where the big model writes first, it is the small one that hands over.
    timing = Timing(prefill_seconds=small.ready(0.0))
    for place, (author, tokens) in enumerate(turns):
        writer, reader = (small, big) if author == "small" else (big, small)
        wait = writer.ready(timing.seconds) - timing.seconds
        turn = (
            _small_turn(tokens, setup, handed_over=place > 0)
            if author == "small"
            else _big_turn(tokens, setup, taken_back=place + 1 < len(turns))
        )
        timing += Timing(prefill_seconds=wait)
        reader.follow(tokens, writer.rates, timing.seconds + turn.hand_over_seconds)
        timing += turn
    return timing


def merged(segments: Segments) -> list[tuple[Author, int]]:
    """The segments without empty ones, neighbours of one author joined."""
    written = (segment for segment in segments if segment[1])
    return [
        (author, sum(tokens for _, tokens in group))
        for author, group in itertools.groupby(written, key=lambda segment: segment[0])
    ]


def evenly(tokens: int, share: float, spans: int) -> list[tuple[Author, int]]:
    """A synthetic generation: `spans` spans of almost equal length and distance, the small model first and last.

    Args:
        tokens: of both models together.
        share: of the big model, 0..1; rounded to whole tokens.

    Where the small model has too few tokens to stand between all spans, neighbours are joined. Raises ValueError if the
    share is above 0 and there are no spans or fewer big tokens than spans.
    """
    big = round(share * tokens)
    if not big:
        return merged([("small", tokens)])
    if not 0 < spans <= big:
        raise ValueError(f"{big:,} tokens of the big model do not make {spans:,} spans")
    segments: list[tuple[Author, int]] = []
    for between, span in itertools.zip_longest(_parts(tokens - big, spans + 1), _parts(big, spans), fillvalue=0):
        segments += [("small", between), ("big", span)]
    return merged(segments)


def _parts(total: int, count: int) -> list[int]:
    return [(k + 1) * total // count - k * total // count for k in range(count)]


def _one_author(turns: Segments, setup: Setup, prompt_tokens: int) -> Timing:
    return alone_timing(turns[0][0] if turns else "small", turns, setup, prompt_tokens)


def _small_turn(tokens: int, setup: Setup, *, handed_over: bool) -> Timing:
    return Timing(
        small_decode_seconds=setup.small.decode_seconds(tokens),
        hand_over_seconds=setup.hand_over_seconds if handed_over else 0.0,
    )


def _big_turn(tokens: int, setup: Setup, *, taken_back: bool) -> Timing:
    return Timing(
        big_decode_seconds=setup.big.decode_seconds(tokens),
        hand_over_seconds=setup.hand_over_seconds,
        control_seconds=setup.big.decode_seconds(setup.overrun_tokens) if taken_back else 0.0,
    )


def _probes(tokens: int, setup: Setup, reread_tokens: int | None) -> Timing:
    """The probing of a span. Unless None, `reread_tokens` and the span so far are read again before each bucket."""
    starts = range(0, tokens, setup.bucket_tokens)
    read = tokens if reread_tokens is None else tokens + sum(reread_tokens + start for start in starts)
    decode = len(starts) * setup.small.decode_seconds(setup.probe_tokens)
    return Timing(control_seconds=setup.small.prefill_seconds(read) + decode)


@dataclass
class _Reader:
    """A model that reads in chunks what the other writes. `free_at`: when it has read every chunk that was complete."""

    rates: Rates
    stride_tokens: int
    free_at: float = 0.0
    pending_tokens: int = 0

    def receive(self, tokens: int, at_seconds: float) -> None:
        """Read tokens that are there at a time."""
        self.free_at = max(self.free_at, at_seconds) + self.rates.prefill_seconds(tokens)

    def follow(self, tokens: int, writer: Rates, start_seconds: float) -> None:
        """Read the complete chunks of what a model writes from `start_seconds` on."""
        for upto in range(self.stride_tokens, tokens + 1, self.stride_tokens):
            self.receive(self.stride_tokens, start_seconds + writer.decode_seconds(upto))
        self.pending_tokens = tokens % self.stride_tokens

    def ready(self, at_seconds: float) -> float:
        """When everything that was written until `at_seconds` is read."""
        if self.pending_tokens:
            self.receive(self.pending_tokens, at_seconds)
            self.pending_tokens = 0
        return max(self.free_at, at_seconds)
