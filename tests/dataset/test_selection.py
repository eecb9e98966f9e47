from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.dataset.decontamination import NgramIndex
from splitreason_cli.dataset.selection import Drop, Selection, SelectionTally, problem_digest
from splitreason_cli.dataset.sft import BuildSftConfig, why_malformed
from splitreason_cli.records.data import AnnotatedTrace, HardSpan
from tests.records.strategies import annotated_traces

PROBLEMS = st.sampled_from(["two plus two", "Two  Plus\ntwo ", "TWO PLUS TWO", "three plus three", "a", "A", "b"])


def trace(problem, reasoning="x", number=0):
    return AnnotatedTrace(
        id=str(number),
        problem=problem,
        answer="4",
        reasoning=reasoning,
        annotator="a",
        spans=(HardSpan(start=0, end=1, score=1.0),),
    )


def normal(problem):
    return " ".join(problem.lower().split())


def choose(problems, **config):
    selection = Selection(BuildSftConfig(**config))
    return [selection.choose(trace(problem, number=n)) for n, problem in enumerate(problems)], selection.tally


@given(st.lists(PROBLEMS))
def test_the_first_trace_of_every_problem_is_kept_and_no_other(problems):
    chosen, tally = choose(problems)
    first = {normal(problem): str(number) for number, problem in reversed(list(enumerate(problems)))}
    assert {record.id for record in chosen if not isinstance(record, Drop)} == set(first.values())
    assert (tally.kept, tally.repeated) == (len(first), len(problems) - len(first))


@given(st.lists(PROBLEMS))
def test_without_deduplication_all_stay_and_copies_share_a_split(problems):
    chosen, tally = choose(problems, dedup=False, test_fraction=0.5)
    assert tally.kept == len(problems)
    by_problem = {}
    for problem, record in zip(problems, chosen, strict=True):
        by_problem.setdefault(normal(problem), set()).add(record.split)
    assert all(len(splits) == 1 for splits in by_problem.values())


def test_a_trace_that_is_too_long_does_not_cost_its_problem():
    config = BuildSftConfig(tokenizer="any", max_tokens=3)
    selection = Selection(config, count_tokens=lambda records: [9 if record.id == "0" else 3 for record in records])
    first, second, third = (selection.choose(trace("p", number=n)) for n in range(3))
    assert first == Drop("9 tokens, more than 3")
    assert (second.id, second.tokens) == ("1", 3)
    assert third == Drop("the problem is that of an earlier trace")
    assert selection.tally.describe_dropped(3) == "1 repeated problem, 1 over 3 tokens"


@given(st.lists(st.tuples(PROBLEMS, st.integers(1, 3))), st.integers(1, 9), st.booleans(), st.sampled_from([None, 2]))
def test_counting_ahead_changes_nothing_but_how_often_is_counted(drawn, block, dedup, max_tokens):
    config = BuildSftConfig(tokenizer="any", max_tokens=max_tokens, dedup=dedup, test_fraction=0.5)
    traces = [trace(problem, number=n) for n, (problem, _) in enumerate(drawn)]
    calls = []

    def count(records):
        calls.append([int(record.id) for record in records])
        return [drawn[int(record.id)][1] for record in records]

    ngrams = NgramIndex(3)
    ngrams.add("three plus three", "bench.jsonl", "bench.jsonl:1")
    one_by_one, in_blocks = (Selection(config, ngrams, count) for _ in range(2))
    expected = [one_by_one.choose(one) for one in traces]
    calls.clear()
    chosen = []
    for start in range(0, len(traces), block):
        in_blocks.look_ahead(traces[start : start + block])
        chosen += [in_blocks.choose(one) for one in traces[start : start + block]]
    assert chosen == expected
    assert in_blocks.tally == one_by_one.tally
    counted = [number for call in calls for number in call]
    assert len(counted) == len(set(counted)), "nothing is counted twice"


def test_a_selection_that_goes_on_knows_the_problems_that_were_kept_before():
    before = Selection(BuildSftConfig(test_fraction=0.5))
    kept = [before.choose(trace(problem)) for problem in ("a", "b", "c", "d")]
    after = Selection(BuildSftConfig(dedup=False), tally=before.tally)
    for problem, record in zip("abcd", kept, strict=True):
        after.remember(problem_digest(problem), record.split)
    assert {record.split for record in kept} == {"train", "test"}
    assert [after.choose(trace(problem)).split for problem in ("A", " b", "C", "d")] == [one.split for one in kept]
    assert after.tally.kept == 8


def test_a_contaminated_problem_is_dropped_with_the_row_that_matched():
    ngrams = NgramIndex(2)
    ngrams.add("one two three", "aime24.jsonl", "aime24.jsonl:7")
    selection = Selection(BuildSftConfig(), ngrams)
    dropped = selection.choose(trace("zero one two"))
    assert dropped == Drop("the problem shares the 2-gram 'one two' with aime24.jsonl:7")
    assert selection.tally.found_in == {"aime24.jsonl": 1}
    assert selection.choose(trace("two one")).id == "0"


@pytest.mark.parametrize(
    "changes", [{"answer": ""}, {"answer": " \n"}, {"response": r"So it is \boxed{}."}, {"answer": r"\boxed{}"}]
)
def test_a_trace_without_an_answer_is_dropped_and_costs_no_problem(changes):
    selection = Selection(BuildSftConfig())
    first, second = selection.choose(replace(trace("p"), **changes)), selection.choose(trace("p", number=1))
    assert isinstance(first, Drop)
    assert second.id == "1"
    assert (selection.tally.unanswered, selection.tally.kept, selection.tally.dropped) == (1, 1, 1)
    assert selection.tally.describe_dropped(None) == "1 without an answer"


def test_a_response_stands_for_a_missing_answer():
    chosen = Selection(BuildSftConfig()).choose(replace(trace("p"), answer="", response="It is 4."))
    assert chosen.completion.endswith("</think>\n\nIt is 4.")


@given(annotated_traces())
def test_no_empty_box_is_ever_written(of):
    chosen = Selection(BuildSftConfig()).choose(of) if not why_malformed(of) else Drop("")
    assert isinstance(chosen, Drop) or not chosen.completion.endswith(r"\boxed{}")


def test_the_tally_counts_what_is_kept_and_survives_the_round_trip():
    _, tally = choose(["p", "q", "p"], test_fraction=0)
    assert tally.splits == {"train": 2, "test": 0}
    assert tally.annotators == {"a": 2}
    assert (tally.spans, tally.characters, tally.span_share) == (2, 2, 1.0)
    assert SelectionTally.from_dict(tally.to_dict()) == tally


def test_drops_are_described_in_one_line_with_thousands():
    tally = SelectionTally(repeated=1200, found_in={"aime24.jsonl": 3, "math500.jsonl": 1}, too_long=5)
    line = "1,200 repeated problems, 3 found in aime24.jsonl, 1 found in math500.jsonl, 5 over 16,384 tokens"
    assert tally.describe_dropped(16_384) == line
    assert SelectionTally().describe_dropped(None) == ""
