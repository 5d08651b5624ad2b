"""What a person does with the screens, for the browser tests to say in one line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, TimeoutError, expect

# The machine of the tests may be slow and shared; a failing test still ends.
WAIT = 60_000
expect.set_options(timeout=WAIT)
UNDER_WAY = Path(__file__).with_name("under_way.js").read_text(encoding="utf-8")
# A page is settled when nothing came for so many frames. Timers and runs keep some pages from it: then one acts all the same.
FRAMES = 3
FOLLOWED = """(look) => matchMedia(`(prefers-color-scheme: ${look})`).matches
    && (!document.querySelector('.gradio-container') || document.body.classList.contains('dark') === (look === 'dark'))"""
# Nothing goes over into another colour or place; what turns for ever, as a sign that something is awaited, does not count.
STILL = """() => document.getAnimations().every((one) =>
    one.playState !== 'running' || one.effect.getComputedTiming().endTime === Infinity)"""
PATIENCE = 10_000


class Person:
    """One person: a browser context with cookies of its own, and one page."""

    def __init__(self, browser: Browser, url: str, path: str = "/", **context) -> None:
        context.setdefault("viewport", {"width": 1440, "height": 1000})
        self.context = browser.new_context(**context)
        self.context.set_default_timeout(WAIT)
        self.context.add_init_script(UNDER_WAY)
        self.page = self.context.new_page()
        self.failures: list[str] = []
        self.page.on("pageerror", lambda error: self.failures.append(f"page error: {error}"))
        # Nothing of the app itself is anything that its policy forbids.
        self.page.on("console", self._look_at)
        self.url = url
        self.page.goto(url + path)
        expect(self.page.locator(".pl-screen:visible").first).to_be_visible()
        self.settles()

    def _look_at(self, said: ConsoleMessage) -> None:
        if "Content Security Policy" in said.text:
            self.failures.append(said.text)

    def settles(self) -> None:
        """Wait until what was asked for has come and is on the screen, as somebody does who is in no hurry."""
        settles(self.page)

    def close(self) -> list[str]:
        """Close the browser; return what went wrong on its pages."""
        self.context.close()
        return self.failures

    def find(self, selector: str) -> Locator:
        """Return the first element."""
        return self.page.locator(selector).first

    def go(self, tab: str) -> None:
        """Open a tab."""
        self.open_panel(tab)
        expect(self.find(f"#{tab.lower()}-screen")).to_be_visible()
        self.settles()

    def open_panel(self, tab: str) -> None:
        """Open a tab, or a panel within one."""
        self.settles()
        self.page.get_by_role("tab", name=tab, exact=True).first.click()
        self.settles()

    def press(self, element_id: str) -> None:
        """Click a button by its id, as somebody does who has looked at the screen before."""
        self.looks()
        self.settles()
        target = self.find(f"#{element_id}")
        button = target if target.evaluate("e => e.tagName") == "BUTTON" else target.locator("button").first
        button.click()
        # Where the screen changed in that moment, the press came too early: the buttons show it, and one presses again.
        if self.page.locator("[data-early]").count():
            self.looks()
            button.click()

    def discards(self, reason: str = "") -> None:
        """Discard the record on Edit: the first press asks for a reason, the second one does it."""
        self.press("edit-discard")
        self.find("#edit-reason").fill(reason)
        self.press("edit-discard-confirm")

    def looks(self) -> None:
        """Wait until what came after a submit or a vote has stood there long enough to take the next one."""
        expect(self.page.locator("[data-resting]")).to_have_count(0)

    def sees(self, selector: str, text: str | re.Pattern) -> None:
        """Wait until an element shows a text, and until what comes with it has come: whoever acts next acts on that."""
        expect(self.find(selector)).to_contain_text(text)
        self.settles()

    def type_into(self, element_id: str, text: str) -> None:
        """Replace the text of a field."""
        self.settles()
        self.find(f"#{element_id} textarea, #{element_id} input").fill(text)

    def text_of(self, element_id: str) -> str:
        """Return the text of a field."""
        self.settles()
        return self.find(f"#{element_id} textarea, #{element_id} input").input_value()

    def choose(self, element_id: str, label: str | re.Pattern) -> None:
        """Choose from a dropdown."""
        self.settles()
        self.find(f"#{element_id} input").click()
        self.page.get_by_role("option", name=label).first.click()

    def upload(self, element_id: str, *files: Path) -> None:
        """Give files to an upload field, and wait until the server has them and the page knows it."""
        with self.page.expect_response(lambda answer: urlsplit(answer.url).path.endswith("/gradio_api/upload")):
            self.offer(element_id, *files)
        self.settles()

    def offer(self, element_id: str, *files: Path) -> None:
        """Give files to an upload field that may refuse them."""
        self.settles()
        self.find(f"#{element_id} input[type=file]").set_input_files([str(file) for file in files])

    def holds(self, element_id: str, name: str) -> None:
        """Wait until an upload field holds a file: only while it is on its way its name stands there in one piece."""
        expect(self.find(f'#{element_id} td.filename[aria-label="{name}"]')).to_be_visible()

    def unfold(self, element_id: str) -> None:
        """Open an accordion, where it is not open; its parts are made when it opens, and filled then."""
        self.settles()
        button = self.find(f"#{element_id} > button")
        if "open" not in (button.get_attribute("class") or "").split():
            button.click()
        self.settles()

    def keeps(self, element_id: str, text: str) -> None:
        """Wait until a field holds exactly this text."""
        expect(self.find(f"#{element_id} textarea, #{element_id} input")).to_have_value(text)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so that the page does not show, as what a server has stored."""
        deadline = time.monotonic() + WAIT / 1000
        while not condition():
            assert time.monotonic() < deadline, "it did not become so"
            # The browser goes on in the meantime.
            self.page.wait_for_timeout(50)

    def click(self, selector: str) -> None:
        """Click what a selector finds first."""
        self.settles()
        self.find(selector).click()

    def toast(self, text: str | re.Pattern) -> None:
        """Wait for a message of Gradio's."""
        expect(self.page.locator(".toast-body").filter(has_text=text).first).to_be_visible()

    def picture(self, path: Path | None) -> None:
        """Take a screenshot of the window, where one is wanted."""
        if path:
            self.page.wait_for_timeout(600)
            self.page.screenshot(path=str(path))


def in_colours(page: Page, look: str) -> None:
    """Let a page be shown light or dark, and wait until Gradio has followed, which learns of it a moment later."""
    page.emulate_media(color_scheme=look)
    page.wait_for_function(FOLLOWED, arg=look)


def too_wide(page: Page, width: int) -> list[str]:
    """Wait until a page has taken the width of its window, colours and charts included; say so where it stays wider."""
    # What depends on the window and its colours is told with the next frame, and drawn with the one after it.
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    settles(page)
    page.wait_for_function(STILL)
    try:
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width, timeout=PATIENCE)
    except TimeoutError:
        return [f"{page.evaluate('document.documentElement.scrollWidth')} px wide in a window of {width}"]
    return []


def settles(page: Page) -> None:
    """Wait until a page has nothing under way and stands still, within a limit."""
    try:
        page.evaluate("([frames, patience]) => window.pairloopSettled?.(frames, patience)", [FRAMES, PATIENCE])
    except Error as error:
        # The page went elsewhere or was loaded anew: what counts is the one that is there now.
        if not re.search("context was destroyed|navigat", str(error)):
            raise
        page.wait_for_load_state()
        settles(page)
