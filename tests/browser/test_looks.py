"""Every screen with something on it, on a wide window and on a phone, light and dark: it fits, can be read, and is accessible."""

import re
import time
from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe

from components._session import COOKIE
from pipeline.comparison_settings import ComparisonSettings
from pipeline.records import Outcome
from tests.browser.person import STILL, in_colours, too_wide
from tests.material import trained
from tests.servers import QuickApp
from tests.workspace import add_comparison, open_workspace

pytestmark = pytest.mark.browser
TOKEN = "a" * 64
TABS = ("Start", "Ask", "Edit", "Tune", "Compare", "Results", "Team", "Settings")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What axe is asked: everything, or only what depends on the colours, or only what does not.
ALL = {"runOnly": {"type": "tag", "values": RULES}}
OF_COLOURS = ["color-contrast", "link-in-text-block"]
COLOURS = {"runOnly": {"type": "rule", "values": OF_COLOURS}}
SHAPES = {**ALL, "rules": {rule: {"enabled": False} for rule in OF_COLOURS}}

# Text that is shown in less than 14 px, in SVG too; what a screen reader alone gets does not count.
SMALL_TEXT = """() => {
    const found = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const part = walker.currentNode.parentElement;
        const box = part.getBoundingClientRect();
        // Gradio keeps the seconds of an event in the page that runs unseen.
        const seen = part.checkVisibility({opacityProperty: true, visibilityProperty: true});
        if (!walker.currentNode.data.trim() || box.width < 2 || !seen) continue;
        if (parseFloat(getComputedStyle(part).fontSize) < 14) {
            found.add(`${part.tagName}: ${walker.currentNode.data.slice(0, 40)}`);
        }
    }
    return [...found];
}"""

# Only what is wrong is of interest, by its markup: axe need not work out how else to point to it.
FOUND = """async (wanted) => {
    const {violations} = await axe.run({...wanted, resultTypes: ['violations'], selectors: false, preload: false});
    return violations.flatMap(({id, nodes}) => nodes.map(({html}) => `${id}: ${html.slice(0, 120)}`));
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app in the middle of its loop: reviews, a tuned model, one comparison with results and one to judge."""
    home = tmp_path_factory.mktemp("looks") / "home"
    services = open_workspace(home, example=True)
    me = services.store.members.by_token(TOKEN)
    services.store.members.rename(me, "Ada Lovelace")
    dataset = services.example.review()
    records = services.store.datasets.records(dataset.id)
    for record in records[:8]:
        services.annotation.submit(
            record.id, me, {"query_rating": 4, "answer": record.completion.split("]")[0] + "]"}, 9
        )
    services.annotation.save_draft(
        records[8].id, me, {"context_rating": 2, "answer": "Half written, and then a pause."}
    )
    trained(services, services.tuner.start(dataset.id, services.registry.all()[0].id))
    first = _compared(services)
    for outcome in (*Outcome, *Outcome):
        pair = services.comparisons.next_pair(first, me)
        services.comparisons.vote(pair.comparison_id, me, outcome, seconds=5)
    services.comparisons.reveal(first, me)
    add_comparison(services, tuple(services.registry.all()), [(f"Short {n}. [1]", "Long. [1] " * 9) for n in range(3)])
    services.close()
    with QuickApp(home) as process:
        yield process


def _compared(services) -> str:
    """Compare the tuned model with its parent over the example's test queries; return the comparison's id."""
    parent, tuned = (model.id for model in services.registry.all())
    set_id = services.comparisons.create(ComparisonSettings((tuned, parent)), services.query_lists.all()[0].id)
    deadline = time.monotonic() + 60
    while services.store.comparisons.set(set_id).state == "preparing":
        assert time.monotonic() < deadline, "the answers are not there after a minute"
        time.sleep(0.05)
    return set_id


@pytest.fixture
def ada(running, stays):
    """The one who did that work, on one page for all tests, in a wide window and light."""
    cookie = {"name": COOKIE, "value": TOKEN, "domain": "127.0.0.1", "path": "/", "expires": -1}
    state = {"cookies": [{**cookie, "httpOnly": True, "secure": False, "sameSite": "Lax"}], "origins": []}
    person = stays(running.url, storage_state=state, color_scheme="light")
    in_window(person, 1440, "light")
    return person


def in_window(person, width: int, look: str) -> None:
    """Let the page be shown in a window of this width, in these colours."""
    in_colours(person.page, look)
    person.page.set_viewport_size({"width": width, "height": 844})


def show(person, tab: str) -> None:
    """Open a tab with everything that can be unfolded on it, and wait until it is filled."""
    person.go(tab)
    if tab == "Ask":
        person.type_into("ask-query", "What does a rating of 1 mean?")
        person.click("#ask-query button")
        person.sees("#ask-answer", "extractive-base ·")
        for panel in ("documents-panel", "runs-new"):
            person.unfold(panel)
        person.sees("#documents-table", "asking.md")
        person.sees("#runs-rows", "answered")
    elif tab == "Edit":
        person.sees("#edit-screen .pl-diff ins", "Half written")
    elif tab == "Tune":
        person.sees("#tune-jobs", "done")
        person.unfold("tune-preview")
        person.find("#tune-loss .gtitle").wait_for()
    elif tab == "Compare":
        person.sees("#compare-pair", "B")
        person.unfold("compare-new")
        person.sees("#compare-preview", "test queries")
    elif tab == "Results":
        person.sees("#results-screen", "left to judge")
        person.choose("results-chosen", "extractive-tuned-1")
        person.find("#results-chart .legendtext").first.wait_for()
    elif tab == "Settings":
        person.sees("#settings-models", "extractive-tuned-1")
        person.unfold("settings-new")
    person.settles()


def test_every_screen_fits_wide_window_and_phone_can_be_read_and_is_accessible(ada):
    problems = []
    for tab in TABS:
        show(ada, tab)
        # Shapes do not depend on the colours, nor colours on the width.
        for width, look, wanted in ((390, "light", SHAPES), (1440, "dark", COLOURS), (1440, "light", ALL)):
            in_window(ada, width, look)
            problems += [f"{tab} is {wide}" for wide in too_wide(ada.page, width)]
            problems += [f"{tab}, {width}: small text {text}" for text in ada.page.evaluate(SMALL_TEXT)]
            problems += [f"{tab}, {width}, {look}: {found}" for found in violations(ada, wanted)]
    assert problems == []


def test_what_lies_above_a_screen_is_accessible_too(ada):
    ada.page.keyboard.press("?")
    ada.find("dialog#pl-keys[open]").wait_for()
    both_ways(ada)
    ada.page.keyboard.press("Escape")
    ada.go("Edit")
    # To a record without a draft; which one has it depends on Ada's order.
    ada.sees("#edit-record", re.compile(r"Record \d+ of 24"))
    number = int(re.search(r"Record (\d+) of", ada.find("#edit-record").inner_text())[1])
    ada.press("edit-back" if number > 1 else "edit-next")
    ada.sees("#edit-record", f"Record {number - 1 if number > 1 else 2} of 24")
    # A phone shows the query first, with the contexts folded.
    if not ada.find("#edit-sources .pl-open").is_visible():
        ada.click("#edit-sources summary")
    ada.click("#edit-sources .pl-open")
    ada.sees(".pl-drawer mark", re.compile("."))
    ada.type_into("edit-question-answer", "")
    ada.looks()
    ada.page.keyboard.press("Control+Enter")
    ada.sees("#edit-question-answer [data-wrong]", "Answer this")
    both_ways(ada)
    ada.page.keyboard.press("Escape")


def both_ways(person) -> None:
    """Look at what is shown in a wide window and light, and on a phone and dark."""
    for width, look in ((390, "dark"), (1440, "light")):
        in_window(person, width, look)
        person.page.wait_for_function(STILL)
        assert violations(person) == []


def violations(person, wanted: dict = ALL) -> list[str]:
    """Return what axe-core finds against WCAG 2.2 AA: all of it, where the same is not looked at in another window too."""
    if not person.page.evaluate("'axe' in window"):
        person.page.evaluate(Axe().axe_script)
    return person.page.evaluate(FOUND, wanted)


def test_what_cannot_be_read_or_has_no_name_is_found(chromium):
    context = chromium.new_context()
    try:
        person = SimpleNamespace(page=context.new_page())
        person.page.set_content('<main><p style="color: #ccc; background: #fff">Pale</p><button></button></main>')
        every, of_colours, others = (
            {line.split(":")[0] for line in violations(person, wanted)} for wanted in (ALL, COLOURS, SHAPES)
        )
        assert every >= {"color-contrast", "button-name"} and of_colours == {"color-contrast"}
        assert others == every - of_colours
    finally:
        context.close()


def test_on_a_phone_the_bars_stay_in_the_window_and_are_large_enough_for_a_thumb(ada):
    in_window(ada, 390, "light")
    for tab, bar, places in (("Compare", "#vote-bar", (0, 120)), ("Edit", "#edit-bar", (0, 300, 900))):
        ada.go(tab)
        ada.find(f"#{tab.lower()}-screen [data-shows]").wait_for()
        for place in places:
            ada.page.evaluate(f"window.scrollTo(0, {place})")
            ada.page.wait_for_timeout(150)
            boxes = [button.bounding_box() for button in ada.page.locator(f"{bar} button").all()]
            assert len(boxes) == 4
            for box in boxes:
                assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] >= 44
                assert box["y"] >= 0 and box["y"] + box["height"] <= 844
    # All seven tabs are there, none behind a menu.
    for name in TABS:
        assert ada.page.get_by_role("tab", name=name, exact=True).first.is_visible()
