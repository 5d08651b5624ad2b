"""People: who a browser's cookie belongs to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from pipeline.records import id_of
from pipeline.store.engine import Database
from pipeline.store.rows import change, now, put
from pipeline.store.schema import members

# Votes that nobody gave: the ties of identical completions.
AUTOMATIC = "automatic"
# Whoever gave imported votes that a file names nobody for.
UNNAMED = "unnamed"
# Who is nobody: their votes count, but they are no annotators.
NOBODY = frozenset((AUTOMATIC, UNNAMED))
_GUEST = re.compile(r"Guest \d+")


def is_guest(name: str) -> bool:
    """Say whether a name is one that was given to somebody who has chosen none."""
    return _GUEST.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person whom a browser's cookie belongs to."""

    id: str
    name: str
    created_at: float


class MemberStore:
    """Rows of ``members``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def by_token(self, token: str) -> str:
        """Return the id of the person with this cookie, made at first sight under the name "Guest N"."""
        token_hash = hashlib.sha256(token.encode()).hexdigest()
        query = select(members.c.id).where(members.c.token_hash == token_hash)
        with self._db.read() as connection:
            row = connection.execute(query).first()
        if row:
            return row.id
        with self._db.write() as connection:
            if row := connection.execute(query).first():
                return row.id
            guests = connection.scalar(select(func.count()).where(members.c.token_hash.is_not(None)))
            member_id = id_of("member", token_hash)
            row = {"id": member_id, "name": f"Guest {guests + 1}", "token_hash": token_hash, "created_at": now()}
            put(connection, members, [row])
        return member_id

    def known(self, token: str) -> str | None:
        """Return the id of the person with this cookie, or None where it is nobody's."""
        query = select(members.c.id).where(members.c.token_hash == hashlib.sha256(token.encode()).hexdigest())
        with self._db.read() as connection:
            return connection.scalar(query)

    def visitors(self) -> list[Visitor]:
        """Return everybody whom a cookie belongs to, in the order in which they came."""
        query = select(members.c.id, members.c.name, members.c.created_at).where(members.c.token_hash.is_not(None))
        with self._db.read() as connection:
            return [Visitor(*row) for row in connection.execute(query.order_by(members.c.created_at, members.c.id))]

    def name(self, member_id: str) -> str:
        """Return a person's name, or "" for an unknown id."""
        with self._db.read() as connection:
            return connection.scalar(select(members.c.name).where(members.c.id == member_id)) or ""

    def names(self) -> dict[str, str]:
        """Return all names by id."""
        with self._db.read() as connection:
            return {row.id: row.name for row in connection.execute(select(members.c.id, members.c.name))}

    def rename(self, member_id: str, name: str) -> None:
        """Give a person another name.

        Raises:
            NotFoundError: nobody has this id.
        """
        with self._db.write() as connection:
            change(connection, members, member_id, name=name)

    def for_import(self, names: Sequence[str]) -> dict[str, str]:
        """Return who is meant by names in a file, by name: people of the workspace, or new ones whom no cookie leads to.

        Two replicas that take in one file make the same people. "Guest 3" of another workspace is nobody of this one.
        """
        ids = {name: id_of("member", "imported", name) for name in names}
        with self._db.write() as connection:
            known: dict[str, list[str]] = {}
            for row in connection.execute(select(members.c.id, members.c.name)):
                known.setdefault(row.name, []).append(row.id)
            stored = {member_id for several in known.values() for member_id in several}
            for name in names:
                several = known.get(name, [])
                if ids[name] not in stored and len(several) == 1 and not is_guest(name) and several != [AUTOMATIC]:
                    ids[name] = several[0]
            new = [name for name in names if ids[name] not in stored]
            rows = [{"id": ids[name], "name": name, "token_hash": None, "created_at": now()} for name in new]
            put(connection, members, rows)
        return ids

    def ensure_automatic(self) -> None:
        """Make the member that automatic ties are recorded under, where it is missing."""
        with self._db.write() as connection:
            if connection.scalar(select(members.c.id).where(members.c.id == AUTOMATIC)) is None:
                row = {"id": AUTOMATIC, "name": "automatic tie", "token_hash": None, "created_at": now()}
                put(connection, members, [row])
