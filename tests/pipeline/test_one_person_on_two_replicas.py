"""One person works on two replicas before these have met: nothing that was submitted or chosen is lost."""

import itertools

import pytest
from sqlalchemy import select

from pipeline.annotation.settings import Distribution
from pipeline.records import ResponseStatus
from pipeline.store import open_store
from pipeline.store.responses import Given
from pipeline.store.schema import response_history
from pipeline.ulid import Stamps
from tests.backing import answer, restored, rows_of, sync_with
from tests.hub_server import HubServer
from tests.pipeline.hub.conftest import loopback_only  # noqa: F401 - a fixture
from tests.pipeline.hub.test_sync import a_record

COOKIE = "a" * 64


@pytest.fixture
def pair(services, tmp_path):
    """Two replicas that know the same record, and the Hub between them."""
    with HubServer() as hub:
        record = a_record(services)
        first = services.store
        sync_with(first, hub).sync_now()
        second = restored(hub, tmp_path / "second.db")
        yield first, second, hub, record
        second.close()


def meet(hub, *stores):
    for store in stores * 2:
        sync_with(store, hub).sync_now()


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1))))
def test_a_draft_of_another_replica_never_replaces_what_was_submitted(pair, tmp_path, order):
    first, second, hub, record = pair
    ada = first.members.by_token(COOKIE)
    answer(first, record, ada, "Submitted.")
    assert second.members.by_token(COOKIE) == ada
    answer(second, record, ada, "Half a", ResponseStatus.DRAFT)
    stores = (first, second)
    meet(hub, *(stores[place] for place in order))
    for store in stores:
        response = store.responses.get(record, ada)
        assert (response.status, response.values["answer"]) == (ResponseStatus.SUBMITTED, "Submitted.")
    again = restored(hub, tmp_path / "again.db")
    assert again.responses.get(record, ada).values["answer"] == "Submitted."
    again.close()
    assert rows_of(first) == rows_of(second)


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1))))
def test_a_submit_that_was_taken_back_is_a_draft_everywhere_and_history(pair, tmp_path, order):
    first, second, hub, record = pair
    ada = first.members.by_token(COOKIE)
    answer(first, record, ada, "Too quick.")
    meet(hub, first, second)
    second.responses.reopen(record, ada)
    answer(second, record, ada, "Half a better", ResponseStatus.DRAFT)
    stores = (first, second)
    meet(hub, *(stores[place] for place in order))
    again = restored(hub, tmp_path / "again.db")
    for store in (*stores, again):
        response = store.responses.get(record, ada)
        assert (response.status, response.values["answer"]) == (ResponseStatus.DRAFT, "Half a better")
        assert [version.values["answer"] for version in store.responses.history(response.id)] == ["Too quick."]
    again.close()
    assert rows_of(first) == rows_of(second)


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1))))
def test_of_two_submits_the_later_stands_and_the_other_is_history(pair, order):
    first, second, hub, record = pair
    ada = first.members.by_token(COOKIE)
    second.members.by_token(COOKIE)
    answer(first, record, ada, "The earlier answer.")
    answer(second, record, ada, "The later answer.")
    stores = (first, second)
    meet(hub, *(stores[place] for place in order))
    assert rows_of(first) == rows_of(second)
    assert first.responses.get(record, ada).values["answer"] == "The later answer."
    with first.database.read() as connection:
        kept = [row.values["answer"] for row in connection.execute(select(response_history))]
    assert kept == ["The earlier answer."]


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1))))
def test_what_is_typed_into_an_older_answer_never_replaces_a_newer_one(pair, order):
    first, second, hub, record = pair
    ada = first.members.by_token(COOKIE)
    answer(first, record, ada, "The earlier answer.")
    meet(hub, first, second)
    answer(second, record, ada, "The later answer.")
    answer(first, record, ada, "The earlier answer, and", ResponseStatus.DRAFT)
    meet(hub, *((first, second)[place] for place in order))
    assert rows_of(first) == rows_of(second)
    for store in (first, second):
        response = store.responses.get(record, ada)
        assert response.status is ResponseStatus.SUBMITTED and response.values["answer"] == "The later answer."
        assert response.edits["values"]["answer"] == "The earlier answer, and"
        assert [version.values["answer"] for version in store.responses.history(response.id)] == ["The earlier answer."]


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1))))
def test_of_two_submits_that_differ_in_marks_alone_the_other_is_history_too(pair, order):
    first, second, hub, record = pair
    ada = first.members.by_token(COOKIE)
    second.members.by_token(COOKIE)
    for store, relevant in ((first, True), (second, False)):
        given = Given({"answer": "Yes."}, {"chunks": {"0": relevant}})
        store.responses.end(record, ada, ResponseStatus.SUBMITTED, given, Distribution())
    meet(hub, *((first, second)[place] for place in order))
    assert rows_of(first) == rows_of(second)
    response = second.responses.get(record, ada)
    marks = [response.marks, *(version.marks for version in second.responses.history(response.id))]
    assert marks == [{"chunks": {"0": False}}, {"chunks": {"0": True}}]


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1))))
def test_a_chosen_name_is_not_replaced_by_the_name_of_a_guest(pair, order):
    first, second, hub, _ = pair
    ada = first.members.by_token(COOKIE)
    first.members.rename(ada, "Ada")
    second.members.by_token(COOKIE)
    stores = (first, second)
    meet(hub, *(stores[place] for place in order))
    assert {first.members.name(ada), second.members.name(ada)} == {"Ada"}
    assert rows_of(first) == rows_of(second)


def test_pseudonyms_are_those_of_the_workspace_that_was_there_first(pair):
    first, second, hub, _ = pair
    salt = first.values.pseudonym_salt()
    second.values.pseudonym_salt()
    meet(hub, second, first)
    assert first.values.pseudonym_salt() == second.values.pseudonym_salt() == salt


def test_editing_an_answer_twice_writes_its_history_once(pair):
    first, second, hub, record = pair
    ada = first.members.by_token(COOKIE)
    for text in ("One.", "Two.", "Three."):
        answer(first, record, ada, text)
        meet(hub, first, second)
    assert rows_of(first) == rows_of(second)
    with second.database.read() as connection:
        assert sorted(row.values["answer"] for row in connection.execute(select(response_history))) == ["One.", "Two."]


def test_two_clocks_that_stand_still_do_not_give_the_same_stamp():
    seen = Stamps(clock=lambda: 2_000_000_000.0).next()
    late = [Stamps(seen, clock=lambda: 1_000_000_000.0) for _ in range(2)]
    stamps = [clock.next() for clock in late for _ in range(100)]
    assert len(set(stamps)) == 200 and min(stamps) > seen


def test_chunks_that_come_after_their_document_are_told_of(tmp_path, services):
    from tests.material import add_manual

    add_manual(services, tmp_path)
    everything = [change for piece in services.store.outbox.everything() for change in piece]
    store = open_store(tmp_path / "other.db")
    store.merging.merge([change for change in everything if change.table != "chunks"], "repo")
    merged = store.merging.merge([change for change in everything if change.table == "chunks"], "repo")
    assert merged.documents and store.documents.count_searched_chunks() > 0
    store.close()
