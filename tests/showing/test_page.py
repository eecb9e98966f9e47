import re
import tracemalloc

import pytest

from splitreason_cli.records import markup
from splitreason_cli.records.data import AnnotatedTrace, HardSpan, SftExample
from splitreason_cli.showing.page import EXAMPLES, RecordsPage
from tests.made_up_run import generation, result
from tests.pages import HOSTILE


def trace(name, reasoning="one\ntwo\nthree", **changed):
    values = {"problem": f"problem {name}", "answer": "4", "annotator": "x"}
    spans = (HardSpan(start=4, end=7, score=1.0),)
    return AnnotatedTrace(id=name, reasoning=reasoning, spans=spans, **{**values, **changed})


def written(tmp_path, records, **named):
    page, path = RecordsPage(), tmp_path / "page.html"
    page.add(records)
    page.write(path, "title", "srx show", **named)
    return path.read_text(encoding="utf-8")


def test_the_page_counts_what_it_shows_and_what_it_leaves_out(tmp_path):
    text = written(tmp_path, [trace("a"), generation(), result(), trace("b")], rejected="2 of 6 records, see x")
    assert "2 annotated_trace, 1 generation" in text
    assert "hold no text: 1 bench_result" in text
    assert "Rejected: 2 of 6 records, see x" in text


def test_a_page_of_whole_records_warns_of_nothing(tmp_path):
    assert "Rejected" not in written(tmp_path, [trace("a")])
    assert "hold no text" not in written(tmp_path, [trace("a")])


def test_the_first_texts_can_be_read_without_scripts(tmp_path):
    text = written(tmp_path, [trace(f"t{number}") for number in range(10)])
    shown = re.findall(r"<noscript>\n<h2>(.*?)</noscript>", text, re.DOTALL)[0]
    assert re.findall(r"<h3>(\w+) marked by x</h3>", shown) == [f"t{number}" for number in range(EXAMPLES)]
    assert shown.count("<mark>two</mark>") == EXAMPLES


def test_what_records_say_cannot_leave_its_place(tmp_path):
    sound = SftExample(
        id=HOSTILE, split="train", prompt=(), completion=f"{HOSTILE}{markup.OPEN}{HOSTILE}{markup.CLOSE}"
    )
    hostile = trace(HOSTILE, HOSTILE * 2, problem=HOSTILE, answer=HOSTILE, annotator=HOSTILE, response=HOSTILE)
    text = written(tmp_path, [hostile, sound], rejected=HOSTILE)
    assert HOSTILE not in text
    kinds = re.findall(r"<script([^>]*)>", text)
    assert kinds == [' type="text/plain" id="index"', ' type="text/plain" id="block-0"', ' type="module"']
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert not re.search(r"(src|href)=[\"']?(https?:|//)", text)


@pytest.mark.parametrize(
    "text", ["\x00\x1b[31m\x07", "half \ud83d a pair", "עברית \u202e overridden", "\r\n\u2028\x0c"]
)
def test_a_page_of_odd_characters_is_utf_8(tmp_path, text):
    assert "annotated_trace" in written(tmp_path, [trace(text, f"{text} and more", problem=text)])


def test_texts_are_held_a_block_at_a_time(tmp_path):
    def many():
        for number in range(3000):
            yield trace(f"t{number}", f"{number} is a line of many\n" * 350)

    page = RecordsPage()
    tracemalloc.start()
    page.add(many())
    page.write(tmp_path / "page.html", "title", "srx show")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * 350 * 24 / 2
