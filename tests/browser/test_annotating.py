"""The Annotate panel over every kind of field and question: by keyboard alone, in a hurry, over failures, for every reader."""

import re

import pytest
from playwright.sync_api import expect

from pipeline.records import ResponseStatus
from tests.annotating import SHOWN, add_every_kind
from tests.browser.person import in_colours, settles, too_wide
from tests.browser.records import record_of, shows
from tests.browser.test_looks import ALL, COLOURS, violations
from tests.servers import QuickApp
from tests.workspace import open_workspace

pytestmark = pytest.mark.browser
ATTACK = "<script>window.ran=1</script><img src=x onerror=window.ran=2>\"'`${window.ran=3}{{window.ran=4}}"
BARE, FULL, HOSTILE = "without suggestions", "with suggestions", "hostile"
# Of every kind: how many datasets, of how many records, with which text, and whether with suggestions. No two tests share one.
KINDS = {
    BARE: (6, 12, "", False),
    FULL: (12, 24, "", True),
    HOSTILE: (2, 6, ATTACK, True),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder of a workspace with datasets of every kind."""
    folder = tmp_path_factory.mktemp("annotating") / "home"
    services = open_workspace(folder)
    for kind, (datasets, *given) in KINDS.items():
        for number in range(datasets):
            dataset = add_every_kind(services, *given)
            services.store.datasets.change(dataset.id, name=f"{kind} {number}")
    services.close()
    return folder


@pytest.fixture(scope="module")
def running(home):
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as process:
        yield process


@pytest.fixture
def at(records, running, stays):
    """Open a dataset that nobody has worked on, on the page that all tests of the file use."""

    def open_(kind):
        person = stays(running.url, path="/?tab=edit")
        records.begin(person, kind)
        person.page.evaluate("document.activeElement.blur()")
        return person

    return open_


def number_of(person) -> int:
    """Return the place of the record in this person's order."""
    return int(person.find(".pl-record").get_attribute("data-number"))


def field_holds(person, text):
    expect(person.find("#edit-field-better")).to_have_value(text)


def test_a_record_is_answered_without_a_mouse(records, at):
    ada = at(BARE)
    record, keys = record_of(ada), ada.page.keyboard
    # One digit for each question in turn: rating, label, then the labels, which take several.
    keys.press("4")
    keys.press("2")
    ada.page.locator("#edit-question-topics input[type=checkbox]").first.focus()
    for digit in "137":
        keys.press(digit)
    keys.press("3")
    # Ranks, the ties included, go from row to row.
    ada.page.locator("#edit-question-order input").first.focus()
    for digit in "211":
        keys.press(digit)
    # Through the text by Tab, and on it by the keyboard's own selection.
    ada.page.locator("#edit-field-better").focus()
    keys.type("Written by hand. 1 2 [ ] d a z m g /")
    keys.press("Escape")
    ada.page.locator("[data-marked]").focus()
    keys.press("Control+Home")
    for _ in range(len("Open 😀")):
        keys.press("Shift+ArrowRight")
    keys.press("m")
    ada.sees("[data-spans]", "Open 😀")
    ada.page.locator("[data-chunk-mark='1'][data-relevant=true]").focus()
    keys.press("Enter")
    ada.looks()
    keys.press("Control+Enter")
    ada.sees("#edit-alerts", "submitted.")
    response = records.response(record)
    assert response.status is ResponseStatus.SUBMITTED
    assert response.values == {
        "quality": 4,
        "verdict": "partly",
        "topics": ["topic-1", "topic-7"],
        "order": [{"value": "a", "rank": 2}, {"value": "b", "rank": 1}, {"value": "c", "rank": 1}],
        "better": "Written by hand. 1 2 [ ] d a z m g /",
    }
    (span,) = response.marks["spans"]
    assert span == {"start": 0, "end": 6, "text": SHOWN[:6]} and response.marks["chunks"] == {"1": True}
    assert 0 < response.seconds < 120


def test_what_is_missing_is_named_beside_its_question_and_nothing_is_sent(records, at):
    ada = at(BARE)
    record = record_of(ada)
    ada.press("edit-submit")
    ada.sees("#edit-question-quality [data-wrong]", "Answer this before you submit")
    ada.sees("#edit-question-order [data-wrong]", "Rank every option")
    ada.sees("#edit-status", "“How good is it?”, “Supported?”, “Rank the replies”, “A better answer”")
    assert ada.page.evaluate("document.activeElement.name") == "answer-quality"
    assert record_of(ada) == record and records.response(record) is None
    ada.page.keyboard.press("3")
    expect(ada.find("#edit-question-quality [data-wrong]")).to_be_hidden()


def test_the_next_record_is_there_at_once_and_undo_brings_the_last_one_back(records, at):
    ada = at(FULL)
    record = record_of(ada)
    ada.find("#edit-field-better").fill("What I think.")
    # However slow the server is, the page is not: with the press.
    assert ada.page.evaluate("""() => {
        const shown = () => document.querySelector('#edit-record [data-shows]').dataset.shows;
        const before = shown();
        document.getElementById('edit-submit').click();
        return shown() !== before;
    }""")
    ada.sees("#edit-alerts", "submitted.")
    following = record_of(ada)
    ada.page.evaluate("document.activeElement.blur()")
    ada.page.keyboard.press("z")
    shows(ada, record)
    field_holds(ada, "What I think.")
    assert records.response(record).status is ResponseStatus.DRAFT
    ada.sees("#edit-form", "Earlier versions (1)")
    # Submitted again, the same record follows as before.
    ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 1")
    assert record_of(ada) == following


def test_suggestions_are_marked_taken_by_one_key_and_given_back(at):
    ada = at(FULL)
    ada.sees("#edit-question-quality", "Suggested by judge, score 0.82")
    assert ada.page.locator("#edit-question-topics .pl-choice:has(.pl-suggested)").count() == 2
    ada.click("#edit-question-quality label:has-text('1')")
    ada.click("#edit-question-verdict [data-clear]")
    ada.page.evaluate("document.activeElement.blur()")
    ada.page.keyboard.press("a")
    # What was not answered takes its suggestion first, what was changed stays.
    expect(ada.find("#edit-question-verdict input[value=partly]")).to_be_checked()
    expect(ada.find("#edit-question-quality input[value='1']")).to_be_checked()
    ada.page.get_by_role("button", name="Put back").click()
    expect(ada.find("#edit-question-verdict input[value=partly]")).not_to_be_checked()
    ada.page.get_by_role("button", name="Use suggestion for How good is it?").click()
    expect(ada.find("#edit-question-quality input[value='4']")).to_be_checked()


def answering(status: int, body: str):
    """Return what answers every request with a failure."""
    return lambda route: route.fulfill(status=status, body=body)


def test_a_refused_submit_is_told_on_the_next_record_and_keeps_the_text(records, at):
    ada = at(FULL)
    record = record_of(ada)
    answers = [(503, '{"error": "The disk is full. Free some space."}'), (502, "<html>Bad gateway</html>")]
    for status, body in answers:
        ada.page.route("**/annotate/end", answering(status, body))
        ada.find("#edit-field-better").fill(f"Typed before {status}.")
        ada.press("edit-submit")
        reason = "The disk is full" if status == 503 else "the server answered 502"
        ada.sees("#edit-alerts", re.compile(rf"Your answer to record \d+ was not submitted: {reason}"))
        assert record_of(ada) != record
        ada.page.get_by_role("button", name="Go back to it").click()
        shows(ada, record)
        field_holds(ada, f"Typed before {status}.")
        ada.page.unroute("**/annotate/end")
        ada.looks()
    # It went to the server as a draft in the meantime.
    ada.sees("#edit-status", "Draft saved")
    assert records.response(record).values["better"] == "Typed before 502."
    ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 1")


def test_a_draft_of_another_window_is_not_overwritten_unasked(records, at):
    ada = at(FULL)
    record = record_of(ada)
    other = ada.context.new_page()
    other.goto(ada.page.url)
    other.locator(f"#edit-record [data-shows='{record}']").wait_for()
    settles(other)
    ada.find("#edit-field-better").fill("From the first window.")
    ada.sees("#edit-status", "Draft saved")
    other.locator("#edit-field-better").fill("From the second window.")
    expect(other.locator("#edit-alerts")).to_contain_text("This record was changed in another window.")
    settles(other)
    assert records.response(record).values["better"] == "From the first window."
    other.locator("#edit-load-that").click()
    expect(other.locator("#edit-field-better")).to_have_value("From the first window.")
    settles(other)
    other.locator("#edit-field-better").fill("Decided.")
    expect(other.locator("#edit-status")).to_contain_text("Draft saved")
    # The first window learns of it, and keeps its own.
    ada.find("#edit-field-better").fill("Mine after all.")
    ada.sees("#edit-alerts", "This record was changed in another window.")
    ada.click("#edit-keep-mine")
    ada.sees("#edit-status", "Draft saved")
    assert records.response(record).values["better"] == "Mine after all."
    other.close()


def test_the_address_names_the_record_and_leads_back_to_it(at):
    ada = at(FULL)
    following = f"Record {number_of(ada) + 1} of 24"
    dataset = ada.find("#edit-dataset input").input_value()
    ada.press("edit-next")
    ada.sees("#edit-record", following)
    record = record_of(ada)
    expect(ada.page).to_have_url(re.compile(f"record={record}"))
    # Of another dataset than the newest, without its name.
    ada.page.goto(f"{ada.url}/?tab=edit&record={record}")
    shows(ada, record)
    ada.sees("#edit-record", following)
    expect(ada.find("#edit-dataset input")).to_have_value(dataset)


def test_q_goes_from_question_to_question_and_r_and_n_from_passage_to_passage(at):
    ada = at(BARE)
    keys, page = ada.page.keyboard, ada.page
    seen = []
    for _ in range(6):
        keys.press("q")
        seen.append(page.evaluate("document.activeElement.closest('[data-question]')?.dataset.question"))
        # In a text a letter is a letter: Esc leaves it.
        keys.press("Escape")
    assert seen == ["quality", "verdict", "topics", "order", "better", "quality"]
    for key in "rnr":
        keys.press(key)
    marked = page.locator("[data-chunk-mark][aria-pressed=true]")
    found = {button.get_attribute("data-chunk-mark"): button.get_attribute("data-relevant") for button in marked.all()}
    assert list(found.items())[:2] == [("0", "true"), ("1", "false")]
    ada.sees("#edit-status", "Draft saved")


def test_lists_close_by_tab_and_the_filter_by_escape_and_both_fit(at):
    ada = at(FULL)
    keys = ada.page.keyboard
    for width in (1440, 390):
        ada.page.set_viewport_size({"width": width, "height": 900})
        ada.settles()
        # A list that stays open would lie over what is below it.
        ada.find("#edit-dataset input").focus()
        keys.press("ArrowDown")
        expect(ada.page.get_by_role("option").first).to_be_visible()
        keys.press("Tab")
        expect(ada.page.get_by_role("option")).to_have_count(0)
        ada.click(".pl-filter summary")
        panel = ada.find(".pl-filter form, .pl-filter > div").bounding_box()
        assert panel["x"] >= 0 and panel["x"] + panel["width"] <= width
        ada.find(".pl-filter [data-filter-term=source]").first.focus()
        keys.press("Escape")
        expect(ada.page.locator(".pl-filter[open]")).to_have_count(0)


def test_queues_search_filter_and_list(at):
    ada = at(FULL)
    ada.click("[data-list]")
    row = ada.find("#edit-list li:nth-child(5) button")
    number = row.locator(".pl-number").inner_text()
    row.click()
    ada.sees("#edit-record", f"Record {number} of 24")
    # Records that others have done are in nobody's queue any more, and which these are is drawn: one that waits is looked for.
    waiting = ada.page.locator("#edit-list li button").filter(has_text=re.compile(r"case \d\d\?")).first.inner_text()
    case = re.search(r"case \d\d\?", waiting)[0]
    ada.find("[data-filter-text]").fill(case)
    ada.sees("#edit-record h3", case)
    expect(ada.page.locator("#edit-list [data-open-record]")).to_have_count(1)
    ada.find("[data-filter-text]").fill("nothing like it")
    ada.sees("#edit-card", "No record matches")
    ada.click("#edit-unfilter")
    ada.sees("#edit-record", "of 24")
    ada.click(".pl-filter summary")
    ada.find("[data-filter-term=source][value=email]").check()
    # The record before may be of this source too: what is meant is the one that comes.
    with ada.page.expect_response("**/annotate/open"):
        ada.page.get_by_role("button", name="Apply").click()
    ada.looks()
    ada.sees(".pl-metadata", "email")
    ada.sees(".pl-filter summary", "(1)")
    ada.discards("Not a question.")
    ada.sees("#edit-progress", "Discarded 1")
    ada.click("[data-queue=discarded]")
    ada.sees("#edit-record", "You discarded this: Not a question.")
    expect(ada.find("[data-queue=discarded]")).to_have_attribute("aria-pressed", "true")


def test_keys_can_be_changed_and_kept_and_a_taken_one_is_refused(at):
    ada = at(FULL)
    ada.page.keyboard.press("?")
    ada.click("[data-change-keys]")
    change = ada.page.locator("#pl-keys [data-action='edit.next'] [data-change-key]")
    change.click()
    ada.page.keyboard.press("d")
    ada.sees("[data-keys-note]", "D is taken")
    change.click()
    ada.page.keyboard.press("x")
    ada.click("[data-close-keys]")
    ada.sees("#edit-next", "X")
    following = number_of(ada) + 1
    ada.page.keyboard.press("x")
    ada.sees("#edit-record", f"Record {following} of 24")
    # The key that it was does nothing: with the next one it goes back from the same record.
    ada.page.keyboard.press("]")
    ada.settles()
    ada.page.keyboard.press("[")
    ada.sees("#edit-record", f"Record {following - 1} of 24")
    # Kept for every page of this browser, whatever it opens with.
    ada.page.goto(f"{ada.url}/?tab=edit&record=gone")
    ada.sees("#edit-alerts", "The record that this address names is not there any more.")
    ada.sees("#edit-next", "X")
    ada.page.keyboard.press("?")
    ada.click("[data-change-keys]")
    ada.click("[data-reset-keys]")
    ada.click("[data-close-keys]")
    ada.sees("#edit-next", "]")


def test_markup_in_every_field_question_and_name_is_text(records, at):
    ada = at(HOSTILE)
    ada.sees("#edit-record", "<script>window.ran=1</script>")
    ada.click("[data-list]")
    ada.sees("#edit-list", "<script>")
    ada.find("#edit-field-better").fill(f"{ATTACK} changed")
    ada.sees("#edit-screen .pl-diff ins", "changed")
    ada.page.evaluate("getSelection().selectAllChildren(document.querySelector('[data-marked]'))")
    ada.click("[data-mark]")
    ada.sees("[data-spans]", "<script>window.ran=1</script>")
    ada.sees("#edit-status", "Draft saved")
    ada.press("edit-submit")
    ada.sees("#edit-alerts", "submitted.")
    ada.press("edit-undo")
    ada.sees("#edit-form", "Earlier versions (1)")
    ada.click(".pl-history summary")
    planted = "#edit-host :is(script, img, iframe, [onerror])"
    assert ada.page.evaluate("window.ran") is None and ada.page.locator(planted).count() == 0


def test_every_part_fits_and_is_accessible(at):
    ada = at(FULL)
    ada.click("#edit-guidelines summary")
    ada.click("[data-list]")
    ada.find("#edit-list [data-open-record]").wait_for()
    ada.find("#edit-field-better").fill("Another text than was suggested.")
    ada.sees("#edit-screen .pl-diff ins", "Another")
    ada.page.evaluate("getSelection().selectAllChildren(document.querySelector('[data-marked]'))")
    ada.click("[data-mark]")
    ada.press("edit-discard")
    ada.click(".pl-filter summary")
    for width in (1440, 390):
        ada.page.set_viewport_size({"width": width, "height": 844})
        for look, wanted in (("dark", COLOURS), ("light", ALL)):
            in_colours(ada.page, look)
            assert too_wide(ada.page, width) + violations(ada, wanted) == []
