"""Two workspaces in one PostgreSQL database: a schema for each, and locks that do not meet."""

import threading

import psycopg
import pytest

from pipeline.move_store import move_store
from pipeline.settings import Settings
from pipeline.store import Server, open_store
from pipeline.store.workspaces import schema_of
from tests import stores
from tests.postgres import POSTGRES
from tests.workspace import open_workspace


@pytest.fixture
def url():
    return POSTGRES.bare()


def open_at(url, slug, tmp_path):
    return open_store(tmp_path / slug, server=Server(url, "", schema_of(slug) if slug else ""))


def test_rows_and_locks_of_one_are_not_in_the_way_of_another(url, tmp_path):
    main, red, blue = (open_at(url, slug, tmp_path) for slug in ("", "red", "team-blue"))
    try:
        for store, name in ((main, "Main"), (red, "Red"), (blue, "Blue")):
            store.values.set_workspace_name(name)
        assert [store.values.workspace_name() for store in (main, red, blue)] == ["Main", "Red", "Blue"]
        assert len({main.id, red.id, blue.id}) == 3
        written = threading.Event()

        def write():
            red.values.set_workspace_name("Written meanwhile")
            with red.database.alone("models"):
                written.set()

        with main.database.write(), blue.database.write(), blue.database.alone("models"):
            threading.Thread(target=write, daemon=True).start()
            assert written.wait(20)
        assert red.database.versions() != main.database.versions()
    finally:
        for store in (main, red, blue):
            store.close()
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT table_schema, count(*) FROM information_schema.tables WHERE table_name = 'members' GROUP BY 1"
        ).fetchall()
        kinds = connection.execute(
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public_w_team_blue' "
            "AND (data_type = 'integer' OR data_type = 'character varying')"
        ).fetchone()
    assert sorted(found) == [("public", 1), ("public_w_red", 1), ("public_w_team_blue", 1)]
    # Texts of any length and whole numbers of 64 bits, as in the main one; the table of migrations is alembic's own.
    assert kinds == (0,) or kinds == (1,)


def test_a_store_of_several_replicas_in_a_schema_sees_what_the_others_write(url, tmp_path):
    one, two = open_at(url, "red", tmp_path), open_at(url, "red", tmp_path)
    try:
        before = two.database.versions()
        one.values.set_workspace_name("Red")
        assert two.values.workspace_name() == "Red" and two.database.versions() != before
    finally:
        one.close()
        two.close()


def test_all_workspaces_move_to_one_database(url, tmp_path):
    with stores.on(stores.SQLITE):
        main = open_workspace(tmp_path / "home")
        made = main.workspaces.create(main.store.members.by_token("a" * 64), "Red")
        red = open_workspace(main.workspaces.settings_of(made).home)
        red.store.values.set_workspace_name("Red")
        main.close()
        red.close()
    said = []
    move_store(Settings(home=tmp_path / "home", database_url=url), said.append)
    assert "The workspace red:" in said and len([line for line in said if "The file is kept as" in line]) == 2
    main, red = (open_at(url, slug, tmp_path) for slug in ("", "red"))
    try:
        assert red.values.workspace_name() == "Red" and main.values.workspace_name() == ""
        assert [one.slug for one in main.workspaces.all()] == ["red"] and red.workspaces.all() == []
    finally:
        main.close()
        red.close()
