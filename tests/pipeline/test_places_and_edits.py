"""What is left of edits that were given up, and who keeps a place on a record when somebody comes back to it."""

import math
from dataclasses import replace

import pytest

from pipeline.annotation.settings import Distribution, Field, Option, Question, QuestionKind
from pipeline.annotation.templates import ANSWER
from pipeline.comparison_settings import ComparisonSettings
from pipeline.errors import RecordError
from pipeline.records import ResponseStatus, Split
from pipeline.store.datasets import NewRecord
from tests.material import open_copy, prepare
from tests.workspace import add_model, person

LABEL = Question("tone", QuestionKind.LABEL, options=tuple(map(Option, ("warm", "cold", "dry"))))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("places"))


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def desk(services):
    return services.annotation


@pytest.fixture
def record(services):
    return services.store.datasets.record_ids(services.datasets.all()[0].id)[0]


@pytest.fixture
def ada(services):
    return person(services, "Ada")


@pytest.fixture
def bo(services):
    return person(services, "Bo")


def test_who_types_back_to_what_was_submitted_and_submits_it_has_no_edits_left(desk, record, ada):
    first = desk.submit(record, ada, {ANSWER: "Yes."}, 5.0)
    desk.save_draft(record, ada, {ANSWER: "Yes, but"})
    again = desk.submit(record, ada, {ANSWER: "Yes."}, 5.0)
    assert again == first and desk.card(record, ada).values == {ANSWER: "Yes."}
    assert desk.history(record, ada) == []


def test_a_discard_that_is_taken_back_does_not_take_the_place_of_who_came_in_its_stead(desk, record, ada, bo):
    desk.discard(record, ada, {ANSWER: "Odd."})
    assert desk.keep(record, bo)
    assert desk.take_back(record, ada).status is ResponseStatus.DRAFT
    assert not desk.keep(record, ada) and desk.keep(record, bo)
    with pytest.raises(RecordError, match="kept as a draft"):
        desk.submit(record, ada, {ANSWER: "Odd."})
    assert desk.submit(record, bo, {ANSWER: "Even."}).status is ResponseStatus.SUBMITTED


def test_a_draft_of_somebody_without_a_place_does_not_shut_out_who_has_it(desk, record, ada, bo):
    assert desk.keep(record, ada)
    desk.save_draft(record, bo, {ANSWER: "I followed a link."})
    assert desk.keep(record, ada) and not desk.keep(record, bo)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf])
def test_seconds_that_are_no_number_of_seconds_harm_nothing(desk, record, ada, seconds):
    assert 0 <= desk.submit(record, ada, {ANSWER: "Yes."}, seconds).seconds <= 600


def letters(services, **changes):
    dataset = services.datasets.create("Letters", replace(services.datasets.all()[0].settings, **changes))
    return services.datasets.get(dataset.id)


def test_what_was_decided_keeps_its_question_and_its_label(services, ada):
    changes = {"fields": (Field("text"),), "questions": (LABEL, Question("why", QuestionKind.TEXT, required=False))}
    dataset = letters(services, **changes, mark_chunks=False, distribution=Distribution(1))
    services.datasets.add_records(dataset.id, [NewRecord({"text": "A letter."})])
    (record_id,) = services.store.datasets.record_ids(dataset.id)
    services.annotation.submit(record_id, ada, {"tone": "warm"})
    services.review.adjudicate(record_id, ada, {"tone": "dry", "why": "Read it again."})
    fewer = replace(LABEL, options=LABEL.options[:2])
    with pytest.raises(RecordError, match="'dry'"):
        services.datasets.edit(dataset.id, lambda s: replace(s, questions=(fewer, *s.questions[1:])))
    with pytest.raises(RecordError, match="cannot be removed"):
        services.datasets.edit(dataset.id, lambda s: replace(s, questions=s.questions[:1]))
    services.review.withdraw(record_id, ada)
    services.datasets.edit(dataset.id, lambda s: replace(s, questions=(LABEL,)))


def test_marks_of_passages_keep_being_asked_for(services, desk, record, ada):
    dataset = services.datasets.all()[0]
    services.datasets.edit(dataset.id, lambda s: replace(s, mark_chunks=True))
    services.datasets.edit(dataset.id, lambda s: replace(s, mark_chunks=False))
    services.datasets.edit(dataset.id, lambda s: replace(s, mark_chunks=True))
    desk.submit(record, ada, {ANSWER: "Yes."}, marks={"chunks": {"0": True}})
    with pytest.raises(RecordError, match="relevant"):
        services.datasets.edit(dataset.id, lambda s: replace(s, mark_chunks=False))


def test_a_test_query_in_any_text_of_a_record_is_barred_from_comparisons(services):
    changes = {
        "fields": (Field("title"), Field("asked")),
        "questions": (LABEL,),
        "mark_chunks": False,
        "mark_spans": "",
    }
    dataset = letters(services, **changes)
    services.datasets.add_records(dataset.id, [NewRecord({"title": "Case 1", "asked": "How much is it?"})])
    items = [("how  much is IT", Split.TEST, {}), ("Who?", Split.TEST, {})]
    pair = ComparisonSettings((services.registry.all()[0].id, add_model(services, "other").id))
    preview = services.comparisons.preview(pair, services.store.queries.add_set("test", items))
    assert (preview.pairs, preview.barred) == (1, 1)


def test_an_optional_answer_that_was_left_empty_is_no_training_row(services, desk, record, ada):
    dataset = services.datasets.all()[0]

    def optional(settings):
        return replace(settings, questions=tuple(replace(q, required=q.name != ANSWER) for q in settings.questions))

    services.datasets.edit(dataset.id, optional)
    ratings = {q.name: 3 for q in dataset.settings.questions if q.kind is QuestionKind.RATING}
    desk.submit(record, ada, ratings)
    assert services.tuner.data_card(dataset.id).rows == ()
