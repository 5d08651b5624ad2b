"""Apps of two versions that start at once on a store of the older one: one brings it up, and the older opens it no more."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from pipeline.errors import SettingsError
from pipeline.store import engine
from pipeline.store.engine import open_database
from pipeline.store.shared import Server, engine_of, open_shared
from tests.pipeline.test_migrations import engine_of as file_engine
from tests.postgres import POSTGRES
from tests.stores import POSTGRESQL, SQLITE

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
