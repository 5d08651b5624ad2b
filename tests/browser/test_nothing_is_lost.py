"""What somebody typed is theirs: no reload, no change of tab, no lost connection and nobody else's work takes it away."""

import re

import pytest
from playwright.sync_api import expect

from pipeline.annotation.values import MAX_TEXT_CHARACTERS
from pipeline.records import ResponseStatus
from pipeline.store import open_store
from tests.browser.person import settles
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder of a workspace with the example's 24 records to review and three pairs to judge."""
    folder = tmp_path_factory.mktemp("lost") / "home"
    services = open_workspace(folder, example=True)
    services.example.review()
    models = add_model(services, "one"), add_model(services, "two")
    add_comparison(services, models, [(f"Answer {n}.", f"Another answer {n}.") for n in range(3)])
    services.close()
    return folder


@pytest.fixture(scope="module")
def running(home):
    """The app over that folder, one process for all tests of this file."""
    with QuickApp(home) as process:
        yield process


@pytest.fixture
def reviewer(running, open_person):
    """Open Edit as somebody new, on the record that waits for them."""

    def open_(**options):
        person = open_person(running.url, path="/?tab=edit", **options)
        person.sees("#edit-record", re.compile(r"Record \d+ of 24"))
        return person

    return open_


def record_of(person) -> str:
    return person.find("#edit-record [data-shows]").get_attribute("data-shows")


def stored(home, person):
    """Return the responses of a person by record."""
    token = next(cookie["value"] for cookie in person.context.cookies() if cookie["name"] == "pairloop_person")
    store = open_store(home / "pairloop.db")
    member = store.members.by_token(token)
    dataset = store.datasets.all()[-1]
    found = {r.record_id: r for r in store.responses.of_dataset(dataset.id) if r.annotator_id == member}
    store.close()
    return found


def test_looking_around_is_no_work(home, reviewer):
    ada = reviewer()
    first = ada.text_of("edit-question-answer")
    for number in (2, 3, 4):
        ada.press("edit-next")
        ada.sees("#edit-record", f"Record {number} of 24")
    for number in (3, 2, 1):
        ada.press("edit-back")
        ada.sees("#edit-record", f"Record {number} of 24")
    for tab in ("Tune", "Compare", "Tune"):
        ada.go(tab)
        ada.go("Edit")
        ada.sees("#edit-progress", "Pending 24")
        assert ada.text_of("edit-question-answer") == first != ""
    # The time after which a draft would have been sent.
    ada.page.wait_for_timeout(800)
    assert stored(home, ada) == {}


def test_letters_typed_just_before_another_tab_or_record_is_opened_are_kept(home, reviewer):
    ada = reviewer()
    record = record_of(ada)
    ada.type_into("edit-question-answer", "Typed, and off to another tab.")
    ada.go("Tune")
    ada.go("Edit")
    ada.keeps("edit-question-answer", "Typed, and off to another tab.")
    ada.type_into("edit-question-answer", "Typed, and on to the next record.")
    ada.press("edit-next")
    ada.sees("#edit-record", "Record 2 of 24")
    suggestion = ada.text_of("edit-question-answer")
    assert "on to the next record" not in suggestion
    ada.page.wait_for_timeout(800)
    assert ada.text_of("edit-question-answer") == suggestion
    assert "on to the next record" not in ada.find("#edit-screen").inner_text()
    ada.press("edit-back")
    ada.keeps("edit-question-answer", "Typed, and on to the next record.")
    assert {key: r.values["answer"] for key, r in stored(home, ada).items()} == {
        record: "Typed, and on to the next record."
    }


def test_deleted_and_pasted_text_is_saved_like_typed_text(reviewer):
    ada = reviewer()
    ada.find("#edit-question-answer textarea").click()
    ada.page.keyboard.press("Control+a")
    # Without key events, as a paste or a dictation arrives.
    ada.page.keyboard.insert_text("Pasted from elsewhere.")
    ada.sees("#edit-screen .pl-diff ins", "Pasted")
    ada.sees("#edit-status", "Draft saved")
    for _ in "elsewhere.":
        ada.page.keyboard.press("Backspace")
    ada.page.wait_for_function("!document.querySelector('#edit-screen .pl-diff').textContent.includes('elsewhere')")
    ada.page.reload()
    ada.keeps("edit-question-answer", "Pasted from ")


def test_an_answer_that_is_too_long_is_refused_in_words_and_stays_on_the_screen(reviewer):
    ada = reviewer()
    text = "word " * (MAX_TEXT_CHARACTERS // 5 + 1)
    ada.type_into("edit-question-answer", text)
    ada.sees("#edit-status", re.compile(r"characters; 50,000 are the limit"))
    record = record_of(ada)
    ada.press("edit-submit")
    ada.page.wait_for_timeout(500)
    assert record_of(ada) == record
    assert ada.text_of("edit-question-answer") == text
    assert ada.find("#edit-question-answer textarea").is_editable()


def test_an_empty_answer_is_refused_in_words_and_can_be_written(home, reviewer):
    ada = reviewer()
    record = record_of(ada)
    ada.type_into("edit-question-answer", "")
    ada.press("edit-submit")
    ada.sees("#edit-question-answer [data-wrong]", "Answer this before you submit, or discard the record.")
    assert record_of(ada) == record
    ada.find("#edit-question-answer textarea:not([readonly])").wait_for()
    ada.type_into("edit-question-answer", "Written now.")
    ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 1")
    assert stored(home, ada)[record].values["answer"] == "Written now."


def test_two_tabs_of_one_person_keep_both_answers(home, reviewer):
    ada = reviewer()
    record = record_of(ada)
    other = ada.context.new_page()
    other.goto(f"{ada.url}/?tab=edit")
    other.locator(f"#edit-record [data-shows='{record}']").wait_for()
    settles(other)
    ada.type_into("edit-question-answer", "From the first tab.")
    ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 1")
    other.locator("#edit-question-answer textarea").fill("From the second tab.")
    other.locator("#edit-alerts").get_by_text("This record was changed in another window.").wait_for()
    assert stored(home, ada)[record].edits is None
    # Until somebody has decided, the tab itself keeps it, over a reload too.
    other.reload()
    other.locator("#edit-alerts").get_by_text("This record was changed in another window.").wait_for()
    second = "document.querySelector('#edit-question-answer textarea').value === 'From the second tab.'"
    other.wait_for_function(second)
    settles(other)
    other.locator("#edit-keep-mine").click()
    # It stands beside what was submitted, until it is submitted too.
    other.locator("#edit-status").get_by_text("You submitted this; your changes are not submitted yet").wait_for()
    kept = stored(home, ada)[record]
    assert (kept.values["answer"], kept.edits["values"]["answer"]) == ("From the first tab.", "From the second tab.")
    other.locator("[data-resting]").wait_for(state="detached")
    settles(other)
    with other.expect_response("**/annotate/end"):
        other.locator("#edit-submit").click()
    other.locator("#edit-record [data-shows]").wait_for()
    other.wait_for_function(f"!document.querySelector(`#edit-record [data-shows='{record}']`)")
    assert stored(home, ada)[record].values["answer"] == "From the second tab."
    store = open_store(home / "pairloop.db")
    with store.database.read() as connection:
        history = connection.exec_driver_sql('SELECT "values" FROM response_history').scalars().all()
    store.close()
    assert any("From the first tab." in line for line in history)


def test_two_people_on_one_dataset_never_lose_each_others_answers(home, reviewer):
    ada, bo = reviewer(), reviewer()
    ada.type_into("edit-question-answer", "Ada's draft on her record.")
    ada.sees("#edit-status", "Draft saved")
    bo.page.reload()
    bo.sees("#edit-record", re.compile(r"Record \d+ of 24"))
    assert record_of(bo) != record_of(ada)
    for number in range(1, 4):
        for name, person in (("Ada", ada), ("Bo", bo)):
            person.type_into("edit-question-answer", f"{name} says {number}.")
            person.press("edit-submit")
            person.sees("#edit-progress", f"Submitted {number}")
    for name, person in (("Ada", ada), ("Bo", bo)):
        mine = [r.values["answer"] for r in stored(home, person).values() if r.status is ResponseStatus.SUBMITTED]
        assert sorted(mine) == [f"{name} says {number}." for number in (1, 2, 3)]


def test_a_reason_and_a_better_answer_survive_a_change_of_tab_and_a_reload(home, running, open_person):
    ada = open_person(running.url, path="/?tab=compare")
    ada.sees("#compare-progress", "0 of 3")
    ada.type_into("vote-reason", "B is about another harbour.")
    ada.type_into("vote-correction", "The harbour opens at seven.")
    ada.go("Results")
    ada.go("Compare")
    ada.keeps("vote-reason", "B is about another harbour.")
    ada.page.wait_for_timeout(600)
    ada.keeps("vote-reason", "B is about another harbour.")
    ada.page.reload()
    ada.keeps("vote-reason", "B is about another harbour.")
    ada.keeps("vote-correction", "The harbour opens at seven.")
    ada.press("vote-a")
    ada.sees("#compare-progress", "1 of 3")
    ada.keeps("vote-reason", "")
    ada.keeps("vote-correction", "")
    store = open_store(home / "pairloop.db")
    votes = store.votes.of_set(store.comparisons.sets()[0].id)
    store.close()
    assert [(v.reason, v.correction) for v in votes] == [("B is about another harbour.", "The harbour opens at seven.")]


def test_what_is_typed_while_the_app_is_down_is_there_when_it_is_back(home, running, reviewer):
    ada = reviewer()
    record = record_of(ada)
    ada.page.locator("#edit-question-query_rating label").nth(3).click()
    ada.sees("#edit-status", "Draft saved")
    running.kill()
    ada.type_into("edit-question-answer", "Typed while nobody listened.")
    ada.press("edit-submit")
    ada.sees("#edit-alerts", re.compile(r"Your answer to record \d+ was not submitted: no connection"))
    assert record_of(ada) != record
    ada.page.get_by_role("button", name="Go back to it").click()
    expect(ada.find("#edit-record [data-shows]")).to_have_attribute("data-shows", record)
    ada.keeps("edit-question-answer", "Typed while nobody listened.")
    running.start()
    # The page sends what it kept as soon as somebody listens again.
    ada.sees("#edit-status", "Draft saved")
    assert stored(home, ada)[record].values["answer"] == "Typed while nobody listened."
    ada.page.reload()
    ada.keeps("edit-question-answer", "Typed while nobody listened.")
    assert record_of(ada) == record
    ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 1")
    assert stored(home, ada)[record].values == {"query_rating": 4, "answer": "Typed while nobody listened."}
