"""ULIDs: 26 characters of Crockford's alphabet that sort as the numbers they stand for (https://github.com/ulid/spec)."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two letters at a time: thousands of ids are made at once where records come in.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(120, -1, -10)
# The first letter stands for 3 bits only: 26 letters of 5 bits each are 2 more than there are.
_ULID = re.compile(f"[0-7][{_ALPHABET}]{{25}}")
# Python reads numbers of base 32 too, with other letters.
_TO_PYTHON = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")


def text(number: int) -> str:
    """Return a number of at most 128 bits as a ULID."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])


def number(ulid: str) -> int:
    """Return the number of a ULID.

    Raises:
        ValueError: it is none.
    """
    if not _ULID.fullmatch(ulid):
        raise ValueError(f"{ulid!r} is no ULID")
    return int(ulid.translate(_TO_PYTHON), 32)


def is_ulid(text: str) -> bool:
    """Say whether a text is a ULID."""
    return _ULID.fullmatch(text) is not None


def fresh() -> str:
    """Return a new ULID: 48 bits of milliseconds and 80 random bits."""
    return text((int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10), "big"))


def seconds(ulid: str) -> float:
    """Return the time of a ULID in seconds since the epoch."""
    return (number(ulid) >> 80) / 1000


class Stamps:
    """Gives out ULIDs that only ever grow, whatever the machine's clock does, and that exceed every one that was seen.

    This is a hybrid logical clock (Kulkarni et al. 2014) in the form of a ULID: where the clock stands still or jumps back,
    the next stamp is the last one plus a little.
    """

    def __init__(self, last: str | None = None, clock: Callable[[], float] = time.time) -> None:
        self._last = number(last) if last else 0
        self._clock = clock
        self._lock = threading.Lock()

    def next(self) -> str:
        """Return the next stamp."""
        with self._lock:
            fresh = int(self._clock() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
            # Not plus one alone: two replicas that have seen the same stamp must not both go on with the next number.
            self._last = fresh if fresh > self._last else self._last + 1 + int.from_bytes(os.urandom(5), "big")
            return text(self._last)

    def see(self, stamp: str) -> None:
        """Make every later stamp exceed this one, which somebody else gave out."""
        with self._lock:
            self._last = max(self._last, number(stamp))
