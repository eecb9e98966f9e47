"""Generations made elsewhere, graded here; runs compared that are there already."""

import dataclasses
from pathlib import Path

import orjson
import pyarrow
import pyarrow.parquet
import pytest

from splitreason_cli.errors import InputError, RecordError, UsageError
from splitreason_cli.measuring.bench import BenchConfig, Lineup, StoredGenerations, bench
from splitreason_cli.measuring.compare import bench_compare
from splitreason_cli.measuring.grade_log import NO_COMPLETION, NO_GOLD, LogToGrade, bench_log
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


def written(path, *rows):
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


ROW = {"problem": "1 + 1?", "answer": "2", "completion": r"\boxed{2}"}


def test_completions_without_a_box_are_counted_and_stand_beside_the_labels_of_the_log(store, tmp_path):
    rows = [{**ROW, "id": str(n), "completion": "The answer is 2" if n % 2 else ROW["completion"]} for n in range(10)]
    log = written(tmp_path / "log.jsonl", *({**row, "problem": f"{row['id']}?", "acc": 1.0} for row in rows))
    graded = bench_log(LogToGrade(log, log), store)
    ((result, made),) = graded.runs
    assert (result.pass_at_1, result.completions, result.unanswered, result.extract) == (0.5, 10, 5, "box")
    assert (result.truncated, result.ungraded) == (None, 0)
    (read, labels) = graded.notes()
    assert read == "read label <- acc"
    assert labels == (
        "imported: the log's own labels (acc) say 1.000, the verdicts 0.500; they differ on 5 of 10 completions, 5 of "
        "which give no answer here"
    )
    loose = bench_log(LogToGrade(log, log, extract="auto"), store)
    ((result, made),) = loose.runs
    assert (result.pass_at_1, result.unanswered, result.extract) == (1.0, 0, "auto")
    assert {generation.extract for generation in made} == {"auto"}
    assert "agree with the verdicts on all 10" in [*loose.notes()][1]


def test_a_log_is_its_own_task_whatever_its_columns(store, tmp_path):
    row = {"question": "1 + 1?", "gold": 2.0, "generated_text": r"\boxed{2}"}
    log = written(tmp_path / "log.jsonl", row, {**row, "generated_text": "3"}, {**row, "question": "1 + 2?"})
    graded = bench_log(LogToGrade(log, log), store)
    ((result, _),) = graded.runs
    assert (result.problems, result.samples, result.pass_at_1) == (2, 2, 0.75)
    assert graded.missing == 0


def test_each_system_that_a_column_names_has_a_result(store, tmp_path):
    log = written(
        tmp_path / "log.jsonl", {**ROW, "model": "a"}, {**ROW, "model": "b", "completion": "3"}, {**ROW, "model": "a"}
    )
    graded = bench_log(LogToGrade(log, log), store)
    assert [(r.system, r.samples, r.pass_at_1) for r, _ in graded.runs] == [("a", 2, 1.0), ("b", 1, 0.0)]
    with pytest.raises(UsageError, match=r"the log has several systems \(a, b\), which one name would mix"):
        bench_log(LogToGrade(log, log, system="mine"), store)


def test_a_name_replaces_the_one_in_the_log(store, runs, files, tmp_path):
    log = written(tmp_path / "log.jsonl", {**ROW, "model": "a"}, {**ROW, "model": "a"})
    ((result, made),) = bench_log(LogToGrade(log, log, system="mine"), store).runs
    assert result.system == "mine"
    assert {generation.system for generation in made} == {"mine"}
    with pytest.raises(UsageError, match=r"several systems \(small, split\)"):
        bench_log(LogToGrade("mini", str(files / "generations.jsonl"), system="mine"), store)


def test_failed_requests_of_a_batch_are_those_of_its_only_model(store, tmp_path):
    body = {"model": "m", "choices": [{"message": {"content": r"\boxed{2}"}, "finish_reason": "length"}]}
    rows = [
        {"custom_id": "a", "response": None, "error": {"code": "batch_expired"}},
        {"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None},
        {"custom_id": "b", "response": {"status_code": 400, "body": {"error": {}}}, "error": None},
    ]
    task = written(tmp_path / "task.jsonl", {**ROW, "id": "a"}, {**ROW, "id": "b", "problem": "2 + 2?"})
    graded = bench_log(LogToGrade(task, written(tmp_path / "log.jsonl", *rows)), store)
    ((result, made),) = graded.runs
    assert (result.system, result.completions, result.ungraded, result.truncated, result.unanswered) == (
        "m",
        3,
        2,
        1,
        0,
    )
    assert len({(generation.id, generation.sample) for generation in made}) == 3
    unknown = written(tmp_path / "other.jsonl", {**rows[1], "custom_id": "request-1"})
    with pytest.raises(RecordError, match="the task has no problem of id 'request-1'"):
        bench_log(LogToGrade(task, unknown), store)


@pytest.mark.parametrize("gold", [None, "", "  ", []])
def test_a_missing_gold_answer_is_no_verdict_and_is_counted_by_its_reason(store, tmp_path, gold):
    log = written(tmp_path / "log.jsonl", ROW, {**ROW, "problem": "2 + 2?", "answer": gold})
    graded = bench_log(LogToGrade(log, log), store)
    ((result, made),) = graded.runs
    assert (result.pass_at_1, result.ungraded) == (1.0, 1)
    assert [generation.ungraded_reason for generation in made] == ["", NO_GOLD]
    assert any("1 of 2 completions have no verdict: 1 because there is no gold" in line for line in graded.warnings())


def test_numbers_are_gold_answers_also_from_parquet_where_a_missing_one_is_nan(store, tmp_path):
    log = tmp_path / "log.parquet"
    table = pyarrow.table({"problem": ["a?", "b?"], "answer": [2.0, float("nan")], "response": [r"\boxed{2}"] * 2})
    pyarrow.parquet.write_table(table, log)
    ((_, made),) = bench_log(LogToGrade(str(log), str(log)), store).runs
    assert [generation.correct for generation in made] == [True, None]


def test_another_answer_than_the_tasks_is_warned_of_and_another_way_to_write_it_is_not(store, tmp_path):
    task = written(tmp_path / "task.jsonl", {**ROW, "id": "a"}, {"id": "b", "problem": "half of 1?", "answer": "1/2"})
    log = written(tmp_path / "log.jsonl", {**ROW, "answer": "3"}, {**ROW, "problem": "half of 1?", "answer": "0.5"})
    graded = bench_log(LogToGrade(task, log), store)
    assert graded.other_golds == ("a",)
    assert any("1 problems have another answer in the log" in line for line in graded.warnings())


def test_samples_with_ids_of_their_own_are_warned_of(store, tmp_path):
    log = written(
        tmp_path / "log.jsonl", {**ROW, "id": "a-0"}, {**ROW, "id": "a-1"}, {**ROW, "id": "b", "problem": "?"}
    )
    graded = bench_log(LogToGrade(log, log), store)
    assert any("1 problems have the text of another one" in line for line in graded.warnings())


def test_one_id_for_two_problems_is_no_second_sample(store, tmp_path):
    log = written(tmp_path / "log.jsonl", {**ROW, "id": 0}, {**ROW, "id": 0, "problem": "2 + 2?"})
    with pytest.raises(RecordError, match="id '0' names another problem than before"):
        bench_log(LogToGrade(log, log), store)


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


def test_runs_whose_answers_were_looked_for_in_different_ways_are_not_compared(store, runs, files, tmp_path):
    ((_, made), *_) = bench_log(LogToGrade("mini", str(files / "generations.jsonl"), extract="last"), store).runs
    loose = tmp_path / "loose.jsonl"
    write_atomically(loose, map(encode, made))
    with pytest.raises(InputError, match="looked for in different ways: box, last"):
        bench_compare(f"{loose}:small", f"{files / 'results.jsonl'}:small", store)
    ((same, _),) = bench_compare(str(loose), str(loose), store)
    assert same.difference == 0.0


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
