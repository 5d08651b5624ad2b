"""Waiting for what comes in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(said: Callable[[], object], seconds: float = 30.0) -> object:
    """Ask again and again until what is said is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := said()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
    return found
