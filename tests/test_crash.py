"""The app as a process that is killed while people work, and stopped while they look: what was acknowledged is kept."""

import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from pipeline.records import JobState
from tests.openai_server import OpenAIServer
from tests.servers import AppProcess, QuickApp
from tests.visitor import Visitor
from tests.workers import PIECES, check, prepare_work, tokens_of, work_until_killed


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return prepare_work(tmp_path_factory.mktemp("work"))


@pytest.fixture
def prepared(workspace, tmp_path):
    return Path(shutil.copytree(workspace, tmp_path / "home"))


def test_what_was_acknowledged_survives_a_kill_at_any_moment_and_a_stop_ends_cleanly(prepared):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice, rounds = random.Random(seed), []
    tokens = tokens_of(dice)
    with QuickApp(prepared, PAIRLOOP_EXAMPLE="0") as app:
        page = Visitor(app.url)
        set_id = page.call("load_comparisons", None)[0]["value"]
        pair_id = page.call("show_next", set_id)[0]
        # Several kills, one after another, are in test_crash_backup.py.
        rounds.append(work_until_killed(app, tokens, dice))
        check(prepared, rounds)
        app.start()
        # A page that was open all the time goes on without a reload.
        assert page.call("vote_tie", set_id, pair_id, None, "", "", "")[0] not in ("", pair_id)
        assert page.call("undo_vote", set_id)[0] == pair_id
        tab = Visitor(app.url).open("/gradio_api/heartbeat/open-tab")
        assert b"ALIVE" in tab.readline()
        assert app.stop(timeout=10) == 0
    # SQLite takes its journal away when the last connection is closed: the store was closed, not cut off.
    assert not (prepared / "pairloop.db-wal").exists()
    check(prepared, rounds)


def test_a_stop_in_the_middle_of_a_run_ends_in_time_and_says_so_in_the_store(prepared):
    with OpenAIServer() as server:
        server.fail(times=None, stall=60, when="number 7 ")
        settings = {"OPENAI_BASE_URL": server.base_url, "OPENAI_MODEL": "test-model", "PAIRLOOP_EXAMPLE": "0"}
        with AppProcess(prepared, **settings) as app:
            visitor = Visitor(app.url)
            lists, models, *_ = visitor.call("load_choices", None, None)
            run_list = next(value for name, value in lists["choices"] if name.startswith("Harbour"))
            model = next(value for name, value in models["choices"] if name == "test-model")
            visitor.call("start_run", run_list, model, "")
            deadline = time.monotonic() + 60
            while len(server.chats) < PIECES and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.5)
            assert app.stop(timeout=10) == 0
    connection = sqlite3.connect(prepared / "pairloop.db")
    states = connection.execute("SELECT state FROM runs ORDER BY id DESC").fetchone()
    answers = connection.execute("SELECT count(*) FROM completions WHERE prompt_tokens > 0").fetchone()
    assert (states, answers) == ((JobState.INTERRUPTED,), (PIECES - 1,))
