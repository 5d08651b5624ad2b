"""Invitations: by a link with a code, by a name on the Hub, or by an organisation of the Hub."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from pipeline.records import Role, new_id
from pipeline.store.engine import Database
from pipeline.store.members import AUTOMATIC
from pipeline.store.rows import change, change_all, now, put
from pipeline.store.schema import invitations, memberships


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation, without its code, which nothing here knows. ``used`` is how many came by it."""

    id: str
    role: Role
    hub_name: str
    organisation: str
    most: int | None
    member_id: str
    created_at: float
    expires_at: float | None
    withdrawn_at: float | None
    used: int = 0

    def good(self, at: float) -> bool:
        """Say whether somebody may come by it."""
        return not self.over(at)

    def over(self, at: float) -> str:
        """Return why nobody comes by it any more; "" where somebody may."""
        # First: the last place also withdraws it.
        if self.most is not None and self.used >= self.most:
            return "used up"
        if self.withdrawn_at is not None:
            return "withdrawn"
        return "expired" if self.expires_at is not None and self.expires_at <= at else ""


class InvitationStore:
    """Rows of ``invitations``. Of a code only the hash is kept."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self, role: Role, member_id: str, *, code: str = "", hub_name: str = "", organisation: str = "",
        days: float | None, most: int | None,
    ) -> str:  # fmt: skip
        """Store an invitation and return its id."""
        at = now()
        row = {
            "id": new_id(),
            "role": role,
            "code_hash": _hash(code) if code else None,
            "hub_name": hub_name or None,
            "organisation": organisation or None,
            "most": most,
            "member_id": member_id,
            "created_at": at,
            "expires_at": None if days is None else at + days * 86400,
            "withdrawn_at": None,
        }
        with self._db.write() as connection:
            put(connection, invitations, [row])
        return row["id"]

    def all(self) -> list[Invitation]:
        """Return the invitations that people made, newest first, also those that are over."""
        with self._db.read() as connection:
            return _found(connection, invitations.c.member_id != AUTOMATIC)

    def get(self, invitation_id: str) -> Invitation | None:
        """Return an invitation, or None."""
        with self._db.read() as connection:
            return next(iter(_found(connection, invitations.c.id == invitation_id)), None)

    def by_code(self, code: str) -> Invitation | None:
        """Return the invitation that a code leads to, whether it is still good or not, or None."""
        # Looked up by the hash of what was sent: how long it takes tells nothing of the codes that there are.
        with self._db.read() as connection:
            return next(iter(_found(connection, invitations.c.code_hash == _hash(code))), None)

    def for_hub(self, name: str, organisations: frozenset[str]) -> list[Invitation]:
        """Return the good invitations of a person of the Hub by their name or one of their organisations, newest first."""
        of_org = func.lower(invitations.c.organisation).in_(organisations)
        with self._db.read() as connection:
            found = _found(connection, (func.lower(invitations.c.hub_name) == name.lower()) | of_org)
        return [invitation for invitation in found if invitation.good(now())]

    def withdraw(self, invitation_id: str) -> None:
        """Let nobody come by an invitation any more.

        Raises:
            NotFoundError: there is none of this id.
        """
        with self._db.write() as connection:
            change(connection, invitations, invitation_id, withdrawn_at=now())

    def withdraw_first(self) -> None:
        """Withdraw the links that were printed for a first owner: there is one now."""
        printed = (invitations.c.member_id == AUTOMATIC) & invitations.c.withdrawn_at.is_(None)
        with self._db.write() as connection:
            change_all(connection, invitations, printed, withdrawn_at=now())


def usable(connection: Connection, invitation_id: str) -> Invitation | None:
    """Return an invitation that somebody may come by, within the transaction that lets them in, or None."""
    # Two who come by the last place at once wait for each other here, on PostgreSQL too.
    connection.execute(select(invitations.c.id).where(invitations.c.id == invitation_id).with_for_update())
    found = next(iter(_found(connection, invitations.c.id == invitation_id)), None)
    return found if found is not None and found.good(now()) else None


def take_place(connection: Connection, invitation: Invitation, counted: bool) -> None:
    """Note that somebody came by an invitation, within the transaction that locked it; ``counted`` says that ``used`` tells so.

    The last place ends it for good: what counts later, after removals or a merge of replicas, cannot make it good again.
    """
    if invitation.most is None:
        return
    if invitation.used + 1 >= invitation.most:
        change(connection, invitations, invitation.id, withdrawn_at=now())
    elif not counted:
        change(connection, invitations, invitation.id, most=invitation.most - 1)


def forget_name(connection: Connection, invitation_id: str | None, login: str, pseudonym: str) -> list[str]:
    """Take the name on the Hub of somebody who is removed out of the invitations, within that transaction; return what they said.

    They came by ``invitation_id`` and sign in as ``login``. These invitations are good for nobody from then on: not for them, and
    not for somebody who takes the pseudonym for a name on the Hub.
    """
    named = (func.lower(invitations.c.hub_name) == login.lower()) | (invitations.c.id == invitation_id)
    columns = (invitations.c.id, invitations.c.hub_name, invitations.c.withdrawn_at)
    rows = connection.execute(select(*columns).where(named & invitations.c.hub_name.is_not(None))).all()
    for row in rows:
        change(connection, invitations, row.id, hub_name=pseudonym, withdrawn_at=row.withdrawn_at or now())
    return [row.hub_name for row in rows]


def _found(connection: Connection, condition) -> list[Invitation]:
    used = select(func.count()).where(memberships.c.invitation_id == invitations.c.id).scalar_subquery()
    query = select(invitations, used.label("used")).where(condition).order_by(invitations.c.id.desc())
    return [_invitation(row) for row in connection.execute(query).mappings()]


def _invitation(row) -> Invitation:
    values = {name: row[name] for name in Invitation.__slots__}
    words = {name: row[name] or "" for name in ("hub_name", "organisation")}
    return Invitation(**{**values, **words, "role": Role(row["role"])})


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
