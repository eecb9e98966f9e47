import sys

import orjson
import pytest

from splitreason_cli.cli import console, main
from splitreason_cli.dataset import build
from tests.cli.test_build_sft import trace


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["build-sft", "--out", "o.jsonl"], ["build-sft: 4 of 9 lines", "build-sft: 8 of 9 lines"]),
        (["build-sft", "--check", "--traces", "in.jsonl"], ["check: 1 lines", "check: 9 lines"]),
        (["stats"], ["stats: 1 lines", "stats: 9 lines"]),
    ],
)
def test_a_long_run_without_a_terminal_says_how_far_it_is(monkeypatch, capsys, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRX_HOME", str(tmp_path / "store"))
    monkeypatch.setattr(console, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(build, "BLOCK_LINES", 4)
    (tmp_path / "in.jsonl").write_bytes(b"".join(orjson.dumps(trace(n)) + b"\n" for n in range(9)))
    where = ["in.jsonl"] if arguments == ["stats"] else ["--in", "in.jsonl"]
    monkeypatch.setattr(sys, "argv", ["srx", *arguments, *where])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line in told] == told * (2 if "--traces" in arguments else 1)


def test_a_short_run_says_nothing_of_it(capsys):
    console.ticker("stats")(10**6)
    assert capsys.readouterr().err == ""
