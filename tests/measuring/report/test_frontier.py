import xml.etree.ElementTree as ElementTree

import pytest

from splitreason_cli.measuring.report.frontier import COLORS, FAINT, INK, draw, inline_svg, points_of, write_pareto
from tests.made_up_run import result

RESULTS = [result(), result("random", 0.04, 0.05), result("small", 0.0), result("big", 1.0)]


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_plot_is_drawn_in_the_format_of_its_suffix(tmp_path, suffix, magic):
    path = tmp_path / f"pareto.{suffix}"
    write_pareto(path, RESULTS)
    assert path.read_bytes().startswith(magic)


def test_a_pages_plot_has_words_and_only_the_pages_colours():
    svg = inline_svg(RESULTS)
    words = {element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"pass@1", "split", "random", "small", "big", "≤5%"} <= words
    assert "currentColor" in svg
    assert "var(--system-0)" in svg
    assert not [color for color in (*COLORS.values(), INK, FAINT) if color.lower() in svg.lower()]


def test_the_same_results_draw_the_same_plot():
    assert inline_svg(RESULTS) == inline_svg(RESULTS)


@pytest.mark.parametrize(("task", "shown"), [("aime24", True), ("problems/aime24.jsonl", True), ("mini", False)])
def test_the_papers_layer_belongs_to_its_task(task, shown):
    figure = draw([result(task=task)], "black")
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert ("paper's figures, see text" in legend) == shown


def test_points_carry_their_interval():
    axes = draw([result(pass_at_1=0.5, ci95=(0.25, 0.625))], "black").axes[0]
    [bars] = [container for container in axes.containers if container.has_yerr]
    [segment] = bars.lines[2][0].get_segments()
    assert segment[:, 1].tolist() == [0.25, 0.625]


def test_a_result_without_share_or_accuracy_is_no_point():
    axes = draw([result(), result("imported", None)], "black").axes[0]
    assert len([container for container in axes.containers if container.has_yerr]) == 1
    assert not points_of([result("big", None), result("small", 0.0, pass_at_1=None, ci95=None)])
