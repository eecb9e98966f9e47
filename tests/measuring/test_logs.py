"""The logs in `sample_logs/` are real: lm_eval 0.4.13 and lighteval 0.13.0 against `srx serve` on the embedded pair.

Task `srx_mini` of `sample_data/interop`, hot enough that many answers are wrong: `lm_eval.jsonl` (two filters, three
repeats), `lighteval_avg4.parquet` (four samples), both of a server with --no-reasoning; `lighteval.parquet` of one that
returns the thinking apart; `lighteval_failed.parquet` of a server that was down.
"""

from pathlib import Path
from statistics import mean

import orjson
import pyarrow.parquet
import pytest

from splitreason_cli.errors import RecordError
from splitreason_cli.measuring.log_rows import completion_of
from splitreason_cli.measuring.logs import read_sample_log
from splitreason_cli.records.data import Generation, Segment
from splitreason_cli.records.measurement import UNKNOWN
from splitreason_cli.store.artifacts import Store
from splitreason_cli.tasks.grading import is_correct
from splitreason_cli.tasks.tasks import read_task

LOGS = Path(__file__).parent / "sample_logs"
PLAIN = {"problem": "1+1?", "answer": "2", "completion": "\\boxed{2}"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def mini(store):
    return read_task("mini", store).problems


@pytest.fixture
def read(store, tmp_path):
    def from_rows(*rows, **arguments):
        (tmp_path / "log.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        return read_sample_log(str(tmp_path / "log.jsonl"), store, **arguments)

    return from_rows


def verdicts(log):
    """For each problem, whether each of its samples is right; None for those that failed."""
    found = {}
    for generation in log.generations:
        text = completion_of(generation)
        found.setdefault(generation.id, []).append(None if text is None else is_correct(text, generation.answer))
    return found


def theirs(name):
    """What the program that wrote a log made of each of its rows."""
    if name.endswith(".jsonl"):
        return [orjson.loads(line)["exact_match"] for line in (LOGS / name).read_bytes().splitlines()]
    return [next(iter(row["metric"].values())) for row in pyarrow.parquet.read_table(LOGS / name).to_pylist()]


@pytest.mark.parametrize("task", [None, "mini"])
@pytest.mark.parametrize(("name", "samples"), [("lighteval.parquet", 1), ("lighteval_avg4.parquet", 4)])
def test_details_of_lighteval_get_the_verdicts_that_lighteval_gave(store, mini, name, samples, task):
    log = read_sample_log(str(LOGS / name), store, mini if task else None)
    found = verdicts(log)
    assert [len(same) for same in found.values()] == [samples] * len(found)
    assert [mean(same) for same in found.values()] == theirs(name)
    assert log.failed == 0
    assert not log.repeated
    assert {generation.correct for generation in log.generations} == {None}


@pytest.mark.parametrize("task", [None, "mini"])
def test_a_sample_log_of_lm_eval_counts_each_sample_once_whatever_its_filters(store, mini, task):
    log = read_sample_log(str(LOGS / "lm_eval.jsonl"), store, mini if task else None)
    found = verdicts(log)
    assert found == {
        "mini-test-0000": [False, False, False],
        "mini-test-0001": [False, True, False],
        "mini-test-0002": [True, True, False],
    }
    # lm_eval itself looks at the first of the repeats.
    assert [float(same[0]) for same in found.values()] * 2 == theirs("lm_eval.jsonl")
    assert [generation.sample for generation in log.generations] == [0, 1, 2] * 3


def test_requests_that_failed_are_no_wrong_answers_though_lighteval_says_so(store, mini):
    log = read_sample_log(str(LOGS / "lighteval_failed.parquet"), store, mini)
    assert set(theirs("lighteval_failed.parquet")) == {0.0}
    assert log.failed == len(log.generations) == 4
    assert {same for found in verdicts(log).values() for same in found} == {None}
    assert {generation.finish_reason for generation in log.generations} == {"error"}


def test_thinking_that_the_server_returned_apart_is_part_of_the_completion(store):
    log = read_sample_log(str(LOGS / "lighteval.parquet"), store)
    assert completion_of(log.generations[1]).startswith("a) 627*2\n254\n")
    assert completion_of(log.generations[1]).endswith("\n</think>\n\n\\boxed{300}")


def test_what_the_log_does_not_say_is_named(read):
    (bare, counted) = read(
        PLAIN, {**PLAIN, "finish_reason": "length", "usage": {"completion_tokens": 9, "split": {"big_tokens": 4}}}
    ).generations
    assert bare.extra == {"log": "plain", UNKNOWN: ["authors", "tokens", "big_tokens", "finish_reason", "seconds"]}
    assert (bare.finish_reason, bare.tokens) == ("unknown", 0)
    assert counted.extra[UNKNOWN] == ["seconds"]
    assert (counted.finish_reason, counted.tokens, counted.big_tokens) == ("length", 9, 4)


def test_tags_that_a_server_showed_say_who_wrote_what(read):
    text = "a\n<bigmodel>b</bigmodel>\n\\boxed{2}"
    (tagged,) = read({**PLAIN, "completion": text}).generations
    assert [(segment.author, segment.text) for segment in tagged.segments] == [
        ("small", "a\n"),
        ("big", "b"),
        ("small", "\n\\boxed{2}"),
    ]
    (torn,) = read({**PLAIN, "completion": "<bigmodel>b"}).generations
    assert torn.segments == (Segment(author="small", token_ids=(), text="<bigmodel>b"),)


def test_our_own_generations_come_back_as_they_were_but_ungraded(read):
    own = Generation(
        id="a",
        system="split",
        sample=3,
        problem="1+1?",
        answer="2",
        segments=(Segment(author="big", token_ids=(1, 2), text="\\boxed{2}"),),
        finish_reason="stop",
        correct=False,
        tokens=2,
        big_tokens=2,
        spans=1,
        refused=0,
        cut=0,
        unclosed=0,
        seconds=0.5,
        extra={"mine": 1},
    )
    (found,) = read(own.to_dict()).generations
    assert found.to_dict() == {**own.to_dict(), "correct": None}
    (renamed,) = read(own.to_dict(), system="yesterday").generations
    assert renamed.system == "yesterday"


def test_rows_of_one_problem_without_an_id_are_its_samples(read):
    log = read(PLAIN, {**PLAIN, "completion": "3"}, {**PLAIN, "problem": "other"})
    assert [generation.sample for generation in log.generations] == [0, 1, 0]
    assert len({generation.id for generation in log.generations}) == 2
    assert {generation.system for generation in log.generations} == {"imported"}


def test_samples_that_are_all_the_same_text_are_noticed(read):
    assert read(PLAIN, PLAIN, {**PLAIN, "problem": "q"}).repeated
    assert not read(PLAIN, {**PLAIN, "completion": "3"}).repeated


def test_a_row_whose_gold_answer_is_empty_has_no_verdict_and_stops_nothing(read):
    log = read({**PLAIN, "id": "a", "answer": ""}, {**PLAIN, "id": "b"})
    assert verdicts(log) == {"a": [None], "b": [True]}


def test_a_task_gives_ids_texts_and_answers_that_the_log_lacks(read, mini):
    problem = mini[7]
    by_text = {"problem": f"Solve this.\n\n{problem.problem}\n\nBox it.", "completion": "1", "answer": "wrong"}
    by_id = {"id": problem.id, "completion": "2"}
    found = read(by_text, by_id, problems=mini).generations
    assert {(one.id, one.problem, one.answer) for one in found} == {(problem.id, problem.problem, problem.answer)}
    assert [one.sample for one in found] == [0, 1]


@pytest.mark.parametrize(
    ("rows", "with_task", "message"),
    [
        ([PLAIN, {"problem": "p"}], False, ":2: no known log has the fields problem"),
        (
            [{"completion": "c", "answer": "2"}],
            False,
            ":1: field 'problem' is missing; without it give the task as well",
        ),
        (
            [{"completion": "c", "problem": "p"}],
            False,
            ":1: field 'answer' is missing; without it give the task as well",
        ),
        ([{**PLAIN, "answer": ["2", "3"]}], False, ":1: field 'answer': expected a text or a number, got a list of"),
        ([{"kind": "bench_result"}], False, ":1: a bench_result holds no completions; give the file of --generations"),
        ([PLAIN], True, ":1: the task has no problem that the prompt contains"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_file_line_and_remedy(read, mini, rows, with_task, message):
    with pytest.raises(RecordError) as caught:
        read(*rows, problems=mini if with_task else None)
    assert f"log.jsonl{message}" in str(caught.value)


def test_two_runs_in_one_file_are_not_taken_for_one(read):
    own = {
        "kind": "generation",
        "id": "a",
        "system": "split",
        "sample": 0,
        "problem": "p",
        "answer": "1",
        "segments": [],
        "finish_reason": "stop",
        "correct": True,
        "tokens": 0,
        "big_tokens": 0,
        "spans": 0,
        "refused": 0,
        "cut": 0,
        "unclosed": 0,
        "seconds": 0.0,
    }
    with pytest.raises(RecordError, match=r"log.jsonl:2: sample 0 of problem 'a' by 'split' is at .*log.jsonl:1 too"):
        read(own, own)
