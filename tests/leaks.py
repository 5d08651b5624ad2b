"""Searches what a server sent for what it must not tell, in any usual disguise."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable


def disguises(secret: str) -> set[bytes]:
    """Return a secret as text, reversed, in hex, base64, and as the usual hashes."""
    raw = secret.encode()
    found = {raw, raw.upper(), raw[::-1], raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")}
    found |= {base64.urlsafe_b64encode(raw).rstrip(b"=")}
    for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_256"):
        digest = hashlib.new(name, raw)
        found |= {digest.hexdigest().encode()[:16], base64.b64encode(digest.digest())[:16]}
    return found


def leaks(sent: bytes, secrets: Iterable[str]) -> list[tuple[str, bytes]]:
    """Return which secrets were sent, each with the form that was found."""
    return [(secret, form) for secret in secrets for form in disguises(secret) if form in sent]
