"""Votes that were read before are not read again: whatever happens in between, the result is that of reading all of them."""

import random

import pytest

from pipeline.preparation import Preparation
from pipeline.records import Outcome
from pipeline.revealed import ResultsReader
from pipeline.store.comparisons import ComparisonStore
from pipeline.store.members import AUTOMATIC
from pipeline.store.rows import put
from pipeline.store.schema import votes
from pipeline.store.vote_rows import Cast, vote_row
from pipeline.store.votes import VoteStore
from tests.workspace import add_comparison, add_model, open_workspace, person


@pytest.fixture
def services(tmp_path):
    services = open_workspace(tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def set_id(services):
    models = add_model(services, "one"), add_model(services, "two")
    return add_comparison(services, models, [("a", "b"), ("same", "same"), ("c", "d"), ("e", "f"), ("same", "same")])


def read_anew(services, set_id):
    """Return the results as a reader returns them that has read nothing before."""
    store = services.store

    class Fresh:
        votes, comparisons, models = VoteStore(store.database), ComparisonStore(store.database), store.models
        training, registry = store.training, services.registry

    reader = ResultsReader(Fresh, Preparation(store, services.generation))
    return reader.read(store.comparisons.set(set_id), store.comparisons.in_set(set_id), None)


@pytest.mark.parametrize("seed", range(6))
def test_results_are_those_of_reading_everything(services, set_id, seed):
    luck = random.Random(seed)
    people = [person(services, f"Person {n}") for n in range(4)]
    for _ in range(40):
        who = luck.choice(people)
        pair = services.comparisons.next_pair(set_id, who)
        if pair is not None and luck.random() < 0.75:
            services.comparisons.vote(pair.comparison_id, who, luck.choice(list(Outcome)), seconds=5)
        elif services.comparisons.progress(set_id, who)[0]:
            services.comparisons.undo(set_id, who)
        if luck.random() < 0.6:
            assert services.comparisons.results_of(set_id) == read_anew(services, set_id)
    assert services.store.votes.counts() == VoteStore(services.store.database).counts()


def test_a_vote_of_another_replica_that_is_older_is_counted_in_its_place(services, set_id):
    ada, bo = person(services, "Ada"), person(services, "Bo")
    item = services.store.comparisons.in_set(set_id)[0]
    older = vote_row(item.id, bo, Cast(item.completion_ids, Outcome.MODEL_B))
    pair = services.comparisons.next_pair(set_id, ada)
    services.comparisons.vote(pair.comparison_id, ada, Outcome.TIE)
    before = services.comparisons.results_of(set_id)
    with services.store.database.write() as connection:
        put(connection, votes, [older])
    after = services.comparisons.results_of(set_id)
    assert len(after.votes) == len(before.votes) + 1 and after == read_anew(services, set_id)
    assert [vote.annotator for vote in after.votes if vote.annotator] == [bo, ada]


def test_only_new_votes_are_read(services, set_id):
    ada = person(services, "Ada")
    first = services.store.votes.log(set_id)
    assert services.store.votes.log(set_id) is first
    pair = services.comparisons.next_pair(set_id, ada)
    services.comparisons.vote(pair.comparison_id, ada, Outcome.TIE)
    second = services.store.votes.log(set_id)
    assert second.generation == first.generation and second.votes[: len(first.votes)] == first.votes
    assert all(one is two for one, two in zip(first.votes, second.votes, strict=False))
    services.comparisons.undo(set_id, ada)
    third = services.store.votes.log(set_id)
    assert third.generation > second.generation and third.votes == first.votes


def test_a_tie_that_comes_with_the_last_vote_of_a_second_person_counts_for_both(services):
    models = add_model(services, "one"), add_model(services, "two")
    set_id = add_comparison(services, models, [("a", "b"), ("same", "same")])
    first, identical = services.store.comparisons.in_set(set_id)
    # As from a replica whose ties arrive after votes: the tie of the identical pair is not there at first.
    with services.store.database.write() as connection:
        connection.execute(votes.delete().where(votes.c.comparison_id == identical.id))
    people = [person(services, name) for name in ("Ada", "Bo")]
    with services.store.database.write() as connection:
        put(connection, votes, [vote_row(first.id, people[0], Cast(first.completion_ids, Outcome.MODEL_A))])
    services.comparisons.results_of(set_id)
    with services.store.database.write() as connection:
        put(connection, votes, [vote_row(first.id, people[1], Cast(first.completion_ids, Outcome.MODEL_A))])
        put(connection, votes, [vote_row(identical.id, AUTOMATIC, Cast(identical.completion_ids))])
    assert services.comparisons.results_of(set_id) == read_anew(services, set_id)
    assert services.comparisons.results_of(set_id).automatic_ties == 2
