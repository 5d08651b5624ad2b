"""The store: transactions, several threads and processes at once, what a stopped process leaves, and what is not there."""

import hashlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import func, select

from pipeline.annotation.templates import review_settings
from pipeline.comparison_settings import ComparisonSettings
from pipeline.errors import NotFoundError, SettingsError
from pipeline.records import Answer, Context, Document, JobState, Model, Section, Split, new_id
from pipeline.store.members import AUTOMATIC
from pipeline.store.rows import put
from pipeline.store.runs import NewRun, completion_of
from pipeline.store.schema import members, query_sets
from tests.stores import code_to_open, open_store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "pairloop.db")
    yield store
    store.close()


def add_model(store, name="model", **changes):
    model = Model(new_id(), name, "extractive", {"weights": [1.5, -2]}, "answer-review", created_at=5.0, **changes)
    store.models.add(model)
    return model


def count(store, table):
    with store.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def start_run(store, model, reused=0):
    set_id = store.queries.add_set("list", [("One?", Split.TRAIN, {"topic": "x"}), ("Two?", Split.TEST, {})])
    return store.runs.start(NewRun(model.id, set_id, None, "r", 2, reused)), store.queries.in_set(set_id)


def test_a_write_that_fails_leaves_nothing_of_itself(store):
    with pytest.raises(RuntimeError, match="in the middle"), store.database.write() as connection:
        put(connection, query_sets, [{"id": "s1", "name": "n", "kind": "list", "created_at": 1.0}])
        raise RuntimeError("in the middle")
    assert count(store, query_sets) == 0
    store.queries.add_set("after", [])
    assert [item.name for item in store.queries.sets()] == ["after"]


def test_a_row_that_points_nowhere_is_refused(store):
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        store.runs.start(NewRun("nobody", "no list", None, "r", 1, 0))
    assert store.runs.latest() == []


@pytest.mark.sqlite
def test_commits_are_synced_to_the_disk_and_readers_do_not_wait_for_writers(store):
    with store.database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    with store.database.write() as connection:
        put(connection, query_sets, [{"id": "s1", "name": "n", "kind": "list", "created_at": 1.0}])
        assert store.queries.sets() == []
    assert len(store.queries.sets()) == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("name", ["with blanks and ü", "50% #1", "what?", "a&b=c;d", "日本語"])
def test_the_folder_may_have_any_name(tmp_path, name):
    store = open_store(tmp_path / name / "deep" / "pairloop.db")
    store.queries.add_set("list", [])
    store.close()
    assert (tmp_path / name / "deep" / "pairloop.db").is_file()
    again = open_store(tmp_path / name / "deep" / "pairloop.db")
    assert len(again.queries.sets()) == 1
    again.close()


def test_everything_comes_back_as_it_was_after_a_restart(tmp_path):
    store = open_store(tmp_path / "pairloop.db")
    parent = add_model(store, "parent")
    child = add_model(store, "child", parent_id=parent.id, job_id="j1")
    sections = (Section(0, "Start"), Section(5, "Next", 2))
    document = Document(new_id(), "d.md", "text/markdown", "a" * 64, "Start and next.", sections)
    store.documents.add(document, [])
    run_id, (query, _) = start_run(store, child)
    contexts = (Context("c1", "d1", "d.md", "Text.", 3, 8, 1.25, "Head", 7), Context("c2", "d1", "d.md", "", 0, 0, 0.5))
    retrieval = store.queries.add_retrievals("r", {query.id: contexts})[query.id]
    completion = completion_of(
        Answer("Yes. [1]", True, (1, 2), 0.5, 10, None), run_id, child.id, query.id, retrieval.id
    )
    store.runs.add_completion(completion)
    store.close()
    store = open_store(tmp_path / "pairloop.db")
    assert store.models.all() == [parent, child] and store.models.get(child.id) == child
    found = store.documents.get(document.id)
    assert (found.sections, found.text, found.sha256) == (sections, document.text, document.sha256)
    assert store.queries.by_ids([query.id]) == {query.id: query} and query.metadata == {"topic": "x"}
    assert store.queries.retrievals_of([query.id], "r")[query.id] == retrieval and retrieval.contexts == contexts
    (stored,) = store.runs.of_run(run_id)
    assert (stored.text, stored.refused, stored.citations, stored.prompt_tokens) == ("Yes. [1]", True, (1, 2), 10)
    assert store.runs.by_ids([completion.id]) == {completion.id: stored} and stored.completion_tokens is None
    store.close()


@pytest.mark.parametrize(
    "look",
    [
        lambda store: store.models.get("x"),
        lambda store: store.documents.get("x"),
        lambda store: store.documents.delete("x"),
        lambda store: store.queries.set_name("x"),
        lambda store: store.runs.get("x"),
        lambda store: store.runs.finish("x", JobState.DONE),
        lambda store: store.datasets.get("x"),
        lambda store: store.datasets.record("x"),
        lambda store: store.training.finish("x", JobState.DONE),
        lambda store: store.comparisons.set("x"),
        lambda store: store.comparisons.get("x"),
        lambda store: store.votes.draw("x", "y", lambda models, earlier: (0, 1)),
        lambda store: store.members.rename("x", "Ada"),
    ],
)
def test_what_is_not_there_is_said_to_be_gone(store, look):
    with pytest.raises(NotFoundError, match="not in the workspace any more"):
        look(store)


def test_asking_for_what_is_not_there_among_others_leaves_it_out(store):
    model = add_model(store)
    assert store.queries.in_set("x") == store.documents.searched_chunks() == store.datasets.records("x") == []
    assert store.queries.by_ids(["x"]) == store.runs.by_ids(["x"]) == store.documents.chunks_by_id(["x"]) == {}
    assert store.runs.answered(model.id, ["x"]) == {} and store.queries.retrievals_of(["x"], "r") == {}
    assert store.members.name("x") == "" and store.responses.get("x", "y") is None


def test_a_long_list_is_read_in_one_go(store):
    set_id = store.queries.add_set("long", [(f"Query {n}?", Split.TRAIN, {}) for n in range(5000)])
    queries = store.queries.in_set(set_id)
    assert [query.text for query in queries] == [f"Query {n}?" for n in range(5000)]
    assert len(store.queries.by_ids([query.id for query in queries])) == 5000


def test_the_same_cookie_is_the_same_person_and_only_its_hash_is_kept(store):
    token = "0123456789abcdef" * 4
    ada = store.members.by_token(token)
    assert store.members.by_token(token) == ada != store.members.by_token("f" * 64)
    assert [store.members.names()[ada], store.members.names()[AUTOMATIC]] == ["Guest 1", "automatic tie"]
    with store.database.read() as connection:
        rows = connection.execute(select(members)).mappings().all()
    assert token not in str(rows) and hashlib.sha256(token.encode()).hexdigest() in str(rows)


def test_a_first_sight_by_many_requests_at_once_makes_one_person(store):
    gate, found = threading.Barrier(8), []

    def look():
        gate.wait()
        found.append(store.members.by_token("a" * 64))

    threads = [threading.Thread(target=look) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(found) == 8 and len(set(found)) == 1


def test_contexts_are_stored_once_and_the_first_ones_stay(store):
    _, (query, other) = start_run(store, add_model(store))
    first = store.queries.add_retrievals("r", {query.id: [Context("c1", "d", "d.md", "One.", 0, 4, 1.0)]})[query.id]
    second = store.queries.add_retrievals("r", {query.id: [Context("c2", "d", "d.md", "Two.", 0, 4, 1.0)]})[query.id]
    assert second == first and store.queries.retrievals_of([query.id, other.id], "r") == {query.id: first}
    assert store.queries.add_retrievals("another", {query.id: []})[query.id].contexts == ()
    assert store.queries.retrievals_by_id([first.id]) == {first.id: first}


def test_a_run_counts_good_failed_and_reused_answers_apart(store):
    model = add_model(store)
    run_id, (one, two) = start_run(store, model, reused=3)
    for query, error in ((one, ""), (two, "The endpoint is down.")):
        retrieval = store.queries.add_retrievals("r", {query.id: []})[query.id]
        answer = completion_of(Answer("x"), run_id, model.id, query.id, retrieval.id)
        store.runs.add_completion(answer if not error else type(answer)(**{**_fields(answer), "error": error}))
    run = store.runs.get(run_id)
    assert (run.done, run.failed, run.state, run.split) == (4, 1, JobState.RUNNING, None)
    ids = [retrieval.id for retrieval in store.queries.retrievals_of([one.id, two.id], "r").values()]
    assert [answer.query_id for answer in store.runs.answered(model.id, ids).values()] == [one.id]


def _fields(item):
    return {name: getattr(item, name) for name in item.__slots__}


def test_of_two_answers_over_the_same_contexts_the_newest_counts(store):
    model = add_model(store)
    run_id, (query, _) = start_run(store, model)
    retrieval = store.queries.add_retrievals("r", {query.id: []})[query.id]
    for text in ("Old.", "New."):
        store.runs.add_completion(completion_of(Answer(text), run_id, model.id, query.id, retrieval.id))
    assert store.runs.answered(model.id, [retrieval.id])[retrieval.id].text == "New."


def test_opening_marks_what_a_stopped_process_left_and_nothing_else(tmp_path):
    store = open_store(tmp_path / "pairloop.db")
    model, other = add_model(store), add_model(store, "other")
    left, _ = start_run(store, model)
    ended, _ = start_run(store, model)
    store.runs.finish(ended, JobState.FAILED, "Its own reason.")
    dataset = store.datasets.add_of_run("d", review_settings("answer-review"), "answer-review", ended, [])
    job = store.training.start("embedded", dataset, model.id, [])
    list_id = store.queries.sets()[0].id
    half = store.comparisons.add_set("half", ComparisonSettings((model.id, other.id)), list_id)
    whole = store.comparisons.add_set("whole", ComparisonSettings((model.id, other.id)), list_id)
    store.comparisons.open_set(whole, [], {"pairs": 0})
    store.close()
    store = open_store(tmp_path / "pairloop.db")
    assert store.runs.get(left).state is JobState.INTERRUPTED
    assert (store.runs.get(ended).state, store.runs.get(ended).error) == (JobState.FAILED, "Its own reason.")
    assert [(item.id, item.state) for item in store.training.jobs()] == [(job, JobState.INTERRUPTED)]
    assert (
        store.comparisons.set(half).state == "interrupted"
        and "finished answers are kept" in store.comparisons.set(half).error
    )
    assert (store.comparisons.set(whole).state, store.comparisons.set(whole).error) == ("open", "")
    store.close()


def test_two_processes_that_write_at_once_lose_nothing(store, tmp_path):
    program = (
        "import sys; from pathlib import Path; from pipeline.store import Server, open_store\n"
        f"store = {code_to_open(tmp_path / 'pairloop.db')}\n"
        "for n in range(60):\n"
        "    store.queries.add_set(f'{sys.argv[1]} {n}', [])\n"
        "    store.members.by_token(f'{n:064x}')\n"
    )
    command = [sys.executable, "-c", program]
    processes = [subprocess.Popen([*command, name], cwd=ROOT, stderr=subprocess.PIPE) for name in ("one", "two")]
    for n in range(60):
        store.queries.add_set(f"three {n}", [])
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == [b"", b""]
    names = [item.name for item in store.queries.sets()]
    assert sorted(names) == sorted(f"{who} {n}" for who in ("one", "two", "three") for n in range(60))
    assert len(store.members.names()) == 61


@pytest.mark.sqlite
def test_a_file_that_is_no_store_is_not_touched_and_named(tmp_path):
    file = tmp_path / "pairloop.db"
    file.write_bytes(b"This is a text file, not a database. " * 40)
    with pytest.raises(SettingsError, match="not a database.*PAIRLOOP_HOME") as error:
        open_store(file)
    assert str(file) in str(error.value)
    assert file.read_bytes() == b"This is a text file, not a database. " * 40


@pytest.mark.sqlite
def test_a_store_of_a_newer_version_is_not_touched_and_named(tmp_path):
    store = open_store(tmp_path / "pairloop.db")
    store.queries.add_set("list", [])
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'm999'")
    store.close()
    with pytest.raises(SettingsError, match="m999.*version that made it"):
        open_store(tmp_path / "pairloop.db")
    rows = sqlite3.connect(tmp_path / "pairloop.db").execute("SELECT name FROM query_sets").fetchall()
    assert rows == [("list",)]


@pytest.mark.sqlite
def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "home").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="home cannot be used.*PAIRLOOP_HOME"):
        open_store(tmp_path / "home" / "pairloop.db")
