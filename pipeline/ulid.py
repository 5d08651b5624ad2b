"""ULIDs: 26 characters of Crockford's alphabet that sort as the numbers they stand for (https://github.com/ulid/spec)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
LENGTH = 26


def text(number: int) -> str:
    """Return a number of at most 128 bits as a ULID."""
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def number(ulid: str) -> int:
    """Return the number of a ULID.

    Raises:
        ValueError: it is none.
    """
    if len(ulid) != LENGTH or not set(ulid) <= _VALUES.keys():
        raise ValueError(f"{ulid!r} is no ULID")
    value = 0
    for letter in ulid:
        value = value << 5 | _VALUES[letter]
    if value >= 1 << 128:
        raise ValueError(f"{ulid!r} is no ULID")
    return value


def seconds(ulid: str) -> float:
    """Return the time of a ULID in seconds since the epoch."""
    return (number(ulid) >> 80) / 1000


class Stamps:
    """Gives out ULIDs that only ever grow, whatever the machine's clock does, and that exceed every one that was seen.

    This is a hybrid logical clock (Kulkarni et al. 2014) in the form of a ULID: where the clock stands still or jumps back,
    the next stamp is the last one plus one.
    """

    def __init__(self, last: str | None = None, clock: Callable[[], float] = time.time) -> None:
        self._last = number(last) if last else 0
        self._clock = clock
        self._lock = threading.Lock()

    def next(self) -> str:
        """Return the next stamp."""
        with self._lock:
            fresh = int(self._clock() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
            self._last = max(fresh, self._last + 1)
            return text(self._last)

    def see(self, stamp: str) -> None:
        """Make every later stamp exceed this one, which somebody else gave out."""
        with self._lock:
            self._last = max(self._last, number(stamp))
