"""Listens to the log of the app, as lines of JSON."""

from __future__ import annotations

import json
import logging
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from components.web.logs import LOGGERS, JsonLines


class Heard(logging.Handler):
    """The lines that were logged, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict] = []
        self._new: queue.SimpleQueue[dict] = queue.SimpleQueue()
        self.setFormatter(JsonLines(()))

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line down."""
        line = json.loads(self.format(record))
        self.lines.append(line)
        self._new.put(line)

    def until(self, wanted: Callable[[dict], bool], seconds: float = 60.0) -> dict:
        """Wait for the next line of this kind, and return it."""
        while not wanted(line := self._new.get(timeout=seconds)):
            pass
        return line


@contextmanager
def listening() -> Iterator[Heard]:
    """Listen to everything that the app logs within the block."""
    heard = Heard()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(heard)
    try:
        yield heard
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(heard)
