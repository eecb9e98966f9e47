"""Pages in a real browser, for the tests of those that srx writes."""

import contextlib
import shutil

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome")

HOSTILE = "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\"><!--"

CONTRAST = """selector => {
    const channels = color => (color.match(/[\\d.]+/g) ?? []).map(Number);
    const light = color => {
        const [r, g, b] = channels(color).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const element = document.querySelector(selector);
    let ground = element;
    while (channels(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
    const [a, b] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor].map(light);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@contextlib.contextmanager
def launched():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER)
        yield browser
        browser.close()


@contextlib.contextmanager
def opening(browser, address):
    """Opens the page; at the end, nothing may have been asked of a network or said on the console."""
    contexts, faults = [], []

    def opened(link="", **settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        # Whether a key comes before the first frame is a matter of the machine's load, and no fault of the page.
        page.on("console", lambda said: said.text.startswith("Autofocus processing") or faults.append(said.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: request.url.partition("#")[0] == address or faults.append(request.url))
        page.goto(address + link)
        if settings.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def title_is(page, title):
    sync_api.expect(page.locator("#viewer-title")).to_have_text(title)
