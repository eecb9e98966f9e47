import os
import subprocess
import sys

import pytest


@pytest.fixture
def srx(tmp_path):
    """Run the command line in its own process and store; returns the completed process."""

    def run(*arguments, stdin=b"", **kwargs):
        return subprocess.run(
            [sys.executable, "-m", "splitreason_cli", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=environment(tmp_path),
            timeout=550,
            check=False,
            **kwargs,
        )

    return run


def environment(home):
    return {**os.environ, "SRX_HOME": str(home / "store"), "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
