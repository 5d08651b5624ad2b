"""A judge that fails, is stopped, dies, or is asked by another copy of the app."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import update

from components.results.judge import JudgeHandlers, progress
from pipeline.errors import ComparisonError
from pipeline.models.judges import LEXICAL
from pipeline.records import JobState
from pipeline.store.local_schema import changes
from tests import stores
from tests.judges import chat, embedded, judged, opened, texts, until
from tests.postgres import POSTGRES
from tests.workspace import add_comparison, add_model, open_workspace

ROOT = Path(__file__).resolve().parents[3]


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ({"status": 500}, "failed on its side"),
            ({"status": 429, "retry_after": "600"}, "takes no more requests"),
            ({"status": 429, "code": "insufficient_quota"}, "no quota left"),
            ({"status": 401}, "key"),
            ({"body": "<html>"}, "not as an OpenAI-compatible endpoint"),
        ],
    )
    def test_an_endpoint_that_fails_is_told_in_words_and_asked_again_later(self, home, server, models, fault, words):
        set_id = add_comparison(home.services, models, texts(2))
        ada = opened(home.services, set_id)
        server.fail(times=None, when="number 1", **fault)
        state = judged(home.services, set_id, ada)
        assert (state.run.state, state.done, state.failed) == (JobState.DONE, 2, 2)
        assert len(state.errors) == 1 and words in state.errors[0]
        report = home.services.judge.report(set_id, chat(home.services), ada)
        assert (report.replies, report.pairs, report.without_verdict) == (2, 1, 0)
        server.recover()
        server.requests.clear()
        state = judged(home.services, set_id, ada)
        assert (state.done, state.failed, state.errors) == (4, 0, ())
        assert len(server.chats) == 2 and all("number 1" in request.query for request in server.chats)

    def test_a_moment_of_too_many_requests_is_waited_out(self, home, server, models):
        server.fail(times=1, status=429, retry_after="0.1")
        set_id = add_comparison(home.services, models, texts(1))
        assert judged(home.services, set_id, opened(home.services, set_id)).failed == 0
        assert len(server.chats) == 3

    def test_a_cancelled_run_keeps_what_was_said_and_goes_on_where_it_stopped(self, home, server, models):
        set_id = add_comparison(home.services, models, texts(4))
        ada, model = opened(home.services, set_id), chat(home.services)
        server.fail(times=None, stall=60, when="number 3")
        home.services.judge.start(set_id, model, ada)
        until(lambda: home.services.judge.progress(set_id, model, ada).done == 6)
        home.services.judge.cancel(set_id, model, ada)
        until(lambda: not home.services.judge.progress(set_id, model, ada).running)
        state = home.services.judge.progress(set_id, model, ada)
        assert (state.run.state, state.done, state.failed) == (JobState.CANCELLED, 6, 0)
        server.recover()
        server.requests.clear()
        assert home.services.judge.plan(set_id, model, ada).calls == 2
        assert judged(home.services, set_id, ada).done == 8
        assert len(server.chats) == 2 and all("number 3" in request.query for request in server.chats)

    def test_cancelling_what_does_not_run_changes_nothing(self, home, models):
        set_id = add_comparison(home.services, models, texts(1))
        ada = opened(home.services, set_id)
        home.services.judge.cancel(set_id, chat(home.services), ada)
        state = judged(home.services, set_id, ada)
        home.services.judge.cancel(set_id, chat(home.services), ada)
        assert home.services.judge.progress(set_id, chat(home.services), ada) == state

    def test_a_stop_of_the_app_leaves_the_run_interrupted_and_the_next_one_asks_the_rest(self, home, server, models):
        set_id = add_comparison(home.services, models, texts(3))
        ada, model = opened(home.services, set_id), chat(home.services)
        server.fail(times=None, stall=60, when="number 2")
        home.services.judge.start(set_id, model, ada)
        until(lambda: home.services.judge.progress(set_id, model, ada).done == 4)
        services = home.restart()
        state = services.judge.progress(set_id, model, ada)
        assert (state.run.state, state.done, state.running) == (JobState.INTERRUPTED, 4, False)
        server.recover()
        server.requests.clear()
        assert judged(services, set_id, ada).done == 6
        assert len(server.chats) == 2

    def test_a_run_whose_end_could_not_be_stored_is_interrupted_and_begun_anew(self, home, server, models, caplog):
        set_id = add_comparison(home.services, models, texts(1))
        ada, model = opened(home.services, set_id), chat(home.services)
        server.fail(times=None, stall=60)
        home.services.judge.start(set_id, model, ada)
        until(lambda: len(server.chats) == 2)
        database = home.services.store.database
        with database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE judge_runs RENAME COLUMN finished_at TO gone")
        for event in home.services.judge._cancels.values():
            event.set()
        until(lambda: "A task in the background failed" in caplog.text)
        with database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE judge_runs RENAME COLUMN gone TO finished_at")
        state = home.services.judge.progress(set_id, model, ada)
        assert (state.run.state, state.running) == (JobState.INTERRUPTED, False)
        server.recover()
        assert judged(home.services, set_id, ada).done == 2

    def test_a_process_that_died_leaves_the_run_interrupted(self, home, server, models):
        set_id = add_comparison(home.services, models, texts(3))
        ada, model = opened(home.services, set_id), chat(home.services)
        server.fail(times=None, stall=60, when="number 2")
        settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": 1}
        settings["database_url"] = stores.url_of(home.folder)

        def die(folder):
            program = (
                "import time; from pathlib import Path; from tests.workspace import open_workspace\n"
                f"services = open_workspace(Path({str(folder)!r}), **{settings!r})\n"
                f"services.judge.start({set_id!r}, {model!r}, {ada!r}); time.sleep(60)\n"
            )
            process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
            until(lambda: len(server.chats) == 5, seconds=60)
            process.kill()
            process.wait(10)

        services = home.restart(die)
        state = services.judge.progress(set_id, model, ada)
        assert (state.run.state, state.done) == (JobState.INTERRUPTED, 4)


class TestElsewhere:
    """Another copy of the app asks, over the same database or over the same dataset repo."""

    @pytest.fixture
    def copies(self, tmp_path, server):
        settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "timeout": 90.0}
        settings["database_url"] = POSTGRES.url_of(tmp_path / "pairloop.db")
        both = [open_workspace(tmp_path / name, **settings) for name in ("one", "two")]
        for services in both:
            services.start_backup()
        until(lambda: {services.store.replica for services in both} <= both[0].store.others())
        yield both
        for services in both:
            services.close()

    def test_a_judge_is_asked_by_one_copy_at_a_time_and_cancelled_anywhere(self, copies, server):
        one, two = copies
        set_id = add_comparison(one, [add_model(one, name) for name in ("tuned-9", "base-9")], texts(2))
        ada, model = opened(one, set_id), chat(one)
        server.fail(times=None, stall=60)
        one.judge.start(set_id, model, ada)
        with pytest.raises(ComparisonError, match="Another copy of the app is asking"):
            two.judge.start(set_id, model, ada)
        state = two.judge.progress(set_id, model, ada)
        assert state.running and state.here and "another machine" not in progress(state)
        with patch("components.results.judge.person", return_value=ada):
            shown = JudgeHandlers(two).show_judge(set_id, model, "", "", None)
        assert (shown.run.interactive, shown.cancel.visible) == (False, True)
        two.judge.cancel(set_id, model, ada)
        until(lambda: not two.judge.progress(set_id, model, ada).running)
        server.recover()
        assert judged(two, set_id, ada).done == 4 and len(one.store.judgements.runs(set_id)) == 2

    def test_what_another_machine_began_and_left_is_asked_again_after_a_while(self, home, models, monkeypatch):
        services = home.services
        set_id = add_comparison(services, models, texts(1))
        ada, model = opened(services, set_id), embedded(services)
        services.store.judgements.start("theirs", set_id, model, LEXICAL)
        # As it comes with the files of the dataset repo.
        with services.store.database.write() as connection:
            connection.execute(update(changes).where(changes.c.row_id == "theirs").values(replica="another"))
        with pytest.raises(ComparisonError, match="Another copy"):
            services.judge.start(set_id, model, ada)
        with pytest.raises(ComparisonError, match="on another machine: it can be cancelled there only"):
            services.judge.cancel(set_id, model, ada)
        state = services.judge.progress(set_id, model, ada)
        assert state.running and not state.here and "on another machine, where it can be cancelled" in progress(state)
        monkeypatch.setattr("pipeline.judging.SILENT_SECONDS", 0.0)
        left = services.judge.progress(set_id, model, ada)
        assert (left.run.state, left.running) == (JobState.INTERRUPTED, False)
        assert judged(services, set_id, ada, model).done == 2
