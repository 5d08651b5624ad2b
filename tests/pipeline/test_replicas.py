"""Several workspaces over one PostgreSQL, each of which is what a replica of the app has: who sees to what."""

import time

import pytest

from pipeline.errors import BackupError, SettingsError, StoreError
from pipeline.hub.state import BackupKind
from pipeline.records import Document, JobState, new_id
from pipeline.replicas import Duties, Replicas
from pipeline.store import Server, open_store
from pipeline.store.presence import Presence
from tests.backing import REPO, TOKEN
from tests.hub_server import HubServer
from tests.material import add_manual, add_queries, finished
from tests.openai_server import OpenAIServer
from tests.postgres import POSTGRES
from tests.waiting import wait_until
from tests.workspace import open_workspace


@pytest.fixture
def open_replica(tmp_path, monkeypatch):
    # One that is gone is taken for that a little sooner.
    monkeypatch.setattr("pipeline.store.presence.SILENT_SECONDS", 0.5)
    opened, url = {}, POSTGRES.url_of(tmp_path / "pairloop.db")

    def open_it(name, **settings):
        if name in opened:
            opened.pop(name).close()
        opened[name] = open_workspace(tmp_path / name, database_url=url, **settings)
        opened[name].start_backup()
        return opened[name]

    open_it.close = lambda name: opened.pop(name).close()
    yield open_it
    for services in opened.values():
        services.close()


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Begin a replica that has nothing but its duties."""
    monkeypatch.setattr("pipeline.store.presence.SILENT_SECONDS", 0.5)
    monkeypatch.setattr("pipeline.replicas.TICK_SECONDS", 0.05)
    begun, url = [], POSTGRES.url_of(tmp_path / "pairloop.db")

    def begin_it(**duties):
        store = open_store(None, server=Server(url, new_id()))
        begun.append((store, Replicas(store)))
        begun[-1][1].enter()
        begun[-1][1].start(Duties(**{name: duties.get(name, lambda *_: None) for name in Duties.__slots__}))
        return begun[-1]

    yield begin_it
    for store, replicas in begun:
        replicas.stop(10)
        replicas.leave()
        store.close()


def end_without_a_word(services):
    """Let a replica be what it is after a kill: no thread that sees to anything, and no connection that holds anything."""
    services.replicas.stop(10)
    services.replicas._presence.leave()


def test_documents_that_one_adds_or_deletes_are_found_by_the_others_and_at_a_start(open_replica, tmp_path):
    one, other = open_replica("one"), open_replica("other")
    added = add_manual(one, tmp_path)
    wait_until(lambda: other.library.searched() == one.library.searched())
    asked = list(other.generation.ask("Where is diesel sold?", other.registry.all()[0].id))[-1]
    assert asked.retrieval.contexts[0].document_id == added and not asked.completion.refused
    third = open_replica("third")
    assert third.library.searched() == one.library.searched()
    third.library.delete(added)
    wait_until(lambda: one.library.searched() == other.library.searched() == third.library.searched())
    assert [part.library.summaries() for part in (one, other, third)] == [[], [], []]


def test_replicas_share_the_default_models_and_a_file_goes_in_once(open_replica, tmp_path):
    one, other = open_replica("one"), open_replica("other")
    assert one.registry.all() == other.registry.all() and len({model.name for model in one.registry.all()}) == len(
        one.registry.all()
    )
    add_manual(one, tmp_path)
    (added,) = other.library.add_files([(tmp_path / "harbour.md", "again.md")])
    assert "in the workspace already, as harbour.md" in added.problem


def test_a_run_of_a_replica_that_is_gone_goes_on_in_another_within_its_limit(open_replica, tmp_path):
    with OpenAIServer() as server:
        settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": 2}
        one, other = open_replica("one", **settings), open_replica("other", **settings)
        add_manual(one, tmp_path)
        model = next(model for model in one.registry.all() if model.name == "test-model")
        server.fail(times=None, stall=1.0)
        run_id = one.generation.start_run(model.id, add_queries(one))
        wait_until(lambda: one.store.runs.get(run_id).done >= 2)
        end_without_a_word(one)
        wait_until(lambda: other.generation.status(run_id) is not None)
        run = finished(other, run_id)
        assert (run.state, run.done, run.failed) == (JobState.DONE, run.total, 0)
        wait_until(lambda: one.generation.status(run_id) is None)
        queries = [item.query_id for item in other.store.runs.of_run(run_id)]
        assert len(queries) == len(set(queries)) == run.total
        # This one lives on without knowing: what it asks for until it stores its next answers is asked twice, and nothing else.
        assert len(server.chats) <= run.total + 4


def test_what_a_replica_left_itself_it_takes_up_when_it_is_back(open_replica, tmp_path):
    with OpenAIServer() as server:
        settings = {"openai_base_url": server.base_url, "openai_model": "test-model"}
        one = open_replica("one", **settings)
        add_manual(one, tmp_path)
        model = next(model for model in one.registry.all() if model.name == "test-model")
        run_id = one.generation.start_run(model.id, add_queries(one))
        finished(one, run_id)
        one.store.runs.reopen(run_id)
        again = open_replica("one", **settings)
        assert again.store.replica == one.store.replica
        assert finished(again, run_id).state is JobState.DONE


def test_a_copied_folder_does_not_pass_for_the_other(open_replica, tmp_path, monkeypatch):
    one = open_replica("one")
    monkeypatch.setattr("pipeline.replicas.ENTER_SECONDS", 0.1)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "replica").write_text(one.store.replica, "utf-8")
    with pytest.raises(SettingsError, match="copy of the other's.*delete the file named replica"):
        open_replica("copy")


def test_one_of_them_sends_the_back_up_and_the_next_one_when_it_is_gone(open_replica, tmp_path):
    with HubServer() as hub:
        settings = {"dataset_repo": REPO, "hf_token": TOKEN, "hf_endpoint": hub.url, "sync_seconds": 1.0}
        one = open_replica("one", **settings)
        wait_until(lambda: one.replicas.leads)
        other = open_replica("other", **settings)
        other.store.queries.add_set("of the other", [])
        wait_until(lambda: other.backup.state().kind is BackupKind.BACKED_UP)
        assert not other.replicas.leads
        other.store.queries.add_set("of the other, now", [])
        other.backup.sync_now()
        assert one.store.outbox.waiting("repo").count == 0
        senders = {name.rpartition("/")[2].partition("-")[0] for name in hub.files(REPO) if name.startswith("journal/")}
        assert senders == {one.store.replica}
        wait_until(lambda: other.backup.state().repo.last is not None)
        open_replica.close("one")
        wait_until(lambda: other.replicas.leads)
        other.store.queries.add_set("after that", [])
        wait_until(lambda: other.store.outbox.waiting("repo").count == 0)
        senders = {name.rpartition("/")[2].partition("-")[0] for name in hub.files(REPO) if name.startswith("journal/")}
        assert senders == {one.store.replica, other.store.replica}


def test_what_the_hub_refuses_is_told_by_every_replica(open_replica):
    with HubServer() as hub:
        settings = {"dataset_repo": REPO, "hf_token": TOKEN, "hf_endpoint": hub.url, "sync_seconds": 1.0}
        one = open_replica("one", **settings)
        wait_until(lambda: one.replicas.leads and one.backup.state().kind is BackupKind.BACKED_UP)
        other = open_replica("other", **settings)
        hub.fail(times=None, status=403)
        other.store.queries.add_set("list", [])
        with pytest.raises(BackupError):
            other.backup.sync_now()
        wait_until(lambda: other.backup.state().kind is BackupKind.FAILING)
        assert other.backup.state().repo.problem == one.backup.state().repo.problem
        hub.heal()


def test_who_could_not_begin_to_lead_tries_again(begin):
    calls, errors = [], [StoreError("The database cannot be reached."), ValueError("unforeseen")]

    def lead():
        calls.append("lead")
        if errors:
            raise errors.pop(0)

    _, replicas = begin(lead=lead, follow=lambda: calls.append("follow"))
    wait_until(lambda: replicas.leads)
    assert calls == ["lead", "follow", "lead", "follow", "lead"]


def test_who_cannot_lead_lets_another_one(begin):
    def lead():
        raise ValueError("never here")

    _, one = begin(lead=lead)
    _, other = begin()
    wait_until(lambda: other.leads)
    assert not one.leads and one._thread.is_alive()


def test_an_unforeseen_error_ends_no_duty_for_good_and_nobody_leads_who_has_it(begin, caplog):
    ill, calls, followed = [True], [], []

    def on_documents():
        calls.append(1)
        if ill:
            raise ValueError("unforeseen")

    _, one = begin(on_documents=on_documents, follow=lambda: followed.append(1))
    wait_until(lambda: one.leads)
    writer, other = begin()
    writer.documents.add(Document(new_id(), "d", "text/plain", "a" * 64, "x", ()), [])
    wait_until(lambda: other.leads and len(calls) >= 3)
    assert not one.leads and followed == [1]
    ill.clear()
    calls.clear()
    wait_until(lambda: calls)
    other.stop(10)
    other.leave()
    wait_until(lambda: one.leads)
    # Nothing was tried again that had gone well, and what went wrong each time was said once.
    assert len(calls) == 1
    assert [record.exc_info[0] for record in caplog.records if record.name == "pipeline.replicas"] == [ValueError]


def test_a_replica_that_cannot_be_taken_over_can_come_back(begin):
    tried, gone = [], new_id()

    def take_over(replica):
        if replica == gone:
            tried.append(replica)
            raise StoreError("This could not be saved.")

    store, _ = begin(take_over=take_over)
    back = Presence(open_store_as(store, gone).database)
    assert back.enter()
    back.leave()
    wait_until(lambda: len(tried) >= 3)
    # While it is tried nobody else may; in between it is free.
    wait_until(back.enter)
    tried.clear()
    time.sleep(0.3)
    assert tried == []
    back.leave(for_good=True)
    back._db.close()


def open_store_as(store, replica):
    url = store.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return open_store(None, server=Server(url, replica))


def test_runs_that_could_not_be_read_are_taken_over_at_the_next_look_and_partial_ones_never(open_replica, tmp_path):
    with OpenAIServer() as server:
        settings = {"openai_base_url": server.base_url, "openai_model": "test-model"}
        one, other = open_replica("one", **settings), open_replica("other", **settings)
        add_manual(one, tmp_path)
        model = next(model for model in one.registry.all() if model.name == "test-model")
        list_id = add_queries(one)
        runs = [one.generation.start_run(model.id, list_id) for _ in range(3)]
        for run_id, partial in zip(runs, (False, False, True), strict=True):
            finished(one, run_id)
            assert one.store.runs.reopen(run_id, partial=partial)
        rows, broken = other.generation.rows, [runs[1]]

        def read(run):
            if run.id in broken:
                raise StoreError("The database cannot be reached.")
            return rows(run)

        other.generation.rows = read
        with pytest.raises(StoreError):
            other.generation.take_over(one.store.replica)
        assert finished(other, runs[0]).state is JobState.DONE
        assert other.store.runs.left_by(one.store.replica) == runs[1:]
        broken.clear()
        other.generation.take_over(one.store.replica)
        assert finished(other, runs[1]).state is JobState.DONE
        assert other.store.runs.get(runs[2]).state is JobState.INTERRUPTED
