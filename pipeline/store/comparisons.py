"""Comparison sets, their comparisons, and who has opened which results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from pipeline.comparison_settings import ComparisonSettings, from_plain, to_plain
from pipeline.records import id_of, new_id
from pipeline.store.engine import Database
from pipeline.store.members import AUTOMATIC
from pipeline.store.rows import change, change_all, found, now, put, written_by
from pipeline.store.schema import comparison_sets, comparisons, reveals, votes
from pipeline.store.vote_rows import Cast, vote_row

INTERRUPTED = "The app was stopped while this comparison was prepared. Create it again: finished answers are kept."


@dataclass(frozen=True, slots=True)
class ComparisonSet:
    """Models over the test queries of one list. ``state`` is preparing, open, failed or interrupted."""

    id: str
    name: str
    query_set_id: str
    state: str
    error: str
    summary: Mapping[str, int]
    created_at: float
    settings: ComparisonSettings

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The models, in the order of the set."""
        return self.settings.model_ids


@dataclass(frozen=True, slots=True)
class Comparison:
    """Completions of one query over the same stored retrieval: two, or all that are ranked together.

    ``identical`` says that all of them have the same text.
    """

    id: str
    comparison_set_id: str
    position: int
    query_id: str
    retrieval_id: str
    completion_1_id: str
    completion_2_id: str
    identical: bool
    more_completion_ids: tuple[str, ...] = ()

    @property
    def completion_ids(self) -> tuple[str, ...]:
        """All completions, in the order of the set's models."""
        return (self.completion_1_id, self.completion_2_id, *self.more_completion_ids)


class ComparisonStore:
    """Rows of ``comparison_sets``, ``comparisons`` and ``reveals``."""

    def __init__(self, database: Database) -> None:
        self._db = database
        # The comparisons of sets as they were read last, with the state of the table that they were read at.
        self._read: dict[str, tuple[tuple[int, ...], list[Comparison]]] = {}
        self._sets_read: tuple[tuple[int, ...], list[ComparisonSet]] = ((), [])

    def add_set(self, name: str, settings: ComparisonSettings, query_set_id: str) -> str:
        """Store a comparison set that is being prepared; return its id."""
        row = {
            "id": new_id(),
            "name": name,
            "model_1_id": settings.model_ids[0],
            "model_2_id": settings.model_ids[1],
            "query_set_id": query_set_id,
            "state": "preparing",
            "error": "",
            "summary": {},
            "created_at": now(),
            "settings": to_plain(settings),
        }
        with self._db.write() as connection:
            put(connection, comparison_sets, [row])
        return str(row["id"])

    def open_set(self, set_id: str, items: Sequence[Comparison], summary: Mapping[str, int]) -> None:
        """Store the comparisons of a set with the automatic ties of identical completions, and open it for votes."""
        with self._db.write() as connection:
            _put(connection, items)
            change(connection, comparison_sets, set_id, state="open", summary=dict(summary))

    def add(self, items: Sequence[Comparison]) -> None:
        """Store further comparisons of a set that is open, with the automatic ties of identical completions."""
        with self._db.write() as connection:
            _put(connection, items)

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
        version = self._db.version(comparison_sets)
        if self._sets_read[0] != version:
            query = select(comparison_sets).order_by(comparison_sets.c.id.desc())
            with self._db.read() as connection:
                self._sets_read = (version, [_set(row) for row in connection.execute(query).mappings()])
        return list(self._sets_read[1])

    def set(self, set_id: str) -> ComparisonSet:
        """Return one set.

        Raises:
            NotFoundError: there is no such set.
        """
        return found(next((item for item in self.sets() if item.id == set_id), None), "comparison")

    def in_set(self, set_id: str) -> list[Comparison]:
        """Return the comparisons of a set in their order; what was read is kept while the table stays as it was."""
        version = self._db.version(comparisons)
        known = self._read.get(set_id)
        if known is None or known[0] != version:
            items = self._comparisons(comparisons.c.comparison_set_id == set_id)
            known = self._read[set_id] = (version, items)
        return known[1]

    def get(self, comparison_id: str) -> Comparison:
        """Return one comparison.

        Raises:
            NotFoundError: there is no such comparison.
        """
        return found(next(iter(self._comparisons(comparisons.c.id == comparison_id)), None), "comparison")

    def reveal(self, set_id: str, member_id: str) -> None:
        """Remember that this person has opened the results."""
        with self._db.write() as connection:
            if not is_revealed(connection, set_id, member_id):
                row_id = id_of("reveal", set_id, member_id)
                row = {"id": row_id, "comparison_set_id": set_id, "member_id": member_id, "at": now()}
                put(connection, reveals, [row])

    def revealed(self, set_id: str, member_id: str) -> bool:
        """Say whether this person has opened the results."""
        with self._db.read() as connection:
            return is_revealed(connection, set_id, member_id)

    def opened_by(self, member_id: str) -> set[str]:
        """Return the sets whose results this person has opened."""
        with self._db.read() as connection:
            return set(connection.scalars(select(reveals.c.comparison_set_id).where(reveals.c.member_id == member_id)))

    def _comparisons(self, condition) -> list[Comparison]:
        query = select(comparisons).where(condition).order_by(comparisons.c.position, comparisons.c.id)
        with self._db.read() as connection:
            return [comparison_of(row) for row in connection.execute(query).mappings()]


def comparison_of(row: Mapping) -> Comparison:
    """Return the comparison that a row holds."""
    return Comparison(**{**row, "more_completion_ids": tuple(row["more_completion_ids"] or ())})


def is_revealed(connection: Connection, set_id: str, member_id: str) -> bool:
    """Say within somebody's transaction whether a person has opened the results of a set."""
    condition = (reveals.c.comparison_set_id == set_id) & (reveals.c.member_id == member_id)
    return connection.scalar(select(reveals.c.id).where(condition)) is not None


def _put(connection: Connection, items: Sequence[Comparison]) -> None:
    put(connection, comparisons, [_row(item) for item in items])
    put(connection, votes, [vote_row(item.id, AUTOMATIC, _tie(item)) for item in items if item.identical])


def _tie(item: Comparison) -> Cast:
    return Cast(item.completion_ids, ranks=(1,) * len(item.completion_ids) if item.more_completion_ids else ())


def _row(item: Comparison) -> dict[str, object]:
    return {**asdict(item), "more_completion_ids": list(item.more_completion_ids) or None}


def _set(row: Mapping) -> ComparisonSet:
    values = {name: row[name] for name in ComparisonSet.__slots__}
    pair = (row["model_1_id"], row["model_2_id"])
    return ComparisonSet(**{**values, "settings": from_plain(row["settings"], pair)})
