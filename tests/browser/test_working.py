"""Work by keyboard and in haste, and a pair that fits the window that it is judged in."""

import pytest

from tests.browser.person import too_wide
from tests.browser.records import judge, record_of
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser
REVIEW = "Review"
TEXTS = [("Short. " * 20, "Long, and in many words. " * 30), ("**Bold**", "| a | b |\n|---|---|\n| 1 | 2 |")]
WIDTHS = (1440, 390)
# For each window a comparison, and some for a second try.
COMPARISONS = 2 * len(WIDTHS)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder of a workspace with datasets of the example's records, and comparisons of two pairs."""
    home = tmp_path_factory.mktemp("working") / "home"
    services = open_workspace(home, example=True)
    made = services.example.review()
    for number in range(4):
        services.datasets.create_of_run(made.run_id, made.template, f"{REVIEW} {number}")
    models = add_model(services, "one"), add_model(services, "two")
    for _ in range(COMPARISONS):
        add_comparison(services, models, TEXTS)
    services.close()
    return home


@pytest.fixture(scope="module")
def running(home):
    with QuickApp(home) as process:
        yield process


@pytest.fixture(scope="module")
def comparisons():
    """The numbers of the comparisons that no test has judged."""
    return iter(range(1, COMPARISONS + 1))


@pytest.fixture
def ada(running, stays):
    return stays(running.url, path="/?tab=edit")


def test_edit_by_keyboard(records, ada):
    records.begin(ada, REVIEW)
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


def test_submitting_in_haste_never_puts_a_text_on_the_next_record(records, ada):
    dataset, shown = records.begin(ada, REVIEW), []
    for number in range(1, 13):
        ada.sees("#edit-record", f"Record {number} of 24")
        shown.append(record_of(ada))
        ada.click("#edit-question-answer textarea")
        ada.page.keyboard.press("Control+a")
        ada.page.keyboard.type(f"answer-to-{number}")
        ada.looks()
        ada.page.keyboard.press("Control+Enter")
    ada.sees("#edit-progress", "Submitted 12")
    responses = records.store.responses.of_dataset(dataset.id)
    wanted = {record: f"answer-to-{number}" for number, record in enumerate(shown, 1)}
    assert {response.record_id: response.values["answer"] for response in responses} == wanted


def test_a_pair_fits_the_window_and_the_vote_bar_is_in_it(ada, comparisons):
    for width in WIDTHS:
        ada.page.set_viewport_size({"width": width, "height": 844})
        judge(ada, f"Comparison {next(comparisons)} ·")
        ada.sees("#compare-progress", "0 of 2")
        assert too_wide(ada.page, width) == []
        box = ada.find("#vote-a").bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 844 and box["x"] + box["width"] <= width
        # Digits in the reason are text; outside it they vote.
        ada.click("#vote-reason textarea")
        ada.page.keyboard.type("1 of 2")
        ada.keeps("vote-reason", "1 of 2")
        ada.looks()
        ada.page.locator("#compare-pair h3").first.click()
        ada.page.keyboard.press("3")
        ada.sees("#compare-progress", "1 of 2")
