"""A store on PostgreSQL that several replicas share: each database object here is what a process of its own has."""

import threading
import time
from collections import Counter

import psycopg
import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import InterfaceError, InternalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipeline import ulid
from pipeline.annotation.settings import Distribution
from pipeline.comparison_settings import ComparisonSettings
from pipeline.errors import SettingsError, StoreError
from pipeline.finetune.jobs import JobRunner
from pipeline.finetune.trainers import Progress, Tuned
from pipeline.records import Answer, Change, Document, JobState, Model, Split, new_id
from pipeline.settings import Settings, from_environment
from pipeline.store import Server, open_store
from pipeline.store.local_schema import changes
from pipeline.store.presence import Presence
from pipeline.store.runs import NewRun, completion_of
from pipeline.store.schema import metadata
from pipeline.store.shared import engine_of
from tests.postgres import POSTGRES

DISTRIBUTION = Distribution(min_submitted=1)


@pytest.fixture
def url(tmp_path):
    return POSTGRES.url_of(tmp_path / "pairloop.db")


@pytest.fixture
def open_replica(url):
    opened = []

    def open_it(replica=None):
        opened.append(open_store(None, server=Server(url, replica or new_id())))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def one(open_replica):
    return open_replica()


@pytest.fixture
def other(open_replica):
    return open_replica()


def add_run(store):
    model = Model(new_id(), "model", "extractive", {}, "answer-review", created_at=5.0)
    store.models.add(model)
    set_id = store.queries.add_set("list", [(f"Query {n}?", Split.TRAIN, {}) for n in range(3)])
    queries = store.queries.in_set(set_id)
    retrievals = store.queries.add_retrievals("r", {query.id: [] for query in queries})
    run_id = store.runs.start(NewRun(model.id, set_id, None, "r", 3, 0))
    made = [completion_of(Answer(q.text), run_id, model.id, q.id, retrievals[q.id].id) for q in queries]
    return run_id, made


def test_two_replicas_are_one_store_to_the_repo_and_two_to_each_other(one, other):
    assert one.id == other.id and one.replica != other.replica


def test_texts_are_in_the_order_of_their_bytes_and_whole_numbers_have_64_bits(url):
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT data_type, collation_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND table_name <> 'alembic_version'"
        ).fetchall()
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert Counter(found).keys() == {
        ("text", "C"), ("bigint", None), ("double precision", None), ("boolean", None), ("json", None),
    }  # fmt: skip
    assert {name for (name,) in tables} == {*metadata.tables, "alembic_version"}


def test_what_one_replica_writes_the_other_reads_at_once_whatever_it_keeps_in_memory(one, other):
    model = Model(new_id(), "model", "extractive", {}, "answer-review", created_at=5.0)
    assert other.models.all() == []
    one.models.add(model)
    assert other.models.all() == [model]
    other.models.retire(model.id)
    assert one.models.all()[0].retired_at is not None
    second = Model(new_id(), "second", "extractive", {}, "answer-review", created_at=6.0)
    other.models.add(second)
    settings = ComparisonSettings((model.id, second.id))
    list_id = one.queries.add_set("list", [])
    assert other.comparisons.sets() == []
    set_id = one.comparisons.add_set("set", settings, list_id)
    assert [item.state for item in other.comparisons.sets()] == ["preparing"]
    one.comparisons.open_set(set_id, [], {})
    assert [item.state for item in other.comparisons.sets()] == ["open"]


def test_a_version_is_that_of_the_rows_that_are_read_after_it(one, other):
    before = other.database.version(metadata.tables["members"])
    with one.database.write() as connection:
        connection.execute(text("UPDATE members SET name = 'x'"))
        assert other.database.version(metadata.tables["members"]) == before
    one.members.by_token("a" * 64)
    assert other.database.version(metadata.tables["members"]) > before


def test_a_write_that_is_rolled_back_changes_no_version(one, other):
    before = other.database.versions()
    with pytest.raises(RuntimeError), one.database.write() as connection:
        connection.execute(metadata.tables["members"].insert().values(id="m", name="M", created_at=1.0))
        raise RuntimeError
    assert other.database.versions() == before


def test_the_later_change_has_the_later_stamp_though_its_clock_is_an_hour_behind(one, other):
    member = one.members.by_token("a" * 64)
    other.database.writer.stamps = ulid.Stamps(clock=lambda: time.time() - 3600)
    stamps = []
    for store, name in ((one, "first"), (other, "second"), (one, "third")):
        store.members.rename(member, name)
        with store.database.read() as connection:
            stamps.append(connection.scalar(select(changes.c.stamp).where(changes.c.row_id == member)))
    assert stamps == sorted(stamps) and len(set(stamps)) == 3


def test_of_many_who_ask_at_once_on_two_replicas_one_gets_the_last_place(one, other):
    records = [f"record {n}" for n in range(4)]
    got, together = [], threading.Barrier(12)

    def ask(store, who):
        together.wait()
        got.append(store.responses.claim(records, who, DISTRIBUTION, 60.0))

    people = [threading.Thread(target=ask, args=((one, other)[n % 2], f"person {n}")) for n in range(12)]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    assert Counter(got) == Counter([*records, *[None] * 8])


def test_one_at_a_time_is_let_through_over_all_replicas_and_may_come_in_twice(one, other):
    seen = []

    def work(store, name):
        with store.database.alone("test"), store.database.alone("test"):
            seen.append(name)
            time.sleep(0.05)
            seen.append(name)

    threads = [threading.Thread(target=work, args=(store, n)) for n, store in enumerate((one, other, one, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(seen[n] == seen[n + 1] for n in range(0, 8, 2)) and len(set(seen)) == 4


def test_texts_with_nul_and_numbers_that_are_none_are_taken_without_them(one):
    list_id = one.queries.add_set("a\x00b", [("What\x00?", Split.TRAIN, {"topic": "x\x00y"})])
    assert one.queries.set_name(list_id) == "ab"
    (query,) = one.queries.in_set(list_id)
    assert (query.text, query.metadata) == ("What?", {"topic": "x\x00y"})
    document = Document(new_id(), "d", "text/plain", "a" * 64, "x" * 10, ())
    one.documents.add(document, [])
    model = Model(new_id(), "m", "extractive", {"loss": float("nan"), "all": [1.5, float("inf")]}, "t", created_at=1.0)
    one.models.add(model)
    assert one.models.get(model.id).config == {"loss": None, "all": [1.5, None]}


def test_rows_that_come_before_those_they_point_at_and_large_numbers_are_merged(one):
    child, parent = (
        {"id": name, "name": name, "provider": "extractive", "config": {}, "template": "t", "created_at": 1.0}
        | {"parent_id": above, "job_id": None, "replaces_id": None, "retired_at": None}
        for name, above in (("child", "parent"), ("parent", None))
    )
    query_set = {"id": "s", "name": "n" * 500, "kind": "list", "created_at": 1.0}
    query = {"id": "q", "query_set_id": "s", "position": 2**62, "text": "t", "split": "train", "metadata": {}}
    rows = [("queries", query), ("query_sets", query_set), ("models", child), ("models", parent)]
    merged = one.merging.merge([Change(table, row["id"], new_id(), "elsewhere", row) for table, row in rows], "repo")
    assert (merged.applied, merged.parked) == (4, 0)
    assert one.models.get("child").parent_id == "parent" and one.queries.set_name("s") == "n" * 500


def test_lists_of_any_length_are_read(one):
    run_id, made = add_run(one)
    one.runs.add_completions(made)
    many = [f"nobody {n}" for n in range(66_000)]
    model_id = made[0].model_id
    assert len(one.runs.answered(model_id, [*many, *(item.retrieval_id for item in made)])) == 3
    assert len(one.queries.retrievals_of([*many[:10_000], *(item.query_id for item in made)], "r")) == 3
    assert one.runs.get(run_id).done == 3


def test_a_run_is_ended_from_another_replica_and_what_was_paid_for_is_kept(one, other):
    run_id, made = add_run(one)
    assert one.runs.add_completions(made[:1])
    other.runs.end_elsewhere(run_id)
    assert not one.runs.add_completions(made[1:2])
    one.runs.finish(run_id, JobState.DONE)
    run = other.runs.get(run_id)
    assert (run.state, run.done) == (JobState.CANCELLED, 2)


def test_a_run_that_was_taken_over_is_the_others_and_nothing_is_stored_twice(one, other):
    run_id, made = add_run(one)
    one.runs.finish(run_id, JobState.INTERRUPTED)
    one.runs.reopen(run_id, 2.5)
    one.runs.add_completions(made[:1])
    assert other.runs.left_by(one.replica) == [run_id]
    assert [other.runs.take_over(run_id, one.replica) for _ in range(2)] == [(True, 2.5), (False, None)]
    assert other.runs.left_by(one.replica) == []
    assert other.runs.add_completions(made[1:2])
    assert not one.runs.add_completions(
        [completion_of(Answer("late"), run_id, made[1].model_id, made[1].query_id, made[1].retrieval_id)]
    )
    one.runs.finish(run_id, JobState.FAILED, "lost")
    assert other.runs.get(run_id).state is JobState.RUNNING
    other.runs.add_completions(made[2:])
    other.runs.finish(run_id, JobState.DONE)
    run = one.runs.get(run_id)
    assert (run.state, run.done, run.failed) == (JobState.DONE, 3, 0)
    assert sorted(item.text for item in one.runs.of_run(run_id)) == ["Query 0?", "Query 1?", "Query 2?"]


def test_of_two_who_resume_one_run_one_does(one, other):
    run_id, _ = add_run(one)
    one.runs.finish(run_id, JobState.INTERRUPTED)
    assert [one.runs.reopen(run_id), other.runs.reopen(run_id)] == [True, False]


def test_one_replica_leads_and_another_when_it_is_gone(one, other):
    first, second = Presence(one.database), Presence(other.database)
    assert first.enter() and second.enter() and first.elect() and not second.elect()
    assert (first.gone(), second.gone()) == ([], [])
    first.leave()
    deadline = time.monotonic() + 10
    while not second.elect() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert second.leads and not first.leads
    with pytest.raises(StoreError):
        first.beat()
    # It has not been silent for long, and may be back.
    assert second.gone() == []
    with other.database.write() as connection:
        connection.execute(text("UPDATE replicas SET seen_at = seen_at - 60"))
    assert second.gone() == [one.replica]
    second.buried(one.replica)
    assert second.gone() == [] and one.replica not in other.others()
    second.leave(for_good=True)
    assert one.others() == set()


def test_a_replica_that_is_silent_but_lives_is_not_gone(one, other):
    first, second = Presence(one.database), Presence(other.database)
    assert first.enter() and second.enter()
    with other.database.write() as connection:
        connection.execute(text("UPDATE replicas SET seen_at = seen_at - 3600"))
    assert second.gone() == []
    for presence in (first, second):
        presence.leave(for_good=True)


def test_who_was_looked_at_often_is_let_go_at_once(one, other):
    first, second = Presence(one.database), Presence(other.database)
    assert first.enter() and second.enter()
    first.leave()
    with other.database.write() as connection:
        connection.execute(text("UPDATE replicas SET seen_at = seen_at - 60"))
    deadline = time.monotonic() + 10
    while second.gone() != [one.replica] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [second.gone() for _ in range(3)] == [[one.replica]] * 3 and not first.enter()
    second.let_go(one.replica)
    assert first.enter()
    for presence in (first, second):
        presence.leave(for_good=True)


@pytest.mark.parametrize(
    "error",
    [
        InterfaceError("SELECT 1", None, Exception("the cursor is closed")),
        InternalError("INSERT", None, Exception("cannot execute INSERT in a read-only transaction")),
        PoolTimeout("QueuePool limit reached"),
    ],
)
def test_whatever_a_server_that_is_not_well_does_is_an_error_of_the_store(one, error, monkeypatch):
    for transaction in (one.database.read, one.database.write):
        with pytest.raises(StoreError), transaction():
            raise error

    class Away:
        def connect(self):
            raise error

    monkeypatch.setattr(one.database, "at_once", Away())
    monkeypatch.setattr(one.database, "_reader", Away())
    with pytest.raises(StoreError):
        one.database.versions()
    with pytest.raises(StoreError):
        Presence(one.database).enter()
    assert not one.figures.answers()


def test_connections_do_not_wait_for_ever_for_a_host_that_is_gone_unless_the_address_says_so(url):
    seen = []
    for address in (url, url + ("&" if "?" in url else "?") + "connect_timeout=50"):
        engine = engine_of(address, "test")
        event.listen(engine, "do_connect", lambda _dialect, _record, _args, params: seen.append(dict(params)))
        engine.connect().close()
        engine.dispose()
    assert [int(params["connect_timeout"]) for params in seen] == [5, 50]
    assert all(params["keepalives_idle"] == 15 and params["tcp_user_timeout"] == 20_000 for params in seen)


def test_a_part_of_a_run_is_not_taken_over_as_the_whole(one, other):
    run_id, _ = add_run(one)
    one.runs.finish(run_id, JobState.INTERRUPTED)
    assert one.runs.reopen(run_id, 2.5, partial=True)
    assert other.runs.take_over(run_id, one.replica) == (False, None)
    assert one.runs.get(run_id).state is JobState.INTERRUPTED
    # Resumed as a whole it is one again.
    assert one.runs.reopen(run_id, 1.5) and other.runs.take_over(run_id, one.replica) == (True, 1.5)


def test_a_job_that_is_done_stays_so_though_it_could_not_be_noted_and_somebody_took_it_for_failed(one):
    class Activity:
        def note(self, *told):
            raise StoreError("This could not be saved.")

    base = Model(new_id(), "base", "extractive", {}, "answer-review", created_at=5.0)
    one.models.add(base)
    runner = JobRunner(one, [], None, activity=Activity())
    done, interrupted = (one.training.start("openai", None, base.id, []) for _ in range(2))
    runner._finish(done, base, Progress(JobState.DONE, tuned=Tuned("extractive", {})))
    assert not one.training.finish(done, JobState.FAILED, error="late")
    runner._finish(done, base, Progress(JobState.FAILED, error="late"))
    job = one.training.job(done)
    assert (job.state, job.error) == (JobState.DONE, "") and job.model_id is not None
    # What a replica took for interrupted has the end that its trainer tells, and no other.
    assert one.training.finish(interrupted, JobState.INTERRUPTED, error="stopped")
    assert not one.training.finish(interrupted, JobState.FAILED, error="late")
    runner._finish(interrupted, base, Progress(JobState.FAILED, error="The provider's words."))
    assert one.training.job(interrupted).error == "The provider's words."


def test_nobody_works_under_the_id_of_another(open_replica):
    one = open_replica()
    twin = open_replica(one.replica)
    first, second = Presence(one.database), Presence(twin.database)
    assert first.enter() and not second.enter()
    first.leave(for_good=True)


def test_a_schema_of_a_newer_version_is_refused_and_stays(url):
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'm999'")
    with pytest.raises(SettingsError, match=r"newer version.*m999.*DATABASE_URL.*version that made it"):
        open_store(None, server=Server(url, ""))
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("m999",)


def test_replicas_that_start_at_once_on_an_empty_database_make_one_schema_and_one_store():
    url, found, together = POSTGRES.bare(), [], threading.Barrier(4)

    def start():
        together.wait()
        store = open_store(None, server=Server(url, new_id()))
        found.append((store.id, store.members.names()))
        store.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(item == found[0] for item in found)


def test_a_server_that_is_away_is_named_without_its_password():
    with pytest.raises(SettingsError, match="PostgreSQL at 127.0.0.1:9/pairloop cannot be used.*DATABASE_URL") as error:
        open_store(None, server=Server("postgresql://ada:s3cret-word@127.0.0.1:9/pairloop", ""))
    assert "s3cret-word" not in str(error.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_the_password_of_the_address_is_a_secret_and_shown_nowhere(scheme):
    found = from_environment({"DATABASE_URL": f"{scheme}://ada:s3cret%2Fword@db.acme.org/pairloop"})
    assert found.database_url == "postgresql://ada:s3cret%2Fword@db.acme.org/pairloop"
    assert {"s3cret%2Fword", "s3cret/word"} <= set(found.secrets)
    assert "s3cret" not in repr(found) + repr(Server(found.database_url, ""))


@pytest.mark.parametrize(
    "value", ["mysql://ada:s3cret@db/x", "pairloop", "postgresql://", "postgres://ada:s3cret@db:port/x"]
)
def test_an_address_of_something_else_is_refused_and_not_repeated(value):
    with pytest.raises(SettingsError, match="DATABASE_URL") as error:
        from_environment({"DATABASE_URL": value})
    assert "s3cret" not in str(error.value)


def test_without_an_address_nothing_is_a_secret_of_it(tmp_path):
    assert Settings(home=tmp_path).secrets == ()
