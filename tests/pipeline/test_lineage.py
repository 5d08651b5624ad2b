"""Rounds and lineage: the tree of models, their pages, and the walk from a vote to the rows and the passage, and back."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import update

from pipeline import ranking
from pipeline.comparison_settings import RevealPolicy
from pipeline.errors import ComparisonError, NotFoundError
from pipeline.lineage import CHANGED, FIRST, TUNED
from pipeline.records import JobState, Model, Outcome, Split, new_id
from pipeline.store.runs import NewRun
from pipeline.store.schema import models as models_table
from pipeline.vote_list import CORRECTION, PAGE, REASON, TIE, TRAINED
from tests.lined import BETTER, REVIEWED, prepare_lined, vote_all
from tests.lined import REASON as WHY
from tests.material import TEST, open_copy
from tests.workspace import add_comparison, add_model, person


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare_lined(tmp_path_factory.mktemp("lineage"))


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared[0], tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def loop(prepared):
    return prepared[1]


@pytest.fixture
def ada(services):
    return services.store.members.by_token("a" * 64)


def test_the_tree_has_each_model_below_the_one_that_it_came_of(services, loop):
    again = Model(
        new_id(), "tuned-2", "extractive", loop.tuned.config, "answer-review", loop.tuned.id, created_at=time.time()
    )
    chat = {"endpoint": "http://127.0.0.1/v1", "model_id": "m"}
    changed = replace(again, id=new_id(), name="tuned-2b", parent_id=None, replaces_id=again.id, created_at=time.time())
    brought = Model(new_id(), "from-elsewhere", "imported", {}, "", created_at=time.time())
    for model in (
        again,
        changed,
        brought,
        Model(new_id(), "chat", "openai", chat, "answer-review", created_at=time.time()),
    ):
        services.store.models.add(model)
    told = [(node.model.name, node.depth, node.how, node.round, node.rows) for node in services.lineage.tree()]
    assert told == [
        ("extractive-base", 0, FIRST, 0, None),
        ("tuned-1", 1, TUNED, 1, 3),
        ("tuned-2", 2, TUNED, 2, None),
        ("tuned-2b", 3, CHANGED, 2, None),
        ("quick-one", 0, FIRST, 0, None),
        ("from-elsewhere", 0, FIRST, 0, None),
        ("chat", 0, FIRST, 0, None),
    ]


def test_models_of_a_merge_that_lead_round_to_each_other_are_all_in_the_tree(services):
    one, two = new_id(), new_id()
    services.store.models.add(Model(one, "one", "extractive", {}, "", created_at=1.0))
    services.store.models.add(Model(two, "two", "extractive", {}, "", parent_id=one, created_at=2.0))
    # No screen writes this; a journal of somebody else might.
    with services.store.database.write() as connection:
        connection.execute(update(models_table).where(models_table.c.id == one).values(parent_id=two))
    services.store.models.add(Model(new_id(), "three", "extractive", {}, "", created_at=3.0))
    assert {node.model.name for node in services.lineage.tree()} >= {"one", "two", "three"}


def test_a_model_page_tells_its_job_its_data_and_whom_it_met(services, loop, ada):
    services.comparisons.reveal(loop.set_id, ada)
    page = services.lineage.page(loop.tuned.id, ada)
    assert (page.parent.id, page.round, page.job.id, page.job.state) == (loop.base.id, 1, loop.job_id, JobState.DONE)
    data = page.data
    assert (data.rows, data.queries, data.test_queries) == (3, 2, 1)
    assert (data.reviews, data.corrections, data.preferences, data.overridden) == (1, 1, 1, 1)
    assert data.annotators == {ada} and [item[2] for item in data.guidelines] == [1]
    base = services.lineage.page(loop.base.id, ada)
    assert [child.id for child in base.children] == [loop.tuned.id] and base.prompt.name == "answer-review"
    (against,) = base.against
    assert (against.other.id, against.counts.losses, against.counts.votes) == (loop.other.id, 3, 3)
    revealed = services.comparisons.results(loop.set_id, ada, (loop.base.id, loop.other.id))
    assert against.rate == ranking.win_rate(revealed.votes, loop.base.name, loop.other.name)


def test_the_win_rate_against_the_parent_is_that_of_all_opened_comparisons_together(services, loop, ada):
    bo = person(services, "Bo")
    sets = [
        add_comparison(services, (loop.tuned, loop.base), [("Quick t.", "Base b.")] * 2, TEST[:2]) for _ in range(2)
    ]
    for set_id in sets:
        vote_all_plain(services, set_id, bo)
        services.comparisons.reveal(set_id, bo)
    (against,) = services.lineage.page(loop.tuned.id, bo).against
    assert against.is_parent and (against.counts.wins, against.counts.votes) == (4, 4) and len(against.sets) == 2
    # Whoever has opened one of them sees the votes of that one.
    services.comparisons.reveal(sets[0], ada)
    page = services.lineage.page(loop.tuned.id, ada)
    assert page.against[0].counts.votes == 2 and (page.opened, page.closed) == (1, 2)


def vote_all_plain(services, set_id, member_id):
    while pair := services.comparisons.next_pair(set_id, member_id):
        outcome = Outcome.MODEL_A if pair.text_a.startswith("Quick") else Outcome.MODEL_B
        services.comparisons.vote(pair.comparison_id, member_id, outcome)


def test_before_results_are_opened_a_page_says_nothing_that_tells_answers_apart(services, loop, ada):
    list_id = services.store.comparisons.set(loop.set_id).query_set_id
    runs = [
        services.store.runs.start(NewRun(loop.base.id, list_id, split, "by hand", 3, 0)) for split in (Split.TEST, None)
    ]
    page = services.lineage.page(loop.base.id, ada)
    assert (page.against, page.opened, page.closed) == ((), 0, 1)
    shown = {item.run.id: item.taken for item in page.runs}
    assert runs[0] not in shown and shown[runs[1]] is False
    services.comparisons.reveal(loop.set_id, ada)
    shown = {item.run.id: item.taken for item in services.lineage.page(loop.base.id, ada).runs}
    assert shown[runs[0]] is shown[runs[1]] is True
    # Not even the rows of a correction: another person still judges its query.
    bo = person(services, "Bo")
    rows = services.lineage.rows(loop.job_id, bo)
    assert [row.id in rows.blind for row in rows.rows] == [False, True, True]
    assert services.lineage.row(rows.rows[1].id, bo).blind and not services.lineage.row(rows.rows[1].id, ada).blind


def test_from_a_vote_to_the_rows_and_the_model_and_back_to_the_passage(services, loop, ada):
    with pytest.raises(ComparisonError, match="Open the results"):
        services.vote_list.open(loop.vote_id, ada)
    services.comparisons.reveal(loop.set_id, ada)
    whole = services.vote_list.open(loop.vote_id, ada)
    assert whole.line.query == TEST[0] and whole.line.winners == ("quick-one",)
    assert (whole.line.reason, whole.line.correction, whole.line.person) == (WHY, BETTER, "Ada")
    assert {(answer.model, answer.won) for answer in whole.answers} == {("extractive-base", False), ("quick-one", True)}
    assert {answer.model_id for answer in whole.answers} == {loop.base.id, loop.other.id}
    assert [(use.position, use.kind, name) for use, name in whole.uses] == [
        (1, "sft", "tuned-1"),
        (2, "preference", "tuned-1"),
    ]
    row = services.lineage.row(whole.uses[0][0].row_id, ada)
    assert (row.number, row.model.id, row.row.vote_id, row.row.answer) == (2, loop.tuned.id, loop.vote_id, BETTER)
    assert row.may_read and row.person not in ("", "Ada") and row.contexts == whole.contexts
    # And back by the other end: a reviewed answer, its record and the passages that stood beside it.
    first = services.lineage.row(row.before, ada)
    assert (first.row.record_id, first.row.guidelines_version, first.row.answer) == (loop.record_id, 1, REVIEWED)
    record = services.store.datasets.record(loop.record_id)
    assert (
        first.contexts == record.contexts
        and services.library.place(first.contexts[0].chunk_id).document.name == "harbour.md"
    )
    overridden = services.lineage.row(row.after, ada)
    assert overridden.row.overridden and overridden.row.rejected == "Base 0. [1]" and overridden.after is None


def test_votes_are_listed_searched_and_filtered(services, loop, ada):
    services.comparisons.reveal(loop.set_id, ada)

    def found(search="", kind=""):
        return [line.query for line in services.vote_list.page(loop.set_id, ada, search, kind).lines]

    assert len(found()) == 3 and found(WHY.lower()) == [TEST[0]] and found("east pier") == [TEST[0]]
    assert found("ADA showers") == [TEST[2]] and found("nothing like this") == []
    assert found(kind=CORRECTION) == found(kind=REASON) == found(kind=TRAINED) == [TEST[0]]
    assert found(kind=TIE) == [] == found(kind=loop.base.id) and len(found(kind=loop.other.id)) == 3
    assert services.vote_list.page(loop.set_id, ada, "", CORRECTION).lines[0].uses == 2


def test_votes_come_in_pages(services, ada):
    models = add_model(services, "one"), add_model(services, "two")
    texts = [(f"Quick {n}.", f"Base {n}.") for n in range(PAGE + 3)]
    set_id = add_comparison(services, models, texts)
    vote_all_plain(services, set_id, ada)
    services.comparisons.reveal(set_id, ada)
    first, last = (services.vote_list.page(set_id, ada, number=number) for number in (0, 99))
    assert (len(first.lines), first.pages, first.total) == (PAGE, 2, PAGE + 3) and (last.page, len(last.lines)) == (
        1,
        3,
    )
    assert first.lines[0].created_at >= first.lines[-1].created_at >= last.lines[-1].created_at


def test_what_somebody_still_judges_blind_elsewhere_is_left_out(services, loop, ada):
    services.comparisons.reveal(loop.set_id, ada)
    other = add_comparison(services, (loop.base, add_model(services, "third")), [("Base 0. [1]", "Third.")], TEST[:1])
    page = services.vote_list.page(loop.set_id, ada)
    assert {line.query for line in page.lines} == set(TEST[1:]) and page.blind == 1
    with pytest.raises(ComparisonError, match="blind in another comparison"):
        services.vote_list.open(loop.vote_id, ada)
    services.comparisons.reveal(other, ada)
    assert services.vote_list.page(loop.set_id, ada).blind == 0 and services.vote_list.open(loop.vote_id, ada)


def test_where_names_are_never_shown_no_answer_stands_beside_one(services, ada):
    models = add_model(services, "one"), add_model(services, "two")
    set_id = add_comparison(
        services, models, [("Quick 0.", "Base 0.")], ["Asked of strangers?"], reveal=RevealPolicy.NEVER
    )
    vote_id = vote_all(services, set_id, ada)
    services.comparisons.reveal(set_id, ada)
    whole = services.vote_list.open(vote_id, ada)
    assert {answer.model for answer in whole.answers} == {"Model 1", "Model 2"}
    assert [(answer.text, answer.model_id) for answer in whole.answers] == [(None, None)] * 2
    assert services.lineage.page(models[0].id, ada).against == ()


def test_a_vote_that_was_taken_back_or_never_given_is_not_shown(services, loop, ada):
    bo = person(services, "Bo")
    pair = services.comparisons.next_pair(loop.set_id, bo)
    services.comparisons.vote(pair.comparison_id, bo, Outcome.TIE)
    gone = services.comparisons.undo(loop.set_id, bo)
    services.comparisons.reveal(loop.set_id, ada)
    with pytest.raises(ComparisonError, match="taken back"):
        services.vote_list.open(gone.id, ada)
    with pytest.raises(NotFoundError):
        services.vote_list.open("nobody", ada)
