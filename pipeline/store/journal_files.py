"""Which journal files were read, from where and how far, and what was wrong with them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from pipeline.store.dialects import upsert
from pipeline.store.engine import Database
from pipeline.store.local_schema import journal_files
from pipeline.store.outbox import Place


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal file that was read: ``size`` bytes of it. ``problem`` is a sentence, or "" where all was well."""

    place: Place
    name: str
    size: int
    problem: str = ""


def remember(connection: Connection, file: JournalFile) -> None:
    """Note that a file was read, in the transaction that merges it."""
    row = {name: getattr(file, name) for name in JournalFile.__slots__}
    statement = upsert(connection, journal_files).values(row)
    changed = {name: row[name] for name in ("size", "problem")}
    connection.execute(statement.on_conflict_do_update(index_elements=["place", "name"], set_=changed))


class JournalFileStore:
    """Rows of ``journal_files``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of(self, place: Place) -> dict[str, JournalFile]:
        """Return the files of a place that were read, by name."""
        query = select(journal_files).where(journal_files.c.place == place)
        with self._db.read() as connection:
            return {row["name"]: JournalFile(**row) for row in connection.execute(query).mappings()}

    def note(self, *files: JournalFile) -> None:
        """Remember files that this store wrote itself, or could not use."""
        with self._db.write() as connection:
            for file in files:
                remember(connection, file)

    def replace(self, place: Place, gone: Collection[str], new: Collection[JournalFile]) -> None:
        """Remember files in the place of others, which are folded into them."""
        with self._db.write() as connection:
            for name in gone:
                this = (journal_files.c.place == place) & (journal_files.c.name == name)
                connection.execute(delete(journal_files).where(this))
            for file in new:
                remember(connection, file)
