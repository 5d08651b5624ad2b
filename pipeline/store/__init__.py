"""The live store: the only SQL. One class per noun over one database, gathered in :class:`Store`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from pipeline.store.activity import ActivityStore
from pipeline.store.adjudications import AdjudicationStore
from pipeline.store.comparisons import ComparisonStore
from pipeline.store.datasets import DatasetStore
from pipeline.store.documents import DocumentStore
from pipeline.store.done import DoneRecords
from pipeline.store.engine import Database, open_database
from pipeline.store.exchange import ExchangeStore
from pipeline.store.figures import FigureStore
from pipeline.store.imports import ImportStore
from pipeline.store.invitations import InvitationStore
from pipeline.store.journal_files import JournalFileStore
from pipeline.store.judgements import JudgementStore
from pipeline.store.lineage import LineageStore
from pipeline.store.links import LinkStore
from pipeline.store.local_schema import replicas
from pipeline.store.members import MemberStore
from pipeline.store.memberships import MembershipStore
from pipeline.store.merging import Merging
from pipeline.store.models import ModelStore
from pipeline.store.outbox import Outbox
from pipeline.store.passwords import PasswordStore
from pipeline.store.proposals import ProposalStore
from pipeline.store.published import PublishedStore
from pipeline.store.queries import QueryStore
from pipeline.store.responses import ResponseStore
from pipeline.store.runs import RunStore
from pipeline.store.shared import Server, open_shared
from pipeline.store.sign_ins import SignInStore
from pipeline.store.sprints import SprintStore
from pipeline.store.templates import TemplateStore
from pipeline.store.tokens import RequestStore, TokenStore
from pipeline.store.training import TrainingStore
from pipeline.store.values import ValueStore
from pipeline.store.votes import VoteStore
from pipeline.store.work import WorkStore
from pipeline.store.workspaces import WorkspaceStore


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
        self.done = DoneRecords(database)
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
        self.memberships = MembershipStore(database)
        self.sign_ins = SignInStore(database)
        self.invitations = InvitationStore(database)
        self.passwords = PasswordStore(database)
        self.tokens = TokenStore(database)
        self.requests = RequestStore(database)
        self.activity = ActivityStore(database)
        self.sprints = SprintStore(database)
        self.work = WorkStore(database)
        self.workspaces = WorkspaceStore(database)
        self.published = PublishedStore(database)
        self.figures = FigureStore(database)
        self.outbox = Outbox(database)
        self.merging = Merging(database)
        self.journal_files = JournalFileStore(database)

    @property
    def replica(self) -> str:
        """The id of whoever writes here: of this store, or of this process where several share the store."""
        return self.database.writer.replica

    @property
    def id(self) -> str:
        """The id of this store among those that share a dataset repo."""
        return self.database.id

    def others(self) -> set[str]:
        """Return the replicas that share this store, or did."""
        with self.database.read() as connection:
            return set(connection.scalars(select(replicas.c.id)))

    def interrupt(self, by: str | None) -> None:
        """Mark what a stopped process left running: the replica ``by``, or whichever it was."""
        for part in (self.runs, self.judgements):
            part.interrupt_all(by)
        self.interrupt_what_ends(by)

    def interrupt_what_ends(self, by: str | None) -> None:
        """Mark what a stopped process left running that nobody else can go on with: all but runs and judges."""
        for part in (self.training, self.comparisons):
            part.interrupt_all(by)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()


def open_store(
    file: Path, restore: Callable[[Store], bool] = lambda store: False, server: Server | None = None
) -> Store:
    """Open the store in an SQLite file, or on a server; migrate it, restore it, and tidy up what a stopped process left running.

    ``restore`` is given the store before anything is written into it, and says whether it took over what another store held.
    What a replica among others left running is seen to by these, or by itself when it is back (``pipeline.replicas``).
    """
    store = Store(open_shared(server) if server else open_database(file))
    with store.database.alone("starting"):
        took_over = restore(store)
        store.members.ensure_automatic()
        # The store that had begun these is gone with its disk; otherwise other replicas may be at work on theirs.
        if took_over or not (server and server.replica):
            store.interrupt(None if took_over else store.replica)
    return store
