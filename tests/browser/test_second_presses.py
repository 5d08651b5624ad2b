"""What a press does: a second one that comes too soon ends nothing, and one that leads on leads to the right place."""

import re

import pytest

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


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with the example's records to review, a comparison of two pairs and a newer one of six."""
    home = tmp_path_factory.mktemp("twice") / "home"
    services = open_workspace(home, example=True)
    services.example.review()
    models = add_model(services, "one"), add_model(services, "two")
    for count in (2, 6):
        add_comparison(services, models, [(f"Answer {n}.", f"Another answer {n}.") for n in range(count)])
    services.close()
    with QuickApp(home) as process:
        yield process


@pytest.mark.parametrize(("press", "then"), [("vote-a", "vote-a"), ("1", "1"), ("vote-b", "4")])
def test_a_second_press_gives_no_vote_on_a_pair_that_nobody_has_read(running, open_person, press, then):
    voter = open_person(running.url, path="/?tab=compare")
    voter.sees("#compare-progress", "0 of 6")
    for done, pause in enumerate((0, 200, 300), 1):
        assert voter.page.evaluate(TWICE, ["compare", press, then, pause])
        voter.looks()
        voter.settles()
        voter.sees("#compare-progress", f"{done} of 6")
    voter.press("vote-tie")
    voter.sees("#compare-progress", "4 of 6")


@pytest.mark.parametrize("press", ["edit-submit", "edit-discard"])
def test_a_second_press_ends_no_record_that_nobody_has_read(running, open_person, press):
    ada = open_person(running.url, path="/?tab=edit")
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


def test_see_the_results_opens_those_of_the_comparison_that_was_judged(running, open_person):
    ada = open_person(running.url, path="/?tab=compare")
    ada.sees("#compare-progress", "0 of 6")
    ada.choose("compare-chosen", re.compile("Comparison 1"))
    for done in range(2):
        ada.sees("#compare-progress", f"{done} of 2")
        ada.press("vote-tie")
    ada.press("compare-results")
    ada.sees("#results-screen", "You have judged every pair")
    assert ada.find("#results-chosen input").input_value().startswith("Comparison 1 ")


def test_send_to_edit_opens_the_dataset_that_it_made(running, open_person):
    ada = open_person(running.url, path="/?tab=edit")
    ada.sees("#edit-question-query_rating", "How relevant is the query")
    assert ada.find("#edit-dataset input").input_value() == "Handbook example (24)"
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
    assert ada.find("#edit-dataset input").input_value() == "Handbook example (2) (24)"
