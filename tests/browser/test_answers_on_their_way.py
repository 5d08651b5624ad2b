"""Answers that are on their way: slow, lost or not from Pairloop at all, while somebody goes on working."""

import re

import pytest
from playwright.sync_api import expect

from pipeline.records import ResponseStatus
from tests.annotating import add_every_kind
from tests.browser.records import has_left, record_of, shows
from tests.servers import QuickApp
from tests.visitor import Visitor
from tests.workspace import open_workspace

pytestmark = pytest.mark.browser
MANY, FEW, OTHER = "many", "few", "other"
# Of every kind: how many datasets, of how many records. No two tests share one.
KINDS = {MANY: (14, 12), FEW: (2, 2), OTHER: (4, 7)}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder of a workspace with datasets of many records, of two, and others."""
    folder = tmp_path_factory.mktemp("on-their-way") / "home"
    services = open_workspace(folder)
    for kind, (datasets, count) in KINDS.items():
        for number in range(datasets):
            services.store.datasets.change(add_every_kind(services, count).id, name=f"{kind} {number}")
    services.close()
    return folder


@pytest.fixture(scope="module")
def running(home):
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as process:
        yield process


@pytest.fixture
def at(records, running, stays):
    """Open a dataset that nobody has worked on, on the page that all tests of the file use."""
    pages = []

    def open_(kind):
        person = stays(running.url, path="/?tab=edit")
        pages.append(person.page)
        records.begin(person, kind)
        return person

    yield open_
    for page in pages:
        page.unroute_all(behavior="wait")


def go_back_to(person, record):
    """Go back until a record is shown: between it and the one that came after it there may be some that others have."""
    while (shown := record_of(person)) != record:
        person.find("#edit-back").click()
        has_left(person, shown)


def dataset_of(person) -> str:
    return re.search("dataset=([0-9a-z]+)", person.page.url)[1]


def answer(person):
    return person.find("#edit-field-better")


def slow(person, path, time=800):
    """Let the server's answers come late."""

    def later(route):
        found = route.fetch()
        person.page.wait_for_timeout(time)
        route.fulfill(response=found)

    person.page.route(f"**/annotate/{path}", later)


def everything_came(person):
    """Wait until whatever the page was about to ask for is answered: by the page's own clock, whose timers keep their order."""
    # A draft is sent 0.6 s after the last letter, and nothing waits for longer.
    person.page.evaluate("() => new Promise((later) => setTimeout(later, 650))")
    person.settles()


def no_conflict(person):
    everything_came(person)
    assert person.page.locator("#edit-keep-mine").count() == 0


def test_a_record_that_is_opened_again_at_once_shows_what_was_typed(records, at):
    ada = at(MANY)
    record = record_of(ada)
    slow(ada, "draft")
    answer(ada).fill("Typed, and looked up among the drafts.")
    ada.find("[data-queue=draft]").click()
    expect(ada.find("[data-queue=draft]")).to_have_attribute("aria-pressed", "true")
    ada.sees("#edit-status", re.compile("raft,? saved"))
    assert record_of(ada) == record
    expect(answer(ada)).to_have_value("Typed, and looked up among the drafts.")
    no_conflict(ada)


def test_a_reload_right_after_the_last_letter_is_no_conflict(records, at):
    ada = at(MANY)
    record = record_of(ada)
    answer(ada).fill("Typed just before the reload.")
    ada.page.reload()
    ada.sees("#edit-record", re.compile(r"Record \d+ of"))
    expect(answer(ada)).to_have_value("Typed just before the reload.")
    no_conflict(ada)
    assert records.response(record).values["better"] == "Typed just before the reload."


def test_what_is_typed_on_a_record_whose_submit_is_still_under_way_is_kept(records, at):
    ada = at(MANY)
    record = record_of(ada)
    slow(ada, "end", 1500)
    answer(ada).fill("Submitted.")
    ada.press("edit-submit")
    has_left(ada, record)
    go_back_to(ada, record)
    ada.page.unroute("**/annotate/draft")
    answer(ada).fill("A better thought, a moment later.")
    # Not sent before the answer to the submit has come.
    ada.page.route("**/annotate/draft", lambda route: route.abort())
    ada.sees("#edit-alerts", "submitted.")
    ada.page.unroute("**/annotate/draft")
    ada.sees("#edit-status", "your changes are not submitted yet")
    response = records.response(record)
    assert (response.status, response.values["better"]) == (ResponseStatus.SUBMITTED, "Submitted.")
    assert response.edits["values"]["better"] == "A better thought, a moment later."
    no_conflict(ada)


def test_an_answer_that_is_lost_on_its_way_is_no_change_of_another_window(records, at):
    ada = at(MANY)
    record = record_of(ada)

    def lose(route):
        route.fetch()
        route.abort()

    ada.page.route("**/annotate/draft", lose, times=1)
    answer(ada).fill("The server has this.")
    ada.sees("#edit-status", "Not saved yet: no connection")
    answer(ada).fill("The server has this. And now more.")
    ada.sees("#edit-status", "Draft saved")
    no_conflict(ada)
    ada.page.route("**/annotate/end", lose, times=1)
    ada.press("edit-submit")
    ada.sees("#edit-alerts", "was not submitted: no connection")
    ada.page.get_by_role("button", name="Go back to it").click()
    answer(ada).fill("Submitted after all, and changed.")
    ada.sees("#edit-status", "your changes are not submitted yet")
    no_conflict(ada)
    response = records.response(record)
    assert response.values["better"] == "The server has this. And now more."
    assert response.edits["values"]["better"] == "Submitted after all, and changed."


def test_a_page_of_somebody_else_in_place_of_an_answer_saves_nothing(records, at):
    ada = at(MANY)
    record = record_of(ada)
    signs_in = {"status": 200, "content_type": "text/html", "body": "<html>Sign in to go on</html>"}
    ada.page.route("**/annotate/draft", lambda route: route.fulfill(**signs_in))
    answer(ada).fill("Typed while signed out.")
    ada.sees("#edit-status", "Not saved yet: something else than Pairloop answered")
    assert records.response(record) is None
    ada.page.unroute("**/annotate/draft")
    ada.sees("#edit-status", "Draft saved")
    assert records.response(record).values["better"] == "Typed while signed out."


def test_a_submit_that_failed_is_not_repeated_over_what_was_typed_since(records, at):
    ada = at(MANY)
    record = record_of(ada)
    answer(ada).fill("The first answer.")
    ada.looks()
    ada.page.route("**/annotate/end", lambda route: route.abort(), times=1)
    ada.press("edit-submit")
    ada.sees("#edit-alerts", "was not submitted: no connection")
    ada.looks()
    go_back_to(ada, record)
    expect(answer(ada)).to_have_value("The first answer.")
    answer(ada).fill("The second answer.")
    ada.sees("#edit-status", "Draft saved")
    # What was not submitted is on the screen, and is submitted from there.
    expect(ada.page.get_by_role("button", name="Try again")).to_have_count(0)
    ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 1")
    assert records.response(record).values["better"] == "The second answer."


def test_the_submit_key_belongs_to_the_form(records, at):
    ada = at(MANY)
    record, keys = record_of(ada), ada.page.keyboard
    ada.looks()
    ada.find("[data-filter-text]").focus()
    keys.press("Control+Enter")
    # A submit would show the next record with the press.
    assert record_of(ada) == record
    ada.press("edit-discard")
    ada.looks()
    keys.type("Not a question.")
    keys.press("Control+Enter")
    ada.sees("#edit-alerts", "discarded.")
    assert records.response(record).status is ResponseStatus.DISCARDED


def test_the_focus_goes_to_what_stands_in_place_of_the_last_record(at):
    ada = at(FEW)
    for done in (1, 2):
        answer(ada).fill("Good.")
        ada.press("edit-submit")
        ada.sees("#edit-progress", f"Submitted {done}")
    ada.sees("#edit-card", "All done here")
    assert ada.page.evaluate("document.activeElement.textContent") == "All done here"
    ada.sees("[data-told]", "All done here")


def test_another_dataset_shows_its_own_numbers_and_undoes_nothing_of_the_first(records, at):
    ada = at(MANY)
    record = record_of(ada)
    ada.press("edit-submit")
    ada.sees("#edit-alerts", "submitted.")
    slow(ada, "draft")
    answer(ada).fill("Typed, and off to another dataset.")
    records.begin(ada, OTHER)
    everything_came(ada)
    ada.sees("#edit-progress", "Pending 7")
    ada.page.evaluate("document.activeElement.blur()")
    ada.page.keyboard.press("z")
    everything_came(ada)
    ada.sees("#edit-record", "of 7")
    assert records.response(record).status is ResponseStatus.SUBMITTED


def test_guidelines_that_change_while_the_page_is_open_are_shown_with_the_next_record(running, at):
    ada = at(OTHER)
    ada.sees("#edit-guidelines", "Read first")
    Visitor(running.url).call("save_guidelines", dataset_of(ada), "Read this **twice**.")
    ada.press("edit-next")
    ada.sees("#edit-alerts", "The guidelines have changed.")
    ada.sees("#edit-guidelines", "Read this twice")
    assert ada.find("#edit-guidelines").get_attribute("data-unread") is not None


@pytest.mark.parametrize("redrawn", [False, True], ids=["once", "redrawn"])
def test_the_record_of_the_address_is_shown_however_late_it_comes(at, redrawn):
    ada = at(MANY)
    first = record_of(ada)
    ada.press("edit-next")
    has_left(ada, first)
    record = record_of(ada)
    expect(ada.page).to_have_url(re.compile(f"record={record}"))
    dataset = dataset_of(ada)
    # So late that what comes below comes before it, on a busy machine too.
    slow(ada, "open", 3000)
    with ada.page.expect_request("**/annotate/open"):
        ada.page.reload()
    # On a slow machine Gradio tells of the dataset once more while the first answer is on its way.
    ada.page.evaluate("dataset => window.pairloopEdit.open(dataset)", dataset)
    if redrawn:
        # Or it draws the tab anew in that moment, empty.
        ada.page.evaluate("document.getElementById('edit-host').replaceChildren(); document.body.append('')")
    shows(ada, record)
    everything_came(ada)
    assert record_of(ada) == record
