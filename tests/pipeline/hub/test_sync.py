"""The dataset repo and the store, through the real client and a loopback Hub: nothing missing, doubled or overwritten."""

import threading
import time

import pytest

from pipeline.errors import HubError
from pipeline.hub.state import BackupKind
from pipeline.records import JobState, ResponseStatus
from pipeline.store import open_store
from tests.backing import (
    REPO,
    add_run,
    answer,
    doubled,
    kind,
    restored,
    rows_of,
    same_after_restore,
    sync_with,
    until,
    work,
)
from tests.hub_server import HubServer, Token
from tests.workspace import add_comparison, add_model

JOURNAL_COMMIT = {"method": "POST", "path": r"/commit/"}


def test_everything_comes_back_and_goes_on_where_people_left(services, hub, tmp_path):
    store = services.store
    models = add_model(services, "one"), add_model(services, "two")
    set_id = add_comparison(services, models, [("A.", "B."), ("Same.", "Same."), ("C.", "D.")])
    ada = store.members.by_token("a" * 64)
    pair = services.comparisons.next_pair(set_id, ada)
    services.comparisons.vote(pair.comparison_id, ada, "model_a", "because", "A better answer.")
    services.comparisons.undo(set_id, ada)
    services.comparisons.vote(pair.comparison_id, ada, "tie")
    left = store.votes.drawn(pair.comparison_id, ada)
    sync_with(store, hub).sync_now()
    same_after_restore(store, hub, tmp_path)
    again = restored(hub, tmp_path / "new.db")
    assert again.members.by_token("a" * 64) == ada
    assert again.votes.drawn(pair.comparison_id, ada) == left
    assert [vote.outcome for vote in again.votes.of_set(set_id)] == ["tie", "tie"]
    again.close()


def test_the_repo_is_made_private(store, hub):
    sync_with(store, hub).sync_now()
    assert hub.repo(REPO).private


def test_a_public_repo_is_told(store, hub):
    hub.add_repo(REPO)
    sync = sync_with(store, hub)
    sync.sync_now()
    assert any("is public" in warning for warning in sync.warnings())


def test_nothing_new_makes_no_commit(store, hub):
    sync = sync_with(store, hub)
    sync.sync_now()
    before = len(hub.commits(REPO))
    sync.sync_now()
    assert len(hub.commits(REPO)) == before


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 401, "message": "Invalid credentials in Authorization header"}, "HF_TOKEN"),
        ({"status": 403, "message": "You don't have the required permissions"}, "write access"),
        ({"status": 404, "code": "RepoNotFound"}, "is not there"),
        ({"status": 409}, "Somebody else"),
        ({"status": 412}, "Somebody else"),
        ({"status": 429, "retry_after": 1}, "asks to wait"),
        ({"status": 500}, "error 500"),
        ({"status": 503}, "error 503"),
        ({"hang": 3.0}, "did not answer"),
        ({"hang": 3.0, "drop": "after"}, "did not answer"),
        ({"drop": "before"}, "cannot be reached"),
        ({"drop": "cut"}, "cannot be reached"),
        ({"drop": "after"}, "cannot be reached"),
    ],
    ids=["401", "403", "404", "409", "412", "429", "500", "503", "hang", "late", "refused", "cut", "lost answer"],
)
def test_after_every_fault_nothing_is_missing_doubled_or_overwritten(store, hub, tmp_path, fault, words):
    sync = sync_with(store, hub)
    work(store, name="before")
    sync.sync_now()
    work(store, name="during")
    hub.fail(times=1, **JOURNAL_COMMIT, **fault)
    with pytest.raises(HubError, match=words):
        sync.sync_now()
    state = sync.state()
    assert kind(sync) is BackupKind.FAILING and state.waiting > 0 and words in state.problem
    # Whoever works meanwhile is not held up, and their changes come too.
    work(store, name="after")
    hub.heal()
    time.sleep(fault.get("retry_after", 0))
    sync.sync_now()
    assert kind(sync) is BackupKind.BACKED_UP
    same_after_restore(store, hub, tmp_path)
    assert doubled(hub) == []


@pytest.mark.parametrize("path", ["/api/datasets/team/feedback$", "/preupload/", "/tree/", "/resolve/"])
def test_a_fault_of_any_call_heals(store, hub, tmp_path, path):
    other = open_store(tmp_path / "other.db")
    sync_with(other, hub).sync_now()
    work(store)
    sync = sync_with(store, hub)
    hub.fail(times=1, path=path, status=500)
    try:
        sync.sync_now()
    except HubError:
        # The client itself goes on trying some calls; those that it gives up come again with the next cycle.
        sync.sync_now()
    assert kind(sync) is BackupKind.BACKED_UP
    sync_with(other, hub).sync_now()
    assert rows_of(other) == rows_of(store)
    other.close()
    same_after_restore(store, hub, tmp_path)


def test_a_hub_that_asks_to_wait_is_not_asked_before(store, hub):
    sync = sync_with(store, hub)
    hub.fail(times=1, status=429, retry_after=40, path="/api/datasets")
    with pytest.raises(HubError):
        sync.sync_now()
    assert 39 <= sync.state().retry_in <= 40


def test_a_token_that_may_not_write_is_told_at_the_start(store, hub):
    hub.add_repo(REPO, private=True)
    sync = sync_with(store, hub, token="hf_read_token")
    with pytest.raises(HubError, match="may not write to the dataset repo team/feedback"):
        sync.sync_now()
    assert kind(sync) is BackupKind.FAILING


def test_a_failing_table_never_holds_up_the_journal(store, hub, tmp_path):
    sync = sync_with(store, hub)
    hub.fail(times=None, path="/preupload/", status=404)
    with pytest.raises(HubError):
        sync.sync_now()
    hub.heal()
    sync.sync_now()
    work(store)
    # The tables only: the commit of the journal has no parent.
    sync._tables = lambda: (_ for _ in ()).throw(HubError("no tables today"))
    with pytest.raises(HubError, match="no tables today"):
        sync.sync_now()
    assert kind(sync) is BackupKind.BACKED_UP
    assert any("published tables" in warning for warning in sync.warnings())
    same_after_restore(store, hub, tmp_path)


def test_the_tables_of_another_replica_are_not_overwritten_unread(store, hub, tmp_path):
    other = open_store(tmp_path / "other.db")
    sync, theirs = sync_with(store, hub), sync_with(other, hub)
    sync.sync_now()
    theirs.sync_now()
    work(store)
    theirs._tables = lambda: {"data/t.txt": b"newer than what was read"}
    work(other, name="theirs")

    def late():
        # Somebody else commits between the reading and the publishing.
        theirs.sync_now()
        return {"data/t.txt": b"made before that"}

    sync._tables = late
    with pytest.raises(HubError, match="Somebody else"):
        sync.sync_now()
    assert hub.files(REPO)["data/t.txt"] == b"newer than what was read"
    other.close()


def test_own_journal_commits_do_not_keep_the_tables_from_being_refreshed(store, hub):
    sync = sync_with(store, hub)
    sync.sync_now()
    work(store)

    def slow():
        work(store, name="while they are made")
        sync._send()
        return {"data/t.txt": b"made slowly"}

    sync._tables = slow
    sync.sync_now()
    assert hub.files(REPO)["data/t.txt"] == b"made slowly"


def test_the_state_counts_what_is_not_in_the_repo_at_every_moment(store, hub):
    sync = sync_with(store, hub)
    sync.sync_now()
    assert kind(sync) is BackupKind.BACKED_UP
    before = time.time()
    work(store, 4)
    state = sync.state()
    assert (state.waiting, kind(sync)) == (5, BackupKind.WAITING)
    assert before - 0.01 <= state.since <= time.time()


def test_a_change_during_a_commit_is_not_taken_for_sent(store, hub):
    person = store.members.by_token("a" * 64)
    sync = sync_with(store, hub)
    sync.sync_now()
    store.members.rename(person, "Ada")
    hub.fail(times=1, **JOURNAL_COMMIT, hang=0.5)
    sending = threading.Thread(target=sync.sync_now)
    sending.start()
    time.sleep(0.25)
    store.members.rename(person, "Ada Lovelace")
    sending.join()
    assert kind(sync) is BackupKind.WAITING and sync.state().waiting == 1
    sync.sync_now()
    assert b"Ada Lovelace" in b"".join(hub.files(REPO).values())


def test_two_replicas_merge_and_the_last_writer_wins_per_row(store, hub, tmp_path):
    other = open_store(tmp_path / "other.db")
    here, there = sync_with(store, hub), sync_with(other, hub)
    person = store.members.by_token("a" * 64)
    here.sync_now()
    there.sync_now()
    store.members.rename(person, "Ada")
    other.members.rename(person, "Ada L.")
    work(store, name="ours")
    work(other, name="theirs")
    for sync in (here, there, here, there):
        sync.sync_now()
    assert rows_of(other) == rows_of(store)
    assert store.members.name(person) == "Ada L."
    assert {item.name for item in store.queries.sets()} == {"ours", "theirs"}
    other.close()
    same_after_restore(store, hub, tmp_path)


def test_a_run_of_another_replica_goes_on_and_one_of_a_lost_disk_is_marked(store, hub, tmp_path):
    run_id = add_run(store, work(store))
    sync_with(store, hub).sync_now()
    other = restored(hub, tmp_path / "other.db")
    assert other.runs.get(run_id).state is JobState.INTERRUPTED
    other.close()
    store.close()
    again = open_store(tmp_path / "pairloop.db")
    assert again.runs.get(run_id).state is JobState.INTERRUPTED
    again.close()


def test_the_thread_sends_what_waits_at_most_once_in_its_time(store, hub):
    sync = sync_with(store, hub, journal=1.0, publish=600.0)
    sync.start()
    begun = time.monotonic()
    for number in range(20):
        work(store, name=f"list {number}")
        time.sleep(0.1)
    sync.stop(5)
    took = time.monotonic() - begun
    journals = [c for c in hub.commits(REPO) if any(path.startswith("journal/") for path in c.added)]
    assert 2 <= len(journals) <= took + 2
    assert store.outbox.waiting("repo").count == 0


def test_stopping_sends_what_waits_and_a_hanging_hub_does_not_hold_it_up(store, hub):
    sync = sync_with(store, hub, journal=3600.0)
    sync.start()
    until(lambda: store.outbox.waiting("repo").count == 0)
    work(store)
    sync.stop(5)
    assert store.outbox.waiting("repo").count == 0
    slow = sync_with(store, hub, patience=30.0)
    hub.fail(times=None, hang=20.0)
    slow.start()
    work(store, name="more")
    begun = time.monotonic()
    slow.stop(1.0)
    assert time.monotonic() - begun < 8
    hub.heal()


def test_restoring_waits_for_a_hub_that_is_down_and_says_so(store, hub, tmp_path):
    work(store)
    sync_with(store, hub).sync_now()
    hub.fail(times=2, status=503)
    told = []
    again = open_store(tmp_path / "again.db", lambda new: sync_with(new, hub).restore(told.append) > 0)
    assert rows_of(again) == rows_of(store)
    assert any("held up" in text and "503" in text for text in told)
    again.close()


def test_nothing_is_overwritten_by_a_store_that_could_not_read(hub, tmp_path):
    with HubServer(tokens={"hf_write_token": "write", "blind": Token("other")}) as second:
        full = open_store(tmp_path / "full.db")
        work(full)
        sync_with(full, second).sync_now()
        files = second.files(REPO)
        empty = open_store(tmp_path / "empty.db")
        second.fail(times=None, path="/resolve/|/tree/", status=403)
        with pytest.raises(HubError):
            sync_with(empty, second).sync_now()
        second.heal()
        kept = second.files(REPO)
        assert {path: kept[path] for path in files} == files
        full.close()
        empty.close()


@pytest.mark.sqlite
def test_a_full_disk_refuses_the_write_and_loses_nothing_that_was_acknowledged(store, hub, tmp_path):
    sync = sync_with(store, hub)
    work(store)
    sync.sync_now()
    with store.database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Exception, match="full"):
        work(store, 5000, name="too much")
    before = rows_of(store)
    with store.database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    work(store, name="room again")
    sync.sync_now()
    assert all(rows_of(store)[table].items() >= rows.items() for table, rows in before.items())
    same_after_restore(store, hub, tmp_path)


def test_a_clock_that_jumps_back_makes_no_older_state_win(store, hub, tmp_path):
    person = store.members.by_token("a" * 64)
    store.members.rename(person, "Before")
    sync = sync_with(store, hub)
    sync.sync_now()
    store.database.writer.stamps._clock = lambda: time.time() - 7200
    store.members.rename(person, "After")
    sync.sync_now()
    again = restored(hub, tmp_path / "again.db")
    assert again.members.name(person) == "After"
    again.close()


def test_drafts_come_back_too(services, hub, tmp_path):
    store = services.store
    ada = store.members.by_token("a" * 64)
    record = a_record(services)
    answer(store, record, ada, "half a sen", ResponseStatus.DRAFT)
    sync_with(store, hub).sync_now()
    again = restored(hub, tmp_path / "again.db")
    response = again.responses.get(record, ada)
    assert (response.status, response.values["answer"]) == (ResponseStatus.DRAFT, "half a sen")
    again.close()


def a_record(services):
    from tests.material import add_queries, finished

    list_id = add_queries(services, ["Where is the harbour?"], ())
    run_id = services.generation.start_run(services.registry.all()[0].id, list_id)
    finished(services, run_id)
    dataset = services.datasets.create_of_run(run_id, "answer-review")
    return services.store.datasets.record_ids(dataset.id)[0]
