"""From SQLite to PostgreSQL with one command: what arrives, what is checked, and what is refused."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from pipeline.errors import SettingsError, StoreError
from pipeline.home import claim
from pipeline.move_store import move_store
from pipeline.settings import Settings
from pipeline.store import Server, open_store
from pipeline.store.engine import open_database
from pipeline.store.moving import TABLES, held
from pipeline.store.shared import open_shared
from tests import stores
from tests.backing import rows_of
from tests.material import reviewable
from tests.postgres import POSTGRES
from tests.workspace import add_comparison, add_model, open_workspace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moving")
    with stores.on(stores.SQLITE):
        services = open_workspace(folder / "home")
        reviewable(services, folder)
        add_comparison(services, [add_model(services, "a"), add_model(services, "b")], [("x", "y"), ("same", "same")])
        services.store.queries.add_set("with \x00 in it", [])
        add_model(services, "c", config={"loss": float("nan")})
        services.close()
    return folder / "home"


@pytest.fixture
def home(workspace, tmp_path):
    with stores.on(stores.SQLITE):
        stores.copy(workspace, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def url():
    return POSTGRES.bare()


def move(home, url):
    said = []
    move_store(Settings(home=home, database_url=url), said.append)
    return said


def put_back(home):
    (home / "pairloop.moved.db").rename(home / "pairloop.db")


def held_by(database):
    with database.read() as connection:
        found = {table.name: held(connection, table) for table in TABLES}
    database.close()
    return found


def test_every_row_arrives_and_the_workspace_goes_on_there(home, url):
    database = open_database(home / "pairloop.db")
    before, store_id = held_by(database), database.id
    said = move(home, url)
    assert held_by(open_shared(Server(url, ""))) == before
    assert f"documents: {before['documents'].rows:,} rows" in said
    assert f"{sum(item.rows for item in before.values()):,} rows of {len(before)} tables" in said[-1]
    assert url not in said[-1] and "pairloop.moved.db" in said[-1]
    services = open_workspace(home, database_url=url)
    assert (services.store.id, services.store.replica) == (store_id, store_id)
    assert "with  in it" in {item.name for item in services.store.queries.sets()}
    assert next(model for model in services.registry.all() if model.name == "c").config == {"loss": None}
    assert services.annotation.next_record(services.datasets.all()[0].id, services.store.members.by_token("a" * 64))
    services.close()


def test_twice_is_the_same_as_once(home, url):
    move(home, url)
    put_back(home)
    assert "was there already" in move(home, url)[-1]


def test_a_database_that_holds_something_else_is_refused_and_stays(home, url):
    store = open_store(None, server=Server(url, ""))
    store.queries.add_set("of somebody else", [])
    before = rows_of(store)
    with pytest.raises(StoreError, match="not empty.*query sets.*nothing was changed"):
        move(home, url)
    assert rows_of(store) == before and (home / "pairloop.db").exists()
    store.close()


def test_what_was_cut_off_in_the_middle_left_nothing_and_is_done_again(home, url):
    open_shared(Server(url, "")).close()
    with pytest.raises(KeyboardInterrupt):

        def stop(line):
            if line.startswith("queries:"):
                raise KeyboardInterrupt

        move_store(Settings(home=home, database_url=url), stop)
    database = open_shared(Server(url, ""))
    assert sum(item.rows for item in held_by(database).values()) == 1
    assert "is there now" in move(home, url)[-1]


def test_a_row_that_did_not_arrive_as_it_was_takes_everything_back(home, url):
    database = open_shared(Server(url, ""))
    with database.write() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN NEW.text = NEW.text || ''.''; RETURN NEW; END'"
            )
        )
        connection.execute(text("CREATE TRIGGER other BEFORE INSERT ON queries FOR EACH ROW EXECUTE FUNCTION other()"))
    with pytest.raises(StoreError, match="^queries did not arrive as they were: nothing was kept"):
        move(home, url)
    assert sum(item.rows for item in held_by(database).values()) == 1 and (home / "pairloop.db").exists()


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda home: (home / "pairloop.db").unlink(), "There is no pairloop.db"),
        (lambda home: (home / "pairloop.db").write_bytes(b"no database " * 100), "not a database"),
    ],
)
def test_where_there_is_nothing_to_move_it_says_so(home, url, prepare, message):
    prepare(home)
    with pytest.raises(SettingsError, match=message):
        move(home, url)


def test_a_workspace_at_work_is_not_moved(home, url):
    lock = claim(home)
    with pytest.raises(SettingsError, match="Another Pairloop is using"):
        move(home, url)
    lock.release()
    with pytest.raises(SettingsError, match="Set DATABASE_URL"):
        move(home, "")


def test_the_command_as_people_type_it(home, url):
    environment = {**os.environ, "PAIRLOOP_HOME": str(home), "DATABASE_URL": url}
    asked = subprocess.run(
        [sys.executable, "app.py", "move-store"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr
    assert "table by table, by count and by SHA-256" in asked.stdout.splitlines()[-1]
    assert sqlite3.connect(home / "pairloop.moved.db").execute("SELECT count(*) FROM documents").fetchone() == (1,)
