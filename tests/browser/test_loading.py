"""What the page does by itself while it loads: Gradio's list of listeners stays plain, and its listeners work all the same."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.servers import QuickApp

pytestmark = pytest.mark.browser

SCRIPT = (Path(__file__).parents[2] / "components" / "assets" / "listeners.js").read_text(encoding="utf-8")
# Svelte watches an object by a proxy: which ones it has made is kept.
RECORDED = """window.watched = []; window.Proxy = new Proxy(Proxy, {
  construct: (made, [target, ...more]) => { window.watched.push(target); return new made(target, ...more); }})"""
LEFT = """() => {
  const listeners = window.gradio_config.dependencies;
  const watched = new Set(window.watched);
  const parts = [listeners, ...listeners, ...listeners.map((listener) => listener.targets)];
  return {
    count: listeners.length,
    parts: parts.filter((part) => watched.has(part)).length,
    copies: window.watched.filter((one) => 'targets' in one && 'api_name' in one).length,
    others: watched.size > 100,
  };
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with QuickApp(tmp_path_factory.mktemp("loading") / "home", PAIRLOOP_EXAMPLE="0") as app:
        yield app.url


def test_the_list_of_listeners_is_not_watched_and_they_work(url, chromium):
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    failed = []
    context.on("weberror", lambda error: failed.append(error.error))
    context.add_init_script(RECORDED)
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#start-screen")).to_be_visible()
    # As many as the server has told: it is the whole list, and where Gradio looks for it.
    told = page.evaluate("fetch('config').then((answer) => answer.json()).then((said) => said.dependencies.length)")
    assert told > 100
    assert page.evaluate(LEFT) == {"count": told, "parts": 0, "copies": 0, "others": True}
    # A listener in the page, one of the server, and what comes back from it.
    page.get_by_role("tab", name="Results", exact=True).click()
    expect(page.locator("#results-screen")).to_be_visible()
    expect(page.locator("#results-screen")).to_contain_text("comparison")
    assert page.evaluate(LEFT)["parts"] == 0 and failed == []
    context.close()


@pytest.mark.parametrize(
    "config", ["undefined", "{}", "{dependencies: null}", "{dependencies: {0: 1}}", "{dependencies: []}"]
)
def test_where_the_list_is_elsewhere_nothing_happens(chromium, config):
    page = chromium.new_page()
    failed = []
    page.on("pageerror", lambda error: failed.append(error))
    page.set_content(f"<script>window.gradio_config = {config};</script><script>{SCRIPT}</script><p>there</p>")
    expect(page.get_by_text("there")).to_be_visible()
    assert failed == []
    page.close()
