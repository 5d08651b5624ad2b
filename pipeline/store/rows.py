"""Between rows and domain values: the few lines that every table needs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, insert, select, true, update

from pipeline.errors import NotFoundError
from pipeline.records import Context, Section, id_of
from pipeline.store.local_schema import changes
from pipeline.store.outbox import note


def now() -> float:
    """Return the time in seconds since the epoch."""
    return time.time()


def put(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``rows``; nothing happens for none."""
    if rows:
        connection.execute(insert(table), list(rows))
        note(connection, table, [str(row["id"]) for row in rows])


def change(connection: Connection, table: Table, row_id: str, **values: Any) -> None:
    """Set columns of one row.

    Raises:
        NotFoundError: there is no such row.
    """
    result = connection.execute(update(table).where(table.c.id == row_id).values(**values))
    if result.rowcount != 1:
        raise NotFoundError(f"This entry of {table.name.replace('_', ' ')} is not in the workspace any more.")
    note(connection, table, [row_id])


def change_all(connection: Connection, table: Table, condition: ColumnElement[bool], **values: Any) -> None:
    """Set columns of every row that meets a condition."""
    for row_id in connection.scalars(select(table.c.id).where(condition)).all():
        change(connection, table, row_id, **values)


def written_by(table: Table, replica: str | None) -> ColumnElement[bool]:
    """Return the condition that the newest change of a row is a replica's; with None every row meets it."""
    if replica is None:
        return true()
    mine = (changes.c.table_name == table.name) & (changes.c.replica == replica)
    return table.c.id.in_(select(changes.c.row_id).where(mine))


def found(row: Any, what: str) -> Any:
    """Return ``row``, or raise NotFoundError where it is None."""
    if row is None:
        raise NotFoundError(f"This {what} is not in the workspace any more. Reload the page.")
    return row


def history_line(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line of ``response_history`` for a version of a response: one id for one version, whoever writes it."""
    parts = (response["id"], response["status"], repr(response["updated_at"]))
    return {
        "id": id_of("history", *parts),
        "response_id": response["id"],
        "status": response["status"],
        "values": response["values"],
        "at": response["updated_at"],
        "marks": response.get("marks"),
        "reason": response.get("reason"),
    }


def sections_to_json(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Return sections as JSON rows."""
    return [asdict(section) for section in sections]


def sections_from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[Section, ...]:
    """Return sections from their JSON rows."""
    return tuple(Section(**row) for row in rows)


# Written only where they say something: rows of a search by words alone are those of the first version.
_FOUND_BY = {"lexical", "lexical_rank", "semantic", "semantic_rank"}


def contexts_to_json(contexts: Sequence[Context]) -> list[dict[str, Any]]:
    """Return contexts as JSON rows."""
    rows = map(asdict, contexts)
    return [{name: value for name, value in row.items() if value is not None or name not in _FOUND_BY} for row in rows]


def contexts_from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[Context, ...]:
    """Return contexts from their JSON rows."""
    return tuple(Context(**row) for row in rows)
