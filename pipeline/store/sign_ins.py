"""Sign-ins: a browser that somebody is signed in with, by the hash of its cookie, until it expires or is ended."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from pipeline.records import Role, new_id
from pipeline.store.engine import Database
from pipeline.store.rows import change, change_all, now, put
from pipeline.store.schema import memberships, sign_ins

DAY = 86400.0
# Whoever was away for longer signs in again.
DAYS = 30
# However often it is used: a cookie that was copied once is not good for ever.
MOST_DAYS = 180


# Built once: each request asks it.
_FIND = (
    select(sign_ins.c.id, sign_ins.c.member_id, memberships.c.role, sign_ins.c.expires_at, sign_ins.c.created_at)
    .select_from(sign_ins.join(memberships, memberships.c.member_id == sign_ins.c.member_id))
    .where(sign_ins.c.token_hash == bindparam("hash"))
    .where(sign_ins.c.ended_at.is_(None), sign_ins.c.expires_at > bindparam("now"))
    # Of its own: rows of an earlier version may expire later than that.
    .where(sign_ins.c.created_at > bindparam("since"))
    .where(memberships.c.removed_at.is_(None))
)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in by a cookie, and what they may do."""

    id: str
    member_id: str
    role: Role
    expires_at: float
    created_at: float

    @property
    def ends_at(self) -> float:
        """When it is over, however often it is used until then."""
        return min(self.expires_at, self.created_at + MOST_DAYS * DAY)


class SignInStore:
    """Rows of ``sign_ins``. Of a cookie only the hash is kept."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def begin(self, member_id: str, kind: str) -> str:
        """Store a new sign-in and return its token: 256 random bits that nobody had before."""
        token = secrets.token_hex(32)
        row = {"id": new_id(), "member_id": member_id, "token_hash": _hash(token), "kind": kind, "created_at": now()}
        with self._db.write() as connection:
            put(connection, sign_ins, [{**row, "expires_at": now() + DAYS * DAY, "ended_at": None}])
        return token

    def find(self, token: str) -> SignedIn | None:
        """Return who is signed in by this token, or None: it is none, is over, or its person is no member any more."""
        at = now()
        with self._db.read() as connection:
            row = connection.execute(_FIND, {"hash": _hash(token), "now": at, "since": at - MOST_DAYS * DAY}).first()
        return SignedIn(row.id, row.member_id, Role(row.role), row.expires_at, row.created_at) if row else None

    def version(self) -> tuple[int, ...] | None:
        """Return what is another once somebody has come, gone or got another role; None where other processes see to that too."""
        return None if self._db.shared else self._db.version(sign_ins, memberships)

    def extend(self, sign_in: SignedIn) -> bool:
        """Let a sign-in that is used go on for longer, at most once a day and not for ever; say whether it was done."""
        end = sign_in.created_at + MOST_DAYS * DAY
        until = min(now() + DAYS * DAY, end)
        # Less than a day is not worth a write, unless it is the last one.
        if until - sign_in.expires_at < (DAY if until < end else 1.0):
            return False
        with self._db.write() as connection:
            change(connection, sign_ins, sign_in.id, expires_at=until)
        return True

    def end(self, token: str) -> None:
        """End one sign-in; nothing happens where there is none."""
        self._end(sign_ins.c.token_hash == _hash(token))

    def end_all(self, member_id: str) -> None:
        """End every sign-in of a person."""
        self._end(sign_ins.c.member_id == member_id)

    def _end(self, condition) -> None:
        with self._db.write() as connection:
            change_all(connection, sign_ins, condition & sign_ins.c.ended_at.is_(None), ended_at=now())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
