"""The published tables go another way than the journal, through LFS; what happens to them never touches the journal."""

import time

import pytest

from pipeline.errors import HubError
from pipeline.hub.repo import HubRepo
from pipeline.hub.state import BackupKind, BackupState
from pipeline.hub.sync import HubSync, Pace
from pipeline.store import open_store
from tests.backing import REPO, TOKEN, never_rewritten, rows_of, work
from tests.full_disk import files_no_longer_than

TABLE = "data/votes/train-00000-of-00001.parquet"


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "pairloop.db")
    yield store
    store.close()


def sync_of(store, hub, tables, patience=30.0):
    return HubSync(store, HubRepo(REPO, hub.url, TOKEN, patience), Pace(journal=0.2, publish=0.2), tables)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 403, "message": f"no rights for {TOKEN}"}, "write access"),
        ({"status": 400}, "error 400"),
        ({"status": 507, "message": "storage is full"}, "storage is full"),
    ],
    ids=["403", "400", "507"],
)
def test_a_table_that_is_refused_in_its_upload_is_told_in_words_and_comes_with_the_next_refresh(
    store, hub, fault, words
):
    sync = sync_of(store, hub, lambda: {TABLE: b"PAR1 rows"})
    hub.fail(times=None, method="PUT", path="^/lfs/", **fault)
    with pytest.raises(HubError, match=words) as error:
        sync.sync_now()
    assert TOKEN not in str(error.value) and BackupState(sync.state()).kind is BackupKind.BACKED_UP
    assert any("published tables" in warning for warning in sync.warnings())
    hub.heal()
    sync.sync_now()
    assert hub.files(REPO)[TABLE] == b"PAR1 rows" and sync.warnings() == ()


def test_tables_that_hang_hold_up_neither_the_journal_nor_the_end(store, hub):
    made = []
    sync = sync_of(store, hub, lambda: made.append(1) or {TABLE: b"PAR1 %d" % len(made)})
    hub.fail(times=1, path="objects/batch|^/lfs/", hang=20.0)
    sync.start()
    until(lambda: made)
    time.sleep(0.3)
    for number in range(2):
        work(store, name=f"list {number}")
        until(lambda: store.outbox.waiting("repo").count == 0)
    work(store, name="last")
    begun = time.monotonic()
    sync.hurry()
    sync.stop(1.0)
    assert sync._beside.is_alive(), "the tables were there too early for this test"
    assert time.monotonic() - begun < 6.0 and store.outbox.waiting("repo").count == 0
    assert b'"last"' in b"".join(data for path, data in hub.files(REPO).items() if path.startswith("journal/"))
    # What hangs is cut off, and comes to its end.
    hub.stop()
    hub.start()
    sync._thread.join(15)


def test_reading_that_hangs_does_not_hold_up_the_journal_either(store, hub):
    sync = sync_of(store, hub, dict)
    hub.fail(times=1, path="/tree/", hang=20.0)
    sync.start()
    for number in range(2):
        work(store, name=f"list {number}")
        until(lambda: store.outbox.waiting("repo").count == 0)
    assert sync._beside.is_alive(), "the reading was done too early for this test"
    hub.stop()
    sync.stop(1.0)


def test_a_row_that_cannot_be_written_as_a_table_is_told_and_the_journal_goes_on(store, hub):
    def broken():
        raise OverflowError("date value out of range")

    sync = sync_of(store, hub, broken)
    sync.start()
    until(sync.warnings)
    work(store)
    until(lambda: store.outbox.waiting("repo").count == 0)
    assert BackupState(sync.state()).kind is BackupKind.BACKED_UP
    sync.stop(5)


def test_a_disk_that_is_full_when_a_commit_was_made_ends_no_thread_and_doubles_nothing(store, hub, tmp_path):
    sync = sync_of(store, hub, dict)
    sync.start()
    until(lambda: store.outbox.waiting("repo").count == 0)
    hub.fail(times=1, path="/commit/", hang=1.0)
    work(store, 300)
    with files_no_longer_than(30_000):
        until(lambda: "disk" in sync.state().problem)
        assert store.outbox.waiting("repo").count == 301
    until(lambda: store.outbox.waiting("repo").count == 0)
    until(lambda: sync.state().problem == "")
    sync.stop(5)
    again = open_store(tmp_path / "again.db", lambda new: sync_of(new, hub, dict).restore(lambda text: None) > 0)
    assert rows_of(again) == rows_of(store) and never_rewritten(hub)
    again.close()


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
