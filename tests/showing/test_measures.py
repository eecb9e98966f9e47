import pytest

from splitreason_cli.records.data import (
    AnnotatedTrace,
    BenchComparison,
    BenchResult,
    Generation,
    HardSpan,
    Message,
    Rejected,
    Segment,
    SftConversation,
    SftExample,
    Snippets,
    Trace,
    Unplaced,
)
from splitreason_cli.showing.measures import measure


def annotated(reasoning, *spans, unplaced=0):
    return AnnotatedTrace(
        id="a",
        problem="p",
        answer="4",
        reasoning=reasoning,
        annotator="x",
        spans=tuple(HardSpan(start=start, end=end, score=1, similarity=similarity) for start, end, similarity in spans),
        unplaced=(Unplaced(snippet="s", similarity=0.1),) * unplaced,
    )


def generation(*segments, tokens, big_tokens, **fields):
    ids = iter(range(1000))
    return Generation(
        id="a",
        system="split",
        sample=0,
        problem="p",
        answer="4",
        finish_reason="stop",
        seconds=0.1,
        segments=tuple(
            Segment(author=author, token_ids=tuple(next(ids) for _ in range(n)), text="") for author, n in segments
        ),
        tokens=tokens,
        big_tokens=big_tokens,
        **{"correct": True, "spans": 0, "refused": 0, "cut": 0, "unclosed": 0, **fields},
    )


def test_an_annotated_trace_is_measured_in_characters():
    taken = measure(annotated("0123456789", (2, 4, 1.0), (6, 9, 0.8), unplaced=2))
    assert taken.values == {
        "share in spans": [0.5],
        "spans per trace": [2],
        "trace, characters": [10],
        "span, characters": [2, 3],
        "unplaced per trace": [2],
    }
    assert taken.tallies == {"span similarity": {"1": 1, "below 1": 1}}
    assert (taken.spans, taken.length) == ([(2, 4), (6, 9)], 10)


def test_an_empty_trace_has_a_length_and_no_share():
    taken = measure(annotated(""))
    assert taken.values["share in spans"] == []
    assert taken.values["trace, characters"] == [0]
    assert not taken.malformed


@pytest.mark.parametrize(
    "spans", [[(0, 99, 1.0)], [(-2, 3, 1.0)], [(3, 3, 1.0)], [(0, 4, 1.0), (2, 6, 1.0)], [(4, 6, 1.0), (0, 2, 1.0)]]
)
def test_spans_that_do_not_fit_their_trace_make_it_malformed(spans):
    taken = measure(annotated("0123456789", *spans))
    assert "span [" in taken.malformed
    assert not taken.values
    assert not taken.spans


def example(completion, tokens=None):
    return SftExample(id="a", split="train", prompt=(), completion=completion, tokens=tokens)


def conversation(*messages):
    turns = tuple(Message(role=role, content=content) for role, content in messages)
    return SftConversation(id="a", split="test", messages=turns)


def test_spans_are_read_out_of_a_tagged_completion():
    taken = measure(example("ab<bigmodel>cd</bigmodel>"))
    assert (taken.spans, taken.length) == ([(2, 4)], 4)
    assert taken.values["share in spans"] == [0.5]
    assert taken.values["completion, characters"] == [4]
    assert taken.values["example, tokens"] == []
    assert taken.tallies == {"split": {"train": 1}}


def test_a_length_is_in_tokens_where_they_were_counted():
    taken = measure(example("abcd", tokens=7))
    assert taken.values["example, tokens"] == [7]
    assert taken.values["completion, characters"] == []


def test_a_conversation_is_measured_by_what_its_assistant_says():
    taken = measure(conversation(("user", "wrap in <bigmodel>"), ("assistant", "ab<bigmodel>cd</bigmodel>")))
    assert (taken.spans, taken.length, taken.malformed) == ([(2, 4)], 4, "")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (example("a<bigmodel>b"), "never closed"),
        (conversation(("assistant", "a</bigmodel>")), "closes nothing"),
        (conversation(("user", "ab")), "no message has the role assistant"),
    ],
)
def test_broken_tags_make_an_example_malformed_but_its_split_counts(record, reason):
    taken = measure(record)
    assert reason in taken.malformed
    assert not taken.values
    assert taken.tallies == {"split": {record.split: 1}}


def test_a_generations_spans_are_the_big_models_tokens():
    record = generation(
        ("small", 3),
        ("big", 2),
        ("small", 4),
        ("big", 1),
        tokens=10,
        big_tokens=3,
        spans=2,
        refused=3,
        cut=1,
        unclosed=1,
        correct=None,
    )
    taken = measure(record)
    assert taken.group == "split"
    assert (taken.spans, taken.length) == ([(3, 5), (9, 10)], 10)
    assert taken.values == {
        "offload share": [0.3],
        "spans per completion": [2],
        "completion, tokens": [10],
        "span, tokens": [2, 1],
    }
    assert taken.tallies == {
        "answer": {"no verdict": 1},
        "hand-over": {"granted": 2, "refused": 3},
        "span": {"whole": 1, "cut": 1},
        "end of text": {"inside a span": 1, "outside": 0},
    }


def test_a_generation_without_tokens_has_no_share():
    taken = measure(generation(("big", 0), tokens=0, big_tokens=0))
    assert taken.values["offload share"] == []
    assert (taken.spans, taken.length) == ([], 0)


def test_an_unknown_response_has_no_length():
    assert measure(Trace(id="a", problem="p", answer="", reasoning="abc")).values["response, characters"] == []


def test_snippets_are_counted_and_measured():
    taken = measure(Snippets(id="a", snippets=("ab", "c")))
    assert taken.values == {"snippets per trace": [2], "snippet, characters": [2, 1]}


def test_a_result_belongs_to_its_system_under_its_cap():
    result = BenchResult(
        system="split",
        policy="learned",
        offload_budget=0.05,
        task="mini",
        problems=1,
        samples=1,
        pass_at_1=0.5,
        ci95=(0, 1),
        offload_share=0.04,
        tokens=1,
        big_tokens=0,
        seconds=0,
    )
    assert measure(result).group == "split ≤5%"


def test_a_comparison_belongs_to_its_two_systems():
    comparison = BenchComparison(
        task="mini",
        system="split",
        offload_budget=0.05,
        baseline="random",
        baseline_budget=None,
        difference=0.5,
        ci95=(0.4, 0.6),
        p_value=0.01,
        problems=10,
    )
    taken = measure(comparison)
    assert taken.group == "split ≤5% less random"
    assert taken.values == {"difference in pass@1": [0.5], "p-value": [0.01]}


def test_reasons_that_differ_in_numbers_are_one_reason():
    reasons = ("broken JSON at column 24", "broken JSON at column 7")
    tallies = [measure(Rejected(where="x:1", reason=reason, line="")).tallies for reason in reasons]
    assert tallies[0] == tallies[1] == {"reason": {"broken JSON at column N": 1}}
