import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import orjson
import pytest

from splitreason_cli.records.extraction import boxed_answer
from splitreason_cli.tasks.base import Task
from splitreason_cli.tasks.grader import Grader
from splitreason_cli.tasks.grading import Verdict

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "traces_math500.jsonl"
LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
ROOT = r"\sqrt{8}"
EQUAL = r"2\sqrt{2}"
BOMBS = {
    "power tower": "9^{9^{9^9}}",
    "one huge power": "10^{10^{10}}",
    "factorial": "100000000!",
    "deep nesting": "{" * 300 + "1" + "}" * 300,
}


class Anagrams(Task):
    """Answers are words, whose letters may stand in any order; nothing decides that at once."""

    def answer_in(self, completion):
        return completion.split()[-1] if completion else None

    def quick_verdict(self, answer, gold):
        return None

    def verdict(self, answer, gold):
        return Verdict(answer is not None and sorted(answer) == sorted(gold))


def boxed(answer):
    return rf"\boxed{{{answer}}}"


@pytest.fixture(scope="module")
def grader():
    """So patient that only a bomb can exhaust it."""
    with Grader(workers=2, timeout_seconds=60) as grader:
        yield grader


def test_verdicts_come_in_the_order_of_the_completions(grader):
    answers = [EQUAL, "7", r"\sqrt{2}\sqrt{4}", r"\sqrt{3}", EQUAL, "x"]
    verdicts = grader.grade([(boxed(answer), ROOT) for answer in answers])
    assert [verdict.correct for verdict in verdicts] == [True, False, True, False, True, False]


def test_integers_start_no_process():
    with Grader() as grader:
        assert grader.grade([(boxed("034"), "34"), ("none", "34")]) == [Verdict(True), Verdict(False)]
        assert grader._pool is None


def test_a_gold_answer_that_is_none_is_ungraded_with_its_reason(grader):
    assert grader.grade([(boxed("1"), "")]) == [Verdict(None, "the gold answer says that there is none: ''")]


def test_bombs_are_ungraded_and_the_rest_of_their_batch_is_not():
    with Grader(workers=2, timeout_seconds=3) as grader:
        cases = [case for bomb in BOMBS.values() for case in [(boxed(bomb), ROOT), (boxed(EQUAL), ROOT)]]
        verdicts = grader.grade(cases)
        assert verdicts[::2] == [Verdict(None, "no verdict within 3 s")] * len(BOMBS)
        assert verdicts[1::2] == [Verdict(True)] * len(BOMBS)
        assert grader.grade([(boxed(r"3\sqrt{2}"), ROOT)]) == [Verdict(False)]


def test_a_task_s_own_rules_hold_in_the_processes_too():
    with Grader(workers=1, timeout_seconds=60, task=Anagrams()) as grader:
        verdicts = grader.grade([("it is silent", "listen"), ("it is listening", "listen"), ("", "listen")])
    assert [verdict.correct for verdict in verdicts] == [True, False, False]


def test_an_answer_of_any_length_is_graded(grader):
    long = "so " * 100_000
    assert grader.grade([(long + boxed(EQUAL) + long, ROOT), (long, ROOT)]) == [Verdict(True), Verdict(False)]


def cpu_ticks(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[11])


@LINUX
def test_a_worker_that_dies_takes_one_verdict_with_it():
    others = {process.pid for process in multiprocessing.active_children()}
    with Grader(workers=1, timeout_seconds=100) as grader:
        assert grader.grade([(boxed(EQUAL), ROOT)]) == [Verdict(True)]
        [worker] = [process.pid for process in multiprocessing.active_children() if process.pid not in others]
        found = []
        thread = threading.Thread(target=lambda: found.extend(grader.grade([(boxed(BOMBS["factorial"]), ROOT)])))
        thread.start()
        before = cpu_ticks(worker)
        while cpu_ticks(worker) < before + 20:
            time.sleep(0.01)
        os.kill(worker, signal.SIGKILL)
        thread.join()
        assert found == [Verdict(None, "the grading process died with code -9")]
        assert grader.grade([(boxed(EQUAL), ROOT)]) == [Verdict(True)]


HANGING = """
import multiprocessing
from splitreason_cli.tasks.grader import Grader
with Grader(timeout_seconds={seconds}) as grader:
    correct = grader.grade([(r"\\boxed{{2\\sqrt{{2}}}}", "\\\\sqrt{{8}}")])[0].correct
    print(correct, *(process.pid for process in multiprocessing.active_children()), flush=True)
    grader.grade([(r"\\boxed{{10^{{10^{{10}}}}}}", "1/2"), (r"\\boxed{{9^{{9^{{9^9}}}}}}", "1/2")])
"""


@pytest.fixture
def hanging():
    """Start a process that grades bombs; returns it and the ids of its workers."""
    started = []

    def start(seconds):
        process = subprocess.Popen(
            [sys.executable, "-c", HANGING.format(seconds=seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        first, *workers = process.stdout.readline().split()
        assert first == b"True"
        return process, [int(worker) for worker in workers]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def wait_until_gone(processes):
    while any(map(is_running, processes)):
        time.sleep(0.02)


@LINUX
def test_ctrl_c_ends_it_and_leaves_no_process_behind(hanging):
    process, workers = hanging(seconds=10_000)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert said.decode().rstrip().endswith("KeyboardInterrupt")
    assert said.count(b"Traceback") == 1
    wait_until_gone(workers)


@LINUX
def test_workers_do_not_outlive_a_killed_process(hanging):
    process, workers = hanging(seconds=1)
    process.kill()
    wait_until_gone(workers)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.skipif(not REAL.exists(), reason="the real traces lie beside the project")
def test_boxed_answers_of_real_traces_are_graded_as_their_labels_say(grader):
    rows = [orjson.loads(line) for line in REAL.read_bytes().splitlines()]
    pairs = [
        ((text, row["answer"]), label)
        for row in rows
        for text, label in zip(row["generations"], row["correctness_math_verify"], strict=True)
        if boxed_answer(text) is not None
    ]
    verdicts = grader.grade([case for case, _ in pairs])
    same = sum(verdict.correct == label for verdict, (_, label) in zip(verdicts, pairs, strict=True))
    assert len(pairs) > 90
    assert same >= 0.99 * len(pairs)
