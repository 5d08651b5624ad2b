"""A replica whose store a newer version has changed: it sends nothing more, neither to the dataset repo nor into the folder."""

import psycopg
import pytest

from pipeline.errors import HubError, OutdatedError
from pipeline.hub.folder import FolderJournal
from pipeline.hub.repo import HubRepo
from pipeline.hub.sync import HubSync, Pace
from tests import stores
from tests.backing import REPO, TOKEN, sync_with, work


@pytest.fixture
def shared(tmp_path):
    """A store on PostgreSQL, and what a newer version does to it."""
    with stores.on(stores.POSTGRESQL):
        store, url = stores.open_store(tmp_path / "pairloop.db"), stores.url_of(tmp_path / "pairloop.db")

    def overtake():
        with psycopg.connect(url) as newer:
            newer.execute("UPDATE alembic_version SET version_num = 'm999'")

    yield store, overtake
    store.close()


def test_what_waits_when_a_newer_version_comes_is_left_to_it(shared, hub, tmp_path):
    store, overtake = shared
    folder, sync = FolderJournal(store, tmp_path / "volume", lambda line: line), sync_with(store, hub)

    def written():
        files = (tmp_path / "volume").rglob("*.jsonl")
        return hub.files(REPO), {file: file.read_bytes() for file in files}

    work(store, name="before")
    folder.write_now()
    sync.sync_now()
    before = written()
    assert all(before)
    work(store, name="late")
    overtake()
    with pytest.raises(OutdatedError):
        folder.write_now()
    with pytest.raises(HubError, match="newer version of Pairloop"):
        sync.sync_now()
    assert written() == before


def test_tables_that_were_made_of_what_has_changed_meanwhile_are_not_published(shared, hub):
    store, overtake = shared

    def tables():
        overtake()
        return {"data/t.txt": b"the tables"}

    sync = HubSync(store, HubRepo(REPO, hub.url, TOKEN, 1.0), Pace(0.0, 0.0), tables)
    work(store)
    with pytest.raises(HubError, match="newer version of Pairloop"):
        sync.sync_now()
    names = hub.files(REPO)
    assert "data/t.txt" not in names and any(name.startswith("journal/") for name in names)
