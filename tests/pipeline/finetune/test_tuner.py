"""From submitted responses to training rows, files, jobs and models, with their lineage."""

import json
import re
import threading
from dataclasses import replace

import pytest

from components.tune.handlers import TuneHandlers
from pipeline.annotation.templates import ANSWER, review_settings
from pipeline.errors import NotFoundError, TrainingError
from pipeline.export import chat_tokens, validate_chat_jsonl
from pipeline.finetune.rows import Method
from pipeline.finetune.trainers import Option, check_options
from pipeline.prompts import get_template, render_messages
from pipeline.records import JobState, ResponseStatus, Split
from pipeline.store.training import TrainingRow
from tests import stores
from tests.material import TEST, TRAIN, open_copy, prepare, trained
from tests.workspace import person, respond


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("tuner"))


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def dataset(services):
    return services.datasets.all()[0]


@pytest.fixture
def records(services, dataset):
    return services.store.datasets.records(dataset.id)


@pytest.fixture
def ada(services):
    return person(services, "Ada")


def submit_all(services, records, who):
    """Submit every suggestion, cut to its first sentence."""
    for record in records:
        services.annotation.submit(record.id, who, {ANSWER: record.completion.partition(". ")[0].rstrip(".") + "."})


def with_test_queries(services, dataset):
    """Make a dataset that also holds the test queries of the run, as only a mistake elsewhere could."""
    run = services.store.runs.get(dataset.run_id)
    items = [(row.query.id, row.completion.id) for row in services.generation.rows(run)]
    return services.store.datasets.add_of_run(
        "All of it", review_settings(dataset.template), dataset.template, run.id, items
    )


def test_only_submitted_answers_to_train_queries_become_rows(services, dataset, ada):
    mixed = with_test_queries(services, dataset)
    records = services.store.datasets.records(mixed)
    assert [record.split for record in records] == [Split.TRAIN] * 5 + [Split.TEST] * 3
    services.annotation.submit(records[0].id, ada, {ANSWER: "At seven."})
    services.annotation.submit(records[1].id, ada, {ANSWER: records[1].completion})
    services.annotation.save_draft(records[2].id, ada, {ANSWER: "A draft."})
    services.annotation.discard(records[3].id, ada, {ANSWER: "A discard."})
    services.annotation.save_draft(records[4].id, ada, {ANSWER: "Another draft."})
    for record in records[5:]:
        services.annotation.submit(record.id, ada, {ANSWER: "A test answer."})
    card = services.tuner.data_card(mixed)
    assert [row.query for row in card.rows] == list(TRAIN[:2])
    assert [row.answer for row in card.rows] == ["At seven.", records[1].completion]
    counts = (card.queries, card.unchanged, card.drafts, card.discarded, card.test_rows)
    assert counts == (2, 1, 2, 1, 3)
    written = services.tuner.chat_jsonl(mixed)
    left_out = ["A draft.", "A discard.", "Taken back.", "A test answer.", *TEST]
    assert not [text for text in left_out if text in written]


def test_the_file_is_valid_and_holds_the_prompt_with_the_submitted_answer(services, dataset, records, ada):
    answers = ["At seven. [1]", 'Twelve "euros"\n\ta night.', "在北码头。 🙂", "A\u2028storm.", "Two euros. {query} $x"]
    for record, answer in zip(records, answers, strict=True):
        services.annotation.submit(record.id, ada, {ANSWER: answer})
    lines = services.tuner.chat_jsonl(dataset.id).splitlines()
    assert validate_chat_jsonl(lines) == [] and services.tuner.data_card(dataset.id).problems == ()
    template = get_template(dataset.template)
    expected = [
        [*render_messages(template, record.query, record.contexts), {"role": "assistant", "content": answer}]
        for record, answer in zip(records, answers, strict=True)
    ]
    assert [json.loads(line) for line in lines] == [{"messages": messages} for messages in expected]


def test_the_prompt_of_the_file_is_that_of_the_datasets_form(services, dataset, ada):
    other = services.datasets.create_of_run(dataset.run_id, "customer-assistant")
    record = services.store.datasets.records(other.id)[0]
    services.annotation.submit(record.id, ada, {other.settings.answer_question: "At seven."})
    (row,) = map(json.loads, services.tuner.chat_jsonl(other.id).splitlines())
    assert row["messages"][0]["content"] == get_template("customer-assistant").system
    assert row["messages"][1]["content"].startswith("Context information is below.")


def test_two_answers_to_one_query_are_two_rows(services, dataset, records, ada):
    services.annotation.submit(records[0].id, ada, {ANSWER: "At seven."})
    bo = person(services, "Bo")
    respond(services.store, records[0].id, bo, ResponseStatus.SUBMITTED, {ANSWER: "At seven sharp."})
    card = services.tuner.data_card(dataset.id)
    assert (len(card.rows), card.queries) == (2, 1)
    assert card.tokens == sum(chat_tokens(row.messages) for row in card.rows) > 0


def test_a_card_is_made_again_only_when_something_that_it_says_has_changed(services, dataset, records, ada):
    submit_all(services, records[:2], ada)
    card = services.tuner.data_card(dataset.id)
    assert services.tuner.data_card(dataset.id) is card
    assert services.tuner.data_card(dataset.id, method=Method.DPO).method is Method.DPO
    services.annotation.submit(records[2].id, ada, {ANSWER: "At noon. [1]"})
    assert len(services.tuner.data_card(dataset.id).rows) == len(card.rows) + 1


def test_the_embedded_trainer_plans_with_all_rows_and_no_trainer_takes_numbers_out_of_bounds(
    services, dataset, records, ada
):
    submit_all(services, records, ada)
    card, base = services.tuner.data_card(dataset.id), services.tuner.bases()[0].id
    plan = services.tuner.plan("embedded", card, base, {"validation_share": 0.5})
    assert (plan.rows, plan.validation_rows) == (len(card.rows), 0)
    options = (
        Option("epochs", "Epochs", "number", low=1, high=50),
        Option("beta", "Beta", "number", methods=(Method.DPO,)),
    )
    check_options(options, {"epochs": "", "beta": "none"}, Method.SFT)
    for method, name, value, said in (
        (Method.SFT, "epochs", "-1", "Epochs must be a number from 1 to 50."),
        (Method.SFT, "epochs", "nan", "Epochs must be a number from 1 to 50."),
        (Method.DPO, "beta", "none", "Beta must be a number."),
    ):
        with pytest.raises(TrainingError, match=re.escape(said)):
            check_options(options, {name: value}, method)


def test_an_answer_that_differs_in_blanks_only_is_unchanged(services, dataset, records, ada):
    services.annotation.submit(records[0].id, ada, {ANSWER: records[0].completion.replace(" ", "\n ") + " "})
    assert services.tuner.data_card(dataset.id).unchanged == 1


def test_without_a_submitted_answer_there_is_no_file_and_no_job(services, dataset, records, ada):
    services.annotation.save_draft(records[0].id, ada, {ANSWER: "half"})
    for act in (services.tuner.chat_jsonl, lambda it: services.tuner.start(it, services.tuner.bases()[0].id)):
        with pytest.raises(TrainingError, match="Review some records on Edit first"):
            act(dataset.id)
    assert services.tuner.jobs() == [] and services.tuner.data_card(dataset.id).rows == ()


def test_only_embedded_models_can_be_tuned(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "copy", openai_base_url="http://127.0.0.1:1/v1", openai_model="chat")
    dataset = services.datasets.all()[0]
    submit_all(services, services.store.datasets.records(dataset.id), person(services, "Ada"))
    assert [model.name for model in services.tuner.bases()] == ["extractive-base"]
    with pytest.raises(TrainingError, match="not chat"):
        services.tuner.start(dataset.id, services.registry.all()[-1].id)
    with pytest.raises(NotFoundError, match="model"):
        services.tuner.start(dataset.id, "nobody")
    assert services.tuner.jobs() == []
    services.close()


def test_a_finished_job_registers_a_model_whose_lineage_leads_back_to_the_responses(services, dataset, records, ada):
    submit_all(services, records, ada)
    base = services.registry.all()[0]
    job = trained(services, services.tuner.start(dataset.id, base.id))
    assert (job.state, job.error, job.dataset_id, job.base_model_id) == (JobState.DONE, "", dataset.id, base.id)
    model = services.store.models.get(job.model_id)
    assert (model.name, model.parent_id, model.job_id) == ("extractive-tuned-1", base.id, job.id)
    assert (model.provider, model.template) == (base.provider, base.template) and model.config != base.config
    rows = services.store.training.rows(job.id)
    responses = {response.id: response for response in services.store.responses.of_dataset(dataset.id)}
    assert [responses[row.response_id].record_id for row in rows] == [record.id for record in records]
    assert [row.query_id for row in rows] == [record.query_id for record in records]
    assert [row.messages[-1]["content"] for row in rows] == [responses[row.response_id].values[ANSWER] for row in rows]


def test_what_a_job_was_given_stays_when_responses_change(services, dataset, records, ada):
    submit_all(services, records, ada)
    job = trained(services, services.tuner.start(dataset.id, services.registry.all()[0].id))
    before = services.store.training.rows(job.id)
    services.annotation.submit(records[0].id, ada, {ANSWER: "Changed since."})
    services.annotation.discard(records[1].id, ada, {})
    assert services.store.training.rows(job.id) == before
    assert "Changed since." in services.tuner.chat_jsonl(dataset.id)


def test_the_loss_goes_down_and_the_numbers_add_up(services, dataset, records, ada):
    submit_all(services, records, ada)
    metrics = trained(services, services.tuner.start(dataset.id, services.registry.all()[0].id)).metrics
    assert metrics["losses"][-1] < metrics["losses"][0]
    assert metrics["kept"] >= 5 and metrics["not_kept"] >= 1
    assert metrics["refusals"] + metrics["skipped"] == 0 and 0 <= metrics["base_accuracy"] <= metrics["accuracy"] <= 1


def test_a_job_that_ended_without_a_model_is_begun_again_with_its_rows(services, dataset, records, ada):
    submit_all(services, records, ada)
    base, training = services.registry.all()[0].id, services.store.training
    done = trained(services, services.tuner.start(dataset.id, base))
    left = training.start("embedded", dataset.id, base, training.rows(done.id), done.settings)
    handlers = TuneHandlers(services)
    assert not handlers.show_jobs(left).again.visible and not handlers.show_jobs(done.id).again.visible
    for job_id in (left, done.id):
        with pytest.raises(TrainingError, match="nothing to start again"):
            handlers.start_again(job_id)
    training.finish(left, JobState.INTERRUPTED, error="The app was stopped.")
    # What people change since is nothing to it.
    services.annotation.take_back(records[0].id, ada)
    assert handlers.show_jobs(left).again.visible
    handlers.start_again(left)
    again = trained(services, services.tuner.jobs()[0].id)
    assert (again.state, again.settings, again.dataset_id) == (JobState.DONE, done.settings, dataset.id)
    assert training.rows(again.id) == training.rows(done.id) and again.metrics == done.metrics


def test_a_job_is_not_begun_again_with_what_has_become_a_test_query(services, dataset, records, ada):
    submit_all(services, records, ada)
    base, training = services.registry.all()[0].id, services.store.training
    done = trained(services, services.tuner.start(dataset.id, base))
    rows = training.rows(done.id)
    left = training.start("embedded", dataset.id, base, rows, done.settings)
    let_in = training.start(
        "embedded", dataset.id, base, [replace(row, overridden=True) for row in rows], done.settings
    )
    for job_id in (left, let_in):
        training.finish(job_id, JobState.INTERRUPTED)
    services.store.queries.add_set("held out since", [(f" {records[0].query.upper()} ", Split.TEST, {})])
    with pytest.raises(TrainingError, match=r"^Queries of this job \(1\) have become test queries since"):
        services.tuner.start_again(left)
    # What an owner has let in stays let in.
    assert trained(services, services.tuner.start_again(let_in)).state is JobState.DONE


def test_a_second_round_starts_from_the_tuned_model(services, dataset, records, ada):
    submit_all(services, records, ada)
    base = services.registry.all()[0]
    first = trained(services, services.tuner.start(dataset.id, base.id))
    assert [model.name for model in services.tuner.bases()] == ["extractive-base", "extractive-tuned-1"]
    second = trained(services, services.tuner.start(dataset.id, first.model_id))
    grandchild = services.store.models.get(second.model_id)
    assert (grandchild.name, grandchild.parent_id) == ("extractive-tuned-2", first.model_id)
    assert second.metrics["losses"][0] < first.metrics["losses"][0]
    assert [job.id for job in services.tuner.jobs()] == [second.id, first.id]
    last = list(services.generation.ask(TRAIN[0], grandchild.id))[-1]
    assert last.completion.text and last.model_name == "extractive-tuned-2"


def test_too_few_rows_end_the_job_with_a_sentence_and_without_a_model(services, dataset, records, ada):
    submit_all(services, records[:2], ada)
    job = trained(services, services.tuner.start(dataset.id, services.registry.all()[0].id))
    assert (job.state, job.model_id) == (JobState.FAILED, None)
    assert "at least 3" in job.error and "Review more records on Edit" in job.error
    assert len(services.registry.all()) == 1


def test_a_job_whose_end_cannot_be_stored_leaves_no_model_behind(services, dataset, records, ada):
    submit_all(services, records, ada)
    with stores.refusing(services.store.database, "UPDATE ON training_jobs", "new.state = 'done'"):
        job = trained(services, services.tuner.start(dataset.id, services.registry.all()[0].id))
    assert (job.state, job.model_id) == (JobState.FAILED, None) and "log of the app" in job.error
    assert [model.name for model in services.registry.all()] == ["extractive-base"]


def test_jobs_that_run_at_the_same_time_make_models_of_different_names(services, dataset, records, ada):
    submit_all(services, records, ada)
    base, started, gate = services.registry.all()[0].id, [], threading.Barrier(6)

    def start():
        gate.wait()
        started.append(services.tuner.start(dataset.id, base))

    threads = [threading.Thread(target=start) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    jobs = [trained(services, job_id) for job_id in started]
    assert [(job.state, job.error) for job in jobs] == [(JobState.DONE, "")] * 6
    names = {services.store.models.get(job.model_id).name for job in jobs}
    assert names == {f"extractive-tuned-{n}" for n in range(1, 7)}


@pytest.mark.sqlite
def test_a_job_of_a_process_that_died_is_interrupted_and_says_what_to_do(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "copy")
    dataset = services.datasets.all()[0]
    record = services.store.datasets.records(dataset.id)[0]
    response = services.annotation.submit(record.id, person(services, "Ada"), {ANSWER: "At seven."})
    row = TrainingRow(response.id, record.query_id, [{"role": "user", "content": "x"}])
    services.store.training.start("embedded", dataset.id, services.registry.all()[0].id, [row])
    services.close()
    services = open_copy(tmp_path / "copy", tmp_path / "again")
    (job,) = services.tuner.jobs()
    assert job.state is JobState.INTERRUPTED and "Start it again" in job.error
    services.close()
