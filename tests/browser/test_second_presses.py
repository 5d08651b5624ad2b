"""What a press does: a second one that comes too soon ends nothing, and one that leads on leads to the right place."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.records import judge
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser

# Presses a button, and the same or another key or button again when the next record or pair has been there for a while; tells
# whether the second press was seen to come too early. On the page itself, whose timers keep their order on the slowest machine.
TWICE = """async ([screen, press, then, pause]) => {
    const shown = () => document.querySelector(`#${screen}-screen [data-shows]`)?.dataset.shows;
    const before = shown();
    const act = (what) => what.length > 1
        ? document.getElementById(what).click()
        : document.body.dispatchEvent(new KeyboardEvent('keydown', {key: what, bubbles: true, cancelable: true}));
    const part = document.getElementById(`${screen}-screen`);
    const next = new Promise((come, fail) => {
        setTimeout(() => fail(new Error("nothing came after the first press")), 60000);
        const watch = (_, watcher) => { if (shown() !== before) { watcher.disconnect(); come(); } };
        new MutationObserver(watch).observe(part, {childList: true, subtree: true, attributes: true});
    });
    act(press);
    await next;
    await new Promise((go) => setTimeout(go, pause));
    act(then);
    return 'early' in part.dataset;
}"""
DISCARD_TWICE = """() => {
    const button = document.getElementById('edit-discard');
    button.click();
    button.click();
    return 'early' in document.getElementById('edit-screen').dataset;
}"""


REVIEW = "Review"
# The comparisons of six pairs that are judged, some more for a second try, and two of two pairs.
LONG, SHORT = range(1, 7), range(7, 9)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder of a workspace with datasets of the example's records, and comparisons of six pairs and of two."""
    home = tmp_path_factory.mktemp("twice") / "home"
    services = open_workspace(home, example=True)
    made = services.example.review()
    for number in range(4):
        services.datasets.create_of_run(made.run_id, made.template, f"{REVIEW} {number}")
    models = add_model(services, "one"), add_model(services, "two")
    for count in [6] * len(LONG) + [2] * len(SHORT):
        add_comparison(services, models, [(f"Answer {n}.", f"Another answer {n}.") for n in range(count)])
    services.close()
    return home


@pytest.fixture(scope="module")
def running(home):
    with QuickApp(home) as process:
        yield process


@pytest.fixture(scope="module")
def numbers():
    """The numbers of the comparisons that no test has judged, long and short ones."""
    return iter(LONG), iter(SHORT)


@pytest.fixture
def ada(running, stays):
    return stays(running.url, path="/?tab=edit")


@pytest.mark.parametrize(("press", "then"), [("vote-a", "vote-a"), ("1", "1"), ("vote-b", "4")])
def test_a_second_press_gives_no_vote_on_a_pair_that_nobody_has_read(ada, numbers, press, then):
    judge(ada, f"Comparison {next(numbers[0])} ·")
    ada.sees("#compare-progress", "0 of 6")
    for done, pause in enumerate((0, 200, 300), 1):
        assert ada.page.evaluate(TWICE, ["compare", press, then, pause])
        ada.looks()
        ada.settles()
        ada.sees("#compare-progress", f"{done} of 6")
    ada.press("vote-tie")
    ada.sees("#compare-progress", "4 of 6")


@pytest.mark.parametrize("press", ["edit-submit", "edit-discard"])
def test_a_second_press_ends_no_record_that_nobody_has_read(records, ada, press):
    records.begin(ada, REVIEW)
    ada.sees("#edit-progress", re.compile(r"Submitted 0\s*Discarded 0"))
    if press == "edit-discard":
        # The first press only asks for a reason, and the next one too soon after it does nothing.
        assert ada.page.evaluate(DISCARD_TWICE)
        ada.find("#edit-discarding").wait_for()
        ada.looks()
        ada.sees("#edit-progress", "Discarded 0")
    ada.page.evaluate(TWICE, ["edit", press, press, 200])
    ada.looks()
    ada.settles()
    ada.sees("#edit-progress", re.compile(r"Submitted 1\s*Discarded 0|Submitted 0\s*Discarded 1"))
    ada.page.locator("#edit-discarding").wait_for(state="hidden")
    ada.press(press) if press == "edit-submit" else ada.discards()
    ada.sees("#edit-progress", re.compile(r"Submitted 2\s*Discarded 0|Submitted 0\s*Discarded 2"))


def test_see_the_results_opens_those_of_the_comparison_that_was_judged(ada, numbers):
    number = next(numbers[1])
    judge(ada, f"Comparison {number} ·")
    for done in range(2):
        ada.sees("#compare-progress", f"{done} of 2")
        ada.press("vote-tie")
    ada.press("compare-results")
    ada.sees("#results-screen", "You have judged every pair")
    assert ada.find("#results-chosen input").input_value().startswith(f"Comparison {number} ")


def test_send_to_edit_opens_the_dataset_that_it_made(ada):
    ada.go("Ask")
    ada.choose("runs-list", re.compile("Handbook example"))
    ada.press("runs-start")
    ada.sees("#runs-progress", "40 of 40 · done")
    with ada.page.expect_download() as download:
        ada.press("runs-download")
    assert download.value.suggested_filename == "pairloop-run.csv"
    ada.choose("runs-template", re.compile("Argilla"))
    ada.press("runs-send")
    ada.sees("#edit-question-question-rating", "Rate the relevance of the user question")
    expect(ada.find("#edit-dataset input")).to_have_value(re.compile(r"^Handbook example \(\d\) \(24\)$"))
