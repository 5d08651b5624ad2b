"""The schema: reached from an empty file and from the first schema, and the same as the tables in the code."""

import re

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, event, inspect, text

from pipeline.store.engine import _begin, _set_pragmas, migrate, open_database
from pipeline.store.schema import metadata


def engine_of(file):
    engine = create_engine(f"sqlite:///{file}")
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def differences(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, metadata)


def test_an_empty_file_gets_the_schema_of_the_code(tmp_path):
    database = open_database(tmp_path / "new.db")
    assert differences(database.engine) == []
    assert set(inspect(database.engine).get_table_names()) == {*metadata.tables, "alembic_version"}


def made(engine):
    """Return what SQLite holds of every table and index: its parts, in whatever order, and the revision."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master")).all()
        revisions = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    plain = [(*row[:3], re.sub(r"\s+", "", row.sql or "").replace('"', "")) for row in rows]
    return {(*names, *sorted(re.split(r",(?![^(]*\))|\)$", sql))) for *names, sql in plain}, revisions


def test_a_new_store_is_made_as_the_migrations_would_make_it(tmp_path):
    step_by_step = engine_of(tmp_path / "old.db")
    migrate(step_by_step, "m001")
    migrate(step_by_step)
    at_once = open_database(tmp_path / "new.db").engine
    assert made(at_once) == made(step_by_step)
    assert len(made(at_once)[0]) > 100


def test_the_first_schema_is_brought_up_with_its_rows(tmp_path):
    engine = engine_of(tmp_path / "old.db")
    migrate(engine, "m001")
    with engine.execution_options(pairloop_write=True).begin() as connection:
        connection.execute(text("INSERT INTO members (id, name, created_at) VALUES ('m1', 'Ada', 1.0)"))
        connection.execute(
            text("INSERT INTO query_sets (id, name, kind, created_at) VALUES ('s1', 'First list', 'list', 1.0)")
        )
        for name, parent in (("base", "NULL"), ("tuned", "'base'")):
            values = f"('{name}', '{name}', 'extractive', '{{}}', 'answer-review', {parent}, 1.0)"
            connection.execute(
                text(
                    "INSERT INTO models (id, name, provider, config, template, parent_id, created_at) "
                    f"VALUES {values}".replace(":", "\\:")
                )
            )
        connection.execute(
            text(
                "INSERT INTO runs (id, model_id, query_set_id, retriever, state, total, reused, error, created_at) "
                "VALUES ('r1', 'tuned', 's1', 'bm25', 'done', 1, 0, '', 1.0)"
            )
        )
    engine.dispose()
    database = open_database(tmp_path / "old.db")
    assert differences(database.engine) == []
    with database.read() as connection:
        assert connection.execute(text("SELECT name FROM members")).scalar() == "Ada"
        assert connection.execute(text("SELECT name FROM query_sets")).scalar() == "First list"
        assert connection.execute(text("SELECT model_id FROM runs")).scalar() == "tuned"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        # What the first version wrote waits for a repo like everything that is written from now on.
        waiting = connection.execute(text("SELECT table_name, row_id FROM changes WHERE in_repo = 0")).all()
        assert set(waiting) == {
            ("members", "m1"), ("query_sets", "s1"), ("models", "base"), ("models", "tuned"), ("runs", "r1"),
        }  # fmt: skip


def test_opening_twice_changes_nothing(tmp_path):
    open_database(tmp_path / "same.db").close()
    database = open_database(tmp_path / "same.db")
    assert differences(database.engine) == []


def test_commits_reach_the_disk_before_they_are_acknowledged(tmp_path):
    with open_database(tmp_path / "durable.db").read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
