"""The log: a line for each event, without secrets, and with nothing in it that passes for another line."""

import asyncio
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.web.logs import LOGGERS, JsonLines, TextLines, log_to_stderr
from pipeline.background import Background
from pipeline.events import happened, work_for
from tests.listening import listening
from tests.workspace import open_workspace

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


async def at_work(name):
    happened(f"{name} task")
    await asyncio.to_thread(happened, f"{name} thread of the task")


def test_what_is_begun_for_a_workspace_is_logged_as_its_own(tmp_path):
    background = Background()
    # The first who asks for it starts its loop, and is not whoever asks later.
    background.submit(at_work("main")).result()

    def red():
        work_for("red")
        background.submit(at_work("red")).result()
        services = open_workspace(tmp_path / "home", data_dir=tmp_path / "volume")
        (tmp_path / "volume").write_text("no folder any more")
        services.start_backup()
        return services

    with listening() as heard, ThreadPoolExecutor(1) as another:
        services = another.submit(red).result()
        background.submit(at_work("main")).result()
        # It is said by the thread that writes the journal.
        assert heard.until(lambda line: "cannot be written" in line["event"])["workspace"] == "red"
        services.close()
    background.close()
    told = {line["event"]: line.get("workspace") for line in heard.lines if "task" in line["event"]}
    assert told == {
        f"{name}{of}": None if name == "main" else name
        for name in ("main", "red")
        for of in (" task", " thread of the task")
    }


def test_the_text_of_a_line_names_the_workspace_and_the_main_one_needs_no_name():
    def line(workspace):
        work_for(workspace)
        return TextLines(()).format(record("run ended", run="01J"))

    with ThreadPoolExecutor(1) as another:
        assert another.submit(line, "red").result().endswith(": run ended workspace=red run=01J")
        assert another.submit(line, "").result().endswith(": run ended run=01J")
