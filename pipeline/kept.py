"""Counts that many people ask for at once are counted once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

# Counting that takes longer than this many seconds is kept for ten times as long: it never takes more than a tenth of the time.
SLOW = 0.1


class Kept:
    """Keeps values for ``seconds``, and for longer those that took more than ``slow`` seconds to count."""

    def __init__(self, seconds: float = 0.0, slow: float = SLOW) -> None:
        self._seconds = seconds
        self._slow = slow
        self._known: dict[Hashable, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, count: Callable[[], Any]) -> Any:
        """Return the value of a key, counted now where none is kept; whoever asks meanwhile waits for it."""
        with self._lock:
            began = time.monotonic()
            self._known = {other: item for other, item in self._known.items() if began < item[0]}
            if key in self._known:
                return self._known[key][1]
            value = count()
            took = time.monotonic() - began
            stays = max(self._seconds, 10 * took if took > self._slow else 0.0)
            if stays:
                self._known[key] = (began + took + stays, value)
            return value
