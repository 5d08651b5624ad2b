"""Personal tokens of the API, by their hashes; and which requests that were sent under a token of their own are done."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from pipeline.records import new_id
from pipeline.store.engine import Database
from pipeline.store.local_schema import done_requests, token_uses
from pipeline.store.rows import change, now, put
from pipeline.store.schema import api_tokens

PREFIX = "pl_"
# Coarse on purpose: when a token was used, not how often or when exactly.
USE_SECONDS = 900.0
# Whoever repeats a request does so within days.
KEPT_SECONDS = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token without its value, which nothing here knows. ``ended_at`` is None until it is revoked."""

    id: str
    member_id: str
    name: str
    created_at: float
    expires_at: float | None
    ended_at: float | None
    used_at: float | None

    def good(self, at: float) -> bool:
        """Say whether it opens anything at a time."""
        return self.ended_at is None and (self.expires_at is None or at < self.expires_at)


class TokenStore:
    """Rows of ``api_tokens``, and when each was last used."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, member_id: str, name: str, expires_at: float | None) -> tuple[str, str]:
        """Store a token; return its id and its value, 256 random bits that cannot be had again."""
        value = f"{PREFIX}{secrets.token_urlsafe(32)}"
        row = {"id": new_id(), "member_id": member_id, "name": name, "token_hash": _hash(value), "created_at": now()}
        with self._db.write() as connection:
            put(connection, api_tokens, [{**row, "expires_at": expires_at, "ended_at": None}])
        return row["id"], value

    def all(self, member_id: str | None = None) -> list[ApiToken]:
        """Return the tokens of a person, or of everybody, newest first."""
        query = select(api_tokens, token_uses.c.at.label("used_at"))
        query = query.outerjoin_from(api_tokens, token_uses, token_uses.c.token_id == api_tokens.c.id)
        if member_id is not None:
            query = query.where(api_tokens.c.member_id == member_id)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(api_tokens.c.id.desc())).mappings()
            return [ApiToken(**{name: row[name] for name in ApiToken.__slots__}) for row in rows]

    def find(self, value: str) -> tuple[str, str] | None:
        """Return the id of a token and of its person, or None: there is none, it was revoked, or it has expired."""
        # An index looks the hash up, and nobody can choose how a hash begins.
        query = select(api_tokens.c.id, api_tokens.c.member_id).where(api_tokens.c.token_hash == _hash(value))
        query = query.where(api_tokens.c.ended_at.is_(None))
        query = query.where(api_tokens.c.expires_at.is_(None) | (api_tokens.c.expires_at > now()))
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return (row.id, row.member_id) if row else None

    def end(self, token_id: str) -> None:
        """Revoke a token.

        Raises:
            NotFoundError: there is no such token.
        """
        with self._db.write() as connection:
            change(connection, api_tokens, token_id, ended_at=now())

    def used(self, token_id: str) -> None:
        """Note that a token was used."""
        at = now() // USE_SECONDS * USE_SECONDS
        with self._db.write() as connection:
            this = token_uses.c.token_id == token_id
            if connection.execute(token_uses.update().where(this).values(at=at)).rowcount == 0:
                connection.execute(token_uses.insert().values(token_id=token_id, at=at))


class RequestStore:
    """Which requests are done, so that one whose answer was lost can be sent again and changes nothing."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def is_done(self, *parts: str) -> bool:
        """Say whether the request that these parts name was carried out."""
        query = select(done_requests.c.key).where(done_requests.c.key == _key(parts))
        with self._db.read() as connection:
            return connection.execute(query).first() is not None

    def done(self, *parts: str) -> None:
        """Note that a request was carried out; what is old is forgotten."""
        try:
            with self._db.write() as connection:
                connection.execute(done_requests.delete().where(done_requests.c.at < now() - KEPT_SECONDS))
                connection.execute(done_requests.insert().values(key=_key(parts), at=now()))
        except IntegrityError:
            # Another replica carried out the same one in the same moment.
            return


def _key(parts: tuple[str, ...]) -> str:
    return _hash("\0".join(parts))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
