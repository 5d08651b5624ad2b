"""Rows that two replicas made before they met, and of which there may be only one.

Each rule gives the same result on every replica, whichever meets the other first, and keeps both rows. A resolver looks at
changes that are newer than what is here, a reclaimer at older ones, some of which stand all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, Table, select

from pipeline.records import Change, ResponseStatus
from pipeline.store.local_schema import changes
from pipeline.store.members import is_guest
from pipeline.store.outbox import BATCH, mark, note, rows_by_id
from pipeline.store.rows import history_line
from pipeline.store.schema import documents, members, models, response_history, responses, votes, workspace_values

Resolver = Callable[[Connection, Sequence[Change]], list[Change]]


def resolve_models(connection: Connection, incoming: Sequence[Change]) -> list[Change]:
    """Give the younger of two models of one name another one, made of its id."""
    new = {change.row_id: dict(change.row) for change in incoming}
    stored = {row["id"]: dict(row) for row in connection.execute(select(models)).mappings() if row["id"] not in new}
    everybody = sorted([*stored.values(), *new.values()], key=lambda row: (row["created_at"], row["id"]))
    taken: set[str] = set()
    for row in everybody:
        if row["name"] in taken:
            row["name"] = f"{row['name'][:113]} ({row['id'][-4:]})"
            if row["id"] in stored:
                _change(connection, models, row["id"], name=row["name"])
        taken.add(row["name"])
    return [replace(change, row=new[change.row_id]) for change in incoming]


def resolve_votes(connection: Connection, incoming: Sequence[Change]) -> list[Change]:
    """Of two standing votes of one person on one comparison the first stands; the other is taken back, and kept."""
    new = {change.row_id: dict(change.row) for change in incoming}
    standing = [row for row in new.values() if row["undone_at"] is None]
    # Not those that come in themselves: somebody who took a vote back and voted again has one that stands.
    stored = [row for row in _standing_beside(connection, standing) if row["id"] not in new]
    first: dict[tuple[object, object], str] = {}
    for row in sorted([*stored, *standing], key=lambda row: row["id"]):
        pair = row["comparison_id"], row["annotator_id"]
        if first.setdefault(pair, row["id"]) == row["id"]:
            continue
        if row["id"] in new:
            row["undone_at"] = row["created_at"]
        else:
            _change(connection, votes, row["id"], undone_at=row["created_at"])
    # Those that are taken back go in first, so that no two stand even for a moment: the database would refuse it.
    return _in_order(incoming, new, lambda row: row["undone_at"] is None)


def resolve_members(connection: Connection, incoming: Sequence[Change]) -> list[Change]:
    """Let a cookie lead to the smallest id it has; who is here under another one stays, and no cookie leads there.

    A name that somebody chose is not replaced by the one that everybody gets at first.
    """
    new = {change.row_id: dict(change.row) for change in incoming}
    owners = _owners(connection, new)
    for several in owners.values():
        for row_id in sorted(several)[1:]:
            if row_id in new:
                new[row_id]["token_hash"] = None
            else:
                _change(connection, members, row_id, token_hash=None)
    stored = rows_by_id(connection, members, list(new))
    for row_id, row in new.items():
        if row_id in stored and is_guest(str(row["name"])) and not is_guest(str(stored[row_id]["name"])):
            row.update(stored[row_id])
    return _in_order(incoming, new, lambda row: row.get("token_hash") is not None)


def _owners(connection: Connection, new: Mapping[str, Mapping[str, object]]) -> dict[str, list[str]]:
    """Return who is reached by the cookies of these people, these people themselves among them, by the cookie's hash."""
    hashes = sorted({str(row["token_hash"]) for row in new.values() if row.get("token_hash")})
    owners: dict[str, list[str]] = {}
    for start in range(0, len(hashes), BATCH):
        some = members.c.token_hash.in_(hashes[start : start + BATCH])
        for row in connection.execute(select(members.c.id, members.c.token_hash).where(some)):
            if row.id not in new:
                owners.setdefault(row.token_hash, []).append(row.id)
    for row_id, row in new.items():
        if row.get("token_hash"):
            owners.setdefault(str(row["token_hash"]), []).append(row_id)
    return owners


def retire_twins(connection: Connection) -> None:
    """Of documents with the same content the one with the smallest id is searched; the others count as deleted."""
    query = select(documents.c.id, documents.c.sha256, documents.c.created_at).where(documents.c.deleted_at.is_(None))
    first: dict[str, str] = {}
    for row in connection.execute(query.order_by(documents.c.id)).all():
        if first.setdefault(row.sha256, row.id) != row.id:
            _change(connection, documents, row.id, deleted_at=row.created_at)


def reclaim_members(connection: Connection, older: Sequence[Change]) -> list[Change]:
    """Return the rows of people who had chosen a name that "Guest N" has taken the place of."""
    stored = rows_by_id(connection, members, [change.row_id for change in older])
    return [c for c in older if is_guest(str(stored[c.row_id]["name"])) and not is_guest(str(c.row["name"]))]


def resolve_responses(connection: Connection, incoming: Sequence[Change]) -> list[Change]:
    """A draft takes the place of what was submitted or discarded only where that was taken back; what was replaced is history.

    What was typed into an older answer is a newer change of the row, but no newer answer: it becomes edits of the newer one.
    """
    stored = rows_by_id(connection, responses, [change.row_id for change in incoming])
    kept: list[Change] = []
    for change in incoming:
        here = stored.get(change.row_id)
        if here is not None and not _is_draft(here):
            if _is_draft(change.row) and not _is_taken_back(here, change.row):
                kept.append(replace(change, row=here))
                continue
            if not _is_draft(change.row) and change.row["updated_at"] < here["updated_at"]:
                _to_history(connection, change.row, (change.stamp, change.replica))
                kept.append(replace(change, row=_with_edits(here, change.row)))
                continue
            if _content(change.row) != _content(here):
                _to_history(connection, here, _stamp_of(connection, change.row_id))
        kept.append(change)
    return kept


def reclaim_responses(connection: Connection, older: Sequence[Change]) -> list[Change]:
    """Return what was submitted or discarded and has a draft or an older answer in its place here; else it becomes history."""
    stored = rows_by_id(connection, responses, [change.row_id for change in older])
    kept: list[Change] = []
    for change in older:
        if _is_draft(change.row):
            continue
        here = stored[change.row_id]
        if _is_draft(here) and not _is_taken_back(change.row, here):
            kept.append(change)
        elif not _is_draft(here) and here["updated_at"] < change.row["updated_at"]:
            kept.append(replace(change, row=_with_edits(change.row, here)))
        elif _content(change.row) != _content(here):
            _to_history(connection, change.row, (change.stamp, change.replica))
    return kept


RESOLVERS: dict[Table, Resolver] = {
    models: resolve_models,
    votes: resolve_votes,
    members: resolve_members,
    responses: resolve_responses,
}
RECLAIMERS: dict[Table, Resolver] = {members: reclaim_members, responses: reclaim_responses}
# What was made first stays, whoever makes it again before the two meet.
LOWEST_WINS = (workspace_values,)


def _is_draft(row: Mapping[str, object]) -> bool:
    return row["status"] == ResponseStatus.DRAFT.value


def _is_taken_back(ended: Mapping[str, object], draft: Mapping[str, object]) -> bool:
    """Say whether a draft is what became of a submitted or discarded response when its author took it back."""
    reopened = draft.get("reopened_at")
    return reopened is not None and reopened >= ended["updated_at"]


def _content(row: Mapping[str, object]) -> tuple[object, ...]:
    return row["status"], row["values"], row.get("marks") or {}, row.get("reason") or ""


def _with_edits(answer: Mapping[str, object], typed: Mapping[str, object]) -> dict[str, object]:
    """Return an answer with what was typed into another version of it since, where anything was."""
    return {**answer, "edits": typed.get("edits") or answer.get("edits")}


def _stamp_of(connection: Connection, response_id: str) -> tuple[str, str]:
    mine = (changes.c.table_name == responses.name) & (changes.c.row_id == response_id)
    line = connection.execute(select(changes.c.stamp, changes.c.replica).where(mine)).one()
    return line.stamp, line.replica


def _to_history(connection: Connection, row: Mapping[str, object], written: tuple[str, str]) -> None:
    """Keep a version of a response, under the stamp it had: whoever else does the same has the same line."""
    line = history_line(row)
    if connection.scalar(select(response_history.c.id).where(response_history.c.id == line["id"])) is None:
        connection.execute(response_history.insert().values(line))
        mark(connection, response_history.name, [(str(line["id"]), *written)], None)


def _in_order(
    incoming: Sequence[Change], rows: Mapping[str, dict[str, object]], late: Callable[[Mapping[str, object]], bool]
) -> list[Change]:
    """Return the changes with these rows, the ``late`` ones last."""
    changed = [replace(change, row=rows[change.row_id]) for change in incoming]
    return sorted(changed, key=lambda change: late(change.row))


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
