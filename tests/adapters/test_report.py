import re

import pytest

from splitreason_cli.adapters.report import write_html, write_pareto
from splitreason_cli.core.records import BenchResult, Generation, Segment


def result(system="split", share=0.05, budget=None):
    return BenchResult(
        system=system, policy="learned", offload_budget=budget, task="mini", problems=10, samples=1, pass_at_1=0.9,
        ci95=(0.8, 0.95), offload_share=share, tokens=1000, big_tokens=50, seconds=1.0,
    )  # fmt: skip


def generation(text="<script>alert(1)</script>"):
    return Generation(
        id="a", system="split", sample=0, problem="p & q", answer="1", finish_reason="stop", correct=True, tokens=3,
        segments=(
            Segment(author="small", token_ids=(1,), text="x < y "),
            Segment(author="big", token_ids=(2,), text=text),
        ),
        big_tokens=1, spans=1, refused=0, cut=0, unclosed=0, seconds=0.1,
    )  # fmt: skip


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_plot_is_drawn_in_the_format_of_its_suffix(tmp_path, suffix, magic):
    path = tmp_path / f"pareto.{suffix}"
    write_pareto(path, [result(), result("random", 0.04), result("small", 0.0), result("big", 1.0)])
    assert path.read_bytes().startswith(magic)


def test_the_page_stands_alone_and_escapes_what_models_wrote(tmp_path):
    path = tmp_path / "report.html"
    write_html(path, "A < B", "a note", [result(), result(budget=0.025)], [generation()], ["srx bench mini"])
    page = path.read_text(encoding="utf-8")
    assert "<mark>&lt;script&gt;alert(1)&lt;/script&gt;</mark>" in page
    assert "x &lt; y" in page
    assert "A &lt; B" in page
    assert "<p>a note</p>" in page
    assert "split ≤2.5%" in page
    assert not re.search(r"<(script|link|img|iframe)\b", page)
    assert not re.search(r"(src|href)=[\"']?https?:", page)


def test_curves_are_part_of_the_page(tmp_path):
    path = tmp_path / "report.html"
    write_html(path, "A", "a note", [result()], [generation()], ["srx bench mini"], b"\x89PNG")
    assert 'src="data:image/png;base64,iVBORw=="' in path.read_text(encoding="utf-8")
