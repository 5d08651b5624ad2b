"""Datasets, their records and suggestions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select

from pipeline.annotation.plain import from_plain, to_plain
from pipeline.annotation.settings import DatasetSettings
from pipeline.annotation.templates import review_settings
from pipeline.errors import RecordError
from pipeline.records import Record, Split, Suggestion, id_of, new_id
from pipeline.store.dialects import pieces
from pipeline.store.engine import Database
from pipeline.store.outbox import rows_by_id
from pipeline.store.rows import change, contexts_from_json, found, now, put
from pipeline.store.schema import (
    completions,
    datasets,
    guideline_versions,
    models,
    queries,
    records,
    retrievals,
    suggestions,
)

DRAFT, PUBLISHED = "draft", "published"
_NOTHING: Mapping[str, str] = {}


def _records_where(condition: ColumnElement[bool]) -> tuple[Select, Select]:
    """Return what reads records with what is shown of them, and what reads their suggestions."""
    query = (
        select(
            records,
            datasets.c.settings,
            datasets.c.template,
            queries.c.text.label("query"),
            queries.c.split,
            completions.c.text.label("completion"),
            models.c.name.label("agent"),
            retrievals.c.contexts,
        )
        .select_from(records)
        .join(datasets, records.c.dataset_id == datasets.c.id)
        .outerjoin(queries, records.c.query_id == queries.c.id)
        .outerjoin(completions, records.c.completion_id == completions.c.id)
        .outerjoin(models, completions.c.model_id == models.c.id)
        .outerjoin(retrievals, completions.c.retrieval_id == retrievals.c.id)
        .where(condition)
        .order_by(records.c.position, records.c.id)
    )
    return query, select(suggestions).select_from(suggestions.join(records)).where(condition)


# What each click asks, built once.
_ONE = _records_where(records.c.id == bindparam("record"))
_DATASET_OF = select(records.c.dataset_id).where(records.c.id == bindparam("record"))


@dataclass(frozen=True, slots=True)
class Dataset:
    """Records that share settings. ``template`` names the prompt behind the records of a run, and is "" for others."""

    id: str
    name: str
    template: str
    run_id: str | None
    created_at: float
    settings: DatasetSettings
    published: bool = True
    size: int = 0


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to store. With an ``external_id`` that the dataset has it takes the place of that record."""

    fields: Mapping[str, object]
    metadata: Mapping[str, object] = field(default_factory=dict)
    suggestions: Sequence[Suggestion] = ()
    external_id: str | None = None
    created_at: float | None = None


class DatasetStore:
    """Rows of ``datasets``, ``guideline_versions``, ``records`` and ``suggestions``."""

    def __init__(self, database: Database) -> None:
        self._db = database
        # What every click needs, with the version of the tables that it was read at.
        self._ids: dict[str, tuple[tuple[int, ...], list[str]]] = {}
        self._datasets: dict[str, tuple[tuple[int, ...], Dataset]] = {}

    def version(self) -> tuple[int, ...]:
        """Return numbers that change with the settings, the records and the suggestions of any dataset."""
        return self._db.version(datasets, records, suggestions)

    def add(self, name: str, settings: DatasetSettings, published: bool = True) -> str:
        """Store a dataset without records; return its id."""
        with self._db.write() as connection:
            return add_dataset(connection, name, settings, "", None, published)

    def add_of_run(
        self, name: str, settings: DatasetSettings, template: str, run_id: str, items: Sequence[tuple[str, str]]
    ) -> str:
        """Store a dataset with one record for each (query id, completion id); return its id."""
        with self._db.write() as connection:
            dataset_id = add_dataset(connection, name, settings, template, run_id, True)
            _put_items(connection, dataset_id, items)
        return dataset_id

    def fill_of_run(self, dataset_id: str, template: str, run_id: str, items: Sequence[tuple[str, str]]) -> None:
        """Make a dataset that has no records one of a run, with one record for each (query id, completion id).

        Raises:
            RecordError: it got records in the meantime.
        """
        with self._db.write() as connection:
            taken = select(func.count()).select_from(records).where(records.c.dataset_id == dataset_id)
            if connection.scalar(taken):
                raise RecordError("This dataset got records in the meantime. Look at it again.")
            change(connection, datasets, dataset_id, template=template, run_id=run_id)
            _put_items(connection, dataset_id, items)

    def change(
        self,
        dataset_id: str,
        *,
        name: str | None = None,
        settings: DatasetSettings | None = None,
        publish: bool = False,
    ) -> None:
        """Change the name or the settings of a dataset, or publish it. New guidelines are kept as a version of them.

        Raises:
            NotFoundError: there is no such dataset.
        """
        values: dict[str, object] = {"name": name} if name is not None else {}
        if settings is not None:
            values["settings"] = to_plain(settings)
        if publish:
            values["state"] = PUBLISHED
        with self._db.write() as connection:
            change(connection, datasets, dataset_id, **values)
            if settings is not None:
                _keep_guidelines(connection, dataset_id, settings)

    def all(self) -> list[Dataset]:
        """Return the datasets, newest first."""
        size = select(func.count()).where(records.c.dataset_id == datasets.c.id).scalar_subquery().label("size")
        with self._db.read() as connection:
            rows = connection.execute(select(datasets, size).order_by(datasets.c.id.desc())).mappings()
            return [_dataset(row) for row in rows]

    def get(self, dataset_id: str) -> Dataset:
        """Return one dataset.

        Raises:
            NotFoundError: there is no such dataset.
        """
        version = self._db.version(datasets, records)
        known = self._datasets.get(dataset_id)
        if known is None or known[0] != version:
            size = select(func.count()).where(records.c.dataset_id == dataset_id).scalar_subquery().label("size")
            with self._db.read() as connection:
                row = connection.execute(select(datasets, size).where(datasets.c.id == dataset_id)).mappings().first()
            known = self._datasets[dataset_id] = (version, _dataset(found(row, "dataset")))
        return known[1]

    def guidelines(self, dataset_id: str) -> dict[int, str]:
        """Return every wording of a dataset's guidelines by its version."""
        query = select(guideline_versions).where(guideline_versions.c.dataset_id == dataset_id)
        with self._db.read() as connection:
            return {row.version: row.text for row in connection.execute(query.order_by(guideline_versions.c.version))}

    def add_records(self, dataset_id: str, incoming: Sequence[NewRecord]) -> tuple[int, int]:
        """Store records in their order, in one transaction; return how many are new and how many took another's place.

        A record that takes another's place keeps its place in the order and its responses.
        """
        with self._db.write() as connection:
            ids, replaced = put_records(connection, dataset_id, incoming)
        return len(ids) - replaced, replaced

    def record(self, record_id: str) -> Record:
        """Return one record with what is shown of it.

        Raises:
            NotFoundError: there is no such record.
        """
        return found(next(iter(self._records(*_ONE, {"record": record_id})), None), "record")

    def dataset_of(self, record_id: str) -> str:
        """Return the id of the dataset that a record is in.

        Raises:
            NotFoundError: there is no such record.
        """
        with self._db.read() as connection:
            return found(connection.scalar(_DATASET_OF, {"record": record_id}), "record")

    def records(self, dataset_id: str) -> list[Record]:
        """Return the records of a dataset in their order."""
        return self._records(*_records_where(records.c.dataset_id == dataset_id))

    def some(self, record_ids: Sequence[str]) -> list[Record]:
        """Return those of these records that there are, in the order of the ids."""
        asked = (_records_where(records.c.id.in_(some)) for some in pieces(record_ids))
        found = (record for queries_ in asked for record in self._records(*queries_))
        known = {record.id: record for record in found}
        return [known[record_id] for record_id in record_ids if record_id in known]

    def record_ids(self, dataset_id: str) -> list[str]:
        """Return the ids of the records of a dataset in their order; the list is shared, and must not be changed."""
        version = self._db.version(records)
        known = self._ids.get(dataset_id)
        if known is None or known[0] != version:
            query = select(records.c.id).where(records.c.dataset_id == dataset_id)
            with self._db.read() as connection:
                ids = list(connection.scalars(query.order_by(records.c.position, records.c.id)))
            known = self._ids[dataset_id] = (version, ids)
        return known[1]

    def external_ids(self, dataset_id: str) -> dict[str, str]:
        """Return the ids of the records that have an external id, by that id."""
        query = select(records.c.external_id, records.c.id).where(records.c.dataset_id == dataset_id)
        with self._db.read() as connection:
            rows = connection.execute(query.where(records.c.external_id.is_not(None)))
            return {row.external_id: row.id for row in rows}

    def _records(self, query: Select, proposed: Select, asked: Mapping[str, str] = _NOTHING) -> list[Record]:
        with self._db.read() as connection:
            rows = connection.execute(query, asked).mappings().all()
            given: dict[str, dict[str, Suggestion]] = {}
            for row in connection.execute(proposed, asked).mappings():
                given.setdefault(row["record_id"], {})[row["question"]] = _suggestion(row)
        parsed: dict[str, DatasetSettings] = {}
        for row in rows:
            if row["dataset_id"] not in parsed:
                parsed[row["dataset_id"]] = _settings(row)
        return [_record(row, parsed[row["dataset_id"]], given.get(row["id"], {})) for row in rows]


def add_dataset(
    connection: Connection, name: str, settings: DatasetSettings, template: str, run_id: str | None, published: bool
) -> str:
    """Store a dataset with the wording of its guidelines; return its id."""
    dataset_id = new_id()
    row = {
        "id": dataset_id,
        "name": name,
        "template": template,
        "run_id": run_id,
        "created_at": now(),
        "settings": to_plain(settings),
        "state": PUBLISHED if published else DRAFT,
    }
    put(connection, datasets, [row])
    _keep_guidelines(connection, dataset_id, settings)
    return dataset_id


def _put_items(connection: Connection, dataset_id: str, items: Sequence[tuple[str, str]]) -> None:
    row = {"dataset_id": dataset_id, "created_at": now()}
    put(
        connection,
        records,
        [
            {**row, "id": new_id(), "position": n, "query_id": query, "completion_id": completion}
            for n, (query, completion) in enumerate(items)
        ],
    )


def _keep_guidelines(connection: Connection, dataset_id: str, settings: DatasetSettings) -> None:
    version_id = id_of("guidelines", dataset_id, str(settings.guidelines_version))
    if rows_by_id(connection, guideline_versions, [version_id]):
        change(connection, guideline_versions, version_id, text=settings.guidelines)
        return
    row = {"id": version_id, "dataset_id": dataset_id, "version": settings.guidelines_version}
    put(connection, guideline_versions, [{**row, "text": settings.guidelines, "created_at": now()}])


def put_records(connection: Connection, dataset_id: str, incoming: Sequence[NewRecord]) -> tuple[list[str], int]:
    """Store records with their suggestions; return their ids, and how many took another's place."""
    moment = now()
    last = connection.scalar(select(func.max(records.c.position)).where(records.c.dataset_id == dataset_id))
    rows = _record_rows(dataset_id, incoming, -1 if last is None else last, moment)
    stored = rows_by_id(connection, records, list(rows))
    put(connection, records, [row for row in rows.values() if row["id"] not in stored])
    for row_id in stored:
        new = {name: rows[row_id][name] for name in ("fields", "metadata")}
        change(connection, records, row_id, **new)
    _put_suggestions(connection, zip(rows, _unique(incoming), strict=True), moment)
    return list(rows), len(stored)


def _unique(incoming: Sequence[NewRecord]) -> list[NewRecord]:
    """Return the records; of those with one external id only the last."""
    last = {record.external_id: record for record in incoming if record.external_id is not None}
    return [record for record in incoming if record.external_id is None or last[record.external_id] is record]


def _record_rows(
    dataset_id: str, incoming: Sequence[NewRecord], last: int, moment: float
) -> dict[str, dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for position, record in enumerate(_unique(incoming), last + 1):
        # Two replicas that take in the same file make the same records.
        known = record.external_id
        record_id = new_id() if known is None else id_of("record", dataset_id, known)
        rows[record_id] = {
            "id": record_id,
            "dataset_id": dataset_id,
            "position": position,
            "query_id": None,
            "completion_id": None,
            "external_id": known,
            "fields": dict(record.fields),
            "metadata": dict(record.metadata),
            "created_at": moment if record.created_at is None else record.created_at,
        }
    return rows


def _put_suggestions(connection: Connection, items: Iterable[tuple[str, NewRecord]], moment: float) -> None:
    rows = [
        {
            "id": id_of("suggestion", record_id, item.question),
            "record_id": record_id,
            "question": item.question,
            "value": item.value,
            "agent": item.agent,
            "score": item.score,
            "created_at": moment,
        }
        for record_id, record in items
        for item in record.suggestions
    ]
    stored = rows_by_id(connection, suggestions, [row["id"] for row in rows])
    put(connection, suggestions, [row for row in rows if row["id"] not in stored])
    for row in rows:
        if row["id"] in stored:
            change(connection, suggestions, row["id"], **{name: row[name] for name in ("value", "agent", "score")})


def _settings(row) -> DatasetSettings:
    return from_plain(row["settings"]) if row["settings"] else review_settings(row["template"])


def _dataset(row) -> Dataset:
    names = ("id", "name", "template", "run_id", "created_at", "size")
    values = {name: row[name] for name in names}
    return Dataset(**values, settings=_settings(row), published=row["state"] != DRAFT)


def _suggestion(row) -> Suggestion:
    return Suggestion(row["question"], row["value"], row["agent"], row["score"])


def _record(row, settings: DatasetSettings, given: Mapping[str, Suggestion]) -> Record:
    names = ("id", "dataset_id", "position", "external_id", "query_id", "completion_id")
    known = {name: row[name] for name in names}
    if row["query_id"] is None:
        return Record(**known, fields=row["fields"] or {}, metadata=row["metadata"] or {}, suggestions=given)
    contexts = contexts_from_json(row["contexts"])
    shown = {settings.query_field: row["query"], settings.contexts_field: row["contexts"]}
    answer = Suggestion(settings.answer_question, row["completion"], row["agent"])
    return Record(
        **known,
        fields={name: value for name, value in shown.items() if name},
        metadata=row["metadata"] or {},
        suggestions={settings.answer_question: answer, **given},
        query=row["query"],
        contexts=contexts,
        completion=row["completion"],
        split=Split(row["split"]),
    )
