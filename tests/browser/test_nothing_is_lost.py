"""What somebody typed is theirs: no reload, no change of tab, no lost connection and nobody else's work takes it away."""

import re

import pytest
from playwright.sync_api import expect

from pipeline.annotation.values import MAX_TEXT_CHARACTERS
from pipeline.records import ResponseStatus
from tests.browser.person import settles
from tests.browser.records import has_left, record_of, shows
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser
REVIEW = "Review"
# Every test reviews the example's 24 records in a dataset of its own; some more for those that are tried twice.
DATASETS = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder of a workspace with the example's 24 records to review, many times over, and three pairs to judge."""
    folder = tmp_path_factory.mktemp("lost") / "home"
    services = open_workspace(folder, example=True)
    made = services.example.review()
    for number in range(DATASETS):
        services.datasets.create_of_run(made.run_id, made.template, f"{REVIEW} {number}")
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
def reviewer(records, running, stays):
    """Open a dataset that nobody has worked on, on the page that the tests of the file use as long as the app runs."""

    def open_():
        person = stays(running.url, who=str(running.pid), path="/?tab=edit")
        records.begin(person, REVIEW)
        return person

    return open_


def stored(records, person):
    """Return what a person gave in the dataset on the screen, by record."""
    token = next(cookie["value"] for cookie in person.context.cookies() if cookie["name"] == "pairloop_person")
    member = records.store.members.by_token(token)
    found = records.store.responses.of_dataset(dataset_of(person))
    return {response.record_id: response for response in found if response.annotator_id == member}


def dataset_of(person) -> str:
    return re.search("dataset=([0-9a-z]+)", person.page.url)[1]


def later(person):
    """Wait for the time after which a draft is sent, by the page's own clock, and for what comes of it."""
    person.page.evaluate("() => new Promise((over) => setTimeout(over, 650))")
    person.settles()


def test_looking_around_is_no_work(records, reviewer):
    ada = reviewer()
    first = ada.text_of("edit-question-answer")
    for number in (2, 3, 4):
        ada.press("edit-next")
        ada.sees("#edit-record", f"Record {number} of 24")
    for number in (3, 2, 1):
        ada.press("edit-back")
        ada.sees("#edit-record", f"Record {number} of 24")
    for tab in ("Tune", "Compare"):
        ada.go(tab)
        ada.go("Edit")
        ada.sees("#edit-progress", "Pending 24")
        assert ada.text_of("edit-question-answer") == first != ""
    later(ada)
    assert stored(records, ada) == {}


def test_letters_typed_just_before_another_tab_or_record_is_opened_are_kept(records, reviewer):
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
    later(ada)
    assert ada.text_of("edit-question-answer") == suggestion
    assert "on to the next record" not in ada.find("#edit-screen").inner_text()
    ada.press("edit-back")
    ada.keeps("edit-question-answer", "Typed, and on to the next record.")
    assert {key: r.values["answer"] for key, r in stored(records, ada).items()} == {
        record: "Typed, and on to the next record."
    }


def test_what_is_pasted_deleted_or_given_as_a_reason_survives_a_change_of_tab_and_a_reload(records, reviewer):
    ada = reviewer()
    dataset = dataset_of(ada)
    ada.find("#edit-question-answer textarea").click()
    ada.page.keyboard.press("Control+a")
    # Without key events, as a paste or a dictation arrives.
    ada.page.keyboard.insert_text("Pasted from elsewhere.")
    ada.sees("#edit-screen .pl-diff ins", "Pasted")
    ada.sees("#edit-status", "Draft saved")
    for _ in "elsewhere.":
        ada.page.keyboard.press("Backspace")
    ada.page.wait_for_function("!document.querySelector('#edit-screen .pl-diff').textContent.includes('elsewhere')")
    ada.go("Compare")
    ada.sees("#compare-progress", "0 of 3")
    ada.type_into("vote-reason", "B is about another harbour.")
    ada.type_into("vote-correction", "The harbour opens at seven.")
    ada.go("Edit")
    ada.go("Compare")
    ada.keeps("vote-reason", "B is about another harbour.")
    # What the page puts back it puts back 0.4 s after the pair.
    later(ada)
    ada.keeps("vote-reason", "B is about another harbour.")
    ada.page.reload()
    ada.keeps("vote-reason", "B is about another harbour.")
    ada.keeps("vote-correction", "The harbour opens at seven.")
    ada.press("vote-a")
    ada.sees("#compare-progress", "1 of 3")
    ada.keeps("vote-reason", "")
    ada.keeps("vote-correction", "")
    votes = records.store.votes.of_set(records.store.comparisons.sets()[0].id)
    assert [(v.reason, v.correction) for v in votes] == [("B is about another harbour.", "The harbour opens at seven.")]
    ada.go("Edit")
    ada.choose("edit-dataset", re.compile(rf"^{records.store.datasets.get(dataset).name} \("))
    ada.keeps("edit-question-answer", "Pasted from ")


def test_an_answer_that_is_too_long_or_empty_is_refused_in_words_and_stays_on_the_screen(records, reviewer):
    ada = reviewer()
    text = "word " * (MAX_TEXT_CHARACTERS // 5 + 1)
    ada.type_into("edit-question-answer", text)
    ada.sees("#edit-status", re.compile(r"characters; 50,000 are the limit"))
    record = record_of(ada)
    ada.press("edit-submit")
    # A submit would show the next record with the press.
    assert record_of(ada) == record
    ada.sees("#edit-host [data-told]", "50,000 are the limit")
    assert record_of(ada) == record and ada.text_of("edit-question-answer") == text
    assert ada.find("#edit-question-answer textarea").is_editable()
    ada.type_into("edit-question-answer", "")
    ada.press("edit-submit")
    ada.sees("#edit-question-answer [data-wrong]", "Answer this before you submit, or discard the record.")
    assert record_of(ada) == record
    ada.find("#edit-question-answer textarea:not([readonly])").wait_for()
    ada.type_into("edit-question-answer", "Written now.")
    ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 1")
    assert stored(records, ada)[record].values["answer"] == "Written now."


def test_two_tabs_of_one_person_keep_both_answers(records, reviewer):
    ada = reviewer()
    record = record_of(ada)
    other = ada.context.new_page()
    other.goto(ada.page.url)
    other.locator(f"#edit-record [data-shows='{record}']").wait_for()
    settles(other)
    ada.type_into("edit-question-answer", "From the first tab.")
    ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 1")
    other.locator("#edit-question-answer textarea").fill("From the second tab.")
    other.locator("#edit-alerts").get_by_text("This record was changed in another window.").wait_for()
    assert stored(records, ada)[record].edits is None
    # Until somebody has decided, the tab itself keeps it, over a reload too.
    other.reload()
    other.locator("#edit-alerts").get_by_text("This record was changed in another window.").wait_for()
    second = "document.querySelector('#edit-question-answer textarea').value === 'From the second tab.'"
    other.wait_for_function(second)
    settles(other)
    other.locator("#edit-keep-mine").click()
    # It stands beside what was submitted, until it is submitted too.
    other.locator("#edit-status").get_by_text("You submitted this; your changes are not submitted yet").wait_for()
    kept = stored(records, ada)[record]
    assert (kept.values["answer"], kept.edits["values"]["answer"]) == ("From the first tab.", "From the second tab.")
    other.locator("[data-resting]").wait_for(state="detached")
    settles(other)
    with other.expect_response("**/annotate/end"):
        other.locator("#edit-submit").click()
    expect(other.locator("#edit-record [data-shows]")).not_to_have_attribute("data-shows", record)
    assert stored(records, ada)[record].values["answer"] == "From the second tab."
    with records.store.database.read() as connection:
        history = connection.exec_driver_sql('SELECT "values" FROM response_history').scalars().all()
    other.close()
    assert any("From the first tab." in line for line in history)


def test_two_people_on_one_dataset_never_lose_each_others_answers(records, reviewer, open_person):
    ada = reviewer()
    ada.type_into("edit-question-answer", "Ada's draft on her record.")
    ada.sees("#edit-status", "Draft saved")
    bo = open_person(ada.url, path=f"/?tab=edit&dataset={dataset_of(ada)}")
    bo.sees("#edit-record", re.compile(r"Record \d+ of 24"))
    assert record_of(bo) != record_of(ada)
    for number in range(1, 4):
        for name, person in (("Ada", ada), ("Bo", bo)):
            person.type_into("edit-question-answer", f"{name} says {number}.")
            person.press("edit-submit")
            person.sees("#edit-progress", f"Submitted {number}")
    for name, person in (("Ada", ada), ("Bo", bo)):
        mine = [r.values["answer"] for r in stored(records, person).values() if r.status is ResponseStatus.SUBMITTED]
        assert sorted(mine) == [f"{name} says {number}." for number in (1, 2, 3)]


def test_what_is_typed_while_the_app_is_down_is_there_when_it_is_back(records, running, reviewer):
    ada = reviewer()
    record = record_of(ada)
    ada.page.locator("#edit-question-query_rating label").nth(3).click()
    ada.sees("#edit-status", "Draft saved")
    ada.type_into("edit-question-answer", "Typed in the last second.")
    # Not saved yet: the draft goes 0.6 s after the last letter.
    running.kill()
    # Where more time than that went by before the kill, it is saved, but not this.
    ada.type_into("edit-question-answer", "Typed in the last second, and a word more.")
    ada.sees("#edit-status", "Not saved yet: no connection to Pairloop, trying again")
    ada.type_into("edit-question-answer", "Typed while nobody listened.")
    ada.press("edit-submit")
    ada.sees("#edit-alerts", re.compile(r"Your answer to record \d+ was not submitted: no connection"))
    has_left(ada, record)
    ada.page.get_by_role("button", name="Go back to it").click()
    shows(ada, record)
    ada.keeps("edit-question-answer", "Typed while nobody listened.")
    running.start()
    # The page sends what it kept as soon as somebody listens again.
    ada.sees("#header", "Kept on this machine only")
    ada.sees("#edit-status", re.compile("raft,? saved"))
    assert stored(records, ada)[record].values["answer"] == "Typed while nobody listened."
    # Gradio loads a page anew once it notices that its app is another one: not in the moment of the press below.
    ada.page.reload()
    shows(ada, record)
    ada.keeps("edit-question-answer", "Typed while nobody listened.")
    ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 1")
    assert stored(records, ada)[record].values == {"query_rating": 4, "answer": "Typed while nobody listened."}
