"""An OpenID Connect provider like the Hub's, served on this machine: discovery, authorize, token, userinfo and keys.

It keeps to the standard on its side: a code is good once, for the client and the address that it was made for, and only with the
verifier of its challenge. ``lie`` changes what its ID tokens say, as somebody would who wants to get in with a forged one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from html import escape
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Form, Header
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from tests.servers import free_port

CLIENT, SECRET = "pairloop-test", "the-secret-of-the-app"


def org(name: str, role: str = "read", **more) -> dict:
    """Return an organisation as userinfo tells of it."""
    return {"sub": f"id-{name}", "name": name.title(), "preferred_username": name, "roleInOrg": role, **more}


class IdentityProvider:
    """The provider. ``people`` are its accounts by user name; ``who`` is the one who is signed in there now."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.people: dict[str, dict] = {}
        self.who = ""
        self.lie: dict[str, object] = {}
        self.algorithm, self.signing_key = "RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key = self.signing_key
        self.userinfo_lie: dict[str, object] = {}
        self.asked: list[dict[str, str]] = []
        self.framed = ""
        self.down = False
        self._codes: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, str] = {}

    def add(self, name: str, *orgs: dict, sub: str = "") -> None:
        """Make an account and sign it in."""
        told = {"sub": sub or f"id-{name}", "name": name.title(), "preferred_username": name, "orgs": list(orgs)}
        self.people[name], self.who = told, name

    def environment(self, port: int, **more: str) -> dict[str, str]:
        """Return the variables of a Space on a port of this machine."""
        return {
            "SPACE_ID": "acme/pairloop", "SPACE_HOST": f"127.0.0.1:{port}", "SPACE_AUTHOR_NAME": "acme",
            "OAUTH_CLIENT_ID": CLIENT, "OAUTH_CLIENT_SECRET": SECRET, "OPENID_PROVIDER_URL": self.url, **more,
        }  # fmt: skip

    def __enter__(self) -> IdentityProvider:
        self._server = uvicorn.Server(uvicorn.Config(self._app(), port=self.port, log_level="warning"))
        threading.Thread(target=self._server.run, daemon=True).start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True

    def _app(self) -> FastAPI:
        app = FastAPI()
        app.get("/.well-known/openid-configuration")(self._discovery)
        app.get("/oauth/authorize", response_model=None)(self._authorize)
        app.post("/oauth/token", response_model=None)(self._token)
        app.get("/oauth/userinfo", response_model=None)(self._userinfo)
        app.get("/oauth/jwks")(self._keys)
        app.get("/spaces/acme/pairloop", response_class=HTMLResponse)(self._frame)
        return app

    def _discovery(self):
        if self.down:
            return JSONResponse({"error": "down"}, 503)
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/oauth/authorize",
            "token_endpoint": f"{self.url}/oauth/token",
            "userinfo_endpoint": f"{self.url}/oauth/userinfo",
            "jwks_uri": f"{self.url}/oauth/jwks",
        }

    def _authorize(
        self, client_id: str, redirect_uri: str, scope: str, state: str, nonce: str, code_challenge: str,
        code_challenge_method: str, response_type: str,
    ):  # fmt: skip
        asked = {"redirect": redirect_uri, "scope": scope, "state": state, "nonce": nonce, "challenge": code_challenge}
        self.asked.append(asked)
        assert (client_id, response_type, code_challenge_method) == (CLIENT, "code", "S256")
        if not self.who:
            return RedirectResponse(f"{redirect_uri}?{urlencode({'error': 'access_denied', 'state': state})}", 303)
        code = secrets.token_urlsafe(16)
        self._codes[code] = {**asked, "who": self.who}
        return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}", 303)

    def _token(
        self, code: str = Form(), redirect_uri: str = Form(), code_verifier: str = Form(), grant_type: str = Form(),
        authorization: str = Header(),
    ):  # fmt: skip
        given = self._codes.pop(code, None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).decode().rstrip("=")
        fits = given and (given["redirect"], given["challenge"]) == (redirect_uri, challenge)
        if not fits or authorization != f"Basic {basic}" or grant_type != "authorization_code":
            return JSONResponse({"error": "invalid_grant"}, 400)
        access, now = secrets.token_urlsafe(16), int(time.time())
        self._tokens[access] = given["who"]
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": self.people[given["who"]]["sub"], "iat": now, "exp": now + 600,
            "nonce": given["nonce"], **self.lie,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode(claims, self.signing_key, self.algorithm, headers={"kid": "one"})
        return {"access_token": access, "token_type": "bearer", "id_token": token}

    def _userinfo(self, authorization: str = Header()):
        who = self._tokens.get(authorization.removeprefix("Bearer "))
        return {**self.people[who], **self.userinfo_lie} if who else JSONResponse({"error": "invalid_token"}, 401)

    def _keys(self):
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}

    def _frame(self) -> str:
        """Return the page of a Space, which shows the app within a frame."""
        style = "border:0;width:100%;height:90vh"
        return f'<!doctype html><title>A Space</title><iframe id="space" src="{escape(self.framed)}" style="{style}"></iframe>'
