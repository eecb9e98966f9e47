import orjson
import pytest

from splitreason_cli.records.data import Simulation, read_any
from splitreason_cli.store.embedded import SAMPLE_DATA

GENERATIONS = SAMPLE_DATA / "records" / "generation.jsonl"
MODES = ["small", "big", "serial_cold", "serial", "pipelined"]


def records(done):
    assert done.returncode == 0, done.stderr
    return [read_any(orjson.loads(line)) for line in done.stdout.splitlines()]


def test_a_synthetic_completion_is_simulated_with_the_papers_rates(srx):
    text = srx("simulate", "--share", "1.35%", "--tokens", "8000", "--spans", "10").stdout.decode()
    assert "8,000 tokens, 1.35% of them in 10 spans, evenly placed" in text
    assert "second: 30,000/150 (the paper's 1.5B on A6000s), 2,500/15 (the paper's 32B on A6000s)" in text
    given = srx("simulate", "--small-rates", "9/9").stdout.decode()
    assert "second: 9/9 (given), 2,500/15 (the paper's 32B on A6000s)" in given
    rows = {line.split("  ")[1].strip(): line.split()[-3:] for line in text.splitlines() if line.startswith("  ")}
    assert rows["big alone"][1:] == ["10.00", "1.00"]
    assert 8 < float(rows["pipelined"][2]) < 9
    # Nothing was measured, so nothing is compared with it.
    assert "measured" not in text


def test_each_mode_is_one_record(srx):
    rows = records(srx("simulate", "--json", "--small-rates", "9000/90", "--big-rates", "100/10", "--spans", "3"))
    assert [row.mode for row in rows] == MODES
    assert all(isinstance(row, Simulation) for row in rows)
    assert (rows[0].small_rates, rows[0].big_rates, rows[0].spans) == ((9000, 90), (100, 10), 3)


def test_strides_and_overheads_reach_the_model(srx):
    def pipelined(*flags):
        return records(srx("simulate", "--json", *flags))[-1]

    assert pipelined("--hand-over-seconds", "0.5").hand_over_seconds == 2 * 20 * 0.5
    assert pipelined("--overrun-tokens", "3").control_seconds == pytest.approx(20 * 3 / 15)
    assert pipelined("--stride", "16").prefill_seconds < pipelined().prefill_seconds


def test_generations_are_simulated_by_system_beside_what_was_measured(srx):
    lines = [orjson.loads(line) for line in GENERATIONS.read_bytes().splitlines()]
    timed = b"".join(
        orjson.dumps({**line, "system": system, "seconds": seconds}) + b"\n"
        for system, seconds in (("split", 2.0), ("other", 0.0))
        for line in lines
    )
    rows = records(srx("simulate", "-", "--json", stdin=timed))
    assert [(row.system, row.mode) for row in rows] == [(s, mode) for s in ("split", "other") for mode in MODES]
    assert (rows[0].measured_seconds, rows[5].measured_seconds) == (6.0, None)
    assert rows[0].tokens == sum(line["tokens"] for line in lines)
    split, other = srx("simulate", "-", stdin=timed).stdout.decode().split("other: 3 completions")
    assert split.strip().startswith("split: 3 completions")
    assert "predicted / measured" in split
    assert "predicted / measured" not in other


def test_texts_without_token_counts_are_scaled_when_told_how(srx):
    traces = SAMPLE_DATA / "records" / "annotated_trace.jsonl"
    done = srx("simulate", traces)
    assert done.returncode == 3
    assert b":1: a record of kind 'annotated_trace' counts no tokens. Give --characters-per-token" in done.stderr
    assert b"tokens estimated from characters" in srx("simulate", traces, "--characters-per-token", "2").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["x.jsonl", "--share", "5%"], 2, "--share, --tokens and --spans describe a synthetic completion"),
        (["--share", "7"], 2, "--share: '7' is no share"),
        (["--tokens", "100"], 2, "--spans: 5 tokens of the big model do not make 20 spans"),
        (["--small-rates", "30000"], 2, "--small-rates: '30000' is no pair of rates"),
        (["--big-rates", "0/15"], 2, "--big-rates: '0/15' is no pair of rates"),
        (["--profile", "http://127.0.0.1:9/v1"], 2, "is no pair of addresses"),
        (["--profile", "a,b", "--big-rates", "1/1"], 2, "--profile measures the rates"),
        (["--profile", "http://127.0.0.1:9/v1,b"], 7, "http://127.0.0.1:9/v1: cannot connect"),
        (["x.jsonl"], 3, "x.jsonl: no such file"),
        (["-"], 3, "<stdin>: the input is empty"),
        ([SAMPLE_DATA / "records" / "problem.jsonl", "--characters-per-token", "3"], 3, "holds no completion"),
    ],
)
def test_what_cannot_be_simulated_is_one_line(srx, arguments, code, message):
    done = srx("simulate", *arguments)
    assert message in done.stderr.decode()
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
