"""The log: a line for each event, without secrets, and with nothing in it that passes for another line."""

import json
import logging
import threading

import pytest

from components.logs import LOGGERS, JsonLines, TextLines, log_to_stderr
from pipeline.events import happened

SECRET = 'hf_"secret"\\token'
HOSTILE = "a.pdf\n2026-11-26 08:00:00,000 WARNING pipeline: all is well\r\x1b[2J\u2028\u202eb\x00\x85"


def record(message, *args, error=None, **facts):
    given = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("pipeline.library", logging.WARNING, "x", 1, message, args, given)
    if facts:
        made.facts = facts
    return made


def raised(text):
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


@pytest.mark.parametrize("kind", [TextLines, JsonLines])
def test_hostile_text_stays_on_one_line_and_shows_what_it_is(kind):
    line = kind((SECRET,)).format(record("Refused %s", HOSTILE, file=HOSTILE))
    assert line.isprintable() and len(line.splitlines()) == 1
    assert "\\n2026" in line and "\\u202e" in line and "\\u001b" in line


def test_lines_of_a_traceback_cannot_pass_for_events():
    lines = TextLines((SECRET,)).format(record("Failed", error=raised(f"{HOSTILE} {SECRET}"))).splitlines()
    assert " WARNING pipeline.library: Failed" in lines[0]
    assert len(lines) > 3 and all(line.startswith("    | ") and line.isprintable() for line in lines[1:])
    assert SECRET not in "".join(lines) and "•••" in "".join(lines)


def test_json_is_an_object_with_the_facts():
    formatter = JsonLines((SECRET,))
    said = json.loads(
        formatter.format(record("run ended", run="01J", seconds=1.23456, failed=False, why=SECRET, cost=None))
    )
    assert (said["event"], said["level"], said["logger"]) == ("run ended", "warning", "pipeline.library")
    assert (said["run"], said["seconds"], said["failed"], said["why"]) == ("01J", 1.235, False, "•••")
    assert "cost" not in said and said["time"].endswith("Z")
    said = json.loads(formatter.format(record("Failed", error=raised(SECRET))))
    assert said["error"] == "ValueError" and SECRET not in said["trace"] and "•••" in said["trace"]


def test_a_fact_is_cut_and_is_one_word():
    line = TextLines(()).format(record("handler", name="start_run", seconds=2.0, why="two words", long="x" * 5000))
    assert 'name=start_run seconds=2.0 why="two words" long=xx' in line and len(line) < 400


def alone(monkeypatch):
    """Let nothing that is logged from here on outlast the test."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    for name in LOGGERS:
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_ends_a_thread_is_logged_without_secrets(form, capsys, monkeypatch):
    alone(monkeypatch)
    log_to_stderr((SECRET,), form)
    for error in (ValueError(f"with {SECRET}\nand more"), SystemExit(1)):
        thread = threading.Thread(target=lambda error=error: (_ for _ in ()).throw(error), name="opening")
        thread.start()
        thread.join()
    said = capsys.readouterr().err
    assert said.count("The thread opening ended") == 1 and "ValueError" in said and SECRET not in said
    assert "\nand more" not in said


@pytest.mark.parametrize("form", ["text", "json"])
def test_events_warnings_and_the_web_server_are_logged_and_nothing_else(form, capsys, monkeypatch):
    alone(monkeypatch)
    # Servers of other tests, in this process, may have been told to say nothing.
    before = logging.getLogger("uvicorn.error").level
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)
    log_to_stderr((SECRET,), form)
    happened("handler", name="start_run")
    logging.getLogger("pipeline.hub.sync").info("not this")
    logging.getLogger("uvicorn.error").warning("from the server")
    logging.getLogger("somebody.else").error("not ours")
    logging.getLogger("uvicorn.error").setLevel(before)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "start_run" in said[0] and "from the server" in said[1]
