"""Datasets, their records, and people's responses with their history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from pipeline.records import Record, Response, ResponseStatus, Split, id_of, new_id
from pipeline.store.engine import Database
from pipeline.store.rows import change, contexts_from_json, found, history_line, now, put
from pipeline.store.schema import (
    completions,
    datasets,
    models,
    queries,
    records,
    response_history,
    responses,
    retrievals,
)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Records that share a template."""

    id: str
    name: str
    template: str
    run_id: str | None
    created_at: float
    size: int = 0


class ReviewStore:
    """Rows of ``datasets``, ``records``, ``responses`` and ``response_history``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add_dataset(self, name: str, template: str, run_id: str, items: Sequence[tuple[str, str]]) -> str:
        """Store a dataset with one record for each (query id, completion id); return its id."""
        dataset_id = new_id()
        row = {"id": dataset_id, "name": name, "template": template, "run_id": run_id, "created_at": now()}
        rows = [
            {"id": new_id(), "dataset_id": dataset_id, "position": n, "query_id": q, "completion_id": c}
            for n, (q, c) in enumerate(items)
        ]
        with self._db.write() as connection:
            put(connection, datasets, [row])
            put(connection, records, rows)
        return dataset_id

    def datasets(self) -> list[Dataset]:
        """Return the datasets, newest first."""
        size = select(func.count()).where(records.c.dataset_id == datasets.c.id).scalar_subquery().label("size")
        with self._db.read() as connection:
            rows = connection.execute(select(datasets, size).order_by(datasets.c.id.desc())).mappings()
            return [Dataset(**row) for row in rows]

    def dataset(self, dataset_id: str) -> Dataset:
        """Return one dataset.

        Raises:
            NotFoundError: there is no such dataset.
        """
        return found(next((d for d in self.datasets() if d.id == dataset_id), None), "dataset")

    def record(self, record_id: str) -> Record:
        """Return one record with what is shown of it.

        Raises:
            NotFoundError: there is no such record.
        """
        return found(next(iter(self._records(records.c.id == record_id)), None), "record")

    def records(self, dataset_id: str) -> list[Record]:
        """Return the records of a dataset in their order."""
        return self._records(records.c.dataset_id == dataset_id)

    def record_ids(self, dataset_id: str) -> list[str]:
        """Return the ids of the records of a dataset in their order."""
        query = select(records.c.id).where(records.c.dataset_id == dataset_id).order_by(records.c.position)
        with self._db.read() as connection:
            return list(connection.scalars(query))

    def responses(self, dataset_id: str) -> list[Response]:
        """Return all responses to a dataset's records, of everybody, oldest first."""
        return self._responses(records.c.dataset_id == dataset_id)

    def response(self, record_id: str, annotator_id: str) -> Response | None:
        """Return one person's response to a record, or None while it is pending."""
        condition = (responses.c.record_id == record_id) & (responses.c.annotator_id == annotator_id)
        return next(iter(self._responses(condition)), None)

    def save_response(
        self,
        record_id: str,
        annotator_id: str,
        status: ResponseStatus,
        values: Mapping[str, object],
        seconds: float = 0.0,
    ) -> Response:
        """Store a person's response, and what it was before in the history, in one transaction.

        ``seconds`` is the working time to add. A draft never takes the place of a submitted or discarded response:
        an autosave that arrives late would otherwise undo a submit.
        """
        with self._db.write() as connection:
            before = _row(connection, record_id, annotator_id)
            late = status is ResponseStatus.DRAFT and before is not None and before["status"] != status.value
            if not late:
                _write(connection, before, record_id, annotator_id, status, values, seconds)
            return _response(found(_row(connection, record_id, annotator_id), "response"))

    def _records(self, condition) -> list[Record]:
        query = (
            select(
                records,
                queries.c.text.label("query"),
                queries.c.split,
                completions.c.text.label("suggestion"),
                models.c.name.label("agent"),
                retrievals.c.contexts,
            )
            .select_from(
                records.join(queries, records.c.query_id == queries.c.id)
                .join(completions, records.c.completion_id == completions.c.id)
                .join(models, completions.c.model_id == models.c.id)
                .join(retrievals, completions.c.retrieval_id == retrievals.c.id)
            )
            .where(condition)
            .order_by(records.c.position)
        )
        with self._db.read() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def _responses(self, condition) -> list[Response]:
        query = select(responses).select_from(responses.join(records)).where(condition)
        query = query.order_by(responses.c.created_at, responses.c.id)
        with self._db.read() as connection:
            return [_response(row) for row in connection.execute(query).mappings()]


def _row(connection: Connection, record_id: str, annotator_id: str):
    condition = (responses.c.record_id == record_id) & (responses.c.annotator_id == annotator_id)
    return connection.execute(select(responses).where(condition)).mappings().first()


def _write(connection, before, record_id, annotator_id, status, values, seconds) -> None:
    changed = {"status": status.value, "values": dict(values), "updated_at": now()}
    if before is None:
        key = {"id": id_of("response", record_id, annotator_id), "record_id": record_id, "annotator_id": annotator_id}
        put(connection, responses, [{**key, **changed, "seconds": seconds, "created_at": now()}])
        return
    change(connection, responses, before["id"], **changed, seconds=before["seconds"] + seconds)
    # Drafts replace each other many times a minute; only what was submitted or discarded is worth a line of history.
    if before["status"] != ResponseStatus.DRAFT.value:
        line = history_line(before)
        there = select(response_history.c.id).where(response_history.c.id == line["id"])
        if connection.scalar(there) is None:
            put(connection, response_history, [line])


def _record(row) -> Record:
    names = ("id", "dataset_id", "position", "query_id", "completion_id", "query", "suggestion", "agent")
    values = {name: row[name] for name in names}
    return Record(**values, contexts=contexts_from_json(row["contexts"]), split=Split(row["split"]))


def _response(row) -> Response:
    names = ("id", "record_id", "annotator_id", "values", "seconds", "updated_at")
    return Response(status=ResponseStatus(row["status"]), **{name: row[name] for name in names})
