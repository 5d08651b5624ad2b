"""The log on stderr: a line for each event, as text or as JSON, without secrets, and nothing in it passes for another line."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import traceback
from collections.abc import Mapping

from pipeline.events import NAME as EVENTS
from pipeline.events import worked_for

log = logging.getLogger(__name__)
# What is logged: warnings of ours and of the web server, and events. Not the root logger: some libraries show their own
# warnings already, and would show them twice.
LOGGERS = ("pipeline", "components", "uvicorn")
LONGEST_FACT = 200
# Control characters, line separators of Unicode, and those that turn the direction of writing: somebody's file name or an
# endpoint's words could begin a line of their own with them, or hide one.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def log_to_stderr(secrets: tuple[str, ...], form: str = "text") -> None:
    """Show warnings and events on stderr, in a form of PAIRLOOP_LOG and without the values of secrets."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name == EVENTS)
    handler.setFormatter(JsonLines(secrets) if form == "json" else TextLines(secrets))
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    # Python itself would print it as it is, secrets included.
    threading.excepthook = _log_end_of_thread


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    """Log what nobody foresaw, and what ended a thread."""
    if not issubclass(ended.exc_type, SystemExit):
        name = ended.thread.name if ended.thread else "?"
        log.error("The thread %s ended", name, exc_info=(ended.exc_type, ended.exc_value, ended.exc_traceback))


def one_line(text: str) -> str:
    """Return a text on one line, with what is unsafe written as an escape."""
    return _UNSAFE.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}", text)


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


class _Lines(logging.Formatter):
    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = sorted(secrets, key=len, reverse=True)

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "•••")
        return text

    def _facts(self, record: logging.LogRecord) -> Mapping[str, object]:
        # A handler formats where the line is logged. The main workspace needs no name.
        facts = {"workspace": worked_for() or None, **getattr(record, "facts", {})}
        return {name: self._fact(value) for name, value in facts.items() if value is not None}

    def _fact(self, value: object) -> object:
        if isinstance(value, float):
            return round(value, 3)
        return value if isinstance(value, int) else self._hidden(str(value))[:LONGEST_FACT]

    def _trace(self, record: logging.LogRecord) -> str:
        return self._hidden("".join(traceback.format_exception(*record.exc_info))) if record.exc_info else ""


class TextLines(_Lines):
    """Lines for people: time, level, who says it, what; the lines of a traceback are indented behind a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback where there is one."""
        at = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(record.created))},{int(record.msecs):03}"
        facts = "".join(f" {name}={_word(value)}" for name, value in self._facts(record).items())
        said = one_line(self._hidden(record.getMessage()))
        line = f"{at} {record.levelname} {record.name}: {said}{facts}"
        return "\n".join([line, *(f"    | {one_line(part)}" for part in self._trace(record).splitlines())])


class JsonLines(_Lines):
    """One JSON object in each line: time, level, logger, event, facts and, where there is one, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"
        said = {"time": at, "level": record.levelname.lower(), "logger": record.name}
        said |= {"event": self._hidden(record.getMessage()), **self._facts(record)}
        if record.exc_info:
            said |= {"error": record.exc_info[0].__name__, "trace": self._trace(record)}
        # ASCII only: every other character is written as an escape, also one that ends a line somewhere.
        return json.dumps(said)


def _word(value: object) -> str:
    """Return a fact as one word, in quotation marks where it is not one."""
    text = str(value)
    return text if re.fullmatch(r"[\w.:/+-]+", text, re.ASCII) else json.dumps(text)
