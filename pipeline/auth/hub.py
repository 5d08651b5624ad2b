"""Sign-in with an account of the Hub: OpenID Connect, by authorization code with PKCE.

What is under way is kept in the browser that began it, sealed with the app's client secret, which all replicas know: any of them
can go on with it, and nothing is kept of sign-ins that are never finished. Tokens of the Hub are used at once and kept nowhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from pipeline.cleaning import clean
from pipeline.errors import AccessError
from pipeline.settings import Entry, is_loopback

log = logging.getLogger(__name__)
Told = TypeVar("Told")
FLIGHT_SECONDS = 600
# Who somebody is, and in which organisations. An app may have more scopes for other things: they are not asked for here.
SCOPES = ("openid", "profile", "read-memberships")
# What the Hub says of itself is asked for so often; its keys also when a token names one that is not known, at most so often.
KEPT_SECONDS, KEYS_SECONDS = 3600.0, 60.0
_TIMEOUT = 10.0
_MAX_ANSWER = 1_000_000
_LEEWAY = 30
_OVER = "This sign-in took too long, or was begun in another window. Begin again."
_REFUSED = "The Hub's answer could not be trusted, so nobody was signed in. Begin again; if it stays so, tell an owner."
_SILENT = "The Hub cannot be reached for sign-in at the moment. Try again in a minute."


@dataclass(frozen=True, slots=True)
class HubPerson:
    """Who signed in on the Hub. ``id`` stays the same whatever they are called; ``organisations`` are lower-case names."""

    id: str
    login: str
    name: str
    organisations: frozenset[str] = frozenset()
    admin_of: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Flight:
    """A sign-in that is under way: what the Hub's answer must fit, where to go afterwards, and by which invitation."""

    state: str
    nonce: str
    verifier: str
    redirect: str
    begun: int
    next: str = "/"
    code: str = ""


class HubSignIn:
    """Sends people to the Hub, and says who has come back."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        # Whoever is not signed in may ask for a sign-in as often as they like: that must not become questions to the Hub.
        self._places = _Kept(self._endpoints)
        self._keys = _Kept(self._signing_keys)

    def begin(self, redirect: str, next_: str = "/", code: str = "") -> tuple[str, str]:
        """Return the Hub's address to go to, and what the browser keeps meanwhile.

        Raises:
            AccessError: the Hub cannot be reached.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        if self._entry.workspace:
            # The Hub leads everybody to one address, where it is seen by this whom they want to go to.
            state = f"{self._entry.workspace}.{state}"
        flight = Flight(state, nonce, verifier, redirect, int(time.time()), next_, code)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(flight.verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self._entry.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(scope for scope in self._entry.scopes.split() if scope in SCOPES),
            "state": flight.state,
            "nonce": flight.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._places.get()['authorization_endpoint']}?{urlencode(asked)}", self._seal(flight)

    def flight(self, kept: str, state: str) -> Flight:
        """Return the sign-in that an answer of the Hub belongs to.

        Raises:
            AccessError: this browser has begun no such sign-in, or too long ago.
        """
        flight = self._unseal(kept)
        # Compared first: an answer that was made for another browser's sign-in must not sign in this one.
        if flight is None or not hmac.compare_digest(flight.state.encode(), state.encode("utf-8", "replace")):
            raise AccessError(_OVER)
        if not 0 <= time.time() - flight.begun <= FLIGHT_SECONDS:
            raise AccessError(_OVER)
        return flight

    def finish(self, flight: Flight, code: str) -> HubPerson:
        """Return who has signed in, by the code that the Hub sent along.

        Raises:
            AccessError: the Hub cannot be reached, or what it says is not what it must be.
        """
        places = self._places.get()
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": flight.redirect}
        asked |= {"code_verifier": flight.verifier, "client_id": self._entry.client_id}
        tokens = self._ask("POST", places["token_endpoint"], data=asked, auth=self._credentials)
        claims = self._claims(str(tokens.get("id_token", "")), places, flight.nonce)
        bearer = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
        told = self._ask("GET", places["userinfo_endpoint"], headers=bearer)
        if told.get("sub") != claims["sub"]:
            raise _distrusted("the account differs from the one of the token")
        return _person(told)

    @property
    def _credentials(self) -> tuple[str, str]:
        return self._entry.client_id, self._entry.client_secret

    def _endpoints(self) -> Mapping[str, str]:
        """Return the Hub's addresses and its name as issuer."""
        found = self._ask("GET", f"{self._entry.provider}/.well-known/openid-configuration")
        if str(found.get("issuer", "")).rstrip("/") != self._entry.provider:
            raise _distrusted("its description is another issuer's")
        for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
            address = str(found.get(name, ""))
            if not address.startswith("https://") and not is_loopback(address):
                raise _distrusted(f"its {name} is no https address")
        return {name: str(value) for name, value in found.items()}

    def _signing_keys(self) -> list:
        """Return the keys that the Hub signs with. What is none is refused here: it would be kept."""
        import jwt

        told = self._ask("GET", self._places.get()["jwks_uri"])
        try:
            return jwt.PyJWKSet.from_dict(dict(told)).keys
        except jwt.PyJWTError as error:
            raise _distrusted(f"{type(error).__name__}: {error}") from error

    def _claims(self, token: str, places: Mapping[str, str], nonce: str) -> Mapping[str, object]:
        """Return what an ID token says, when everything about it is as it must be."""
        import jwt

        try:
            wanted = jwt.get_unverified_header(token).get("kid")
            # The Hub may have begun to use another key since they were asked for.
            fitting = _fitting(self._keys.get(), wanted) or _fitting(self._keys.get(KEYS_SECONDS), wanted)
            if len(fitting) != 1:
                raise _distrusted("no key of its own fits the token")
            claims = jwt.decode(
                token,
                fitting[0].key,
                # Not what the token says: one may say that it needs no signature, or take the public key for a password.
                algorithms=["RS256"],
                audience=self._entry.client_id,
                issuer=places["issuer"],
                leeway=_LEEWAY,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise _distrusted(f"{type(error).__name__}: {error}") from error
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise _distrusted("the token was made for another sign-in")
        if claims.get("azp", self._entry.client_id) != self._entry.client_id:
            raise _distrusted("the token was made for another app")
        return claims

    def _ask(self, method: str, address: str, **more) -> Mapping[str, object]:
        """Return the JSON object that the Hub answers."""
        import httpx2

        try:
            with httpx2.Client(timeout=_TIMEOUT, follow_redirects=False) as client:
                answer = client.request(method, address, **more)
        except httpx2.HTTPError as error:
            log.warning("Sign-in: the Hub did not answer (%s).", type(error).__name__)
            raise AccessError(_SILENT) from error
        if answer.status_code >= 500 or answer.status_code == 429:
            log.warning("Sign-in: the Hub answered with status %d.", answer.status_code)
            raise AccessError(_SILENT)
        try:
            found = answer.json() if answer.status_code == 200 and len(answer.content) <= _MAX_ANSWER else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise _distrusted(f"status {answer.status_code} where an answer was due")
        return found

    def _seal(self, flight: Flight) -> str:
        text = base64.urlsafe_b64encode(json.dumps(asdict(flight)).encode()).decode()
        return f"{text}.{self._mark(text)}"

    def _unseal(self, kept: str) -> Flight | None:
        text, _, mark = kept.partition(".")
        if not hmac.compare_digest(self._mark(text).encode(), mark.encode("utf-8", "replace")):
            return None
        try:
            return Flight(**json.loads(base64.urlsafe_b64decode(text)))
        except (ValueError, TypeError, binascii.Error):
            return None

    def _mark(self, text: str) -> str:
        key = hashlib.sha256(f"pairloop sign-in\0{self._entry.client_secret}".encode()).digest()
        return hmac.new(key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


class _Kept(Generic[Told]):
    """Something that the Hub says, asked for by one thread at a time and kept for a while."""

    def __init__(self, ask: Callable[[], Told]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._known: Told | None = None
        self._asked_at = self._failed_at = 0.0
        self._failed = ""

    def get(self, seconds: float | None = None) -> Told:
        """Return it as it was at most so many seconds ago, an hour where nothing is said.

        Raises:
            AccessError: the Hub does not say it.
        """
        seconds, came = KEPT_SECONDS if seconds is None else seconds, time.monotonic()
        with self._lock:
            if self._known is not None and time.monotonic() - self._asked_at < seconds:
                return self._known
            if self._failed_at > came:
                # Whoever waited while another one asked in vain does not wait once more.
                raise AccessError(self._failed)
            try:
                self._known = self._ask()
                self._asked_at = time.monotonic()
            except AccessError as error:
                self._failed, self._failed_at = str(error), time.monotonic()
                raise
            return self._known


def _fitting(keys: list, wanted: str | None) -> list:
    """Return the keys that a token may be signed with; without a name of its key it may be any of them."""
    return [key for key in keys if wanted is None or key.key_id == wanted]


def _distrusted(why: str) -> AccessError:
    # Why is for whoever runs the app: what a forged answer lacks is nothing to tell its maker.
    log.warning("Sign-in: what the Hub said was refused (%s).", why)
    return AccessError(_REFUSED)


def _person(told: Mapping[str, object]) -> HubPerson:
    login = clean(str(told.get("preferred_username") or ""))
    if not login or not told.get("sub"):
        raise _distrusted("it names nobody")
    groups = told.get("orgs")
    groups = [group for group in groups if isinstance(group, dict)] if isinstance(groups, list) else []
    # Somebody who has still to sign in at the organisation's own door is not in yet.
    inside = [group for group in groups if not group.get("pendingSSO") and not group.get("missingMFA")]
    called = {str(group.get("preferred_username", "")).lower(): group.get("roleInOrg") for group in inside}
    called.pop("", None)
    admin_of = frozenset(name for name, role in called.items() if role == "admin")
    name = clean(str(told.get("name") or login))
    return HubPerson(str(told["sub"]), login, name, frozenset(called), admin_of)
