"""The page of `srx show --html` in a real browser. Skipped where there is no Chromium or Chrome."""

import pytest

from splitreason_cli.records import markup
from splitreason_cli.records.data import AnnotatedTrace, HardSpan, Message, SftConversation, SftExample, Unplaced
from splitreason_cli.showing.page import RecordsPage
from tests.made_up_run import HOSTILE, generation
from tests.pages import CONTRAST, needs_browser, sync_api, title_is

pytestmark = needs_browser

RTL = "עברית ‮ overridden\nعربي"


def trace(name, reasoning, spans=(), annotator="surprisal", **changed):
    hard = tuple(HardSpan(start=start, end=end, score=2.0) for start, end in spans)
    values = {"problem": f"problem of {name}", "answer": "4"}
    return AnnotatedTrace(id=name, reasoning=reasoning, spans=hard, annotator=annotator, **{**values, **changed})


def records():
    lost = (Unplaced(snippet="a lost snippet", similarity=0.4),)
    turns = (Message(role="user", content="the question"), Message(role="assistant", content="all by itself"))
    tagged = f"first {markup.OPEN}taught 𝒙{markup.CLOSE} last"
    yield trace("first", "one\ntwo\nthree", [(4, 7)], response="Its response")
    yield trace("first", "another way to it", [(0, 17)], annotator="llm", unplaced=lost)
    yield trace("plain", "nothing marked here")
    yield trace(HOSTILE, f"{HOSTILE}\x00\x1b {RTL}", [(3, 9)], problem=HOSTILE, answer=HOSTILE, annotator=HOSTILE)
    yield SftExample(id="first", split="train", prompt=turns[:1], completion=tagged, tokens=12)
    yield SftConversation(id="chat", split="test", messages=turns)
    yield generation("first", words=("small ", "big ", "small again"))
    yield generation("first", words=("half \ud83d", "pair"), correct=False)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("show") / "page.html"
    page = RecordsPage()
    page.add(records())
    page.write(path, "records.jsonl", "srx show records.jsonl --html page.html")
    return path.as_uri()


def found_is(page, count):
    sync_api.expect(page.locator("#found")).to_have_text(f"{count} of 8 traces")


def choose(page, name, choice):
    page.get_by_role("combobox", name=name).select_option(choice)


def test_all_texts_are_listed_as_they_came(page):
    found_is(page, 8)
    listed = page.locator("#hits button").all_inner_texts()
    assert listed[0] == "first marked by surprisal: 1 span, 23.1% of 13 characters"
    assert listed[2] == "plain marked by surprisal: no span in 19 characters"
    assert listed[4].startswith("first as sft_example: 1 span")
    assert listed[6] == "first by split, sample 1: ✓ right, 3 tokens"


def test_a_trace_shows_its_spans_and_what_is_known_of_it(page):
    page.locator("#hits button").first.click()
    title_is(page, "first marked by surprisal")
    assert page.locator("#text-heading").text_content() == "Reasoning"
    assert page.locator("#completion mark").all_text_contents() == ["span 1two end of span 1 "]
    assert "23.1% of 13 characters" in page.locator("#facts").inner_text()
    assert page.locator("#after").inner_text().split() == ["Response", "Its", "response"]


def test_keys_go_through_texts_and_marks_and_to_the_same_problem_by_others(page):
    page.locator("#hits button").first.click()
    title_is(page, "first marked by surprisal")
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.textContent").startswith("span 1two")
    page.keyboard.press("j")
    title_is(page, "first marked by llm")
    assert "a lost snippet" in page.locator("#after").inner_text()
    page.keyboard.press("j")
    title_is(page, "plain marked by surprisal")
    page.keyboard.press("k")
    page.keyboard.press("]")
    title_is(page, "first as sft_example")
    assert page.locator("#completion mark").first.inner_text().startswith("span 1taught 𝒙")
    page.keyboard.press("]")
    title_is(page, "first by split, sample 1 of 2")
    assert page.locator("#completion mark").first.inner_text().startswith("big 1big")


def test_hostile_text_is_shown_and_does_nothing(page):
    assert page.title() == "records.jsonl"
    page.locator("#hits button").nth(3).click()
    title_is(page, f"{HOSTILE} marked by {HOSTILE}")
    shown = page.locator("#completion").evaluate(
        "text => [...text.childNodes].map(node => node.nodeType === 3 ? node.data : node.childNodes[1].data)"
    )
    assert "".join(shown) == f"{HOSTILE}\x00\x1b {RTL}"
    assert page.locator("img").count() == 0
    assert page.title() == "records.jsonl"


@pytest.mark.parametrize("words", ["ANOTHER way", "problem of plain", "lost snippet", "by itself", "taught 𝒙 last"])
def test_search_finds_words_in_texts_problems_and_below(page, words):
    page.locator("#query").fill(words)
    found_is(page, 1)


def test_search_finds_ids_and_marks_what_it_found(page):
    page.locator("#query").fill("chat")
    found_is(page, 1)
    page.locator("#query").fill("the question")
    found_is(page, 2)
    page.locator("#query").fill("TWO three")
    found_is(page, 1)
    page.locator("#hits button").click()
    title_is(page, "first marked by surprisal")
    assert page.evaluate("[...CSS.highlights.get('hit')].length") == 1


@pytest.mark.parametrize(
    ("name", "choice", "count"),
    [
        ("Kind", "annotated_trace (4)", 4),
        ("Annotator", "llm (1)", 1),
        ("Labels", "no span (2)", 2),
        ("Labels", "a snippet not placed (1)", 1),
        ("Split", "test (1)", 1),
        ("Verdict", "wrong (1)", 1),
    ],
)
def test_a_filter_lists_what_to_look_at(page, name, choice, count):
    choose(page, name, choice)
    found_is(page, count)
    assert page.locator("#hits li").count() == count
    choose(page, name, "all")
    found_is(page, 8)


def test_texts_over_a_share_are_listed_and_ordered_by_it(page):
    page.get_by_label("Marked over, %").fill("40")
    found_is(page, 3)
    choose(page, "Order", "most marked first")
    assert page.locator("#hits button").first.inner_text().startswith("first marked by llm: 1 span, 100.0%")


def test_each_text_has_an_address_of_its_own(open_page, address):
    page = open_page()
    page.locator("#hits button").first.click()
    links = []
    for number in range(8):
        sync_api.expect(page.locator("#position")).to_contain_text(f"{number + 1} of 8: ")
        links.append(page.evaluate("location.hash"))
        page.keyboard.press("j")
    assert len(set(links)) == 8
    for number in (3, 7):
        title = page.locator("#hits button").nth(number).inner_text().partition(",")[0].partition(": ")[0]
        sync_api.expect(open_page(links[number]).locator("#viewer-title")).to_contain_text(title)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(open_page, scheme):
    page = open_page(color_scheme=scheme)
    page.locator("#hits button").first.click()
    page.locator("#completion mark").first.wait_for()
    for selector in ("h1", ".lead", "pre", "#completion mark", ".by", "dt", "label", "input[type=number]"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector


def test_without_colours_marks_are_still_underlined(open_page):
    page = open_page(forced_colors="active")
    page.locator("#hits button").first.click()
    mark = page.locator("#completion mark").first
    assert "underline" in mark.evaluate("mark => getComputedStyle(mark).textDecorationLine")


def test_a_phone_scrolls_downward_only(open_page):
    page = open_page(viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("#hits button").nth(3).click()
    page.locator("#completion mark").first.wait_for()
    assert page.evaluate("document.querySelector('#trace').scrollWidth") <= 360


def test_without_scripts_the_page_says_so_and_shows_the_first_texts(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("noscript .warning").is_visible()
    assert page.get_by_role("heading", name="first marked by surprisal").is_visible()
    assert not page.locator("#form").is_visible()
