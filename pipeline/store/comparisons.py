"""Comparison sets, their comparisons, the sides drawn for each person, and the votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from pipeline.errors import ComparisonError
from pipeline.records import Outcome, id_of, new_id
from pipeline.store.engine import Database
from pipeline.store.members import AUTOMATIC
from pipeline.store.rows import change, change_all, found, now, put, written_by
from pipeline.store.schema import comparison_sets, comparisons, completions, reveals, sides, votes

INTERRUPTED = "The app was stopped while this comparison was prepared. Create it again: finished answers are kept."


@dataclass(frozen=True, slots=True)
class ComparisonSet:
    """Two models over the test queries of one list. ``state`` is preparing, open, failed or interrupted."""

    id: str
    name: str
    model_1_id: str
    model_2_id: str
    query_set_id: str
    state: str
    error: str
    summary: Mapping[str, int]
    created_at: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two completions of one query over the same stored retrieval."""

    id: str
    comparison_set_id: str
    position: int
    query_id: str
    retrieval_id: str
    completion_1_id: str
    completion_2_id: str
    identical: bool


@dataclass(frozen=True, slots=True)
class StoredVote:
    """A standing vote with what surrounds it. ``left_model_id`` is the model that was shown as A."""

    id: str
    comparison_id: str
    query_id: str
    annotator_id: str
    left_model_id: str
    right_model_id: str
    outcome: Outcome
    reason: str
    correction: str
    seconds: float | None
    created_at: float


class ComparisonStore:
    """Rows of ``comparison_sets``, ``comparisons``, ``sides``, ``votes`` and ``reveals``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add_set(self, name: str, model_ids: tuple[str, str], query_set_id: str) -> str:
        """Store a comparison set that is being prepared; return its id."""
        row = {
            "id": new_id(),
            "name": name,
            "model_1_id": model_ids[0],
            "model_2_id": model_ids[1],
            "query_set_id": query_set_id,
            "state": "preparing",
            "error": "",
            "summary": {},
            "created_at": now(),
        }
        with self._db.write() as connection:
            put(connection, comparison_sets, [row])
        return str(row["id"])

    def open_set(self, set_id: str, items: Sequence[Comparison], summary: Mapping[str, int]) -> None:
        """Store the comparisons of a set with the automatic ties of identical completions, and open it for votes."""
        rows = [{name: getattr(item, name) for name in Comparison.__slots__} for item in items]
        same = [item for item in items if item.identical]
        ties = [_vote_row(item.id, AUTOMATIC, (item.completion_1_id, item.completion_2_id)) for item in same]
        with self._db.write() as connection:
            put(connection, comparisons, rows)
            put(connection, votes, ties)
            change(connection, comparison_sets, set_id, state="open", summary=dict(summary))

    def fail_set(self, set_id: str, state: str, error: str) -> None:
        """Store why a set could not be prepared."""
        with self._db.write() as connection:
            change(connection, comparison_sets, set_id, state=state, error=error)

    def interrupt_all(self, by: str | None = None) -> None:
        """Mark the sets that a stopped process left half prepared: the replica ``by``, or whichever it was."""
        left = (comparison_sets.c.state == "preparing") & written_by(comparison_sets, by)
        with self._db.write() as connection:
            change_all(connection, comparison_sets, left, state="interrupted", error=INTERRUPTED)

    def sets(self) -> list[ComparisonSet]:
        """Return all sets, newest first."""
        with self._db.read() as connection:
            rows = connection.execute(select(comparison_sets).order_by(comparison_sets.c.id.desc())).mappings()
            return [ComparisonSet(**row) for row in rows]

    def set(self, set_id: str) -> ComparisonSet:
        """Return one set.

        Raises:
            NotFoundError: there is no such set.
        """
        with self._db.read() as connection:
            query = select(comparison_sets).where(comparison_sets.c.id == set_id)
            return ComparisonSet(**found(connection.execute(query).mappings().first(), "comparison"))

    def in_set(self, set_id: str) -> list[Comparison]:
        """Return the comparisons of a set in their order."""
        return self._comparisons(comparisons.c.comparison_set_id == set_id)

    def get(self, comparison_id: str) -> Comparison:
        """Return one comparison.

        Raises:
            NotFoundError: there is no such comparison.
        """
        return found(next(iter(self._comparisons(comparisons.c.id == comparison_id)), None), "comparison")

    def draw_side(self, comparison_id: str, annotator_id: str, choose) -> str:
        """Return the completion that this person sees as A, drawn once and then kept.

        ``choose(firsts, seconds)`` returns True for completion 1 on the left; it gets how often this person saw the
        model of completion 1 and that of completion 2 as A so far. Counting and storing are one transaction, so that two tabs of
        one person cannot unbalance the sides.
        """
        with self._db.write() as connection:
            mine = (sides.c.comparison_id == comparison_id) & (sides.c.annotator_id == annotator_id)
            stored = connection.scalar(select(sides.c.left_completion_id).where(mine))
            if stored is not None:
                return stored
            row = connection.execute(select(comparisons).where(comparisons.c.id == comparison_id)).mappings().first()
            item = Comparison(**found(row, "comparison"))
            left = item.completion_1_id if choose(*_drawn(connection, item, annotator_id)) else item.completion_2_id
            row_id = id_of("side", comparison_id, annotator_id)
            key = {"id": row_id, "comparison_id": comparison_id, "annotator_id": annotator_id}
            put(connection, sides, [{**key, "left_completion_id": left, "drawn_at": now()}])
            return left

    def side(self, comparison_id: str, annotator_id: str) -> str | None:
        """Return the completion that this person was shown as A, or None where nothing was drawn."""
        mine = (sides.c.comparison_id == comparison_id) & (sides.c.annotator_id == annotator_id)
        with self._db.read() as connection:
            return connection.scalar(select(sides.c.left_completion_id).where(mine))

    def open_draws(self, set_id: str, annotator_id: str) -> list[str]:
        """Return the comparisons whose sides are drawn for this person and that wait for the vote, oldest first."""
        standing = select(votes.c.id).where(
            votes.c.comparison_id == sides.c.comparison_id,
            votes.c.annotator_id == sides.c.annotator_id,
            votes.c.undone_at.is_(None),
        )
        query = (
            select(sides.c.comparison_id)
            .select_from(sides.join(comparisons))
            .where(comparisons.c.comparison_set_id == set_id, sides.c.annotator_id == annotator_id, ~standing.exists())
            .order_by(sides.c.drawn_at, sides.c.id)
        )
        with self._db.read() as connection:
            return list(connection.scalars(query))

    def add_vote(
        self,
        comparison: Comparison,
        annotator_id: str,
        shown: tuple[str, str],
        outcome: Outcome,
        texts: tuple[str, str] = ("", ""),
        seconds: float | None = None,
    ) -> bool:
        """Store a vote on the completions ``shown`` as (A, B), with (reason, correction); False if one stands already.

        Raises:
            ComparisonError: the results are open for this person, which ended their voting.
        """
        row = _vote_row(comparison.id, annotator_id, shown, outcome, texts, seconds)
        with self._db.write() as connection:
            if _revealed(connection, comparison.comparison_set_id, annotator_id):
                raise ComparisonError("You have opened the results of this comparison, which ended your voting on it.")
            mine = (votes.c.comparison_id == comparison.id) & (votes.c.annotator_id == annotator_id)
            if connection.scalar(select(votes.c.id).where(mine, votes.c.undone_at.is_(None))) is not None:
                return False
            put(connection, votes, [row])
        return True

    def undo_last(self, set_id: str, annotator_id: str) -> StoredVote | None:
        """Take back this person's newest standing vote of the set and return it, or None where there is none.

        Raises:
            ComparisonError: the results are open for this person; a vote is final from then on.
        """
        with self._db.write() as connection:
            if _revealed(connection, set_id, annotator_id):
                raise ComparisonError("Your votes are final: you have opened the results of this comparison.")
            query = _votes_query(comparisons.c.comparison_set_id == set_id, votes.c.annotator_id == annotator_id)
            row = connection.execute(query.order_by(None).order_by(votes.c.id.desc())).mappings().first()
            if row is None:
                return None
            change(connection, votes, row["id"], undone_at=now())
        return _stored_vote(row)

    def votes(self, set_id: str) -> list[StoredVote]:
        """Return the standing votes of a set in time order, automatic ties included."""
        with self._db.read() as connection:
            rows = connection.execute(_votes_query(comparisons.c.comparison_set_id == set_id)).mappings()
            return [_stored_vote(row) for row in rows]

    def reveal(self, set_id: str, member_id: str) -> None:
        """Remember that this person has opened the results."""
        with self._db.write() as connection:
            if not _revealed(connection, set_id, member_id):
                row_id = id_of("reveal", set_id, member_id)
                row = {"id": row_id, "comparison_set_id": set_id, "member_id": member_id, "at": now()}
                put(connection, reveals, [row])

    def revealed(self, set_id: str, member_id: str) -> bool:
        """Say whether this person has opened the results."""
        with self._db.read() as connection:
            return _revealed(connection, set_id, member_id)

    def opened_by(self, member_id: str) -> set[str]:
        """Return the sets whose results this person has opened."""
        with self._db.read() as connection:
            return set(connection.scalars(select(reveals.c.comparison_set_id).where(reveals.c.member_id == member_id)))

    def vote_counts(self) -> dict[str, tuple[int, int]]:
        """Return for each set with votes how many there ever were, and how many were taken back.

        A vote never changes otherwise, so what was computed from the votes of a set stands while these two numbers do.
        """
        query = (
            select(comparisons.c.comparison_set_id, func.count(votes.c.id), func.count(votes.c.undone_at))
            .select_from(votes.join(comparisons))
            .group_by(comparisons.c.comparison_set_id)
        )
        with self._db.read() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(query)}

    def _comparisons(self, condition) -> list[Comparison]:
        query = select(comparisons).where(condition).order_by(comparisons.c.position)
        with self._db.read() as connection:
            return [Comparison(**row) for row in connection.execute(query).mappings()]


def _drawn(connection, item: Comparison, annotator_id: str) -> tuple[int, int]:
    """Count how often this person saw each model of the pair as A, over every set that compares the two."""
    pair = (item.completion_1_id, item.completion_2_id)
    model_of = {
        row.id: row.model_id for row in connection.execute(select(completions).where(completions.c.id.in_(pair)))
    }
    first, second = (model_of[completion] for completion in pair)
    left, one, two = (completions.alias(name) for name in ("left", "one", "two"))
    query = (
        select(left.c.model_id, func.count())
        .select_from(
            sides.join(comparisons)
            .join(left, sides.c.left_completion_id == left.c.id)
            .join(one, comparisons.c.completion_1_id == one.c.id)
            .join(two, comparisons.c.completion_2_id == two.c.id)
        )
        .where(sides.c.annotator_id == annotator_id)
        .where(one.c.model_id.in_((first, second)), two.c.model_id.in_((first, second)))
        .group_by(left.c.model_id)
    )
    counts = {row[0]: row[1] for row in connection.execute(query)}
    return counts.get(first, 0), counts.get(second, 0)


def _revealed(connection, set_id: str, member_id: str) -> bool:
    condition = (reveals.c.comparison_set_id == set_id) & (reveals.c.member_id == member_id)
    return connection.scalar(select(reveals.c.id).where(condition)) is not None


def _vote_row(comparison_id, annotator_id, shown, outcome=Outcome.TIE, texts=("", ""), seconds=None) -> dict:
    return {
        "id": new_id(),
        "comparison_id": comparison_id,
        "annotator_id": annotator_id,
        "left_completion_id": shown[0],
        "right_completion_id": shown[1],
        "outcome": outcome.value,
        "reason": texts[0],
        "correction": texts[1],
        "seconds": seconds,
        "created_at": now(),
    }


def _votes_query(*conditions):
    left, right = completions.alias("left"), completions.alias("right")
    return (
        select(
            votes,
            comparisons.c.query_id,
            left.c.model_id.label("left_model_id"),
            right.c.model_id.label("right_model_id"),
        )
        .select_from(
            votes.join(comparisons)
            .join(left, votes.c.left_completion_id == left.c.id)
            .join(right, votes.c.right_completion_id == right.c.id)
        )
        .where(*conditions, votes.c.undone_at.is_(None))
        .order_by(votes.c.id)
    )


def _stored_vote(row) -> StoredVote:
    values = {name: row[name] for name in StoredVote.__slots__}
    return StoredVote(**{**values, "outcome": Outcome(row["outcome"])})
