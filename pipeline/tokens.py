"""Personal tokens: with one a program is its owner, with their role, over the API."""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass

from pipeline.activity import ActivityLog
from pipeline.cleaning import clean
from pipeline.errors import AccessError, NotFoundError, RecordError, SignedOutError, StoreError
from pipeline.people import PeopleDesk
from pipeline.records import Role
from pipeline.store import Store
from pipeline.store.tokens import USE_SECONDS, ApiToken

log = logging.getLogger(__name__)
MAX_NAME = 80
# Of one person, at the same time.
MOST = 20
MOST_DAYS = 365
DAY = 86400.0
_VALUE = re.compile(r"pl_[A-Za-z0-9_-]{43}")
NO_TOKEN = "This needs a token: send the header Authorization: Bearer pl_…, and make one in Settings, API tokens."
BAD_TOKEN = (
    "This token opens nothing: it is wrong, has expired, or was revoked. Make a new one in Settings, API tokens."
)


@dataclass(frozen=True, slots=True)
class Made:
    """A token that was just made. ``value`` is shown this once."""

    id: str
    value: str


class TokenDesk:
    """Makes, lists and revokes tokens, and says whose a token is."""

    def __init__(self, store: Store, people: PeopleDesk, activity: ActivityLog) -> None:
        self._store = store
        self._people = people
        self._activity = activity
        self._making = threading.Lock()
        # When the use of a token was last written down, by its id.
        self._noted: dict[str, float] = {}

    def make(self, member_id: str, name: str, days: int | None = None) -> Made:
        """Make a token for a person, good for so many days or until it is revoked.

        Raises:
            AccessError: they are no member.
            RecordError: the name or the days cannot be used, or they have too many tokens.
        """
        self._people.needs(member_id, Role.VIEWER)
        name = " ".join(clean(name).split())
        if not 1 <= len(name) <= MAX_NAME:
            raise RecordError(f"Name the token after what it is for, in 1 to {MAX_NAME} characters.")
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise RecordError(f"A token is good for 1 to {MOST_DAYS} days, or without an end.")
        with self._making:
            if len(self.of(member_id)) >= MOST:
                raise RecordError(f"You have {MOST} tokens: revoke one first.")
            expires_at = None if days is None else time.time() + days * DAY
            made = Made(*self._store.tokens.add(member_id, name, expires_at))
        self._activity.note(member_id, "token.made", name)
        return made

    def of(self, member_id: str) -> list[ApiToken]:
        """Return a person's tokens that open something, newest first."""
        now = time.time()
        return [token for token in self._store.tokens.all(member_id) if token.good(now)]

    def of_others(self, actor: str) -> list[tuple[ApiToken, str]]:
        """Return the tokens of everybody else with their owners' names, for an owner of the workspace; else none.

        Where nobody signs in everybody is an owner, and a stranger may not look into what others made.
        """
        if self._people.open or self._people.role_of(actor) is not Role.OWNER:
            return []
        names, now = self._store.members.names(), time.time()
        return [
            (token, names.get(token.member_id, ""))
            for token in self._store.tokens.all()
            if token.good(now) and token.member_id != actor and self._people.role_of(token.member_id) is not None
        ]

    def revoke(self, actor: str, token_id: str) -> None:
        """Let a token open nothing from now on: one of the actor's own, or anybody's for an owner of the workspace.

        Raises:
            AccessError: it is somebody else's.
            NotFoundError: there is no such token that opens something.
        """
        self._people.needs(actor, Role.VIEWER)
        own = {token.id: token.name for token in self.of(actor)}
        others = {token.id: f"{token.name} of {name}" for token, name in self.of_others(actor)}
        if token_id not in own | others:
            now = time.time()
            if any(token.id == token_id and token.good(now) for token in self._store.tokens.all()):
                raise AccessError("This token is somebody else's. An owner of the workspace can revoke it.")
            raise NotFoundError("This token is revoked already, or has expired.")
        self._store.tokens.end(token_id)
        self._activity.note(actor, "token.revoked", (own | others)[token_id])

    def person(self, header: str | None) -> str:
        """Return the id of the person behind the header ``Authorization``.

        Raises:
            SignedOutError: it is none, or its token opens nothing, or its person is no member any more.
        """
        kind, _, value = (header or "").strip().partition(" ")
        if kind.lower() != "bearer" or not value.strip():
            raise SignedOutError(NO_TOKEN)
        found = self._store.tokens.find(value.strip()) if _VALUE.fullmatch(value.strip()) else None
        if found is None or self._people.role_of(found[1]) is None:
            raise SignedOutError(BAD_TOKEN)
        self._note_use(found[0])
        return found[1]

    def _note_use(self, token_id: str) -> None:
        now = time.monotonic()
        if now - self._noted.get(token_id, -USE_SECONDS) < USE_SECONDS:
            return
        self._noted[token_id] = now
        try:
            self._store.tokens.used(token_id)
        except StoreError as error:
            # Nothing that anybody did: who only reads may go on on a full disk.
            log.warning("When a token was last used could not be kept: %s", error)
