from pathlib import Path

import pytest

from splitreason_cli.errors import MachineError, UsageError
from splitreason_cli.records.data import GrpoStep, Problem, Rejected, SftExample, TrainStep
from splitreason_cli.showing.distributions import Distributions
from splitreason_cli.showing.plots import write_charts, write_curves


def kinds(*records):
    distributions = Distributions()
    for record in records:
        distributions.add(record)
    return distributions.statistics()


MIXED = (
    SftExample(id="a", split="train", prompt=(), completion="a<bigmodel>b</bigmodel>"),
    TrainStep(step=0, loss=1.0, learning_rate=1e-3),
    TrainStep(step=40, loss=-1.0, learning_rate=2e-3),
    Rejected(where="", reason="costs $x^ and $\\frac$ and more than fits beside a bar", line=""),
)


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("PNG", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_the_figure_has_the_format_of_its_suffix(tmp_path, suffix, magic):
    path = tmp_path / f"figure.{suffix}"
    write_charts(path, kinds(Problem(id="a", problem="2+2", answer="4")))
    assert path.read_bytes().startswith(magic)
    assert list(tmp_path.iterdir()) == [path]


def test_every_chart_has_a_titled_panel(tmp_path):
    path = tmp_path / "figure.svg"
    statistics = kinds(*MIXED)
    write_charts(path, statistics)
    # matplotlib leaves each text as a comment beside its outlines.
    drawn = path.read_text(encoding="utf-8")
    for kind in statistics:
        for chart in kind.panels():
            assert f"<!-- {kind.kind}: {chart.name} -->" in drawn


def steps(**last):
    fields = {
        "loss": 0.0, "learning_rate": 0.0, "reward": 0.8, "accuracy": 0.9, "share": 0.1, "spans": 1.0, "price": 1.0,
        "span_tokens": 3.0, "closed": 1.0,
    }  # fmt: skip
    return [*(GrpoStep(step=number, **fields, unclosed=0.0) for number in range(1, 24)), GrpoStep(**fields | last)]


def test_curves_show_the_budget_and_where_a_policy_collapsed(tmp_path):
    path = tmp_path / "curves.svg"
    write_curves(path, steps(step=24, unclosed=1.0, warning="it never hands over"), 0.05)
    drawn = path.read_text(encoding="utf-8")
    for text in ("accuracy", "reward", "offload share", "budget", "not closed by the policy", "it never hands over"):
        assert f"<!-- {text} -->" in drawn


def test_curves_need_neither_a_budget_nor_what_older_runs_did_not_log(tmp_path):
    write_curves(tmp_path / "curves.svg", steps(step=24), None)
    assert "<!-- budget -->" not in (tmp_path / "curves.svg").read_text(encoding="utf-8")
    write_curves(tmp_path / "one.png", steps(step=24)[-1:], 0.05)
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_what_holds_nothing_to_draw_is_still_a_figure(tmp_path):
    path = tmp_path / "figure.png"
    write_charts(path, kinds(Problem(id="a", problem="", answer="")))
    assert path.stat().st_size


@pytest.mark.parametrize("name", ["figure.gif", "figure", "figure.png.gz"])
def test_another_suffix_is_a_usage_error(name):
    with pytest.raises(UsageError, match="no figure format"):
        write_charts(Path(name), [])


def test_a_folder_that_is_a_file_is_one_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot write"):
        write_charts(tmp_path / "file" / "figure.png", [])
