"""Run a command, and end it with all it has started once whoever started this program is gone.

    python -I watchdog.py GRACE_SECONDS COMMAND...

Standard input is a pipe that the starter holds: its end means that the starter closed it, or died, by whatever cause.
The command gets SIGTERM and GRACE_SECONDS; then it and its descendants get SIGKILL. Exits with the command's code.
Run as a file, so it knows the standard library only.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36
"""Options of prctl(2)."""


def main() -> int:
    prctl = _prctl()
    # A descendant that left the process group becomes a child of this process when its own parent dies.
    prctl(_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(
        sys.argv[2:],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        # For the case that this process is killed itself.
        preexec_fn=lambda: prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM),
    )

    def end() -> None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(float(sys.argv[1]))
        child.kill()

    def end_with_stdin() -> None:
        while os.read(0, 4096):
            pass
        end()

    threading.Thread(target=end_with_stdin, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: threading.Thread(target=end, daemon=True).start())
    code = child.wait()
    _kill_descendants(child.pid)
    return code if code >= 0 else 128 - code


def _prctl() -> Callable[..., int]:
    if sys.platform != "linux":
        return lambda *_: 0
    function: Callable[..., int] = ctypes.CDLL(None).prctl
    return function


def _kill_descendants(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while children.exists() and (pids := children.read_text().split()):
        for pid in map(int, pids):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main())
