"""A dataset repo that was set back, damaged, folded or taken away, through the real client and a loopback Hub."""

import pytest

from pipeline.errors import HubError
from pipeline.hub.state import BackupKind
from pipeline.store import open_store
from tests.backing import REPO, add_run, kind, restored, rows_of, same_after_restore, sync_with, work


def test_a_repo_that_is_added_later_gets_all_that_is_there(store, hub, tmp_path):
    work(store, 700)
    assert store.outbox.waiting("repo").count > 700
    sync_with(store, hub).sync_now()
    same_after_restore(store, hub, tmp_path)


def test_another_repo_gets_everything_too(store, hub, tmp_path):
    sync_with(store, hub).sync_now()
    work(store)
    sync_with(store, hub, repo="team/second").sync_now()
    again = restored(hub, tmp_path / "second.db", repo="team/second")
    assert rows_of(again) == rows_of(store)
    again.close()


def test_a_repo_that_was_deleted_is_made_again_and_filled(store, hub, tmp_path):
    sync = sync_with(store, hub)
    work(store)
    sync.sync_now()
    del hub.repos[f"datasets/{REPO}"]
    work(store, name="more")
    with pytest.raises(HubError):
        sync.sync_now()
    sync.sync_now()
    same_after_restore(store, hub, tmp_path)


def test_journal_files_that_somebody_deleted_come_again(store, hub, tmp_path):
    sync = sync_with(store, hub)
    work(store)
    sync.sync_now()
    hub.commit_by_others(REPO, {path: None for path in hub.files(REPO) if path.startswith("journal/")})
    sync.sync_now()
    assert kind(sync) is BackupKind.WAITING
    sync.sync_now()
    same_after_restore(store, hub, tmp_path)


def test_a_repo_that_was_set_back_gets_again_what_it_has_lost(store, hub, tmp_path):
    sync = sync_with(store, hub, fold_files=3)
    for number in range(3):
        work(store, name=f"early {number}")
        sync.sync_now()
    early = dict(hub.files(REPO))
    assert any(path.startswith("snapshot/") for path in early)
    for number in range(4):
        work(store, name=f"late {number}")
        sync.sync_now()
    hub.commit_by_others(REPO, {**{path: None for path in hub.files(REPO)}, **early})
    hub.fail(times=1, path="/resolve/", status=404)
    with pytest.raises(HubError):
        sync.sync_now()
    assert kind(sync) is not BackupKind.BACKED_UP
    sync.sync_now()
    sync.sync_now()
    assert kind(sync) is BackupKind.BACKED_UP
    same_after_restore(store, hub, tmp_path)


def test_a_repo_that_is_gone_while_nobody_works_is_noticed(store, hub, tmp_path):
    sync = sync_with(store, hub)
    work(store)
    sync.sync_now()
    del hub.repos[f"datasets/{REPO}"]
    sync._cycle(at_once=False)
    assert kind(sync) is BackupKind.FAILING
    sync._cycle(at_once=False)
    assert kind(sync) is BackupKind.BACKED_UP
    same_after_restore(store, hub, tmp_path)


def test_a_damaged_journal_file_is_reported_by_name_and_the_others_are_used(store, hub, tmp_path):
    sync = sync_with(store, hub)
    work(store, name="first")
    sync.sync_now()
    hub.commit_by_others(REPO, {"journal/2026-01-01/x-01j0000000000000000000000a.jsonl": b'{"pairloop":1,"rows":3,'})
    work(store, name="second")
    sync.sync_now()
    (warning,) = sync.warnings()
    assert "x-01j0000000000000000000000a.jsonl" in warning
    again = restored(hub, tmp_path / "again.db")
    assert rows_of(again) == rows_of(store)
    again.close()


def test_what_hangs_on_a_damaged_file_waits_and_comes_when_the_file_is_mended(store, hub, tmp_path):
    sync = sync_with(store, hub)
    list_id = work(store)
    sync.sync_now()
    (path,) = [path for path in hub.files(REPO) if path.startswith("journal/")]
    whole = hub.files(REPO)[path]
    run_model = add_run(store, list_id)
    sync.sync_now()
    hub.commit_by_others(REPO, {path: whole[:-40]})
    again = restored(hub, tmp_path / "again.db")
    assert again.queries.sets() == [] and len(again.merging.parked()) == 1
    hub.commit_by_others(REPO, {path: None, "journal/2026-01-01/mended-01j0000000000000000000000a.jsonl": whole})
    sync_with(again, hub).sync_now()
    assert again.runs.get(run_model).total == 3 and again.merging.parked() == []
    again.close()


def test_folding_keeps_every_row_and_makes_the_next_restore_short(store, hub, tmp_path):
    sync = sync_with(store, hub, fold_files=5)
    for number in range(7):
        work(store, name=f"list {number}")
        sync.sync_now()
    files = [path for path in hub.files(REPO) if path.startswith(("journal/", "snapshot/"))]
    assert sum(path.startswith("snapshot/") for path in files) == 1 and len(files) < 5
    same_after_restore(store, hub, tmp_path)


def test_folding_by_one_replica_loses_nothing_that_another_has_not_read(store, hub, tmp_path):
    other = open_store(tmp_path / "other.db")
    first, second = sync_with(store, hub, fold_files=3), sync_with(other, hub, fold_files=100)
    first.sync_now()
    second.sync_now()
    for number in range(4):
        work(other, name=f"theirs {number}")
        second.sync_now()
        work(store, name=f"ours {number}")
        first.sync_now()
    assert any(path.startswith("snapshot/") for path in hub.files(REPO))
    second.sync_now()
    first.sync_now()
    assert rows_of(other) == rows_of(store)
    other.close()
    same_after_restore(store, hub, tmp_path)


def test_a_damaged_file_is_never_folded_away(store, hub):
    sync = sync_with(store, hub, fold_files=3)
    sync.sync_now()
    bad = "journal/2026-01-01/x-01j0000000000000000000000a.jsonl"
    hub.commit_by_others(REPO, {bad: b"nonsense\n"})
    for number in range(5):
        work(store, name=f"list {number}")
        sync.sync_now()
    assert hub.files(REPO)[bad] == b"nonsense\n"


def test_history_is_squashed_when_that_is_set(store, hub, tmp_path):
    sync = sync_with(store, hub, fold_files=3, squash=True)
    for number in range(5):
        work(store, name=f"list {number}")
        sync.sync_now()
    assert len(hub.commits(REPO)) < 5
    same_after_restore(store, hub, tmp_path)
