"""Apps of two versions on a store of the older one: one brings it up, and the older opens it no more.

Who works on it with the older version at that moment is not stopped: from then on it saves nothing, and says why.
"""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from components.web.health import readiness
from pipeline.errors import OutdatedError, SettingsError
from pipeline.store import engine
from pipeline.store.engine import open_database
from pipeline.store.shared import Server, engine_of, open_shared
from tests.pipeline.test_migrations import engine_of as file_engine
from tests.postgres import POSTGRES
from tests.stores import POSTGRESQL, SQLITE
from tests.waiting import wait_until
from tests.workspace import open_workspace

ROOT = Path(__file__).resolve().parents[2]
# An app of a version whose newest migrations are those of a folder: it says whether it could open the store, or why not.
APP = """
import sys
from pathlib import Path
from pipeline.errors import SettingsError
from pipeline.store import engine
from pipeline.store.shared import Server, open_shared
migrations, place = sys.argv[1:]
engine.MIGRATIONS = Path(migrations)
print("ready", flush=True)
sys.stdin.readline()
try:
    database = open_shared(Server(place, "")) if place.startswith("postgresql:") else engine.open_database(Path(place))
except SettingsError as error:
    print(error, flush=True)
else:
    print("open", flush=True)
    database.close()
"""


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def place(request, tmp_path):
    """Where the store is."""
    return str(tmp_path / "pairloop.db") if request.param == SQLITE else POSTGRES.bare()


@pytest.fixture
def older(tmp_path, place):
    """The migrations of the version before this one, by which the store was made, with a person in it."""
    folder = tmp_path / "older"
    shutil.copytree(engine.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    scripts = engine._scripts()
    newest = scripts.get_revision(scripts.get_current_head())
    next(folder.glob(f"versions/{newest.revision}_*.py")).unlink()
    made = connections(place)
    with made.execution_options(pairloop_write=True).begin() as connection:
        engine.upgrade(connection, newest.down_revision)
        connection.execute(text("INSERT INTO members (id, name, created_at) VALUES ('m1', 'Ada', 1.0)"))
    made.dispose()
    return folder, newest


def connections(place):
    return engine_of(place, "test") if place.startswith("postgresql:") else file_engine(Path(place))


def opened(place):
    return open_shared(Server(place, "")) if place.startswith("postgresql:") else open_database(Path(place))


def test_two_versions_that_start_at_once_leave_one_store_of_the_newer_one(place, older, monkeypatch):
    folder, newest = older
    apps = [
        subprocess.Popen(
            [sys.executable, "-c", APP, str(migrations), place],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for migrations in (engine.MIGRATIONS, folder, engine.MIGRATIONS)
    ]
    for app in apps:
        assert app.stdout.readline() == "ready\n"
    for app in apps:
        app.stdin.write("\n")
        app.stdin.flush()
    first, old, second = (app.communicate(timeout=60)[0].strip() for app in apps)
    assert (first, second) == ("open", "open")
    refusal = f"a newer version of Pairloop has used it (its schema is {newest.revision}, this one knows {newest.down_revision})"
    # Where it was the first it opened what was there; afterwards it cannot any more.
    assert old == "open" or refusal in old
    with monkeypatch.context() as patched:
        patched.setattr(engine, "MIGRATIONS", folder)
        engine._scripts.cache_clear()
        with pytest.raises(SettingsError, match="use the version that made it") as refused:
            opened(place)
    engine._scripts.cache_clear()
    assert refusal in str(refused.value)
    database = opened(place)
    with database.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [(newest.revision,)]
        assert connection.execute(text("SELECT name FROM members WHERE id = 'm1'")).all() == [("Ada",)]
    database.close()


NAMES = text("SELECT name FROM members ORDER BY id")
ADD = text("INSERT INTO members (id, name, created_at) VALUES ('m2', 'Bob', 2.0)")


@pytest.fixture
def at_work(place, older, monkeypatch):
    """A store that was opened by the older version."""
    folder, _ = older
    with monkeypatch.context() as patched:
        patched.setattr(engine, "MIGRATIONS", folder)
        engine._scripts.cache_clear()
        database = open_shared(Server(place, "older"))
    engine._scripts.cache_clear()
    yield database
    database.close()


@pytest.mark.parametrize("place", [POSTGRESQL], indirect=True)
def test_who_is_at_work_when_a_newer_version_starts_saves_nothing_from_then_on_and_says_why(place, older, at_work):
    _, newest = older
    with at_work.write() as connection:
        connection.execute(ADD)
    newer = opened(place)
    with pytest.raises(OutdatedError) as refused, at_work.write() as connection:
        connection.execute(text("DELETE FROM members"))
    assert f"its schema is {newest.revision}, this one knows {newest.down_revision}" in str(refused.value)
    # What can still be read is read.
    with at_work.read() as connection:
        assert connection.scalars(NAMES).all() == ["Ada", "Bob"]
    with newer.write() as connection:
        connection.execute(text("ALTER TABLE members RENAME COLUMN name TO called"))
    with pytest.raises(OutdatedError, match="starts the newer version"), at_work.read() as connection:
        connection.execute(NAMES)
    # An error of our own stays what it is.
    with pytest.raises(ProgrammingError), newer.read() as connection:
        connection.execute(NAMES)
    newer.close()


@pytest.mark.parametrize("place", [POSTGRESQL], indirect=True)
def test_what_waits_for_the_migrations_is_not_written_after_them(place, at_work):
    told = []

    def write():
        try:
            with at_work.write() as connection:
                connection.execute(ADD)
        except OutdatedError as error:
            told.append(str(error))

    writing = threading.Thread(target=write)
    with psycopg.connect(place) as migrating, psycopg.connect(place, autocommit=True) as looking:
        migrating.execute("SELECT pg_advisory_xact_lock(715001, hashtext(current_schema() || ' writing'))")
        writing.start()
        deadline = time.monotonic() + 30
        while not looking.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchall():
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.01)
        migrating.execute("UPDATE alembic_version SET version_num = 'm999'")
    writing.join(30)
    assert len(told) == 1 and "its schema is m999" in told[0]
    with at_work.read() as connection:
        assert connection.scalars(NAMES).all() == ["Ada"]


def test_an_outdated_app_is_not_ready_and_leaves_its_work_to_the_newer_ones(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.replicas.TICK_SECONDS", 0.05)
    url = POSTGRES.url_of(tmp_path / "pairloop.db")
    services = open_workspace(tmp_path / "home", database_url=url)
    services.start_backup()
    wait_until(lambda: services.replicas.leads)
    assert readiness(services, 0.0)["ready"]
    with psycopg.connect(url) as newer:
        newer.execute("UPDATE alembic_version SET version_num = 'm999'")
    wait_until(lambda: not services.replicas.leads)
    said = readiness(services, 0.0)
    assert (said["ready"], said["store"]) == (False, "outdated")
    with psycopg.connect(url) as newer:
        # Nobody holds its name, so that its work can be taken over.
        name = f"replica {services.store.replica}"
        free = "SELECT pg_try_advisory_lock(715001, hashtext(current_schema() || ' ' || %s))"
        # PostgreSQL gives a lock back when it notices that its connection has ended, which is a moment after that end.
        wait_until(lambda: newer.execute(free, (name,)).fetchone() == (True,))
    with pytest.raises(OutdatedError):
        services.store.members.by_token("a" * 64)
    services.close()
