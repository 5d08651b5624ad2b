"""Edit and Compare without a mouse: every key does what it says, none acts while somebody types, and the focus is seen."""

import re
from urllib.parse import urlsplit

import pytest

from pipeline.records import Outcome
from pipeline.store import open_store
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser


FROM_THE_BEGINNING = """() => {
    const first = document.createElement('span');
    first.tabIndex = -1;
    document.body.prepend(first);
    first.focus();
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with the example's records to review and five pairs to judge."""
    home = tmp_path_factory.mktemp("keys") / "home"
    services = open_workspace(home, example=True)
    services.example.review()
    models = add_model(services, "one"), add_model(services, "two")
    # One for each test.
    for _ in range(3):
        add_comparison(services, models, [(f"Answer {n}. [1]", f"Another answer {n}. [1]") for n in range(5)])
    services.close()
    with QuickApp(home) as process:
        yield process


@pytest.fixture
def editor(running, stays):
    """Somebody on a record that nobody has begun, with the focus on no part of it."""
    person = stays(running.url, path="/?tab=edit")
    person.go("Edit")
    # Which record it is depends on what others have begun, and on the test before.
    person.sees("#edit-record", re.compile(r"Record \d+ of 24"))
    while True:
        number = number_of(person)
        person.press("edit-next")
        person.sees("#edit-record", f"Record {number + 1} of 24")
        if not person.find("#edit-screen [data-record]").get_attribute("data-status"):
            break
    person.looks()
    person.page.evaluate("document.activeElement.blur()")
    return person


def number_of(person) -> int:
    return int(re.search(r"Record (\d+) of", person.find("#edit-record").inner_text())[1])


@pytest.fixture
def voter_on(running, stays):
    """Open a comparison, with the focus on no part of it."""

    def open_(number: int):
        person = stays(running.url)
        person.go("Compare")
        person.choose("compare-chosen", re.compile(f"Comparison {number} "))
        person.sees("#compare-progress", "0 of 5")
        person.looks()
        person.page.evaluate("document.activeElement.blur()")
        return person

    return open_


@pytest.fixture
def sent(running, stays):
    """The addresses that the page has asked at since the test began, in the order of sending."""
    page, asked = stays(running.url).page, []

    def note(request) -> None:
        asked.append(urlsplit(request.url).path)

    page.on("request", note)
    yield asked
    page.remove_listener("request", note)


def chosen(person, element_id) -> list[str]:
    return [box.input_value() for box in person.page.locator(f"#{element_id} input:checked").all()]


def focused(person) -> str:
    """Return the id of what has the focus, or of the nearest part around it that has one."""
    return person.page.evaluate("document.activeElement.closest('[id]')?.id ?? ''")


def has_ring(person) -> bool:
    """Say whether what has the focus, or a frame around it, is drawn with an outline."""
    script = """() => {
        let part = document.activeElement;
        for (let up = 0; part && up < 4; up += 1, part = part.parentElement) {
            const style = getComputedStyle(part);
            if (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2) return true;
        }
        return false;
    }"""
    return person.page.evaluate(script)


def test_digits_rate_one_after_the_other_and_brackets_turn_pages(editor):
    keys, number = editor.page.keyboard, number_of(editor)
    keys.press("4")
    editor.page.wait_for_function("document.querySelectorAll('#edit-question-query_rating input:checked').length === 1")
    keys.press("2")
    editor.page.wait_for_function(
        "document.querySelectorAll('#edit-question-context_rating input:checked').length === 1"
    )
    assert (chosen(editor, "edit-question-query_rating"), chosen(editor, "edit-question-context_rating")) == (
        ["4"],
        ["2"],
    )
    # Both are rated: a digit changes only the rating that has the focus.
    editor.page.locator("#edit-question-query_rating input").nth(3).focus()
    keys.press("5")
    editor.page.wait_for_function("document.querySelector('#edit-question-query_rating input:checked')?.value === '5'")
    assert (chosen(editor, "edit-question-query_rating"), chosen(editor, "edit-question-context_rating")) == (
        ["5"],
        ["2"],
    )
    editor.sees("#edit-status", "Draft saved")
    keys.press("]")
    editor.sees("#edit-record", f"Record {number + 1} of 24")
    keys.press("[")
    editor.sees("#edit-record", f"Record {number} of 24")
    editor.page.wait_for_function("document.querySelector('#edit-question-query_rating input:checked')?.value === '5'")


def test_no_key_acts_while_somebody_types(editor):
    before, number = editor.text_of("edit-question-answer"), number_of(editor)
    field = editor.find("#edit-question-answer textarea")
    field.click()
    editor.page.keyboard.press("Control+End")
    editor.page.keyboard.type(" 12345 [ ] ? sz")
    editor.keeps("edit-question-answer", before + " 12345 [ ] ? sz")
    editor.sees("#edit-status", "Draft saved")
    assert chosen(editor, "edit-question-query_rating") + chosen(editor, "edit-question-context_rating") == []
    assert editor.page.locator("dialog[open]").count() == 0 and number_of(editor) == number


def test_a_key_that_is_held_down_submits_once(editor, sent):
    editor.find("#edit-question-answer textarea").click()
    editor.page.keyboard.down("Control")
    for _ in range(4):
        # Pressed again without being let go, as the keyboard repeats a key.
        editor.page.keyboard.down("Enter")
    editor.page.keyboard.up("Enter")
    editor.page.keyboard.up("Control")
    editor.sees("#edit-progress", "Submitted 1")
    # What is asked for now is sent after whatever the key has sent.
    number = number_of(editor)
    editor.press("edit-next")
    editor.sees("#edit-record", f"Record {number + 1} of 24")
    assert sent.count("/annotate/end") == 1
    editor.sees("#edit-progress", "Submitted 1")


def test_the_list_of_keys_opens_holds_the_keys_and_closes(editor, sent):
    number = number_of(editor)
    editor.page.keyboard.press("?")
    editor.sees("dialog#pl-keys[open]", "both bad")
    # While it is open, no key reaches the record behind it.
    editor.page.keyboard.press("3")
    editor.page.keyboard.press("]")
    editor.settles()
    assert number_of(editor) == number and chosen(editor, "edit-question-query_rating") == []
    editor.page.keyboard.press("Escape")
    editor.page.locator("dialog#pl-keys[open]").wait_for(state="detached")
    editor.find("[data-open-keys]").focus()
    editor.page.keyboard.press("Enter")
    editor.find("dialog#pl-keys[open]").wait_for()
    editor.find("[data-close-keys]").click()
    editor.page.locator("dialog#pl-keys[open]").wait_for(state="detached")
    # A key that turns the page is sent after whatever those behind the list have sent.
    before = len(sent)
    editor.page.keyboard.press("]")
    editor.sees("#edit-record", f"Record {number + 1} of 24")
    assert not [path for path in sent[:before] if path.startswith("/annotate/") and path != "/annotate/stay"]
    # A digit is no request at once, but a draft that goes before the page is turned.
    assert "/annotate/draft" not in sent and sent.count("/annotate/step") == 1


def test_every_verdict_has_a_key_and_the_last_can_be_taken_back(running, voter_on):
    voter = voter_on(1)
    for number, key in enumerate("1234", start=1):
        voter.looks()
        voter.page.keyboard.press(key)
        voter.sees("#compare-progress", f"{number} of 5")
    voter.page.keyboard.press("z")
    voter.sees("#compare-progress", "3 of 5")
    # One at a time: a second press while the first is still being answered is dropped.
    voter.looks()
    voter.page.keyboard.press("Z")
    voter.sees("#compare-progress", "2 of 5")
    store = open_store(running.home / "pairloop.db")
    votes = store.votes.of_set(min(item.id for item in store.comparisons.sets()))
    store.close()
    assert [vote.outcome for vote in votes if vote.annotator_id != "automatic"] == [Outcome.MODEL_A, Outcome.MODEL_B]


def test_s_opens_and_closes_the_sources(voter_on):
    voter = voter_on(2)
    assert voter.page.locator("#compare-sources details[open]").count() == 0
    voter.page.keyboard.press("s")
    voter.page.locator("#compare-sources details[open]").first.wait_for()
    voter.page.keyboard.press("s")
    voter.page.wait_for_function("!document.querySelector('#compare-sources details[open]')")
    assert voter.find("#compare-progress").inner_text().strip().startswith("0 of 5")


def test_no_verdict_is_given_from_the_fields(voter_on):
    voter = voter_on(3)
    for field in ("vote-reason", "vote-correction"):
        voter.find(f"#{field} textarea").click()
        voter.page.keyboard.type("1234 zZ sS ?")
        voter.keeps(field, "1234 zZ sS ?")
    voter.page.keyboard.press("Control+Enter")
    assert voter.page.locator("#compare-sources details[open]").count() == 0
    voter.settles()
    assert voter.find("#compare-progress").inner_text().strip().startswith("0 of 5")
    # The next verdict is the first one, and stays the only one.
    voter.press("vote-tie")
    voter.sees("#compare-progress", "1 of 5")
    voter.sees("#compare-progress", "1 of 5")


@pytest.mark.parametrize(
    ("tab", "wanted"),
    [
        ("compare", ["vote-a", "vote-tie", "vote-bad", "vote-b", "vote-reason", "vote-correction"]),
        (
            "edit",
            [
                f"edit-{part}"
                for part in (
                    "question-query_rating",
                    "question-context_rating",
                    "field-answer",
                    "back",
                    "discard",
                    "submit",
                )
            ],
        ),
    ],
)
def test_tab_reaches_everything_in_its_order_and_shows_where_it_is(running, stays, tab, wanted):
    person = stays(running.url)
    person.go(tab.title())
    person.sees(f"#{tab}-progress", re.compile(r"\d"))
    person.find(f"#{tab}-screen [data-shows]").wait_for()
    # As when the page has just come: from its very beginning.
    person.page.evaluate(FROM_THE_BEGINNING)
    reached: list[str] = []
    hidden: list[str] = []
    for _ in range(60):
        person.page.keyboard.press("Tab")
        place = focused(person)
        if not has_ring(person):
            hidden.append(place)
        reached.append(place)
        if place == wanted[-1]:
            break
    assert hidden == []
    assert [place for place in dict.fromkeys(reached) if place in wanted] == wanted
