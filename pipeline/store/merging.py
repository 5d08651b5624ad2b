"""Merging: changes that were made elsewhere come into this store. Per row the newest change stands.

What cannot be put in yet is parked, with the reason, and tried again at the next merge: nothing is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, Connection, Table, delete, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.records import Change
from pipeline.store.checking import problem_of
from pipeline.store.conflicts import LOWEST_WINS, RECLAIMERS, RESOLVERS, retire_twins
from pipeline.store.dialects import defer_references, upsert
from pipeline.store.engine import Database, writer_of
from pipeline.store.journal_files import JournalFile, remember
from pipeline.store.local_schema import changes, parked_changes
from pipeline.store.outbox import BATCH, Place, mark, note, rows_by_id
from pipeline.store.schema import (
    TRAVELLING,
    api_tokens,
    chunks,
    comparison_sets,
    comparisons,
    completions,
    documents,
    invitations,
    members,
    memberships,
    models,
    result_links,
    retrievals,
    sides,
    sign_ins,
    votes,
    workspace_values,
    workspaces,
)

ROWS = 1_000
# What was drawn or stored once is never replaced: somebody may be looking at it, and votes say themselves what was shown.
WRITE_ONCE = (sides, retrievals, *LOWEST_WINS)
# What lets people in, or shows them results without that. Whoever hands over a workspace file must not get in by it, nor anybody
# whom they let in; and a link that was withdrawn here does not lead somewhere again.
WAYS_IN = (sign_ins, api_tokens, invitations, result_links)
# Nor does a file say which other workspaces a server has, and to which repos it sends them.
NOT_OF_FILES = (*WAYS_IN, workspaces)
# Columns of JSON that point at rows: the database does not see to it that these are there.
LISTS: Mapping[Column, Table] = {
    comparison_sets.c.settings: models,
    comparisons.c.more_completion_ids: completions,
    sides.c.shown: completions,
    votes.c.shown: completions,
}


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did: how many rows are newer now, how many were parked, and whether documents came or went."""

    applied: int = 0
    parked: int = 0
    documents: bool = False


# Alters rows that are newer than what is here before they are put in.
Guard = Callable[[Connection, Table, Sequence[Change]], list[Change]]


@dataclass(frozen=True, slots=True)
class Parked:
    """A change that waits for what it needs."""

    table: str
    row_id: str
    reason: str


class Merging:
    """Takes in changes of other replicas, of journal files and of workspace files."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def merge(self, incoming: Sequence[Change], arrived_in: Place | None, file: JournalFile | None = None) -> Merged:
        """Take in changes, and note that ``file`` was read when all of them are in.

        ``arrived_in`` is the place that has these changes already, so that they are not sent there again. It is done in
        pieces of one transaction each, so that nobody's submit waits for a large file; cut off in the middle, it is done
        once more, and twice is the same as once.
        """
        merged: list[Merged] = []
        for start in range(0, max(len(incoming), 1), ROWS):
            last = start + ROWS >= len(incoming)
            with self._db.write() as connection:
                merged.append(_merge(connection, incoming[start : start + ROWS], arrived_in))
                if file is not None and last:
                    remember(connection, file)
            if not last:
                # The lock goes to whoever asks first, which would be this loop again.
                time.sleep(0.001)
        return _sum(merged)

    def merge_file(self, incoming: Sequence[Change]) -> tuple[Merged, bool]:
        """Take in the changes of a workspace file, but nobody's way in; say too whether people's roles came with it.

        Roles come only where nobody has one, as in a workspace that is being restored. Where somebody has one, no browser
        becomes somebody's by a file either: neither that of whoever comes, nor another one that of whoever is here.
        """
        with self._db.read() as connection:
            restoring = connection.scalar(select(memberships.c.id).limit(1)) is None
        left_out = {table.name for table in (*NOT_OF_FILES, *(() if restoring else (memberships,)))}
        taken = [change for change in incoming if change.table not in left_out]
        guard = _without_invitations if restoring else _without_cookies
        merged: list[Merged] = []
        for start in range(0, len(taken), ROWS):
            with self._db.write() as connection:
                merged.append(_merge(connection, taken[start : start + ROWS], None, guard))
            time.sleep(0.001)
        return _sum(merged), any(change.table == memberships.name for change in taken)

    def retry_parked(self) -> Merged:
        """Take in what was parked and can be put in now."""
        with self._db.write() as connection:
            lines = connection.execute(select(parked_changes)).all()
            if not lines:
                return Merged()
            connection.execute(delete(parked_changes))
            by_place: dict[Place | None, list[Change]] = {}
            for line in lines:
                # In both places: it is sent to the folder once more than needed, which harms nobody.
                place: Place | None = "repo" if line.in_repo else "folder" if line.in_folder else None
                by_place.setdefault(place, []).append(_change(line))
            merged = [_merge(connection, again, place) for place, again in by_place.items()]
        return _sum(merged)

    def parked(self) -> list[Parked]:
        """Return what waits, and for what."""
        with self._db.read() as connection:
            columns = parked_changes.c.table_name, parked_changes.c.row_id, parked_changes.c.reason
            return [Parked(*line) for line in connection.execute(select(*columns))]

    def parked_changes(self) -> list[Change]:
        """Return the changes that wait, to be kept where everything is kept."""
        with self._db.read() as connection:
            lines = connection.execute(select(parked_changes)).all()
            return [_change(line) for line in lines]


def _sum(merged: Sequence[Merged]) -> Merged:
    return Merged(
        sum(some.applied for some in merged),
        sum(some.parked for some in merged),
        any(some.documents for some in merged),
    )


def _change(line) -> Change:
    return Change(line.table_name, line.row_id, line.stamp, line.replica, line.row)


def _without_invitations(connection: Connection, table: Table, incoming: Sequence[Change]) -> list[Change]:
    if table is not memberships:
        return list(incoming)
    # They are taken from no file, and nobody's role waits for one.
    there = _ids(connection, invitations, sorted({str(change.row.get("invitation_id")) for change in incoming}))
    return [c if str(c.row.get("invitation_id")) in there else _with(c, invitation_id=None) for c in incoming]


def _without_cookies(connection: Connection, table: Table, incoming: Sequence[Change]) -> list[Change]:
    if table is not members:
        return list(incoming)
    here = rows_by_id(connection, members, [change.row_id for change in incoming])
    return [_with(change, token_hash=here.get(change.row_id, {}).get("token_hash")) for change in incoming]


def _with(change: Change, **values: object) -> Change:
    return replace(change, row={**change.row, **values})


def _nothing_altered(connection: Connection, table: Table, incoming: Sequence[Change]) -> list[Change]:
    return list(incoming)


def _merge(
    connection: Connection, incoming: Sequence[Change], arrived_in: Place | None, guard: Guard = _nothing_altered
) -> Merged:
    # Rows may come before the rows that they point at; at the end all of them are there, or parked.
    defer_references(connection)
    newest = _newest(incoming)
    if newest:
        writer_of(connection).stamps.see(max(change.stamp for change in newest))
    of_table: dict[str, list[Change]] = {}
    for change in newest:
        of_table.setdefault(change.table, []).append(change)
    applied, parked = 0, []
    for table in TRAVELLING:
        if mine := of_table.pop(table.name, None):
            done, put_aside = _merge_table(connection, table, mine, arrived_in, guard)
            applied += done
            parked += put_aside
    for strange in of_table.values():
        parked += [(change, "made by a newer version of Pairloop") for change in strange]
    _park(connection, parked, arrived_in)
    tables = {change.table for change in newest}
    if documents.name in tables:
        retire_twins(connection)
    return Merged(applied, len(parked), bool(tables & {documents.name, chunks.name, workspace_values.name}))


def _newest(incoming: Iterable[Change]) -> list[Change]:
    newest: dict[tuple[str, str], Change] = {}
    for change in incoming:
        key = change.table, change.row_id
        if key not in newest or newest[key].stamp < change.stamp:
            newest[key] = change
    return list(newest.values())


def _merge_table(
    connection: Connection, table: Table, incoming: Sequence[Change], arrived_in: Place | None, guard: Guard
) -> tuple[int, list[tuple[Change, str]]]:
    stamps = _stamps(connection, table, [change.row_id for change in incoming])
    if arrived_in:
        same = [change for change in incoming if stamps.get(change.row_id) == change.stamp]
        _note_arrival(connection, table, same, arrived_in)
    newer = [change for change in incoming if stamps.get(change.row_id, "") < change.stamp]
    if table in WRITE_ONCE:
        newer = [change for change in newer if change.row_id not in stamps]
    older = [change for change in incoming if change.stamp < stamps.get(change.row_id, "")]
    reclaimed = _reclaimed(connection, table, older)
    sound, parked = _sort_out(connection, table, guard(connection, table, newer + reclaimed))
    resolve = RESOLVERS.get(table)
    resolved = resolve(connection, sound) if resolve else sound
    failed = _put(connection, table, resolved)
    kept = [change for change in resolved if change.row_id not in failed]
    mark(connection, table.name, [(c.row_id, c.stamp, c.replica) for c in kept], arrived_in)
    # A row that had to be altered to fit, or that stands against its stamp, is a change of this replica's own, which the
    # others must hear of.
    before = {change.row_id: change.row for change in newer + reclaimed}
    again = {change.row_id for change in reclaimed} if table not in LOWEST_WINS else set()
    note(connection, table, [c.row_id for c in kept if c.row != before[c.row_id] or c.row_id in again])
    reason = "another row has what only one row may have"
    return len(kept), parked + [(change, reason) for change in resolved if change.row_id in failed]


def _reclaimed(connection: Connection, table: Table, older: Sequence[Change]) -> list[Change]:
    """Return the changes that stand although this store has a newer one of the same row."""
    if table in LOWEST_WINS:
        return list(older)
    reclaim = RECLAIMERS.get(table)
    return (
        reclaim(connection, [change for change in older if not problem_of(table, change)]) if reclaim and older else []
    )


def _stamps(connection: Connection, table: Table, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), BATCH):
        some = changes.c.row_id.in_(ids[start : start + BATCH])
        query = select(changes.c.row_id, changes.c.stamp).where(changes.c.table_name == table.name, some)
        found.update({row.row_id: row.stamp for row in connection.execute(query)})
    return found


def _note_arrival(connection: Connection, table: Table, same: Sequence[Change], place: Place) -> None:
    for start in range(0, len(same), BATCH):
        some = changes.c.row_id.in_([change.row_id for change in same[start : start + BATCH]])
        statement = update(changes).where(changes.c.table_name == table.name, some)
        connection.execute(statement.values({f"in_{place}": True}))


def _sort_out(
    connection: Connection, table: Table, incoming: Sequence[Change]
) -> tuple[list[Change], list[tuple[Change, str]]]:
    """Return the changes whose rows fit the table and whose parents are there, and the others with the reason."""
    checked = [(change, problem_of(table, change)) for change in incoming]
    reasons = {change.row_id: problem for change, problem in checked if problem}
    sound = [change for change, problem in checked if not problem]
    # A row that is put aside may be the parent of others that come with it, by this column or another one.
    while missing := _missing_parents(connection, table, sound):
        reasons.update(missing)
        sound = [change for change in sound if change.row_id not in missing]
    return sound, [(change, reasons[change.row_id]) for change in incoming if change.row_id in reasons]


def _missing_parents(connection: Connection, table: Table, incoming: Sequence[Change]) -> dict[str, str]:
    missing: dict[str, str] = {}
    for column in table.columns:
        targets = [key.column.table for key in column.foreign_keys]
        for target in [*targets, LISTS[column]] if column in LISTS else targets:
            parents = {change.row_id: _pointed_at(change.row.get(column.name)) for change in incoming}
            there = _ids(connection, target, sorted(set().union(*parents.values())))
            if target is table:
                there |= _whole_lines(incoming, column.name, there)
            for row_id, wanted in parents.items():
                if lacking := sorted(wanted - there):
                    missing[row_id] = f"waits for {target.name} {lacking[0]}"
    return missing


def _pointed_at(value: Any) -> set[str]:
    """Return the ids that a column holds: one, those of a list, or the models of settings."""
    if isinstance(value, Mapping):
        value = value["model_ids"]
    return set() if value is None else set(value) if isinstance(value, list) else {str(value)}


def _whole_lines(incoming: Sequence[Change], parent_column: str, there: set[str]) -> set[str]:
    """Return the rows that come now with their parents, grandparents and so on, all of which come too or are there."""
    parents = {change.row_id: change.row.get(parent_column) for change in incoming}
    whole: set[str] = set()
    while fresh := {i for i, parent in parents.items() if i not in whole and (not parent or parent in there | whole)}:
        whole |= fresh
    return whole


def _ids(connection: Connection, table: Table, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), BATCH):
        found.update(connection.scalars(select(table.c.id).where(table.c.id.in_(ids[start : start + BATCH]))))
    return found


def _put(connection: Connection, table: Table, incoming: Sequence[Change]) -> set[str]:
    """Insert or replace rows; return the ids of those that the database refused."""
    rows = [_complete(table, change.row) for change in incoming]
    if not rows:
        return set()
    try:
        with connection.begin_nested():
            _upsert(connection, table, rows)
        return set()
    except IntegrityError:
        # One of them clashes: put them in one by one, so that only that one is left out.
        return {str(row["id"]) for row in rows if not _fits(connection, table, row)}


def _fits(connection: Connection, table: Table, row: Mapping[str, object]) -> bool:
    try:
        with connection.begin_nested():
            _upsert(connection, table, [row])
    except IntegrityError:
        return False
    return True


def _complete(table: Table, row: Mapping[str, object]) -> dict[str, object]:
    # A row of an older version lacks the columns that came since; problem_of has seen to it that those may be empty.
    return {column.name: row.get(column.name) for column in table.columns}


def _upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    statement = upsert(connection, table)
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name != "id"}
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=others), list(rows))


def _park(connection: Connection, parked: Sequence[tuple[Change, str]], arrived_in: Place | None) -> None:
    for change, reason in parked:
        row = {
            "table_name": change.table,
            "row_id": change.row_id,
            "stamp": change.stamp,
            "replica": change.replica,
            "row": dict(change.row),
            "reason": reason,
            "in_repo": arrived_in == "repo",
            "in_folder": arrived_in == "folder",
        }
        statement = upsert(connection, parked_changes).values(row)
        newer = {name: row[name] for name in ("stamp", "replica", "row", "reason", "in_repo", "in_folder")}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["table_name", "row_id"], set_=newer, where=parked_changes.c.stamp <= change.stamp
            )
        )
