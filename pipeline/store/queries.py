"""Query sets, queries, and the one stored retrieval that each query has per state of the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, RowMapping, func, select

from pipeline.records import Context, Query, QuerySet, Retrieval, Split, id_of, new_id
from pipeline.store.dialects import pieces
from pipeline.store.engine import Database
from pipeline.store.outbox import rows_by_id
from pipeline.store.rows import contexts_from_json, contexts_to_json, found, now, put
from pipeline.store.schema import queries, query_sets, retrievals

# Sets that nobody brought as a list: queries typed on Ask, those of visitors, and those of imported votes.
NO_LISTS = ("asked", "live", "imported")


class QueryStore:
    """Rows of ``query_sets``, ``queries`` and ``retrievals``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add_set(self, name: str, items: Sequence[tuple[str, Split, dict[str, str]]], kind: str = "list") -> str:
        """Store a list of queries as (text, split, metadata); return the set's id."""
        # There is one example: replicas that begin together take in the same one.
        example = kind == "example"
        set_id = id_of("query set", kind) if example else new_id()
        rows = [_query_row(set_id, n, *item) for n, item in enumerate(items)]
        if example:
            rows = [{**row, "id": id_of("query", set_id, str(row["position"]))} for row in rows]
        with self._db.write() as connection:
            put(connection, query_sets, [{"id": set_id, "name": name, "kind": kind, "created_at": now()}])
            put(connection, queries, rows)
        return set_id

    def add_asked(self, text: str) -> Query:
        """Store one query that was typed on Ask, in the set that gathers them."""
        with self._db.write() as connection:
            set_id = connection.scalar(select(query_sets.c.id).where(query_sets.c.kind == "asked"))
            if set_id is None:
                set_id = id_of("query set", "asked")
                put(connection, query_sets, [{"id": set_id, "name": "Asked", "kind": "asked", "created_at": now()}])
            return _append(connection, set_id, text, Split.TRAIN)

    def add_to(self, set_id: str, text: str, split: Split) -> Query:
        """Store one more query at the end of a set; what was asked there before, in the same words, is the same query.

        Votes on one query are not independent, whoever asked it.
        """
        same = (queries.c.query_set_id == set_id) & (queries.c.text == text) & (queries.c.split == split.value)
        with self._db.write() as connection:
            row = connection.execute(select(queries).where(same).order_by(queries.c.id)).mappings().first()
            return _query(row) if row is not None else _append(connection, set_id, text, split)

    def example_set(self) -> str | None:
        """Return the id of the list of the bundled example, or None while it is not in the workspace."""
        with self._db.read() as connection:
            return connection.scalar(select(query_sets.c.id).where(query_sets.c.kind == "example"))

    def sets(self) -> list[QuerySet]:
        """Return the lists, newest first, each with its number of queries; what is no list is left out."""
        size = select(func.count()).where(queries.c.query_set_id == query_sets.c.id).scalar_subquery().label("size")
        query = select(query_sets.c.id, query_sets.c.name, query_sets.c.created_at, size)
        query = query.where(query_sets.c.kind.not_in(NO_LISTS)).order_by(query_sets.c.id.desc())
        with self._db.read() as connection:
            return [QuerySet(**row) for row in connection.execute(query).mappings()]

    def set_name(self, set_id: str) -> str:
        """Return a set's name."""
        with self._db.read() as connection:
            return found(connection.scalar(select(query_sets.c.name).where(query_sets.c.id == set_id)), "query list")

    def in_set(self, set_id: str, split: Split | None = None) -> list[Query]:
        """Return the queries of a set in their order, of one split or of both."""
        query = select(queries).where(queries.c.query_set_id == set_id).order_by(queries.c.position)
        if split is not None:
            query = query.where(queries.c.split == split.value)
        with self._db.read() as connection:
            return [_query(row) for row in connection.execute(query).mappings()]

    def test_texts(self, live: bool = True) -> list[str]:
        """Return the text of every test query of every list; without ``live``, not those that visitors typed."""
        query = select(queries.c.text).where(queries.c.split == Split.TEST.value)
        if not live:
            query = query.select_from(queries.join(query_sets)).where(query_sets.c.kind != "live")
        with self._db.read() as connection:
            return list(connection.scalars(query))

    def by_ids(self, ids: Sequence[str]) -> dict[str, Query]:
        """Return queries by id."""
        with self._db.read() as connection:
            return {row_id: _query(row) for row_id, row in rows_by_id(connection, queries, list(ids)).items()}

    def retrievals_of(self, query_ids: Sequence[str], retriever: str) -> dict[str, Retrieval]:
        """Return the stored retrievals of queries by this retriever, by query id."""
        with self._db.read() as connection:
            return {row["query_id"]: _retrieval(row) for row in _of_queries(connection, list(query_ids), retriever)}

    def retrievals_by_id(self, ids: Sequence[str]) -> dict[str, Retrieval]:
        """Return retrievals by id."""
        with self._db.read() as connection:
            return {row_id: _retrieval(row) for row_id, row in rows_by_id(connection, retrievals, list(ids)).items()}

    def add_retrievals(self, retriever: str, contexts: Mapping[str, Sequence[Context]]) -> dict[str, Retrieval]:
        """Store the contexts of queries, given by query id, in one transaction; return the retrievals by query id.

        Where another thread was first, what it stored is returned.
        """
        if not contexts:
            return {}
        with self._db.write() as connection:
            rows = {row["query_id"]: row for row in _of_queries(connection, list(contexts), retriever)}
            new = [_retrieval_row(retriever, *item) for item in contexts.items() if item[0] not in rows]
            put(connection, retrievals, new)
        return {row["query_id"]: _retrieval(row) for row in [*rows.values(), *new]}


def _of_queries(connection: Connection, query_ids: Sequence[str], retriever: str) -> list[RowMapping]:
    """Return the rows of the retrievals of queries by one retriever."""
    query = select(retrievals).where(retrievals.c.retriever == retriever)
    found: list[RowMapping] = []
    for some in pieces(query_ids):
        found += connection.execute(query.where(retrievals.c.query_id.in_(some))).mappings()
    return found


def _append(connection: Connection, set_id: str, text: str, split: Split) -> Query:
    count = connection.scalar(select(func.count()).where(queries.c.query_set_id == set_id))
    row = _query_row(set_id, count, text, split, {})
    put(connection, queries, [row])
    return Query(**{**row, "split": split})


def _retrieval_row(retriever: str, query_id: str, contexts: Sequence[Context]) -> dict[str, object]:
    return {
        "id": id_of("retrieval", query_id, retriever),
        "query_id": query_id,
        "retriever": retriever,
        "contexts": contexts_to_json(contexts),
        "created_at": now(),
    }


def _query_row(set_id: str, position: int, text: str, split: Split, metadata: dict[str, str]) -> dict[str, object]:
    return {
        "id": new_id(),
        "query_set_id": set_id,
        "position": position,
        "text": text,
        "split": split.value,
        "metadata": metadata,
    }


def _query(row) -> Query:
    return Query(**{**row, "split": Split(row["split"])})


def _retrieval(row) -> Retrieval:
    return Retrieval(row["id"], row["query_id"], row["retriever"], contexts_from_json(row["contexts"]))
