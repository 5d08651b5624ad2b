"""The Review panel: what it shows, what it hides, and what it refuses."""

import csv
import re
from html import unescape
from types import SimpleNamespace

import gradio as gr
import pytest

from components.edit import review, review_html, review_item
from pipeline.annotation.settings import with_new_guidelines
from pipeline.errors import PipelineError, RecordError
from pipeline.unification import State
from tests.components.screens import NOBODY, choices, event
from tests.reviewed import AGREED, CLOSE, OTHERS, SETTINGS, add_reviewed, new_records, ranks


def browser_of(name):
    """Return a request from the browser of a person of this name."""
    return SimpleNamespace(cookies={"pairloop_person": name[0].lower() * 64})


ADA, DORA = browser_of("Ada"), browser_of("Dora")


@pytest.fixture
def made(services):
    return add_reviewed(services)


@pytest.fixture
def handlers(services):
    return review.ReviewHandlers(services)


@pytest.fixture
def dataset_id(made):
    return made[0].id


@pytest.fixture
def ids(made):
    return made[1]


def plain(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def opened(handlers, record_id, who=DORA):
    return handlers.open_record(who, event(record=record_id)).item


def test_without_a_dataset_or_answers_the_panel_says_what_will_be_here(services, handlers):
    assert "Nothing to review yet" in handlers.show_dataset(None, DORA).headline
    dataset = services.datasets.create("Empty", SETTINGS)
    services.datasets.add_records(dataset.id, new_records())
    screen = handlers.show_dataset(dataset.id, DORA)
    assert "When answers are submitted" in screen.headline and not screen.overview.visible


def test_the_sentence_on_top_says_how_far_people_agree_and_what_it_rests_on(handlers, dataset_id):
    words = plain(handlers.show_dataset(dataset_id, DORA).headline)
    assert "Annotators agree hardly more than by chance on 4 questions (α" in words and "n = 5 records)" in words
    assert "5 of 8 records answered, 5 by two people or more, 4 with all answers they need." in words


def test_few_questions_are_named_with_alpha_interval_and_n(services, handlers, dataset_id):
    report = services.review.report(dataset_id)
    found = report.questions[1].alpha
    few = review_html.headline(
        SimpleNamespace(
            **{name: getattr(report, name) for name in report.__slots__} | {"questions": report.questions[1:3]}
        )
    )
    low, high = (review_html.number(bound) for bound in (found.low, found.high))
    assert f"“Tone” (α {found.alpha:.2f} [{low} to {high}], n = 5 records)" in plain(few)


def test_numbers_have_a_real_minus_and_zero_has_none():
    assert (review_html.number(-0.25), review_html.number(-0.001), review_html.number(12.5, 0)) == (
        "−0.25",
        "0.00",
        "12",
    )


def test_every_table_is_filled(handlers, dataset_id):
    screen = handlers.show_dataset(dataset_id, DORA)
    questions, people = plain(screen.questions), plain(screen.people)
    assert all(question.heading in questions for question in SETTINGS.questions) and "MASI" in questions
    assert "Passages relevant or not" in questions and "72 %" in questions
    assert (
        "5 submitted · 1 draft · 0 discarded · 2 pending" in people and "360 an hour" in people and "n = 36" in people
    )
    assert "Precision@2" in screen.retrieval and "0.50" in screen.retrieval
    assert "base-model" in screen.suggestions and "n = " in screen.suggestions
    assert choices(screen.question) == ["All questions", *(question.heading for question in SETTINGS.questions)]
    assert screen.passages.visible


def test_a_panel_that_nobody_sees_is_not_filled(handlers, dataset_id):
    assert set(map(str, handlers.show_where_looked_at(dataset_id, "", DORA))) == {str(gr.skip())}
    assert "agree" in handlers.show_where_looked_at(dataset_id, "yes", DORA).headline


def test_the_list_says_how_many_are_hidden_and_why(handlers, dataset_id):
    words = plain(handlers.list_disagreements(dataset_id, "", DORA))
    assert "2 records with answers of others are not shown: they still wait for you" in words
    assert "4 of 4 records, the least agreed first" in words
    assert "How much is the mooring fee" in words and "What does a token" not in words
    by_rating = handlers.list_disagreements(dataset_id, "quality", DORA)
    assert re.findall(r"<b>(\d+) %</b> apart", by_rating) == ["67", "50", "17", "0"]
    # A question of another dataset, left over in the dropdown, orders nothing.
    assert handlers.list_disagreements(dataset_id, "colour", DORA) == handlers.list_disagreements(dataset_id, "", DORA)
    assert handlers.list_more(dataset_id, "", DORA, event(count="x")) == handlers.list_disagreements(
        dataset_id, "", DORA
    )


def test_an_opened_record_shows_answers_side_by_side_and_marks_what_differs(handlers, ids):
    html = opened(handlers, ids[2])
    words = plain(html)
    assert "Where is diesel sold?" in words and "Every boat pays a fee." in words
    assert all(name in words for name in ("Ada", "Bo", "Cy")) and "fuel, storms" in words and "A = B > C" in words
    tone = html[html.index('data-decides="tone"') : html.index('data-decides="topics"')]
    assert tone.count("data-differs") == 1 and "differs" in tone
    # Texts are held against the one that is nearest to the others.
    answer = html[html.index('data-decides="answer"') :]
    assert (
        "Changes are shown against the answer of" in answer
        and "<ins>" in answer
        and answer.count('data-review="use"') == 3
    )
    assert "Passage 2" in words and "Cy: relevant" in words
    assert "gold-7" not in html and 'id="edit-sources"' not in html


def test_the_form_holds_what_the_answers_come_to(handlers, ids):
    html = opened(handlers, ids[2])
    assert re.search(r'name="decide-quality" value="4" checked', html)
    assert re.search(r'name="decide-tone" value="warm" checked', html)
    assert re.search(r'value="fees" checked', html) and "Unresolved" in plain(html)
    assert html.count('<option value="1" selected>') >= 1


def test_untrusted_text_is_text(services, handlers, made):
    dataset, ids, people = made
    evil = "<img src=x onerror=alert(1)> \"' ${1} {{x}}"
    services.annotation.submit(ids[4], people[2], {**AGREED, "answer": evil})
    services.store.members.rename(people[2], "<b>Cy</b>")
    services.review.adjudicate(ids[4], people[2], {"answer": evil}, evil)
    html = opened(handlers, ids[4]) + "".join(map(str, handlers.refresh(dataset.id, "", DORA)))
    html += handlers.show_dataset(dataset.id, DORA).people
    assert "<img" not in html and "<b>Cy" not in html and "${1}" not in html and "{{x}}" not in html
    assert "&lt;img" in html


def test_a_decision_is_kept_shown_and_taken_back(services, handlers, dataset_id, ids):
    given = {"quality": 2, "tone": "cold", "topics": ["fuel"], "order": ranks(a=1, b=1, c=3), "answer": " Ten euros. "}
    html = handlers.adjudicate(DORA, event(record=ids[3], values=given, reason="It says so."))
    assert "Decided by Guest" in plain(html) and "Undo decision" in html and "It says so." in html
    item = services.review.item(ids[3], services.store.members.by_token("a" * 64))
    assert {name: found.value for name, found in item.unified.items()} == given
    assert {found.state for found in item.unified.values()} == {State.ADJUDICATED}
    headline, questions, listed, unified = handlers.refresh(dataset_id, "", DORA)
    assert "1 decided" in headline and "decided" in listed and "<div>1</div>" in unified and questions
    html = handlers.withdraw(DORA, event(record=ids[3]))
    assert "Undo decision" not in html and "Decided by" not in html


def test_a_question_without_a_decision_keeps_what_people_answered(services, handlers, ids):
    values = {"quality": 3, "tone": None, "topics": [], "order": [], "answer": ""}
    handlers.adjudicate(DORA, event(record=ids[2], values=values, reason=""))
    item = services.review.item(ids[2], services.store.members.by_token("a" * 64))
    assert item.unified["tone"].state is State.UNIFIED and dict(item.adjudication.values) == {"quality": 3}


@pytest.mark.parametrize("data", [{}, {"values": [], "reason": ""}, {"values": {"quality": 3}, "reason": None}])
def test_a_decision_that_did_not_arrive_whole_is_refused(handlers, ids, data):
    with pytest.raises(RecordError, match="did not arrive whole"):
        handlers.adjudicate(DORA, event(record=ids[0], **data))


def test_records_that_wait_are_neither_opened_nor_decided(handlers, ids):
    for act in (
        lambda: handlers.open_record(DORA, event(record=ids[4])),
        lambda: handlers.adjudicate(DORA, event(record=ids[4], values={"quality": 3}, reason="")),
        lambda: handlers.withdraw(DORA, event(record=ids[5])),
    ):
        with pytest.raises(RecordError, match="still waits for you"):
            act()


def test_next_goes_on_to_what_is_not_decided(handlers, dataset_id, ids):
    first = handlers.open_next(dataset_id, "", DORA, event(record=""))
    assert "Record 3" in plain(first.item)
    assert "Record 4" in plain(handlers.open_next(dataset_id, "", DORA, event(record=ids[2])).item)
    handlers.adjudicate(DORA, event(record=ids[3], values={"quality": 2}, reason=""))
    assert "Record 2" in plain(handlers.open_next(dataset_id, "", DORA, event(record=ids[2])).item)
    # The one that is left is unanimous.
    end = handlers.open_next(dataset_id, "", DORA, event(record=ids[1]))
    assert end.overview.visible and not end.detail.visible


def test_the_downloads_hold_every_record(handlers, dataset_id):
    with open(handlers.download_csv(dataset_id, DORA), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and rows[0]["tone"] == "warm" and rows[4]["tone.state"] == "hidden"
    with open(handlers.download_jsonl(dataset_id, DORA), encoding="utf-8") as file:
        text = file.read()
    assert text.count("\n") == 8 and CLOSE["answer"] in text
    with pytest.raises(RecordError, match="Choose a dataset"):
        handlers.download_csv(None, DORA)


def test_nobody_without_a_cookie_sees_answers(handlers, dataset_id, ids):
    for act in (
        lambda: handlers.show_dataset(dataset_id, NOBODY),
        lambda: handlers.open_record(NOBODY, event(record=ids[0])),
    ):
        with pytest.raises(PipelineError, match="no cookie"):
            act()


def test_the_values_of_others_are_not_in_what_a_waiting_person_gets(handlers, dataset_id, ids):
    # Record 5 alone has a text that no other record has.
    whole = "".join(map(str, handlers.show_dataset(dataset_id, DORA)))
    assert ids[4] not in whole and ids[5] not in whole and "The query is cut off" not in whole
    assert OTHERS["answer"] not in whole


def test_older_guidelines_are_named(services, made):
    dataset, ids, people = made
    services.store.datasets.change(dataset.id, settings=with_new_guidelines(dataset.settings, "Kindly."))
    services.annotation.submit(ids[4], people[2], AGREED)
    words = plain(review_html.headline(services.review.report(dataset.id)))
    assert "Guidelines: 15 answers, 14 under version 1 and 1 under version 2." in words
    assert "guidelines version 1" in review_item.item_html(services.review.item(ids[0], people[0]))
