"""What people may do: one row for each person whom sign-in knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.errors import AccessError, InvitationError, RecordError
from pipeline.records import Role
from pipeline.store.engine import Database
from pipeline.store.invitations import forget_name, take_place, usable
from pipeline.store.local_schema import last_seen, passwords
from pipeline.store.rows import change, change_all, now, put
from pipeline.store.schema import api_tokens, members, memberships, sign_ins

TAKEN = "This name is taken: choose another one."
LAST_OWNER = "There has to be an owner: make somebody else one first."


@dataclass(frozen=True, slots=True)
class Membership:
    """One person's place in the workspace. ``removed_at`` is None while they are a member."""

    id: str
    member_id: str
    role: Role
    login: str | None
    invitation_id: str | None
    created_at: float
    changed_at: float
    removed_at: float | None

    @property
    def active(self) -> bool:
        """Whether this person is a member."""
        return self.removed_at is None


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who comes in. ``member_id`` may be that of somebody who was here as a guest, whose answers they keep.

    ``token_hash`` is that of the browser that their name belongs to, where no password and no account of the Hub is theirs.
    ``returns`` says that whoever had this membership before was surely they, as the Hub says and a name alone does not.
    """

    membership_id: str
    member_id: str
    name: str
    role: Role
    login: str
    invitation_id: str | None = None
    token_hash: str | None = None
    password_hash: str | None = None
    returns: bool = False


class MembershipStore:
    """Rows of ``memberships``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, membership_id: str) -> Membership | None:
        """Return a membership by its id, also that of somebody who was removed."""
        return self._one(memberships.c.id == membership_id)

    def of(self, member_id: str) -> Membership | None:
        """Return a person's membership, also of somebody who was removed, or None."""
        return self._one(memberships.c.member_id == member_id)

    def all(self) -> list[Membership]:
        """Return every membership, in the order in which people came."""
        query = select(memberships).order_by(memberships.c.created_at, memberships.c.id)
        with self._db.read() as connection:
            return [_membership(row) for row in connection.execute(query).mappings()]

    def owners(self) -> list[str]:
        """Return the ids of the owners."""
        with self._db.read() as connection:
            return _owners(connection)

    def join(self, newcomer: Newcomer) -> None:
        """Let somebody in, in one transaction with the check of the invitation that they come by.

        Raises:
            InvitationError: the invitation is good for nobody any more.
            RecordError: the name is taken.
        """
        try:
            with self._db.write() as connection:
                by = usable(connection, newcomer.invitation_id) if newcomer.invitation_id is not None else None
                if by is None and newcomer.invitation_id is not None:
                    raise InvitationError(
                        "This invitation is used up or was withdrawn. Ask whoever sent it for a new one."
                    )
                counted = _join(connection, newcomer)
                if by is not None:
                    take_place(connection, by, counted)
        except IntegrityError as error:
            # Another replica let in somebody of that name in the same moment.
            raise RecordError(TAKEN) from error

    def set_role(self, member_id: str, role: Role, by: str) -> Role:
        """Give a member another role and return the one before.

        Raises:
            AccessError: it would leave the workspace without an owner.
            RecordError: this is no member.
        """
        with self._db.write() as connection:
            row = _active(connection, member_id)
            if row.role == Role.OWNER and role is not Role.OWNER and len(_owners(connection)) == 1:
                raise AccessError(LAST_OWNER)
            change(connection, memberships, row.id, role=role, changed_by=by, changed_at=now())
        return Role(row.role)

    def remove(self, member_id: str, pseudonym: str, by: str) -> list[str]:
        """Let somebody be no member any more, in one transaction: their names, their ways in and their password go.

        Return by which names on the Hub they were invited.

        Raises:
            AccessError: it would leave the workspace without an owner.
            RecordError: this is no member.
        """
        at = now()
        with self._db.write() as connection:
            row = _active(connection, member_id)
            if row.role == Role.OWNER and len(_owners(connection)) == 1:
                raise AccessError(LAST_OWNER)
            change(connection, memberships, row.id, login=None, removed_at=at, changed_by=by, changed_at=at)
            change(connection, members, member_id, name=pseudonym, token_hash=None)
            open_ = (sign_ins.c.member_id == member_id) & sign_ins.c.ended_at.is_(None)
            change_all(connection, sign_ins, open_, ended_at=at)
            theirs = (api_tokens.c.member_id == member_id) & api_tokens.c.ended_at.is_(None)
            change_all(connection, api_tokens, theirs, ended_at=at)
            connection.execute(passwords.delete().where(passwords.c.member_id == member_id))
            way, _, login = (row.login or "").partition(":")
            return forget_name(connection, row.invitation_id, login if way == "hub" else "", pseudonym)

    def seen(self, member_id: str) -> None:
        """Note that somebody is here."""
        with self._db.write() as connection:
            this = last_seen.c.member_id == member_id
            if connection.execute(update(last_seen).where(this).values(at=now())).rowcount == 0:
                connection.execute(last_seen.insert().values(member_id=member_id, at=now()))

    def last_seen(self) -> dict[str, float]:
        """Return when people were last here, by member."""
        with self._db.read() as connection:
            return {row.member_id: row.at for row in connection.execute(select(last_seen))}

    def _one(self, condition) -> Membership | None:
        with self._db.read() as connection:
            row = connection.execute(select(memberships).where(condition)).mappings().first()
        return _membership(row) if row else None


def _membership(row) -> Membership:
    return Membership(**{**{name: row[name] for name in Membership.__slots__}, "role": Role(row["role"])})


def _active(connection: Connection, member_id: str):
    condition = (memberships.c.member_id == member_id) & memberships.c.removed_at.is_(None)
    row = connection.execute(select(memberships).where(condition).with_for_update()).first()
    if row is None:
        raise RecordError("This person is no member any more. Reload the page.")
    return row


def _owners(connection: Connection) -> Sequence[str]:
    condition = (memberships.c.role == Role.OWNER) & memberships.c.removed_at.is_(None)
    return connection.scalars(select(memberships.c.member_id).where(condition)).all()


def _join(connection: Connection, newcomer: Newcomer) -> bool:
    """Let somebody in; say whether the invitation that they come by is the one that their membership tells of."""
    at = now()
    there = connection.execute(select(memberships).where(memberships.c.id == newcomer.membership_id)).first()
    # Also when its person was removed: a stranger of the same name would get their answers.
    if there is not None and (there.removed_at is None or not newcomer.returns):
        raise RecordError(TAKEN)
    member_id = there.member_id if there else newcomer.member_id
    known = connection.scalar(select(func.count()).where(members.c.id == member_id))
    token = {} if newcomer.token_hash is None else {"token_hash": newcomer.token_hash}
    if known:
        change(connection, members, member_id, name=newcomer.name, **token)
    else:
        row = {"id": member_id, "name": newcomer.name, "token_hash": newcomer.token_hash, "created_at": at}
        put(connection, members, [row])
    # The first invitation stays: the place that was taken on it is not free again when its person comes by another one.
    first = there.invitation_id if there else None
    values = {"role": newcomer.role, "login": newcomer.login, "changed_at": at}
    values["invitation_id"] = newcomer.invitation_id if first is None else first
    if there:
        change(connection, memberships, there.id, **values, removed_at=None, changed_by=None)
    else:
        row = {"id": newcomer.membership_id, "member_id": member_id, "created_at": at}
        put(connection, memberships, [{**row, **values, "removed_at": None, "changed_by": None}])
    if newcomer.password_hash is not None:
        value = {"member_id": member_id, "hash": newcomer.password_hash, "must_change": False, "changed_at": at}
        connection.execute(passwords.delete().where(passwords.c.member_id == member_id))
        connection.execute(passwords.insert().values(**value))
    return first is None
