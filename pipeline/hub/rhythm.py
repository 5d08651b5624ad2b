"""When the next attempt may be made: one commit in so many seconds, fewer when it goes on for long, and after failures."""

from __future__ import annotations

import random
from collections.abc import Callable

# A repo with tens of thousands of commits is slow and may be blocked: after an hour at full pace the rhythm stretches.
CALM_SECONDS = 300.0
BUSY_COMMITS, BUSY_WINDOW = 60, 2 * 3600.0
FIRST_DELAY, LONGEST_DELAY = 2.0, 300.0


class Rhythm:
    """Times of one task against one repo. All times are seconds of a clock that never jumps (``time.monotonic``)."""

    def __init__(self, seconds: float, chance: Callable[[], float] = random.random) -> None:
        self._seconds = seconds
        self._chance = chance
        self._done: list[float] = []
        self._failures = 0
        self._not_before = float("-inf")
        self._asked = float("-inf")

    @property
    def failures(self) -> int:
        """How many attempts have failed since the last good one."""
        return self._failures

    def due(self) -> float:
        """Return from when on the next attempt may be made."""
        if not self._done:
            return self._not_before
        return max(self._not_before, self._done[-1] + self._interval())

    def asked_to_wait(self, now: float) -> float:
        """Return for how many seconds more the other side has asked not to come again."""
        return max(0.0, self._asked - now)

    def succeeded(self, now: float) -> None:
        """Note a commit."""
        self._done = [*(moment for moment in self._done if moment > now - BUSY_WINDOW), now]
        self.recovered()

    def recovered(self) -> None:
        """Note that the other side answers again."""
        self._failures = 0
        self._not_before = float("-inf")

    def failed(self, now: float, retry_after: float = 0.0, final: bool = False) -> None:
        """Note a failure: wait twice as long as the last time, with jitter, or as long as the other side asks."""
        self._failures += 1
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self._failures - 1, 10))
        if final:
            delay = LONGEST_DELAY
        # Jitter only adds: whoever was asked to wait 30 s must not come after 29.
        self._asked = now + retry_after
        self._not_before = now + max(delay * (0.75 + 0.25 * self._chance()), retry_after)

    def _interval(self) -> float:
        window = [moment for moment in self._done if moment > self._done[-1] - BUSY_WINDOW]
        return max(self._seconds, CALM_SECONDS) if len(window) >= BUSY_COMMITS else self._seconds
