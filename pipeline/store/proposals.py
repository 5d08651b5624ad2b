"""Queries that were made of passages, and what people decided about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select

from pipeline.records import Split, id_of, new_id
from pipeline.store.documents import cut_as_in_force
from pipeline.store.engine import Database
from pipeline.store.local_schema import replicas
from pipeline.store.outbox import rows_by_id
from pipeline.store.rows import change, found, now, put
from pipeline.store.schema import chunks, documents, queries, query_proposals, query_sets

PROPOSED, ACCEPTED, REJECTED = "proposed", "accepted", "rejected"
_BATCH = 500
# Which replica asks a model for proposals, in this store alone.
_ASKING = "proposing"


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that a query may be made of."""

    chunk_id: str
    document_id: str
    document: str
    heading: str
    page: int | None
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed query with where its passage stands. ``edited`` is what a person made of it, ``query_id`` what it became."""

    id: str
    chunk_id: str
    text: str
    model_id: str | None
    state: str
    edited: str | None
    member_id: str | None
    query_id: str | None
    created_at: float
    decided_at: float | None
    document_id: str
    document: str
    heading: str
    page: int | None

    @property
    def query(self) -> str:
        """The query as it stands now."""
        return self.edited or self.text


class ProposalStore:
    """Rows of ``query_proposals``. Only one that waits can be decided, and only one that is in no list be taken back."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def begin(self) -> None:
        """Keep that this replica asks for proposals."""
        self._db.set_local(_ASKING, self._db.writer.replica)

    def end(self) -> None:
        """Keep that this replica does not ask any more; that another one does stays."""
        if self._db.local(_ASKING) == self._db.writer.replica:
            self._db.set_local(_ASKING, "")

    def asked_elsewhere(self) -> bool:
        """Say whether another replica that shares this store asks for proposals; one that is gone does not."""
        by = self._db.local(_ASKING)
        if by in ("", self._db.writer.replica):
            return False
        with self._db.read() as connection:
            return connection.scalar(select(replicas.c.id).where(replicas.c.id == by)) is not None

    def add(self, items: Sequence[tuple[str, str]], model_id: str | None) -> int:
        """Store proposals as (chunk, text); one that was made of the same passage before is the same. Return how many are new."""
        moment = now()
        rows = [
            {
                "id": id_of("query proposal", chunk_id, text),
                "chunk_id": chunk_id,
                "text": text,
                "model_id": model_id,
                "state": PROPOSED,
                # In the order of the list, however quickly it was made.
                "created_at": moment + number * 1e-5,
            }
            for number, (chunk_id, text) in enumerate(items)
        ]
        with self._db.write() as connection:
            ids = [row["id"] for row in rows]
            known = set(rows_by_id(connection, query_proposals, ids))
            new = [row for row in rows if row["id"] not in known]
            put(connection, query_proposals, new)
        return len(new)

    def of_state(self, state: str, limit: int, listed: bool | None = None) -> list[Proposal]:
        """Return proposals in this state, oldest first; ``listed`` says whether they are in a query list already."""
        query = _proposals().where(query_proposals.c.state == state)
        if listed is not None:
            inside = query_proposals.c.query_id.is_not(None)
            query = query.where(inside if listed else ~inside)
        with self._db.read() as connection:
            rows = connection.execute(query.limit(limit)).mappings()
            return [Proposal(**row) for row in rows]

    def get(self, proposal_id: str) -> Proposal:
        """Return one proposal.

        Raises:
            NotFoundError: there is no such proposal.
        """
        with self._db.read() as connection:
            row = connection.execute(_proposals().where(query_proposals.c.id == proposal_id)).mappings().first()
        return Proposal(**found(row, "proposed query"))

    def counts(self) -> dict[str, int]:
        """Return how many proposals are in each state; those that are in a list are counted as "listed"."""
        state = query_proposals.c.state
        query = select(state, query_proposals.c.query_id.is_not(None), func.count())
        query = query.group_by(state, query_proposals.c.query_id.is_not(None))
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        counts = dict.fromkeys((PROPOSED, ACCEPTED, REJECTED, "listed"), 0)
        for name, listed, count in rows:
            counts["listed" if listed else name] += count
        return counts

    def texts(self) -> list[str]:
        """Return every query that was ever proposed, as it was and as it was made."""
        with self._db.read() as connection:
            rows = connection.execute(select(query_proposals.c.text, query_proposals.c.edited)).all()
        return [text for row in rows for text in row if text]

    def query_texts(self) -> list[str]:
        """Return the text of every query of the workspace."""
        with self._db.read() as connection:
            return list(connection.scalars(select(queries.c.text)))

    def decide(self, proposal_id: str, state: str, member_id: str, edited: str | None = None) -> bool:
        """Accept or reject a proposal; False where it was decided before."""
        with self._db.write() as connection:
            now_in = select(query_proposals.c.state).where(query_proposals.c.id == proposal_id)
            if found(connection.scalar(now_in), "proposed query") != PROPOSED:
                return False
            values = {"state": state, "member_id": member_id, "decided_at": now()}
            change(connection, query_proposals, proposal_id, edited=edited, **values)
        return True

    def undo_last(self, member_id: str) -> str | None:
        """Take back this person's newest decision that is in no list; return its proposal, or None where there is none."""
        row = query_proposals.c
        mine = (row.member_id == member_id) & row.query_id.is_(None) & (row.state != PROPOSED)
        query = select(row.id).where(mine).order_by(row.decided_at.desc(), row.id).limit(1)
        with self._db.write() as connection:
            proposal_id = connection.scalar(query)
            if proposal_id is not None:
                values = {"state": PROPOSED, "member_id": None, "decided_at": None}
                # What was typed stays: it is what the person comes back to.
                change(connection, query_proposals, proposal_id, **values)
        return proposal_id

    def make_list(
        self,
        name: str,
        items: Sequence[tuple[Proposal, Split, Mapping[str, str]]],
        alike: Sequence[Sequence[Proposal]],
    ) -> str:
        """Store accepted proposals as a query list, in one transaction; return its id.

        ``alike`` are for each item the proposals of the same words, which become the same query. What was taken back meanwhile
        is left as it is.
        """
        set_id = new_id()
        rows = [
            {
                "id": new_id(),
                "query_set_id": set_id,
                "position": position,
                "text": proposal.query,
                "split": split.value,
                "metadata": dict(metadata),
            }
            for position, (proposal, split, metadata) in enumerate(items)
        ]
        with self._db.write() as connection:
            put(connection, query_sets, [{"id": set_id, "name": name, "kind": "list", "created_at": now()}])
            put(connection, queries, rows)
            made = query_proposals.c
            free = set(connection.scalars(select(made.id).where(made.state == ACCEPTED, made.query_id.is_(None))))
            for (proposal, _, _), same, row in zip(items, alike, rows, strict=True):
                for one in (proposal, *same):
                    if one.id in free:
                        change(connection, query_proposals, one.id, query_id=row["id"])
        return set_id

    def places(self, document_ids: Collection[str], model_id: str | None, least: int) -> list[str]:
        """Return the chunks of documents (of all where none is named) that this proposer has made no query of yet.

        They come in the order of their documents; those of fewer than ``least`` characters are left out.
        """
        by = query_proposals.c.model_id
        same = by.is_(None) if model_id is None else by == model_id
        made = select(query_proposals.c.id).where(query_proposals.c.chunk_id == chunks.c.id, same)
        query = (
            select(chunks.c.id)
            .select_from(chunks.join(documents))
            .where(documents.c.deleted_at.is_(None), func.length(chunks.c.text) >= least, ~made.exists())
            .order_by(chunks.c.document_id, chunks.c.position)
        )
        if document_ids:
            query = query.where(documents.c.id.in_(sorted(document_ids)))
        with self._db.read() as connection:
            # Documents may be cut by other sizes too, which are not searched.
            return list(connection.scalars(query.where(cut_as_in_force(connection))))

    def passages(self, chunk_ids: Sequence[str]) -> Iterator[Passage]:
        """Yield chunks in the given order; some hundred are in memory at a time."""
        columns = (chunks.c.id.label("chunk_id"), chunks.c.document_id, documents.c.name.label("document"))
        query = select(
            *columns, chunks.c.heading, chunks.c.page, chunks.c.text, chunks.c.start, chunks.c.end
        ).select_from(chunks.join(documents))
        for start in range(0, len(chunk_ids), _BATCH):
            some = chunk_ids[start : start + _BATCH]
            with self._db.read() as connection:
                rows = connection.execute(query.where(chunks.c.id.in_(some))).mappings().all()
            by_id = {row["chunk_id"]: Passage(**row) for row in rows}
            yield from (by_id[chunk_id] for chunk_id in some if chunk_id in by_id)


def _proposals() -> Select:
    return (
        select(
            query_proposals,
            chunks.c.document_id,
            documents.c.name.label("document"),
            chunks.c.heading,
            chunks.c.page,
        )
        .select_from(query_proposals.join(chunks).join(documents))
        .order_by(query_proposals.c.created_at, query_proposals.c.id)
    )
