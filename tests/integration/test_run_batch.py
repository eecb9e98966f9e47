"""vLLM's own `run-batch` reads the questions of `srx annotate --batch-out`, and srx reads what it writes."""

import os
import subprocess

import orjson

from splitreason_cli.records.data import Trace
from splitreason_cli.store.embedded import EMBEDDED_MODELS
from splitreason_cli.store.jsonl import encode, write_atomically
from tests.cli.conftest import srx  # noqa: F401 - a fixture
from tests.integration.conftest import NEEDS_VLLM, PYTHON

pytestmark = NEEDS_VLLM

MODEL = "mini-big"
CPU = {"VLLM_CPU_OMP_THREADS_BIND": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}
ENV = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "PYTHONSAFEPATH": "1"}


def test_every_question_gets_a_reply_or_a_reason_from_vllm(srx, tmp_path):  # noqa: F811
    lengths = (20, 21, 1000)
    texts = ["\n".join(f"{n}) {n} * {size} = {n * size}" for n in range(size)) for size in lengths]
    traces = [Trace(id=f"t{n}", problem="Multiply.", answer="1", reasoning=text) for n, text in enumerate(texts)]
    write_atomically(tmp_path / "in.jsonl", map(encode, traces))
    common = ["annotate", "--in", "in.jsonl", "--annotator", "llm", "--model", MODEL]
    out = srx(*common, "--batch-out", "q.jsonl", "--max-completion-tokens", "32")
    assert out.returncode == 0, out.stderr
    program = [PYTHON, "-m", "vllm.entrypoints.openai.run_batch", "-i", "q.jsonl", "-o", "a.jsonl"]
    model = ["--model", str(EMBEDDED_MODELS[MODEL]), "--served-model-name", MODEL, "--dtype", "float32"]
    small = ["--enforce-eager", "--max-num-seqs", "4", "--block-size", "32"]
    done = subprocess.run(
        [*program, *model, *small], cwd=tmp_path, env={**CPU, **os.environ, **ENV}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    asked = [orjson.loads(line)["custom_id"] for line in (tmp_path / "q.jsonl").read_bytes().splitlines()]
    answered = [orjson.loads(line)["custom_id"] for line in (tmp_path / "a.jsonl").read_bytes().splitlines()]
    assert sorted(asked) == sorted(answered)
    read = srx(*common, "--batch-in", "a.jsonl", "--out", "out.jsonl")
    # The embedded model knows no English: it writes something, which holds no snippets, or white space to its limit.
    assert read.returncode == 4, read.stderr
    assert b"prompt and 64 completion tokens" in read.stderr
    assert b"unknown custom_id" not in read.stderr
    lines = map(orjson.loads, (tmp_path / "out.jsonl.rejected.jsonl").read_bytes().splitlines())
    reasons = [line["reason"] for line in lines]
    assert len(reasons) == 3
    assert "maximum context length" in reasons[2]
    rest = srx(*common, "--batch-out", "-")
    assert len(rest.stdout.splitlines()) == 2, "what is too long is not asked again"
