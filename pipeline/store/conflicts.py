"""Rows that two replicas made before they met, and of which there may be only one.

Each rule gives the same result on every replica, whichever meets the other first, and keeps both rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, Table, select

from pipeline.records import Change
from pipeline.store.outbox import BATCH, note
from pipeline.store.schema import documents, members, models, votes

Resolver = Callable[[Connection, Sequence[Change]], list[Change]]


def resolve_models(connection: Connection, incoming: Sequence[Change]) -> list[Change]:
    """Give the younger of two models of one name another one, made of its id."""
    new = {change.row_id: dict(change.row) for change in incoming}
    stored = {row["id"]: dict(row) for row in connection.execute(select(models)).mappings() if row["id"] not in new}
    everybody = sorted([*stored.values(), *new.values()], key=lambda row: (row["created_at"], row["id"]))
    taken: set[str] = set()
    for row in everybody:
        if row["name"] in taken:
            row["name"] = f"{row['name']} ({row['id'][-4:]})"[:120]
            if row["id"] in stored:
                _change(connection, models, row["id"], name=row["name"])
        taken.add(row["name"])
    return [replace(change, row=new[change.row_id]) for change in incoming]


def resolve_votes(connection: Connection, incoming: Sequence[Change]) -> list[Change]:
    """Of two standing votes of one person on one comparison the first stands; the other is taken back, and kept."""
    new = {change.row_id: dict(change.row) for change in incoming}
    standing = [row for row in new.values() if row["undone_at"] is None]
    stored = _standing_beside(connection, standing)
    first: dict[tuple[object, object], str] = {}
    for row in sorted([*stored, *standing], key=lambda row: row["id"]):
        pair = row["comparison_id"], row["annotator_id"]
        if first.setdefault(pair, row["id"]) == row["id"]:
            continue
        if row["id"] in new:
            row["undone_at"] = row["created_at"]
        else:
            _change(connection, votes, row["id"], undone_at=row["created_at"])
    return [replace(change, row=new[change.row_id]) for change in incoming]


def resolve_members(connection: Connection, incoming: Sequence[Change]) -> list[Change]:
    """Keep a person who is here under another id as a person of their own, whom no cookie leads to."""
    hashes = [change.row["token_hash"] for change in incoming if change.row.get("token_hash")]
    owner: dict[object, str] = {}
    for start in range(0, len(hashes), BATCH):
        query = select(members.c.id, members.c.token_hash).where(
            members.c.token_hash.in_(hashes[start : start + BATCH])
        )
        owner.update({row.token_hash: row.id for row in connection.execute(query)})

    def fitted(change: Change) -> Change:
        if owner.get(change.row.get("token_hash"), change.row_id) == change.row_id:
            return change
        return replace(change, row={**change.row, "token_hash": None})

    return [fitted(change) for change in incoming]


def retire_twins(connection: Connection) -> None:
    """Of documents with the same content the one with the smallest id is searched; the others count as deleted."""
    query = select(documents.c.id, documents.c.sha256, documents.c.created_at).where(documents.c.deleted_at.is_(None))
    first: dict[str, str] = {}
    for row in connection.execute(query.order_by(documents.c.id)).all():
        if first.setdefault(row.sha256, row.id) != row.id:
            _change(connection, documents, row.id, deleted_at=row.created_at)


RESOLVERS: dict[Table, Resolver] = {models: resolve_models, votes: resolve_votes, members: resolve_members}


def _standing_beside(connection: Connection, rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Return the stored standing votes on the comparisons of these rows, without these rows themselves."""
    ids = {row["id"] for row in rows}
    comparisons = sorted({str(row["comparison_id"]) for row in rows})
    found: list[dict[str, object]] = []
    for start in range(0, len(comparisons), BATCH):
        some = votes.c.comparison_id.in_(comparisons[start : start + BATCH])
        query = select(votes).where(votes.c.undone_at.is_(None), some)
        found += [dict(row) for row in connection.execute(query).mappings() if row["id"] not in ids]
    return found


def _change(connection: Connection, table: Table, row_id: str, **values: object) -> None:
    connection.execute(table.update().where(table.c.id == row_id).values(**values))
    note(connection, table, [row_id])
