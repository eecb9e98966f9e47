from pathlib import Path

import pytest

from splitreason_cli.errors import MachineError, UsageError
from splitreason_cli.records.data import Problem, Rejected, SftExample, TrainStep
from splitreason_cli.showing.distributions import Distributions
from splitreason_cli.showing.plots import write_charts


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
