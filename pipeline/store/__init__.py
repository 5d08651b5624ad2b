"""The live store: the only SQL. One class per noun over one database, gathered in :class:`Store`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.store.adjudications import AdjudicationStore
from pipeline.store.comparisons import ComparisonStore
from pipeline.store.datasets import DatasetStore
from pipeline.store.documents import DocumentStore
from pipeline.store.engine import Database, open_database
from pipeline.store.exchange import ExchangeStore
from pipeline.store.imports import ImportStore
from pipeline.store.journal_files import JournalFileStore
from pipeline.store.judgements import JudgementStore
from pipeline.store.lineage import LineageStore
from pipeline.store.links import LinkStore
from pipeline.store.members import MemberStore
from pipeline.store.merging import Merging
from pipeline.store.models import ModelStore
from pipeline.store.outbox import Outbox
from pipeline.store.proposals import ProposalStore
from pipeline.store.published import PublishedStore
from pipeline.store.queries import QueryStore
from pipeline.store.responses import ResponseStore
from pipeline.store.runs import RunStore
from pipeline.store.templates import TemplateStore
from pipeline.store.training import TrainingStore
from pipeline.store.values import ValueStore
from pipeline.store.votes import VoteStore


class Store:
    """The tables of one workspace."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.members = MemberStore(database)
        self.documents = DocumentStore(database)
        self.queries = QueryStore(database)
        self.models = ModelStore(database)
        self.templates = TemplateStore(database)
        self.runs = RunStore(database)
        self.datasets = DatasetStore(database)
        self.responses = ResponseStore(database)
        self.adjudications = AdjudicationStore(database)
        self.training = TrainingStore(database)
        self.comparisons = ComparisonStore(database)
        self.votes = VoteStore(database)
        self.lineage = LineageStore(database)
        self.links = LinkStore(database)
        self.judgements = JudgementStore(database)
        self.imports = ImportStore(database)
        self.values = ValueStore(database)
        self.exchange = ExchangeStore(database)
        self.proposals = ProposalStore(database)
        self.published = PublishedStore(database)
        self.outbox = Outbox(database)
        self.merging = Merging(database)
        self.journal_files = JournalFileStore(database)

    @property
    def replica(self) -> str:
        """The id of this store among those that share a dataset repo."""
        return self.database.writer.replica

    def close(self) -> None:
        """Close all connections."""
        self.database.close()


def open_store(file: Path, restore: Callable[[Store], bool] = lambda store: False) -> Store:
    """Open the store in an SQLite file, migrate it, restore it, and tidy up what a stopped process left running.

    ``restore`` is given the store before anything is written into it, and says whether it took over what another store held.
    """
    store = Store(open_database(file))
    took_over = restore(store)
    store.members.ensure_automatic()
    for part in (store.runs, store.training, store.comparisons, store.judgements):
        # The store that had begun these is gone with its disk; otherwise other replicas may be at work on theirs.
        part.interrupt_all(None if took_over else store.replica)
    return store
