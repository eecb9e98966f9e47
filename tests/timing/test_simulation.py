import pytest

from splitreason_cli.records import markup
from splitreason_cli.records.data import (
    AnnotatedTrace,
    Generation,
    HardSpan,
    Message,
    Problem,
    Segment,
    SftConversation,
    SftExample,
    Simulation,
)
from splitreason_cli.showing.measures import measure
from splitreason_cli.split.latency import Setup, Timing
from splitreason_cli.store.embedded import SAMPLE_DATA
from splitreason_cli.store.jsonl import decode, read_lines
from splitreason_cli.timing.simulation import MODES, Written, simulate, synthetic, written


def generation(*lengths, system="split", seconds=0.0):
    """The authors take turns, the small model first."""
    authors = ("small", "big")
    return Generation(
        id="a",
        system=system,
        sample=0,
        problem="p",
        answer="4",
        finish_reason="stop",
        correct=True,
        seconds=seconds,
        segments=tuple(
            Segment(author=authors[n % 2], token_ids=tuple(range(length)), text="") for n, length in enumerate(lengths)
        ),
        tokens=sum(lengths),
        big_tokens=sum(lengths[1::2]),
        spans=len(lengths) // 2,
        refused=0,
        cut=0,
        unclosed=0,
    )


TAGGED = f"aaaaaa{markup.OPEN}bbb{markup.CLOSE}aaa"
TEXTS = (
    SftExample(id="a", split="train", prompt=(), completion=TAGGED),
    SftConversation(
        id="a",
        split="train",
        messages=(Message(role="user", content="longer than anything"), Message(role="assistant", content=TAGGED)),
    ),
    AnnotatedTrace(
        id="a",
        problem="p",
        answer="4",
        reasoning="aaaaaabbbaaa",
        annotator="x",
        spans=(HardSpan(start=6, end=9, score=1),),
    ),
)


def test_a_generation_counts_its_token_ids():
    assert written(generation(5, 3, 2, seconds=1.5), 7, None) == Written(
        [("small", 5), ("big", 3), ("small", 2)], 7, "ids", "split", 1.5
    )


@pytest.mark.parametrize("record", TEXTS, ids=lambda record: record.kind)
def test_a_tagged_text_is_scaled_and_says_so(record):
    assert written(record, 7, 3) == Written([("small", 2), ("big", 1), ("small", 1)], 7, "characters")


@pytest.mark.parametrize("record", TEXTS, ids=lambda record: record.kind)
def test_without_a_ratio_characters_are_not_taken_for_tokens(record):
    with pytest.raises(ValueError, match="counts no tokens"):
        written(record, 7, None)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Problem(id="a", problem="p", answer="4"), "holds no completion"),
        (SftExample(id="a", split="train", prompt=(), completion=f"a{markup.OPEN}b"), "never closed"),
        (AnnotatedTrace(**{**vars(TEXTS[2]), "spans": (HardSpan(start=6, end=99, score=1),)}), "leaves the text"),
    ],
)
def test_what_holds_no_sound_completion_is_refused(record, reason):
    with pytest.raises(ValueError, match=reason):
        written(record, 7, 3)


def test_rounding_does_not_lose_tokens_of_a_long_text():
    text = f"aa{markup.OPEN}bb{markup.CLOSE}" * 300
    segments = written(SftExample(id="a", split="train", prompt=(), completion=text), 0, 3).segments
    assert sum(tokens for _, tokens in segments) == 400


def test_each_system_gets_every_mode_and_its_sums():
    records = [generation(10, 5, 5, seconds=2.0), generation(9, system="small"), generation(4, 6, seconds=3.0)]
    rows = simulate([written(record, 100, None) for record in records], Setup())
    assert [(row.system, row.mode) for row in rows] == [(name, mode) for name in ("split", "small") for mode in MODES]
    split, small = rows[-6], rows[-1]
    assert (split.generations, split.prompt_tokens, split.tokens, split.big_tokens, split.spans) == (2, 200, 30, 11, 2)
    assert (split.measured_seconds, small.measured_seconds) == (5.0, None)
    by_mode = {row.mode: row for row in rows if row.system == "split"}
    for row in by_mode.values():
        assert row.relative_to_small == row.seconds / by_mode["small"].seconds
        assert row.speedup_over_big == by_mode["big"].seconds / row.seconds
        parts = {name: value for name, value in row.to_dict().items() if name in vars(Timing())}
        assert len(parts) == 5
        assert row.seconds == pytest.approx(sum(parts.values()))


def test_one_completion_that_nobody_timed_leaves_the_sum_unknown():
    rows = simulate([written(generation(9, seconds=seconds), 0, None) for seconds in (1.0, 0.0)], Setup())
    assert {row.measured_seconds for row in rows} == {None}


def test_no_tokens_cannot_be_compared():
    with pytest.raises(ValueError, match="no tokens were written by system split"):
        simulate([written(generation(0), 100, None)], Setup())


def test_the_sample_is_what_the_command_computes():
    sample = [decode(line, Simulation.from_dict) for line in read_lines(SAMPLE_DATA / "records" / "simulation.jsonl")]
    assert sample == simulate([synthetic(tokens=8000, share=0.05, spans=20, prompt_tokens=128)], Setup())


def test_a_simulation_is_measured_by_mode_and_per_completion():
    rows = simulate([written(generation(10, 5), 0, None)] * 4, Setup())
    taken = [measure(row) for row in rows]
    assert [one.group for one in taken] == [f"split, {mode}" for mode in MODES]
    assert taken[0].values["seconds per completion"] == [pytest.approx(15 / 150)]
