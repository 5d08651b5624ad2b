"""Datasets made in the app: from templates, changed, published, filled from a run."""

import threading
from dataclasses import replace

import pytest

from components.run_choices import left_out
from pipeline.annotation.settings import Field, FieldKind, Option, Question, QuestionKind
from pipeline.annotation.templates import templates, tutorial_settings
from pipeline.errors import NotFoundError, RecordError
from pipeline.records import ResponseStatus, Split
from pipeline.store.datasets import NewRecord
from tests.material import TEST, TRAIN, add_queries, finished, open_copy, prepare
from tests.workspace import person


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("datasets"))


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def desk(services):
    return services.datasets


@pytest.fixture
def run_id(desk):
    return desk.all()[0].run_id


def answered(services, dataset, **values):
    """Let Ada submit a response to the first record; return it."""
    record = services.store.datasets.records(dataset.id)[0]
    return services.annotation.submit(record.id, person(services, "Ada"), values)


def classification(desk):
    dataset = desk.create_from_template("text-classification", publish=True)
    desk.add_records(dataset.id, [NewRecord({"text": "good"}), NewRecord({"text": "bad"})])
    return desk.get(dataset.id)


@pytest.mark.parametrize("name", [item.name for item in templates()])
def test_a_dataset_from_a_template_is_a_draft_with_its_settings(desk, name):
    dataset = desk.create_from_template(name)
    template = next(item for item in templates() if item.name == name)
    assert (dataset.name, dataset.settings, dataset.published, dataset.size) == (
        template.called,
        template.settings,
        False,
        0,
    )
    assert desk.create_from_template(name).name == f"{template.called} (2)"


def test_the_tutorials_dataset_is_one_call(desk):
    dataset = desk.create_from_template("customer_assistant", publish=True)
    assert (dataset.name, dataset.published, dataset.settings) == ("customer_assistant", True, tutorial_settings())


def test_it_needs_no_records_to_be_published_but_something_to_ask(desk):
    dataset = desk.create_from_template("blank", "Mine")
    with pytest.raises(RecordError, match="Add a field"):
        desk.publish(dataset.id)
    desk.edit(dataset.id, lambda settings: replace(settings, fields=(Field("text"),)))
    with pytest.raises(RecordError, match="Add a question"):
        desk.publish(dataset.id)
    desk.edit(dataset.id, lambda settings: replace(settings, questions=(Question("q", QuestionKind.TEXT),)))
    assert desk.publish(dataset.id).published
    with pytest.raises(RecordError, match="Add a question"):
        desk.edit(dataset.id, lambda settings: replace(settings, questions=()))


def test_another_name_is_free_of_those_of_others_and_may_be_the_own_one(desk):
    one, two = desk.create_from_template("blank", "One"), desk.create_from_template("blank", "Two")
    assert desk.rename(two.id, " One ").name == "One (2)"
    assert desk.rename(one.id, "One").name == "One"
    with pytest.raises(RecordError, match="a name of 1 to 200 characters"):
        desk.rename(one.id, "   ")


def test_a_duplicate_has_the_settings_and_no_records(desk):
    source = classification(desk)
    desk.edit(source.id, lambda settings: replace(settings, guidelines="Second wording"))
    copy = desk.duplicate(source.id)
    assert (copy.published, copy.size, copy.name) == (False, 0, f"{source.name} (2)")
    assert copy.settings == replace(desk.get(source.id).settings, guidelines_version=1)


def test_guidelines_of_a_published_dataset_are_versions_and_a_response_keeps_its_own(services, desk):
    dataset = classification(desk)
    first = dataset.settings.guidelines
    response = answered(services, dataset, label="positive")
    said = desk.edit(dataset.id, lambda settings: replace(settings, guidelines="Look twice."))
    assert "new version" in said[0]
    assert desk.get(dataset.id).settings.guidelines_version == 2
    assert services.store.datasets.guidelines(dataset.id) == {1: first, 2: "Look twice."}
    assert response.guidelines_version == 1
    # A number in the settings that are given changes nothing.
    desk.edit(dataset.id, lambda settings: replace(settings, guidelines_version=9))
    assert desk.get(dataset.id).settings.guidelines_version == 2


def test_guidelines_of_a_draft_are_written_over(services, desk):
    dataset = desk.create_from_template("text-classification")
    assert desk.edit(dataset.id, lambda settings: replace(settings, guidelines="Draft")) == []
    assert desk.get(dataset.id).settings.guidelines_version == 1
    assert services.store.datasets.guidelines(dataset.id) == {1: "Draft"}


def test_what_would_invalidate_an_answer_is_refused_and_nothing_changes(services, desk):
    dataset = classification(desk)
    answered(services, dataset, label="positive")
    label = dataset.settings.question("label")

    def only(*values):
        options = tuple(Option(value) for value in values)
        return lambda settings: replace(
            settings, questions=(replace(label, options=options), settings.question("comment"))
        )

    with pytest.raises(RecordError, match="option 'Positive' of “Which label fits\\?” cannot be removed"):
        desk.edit(dataset.id, only("negative", "neutral"))
    assert desk.get(dataset.id).settings == dataset.settings
    desk.edit(dataset.id, only("positive", "mixed"))
    assert desk.get(dataset.id).settings.question("label").values == ("positive", "mixed")
    assert answered(services, dataset, label="mixed").status is ResponseStatus.SUBMITTED


def test_values_that_no_settings_have_are_refused(desk):
    dataset = desk.create_from_template("text-classification")
    with pytest.raises(RecordError, match="small letters"):
        desk.edit(dataset.id, lambda settings: replace(settings, fields=(Field("Not A Name"),)))


def test_what_a_distribution_does_is_said(services, desk):
    dataset = classification(desk)
    answered(services, dataset, label="positive")
    wanted = replace(dataset.settings, distribution=replace(dataset.settings.distribution, min_submitted=2))
    assert "wait for people again" in desk.edit(dataset.id, lambda _: wanted)[0]


def test_two_people_who_change_a_dataset_at_once_do_not_undo_each_other(desk):
    dataset = desk.create_from_template("blank")

    def add(number):
        field = Field(f"f{number}")
        desk.edit(dataset.id, lambda settings: replace(settings, fields=(*settings.fields, field)))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {field.name for field in desk.get(dataset.id).settings.fields} == {f"f{n}" for n in range(12)}


def test_a_dataset_that_is_not_there_is_said(desk):
    for call in (desk.publish, desk.duplicate, lambda dataset_id: desk.rename(dataset_id, "x")):
        with pytest.raises(NotFoundError):
            call("nowhere")


def test_the_tutorials_dataset_filled_from_a_run_gives_training_rows(services, desk, run_id):
    dataset = desk.create_from_template("customer_assistant", publish=True)
    assert desk.add_run(dataset.id, run_id) == len(TRAIN)
    assert desk.add_run(dataset.id, run_id) == 0
    records = services.store.datasets.records(dataset.id)
    assert [record.fields["user-message"] for record in records] == list(TRAIN)
    assert all(record.fields["context"][0]["text"] and record.split is Split.TRAIN for record in records)
    suggestion = records[0].suggestions["response"]
    assert (suggestion.value, suggestion.agent) == (records[0].completion, "extractive-base")

    values = {"question-rating": 5, "context-rating": 4, "response": "At seven."}
    answered(services, dataset, **values)
    card = services.tuner.data_card(dataset.id)
    assert [row.answer for row in card.rows] == ["At seven."] and card.problems == ()
    messages = card.rows[0].messages
    assert messages[0]["content"].startswith("You are an expert customer service assistant")
    assert records[0].fields["context"][0]["text"].strip() in messages[1]["content"]
    published = services.store.published.responses()[0]
    assert [published[name] for name in ("query_rating", "context_rating", "answer")] == [5, 4, "At seven."]


def test_a_run_of_the_tutorials_prompt_is_reviewed_in_the_tutorials_dataset(services, desk, run_id):
    dataset = desk.create_of_run(run_id, "customer-assistant", "Mine")
    assert (dataset.name, dataset.settings, dataset.size) == ("Mine", tutorial_settings(), len(TRAIN))
    assert desk.create_of_run(run_id, "answer-review").settings.query_field == "query"


def test_what_a_run_has_given_stays_where_it_went(desk, run_id):
    dataset = desk.create_of_run(run_id, "customer-assistant")
    other = Question("other", QuestionKind.TEXT, required=False)
    with pytest.raises(RecordError, match="whose answer goes to 'response', its first text question"):
        desk.edit(dataset.id, lambda settings: replace(settings, questions=(other, *settings.questions)))
    desk.edit(dataset.id, lambda settings: replace(settings, questions=(*settings.questions, other)))
    first = Field("first", required=False)
    with pytest.raises(RecordError, match="whose query goes to 'user-message', its first text field"):
        desk.edit(dataset.id, lambda settings: replace(settings, fields=(first, *settings.fields)))


def test_a_dataset_with_other_fields_gets_the_answers_of_a_run_as_plain_records(services, desk, run_id):
    dataset = desk.create_from_template("blank")
    fields = (Field("question"), Field("found", FieldKind.TEXT, required=False))
    asked = (Question("better", QuestionKind.TEXT),)
    desk.edit(dataset.id, lambda settings: replace(settings, fields=fields, questions=asked))
    assert desk.add_run(dataset.id, run_id) == len(TRAIN)
    assert desk.add_run(dataset.id, run_id) == 0
    record = services.store.datasets.records(dataset.id)[0]
    assert record.query_id is None and desk.get(dataset.id).run_id is None
    assert record.fields["question"] == TRAIN[0] and "seven in the morning" in record.fields["found"]
    assert record.suggestions["better"].agent == "extractive-base"


def test_a_run_needs_places_for_what_it_has(desk, run_id):
    dataset = desk.create_from_template("blank")
    with pytest.raises(RecordError, match="a text field for its queries and a text question"):
        desk.add_run(dataset.id, run_id)
    assert desk.get(dataset.id).size == 0


def test_a_dataset_of_one_run_takes_no_other(services, desk, run_id):
    dataset = desk.create_of_run(run_id, "answer-review")
    other = services.generation.start_run(services.registry.all()[0].id, add_queries(services, name="Again"))
    finished(services, other)
    with pytest.raises(RecordError, match="made of another run"):
        desk.add_run(dataset.id, other)


def test_test_queries_are_not_put_into_any_dataset(services, desk):
    queries = add_queries(services, train=(), test=TEST, name="Tests")
    run = services.generation.start_run(services.registry.all()[0].id, queries)
    finished(services, run)
    dataset = desk.create_from_template("customer_assistant", publish=True)
    with pytest.raises(RecordError, match="no answered train query"):
        desk.add_run(dataset.id, run)
    assert desk.get(dataset.id).run_id is None


def test_train_queries_that_another_list_holds_back_are_left_out_and_counted(services, desk, run_id):
    assert desk.left_out_of(run_id) == 0 and left_out(desk, run_id) == ()
    queries = add_queries(services, train=(*TEST, "Is there a crane?"), test=(), name="Again")
    run = services.generation.start_run(services.registry.all()[0].id, queries)
    finished(services, run)
    assert desk.create_of_run(run, "answer-review").size == 1 and desk.left_out_of(run) == len(TEST)
    assert left_out(desk, run) == (
        "3 queries of the run are test queries in another list, kept for Compare, and left out.",
    )
