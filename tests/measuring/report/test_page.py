import re

import pytest

from splitreason_cli.measuring.report.page import Report, reading, write_report
from tests.made_up_run import comparison, generation, result

HOSTILE = "</script><script>alert(1)</script><!-- <b>"


def written(tmp_path, *arguments, **named):
    path = tmp_path / "report.html"
    write_report(path, Report(*arguments, **named))
    return path.read_text(encoding="utf-8")


def test_the_page_has_figures_notes_examples_and_commands(tmp_path):
    runs = [(result(), [generation()]), (result(budget=0.025, maj_at_k=0.75, samples=4), [generation()])]
    page = written(tmp_path, "A < B", ["a note"], runs, examples=[generation()], commands=["srx bench mini"])
    assert "<h1>A &lt; B</h1>" in page
    assert "<p>a note</p>" in page
    assert "split ≤2.5%" in page
    assert "0.750" in page
    assert "x &lt; y <mark>is big </mark>after" in page
    assert "srx bench mini" in page


def test_what_a_run_lost_is_in_the_table(tmp_path):
    page = written(tmp_path, "A", [], [(result(spans=77, unanswered=88, truncated=66, unclosed=55, ungraded=44), [])])
    assert re.search(r"<td>950<td>50<td>77<td>88<td>66<td>55<td>44<td>1\.0", page)
    assert "maj@" not in page


def test_a_page_without_generations_has_no_viewer_and_no_script(tmp_path):
    page = written(tmp_path, "A", [], [(result(), [])])
    assert "<script" not in page
    assert "<dialog" not in page


def test_nothing_is_loaded_and_only_the_pages_own_script_may_run(tmp_path):
    page = written(tmp_path, "A", [], [(result(), [generation()])], curves=b"\x89PNG")
    assert not re.search(r"(src|href)=[\"']?(https?:|//)", page)
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "script-src 'unsafe-inline'" not in policy
    assert 'src="data:image/png;base64,iVBORw=="' in page


def test_what_models_and_files_say_cannot_leave_its_place(tmp_path):
    hostile = generation(HOSTILE, words=(HOSTILE,) * 3, answer=HOSTILE, finish_reason=HOSTILE)
    runs = [(result(HOSTILE, task=HOSTILE), [hostile])]
    page = written(tmp_path, HOSTILE, [HOSTILE], runs, [comparison()], [hostile], [HOSTILE])
    assert "alert(1)" in page
    assert HOSTILE not in page
    assert "<script>alert" not in page
    kinds = re.findall(r"<script([^>]*)>", page)
    assert kinds == [' type="text/plain" id="index"', ' type="text/plain" id="block-0"', ' type="module"']


def test_cells_count_right_completions_and_name_those_without_a_verdict(tmp_path):
    samples = [generation(sample=sample, correct=(True, False, None)[sample]) for sample in range(3)]
    page = written(tmp_path, "A", [], [(result(), samples), (result("small"), [generation("b")])])
    assert '<th scope="row">a<td class=q2>1/2 +1?<td class=absent>not run' in page
    assert '<th scope="row">b<td class=absent>not run<td class=q4>1/1' in page


def test_the_papers_figures_stand_beside_aime24_only_and_are_marked_as_the_papers(tmp_path):
    page = written(tmp_path, "A", [], [(result(task="aime24"), [])])
    assert "not measured here" in page
    assert "2504.16379" in page
    assert "45.6 %" in page
    assert "2504.16379" not in written(tmp_path, "A", [], [(result(task="mini"), [])])


@pytest.mark.parametrize(
    ("difference", "ci95", "p_value", "words"),
    [
        (0.1, (0.02, 0.2), 0.01, "Better"),
        (-0.1, (-0.2, -0.02), 0.01, "Worse"),
        (0.1, (-0.02, 0.2), 0.2, "Undecided"),
        (0.1, (0.0, 0.2), 0.01, "Undecided"),
        (0.1, (0.001, 0.2), 0.06, "Undecided"),
    ],
)
def test_a_comparison_is_read_in_plain_words(difference, ci95, p_value, words):
    assert reading(comparison(difference, ci95, p_value)).startswith(words)


def test_a_comparison_that_shows_nothing_says_so_in_words(tmp_path):
    runs = [(result(), [])]
    page = written(tmp_path, "A", [], runs, [comparison(), comparison(0.01, (-0.1, 0.12), 0.0004)])
    assert page.count("Undecided: the interval includes 0") == 1
    assert "[-0.100, +0.120]" in page
    assert "&lt; .001" in page
    assert "<td>.010" in page


def test_what_a_log_does_not_say_is_a_dash_and_no_nought(tmp_path):
    unknown = result(share=None, tokens=None, big_tokens=None, seconds=None, spans=None, truncated=None, unclosed=None)
    page = written(tmp_path, "A", [], [(unknown, [])])
    (row,) = re.findall(r'<th scope="row">split(.*?)</tr>', page, re.DOTALL)
    assert re.findall(r"<td>([^<]*)", row)[-8:] == ["–"] * 6 + ["0", "–"]
    assert "Accuracy against offload share" not in page


def test_without_a_verdict_no_accuracy_is_shown(tmp_path):
    page = written(tmp_path, "A", [], [(result(pass_at_1=None, ci95=None, ungraded=10), [])])
    assert '<th scope="row">split<td>–<td>–' in page


def test_a_looser_extraction_is_said(tmp_path):
    loose = written(tmp_path, "A", [], [(result(extract="auto"), [])])
    assert "answers looked for by --extract auto" in loose
    assert "none in a box or at their end" in loose
    assert "--extract" not in written(tmp_path, "A", [], [(result(), [])])
