"""Replicas of one workspace, and the files that they exchange, without a Hub: fast enough for thousands of exchanges."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from sqlalchemy import event, select

from pipeline import journal
from pipeline.hub.batches import snapshot_files
from pipeline.records import Chunk, Document, Model, Outcome, ResponseStatus, new_id
from pipeline.store import Store
from pipeline.store.rows import put
from pipeline.store.schema import members, votes
from pipeline.store.vote_rows import Cast
from tests import stores
from tests.material import add_manual, add_queries, finished
from tests.workspace import add_comparison, add_model, open_workspace, respond

PAIRS = 3


def base_workspace(folder: Path) -> Path:
    """Return the file of a store with records to review and pairs to judge, all of which the repo has."""
    services = open_workspace(folder / "base")
    add_manual(services, folder)
    run_id = services.generation.start_run(services.registry.all()[0].id, add_queries(services))
    finished(services, run_id)
    services.datasets.create_of_run(run_id, "answer-review")
    texts = [(f"First {n}.", f"Second {n}.") for n in range(PAIRS)]
    add_comparison(services, (add_model(services, "one"), add_model(services, "two")), texts)
    while changes := services.store.outbox.batch("repo", 10_000):
        services.store.outbox.arrived("repo", changes)
    services.close()
    return folder / "base" / "pairloop.db"


class Repo:
    """Files in the order of their commits."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}


class Replica:
    """One store of the workspace and what it has read."""

    def __init__(self, base: Path, folder: Path, repo: Repo) -> None:
        file = folder / f"{new_id()}.db"
        stores.copy_as_another(base, file)
        self.store: Store = stores.open_store(file)
        if not stores.is_postgresql():
            # Nothing here is about power cuts.
            event.listen(self.store.database.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
            self.store.database.engine.dispose()
        self._repo = repo
        self._read: set[str] = set()
        self.records = self.store.datasets.record_ids(self.store.datasets.all()[0].id)
        self.set_id = self.store.comparisons.sets()[0].id
        self.pairs = self.store.comparisons.in_set(self.set_id)

    def push(self) -> None:
        """Send what waits, in small files."""
        while changes := self.store.outbox.batch("repo", 4):
            name = f"journal/{new_id()}"
            self._repo.files[name] = journal.write_block(self.store.replica, journal.write_lines(changes))
            self.store.outbox.arrived("repo", changes)
            self._read.add(name)

    @property
    def up_to_date(self) -> bool:
        """Whether everything was sent and everything was read."""
        return set(self._repo.files) == self._read and self.store.outbox.waiting("repo").count == 0

    def snapshot(self) -> None:
        """Send everything as one snapshot."""
        self._repo.files |= snapshot_files(self.store, lambda line: line)

    def pull(self, dice: random.Random) -> None:
        """Take in what is new, in any order."""
        new = sorted(set(self._repo.files) - self._read)
        dice.shuffle(new)
        for name in new:
            reading = journal.read_blocks(self._repo.files[name])
            assert not reading.problem
            self.store.merging.merge(reading.changes, "repo")
            self._read.add(name)
        self.store.merging.retry_parked()

    def person(self, letter: str) -> str:
        """Return the person with this cookie."""
        return self.store.members.by_token(letter * 64)

    def older_person(self, letter: str) -> None:
        """Make the person of a cookie under an id as the first version gave it, where nobody is here with it."""
        hashed = hashlib.sha256((letter * 64).encode()).hexdigest()
        with self.store.database.write() as connection:
            if connection.scalar(select(members.c.id).where(members.c.token_hash == hashed)) is None:
                row = {"id": new_id(), "name": f"Older {letter}", "token_hash": hashed, "created_at": 1.0}
                put(connection, members, [row])

    def respond(self, number: int, letter: str, text: str) -> tuple[str, str]:
        """Submit a response; return its key."""
        record, person = self.records[number], self.person(letter)
        respond(self.store, record, person, ResponseStatus.SUBMITTED, {"answer": text})
        return record, person

    def draft(self, number: int, letter: str) -> None:
        """Type something into a response."""
        respond(self.store, self.records[number], self.person(letter), ResponseStatus.DRAFT, {"answer": new_id()})

    def take_back(self, number: int, letter: str) -> tuple[str, str]:
        """Take back a submit, where there is one here; return its key."""
        record, person = self.records[number], self.person(letter)
        response = self.store.responses.get(record, person)
        if response is not None and response.status is ResponseStatus.SUBMITTED:
            self.store.responses.reopen(record, person)
        return record, person

    def vote(self, number: int, letter: str, outcome: str) -> None:
        """Vote on a pair, where this person has no standing vote on it here."""
        pair, person = self.pairs[number], self.person(letter)
        self.store.votes.add(pair, person, Cast(pair.completion_ids, Outcome(outcome)))

    def undo(self, letter: str) -> None:
        """Take back the newest vote of a person."""
        self.store.votes.undo_last(self.set_id, self.person(letter))

    def draw(self, number: int, letter: str, left: bool) -> tuple[str, ...]:
        """Draw the sides of a pair."""
        order = (0, 1) if left else (1, 0)
        return self.store.votes.draw(self.pairs[number].id, self.person(letter), lambda models, earlier: order)

    def model(self, name: str, parent: str | None = None) -> str:
        """Register a model; return its id."""
        model = Model(new_id(), name, "extractive", {}, "answer-review", parent_id=parent, created_at=1.0)
        self.store.models.add(model)
        return model.id

    def document(self, content: str) -> str | None:
        """Take in a document that is not here yet; return its id."""
        if self.store.documents.by_hash(content * 8) is not None:
            return None
        document = Document(new_id(), f"{content}.md", "text/markdown", content * 8, f"Text {content}.")
        chunk = Chunk(new_id(), document.id, document.name, 0, document.text, 0, len(document.text))
        self.store.documents.add(document, [chunk])
        return document.id

    def delete_document(self, content: str) -> None:
        """Take a document out, where it is in."""
        for summary in self.store.documents.summaries():
            if summary.name == f"{content}.md":
                self.store.documents.delete(summary.id)

    def standing(self) -> dict[tuple[str, str], list[str]]:
        """Return the ids of the standing votes by pair and person."""
        found: dict[tuple[str, str], list[str]] = {}
        with self.store.database.read() as connection:
            for row in connection.execute(select(votes).where(votes.c.undone_at.is_(None))):
                found.setdefault((row.comparison_id, row.annotator_id), []).append(row.id)
        return found


def exchange(replicas: list[Replica], dice: random.Random, most: int = 8) -> int:
    """Let all send and read until nobody has anything to send; return how many rounds that took."""
    for number in range(most):
        for replica in replicas:
            replica.push()
        if all(replica.up_to_date for replica in replicas):
            return number
        for replica in dice.sample(replicas, len(replicas)):
            replica.pull(dice)
    raise AssertionError(f"the replicas still talk after {most} rounds")
