"""Which queries a model may learn from, which it may be compared on, and what an owner's exception leaves behind."""

import pytest

from components.results import numbers as results_numbers
from components.tune import data as tune_data
from components.tune import jobs as tune_jobs
from pipeline.annotation.templates import ANSWER, review_settings
from pipeline.cleaning import normal
from pipeline.comparison_settings import ComparisonSettings
from pipeline.corrections import Correction
from pipeline.errors import TrainingError
from pipeline.finetune.rows import Method
from pipeline.records import JobState, Model, Split
from pipeline.store.rows import now
from tests.material import TEST, TRAIN, add_queries, open_copy, prepare, trained
from tests.workspace import person

REASON = "The list is <b>too small</b> to hold any back."


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("guard"))


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def base(services):
    return services.registry.all()[0]


@pytest.fixture
def mixed(services):
    """Return a dataset that also holds the test queries of its run, all of it submitted with the first sentence."""
    dataset = services.datasets.all()[0]
    run = services.store.runs.get(dataset.run_id)
    items = [(row.query.id, row.completion.id) for row in services.generation.rows(run)]
    made = services.store.datasets.add_of_run(
        "All of it", review_settings(dataset.template), dataset.template, run.id, items
    )
    ada = person(services, "Ada")
    for record in services.store.datasets.records(made):
        services.annotation.submit(record.id, ada, {ANSWER: record.completion.partition(". ")[0].rstrip(".") + "."})
    return made


def barred(services, *models):
    """Return the test queries that a comparison of models leaves out, because one of them has seen it in training."""
    desk = services.comparisons._preparation
    return {text for text in TEST if normal(text) in desk._trained_on(models)}


def correction(services, text, answer, dataset):
    found = next(query for query in services.store.queries.in_set(add_queries(services, (), (text,), "Asked")))
    row = services.tuner.data_card(dataset).rows[0]
    messages = [*row.prompt, {"role": "assistant", "content": answer}]
    return Correction(None, found.id, text, row.contexts, answer, messages, is_test=True)


def test_answers_to_test_queries_are_left_out_unless_an_owner_says_why(services, mixed):
    card = services.tuner.data_card(mixed)
    assert {row.query for row in card.rows} == set(TRAIN) and (card.test_rows, card.overridden, card.override) == (
        3,
        0,
        "",
    )
    card = services.tuner.data_card(mixed, override=f"  {REASON}  ")
    assert {row.query for row in card.rows} == {*TRAIN, *TEST}
    assert (card.test_rows, card.overridden, card.barred, card.override) == (0, 3, 3, REASON)
    shown = tune_data.data_card(card)
    assert "3 rows answer test queries, let in by an owner" in shown and "<b>too" not in shown


def test_a_reviewed_query_that_another_list_holds_back_later_is_left_out_unless_an_owner_says_why(services, base):
    dataset = services.datasets.all()[0].id
    ada = person(services, "Ada")
    for record in services.store.datasets.records(dataset):
        services.annotation.submit(record.id, ada, {ANSWER: record.completion})
    everything = services.tuner.data_card(dataset)
    assert {row.query for row in everything.rows} == set(TRAIN) and everything.test_rows == everything.barred == 0
    add_queries(services, (), (f"  {TRAIN[0].upper()} ",), "Held back")
    card = services.tuner.data_card(dataset)
    assert {row.query for row in card.rows} == set(TRAIN[1:]) and (card.test_rows, card.barred) == (1, 0)
    card = services.tuner.data_card(dataset, override=REASON)
    assert (len(card.rows), card.overridden, card.barred, card.override) == (len(TRAIN), 1, 1, REASON)
    job = trained(services, services.tuner.start(dataset, base.id, card=card))
    assert services.store.training.row_counts()[job.id] == (len(TRAIN), 1)


def test_a_reason_where_nothing_is_let_in_leaves_no_mark(services):
    dataset = services.datasets.all()[0].id
    assert services.tuner.data_card(dataset, override=REASON).override == ""


def test_the_exception_is_marked_on_the_job_and_bars_the_queries_of_every_descendant(services, mixed, base):
    card = services.tuner.data_card(mixed, override=REASON)
    first = trained(services, services.tuner.start(mixed, base.id, card=card))
    rows = services.store.training.rows(first.id)
    assert sum(row.overridden for row in rows) == 3 and first.settings["override"] == REASON
    assert services.store.training.row_counts()[first.id] == (8, 3)
    said = tune_jobs.card(first, [], "Embedded", 3)
    assert "let in by an owner: The list is &lt;b&gt;too small" in said
    second = trained(services, services.tuner.start(services.datasets.all()[0].id, first.model_id))
    assert second.state is JobState.DONE and "override" not in second.settings
    assert barred(services, base.id) == set()
    assert barred(services, first.model_id) == barred(services, base.id, second.model_id) == set(TEST)


def test_a_new_version_of_a_tuned_model_has_seen_what_it_had(services, mixed, base):
    card = services.tuner.data_card(mixed, override=REASON)
    job = trained(services, services.tuner.start(mixed, base.id, card=card))
    old = services.store.models.get(job.model_id)
    newer = Model("v2", "v2", old.provider, old.config, old.template, created_at=now(), replaces_id=old.id)
    services.store.models.add(newer)
    assert barred(services, "v2") == set(TEST)


def test_results_of_what_was_let_in_say_so(services, mixed, base):
    card = services.tuner.data_card(mixed, override=REASON)
    job = trained(services, services.tuner.start(mixed, base.id, card=card))
    assert services.comparisons._preparation._overridden([base.id, job.model_id]) == 3
    assert services.comparisons._preparation._overridden([base.id]) == 0
    told = results_numbers.prepared({"queries": 2, "pairs": 2, "overridden": 3}, ComparisonSettings(("a", "b")))
    assert "An owner let 3 rows of test queries into the training" in told
    assert "owner" not in results_numbers.prepared({"queries": 2, "pairs": 2}, ComparisonSettings(("a", "b")))


def test_votes_alone_are_enough_to_train_on(services, base):
    dataset = services.datasets.all()[0].id
    for record in services.store.datasets.records(dataset):
        services.annotation.submit(record.id, person(services, "Ada"), {ANSWER: record.completion})
    given = [correction(services, f"Which pier {n}?", "At seven in the morning.", dataset) for n in range(3)]
    card = services.tuner.data_card(None, given)
    assert (len(card.rows), card.corrections, card.drafts) == (3, 3, 0)
    job = trained(services, services.tuner.start(None, base.id, given))
    assert (job.dataset_id, job.state) == (None, JobState.DONE)
    assert services.store.models.get(job.model_id).parent_id == base.id


def test_changed_suggestions_are_pairs_and_the_embedded_trainer_takes_none(services, mixed, base):
    card = services.tuner.data_card(mixed, method=Method.DPO)
    changed = [row for row in services.tuner.data_card(mixed).rows if row.answer.split() != row.suggestion.split()]
    assert [(row.answer, row.rejected) for row in card.rows] == [(row.answer, row.suggestion) for row in changed]
    assert changed and card.problems == () and card.method is Method.DPO
    with pytest.raises(TrainingError, match="not from pairs"):
        services.tuner.start(mixed, base.id, card=card)
    with pytest.raises(TrainingError, match="no preference pair"):
        services.tuner.start(None, base.id, card=services.tuner.data_card(None, (), Method.DPO))


def test_a_row_that_cannot_be_learned_stops_the_job_before_it_begins(services, mixed, base):
    given = [correction(services, "Which pier?", "  ", mixed)]
    card = services.tuner.data_card(mixed, given)
    assert card.problems
    with pytest.raises(TrainingError, match="cannot be trained on"):
        services.tuner.start(mixed, base.id, card=card)
    assert services.tuner.jobs() == []


def test_validation_rows_are_kept_with_the_job_and_bar_their_queries_too(services, mixed):
    card = services.tuner.data_card(mixed)
    data = services.tuner.training_data(card, {"validation_share": 0.4})
    assert len(data.validation) == 2 and {row.query for row in data.rows} == set(TRAIN)
    assert services.tuner.training_data(card, {}).validation == ()
    with pytest.raises(TrainingError, match="half"):
        services.tuner.training_data(card, {"validation_share": 0.9})
    assert all(
        query.split is Split.TRAIN for query in services.store.queries.by_ids([r.query_id for r in data.rows]).values()
    )
