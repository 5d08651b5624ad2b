"""The journal in a folder: appended and synced, mended after a kill, and read back alone or together with the repo."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline import journal
from pipeline.backup import Backup
from pipeline.errors import SettingsError
from pipeline.hub.folder import FolderJournal
from pipeline.records import new_id
from pipeline.settings import Settings
from pipeline.store import open_store
from tests.backing import REPO, TOKEN, rows_of, work
from tests.full_disk import files_no_longer_than

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "pairloop.db")
    yield store
    store.close()


@pytest.fixture
def folder(store, tmp_path):
    return FolderJournal(store, tmp_path / "volume", lambda line: line)


def files(tmp_path):
    return sorted((tmp_path / "volume").rglob("*.jsonl"))


@contextmanager
def from_folder(tmp_path, told=None):
    """Yield a new store that was filled from the folder alone."""
    reports = [] if told is None else told
    again = open_store(
        tmp_path / f"again-{new_id()}.db",
        lambda new: FolderJournal(new, tmp_path / "volume", lambda line: line).restore(reports.append) > 0,
    )
    try:
        yield again
    finally:
        again.close()


def test_changes_are_appended_to_one_file_a_day_of_this_replica(store, folder, tmp_path):
    sizes = []
    for number in range(3):
        work(store, name=f"list {number}")
        folder.write_now()
        (file,) = files(tmp_path)
        sizes.append(file.read_bytes())
    assert sizes[1].startswith(sizes[0]) and sizes[2].startswith(sizes[1])
    assert file.name.startswith(store.replica) and file.parent.name == time.strftime("%Y-%m-%d", time.gmtime())
    assert store.outbox.waiting("folder").count == 0 and store.outbox.waiting("repo").count > 0
    with from_folder(tmp_path) as again:
        assert rows_of(again) == rows_of(store)
        assert again.outbox.waiting("folder").count == 0


def test_nothing_new_writes_nothing(store, folder, tmp_path):
    folder.write_now()
    before = [(file, file.stat().st_size) for file in files(tmp_path)]
    folder.write_now()
    assert [(file, file.stat().st_size) for file in files(tmp_path)] == before


SYNCED = """
import os, sys
from pathlib import Path
from pipeline.hub.folder import FolderJournal
from pipeline.store import open_store

place = Path(sys.argv[1])
store = open_store(place / "pairloop.db")
waiting = lambda: store.outbox.waiting("folder").count
real = os.fsync
os.fsync = lambda number: (real(number), print("synced with", waiting(), "waiting"))
FolderJournal(store, place / "volume", lambda line: line).write_now()
print("then", waiting())
"""


def test_a_change_is_on_the_disk_before_it_counts_as_arrived(tmp_path):
    # In a process of its own: the call to the operating system is watched.
    command = [sys.executable, "-c", SYNCED, str(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said == "synced with 1 waiting\nthen 0\n"


def test_the_thread_writes_at_once_and_a_stop_writes_the_rest(store, folder):
    folder.start()
    until(lambda: store.outbox.waiting("folder").count == 0)
    work(store)
    until(lambda: store.outbox.waiting("folder").count == 0)
    work(store, name="last")
    folder.stop(5)
    assert folder.state().waiting == 0 and folder.state().last


def test_a_block_that_a_kill_tore_is_told_skipped_and_comes_again_in_another_file(store, folder, tmp_path):
    work(store, name="first")
    folder.write_now()
    (file,) = files(tmp_path)
    whole = file.stat().st_size
    work(store, name="second")
    folder.write_now()
    # The machine lost its power in the middle of the second block, before the store had noted its arrival.
    os.truncate(file, whole + (file.stat().st_size - whole) // 2)
    store.outbox.start_over("folder")
    told = []
    with from_folder(tmp_path, told) as again:
        assert [item.name for item in again.queries.sets()] == ["first"]
        (warning,) = FolderJournal(again, tmp_path / "volume", lambda line: line).warnings()
        assert file.name in warning and "not whole" in warning
    assert any("Restoring from" in text for text in told)
    # The next process begins a file of its own, whatever the last one left behind.
    FolderJournal(store, tmp_path / "volume", lambda line: line).write_now()
    assert len(files(tmp_path)) == 2
    with from_folder(tmp_path) as again:
        assert rows_of(again) == rows_of(store)


def test_after_a_write_that_failed_half_way_the_next_one_begins_a_new_file(store, folder, tmp_path):
    work(store, name="first")
    folder.write_now()
    (file,) = files(tmp_path)
    whole = file.stat().st_size
    work(store, 20, name="second")
    with files_no_longer_than(whole + 100), pytest.raises(OSError, match="too large"):
        folder.write_now()
    assert file.stat().st_size == whole + 100 and store.outbox.waiting("folder").count == 21
    folder.write_now()
    work(store, name="third")
    folder.write_now()
    assert len(files(tmp_path)) == 2 and file.stat().st_size == whole + 100
    with from_folder(tmp_path) as again:
        assert rows_of(again) == rows_of(store)


def test_a_folder_that_cannot_be_written_is_told_and_tried_again(store, tmp_path):
    (tmp_path / "volume").write_text("a file where the folder should be")
    folder = FolderJournal(store, tmp_path / "volume", lambda line: line)
    folder.start()
    until(lambda: folder.state().problem)
    state = folder.state()
    assert "cannot be written" in state.problem and state.waiting > 0 and state.retry_in
    (tmp_path / "volume").unlink()
    folder.stop(5)
    assert folder.state().waiting == 0 and folder.state().problem == ""


def test_a_folder_that_cannot_be_read_stops_the_start_in_words(store, tmp_path):
    work(store)
    FolderJournal(store, tmp_path / "volume", lambda line: line).write_now()
    (file,) = files(tmp_path)
    file.unlink()
    file.mkdir()
    settings = Settings(home=tmp_path, data_dir=tmp_path / "volume")
    with pytest.raises(SettingsError, match="PAIRLOOP_DATA_DIR cannot be read"):
        open_store(tmp_path / "again.db", lambda new: Backup(new, settings).restore(lambda text: None))


def test_foreign_files_in_the_folder_are_told_and_do_not_stop_the_restore(store, folder, tmp_path):
    work(store)
    folder.write_now()
    (tmp_path / "volume" / "journal" / "notes").mkdir()
    (tmp_path / "volume" / "journal" / "notes" / "x-y.jsonl").write_bytes(b"\x00\xff not ours")
    (tmp_path / "volume" / "journal" / "notes" / "empty-z.jsonl").write_bytes(b"")
    (tmp_path / "volume" / "README").write_text("not ours")
    with from_folder(tmp_path) as again:
        assert rows_of(again) == rows_of(store)
        (warning,) = FolderJournal(again, tmp_path / "volume", lambda line: line).warnings()
        assert "x-y.jsonl" in warning


def test_the_files_of_several_replicas_come_together(store, folder, tmp_path):
    other = open_store(tmp_path / "other.db")
    person = store.members.by_token("a" * 64)
    folder.write_now()
    FolderJournal(other, tmp_path / "volume", lambda line: line).restore(lambda text: None)
    other.members.rename(person, "Ada")
    theirs = FolderJournal(other, tmp_path / "volume", lambda line: line)
    work(other, name="theirs")
    theirs.write_now()
    work(store, name="ours")
    folder.write_now()
    with from_folder(tmp_path) as again:
        assert {item.name for item in again.queries.sets()} == {"ours", "theirs"}
        assert again.members.name(person) == "Ada"
    other.close()


def test_a_restore_takes_from_the_folder_and_the_repo_what_each_of_them_has(hub, tmp_path):
    settings = Settings(
        home=tmp_path, data_dir=tmp_path / "volume", dataset_repo=REPO, hf_token=TOKEN, hf_endpoint=hub.url
    )
    store = open_store(tmp_path / "pairloop.db")
    backup = Backup(store, settings)
    work(store, name="in both")
    backup.sync_now()
    work(store, name="in the folder alone")
    backup._folder.write_now()
    # The folder of today is lost, as when a volume comes back from yesterday's copy; the repo has the rest.
    saved = tmp_path / "saved"
    shutil.copytree(tmp_path / "volume", saved)
    work(store, name="in the repo alone")
    backup.sync_now()
    rows = rows_of(store)
    store.close()
    shutil.rmtree(tmp_path / "volume")
    shutil.copytree(saved, tmp_path / "volume")
    told = []
    again = open_store(tmp_path / "again.db", lambda new: Backup(new, settings).restore(told.append))
    assert rows_of(again) == rows
    assert {text.split(":")[0] for text in told} == {f"Restoring from {tmp_path / 'volume'}", f"Restoring from {REPO}"}
    # What the folder lacks is written there, what the repo lacks is sent there, and nothing else.
    assert again.outbox.waiting("repo").count == 0
    assert 0 < again.outbox.waiting("folder").count < sum(map(len, rows.values()))
    again.close()


def test_a_restore_that_was_cut_off_goes_on_at_the_next_start(store, folder, tmp_path):
    for number in range(3):
        work(store, name=f"list {number}")
        FolderJournal(store, tmp_path / "volume", lambda line: line).write_now()
    settings = Settings(home=tmp_path, data_dir=tmp_path / "volume")

    def cut_off(text):
        if ": 2 of 3" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_store(tmp_path / "again.db", lambda new: Backup(new, settings).restore(cut_off))
    again = open_store(tmp_path / "again.db", lambda new: Backup(new, settings).restore(lambda text: None))
    assert rows_of(again) == rows_of(store)
    again.close()


def test_secrets_are_taken_out_before_a_line_is_written(store, tmp_path):
    settings = Settings(home=tmp_path, data_dir=tmp_path / "volume", hf_token="hf_marked_token")
    work(store, name="is hf_marked_token valid?")
    Backup(store, settings).sync_now()
    (file,) = files(tmp_path)
    assert b"hf_marked_token" not in file.read_bytes()
    assert not journal.read_blocks(file.read_bytes()).problem


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
