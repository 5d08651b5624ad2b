"""How people get in: by a link, with a password, by a name and a code, or with their account of the Hub."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass

from pipeline.activity import ActivityLog
from pipeline.auth import names, passwords
from pipeline.auth.hub import HubPerson, HubSignIn
from pipeline.auth.throttle import Throttle, nobodys
from pipeline.errors import AccessError, InvitationError, RecordError, StoreError
from pipeline.people import PeopleDesk
from pipeline.records import Role, id_of
from pipeline.settings import Entry, SignIn
from pipeline.store import Store
from pipeline.store.invitations import Invitation
from pipeline.store.members import AUTOMATIC
from pipeline.store.memberships import Newcomer
from pipeline.store.sign_ins import SignedIn

log = logging.getLogger(__name__)
# A link that the terminal shows, and a password that an owner set, are used soon or not at all.
OWNER_LINK_DAYS = 1
# Who was found is looked up again after so long, which is when it is noted that they are still here; so many are remembered.
KNOWN_SECONDS = 60.0
MOST_KNOWN = 10_000
ONE_TIME_DAYS = 7
WRONG = "The name or the password is not right."
NO_INVITATION = (
    "This link or code is not right, or is used up, withdrawn or expired. Ask whoever gave it to you for a new one."
)
# Only who has the code is told which of these it is. Whoever has come in by it before has no need of it.
_USED_UP = (
    "This invitation is used up: as many people came by it as it was for. If you are one of them, {}; else ask whoever gave it "
    "to you for a new one."
)
OVER = {
    "used up": _USED_UP.format("sign in"),
    "withdrawn": "This invitation was withdrawn, or is used up. Ask whoever gave it to you for a new one.",
    "expired": "This invitation has expired. Ask whoever gave it to you for a new one.",
}
# Where a name is all that people sign in with, only their browser shows that it is theirs.
USED_UP_BY_NAME = _USED_UP.format("use the browser in which you came")


class MustChangeError(AccessError):
    """The password is right, and good only for choosing another one."""


@dataclass(frozen=True, slots=True)
class Guest:
    """The browser that somebody comes with: its address, and the cookie that it had before, "" where it had none."""

    address: str = ""
    cookie: str = ""


class NotMemberError(AccessError):
    """Somebody is known to the Hub and no member here."""


class Entrance:
    """Lets people in and out."""

    def __init__(self, store: Store, entry: Entry, people: PeopleDesk, activity: ActivityLog) -> None:
        self._store = store
        self._entry = entry
        self._people = people
        self._activity = activity
        self._throttle = Throttle(store.passwords)
        self.hub = HubSignIn(entry)
        # By cookie: who was found, when, and at which version of the rows that say so.
        self._found: dict[str, tuple[SignedIn, float, tuple[int, ...]]] = {}

    @property
    def mode(self) -> SignIn:
        """How people get in."""
        return self._entry.mode

    def signed_in(self, token: str) -> SignedIn | None:
        """Return who is signed in with a cookie, or None; a sign-in that is used goes on."""
        # First: what changes after it makes what is found now known no more.
        version = self._store.sign_ins.version()
        found = self._store.sign_ins.find(token) if token else None
        if found is not None:
            try:
                self._store.sign_ins.extend(found)
            except StoreError as error:
                # It is good as it is: a full disk shuts out nobody who only reads.
                log.warning("A sign-in could not be made to last longer: %s", error)
            self._people.seen(found.member_id)
            if version is not None:
                if len(self._found) >= MOST_KNOWN:
                    self._found.clear()
                self._found[token] = found, time.monotonic(), version
        return found

    def known(self, token: str) -> SignedIn | None:
        """Return who is signed in with a cookie, where that was looked up lately and is true still; else None.

        It asks no store, so that what is asked most often may be answered at once.
        """
        found, at, version = self._found.get(token) or (None, 0.0, None)
        if found is None or time.monotonic() - at > KNOWN_SECONDS or time.time() >= found.ends_at:
            return None
        return found if version == self._store.sign_ins.version() else None

    def sign_out(self, token: str) -> None:
        """End the sign-in of a cookie."""
        self._store.sign_ins.end(token)

    def owner_code(self) -> str:
        """Return the code of a link with which an owner gets in, where one is needed or asked for; else ""."""
        if self._people.open or not (self._entry.owner_link or self._needs_owner()):
            return ""
        code = names.link_code()
        self._store.invitations.add(Role.OWNER, AUTOMATIC, code=code, days=OWNER_LINK_DAYS, most=1)
        return code

    def invitation(self, code: str, guest: Guest) -> Invitation:
        """Return the invitation that somebody has the code of.

        Raises:
            InvitationError: it is good for nobody.
            AccessError: too many codes were wrong.
        """
        self._throttle.try_code(guest.address)
        found = self._store.invitations.by_code(names.code_as_made(code)) if code else None
        if found is not None:
            self._throttle.code_succeeded(guest.address)
        if found is None:
            raise InvitationError(NO_INVITATION)
        if over := found.over(time.time()):
            by_name = over == "used up" and self.mode is SignIn.NAME
            raise InvitationError(USED_UP_BY_NAME if by_name else OVER[over])
        return found

    def join_with_password(self, code: str, name: str, password: str, guest: Guest) -> str:
        """Make a local account by an invitation, sign in, and return the cookie.

        Raises:
            AccessError: the invitation is good for nobody.
            RecordError: the name is taken, or the name or the password cannot be used.
        """
        invitation, name = self.invitation(code, guest), names.person_name(name)
        passwords.check_new(password, name)
        key = id_of("membership", "account", names.folded(name))
        hash_ = passwords.hash_of(password)
        if (again := self._owner_without_password(key, invitation)) is not None:
            self._store.passwords.set(again, hash_, must_change=False)
            self._store.invitations.withdraw(invitation.id)
            return self._store.sign_ins.begin(again, "account")
        new = id_of("member", "account", names.folded(name))
        who = Newcomer(
            key, self._guest(guest, new), name, invitation.role, f"account:{name}", invitation.id, None, hash_
        )
        return self._let_in(who, "account")

    def sign_in(self, name: str, password: str, guest: Guest) -> str:
        """Sign in to a local account and return the cookie.

        Raises:
            MustChangeError: an owner has set the password: another one is chosen first.
            AccessError: it is not right, or too many were not.
        """
        member_id = self._check_password(name, password, guest)
        found = self._store.passwords.get(member_id)
        if found is not None and found.must_change:
            raise MustChangeError("An owner has set your password. Choose one of your own now.")
        if found is not None and passwords.is_old(found.hash):
            self._store.passwords.set(member_id, passwords.hash_of(password), must_change=False)
        return self._store.sign_ins.begin(member_id, "account")

    def change_password(self, name: str, password: str, new: str, guest: Guest) -> str:
        """Choose another password; every sign-in ends, and the cookie of a new one is returned.

        Raises:
            AccessError: the present password is not right, or too many were not.
            RecordError: the new one cannot be used.
        """
        if new == password:
            raise RecordError("The new password is the present one: choose another.")
        passwords.check_new(new, name)
        member_id = self._check_password(name, password, guest)
        self._store.passwords.set(member_id, passwords.hash_of(new), must_change=False)
        self._store.sign_ins.end_all(member_id)
        return self._store.sign_ins.begin(member_id, "account")

    def by_name(self, name: str, code: str, guest: Guest, fresh: str) -> str:
        """Let somebody in by a name: with a code the first time, from then on from the same browser. Return the cookie.

        ``fresh`` is the cookie by which the browser of somebody new is known from now on: none that it had before, which
        somebody else may know.

        Raises:
            AccessError: the code is good for nobody.
            RecordError: the name is another browser's, or cannot be used.
        """
        name = names.person_name(name)
        known = self._store.memberships.get(id_of("membership", "name", names.folded(name)))
        mine = self._browsers_member(guest.cookie)
        # By the name that they have now: they may have changed the one that they came with.
        if mine is not None and names.folded(self._store.members.name(mine)) == names.folded(name):
            return self._store.sign_ins.begin(mine, "name")
        invitation = self.invitation(code, guest)
        if known is not None:
            raise RecordError(
                f"{name} is taken: choose another name, or use the browser in which you were {name} before."
            )
        key, new = (id_of(kind, "name", names.folded(name)) for kind in ("membership", "member"))
        token = hashlib.sha256(fresh.encode()).hexdigest()
        who = Newcomer(key, self._guest(guest, new), name, invitation.role, f"name:{name}", invitation.id, token)
        return self._let_in(who, "name")

    def is_somebodys(self, cookie: str) -> str:
        """Return the name of the member whose browser has this cookie, in the mode of names; "" where it is nobody's."""
        member_id = self._browsers_member(cookie) if self.mode is SignIn.NAME else None
        return self._store.members.name(member_id) if member_id else ""

    def by_hub(self, person: HubPerson, code: str, guest: Guest) -> str:
        """Let somebody in who has signed in on the Hub, and return the cookie.

        Raises:
            NotMemberError: they are no member, and nobody has invited them.
        """
        key = id_of("membership", "hub", person.id)
        known = self._store.memberships.get(key)
        if known is not None and known.active:
            return self._store.sign_ins.begin(known.member_id, "hub")
        since = known.removed_at if known else None
        invitation_id, role = self._hub_role(person, code, guest, since)
        new = known.member_id if known else self._guest(guest, id_of("member", "hub", person.id))
        name, login = self._free_name(person), f"hub:{person.login}"
        return self._let_in(Newcomer(key, new, name, role, login, invitation_id, returns=known is not None), "hub")

    def whom_to_ask(self) -> str:
        """Return who lets people in, in words."""
        if self._entry.space_author:
            return f"{self._entry.space_author} on the Hub"
        return " or ".join(self._people.owners()[:3]) or "whoever gave you this address"

    def _hub_role(
        self, person: HubPerson, code: str, guest: Guest, removed_at: float | None
    ) -> tuple[str | None, Role]:
        """Return by which invitation somebody may come and as what; none where the Space is theirs."""
        if removed_at is None and self._owns_space(person):
            return None, Role.OWNER
        if code:
            by_link = self.invitation(code, guest)
            if removed_at is None or by_link.created_at > removed_at:
                return by_link.id, by_link.role
        found = self._store.invitations.for_hub(person.login, person.organisations)
        # Whoever was removed comes back only when somebody invites them anew, and not by the link that they came by.
        found = [one for one in found if removed_at is None or (one.hub_name and one.created_at > removed_at)]
        if not found:
            raise NotMemberError(f"{person.login} is no member of this workspace. Ask {self.whom_to_ask()}.")
        best = max(found, key=lambda one: list(Role).index(one.role))
        return best.id, best.role

    def _owns_space(self, person: HubPerson) -> bool:
        author, creator = self._entry.space_author.lower(), self._entry.space_creator
        if not self._entry.space_id or not (author or creator):
            return False
        return person.login.lower() == author or person.id == creator or author in person.admin_of

    def _free_name(self, person: HubPerson) -> str:
        """Return the first of a person's names that nobody here has."""
        taken = {names.folded(found.name) for found in self._people.members() if found.removed_at is None}
        for name in (person.name, person.login):
            called = names.person_name(name[: names.MAX_NAME])
            if names.folded(called) not in taken:
                return called
        return f"{person.login[:30]} {person.id[-6:]}"

    def _let_in(self, newcomer: Newcomer, kind: str) -> str:
        if kind != "hub":
            self._people.check_free(newcomer.name)
        self._store.memberships.join(newcomer)
        if newcomer.role is Role.OWNER:
            self._store.invitations.withdraw_first()
        # Without the name, which stays here: after a removal it would tell whose pseudonym is whose.
        self._activity.note(newcomer.member_id, "person.joined", "", {"role": newcomer.role})
        return self._store.sign_ins.begin(newcomer.member_id, kind)

    def _browsers_member(self, cookie: str) -> str | None:
        member_id = self._store.members.known(cookie) if cookie else None
        found = self._store.memberships.of(member_id) if member_id else None
        return member_id if found is not None and found.active else None

    def _guest(self, guest: Guest, new: str) -> str:
        """Return who a browser was before there were members, where nobody is a member as that yet, else ``new``."""
        member_id = self._store.members.known(guest.cookie) if guest.cookie else None
        return member_id if member_id and self._store.memberships.of(member_id) is None else new

    def _check_password(self, name: str, password: str, guest: Guest) -> str:
        """Return whose name and password these are."""
        key = id_of("membership", "account", names.folded(" ".join(name.split())))
        known = self._store.memberships.get(key)
        member_id = known.member_id if known is not None and known.active else None
        account = key if member_id is not None else nobodys(key)
        self._throttle.try_account(account)
        found = self._store.passwords.get(member_id) if member_id else None
        # It takes as long for a name that nobody has.
        right = passwords.is_right(password, found.hash if found else None)
        late = found is not None and found.must_change and found.changed_at < time.time() - ONE_TIME_DAYS * 86400
        if not right or late or member_id is None:
            self._throttle.account_failed(guest.address)
            raise AccessError(WRONG)
        self._throttle.account_succeeded(account)
        return member_id

    def _needs_owner(self) -> bool:
        owners = set(self._store.memberships.owners())
        if self.mode is SignIn.ACCOUNTS:
            # Passwords stay on the machine that they were chosen on: after its disk was lost, nobody has one.
            return not owners & self._store.passwords.known()
        return not owners and not (
            self.mode is SignIn.HUGGINGFACE and self._entry.space_id and self._entry.space_author
        )

    def _owner_without_password(self, membership_id: str, invitation: Invitation) -> str | None:
        """Return the owner who comes back by the link of the terminal after the passwords were lost, or None."""
        known = self._store.memberships.get(membership_id)
        if invitation.member_id != AUTOMATIC or known is None or not known.active or known.role is not Role.OWNER:
            return None
        return known.member_id if self._store.passwords.get(known.member_id) is None else None
