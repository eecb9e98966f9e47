"""The report in a real browser. Skipped where there is no Chromium or Chrome."""

import re

import pytest

from splitreason_cli.measuring.report.page import Report, write_report
from tests.made_up_run import HOSTILE, comparison, generation, result
from tests.pages import CONTRAST, needs_browser, sync_api, title_is

pytestmark = needs_browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    split = [
        generation("first", 0, words=("small one ", "first span ", "then ", "second span ", "end")),
        generation("first", 1, correct=False, words=("a lone needle 𝒙 in", " hay ", "stack"), finish_reason="length"),
        generation("second", 0, words=(HOSTILE, HOSTILE), correct=None, unclosed=1),
    ]
    small = [generation(name, words=("all small",), system="small", correct=False) for name in ("first", "second")]
    path = tmp_path_factory.mktemp("report") / "report.html"
    runs = [(result(budget=0.05, samples=2), split), (result("small", 0.0), small)]
    shows_nothing = comparison(0.01, (-0.1, 0.1), 0.7)
    write_report(path, Report(HOSTILE, [HOSTILE], runs, [shows_nothing], [split[0]], ["srx bench mini"]))
    return path.as_uri()


def by_keyboard(page, *keys):
    """Press keys from the first cell of the grid on, which is where Tab stops."""
    page.locator("#differing").focus()
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.tagName") != "TD":
        page.keyboard.press("Tab")  # Chromium stops at what scrolls, too.
    for key in keys:
        page.keyboard.press(key)


def test_hostile_text_is_shown_and_does_nothing(page):
    assert page.title() == HOSTILE
    by_keyboard(page, "ArrowDown", "Enter")
    title_is(page, "second by split ≤5%")
    assert HOSTILE in page.locator("#completion").text_content()
    assert page.locator("img").count() == 0
    assert page.title() == HOSTILE


def test_a_trace_opens_and_closes_by_keyboard_alone(page):
    by_keyboard(page, "Enter")
    title_is(page, "first by split ≤5%, sample 1 of 2")
    assert page.locator("#viewer").is_visible()
    assert page.locator("#completion").text_content().startswith("small one big 1first span ")
    facts = page.locator("#facts").inner_text()
    for fact in ("✓ right", "5: 3 small, 2 big (40.0 %)", "by itself"):
        assert fact in facts
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert page.evaluate("document.activeElement.textContent") == "1/2"


def test_keys_go_to_the_next_trace_and_system_and_back(page):
    by_keyboard(page, "Enter")
    page.keyboard.press("j")
    title_is(page, "first by split ≤5%, sample 2 of 2")
    assert "at the token limit" in page.locator("#facts").inner_text()
    assert page.get_by_role("button", name="Next trace").is_disabled()
    page.keyboard.press("ArrowLeft")
    title_is(page, "first by split ≤5%, sample 1 of 2")
    page.keyboard.press("]")
    title_is(page, "first by small")
    page.keyboard.press("[")
    title_is(page, "first by split ≤5%, sample 1 of 2")


def test_keys_work_on_after_a_button_was_pressed(page):
    by_keyboard(page, "Enter")
    page.get_by_role("button", name="Next trace").click()
    title_is(page, "first by split ≤5%, sample 2 of 2")
    page.keyboard.press("k")
    title_is(page, "first by split ≤5%, sample 1 of 2")
    page.get_by_role("button", name="small 0/1").press("Enter")
    title_is(page, "first by small")
    sync_api.expect(page.get_by_role("button", name="small 0/1")).to_be_focused()
    page.keyboard.press("[")
    title_is(page, "first by split ≤5%, sample 1 of 2")


def test_arrows_stay_inside_the_grid(page):
    by_keyboard(page, "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowRight", "ArrowRight", "PageDown", "Enter")
    title_is(page, "second by small")


def test_next_span_goes_round_and_the_marks_can_be_hidden(page):
    by_keyboard(page, "Enter")
    title_is(page, "first by split ≤5%, sample 1 of 2")
    focused = "document.activeElement.textContent"
    for key, span in (("n", "big 1"), ("n", "big 2"), ("n", "big 1"), ("p", "big 2")):
        page.keyboard.press(key)
        assert page.evaluate(focused).startswith(span)
    mark = page.locator("#completion mark").first
    assert "underline" in mark.evaluate("mark => getComputedStyle(mark).textDecorationLine")
    page.keyboard.press("h")
    assert "underline" not in mark.evaluate("mark => getComputedStyle(mark).textDecorationLine")
    assert not page.get_by_role("checkbox", name="Marks").is_checked()


def test_segments_name_their_author_and_tokens(page):
    by_keyboard(page, "Enter")
    page.get_by_text("Segment by segment").click()
    rows = page.locator("#segments tr")
    assert [row.split()[1:4] for row in rows.all_inner_texts()][:2] == [["small", "1", "1"], ["big", "1", "2"]]
    assert rows.count() == 5


def test_search_finds_a_word_across_authors_and_opens_the_trace(page):
    page.keyboard.press("/")
    page.keyboard.type("NEEDLE 𝒙 in  hay")
    sync_api.expect(page.locator("#found")).to_have_text("1 of 5 traces")
    page.keyboard.press("Tab")
    page.locator("#hits button").press("Enter")
    title_is(page, "first by split ≤5%, sample 2 of 2")
    found = "[...CSS.highlights.get('hit')].map(range => range.toString())"
    assert [re.sub("big 1", "", text) for text in page.evaluate(found)] == ["needle 𝒙 in hay"]
    page.keyboard.press("/")
    assert not page.locator("#viewer").is_visible()
    assert page.evaluate("document.activeElement.id") == "query"


def test_a_trace_has_an_address_that_opens_it(open_page, address):
    page = open_page()
    by_keyboard(page, "Enter", "j")
    title_is(page, "first by split ≤5%, sample 2 of 2")
    link = page.evaluate("location.hash")
    page.keyboard.press("Escape")
    sync_api.expect(page).to_have_url(address)
    other = open_page(link)
    title_is(other, "first by split ≤5%, sample 2 of 2")
    other.evaluate("location.hash = '#trace/second/small/0'")
    title_is(other, "second by small")


@pytest.mark.parametrize("link", ["#trace/third/small/0", "#trace/first/small/9", "#trace/first", "#trace/"])
def test_an_address_of_no_trace_opens_none(open_page, link):
    assert not open_page(link).locator("#viewer").is_visible()


@pytest.mark.parametrize("words", ["(", "[a-", "\\d", "no such word"])
def test_a_search_is_for_words_not_for_patterns(page, words):
    page.locator("#query").fill(words)
    sync_api.expect(page.locator("#found")).to_have_text("0 of 5 traces")


@pytest.mark.parametrize(
    ("control", "choice", "found"),
    [
        ("System", "small", 2),
        ("Verdict", "no verdict", 1),
        ("Verdict", "wrong", 3),
        ("Ended", "at the token limit", 1),
        ("Ended", "inside a span", 1),
    ],
)
def test_filters_alone_list_traces(page, control, choice, found):
    page.get_by_role("combobox", name=control).select_option(f"{choice} ({found})")
    sync_api.expect(page.locator("#found")).to_have_text(f"{found} of 5 traces")
    assert page.locator("#hits li").count() == found


def test_filters_together_list_what_passes_all(page):
    page.get_by_role("combobox", name="System").select_option("split ≤5% (3)")
    page.get_by_label("Marked over, %").fill("35")
    sync_api.expect(page.locator("#found")).to_have_text("2 of 5 traces")
    page.get_by_role("combobox", name="Verdict").select_option("right (1)")
    sync_api.expect(page.locator("#found")).to_have_text("1 of 5 traces")


def test_problems_without_a_difference_can_be_hidden(page):
    page.locator("#differing").check()
    assert page.locator("#grid tbody th:visible").all_inner_texts() == ["first"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(open_page, scheme):
    page = open_page(color_scheme=scheme)
    by_keyboard(page, "Enter")
    page.locator("#completion mark").first.wait_for()
    for selector in ("h1", ".small", "pre", "#completion mark", ".by", "td.q2", ".q4", "a", "dt", "kbd"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == {"light": "rgb(253, 253, 251)", "dark": "rgb(21, 23, 26)"}[scheme]
    )


def test_without_colours_marks_are_still_underlined(open_page):
    page = open_page(forced_colors="active")
    by_keyboard(page, "Enter")
    mark = page.locator("#completion mark").first
    assert "underline" in mark.evaluate("mark => getComputedStyle(mark).textDecorationLine")


def test_a_phone_scrolls_downward_only(open_page):
    page = open_page(viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("#grid td").first.click()
    title_is(page, "first by split ≤5%, sample 1 of 2")
    assert page.evaluate("document.querySelector('#trace').scrollWidth") <= 360
