"""The live store: the only SQL. One class per noun over one database, gathered in :class:`Store`."""

from __future__ import annotations

from pathlib import Path

from pipeline.store.comparisons import ComparisonStore
from pipeline.store.documents import DocumentStore
from pipeline.store.engine import Database, open_database
from pipeline.store.members import MemberStore
from pipeline.store.models import ModelStore
from pipeline.store.queries import QueryStore
from pipeline.store.reviews import ReviewStore
from pipeline.store.runs import RunStore
from pipeline.store.training import TrainingStore


class Store:
    """The tables of one workspace."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.members = MemberStore(database)
        self.documents = DocumentStore(database)
        self.queries = QueryStore(database)
        self.models = ModelStore(database)
        self.runs = RunStore(database)
        self.reviews = ReviewStore(database)
        self.training = TrainingStore(database)
        self.comparisons = ComparisonStore(database)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()


def open_store(file: Path) -> Store:
    """Open the store in an SQLite file, migrate it, and tidy up what a stopped process left running."""
    store = Store(open_database(file))
    store.members.ensure_automatic()
    for part in (store.runs, store.training, store.comparisons):
        part.interrupt_all()
    return store
