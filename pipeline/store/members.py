"""People: who a browser's cookie belongs to."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, select

from pipeline.records import id_of
from pipeline.store.engine import Database
from pipeline.store.rows import change, now, put
from pipeline.store.schema import members

# Votes that nobody gave: the ties of identical completions.
AUTOMATIC = "automatic"


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

    def ensure_automatic(self) -> None:
        """Make the member that automatic ties are recorded under, where it is missing."""
        with self._db.write() as connection:
            if connection.scalar(select(members.c.id).where(members.c.id == AUTOMATIC)) is None:
                row = {"id": AUTOMATIC, "name": "automatic tie", "token_hash": None, "created_at": now()}
                put(connection, members, [row])
