"""Passwords: what one must be like, and argon2 hashes of them."""

from __future__ import annotations

import functools
import secrets
import threading
from typing import TYPE_CHECKING

from pipeline.auth.names import folded
from pipeline.errors import RecordError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 10, 200
# Each takes 64 MB for about a tenth of a second; more at once would only wait for each other.
_ROOM = threading.BoundedSemaphore(2)


def check_new(password: str, login: str) -> None:
    """Check that a password may be chosen.

    Raises:
        RecordError: it is too short, too long, or easily guessed.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise RecordError(f"A password has {SHORTEST} to {LONGEST} characters; a few words are easy to remember.")
    plain, name = folded(password), folded(login)
    # A short name may be part of a word by chance.
    if len(name) > 3 and name in plain:
        raise RecordError("A password with the user name in it is easily guessed. Take one without it.")
    if len(set(plain)) < 4 or plain in _COMMON:
        raise RecordError("This password is easily guessed. Take a few words that nobody would expect together.")


def hash_of(password: str) -> str:
    """Return the hash of a password."""
    with _ROOM:
        return _hasher().hash(password)


def is_right(password: str, hash_: str | None) -> bool:
    """Say whether a password is the one of a hash; it takes as long where there is no hash."""
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > LONGEST:
        password = ""
    with _ROOM:
        try:
            return _hasher().verify(hash_ or _nobodys(), password) and hash_ is not None
        except (VerificationError, InvalidHashError):
            return False


def is_old(hash_: str) -> bool:
    """Say whether a hash was made with less work than is asked for today."""
    return _hasher().check_needs_rehash(hash_)


def one_time() -> str:
    """Return a new password for one sign-in: 80 random bits that can be read out."""
    letters = secrets.token_hex(10)
    return "-".join(letters[start : start + 5] for start in range(0, len(letters), 5))


@functools.cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@functools.cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_hex(16))


# The most used ones of this length, of lists that were published after break-ins, as far as the rules above let them pass.
_MOST_USED = """
1234567890 12345678910 0123456789 9876543210 qwertyuiop qwerty12345 1q2w3e4r5t 1qaz2wsx3edc password12 password123
password1234 passw0rd123 iloveyou12 iloveyou123 qwerty1234 abc1234567 abcdefghij administrator letmein123 welcome123
football123 baseball123 sunshine123 princess123 q1w2e3r4t5 zaq12wsxcde 1qazxsw23edc asdfghjkl1 changeme123 pairloop123
"""
_COMMON = frozenset(_MOST_USED.split())
