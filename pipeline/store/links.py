"""Links to the results of a comparison: whoever holds the token of one reads them, without a cookie."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import select

from pipeline.records import new_id
from pipeline.store.engine import Database
from pipeline.store.rows import change, now, put
from pipeline.store.schema import result_links


@dataclass(frozen=True, slots=True)
class ResultLink:
    """A link that was made, without its token, which nothing here knows. ``withdrawn_at`` is None while it leads somewhere."""

    id: str
    comparison_set_id: str
    member_id: str
    created_at: float
    withdrawn_at: float | None


class LinkStore:
    """Rows of ``result_links``. Of a token only the hash is kept."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, set_id: str, member_id: str) -> str:
        """Store a link to the results of a set; return its token, which cannot be had again."""
        token = secrets.token_urlsafe(32)
        row = {"id": new_id(), "comparison_set_id": set_id, "member_id": member_id, "token_hash": _hash(token)}
        with self._db.write() as connection:
            put(connection, result_links, [{**row, "created_at": now(), "withdrawn_at": None}])
        return token

    def of_set(self, set_id: str) -> list[ResultLink]:
        """Return the links to a set's results, newest first, those that were withdrawn too."""
        query = select(result_links).where(result_links.c.comparison_set_id == set_id)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(result_links.c.id.desc())).mappings()
            return [ResultLink(**{name: row[name] for name in ResultLink.__slots__}) for row in rows]

    def withdraw(self, link_id: str) -> None:
        """Let a link lead nowhere from now on.

        Raises:
            NotFoundError: there is no such link.
        """
        with self._db.write() as connection:
            change(connection, result_links, link_id, withdrawn_at=now())

    def set_of(self, token: str) -> str | None:
        """Return the set that a token leads to, or None. It takes as long whether or how far a token is right."""
        wanted, found = _hash(token), None
        query = select(result_links.c.token_hash, result_links.c.comparison_set_id)
        with self._db.read() as connection:
            for row in connection.execute(query.where(result_links.c.withdrawn_at.is_(None))):
                if hmac.compare_digest(row.token_hash, wanted):
                    found = row.comparison_set_id
        return found


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
