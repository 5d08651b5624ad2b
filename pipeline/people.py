"""Who may do what in the workspace: members with their roles, and invitations."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from pipeline.activity import ActivityLog
from pipeline.auth import names, passwords
from pipeline.errors import AccessError, RecordError, StoreError
from pipeline.naming import pseudonym
from pipeline.records import Role
from pipeline.settings import Entry, SignIn
from pipeline.store import Store
from pipeline.store.members import NOBODY

log = logging.getLogger(__name__)
# A person's last visit is written down at most so often.
SEEN_SECONDS = 300.0
MOST_DAYS = 365


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the workspace. ``login`` is under which name they sign in, without saying where; "" where there is none."""

    member_id: str
    name: str
    role: Role
    login: str
    created_at: float
    last_seen: float | None
    removed_at: float | None


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation that was just made. ``code`` goes into its link and cannot be had again; "" where it needs none."""

    id: str
    code: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as it is told. ``by`` is the name of who made it; ``good`` says whether somebody may still come by it."""

    id: str
    role: Role
    hub_name: str
    organisation: str
    most: int | None
    used: int
    by: str
    created_at: float
    expires_at: float | None
    withdrawn_at: float | None
    good: bool


class PeopleDesk:
    """Members, roles and invitations. Whoever acts needs the role for it, wherever the call comes from."""

    def __init__(self, store: Store, entry: Entry, activity: ActivityLog) -> None:
        self._store = store
        self._entry = entry
        self._activity = activity
        self._seen: dict[str, float] = {}

    @property
    def mode(self) -> SignIn:
        """How people get in."""
        return self._entry.mode

    @property
    def open(self) -> bool:
        """Whether nobody signs in, and everybody is an owner."""
        return self._entry.mode is SignIn.OPEN

    def role_of(self, member_id: str) -> Role | None:
        """Return what a person may do, or None where they are no member."""
        if self.open:
            return Role.OWNER
        found = self._store.memberships.of(member_id)
        return found.role if found and found.active else None

    def members(self) -> list[Member]:
        """Return everybody, also who was removed, in the order in which they came."""
        known = self._store.memberships.all()
        if self.open:
            return self._visitors({found.member_id: found.login for found in known})
        called, seen = self._store.members.names(), self._store.memberships.last_seen()
        return [
            Member(
                found.member_id,
                called.get(found.member_id, ""),
                found.role,
                (found.login or "").partition(":")[2],
                found.created_at,
                seen.get(found.member_id),
                found.removed_at,
            )
            for found in known
        ]

    def owners(self) -> list[str]:
        """Return the names of the owners."""
        called = self._store.members.names()
        return [called[member_id] for member_id in self._store.memberships.owners() if member_id in called]

    def seen(self, member_id: str) -> None:
        """Note that somebody is here."""
        now = time.monotonic()
        if now - self._seen.get(member_id, -SEEN_SECONDS) < SEEN_SECONDS:
            return
        self._seen[member_id] = now
        try:
            self._store.memberships.seen(member_id)
        except StoreError as error:
            # Nothing that anybody did: who only reads may go on on a full disk.
            log.warning("When somebody was last here could not be kept: %s", error)

    def needs(self, actor: str, role: Role) -> None:
        """Check that somebody may do what a role may do.

        Raises:
            AccessError: they may not; the message says who may, and whom to ask.
        """
        found = self.role_of(actor)
        if found is None or not found.covers(role):
            raise AccessError(self.refusal(role))

    def refusal(self, role: Role) -> str:
        """Return the sentence that refuses what needs a role."""
        who = {Role.OWNER: "an owner", Role.ADMIN: "an admin", Role.ANNOTATOR: "an annotator", Role.VIEWER: "a member"}
        asked = self.owners()[:3]
        return f"Only {who[role]} can do this. Ask {' or '.join(asked) if asked else 'an owner of this workspace'}."

    def set_role(self, actor: str, member_id: str, role: Role) -> None:
        """Give a member another role.

        Raises:
            AccessError: the actor is no owner, or nobody would be one any more.
            RecordError: there are no roles in this mode, or this is no member.
        """
        self._changes(actor, Role.OWNER)
        before = self._store.memberships.set_role(member_id, role, actor)
        if before is not role:
            self._note(actor, "role.changed", member_id, {"before": before, "after": role})

    def remove(self, actor: str, member_id: str) -> None:
        """Let somebody be no member any more: their answers stay under a pseudonym, their ways in end at once.

        Raises:
            AccessError: the actor is no owner, or nobody would be one any more.
            RecordError: there are no members in this mode, or this is none.
        """
        self._changes(actor, Role.OWNER)
        name, found = self._store.members.name(member_id), self._store.memberships.of(member_id)
        called = pseudonym(member_id, self._store.values.pseudonym_salt())
        invited = self._store.memberships.remove(member_id, called, actor)
        # Who was invited by their name on the Hub stands under that in the log.
        self._activity.forget(member_id, name, (found.login or "").partition(":")[2] if found else "", *invited)
        self._activity.note_about(actor, "person.removed", member_id)

    def end_sign_ins(self, actor: str, member_id: str) -> None:
        """End every sign-in of a member, who may sign in again.

        Raises:
            AccessError: the actor is no owner.
        """
        self._changes(actor, Role.OWNER)
        self._store.sign_ins.end_all(member_id)
        self._note(actor, "sign_ins.ended", member_id)

    def reset_password(self, actor: str, member_id: str) -> str:
        """Give a local account a password for one sign-in, return it, and end the sign-ins.

        Raises:
            AccessError: the actor is no owner.
            RecordError: there are no passwords in this mode, or this is no member.
        """
        self._changes(actor, Role.OWNER)
        if self.mode is not SignIn.ACCOUNTS:
            raise RecordError("Nobody has a password here: people sign in in another way.")
        if self.role_of(member_id) is None:
            raise RecordError("This person is no member any more. Reload the page.")
        password = passwords.one_time()
        self._store.passwords.set(member_id, passwords.hash_of(password), must_change=True)
        self._store.sign_ins.end_all(member_id)
        self._note(actor, "password.reset", member_id)
        return password

    def invite(
        self,
        actor: str,
        role: Role,
        *,
        hub_name: str = "",
        organisation: str = "",
        days: int = 7,
        most: int | None = None,
    ) -> Invited:
        """Invite whoever has the link, one person of the Hub, or an organisation of the Hub.

        Raises:
            AccessError: the actor may not invite to this role: admins invite annotators and viewers, owners everybody.
            RecordError: there are no invitations of this kind, or a number is out of bounds.
        """
        self._changes(actor, Role.ADMIN if Role.ANNOTATOR.covers(role) else Role.OWNER)
        hub_name, organisation = hub_name.strip().lstrip("@"), organisation.strip()
        if (hub_name or organisation) and self.mode is not SignIn.HUGGINGFACE:
            raise RecordError("People sign in here without the Hub: invite them by a link.")
        if hub_name and organisation:
            raise RecordError("An invitation is for one person or one organisation, not for both.")
        if not 1 <= days <= MOST_DAYS or (most is not None and not 1 <= most <= 10_000):
            raise RecordError(f"An invitation is good for 1 to {MOST_DAYS} days and 1 to 10,000 people.")
        by_link = not hub_name and not organisation
        code = (names.typed_code() if self.mode is SignIn.NAME else names.link_code()) if by_link else ""
        invitation_id = self._store.invitations.add(
            role, actor, code=code, hub_name=hub_name, organisation=organisation, days=days, most=most
        )
        whom = hub_name or organisation or "whoever has the link"
        self._activity.note(actor, "invitation.made", whom, {"role": role})
        return Invited(invitation_id, code)

    def invitations(self) -> list[Invitation]:
        """Return the invitations, newest first, also those that are over."""
        called, now = self._store.members.names(), time.time()
        return [
            Invitation(
                found.id, found.role, found.hub_name, found.organisation, found.most, found.used,
                called.get(found.member_id, ""), found.created_at, found.expires_at,
                # The last place ends an invitation, which nobody has withdrawn.
                None if found.most is not None and found.used >= found.most else found.withdrawn_at,
                found.good(now),
            )
            for found in self._store.invitations.all()
        ]  # fmt: skip

    def withdraw(self, actor: str, invitation_id: str) -> None:
        """Let nobody come by an invitation any more.

        Raises:
            AccessError: the actor may not invite to its role.
            RecordError: there is no such invitation.
        """
        found = self._store.invitations.get(invitation_id)
        if found is None:
            raise RecordError("This invitation is not there any more. Reload the page.")
        self._changes(actor, Role.ADMIN if Role.ANNOTATOR.covers(found.role) else Role.OWNER)
        self._store.invitations.withdraw(invitation_id)
        whom = found.hub_name or found.organisation or "whoever has the link"
        self._activity.note(actor, "invitation.withdrawn", whom)

    def check_free(self, name: str, member_id: str | None = None) -> None:
        """Check that no other member is called so: two people of one name could be taken for each other.

        Raises:
            RecordError: somebody is.
        """
        if self.open:
            return
        called = self._store.members.names()
        taken = {names.folded(called.get(found.member_id, "")) for found in self._others(member_id)}
        if names.folded(name) in taken or names.folded(name) in NOBODY:
            raise RecordError(f"{name} is taken: choose another name.")

    def _others(self, member_id: str | None):
        return [found for found in self._store.memberships.all() if found.active and found.member_id != member_id]

    def _changes(self, actor: str, role: Role) -> None:
        if self.open:
            raise RecordError(
                "Nobody signs in here, so there are no members. Start with PAIRLOOP_SIGN_IN to have some."
            )
        self.needs(actor, role)

    def _note(self, actor: str, action: str, member_id: str, detail: dict[str, object] | None = None) -> None:
        self._activity.note_about(actor, action, member_id, detail)

    def _visitors(self, logins: dict[str, str | None]) -> list[Member]:
        seen = self._store.memberships.last_seen()
        return [
            Member(
                found.id, found.name, Role.OWNER, (logins.get(found.id) or "").partition(":")[2], found.created_at,
                seen.get(found.id), None,
            )
            for found in self._store.members.visitors()
        ]  # fmt: skip
