"""Three real processes on one PostgreSQL, two killed while people work and a run goes on: nothing is lost or doubled."""

import random
import sqlite3
import time
from collections import Counter

import psycopg
import pytest

from pipeline.backup import Backup
from pipeline.move_store import move_store
from pipeline.records import JobState
from pipeline.settings import Settings
from pipeline.store import Server, open_store
from tests.backing import REPO, TOKEN
from tests.hub_server import HubServer
from tests.openai_server import OpenAIServer
from tests.postgres import POSTGRES
from tests.servers import QuickApp
from tests.visitor import Visitor
from tests.workers import PIECES, check_store, is_balanced, prepare_work, tokens_of, work_until_killed

CONCURRENCY = 4
LEADERS = (
    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted "
    "AND classid = 715001 AND objid::bigint & 4294967295 = hashtext(current_schema() || ' leading')::bigint & 4294967295"
)


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A workspace that was begun on SQLite and moved: its folder, its database, and how many rows there were."""
    home, url, said = prepare_work(tmp_path_factory.mktemp("work")), POSTGRES.bare(), []
    with sqlite3.connect(home / "pairloop.db") as connection:
        rows = connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
    move_store(Settings(home=home, database_url=url), said.append)
    assert f"chunks: {rows:,} rows" in said and not (home / "pairloop.db").exists()
    return home, url


def leaders(url):
    with psycopg.connect(url) as connection:
        return [name.removeprefix("pairloop ") for (name,) in connection.execute(LEADERS)]


def wait_for(said, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (found := said()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)
    return found


def begin_run(app):
    page = Visitor(app.url)
    lists, models, *_ = page.call("load_choices", None, None)
    run_list = next(value for name, value in lists["choices"] if name.startswith("Harbour"))
    model = next(value for name, value in models["choices"] if name == "test-model")
    page.call("start_run", run_list, model, "")


def test_kills_lose_and_double_nothing_and_who_is_left_goes_on(moved, tmp_path):
    home, url = moved
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    with OpenAIServer() as endpoint, HubServer() as hub:
        endpoint.fail(times=None, stall=0.3)
        settings = {
            "DATABASE_URL": url, "PAIRLOOP_EXAMPLE": "0", "PAIRLOOP_CONCURRENCY": str(CONCURRENCY), "PAIRLOOP_SYNC_SECONDS": "1",
            "OPENAI_BASE_URL": endpoint.base_url, "OPENAI_MODEL": "test-model",
            "PAIRLOOP_DATASET_REPO": REPO, "HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url,
        }  # fmt: skip
        apps = [QuickApp(folder, **settings) for folder in (home, tmp_path / "second", tmp_path / "third")]
        with apps[0], apps[1], apps[2]:
            of_app = {(app.home / "replica").read_text(): app for app in apps}
            watching = open_store(tmp_path, server=Server(url, ""))
            led, rounds, tokens = [], [], tokens_of(dice)
            begin_run(of_app[wait_for(lambda: leaders(url))[0]])
            run_id = watching.runs.latest()[0].id
            # Those of one browser stay with one replica, as behind a proxy; after a kill they come to another.
            for end in (QuickApp.kill, QuickApp.kill, QuickApp.stop):
                (leader,) = wait_for(lambda: leaders(url))
                led.append(leader)
                if end is QuickApp.stop:
                    run = wait_for(lambda: (found := watching.runs.get(run_id)).state is not JobState.RUNNING and found)
                rounds.append(work_until_killed(of_app[leader], tokens, dice, end))
            assert len(set(led)) == 3
            assert (run.state, run.done, run.failed, run.total) == (JobState.DONE, PIECES, 0, PIECES)
            asked = Counter(item.query_id for item in watching.runs.of_run(run_id))
            assert len(asked) == PIECES and set(asked.values()) == {1}
            # Only what was asked for in the moment of a kill was asked for again.
            assert len(endpoint.chats) <= PIECES + 2 * CONCURRENCY
            check_store(watching, rounds)
            assert is_balanced(watching)
            assert watching.others() == set() and watching.outbox.waiting("repo").count == 0
        senders = {name.rpartition("/")[2].partition("-")[0] for name in hub.files(REPO) if name.startswith("journal/")}
        assert senders <= set(led) and led[-1] in senders
        watching.close()
        # What the repo holds is the same workspace.
        back = Settings(home=tmp_path / "back", dataset_repo=REPO, hf_token=TOKEN, hf_endpoint=hub.url)
        restored = open_store(tmp_path / "back.db", lambda new: Backup(new, back).restore(lambda text: None))
        check_store(restored, rounds)
        restored.close()
