"""Two real vLLM servers of the embedded pair, started once a run. Without vLLM what needs them is skipped."""

import contextlib
import importlib.util
import os
import sys

import pytest

from splitreason_cli.models.vllm_server import VllmLaunch, VllmServer, share_cores, wait_until_ready

PYTHON = os.environ.get("SRX_VLLM_PYTHON") or (sys.executable if importlib.util.find_spec("vllm") else None)
NAMES = ("mini-split", "mini-big")
NEEDS_VLLM = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PYTHON is None, reason="no vLLM: set SRX_VLLM_PYTHON to an interpreter that has it"),
]


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """By model name."""
    folder = tmp_path_factory.mktemp("vllm")
    with contextlib.ExitStack() as stack:
        started = {
            name: stack.enter_context(
                VllmServer.start(
                    VllmLaunch(
                        name,
                        folder / f"{name}.log",
                        cpu_cores=cores,
                        extra_args=["--enforce-eager", "--dtype", "float32", "--max-num-seqs", "16"],
                        env={"HF_HUB_OFFLINE": "1"},
                        python=PYTHON,
                    )
                )
            )
            for name, cores in zip(NAMES, share_cores(2), strict=True)
        }
        wait_until_ready(list(started.values()), timeout_seconds=600)
        yield started
