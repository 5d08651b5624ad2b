"""``/backup``: one look at the store for all who ask, which is never believed longer than it is true."""

from __future__ import annotations

import time
from types import SimpleNamespace

import psycopg
import pytest
from starlette.testclient import TestClient

from components.web.backup_route import LOOK_SECONDS, Looked
from components.web.mounting import mount
from pipeline import entrance
from pipeline.errors import OutdatedError
from pipeline.hub.state import BackupKind
from pipeline.records import Role
from tests import stores
from tests.people import open_team, team
from tests.workspace import open_workspace

THERE = "http://127.0.0.1"


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    """A workspace whose changes go into a folder as well."""
    services = open_workspace(tmp_path / "home", data_dir=tmp_path / "volume")
    services.backup.sync_now()
    yield services
    services.close()


def test_what_was_seen_is_told_for_a_second_and_not_longer(folder, clock):
    looked = Looked(folder, clock)
    assert looked.at_once() is None
    seen = looked.look()
    assert seen.kind is BackupKind.BACKED_UP and looked.at_once() is seen is looked.look()
    clock.now += LOOK_SECONDS
    assert looked.at_once() is None and looked.look() is not seen


def test_nobody_is_told_that_all_is_backed_up_after_a_change(folder, clock):
    looked = Looked(folder, clock)
    assert looked.look().kind is BackupKind.BACKED_UP
    folder.store.values.set_workspace_name("Another")
    assert looked.at_once() is None
    waiting = looked.look()
    assert waiting.kind is BackupKind.WAITING
    # That something waits stays true when there is more of it: that is told a moment later.
    folder.store.values.set_workspace_name("A third")
    assert looked.at_once() is waiting
    # And once it has arrived, that is told at once: the header does not contradict who has just pressed Sync now.
    folder.backup.sync_now()
    assert looked.at_once() is None and looked.look().kind is BackupKind.BACKED_UP


@pytest.fixture
def on_server(tmp_path):
    """A workspace on PostgreSQL, and a connection of somebody else to it."""
    with stores.on(stores.POSTGRESQL):
        url = stores.url_of(tmp_path / "home")
        services = open_workspace(tmp_path / "home", data_dir=tmp_path / "volume")
    with psycopg.connect(url, autocommit=True) as other:
        yield services, other
    services.close()


def test_a_store_that_cannot_be_looked_at_is_not_tried_by_one_after_the_other(on_server, clock):
    services, other = on_server
    looked = Looked(services, clock)
    # As a newer version leaves it.
    (known,) = other.execute("SELECT version_num FROM alembic_version").fetchone()
    other.execute("UPDATE alembic_version SET version_num = 'm999'")
    other.execute("ALTER TABLE changes RENAME TO changed")
    with pytest.raises(OutdatedError) as first:
        looked.look()
    other.execute("ALTER TABLE changed RENAME TO changes")
    other.execute("UPDATE alembic_version SET version_num = %s", (known,))
    for ask in (looked.at_once, looked.look):
        with pytest.raises(OutdatedError) as again:
            ask()
        assert str(again.value) == str(first.value)
    clock.now += LOOK_SECONDS
    assert looked.at_once() is None and looked.look().kind is BackupKind.WAITING


@pytest.fixture
def crew(tmp_path):
    services = open_team(tmp_path / "home")
    yield services, team(services)
    services.close()


def asked(server, person) -> int:
    return server.get("/backup", headers={"Cookie": f"pairloop_sign_in={person.cookie}"}).status_code


def test_whoever_was_let_in_a_moment_ago_is_refused_as_soon_as_that_is_over(crew):
    import app

    services, people = crew
    server = TestClient(mount(app.build_app(services), services), base_url=THERE)
    olga, anna, vera = people[Role.OWNER], people[Role.ANNOTATOR], people[Role.VIEWER]
    for _ in range(2):
        assert [asked(server, one) for one in (olga, anna, vera)] == [200] * 3
    services.entrance.sign_out(vera.cookie)
    assert [asked(server, one) for one in (olga, anna, vera)] == [200, 200, 401]
    services.people.remove(olga.id, anna.id)
    assert [asked(server, one) for one in (olga, anna, vera)] == [200, 401, 401]
    assert server.get("/backup").status_code == 401
    said = server.get("/backup?zone=999999", headers={"Cookie": f"pairloop_sign_in={olga.cookie}"}).json()
    assert said["kind"] == "local"


def test_who_somebody_is_is_known_for_a_minute_as_long_as_nothing_changes(crew, monkeypatch):
    services, people = crew
    olga, anna = people[Role.OWNER], people[Role.ANNOTATOR]
    door = services.entrance
    assert door.known(anna.cookie) is None and door.known("") is None
    found = door.signed_in(anna.cookie)
    assert door.known(anna.cookie) == found and found.role is Role.ANNOTATOR
    # Records and answers are no reason to look again.
    services.store.values.set_workspace_name("Another")
    assert door.known(anna.cookie) == found
    services.people.set_role(olga.id, anna.id, Role.VIEWER)
    assert door.known(anna.cookie) is None and door.signed_in(anna.cookie).role is Role.VIEWER
    monkeypatch.setattr(entrance, "KNOWN_SECONDS", -1.0)
    assert door.known(anna.cookie) is None


def test_a_sign_in_that_has_expired_is_known_no_more(crew, monkeypatch):
    services, people = crew
    anna = people[Role.ANNOTATOR]
    found = services.entrance.signed_in(anna.cookie)
    late = SimpleNamespace(time=lambda: found.expires_at, monotonic=time.monotonic)
    monkeypatch.setattr(entrance, "time", late)
    assert services.entrance.known(anna.cookie) is None
