"""A workspace of any size for the benchmarks of the back-up, made at once."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from pipeline.records import Change, id_of, new_id
from pipeline.store import Store
from pipeline.store.schema import members, records

PASSAGE = (
    "The harbour office opens at seven in the morning, and every boat pays a mooring fee of twelve euros a night. " * 7
)
TEXT = (
    "The office opens at seven in the morning [1]. Boats under five metres moor free of charge at the east pier [2]. "
    * 4
)
AT = 1_790_000_000.0


def fill(store: Store, records: int, people: int, responses: int) -> None:
    """Put records into an empty store, each with its query, four contexts and a completion, and responses of all people."""
    changes = [
        Change(table, str(row["id"]), store.database.writer.stamps.next(), store.replica, row)
        for table, row in _rows(records, people, responses)
    ]
    store.merging.merge(changes, None)
    assert store.merging.parked() == []


def records_of(store: Store) -> tuple[list[str], list[str]]:
    """Return the ids of records and of people."""
    with store.database.read() as connection:
        ids = list(connection.scalars(select(records.c.id).order_by(records.c.position)))
        return ids, list(connection.scalars(select(members.c.id).where(members.c.token_hash.is_not(None))))


def _rows(count: int, people: int, responses: int) -> Iterator[tuple[str, dict]]:
    who = [new_id() for _ in range(people)]
    for number, person in enumerate(who):
        yield "members", {"id": person, "name": f"Person {number}", "token_hash": f"{number:064x}", "created_at": AT}
    list_id, model, dataset, run = (new_id() for _ in range(4))
    yield "query_sets", {"id": list_id, "name": "Harbour", "kind": "list", "created_at": AT}
    row = {"id": model, "name": "a model", "provider": "extractive", "config": {}, "template": "answer-review"}
    yield "models", {**row, "parent_id": None, "job_id": None, "created_at": AT}
    row = {"id": run, "model_id": model, "query_set_id": list_id, "split": None, "retriever": "r", "state": "done"}
    yield "runs", {**row, "total": count, "reused": 0, "error": "", "created_at": AT, "finished_at": AT}
    yield "datasets", {"id": dataset, "name": "Harbour", "template": "answer-review", "run_id": run, "created_at": AT}
    for number in range(count):
        record = new_id()
        yield from _record(record, number, list_id, model, dataset, run)
        for person in who[: max(0, min(people, responses - number * people))]:
            row = {"id": id_of("response", record, person), "record_id": record, "annotator_id": person}
            values = {"answer": f"{number}. {TEXT}", "query_rating": 4, "context_rating": 5}
            times = {"seconds": 40.0, "created_at": AT, "updated_at": AT}
            yield "responses", {**row, "status": "submitted", "values": values, **times}


def _record(record: str, number: int, list_id: str, model: str, dataset: str, run: str) -> Iterator[tuple[str, dict]]:
    query, retrieval, completion = (new_id() for _ in range(3))
    row = {"id": query, "query_set_id": list_id, "position": number, "text": f"Where is pier {number}?"}
    yield "queries", {**row, "split": "train", "metadata": {}}
    context = {"chunk_id": new_id(), "document_id": new_id(), "document_name": "harbour.md", "text": PASSAGE}
    context |= {"start": 0, "end": len(PASSAGE), "score": 3.5, "heading": "Mooring", "page": None}
    row = {"id": retrieval, "query_id": query, "retriever": "r", "contexts": [context] * 4, "created_at": AT}
    yield "retrievals", row
    row = {
        "id": completion,
        "run_id": run,
        "model_id": model,
        "query_id": query,
        "retrieval_id": retrieval,
        "text": TEXT,
    }
    row |= {"refused": False, "citations": [1], "seconds": 1.0, "prompt_tokens": None, "completion_tokens": None}
    yield "completions", {**row, "error": "", "created_at": AT}
    yield (
        "records",
        {"id": record, "dataset_id": dataset, "position": number, "query_id": query, "completion_id": completion},
    )
