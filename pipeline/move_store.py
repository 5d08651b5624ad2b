"""Moves workspaces from their SQLite files to the PostgreSQL database of DATABASE_URL: ``pairloop move-store``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.database_url import place_of
from pipeline.errors import SettingsError
from pipeline.home import claim, keep_replica
from pipeline.settings import Settings
from pipeline.store.moving import move
from pipeline.store.shared import Server
from pipeline.store.workspaces import FOLDER, is_slug, schema_of

FILE, KEPT = "pairloop.db", "pairloop.moved.db"


def move_store(settings: Settings, say: Callable[[str], None]) -> None:
    """Copy the store of PAIRLOOP_HOME into an empty database, check that both hold the same, and put the file aside.

    So it is done with the other workspaces of the server first, each into a schema of its own.

    Raises:
        SettingsError: there is nothing to move, nowhere to move it to, or Pairloop is running in this folder.
        StoreError: the database holds something else, or did not take everything; the file stays as it is.
    """
    file = settings.home / FILE
    if not settings.database_url:
        raise SettingsError("Set DATABASE_URL to the PostgreSQL database that the workspace moves to.")
    if not file.is_file():
        raise SettingsError(f"There is no {FILE} in {settings.home}: set PAIRLOOP_HOME to the folder of the workspace.")
    for other in sorted(settings.home.glob(f"{FOLDER}/*/{FILE}")):
        if is_slug(other.parent.name):
            say(f"The workspace {other.parent.name}:")
            move_store(replace(settings, home=other.parent, schema=schema_of(other.parent.name)), say)
    lock = claim(settings.home)
    try:
        moved = move(
            file, Server(settings.database_url, "", settings.schema), lambda table, rows: say(f"{table}: {rows:,} rows")
        )
        # What was under way goes on in this folder.
        keep_replica(settings.home, moved.store)
        kept = _put_aside(file)
    finally:
        lock.release()
    rows = sum(held.rows for held in moved.tables.values())
    where = place_of(settings.database_url)
    begun = "was there already" if moved.already else "is there now"
    say(
        f"{rows:,} rows of {len(moved.tables)} tables: {where} holds what {FILE} holds, table by table, by count and by SHA-256. "
        f"It {begun}. The file is kept as {kept.name}; start Pairloop with DATABASE_URL from now on."
    )


def _put_aside(file: Path) -> Path:
    """Give the file another name: a store that went on in both places would tell the dataset repo two stories."""
    kept = file.with_name(KEPT)
    file.replace(kept)
    for ending in ("-wal", "-shm"):
        file.with_name(f"{FILE}{ending}").unlink(missing_ok=True)
    return kept
