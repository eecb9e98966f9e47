"""Generations made elsewhere, graded here; runs compared that are there already."""

import dataclasses
from pathlib import Path

import orjson
import pytest

from splitreason_cli.errors import InputError, RecordError, UsageError
from splitreason_cli.measuring.bench import BenchConfig, Lineup, StoredGenerations, bench
from splitreason_cli.measuring.compare import bench_compare
from splitreason_cli.measuring.grade_log import NO_COMPLETION, LogToGrade, bench_log
from splitreason_cli.store.artifacts import Store
from splitreason_cli.store.jsonl import encode, write_atomically

LOGS = Path(__file__).parent / "sample_logs"
CONFIG = BenchConfig(problems=16)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def runs(store):
    return list(bench(CONFIG, Lineup(["small", "split"], [None, 0.03]), store))


@pytest.fixture(scope="module")
def files(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    made = [generation for run in runs for generation in StoredGenerations(run.artifact)]
    write_atomically(folder / "generations.jsonl", map(encode, made))
    write_atomically(folder / "results.jsonl", (encode(run.result) for run in runs))
    return folder


def test_our_own_generations_are_graded_as_they_were(store, runs, files):
    graded = bench_log(LogToGrade("mini", str(files / "generations.jsonl")), store)
    assert graded.missing == 500 - 16
    for (result, made), run in zip(graded.runs, runs, strict=True):
        assert made == list(StoredGenerations(run.artifact))
        assert dataclasses.replace(result, policy=run.result.policy, artifact=run.result.artifact) == run.result


def test_a_log_of_another_program_is_graded_and_says_what_it_does_not_know(store):
    graded = bench_log(LogToGrade("mini", str(LOGS / "lm_eval.jsonl")), store)
    ((result, made),) = graded.runs
    assert (result.system, result.problems, result.samples) == ("imported", 3, 3)
    assert result.pass_at_1 == pytest.approx(sum(bool(one.correct) for one in made) / 9)
    assert 0 < result.pass_at_1 < 1
    unknown = (result.offload_share, result.tokens, result.big_tokens, result.spans, result.unclosed, result.seconds)
    assert unknown == (None,) * 6
    assert result.truncated is None


def test_a_failed_request_has_no_verdict(store):
    graded = bench_log(LogToGrade("mini", str(LOGS / "lighteval_failed.parquet")), store)
    ((result, made),) = graded.runs
    failed = [one for one in made if not one.segments]
    assert len(failed) == graded.log.failed > 0
    assert all(one.correct is None and one.ungraded_reason == NO_COMPLETION for one in failed)
    assert result.ungraded == len(failed)


def test_a_bad_row_of_a_log_costs_that_row_alone(store, tmp_path):
    log, rejected = tmp_path / "log.jsonl", tmp_path / "rejected.jsonl"
    right, wrong = (
        {"problem": p, "answer": a, "completion": r"\boxed{2}"} for p, a in (("1 + 1?", "2"), ("1 + 2?", "3"))
    )
    rows = [right, {"no": "log"}, wrong]
    log.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows) + b'{"torn')
    problems = tmp_path / "problems.jsonl"
    problems.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in (right, wrong)))
    graded = bench_log(LogToGrade(str(problems), str(log)), store, rejected)
    ((result, _),) = graded.runs
    assert (result.pass_at_1, result.problems, graded.rejected) == (0.5, 2, 2)
    reasons = [orjson.loads(line)["where"] for line in rejected.read_bytes().splitlines()]
    assert reasons == [f"{log}:2", f"{log}:4"]
    with pytest.raises(RecordError, match=rf"{log}:2: no known log"):
        bench_log(LogToGrade(str(problems), str(log)), store)


def test_where_no_row_is_good_the_first_says_why(store, tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"completion": "c", "problem": "of another task"}\n' * 2)
    with pytest.raises(RecordError, match=rf"{log}:1: the task has no problem that the prompt contains"):
        bench_log(LogToGrade("mini", str(log)), store, tmp_path / "rejected.jsonl")


def test_uneven_samples_are_warned_of(store, tmp_path):
    log = tmp_path / "log.jsonl"
    rows = [{"problem": p, "answer": "2", "completions": [r"\boxed{2}"] * n} for p, n in (("1 + 1?", 3), ("2?", 1))]
    log.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    graded = bench_log(LogToGrade(str(log), str(log)), store)
    assert any("imported has 1 to 3 samples a problem" in warning for warning in graded.warnings())


@pytest.mark.parametrize("name", ["generations.jsonl", "results.jsonl"])
def test_runs_are_compared_by_what_is_picked(store, runs, files, name):
    file = files / name
    ((comparison, warning),) = bench_compare(f"{file}:split@3%", f"{file}:small", store)
    assert (comparison.system, comparison.offload_budget) == ("split", 0.03)
    assert (comparison.baseline, comparison.baseline_budget) == ("small", None)
    by_system = {(run.result.system, run.result.offload_budget): run.result for run in runs}
    difference = by_system["split", 0.03].pass_at_1 - by_system["small", None].pass_at_1
    assert comparison.difference == pytest.approx(difference)
    assert comparison.problems == 16
    assert "16 problems show" in warning


def test_a_key_of_the_store_is_a_run_too(store, runs, files):
    split = next(run for run in runs if run.result.system == "split")
    ((comparison, _),) = bench_compare(split.artifact.info.key[:8], f"{files / 'results.jsonl'}:small", store)
    assert (comparison.task, comparison.system, comparison.baseline) == ("mini", "split", "small")


def test_of_several_those_of_one_name_are_compared(store, files):
    both = bench_compare(str(files / "generations.jsonl"), str(files / "results.jsonl"), store)
    assert [(c.system, c.offload_budget, c.difference) for c, _ in both] == [
        ("small", None, 0.0),
        ("split", None, 0.0),
        ("split", 0.03, 0.0),
    ]


def test_what_cannot_be_compared_is_said(store, runs, files, tmp_path):
    file = files / "generations.jsonl"
    with pytest.raises(InputError, match=r"has no split ≤5%. It has small, split, split ≤3%"):
        bench_compare(f"{file}:split@5%", str(file), store)
    with pytest.raises(InputError, match="'nothing' is no file, and in the store no artifact"):
        bench_compare("nothing", str(file), store)
    others = tmp_path / "others.jsonl"
    made = [dataclasses.replace(one, system="other") for one in StoredGenerations(runs[0].artifact)]
    write_atomically(others, map(encode, made))
    with pytest.raises(UsageError, match="not clear what to compare: small, split, split ≤3%; other"):
        bench_compare(str(file), str(others), store)
    elsewhere = Store(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"generations of small are not in this store.*Give the file of --generations"):
        bench_compare(str(files / "results.jsonl"), str(others), elsewhere)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"problem": "another"}, "is another one in each run"), ({"id": "other"}, "no problem in common")],
)
def test_runs_of_other_problems_are_not_compared(store, runs, files, tmp_path, changed, message):
    others = tmp_path / "others.jsonl"
    (first, *_) = StoredGenerations(runs[0].artifact)
    write_atomically(others, [encode(dataclasses.replace(first, **changed))])
    with pytest.raises(InputError, match=message):
        bench_compare(f"{files / 'generations.jsonl'}:split@none", str(others), store)
