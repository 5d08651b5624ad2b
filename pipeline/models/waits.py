"""Waiting for an endpoint that asked for it: who asked the model hears of it while it lasts.

A model that waits between two attempts tells it here. It goes to whoever listens in the task that the model was asked in, so
that the contract of a model (:class:`pipeline.models.Answerer`) stays the same for those that never wait.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

_BEAT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait before attempt number ``attempt`` of ``attempts``. ``reason`` is a status, as "429", or a few words."""

    until: float
    reason: str
    attempt: int
    attempts: int

    def in_words(self, now: float | None = None) -> str:
        """Return how long is still waited for what; ``now`` is a time of :func:`time.monotonic`."""
        left = self.until - (time.monotonic() if now is None else now)
        return f"waiting {max(1, round(left))} s for the endpoint ({self.reason}), attempt {self.attempt} of {self.attempts}"


Listener = Callable[[Wait | None], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Let ``listener`` hear of the waits of models that are asked within the block: each wait, then None when it is over.

    It is called in the event loop and must not block.
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(wait: Wait | None) -> None:
    """Tell whoever listens that a wait begins, or with None that it is over."""
    if listener := _LISTENER.get():
        listener(wait)


def latest(news: queue.SimpleQueue[str | Wait | None]) -> Iterator[tuple[str, Wait | None]]:
    """Yield the newest text and what is waited for, as they come in and twice a second besides, until None comes.

    Whoever shows a text takes longer for it than a model for the next word: words that came meanwhile are shown together.
    And whoever left is noticed only when something is to be shown.
    """
    text, wait = "", None
    while True:
        items = []
        with suppress(queue.Empty):
            items.append(news.get(timeout=_BEAT_SECONDS))
            while True:
                items.append(news.get_nowait())
        for item in items:
            if item is not None:
                text, wait = (text, item) if isinstance(item, Wait) else (item, None)
        if any(isinstance(item, str) for item in items) or None not in items:
            yield text, wait
        if None in items:
            return
