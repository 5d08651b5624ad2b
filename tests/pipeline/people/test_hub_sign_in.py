"""What the Hub is asked for sign-in, and how often."""

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.auth.hub import HubSignIn
from pipeline.errors import AccessError
from pipeline.settings import Entry
from tests.pipeline.people.entering import CLOCK, at_once


def test_the_hub_is_asked_what_it_says_of_itself_once_an_hour_and_by_one_at_a_time(monkeypatch):
    asked, clock = [], [1000.0]
    provider = "https://hub.example"
    told = {"issuer": provider, "jwks_uri": f"{provider}/keys"}
    told |= {f"{name}_endpoint": f"{provider}/{name}" for name in ("authorization", "token", "userinfo")}

    def ask(self, method, address, **more):
        asked.append(address)
        time.sleep(0.02)
        return told

    monkeypatch.setattr(HubSignIn, "_ask", ask)
    monkeypatch.setattr("pipeline.auth.hub.time.monotonic", lambda: clock[0])
    sign_in = HubSignIn(Entry(client_id="app", client_secret="secret", provider=provider))
    assert len(set(at_once([lambda: sign_in.begin("https://app.example/back")[0]] * 8))) == 8 and len(asked) == 1
    clock[0] += 3599
    sign_in.begin("https://app.example/back")
    assert len(asked) == 1
    clock[0] += 2
    sign_in.begin("https://app.example/back")
    assert len(asked) == 2


def test_the_keys_of_the_hub_are_asked_for_again_for_a_key_that_is_not_known_once_a_minute(monkeypatch):
    asked, clock, provider = [], [1000.0], "https://hub.example"
    keys = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("one", "two")}
    public = {kid: json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) for kid, key in keys.items()}
    served = ["one"]

    def ask(self, method, address, **more):
        asked.append(address)
        return {"keys": [{**public[kid], "kid": kid, "use": "sig", "alg": "RS256"} for kid in served]}

    monkeypatch.setattr(HubSignIn, "_ask", ask)
    monkeypatch.setattr("pipeline.auth.hub.time.monotonic", lambda: clock[0])
    sign_in = HubSignIn(Entry(client_id="app", client_secret="secret", provider=provider))
    places = {"issuer": provider, "jwks_uri": f"{provider}/keys"}
    monkeypatch.setattr(sign_in._places, "get", lambda: places)
    now = int(CLOCK())
    claims = {"iss": provider, "aud": "app", "sub": "u", "iat": now, "exp": now + 600, "nonce": "n"}

    def token(kid):
        return jwt.encode(claims, keys[kid], "RS256", headers={"kid": kid})

    for _ in range(3):
        assert sign_in._claims(token("one"), places, "n")["sub"] == "u"
    assert len(asked) == 1
    for _ in range(3):
        with pytest.raises(AccessError, match="could not be trusted"):
            sign_in._claims(token("two"), places, "n")
    assert len(asked) == 1
    served[:] = ["two"]
    clock[0] += 61
    assert sign_in._claims(token("two"), places, "n")["sub"] == "u" and len(asked) == 2
    with pytest.raises(AccessError, match="could not be trusted"):
        sign_in._claims(token("one"), places, "n")
    served.clear()
    clock[0] += 3601
    for _ in range(2):
        # What are no keys is not kept.
        with pytest.raises(AccessError):
            sign_in._claims(token("two"), places, "n")
    assert len(asked) == 4


def test_a_hub_that_is_asked_too_much_is_told_as_one_that_cannot_be_reached(monkeypatch):
    import httpx2

    asked = []

    def busy(self, method, address, **more):
        asked.append(address)
        time.sleep(0.1)
        return httpx2.Response(429)

    monkeypatch.setattr(httpx2.Client, "request", busy)
    sign_in = HubSignIn(Entry(client_id="app", client_secret="secret", provider="https://hub.example"))
    said = at_once([lambda: sign_in.begin("https://app.example/back")] * 6)
    assert set(said) == {"The Hub cannot be reached for sign-in at the moment. Try again in a minute."}
    # Those who waited for the first one do not ask again one after the other.
    assert len(asked) < 3
