"""From records to simulated times: who wrote how much, and how long each way of running the pair would have taken."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..records import markup
from ..records.data import (
    AnnotatedTrace,
    Author,
    Generation,
    Record,
    SftConversation,
    SftExample,
    Simulation,
    SimulationMode,
    TokensFrom,
)
from ..split.latency import Segments, Setup, Timing, alone_timing, evenly, merged, pipelined_timing, serial_timing

MODES: dict[SimulationMode, Callable[[Segments, Setup, int], Timing]] = {
    "small": lambda segments, setup, prompt_tokens: alone_timing("small", segments, setup, prompt_tokens),
    "big": lambda segments, setup, prompt_tokens: alone_timing("big", segments, setup, prompt_tokens),
    "serial_cold": lambda segments, setup, prompt_tokens: serial_timing(segments, setup, prompt_tokens, cold=True),
    "serial": serial_timing,
    "pipelined": pipelined_timing,
}
"""How a text can be written: by one model alone, by both in turns, by both at once."""


@dataclass(frozen=True)
class Written:
    """A completion as far as time goes. `measured_seconds` is how long it really took, None where nobody knows."""

    segments: Segments
    prompt_tokens: int
    tokens_from: TokensFrom
    system: str = ""
    measured_seconds: float | None = None


def synthetic(tokens: int, share: float, spans: int, prompt_tokens: int) -> Written:
    """A completion with evenly placed spans. Raises ValueError as `evenly` does."""
    return Written(evenly(tokens, share, spans), prompt_tokens, "flags")


def written(record: Record, prompt_tokens: int, characters_per_token: float | None) -> Written:
    """The completion in a record: a generation, or a tagged text whose characters are scaled to tokens.

    Args:
        prompt_tokens: of each prompt, as records do not count it.
        characters_per_token: None refuses records that know no tokens.

    Raises ValueError, with what is wrong, if there is no completion in the record or its tags are broken.
    """
    if isinstance(record, Generation):
        counted = [(segment.author, len(segment.token_ids)) for segment in record.segments]
        # Samples and records that nobody timed hold 0.
        return Written(counted, prompt_tokens, "ids", record.system, record.seconds or None)
    text, spans = _spans(record)
    if characters_per_token is None:
        raise ValueError(f"a record of kind '{record.kind}' counts no tokens. Give --characters-per-token, such as 3")
    return Written(_scaled(text, spans, characters_per_token), prompt_tokens, "characters")


def simulate(completions: Iterable[Written], setup: Setup) -> list[Simulation]:
    """The time of all completions of each system, one after the other, in each of `MODES`.

    Raises ValueError if a system wrote no tokens at all, as nothing can be compared then.
    """
    by_system: dict[str, list[Written]] = {}
    for completion in completions:
        by_system.setdefault(completion.system, []).append(completion)
    return [row for system, group in by_system.items() for row in _rows(system, group, setup)]


def _rows(system: str, group: list[Written], setup: Setup) -> list[Simulation]:
    timings = {mode: _total(timing, group, setup) for mode, timing in MODES.items()}
    turns = [merged(completion.segments) for completion in group]
    tokens = _count(turns, "small") + _count(turns, "big")
    if not tokens:
        raise ValueError("no tokens were written" + (f" by system {system}" if system else ""))
    measured = [completion.measured_seconds for completion in group]
    known = [seconds for seconds in measured if seconds is not None]
    return [
        Simulation(
            system=system,
            mode=mode,
            generations=len(group),
            prompt_tokens=sum(completion.prompt_tokens for completion in group),
            tokens=tokens,
            big_tokens=_count(turns, "big"),
            spans=sum(author == "big" for completion in turns for author, _ in completion),
            tokens_from=group[0].tokens_from,
            seconds=timing.seconds,
            small_decode_seconds=timing.small_decode_seconds,
            big_decode_seconds=timing.big_decode_seconds,
            prefill_seconds=timing.prefill_seconds,
            hand_over_seconds=timing.hand_over_seconds,
            control_seconds=timing.control_seconds,
            relative_to_small=timing.seconds / timings["small"].seconds,
            speedup_over_big=timings["big"].seconds / timing.seconds,
            measured_seconds=sum(known) if len(known) == len(measured) else None,
            small_rates=(setup.small.prefill_tokens_per_second, setup.small.decode_tokens_per_second),
            big_rates=(setup.big.prefill_tokens_per_second, setup.big.decode_tokens_per_second),
        )
        for mode, timing in timings.items()
    ]


def _total(timing: Callable[[Segments, Setup, int], Timing], group: list[Written], setup: Setup) -> Timing:
    return sum((timing(one.segments, setup, one.prompt_tokens) for one in group), Timing())


def _count(completions: list[list[tuple[Author, int]]], author: Author) -> int:
    return sum(tokens for turns in completions for who, tokens in turns if who == author)


def _spans(record: Record) -> tuple[str, list[markup.Span]]:
    match record:
        case AnnotatedTrace(reasoning=reasoning):
            spans = [(span.start, span.end) for span in record.spans]
            # It refuses spans that do not fit their text.
            markup.render(reasoning, spans)
            return reasoning, spans
        case SftExample(completion=completion):
            return markup.parse(completion)
        case SftConversation(messages=messages):
            return markup.parse("".join(message.content for message in messages if message.role == "assistant"))
    raise ValueError(f"a record of kind '{record.kind}' holds no completion. Give generations or tagged texts")


def _scaled(text: str, spans: list[markup.Span], characters_per_token: float) -> list[tuple[Author, int]]:
    """The segments of a tagged text. Their borders are rounded, not their lengths, so that errors do not add up."""
    ends: list[tuple[Author, int]] = []
    for start, end in spans:
        ends += [("small", start), ("big", end)]
    segments: list[tuple[Author, int]] = []
    done = 0
    for author, end in [*ends, ("small", len(text))]:
        upto = round(end / characters_per_token)
        segments.append((author, upto - done))
        done = upto
    return merged(segments)
