"""What the tests of the back-up share: a store with a bit of everything, a repo on the loopback Hub, and a restore to compare."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from pipeline.hub.repo import HubRepo
from pipeline.hub.state import BackupKind, BackupState
from pipeline.hub.sync import HubSync, Pace
from pipeline.journal import read_blocks
from pipeline.records import Model, ResponseStatus, Split
from pipeline.store import Store, open_store
from pipeline.store.runs import NewRun
from pipeline.store.schema import TRAVELLING
from tests.hub_server import HubServer
from tests.workspace import respond

REPO = "team/feedback"
TOKEN = "hf_write_token"


def sync_with(
    store: Store, hub: HubServer, *, token: str = TOKEN, repo: str = REPO, patience: float = 1.0, **pace
) -> HubSync:
    """Return a synchronisation with a repo on the loopback Hub that is driven by hand; the tables are one small file."""
    quick = {"journal": 0.0, "publish": 0.0, **pace}
    return HubSync(store, HubRepo(repo, hub.url, token, patience), Pace(**quick), lambda: {"data/t.txt": b"the tables"})


def rows_of(store: Store) -> dict[str, dict[str, dict]]:
    """Return every row that travels, by table and id."""
    with store.database.read() as connection:
        return {
            table.name: {row["id"]: dict(row) for row in connection.execute(select(table)).mappings()}
            for table in TRAVELLING
        }


def restored(hub: HubServer, file: Path, repo: str = REPO) -> Store:
    """Return a new store that was filled from the repo alone."""
    return open_store(file, lambda store: sync_with(store, hub, repo=repo).restore(lambda text: None) > 0)


def work(store: Store, count: int = 3, name: str = "list") -> str:
    """Add a list of queries; return its id."""
    return store.queries.add_set(name, [(f"Query {n} of {name}?", Split.TRAIN, {"topic": "x"}) for n in range(count)])


def answer(store: Store, record_id: str, person: str, text: str, status=ResponseStatus.SUBMITTED) -> None:
    """Store somebody's response to a record."""
    respond(store, record_id, person, status, {"answer": text})


def never_rewritten(hub: HubServer, repo: str = REPO) -> bool:
    """Say whether no journal file ever got other content than it was made with."""
    seen: dict[str, str] = {}
    for commit in hub.commits(repo):
        for path, entry in commit.files.items():
            if path.startswith(("journal/", "snapshot/")) and seen.setdefault(path, entry.oid) != entry.oid:
                return False
    return True


def add_run(store: Store, list_id: str) -> str:
    """Add a run that nobody carries out; return its id."""
    if not store.models.all():
        store.models.add(Model("m1", "model", "extractive", {}, "answer-review", created_at=1.0))
    return store.runs.start(NewRun("m1", list_id, None, "r", 3, 0))


def kind(sync: HubSync) -> BackupKind:
    """Return what the state of a back-up says in one word."""
    return BackupState(sync.state()).kind


def doubled(hub: HubServer) -> list[tuple]:
    """Return the states of rows that stand in the journal more than once."""
    files = [data for path, data in hub.files(REPO).items() if path.startswith("journal/")]
    states = Counter((c.table, c.row_id, c.stamp) for data in files for c in read_blocks(data).changes)
    return [state for state, times in states.items() if times > 1]


def same_after_restore(store: Store, hub: HubServer, tmp_path: Path) -> None:
    """Compare a store with what a fresh one gets from the repo alone."""
    again = restored(hub, tmp_path / f"again-{time.monotonic_ns()}.db")
    try:
        assert rows_of(again) == rows_of(store)
        assert again.outbox.waiting("repo").count == 0
        assert again.merging.parked() == []
    finally:
        again.close()
    assert never_rewritten(hub)


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
