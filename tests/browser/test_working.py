"""Work by keyboard, and work that survives a reload, a restart and a kill."""

import pytest

from tests.browser.person import too_wide
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser


def test_edit_by_keyboard(app, open_person):
    ada = open_person(app.url)
    ada.press("start-review")
    ada.press("edit-example")
    ada.sees("#edit-record", "Record 1 of 24")
    ada.page.locator("#edit-record h3").click()
    ada.page.keyboard.press("4")
    ada.find("#edit-question-query_rating input:checked").wait_for(state="attached")
    assert ada.find("#edit-question-query_rating input:checked").input_value() == "4"
    ada.click("#edit-question-answer textarea")
    ada.page.keyboard.press("Control+End")
    ada.page.keyboard.type(" In 5 words [sic] 1?")
    ada.sees("#edit-status", "Draft saved")
    assert ada.text_of("edit-question-answer").endswith(" In 5 words [sic] 1?")
    assert ada.page.locator("#edit-question-context_rating input:checked").count() == 0
    ada.page.keyboard.press("Control+Enter")
    ada.sees("#edit-record", "Record 2 of 24")
    ada.page.locator("#edit-record h3").click()
    ada.page.keyboard.press("[")
    ada.sees("#edit-record", "Record 1 of 24")
    assert ada.text_of("edit-question-answer").endswith(" In 5 words [sic] 1?")
    ada.page.keyboard.press("?")
    ada.find("dialog#pl-keys[open]").wait_for()
    ada.page.keyboard.press("Escape")
    ada.page.locator("dialog#pl-keys[open]").wait_for(state="detached")


def test_a_draft_survives_a_reload_and_a_kill(tmp_path, open_person):
    app = QuickApp(tmp_path / "home")
    with app:
        ada = open_person(app.url)
        ada.press("start-review")
        ada.press("edit-example")
        ada.sees("#edit-record", "Record 1 of 24")
        ada.type_into("edit-question-answer", "A text that must not be lost.")
        ada.sees("#edit-status", "Draft saved")
        ada.page.reload()
        ada.go("Edit")
        ada.sees("#edit-record", "Record 1 of 24")
        ada.keeps("edit-question-answer", "A text that must not be lost.")
        ada.type_into("edit-question-answer", "Typed before the kill.")
        ada.sees("#edit-status", "Draft saved")
        app.kill()
        app.start()
        # The page comes back by itself, to the tab that was open, with the draft.
        ada.sees("#header", "Kept on this machine only")
        ada.page.wait_for_function(
            "document.querySelector('#edit-question-answer textarea')?.value === 'Typed before the kill.'"
        )
        ada.press("edit-submit")
        ada.sees("#edit-record", "Record 2 of 24")
        ada.sees("#edit-progress", "Submitted 1")


def test_submitting_in_haste_never_puts_a_text_on_the_next_record(tmp_path, open_person):
    app = QuickApp(tmp_path / "home")
    with app:
        ada = open_person(app.url)
        ada.press("start-review")
        ada.press("edit-example")
        for number in range(1, 13):
            ada.sees("#edit-record", f"Record {number} of 24")
            ada.click("#edit-question-answer textarea")
            ada.page.keyboard.press("Control+a")
            ada.page.keyboard.type(f"answer-to-{number}")
            ada.looks()
            ada.page.keyboard.press("Control+Enter")
        ada.sees("#edit-progress", "Submitted 12")
        app.stop()
    services = open_workspace(tmp_path / "home")
    dataset = services.datasets.all()[0]
    responses = services.store.responses.of_dataset(dataset.id)
    order = services.annotation.order(dataset.id, responses[0].annotator_id)
    positions = {record_id: number for number, record_id in enumerate(order, 1)}
    assert {positions[r.record_id]: r.values["answer"] for r in responses} == {
        n: f"answer-to-{n}" for n in range(1, 13)
    }
    services.close()


TEXTS = [("Short. " * 20, "Long, and in many words. " * 30), ("**Bold**", "| a | b |\n|---|---|\n| 1 | 2 |")]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """An app with two pairs to judge."""
    home = tmp_path_factory.mktemp("pairs") / "home"
    services = open_workspace(home)
    add_comparison(services, (add_model(services, "one"), add_model(services, "two")), TEXTS)
    services.close()
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as process:
        yield process


@pytest.mark.parametrize("width", [1440, 390])
def test_a_pair_fits_the_window_and_the_vote_bar_is_in_it(pairs, open_person, width):
    voter = open_person(pairs.url, path="/?tab=compare", viewport={"width": width, "height": 844})
    voter.sees("#compare-progress", "0 of 2")
    box = voter.find("#vote-a").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 844 and box["x"] + box["width"] <= width
    for tab in ("Start", "Ask", "Edit", "Tune", "Compare", "Results", "Settings"):
        voter.go(tab)
        assert too_wide(voter.page, width) == []
    voter.go("Compare")
    voter.sees("#compare-progress", "0 of 2")
    # Digits in the reason are text; outside it they vote.
    voter.click("#vote-reason textarea")
    voter.page.keyboard.type("1 of 2")
    voter.keeps("vote-reason", "1 of 2")
    voter.page.locator("#compare-pair h3").first.click()
    voter.page.keyboard.press("3")
    voter.sees("#compare-progress", "1 of 2")
