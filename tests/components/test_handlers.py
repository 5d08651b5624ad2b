"""Handlers of the tabs, called as Gradio calls them: what they show, and what they refuse."""

import csv
import json
import time
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from components import ask, compare, documents, edit, header, results, runs, start, tune, viewer
from components import settings as settings_tab
from components._session import COOKIE
from pipeline.errors import (
    ComparisonError,
    DocumentError,
    ModelError,
    NotFoundError,
    PipelineError,
    QueryFileError,
    RecordError,
    TrainingError,
)
from pipeline.export import validate_chat_jsonl
from pipeline.records import JobState
from pipeline.tasks import ANSWER, QUERY_RATING
from tests.material import TEST, TRAIN, finished, open_copy, prepare, trained
from tests.openai_server import OpenAIServer
from tests.workspace import add_comparison, add_model, open_workspace

ADA = SimpleNamespace(cookies={COOKIE: "a" * 64})
BO = SimpleNamespace(cookies={COOKIE: "b" * 64})
NOBODY = SimpleNamespace(cookies={})
TEXTS = [(f"Answer {n} in short.", f"Answer {n}, which goes on.") for n in range(4)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("handlers"))


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def empty(tmp_path):
    services = open_workspace(tmp_path / "empty")
    yield services
    services.close()


def event(**data):
    return SimpleNamespace(_data=data)


def value(component):
    """What an update sets; an update is a dictionary or a component."""
    return component["value"] if isinstance(component, dict) else component.value


def visible(component):
    return component["visible"] if isinstance(component, dict) else component.visible


def choices(dropdown):
    return [choice[0] for choice in dropdown.choices]


def me(services, who=ADA):
    return services.store.members.by_token(who.cookies[COOKIE])


class TestStart:
    def test_the_loop_counts_what_there_is_and_what_waits(self, services):
        shown = start.StartHandlers(services).show_loop(ADA)
        for words in (
            "1 document ·",
            "8 answers from runs",
            "5 records for you",
            "0 tuned models",
            "no comparison yet",
        ):
            assert words in shown.loop

    def test_an_empty_workspace_has_counts_too(self, empty):
        assert "0 documents" in start.StartHandlers(empty).show_loop(ADA).loop

    def test_the_loop_names_no_model(self, services):
        assert "extractive" not in start.StartHandlers(services).show_loop(ADA).loop

    def test_without_a_cookie_there_is_an_explanation(self, services):
        with pytest.raises(PipelineError, match="cookie"):
            start.StartHandlers(services).show_loop(NOBODY)

    def test_the_example_goes_in_once_and_leads_to_ask(self, empty):
        handlers = start.StartHandlers(empty)
        assert handlers.try_example().selected == "ask"
        summaries = empty.library.summaries()
        assert len(summaries) >= 5 and [item.size for item in empty.query_lists.all()] == [40]
        handlers.try_example()
        assert empty.library.summaries() == summaries and len(empty.query_lists.all()) == 1


class TestAsk:
    def test_models_can_be_chosen_and_a_choice_stays_while_it_exists(self, services):
        handlers, chat = ask.AskHandlers(services), add_model(services, "another")
        assert choices(handlers.load_models(None)) == ["extractive-base", "another"]
        assert value(handlers.load_models(chat.id)) == chat.id
        assert value(handlers.load_models("gone")) == services.registry.all()[0].id

    def test_an_answer_is_shown_with_its_sources_from_the_first_moment(self, services):
        first, *_, last = ask.AskHandlers(services).ask(TRAIN[2], None)
        assert "extractive-base is answering" in first.answer and "north pier" in first.sources
        assert "north pier" in last.answer and 'data-cite="1"' in last.answer and last.sources == first.sources

    def test_what_the_documents_do_not_hold_is_said(self, services):
        *_, last = ask.AskHandlers(services).ask("Quantum chromodynamics?", None)
        assert "not in the documents" in last.answer and "pl-refused" in last.answer
        assert "No passage" in last.sources

    def test_no_query_is_refused(self, services):
        with pytest.raises(QueryFileError, match="Type a query first"):
            next(ask.AskHandlers(services).ask("  ", None))

    def test_the_error_of_an_endpoint_is_raised_after_the_sources_were_shown(self, prepared, tmp_path):
        with OpenAIServer(api_key="right") as server:
            services = open_copy(
                prepared, tmp_path / "chat", openai_base_url=server.base_url, openai_model="test-model"
            )
            steps = ask.AskHandlers(services).ask(TRAIN[0], services.registry.all()[-1].id)
            assert "seven" in next(steps).sources
            with pytest.raises(ModelError, match="OPENAI_API_KEY"):
                next(steps)
            services.close()


class TestDocuments:
    def test_files_are_reported_one_by_one(self, services, tmp_path):
        good, bad = tmp_path / "light.txt", tmp_path / "empty.txt"
        good.write_text("The lighthouse is white.", encoding="utf-8")
        bad.write_text("", encoding="utf-8")
        changed = documents.DocumentsHandlers(services).add_files([str(good), str(bad)])
        assert "Added light.txt: 1 passages" in changed.report and "empty.txt" in changed.report
        assert "light.txt" in changed.table and "empty.txt" not in changed.table and changed.upload is None

    def test_no_files_change_nothing(self, services):
        handlers = documents.DocumentsHandlers(services)
        assert handlers.add_files(None) == ("", handlers.list_documents(), None)

    def test_the_example_is_reported_the_first_time_only(self, empty):
        handlers = documents.DocumentsHandlers(empty)
        assert "No documents yet" in handlers.list_documents()
        assert "passages can be searched now" in handlers.add_example().report
        assert "already" in handlers.add_example().report

    def test_a_document_is_deleted_and_one_that_is_gone_is_said_to_be(self, services):
        (summary,) = services.library.summaries()
        handlers = documents.DocumentsHandlers(services)
        assert summary.name not in handlers.delete_document(event(document=summary.id)).table
        for data in ({"document": "nothing"}, {}):
            with pytest.raises(NotFoundError):
                handlers.delete_document(event(**data))

    def test_a_passage_opens_in_its_document_also_after_that_was_deleted(self, services):
        record = services.store.reviews.records(services.reviews.datasets()[0].id)[2]
        handlers, click = viewer.ViewerHandlers(services), event(chunk=record.contexts[0].chunk_id)
        shown = handlers.show_place(click)
        assert "harbour.md" in shown and "north pier" in shown.partition("<mark>")[2].partition("</mark>")[0]
        services.library.delete(record.contexts[0].document_id)
        assert "deleted from the workspace" in handlers.show_place(click)
        with pytest.raises(DocumentError):
            handlers.show_place(event(chunk="nothing"))


class TestRuns:
    def test_lists_and_models_can_be_chosen(self, services):
        shown = runs.RunsHandlers(services).load_choices(None, None)
        assert (choices(shown.query_list), choices(shown.model)) == (["Harbour (8)"], ["extractive-base"])

    def test_a_typed_list_is_added_chosen_and_the_form_emptied(self, services):
        added = runs.RunsHandlers(services).add_list("One?\nTwo?\nThree?\nOne?", None, " Mine ", True)
        assert "Added Mine: 2 train and 1 test queries. 1 that stood there twice" in added.report
        assert (
            choices(added.query_list)[0] == "Mine (3)" and value(added.query_list) == services.query_lists.all()[0].id
        )
        assert (added.typed, added.file, added.name) == ("", None, "")

    def test_a_file_becomes_a_list_under_its_name(self, services, tmp_path):
        path = tmp_path / "march.csv"
        path.write_text("query,split\nOne?,test\n", encoding="utf-8")
        assert "Added march: 0 train and 1 test" in runs.RunsHandlers(services).add_list("", str(path), "", True).report

    @pytest.mark.parametrize(("typed", "path"), [("", None), (" \n", None), ("One?", "/somewhere/list.csv")])
    def test_text_and_file_are_one_or_the_other(self, services, typed, path):
        with pytest.raises(QueryFileError, match="one of the two"):
            runs.RunsHandlers(services).add_list(typed, path, "", True)

    def test_a_run_is_shown_until_it_has_ended(self, services):
        handlers = runs.RunsHandlers(services)
        added = services.query_lists.add_text("Where is the pier?\nWhere is the tower?", "More", False)
        begun = handlers.start_run(added.id, services.registry.all()[0].id)
        finished(services, begun.run_id)
        ended = handlers.show_run(begun.run_id)
        assert "extractive-base on More: 2 of 2 · done" in ended.progress
        assert ended.rows.count("<tr>") == 3 and "Where is the tower?" in ended.rows
        assert (ended.timer.active, visible(ended.cancel), ended.run.interactive) == (False, False, True)

    def test_a_run_can_be_cancelled_from_the_screen(self, prepared, tmp_path):
        with OpenAIServer() as server:
            server.fail(times=None, stall=60)
            services = open_copy(
                prepared, tmp_path / "chat", openai_base_url=server.base_url, openai_model="test-model"
            )
            handlers = runs.RunsHandlers(services)
            list_id, model_id = services.query_lists.all()[0].id, services.registry.all()[-1].id
            begun = handlers.start_run(list_id, model_id)
            assert (begun.timer.active, visible(begun.cancel), begun.run.interactive) == (True, True, False)
            ended = handlers.cancel_run(begun.run_id)
            assert "cancelled; run it again" in ended.progress and not visible(ended.cancel)
            services.close()

    def test_the_newest_run_is_shown_where_none_was_chosen(self, services, empty):
        assert "8 of 8 · done" in runs.RunsHandlers(services).show_run(None).progress
        nothing = runs.RunsHandlers(empty).show_run(None)
        assert nothing.run_id is None and "No run yet" in nothing.progress
        assert runs.RunsHandlers(empty).cancel_run(None) is not None

    def test_what_is_missing_is_said(self, services):
        handlers = runs.RunsHandlers(services)
        for list_id, model_id in ((None, "m"), ("l", None), ("", "")):
            with pytest.raises(QueryFileError, match="Choose a list"):
                handlers.start_run(list_id, model_id)
        for list_id, model_id, kind in (
            ("gone", services.registry.all()[0].id, QueryFileError),
            ("l", "x", NotFoundError),
        ):
            with pytest.raises(kind):
                handlers.start_run(list_id, model_id)
        with pytest.raises(RecordError, match="Run a list"):
            handlers.send_to_edit(None, "answer-review")
        for act in (handlers.show_run, handlers.cancel_run):
            with pytest.raises(NotFoundError):
                act("gone")

    def test_answers_are_sent_to_edit(self, services):
        handlers = runs.RunsHandlers(services)
        assert handlers.send_to_edit(services.store.runs.latest(1)[0].id, "customer-assistant").selected == "edit"
        newest = services.reviews.datasets()[0]
        assert (newest.name, newest.template, newest.size) == ("Harbour (2)", "customer-assistant", 5)


class TestEdit:
    @pytest.fixture
    def handlers(self, services):
        return edit.EditHandlers(services)

    @pytest.fixture
    def dataset(self, services):
        return services.reviews.datasets()[0].id

    @pytest.fixture
    def ids(self, services, dataset):
        return services.store.reviews.record_ids(dataset)

    def test_nothing_to_review_is_said_with_a_way_on(self, empty):
        shown = edit.EditHandlers(empty).open_dataset(None, "", ADA)
        assert "Nothing to review yet" in shown.nothing_text
        assert (shown.record_id, visible(shown.form), visible(shown.example)) == ("", False, True)

    def test_a_record_is_shown_with_its_contexts_and_the_suggestion(self, services, handlers, dataset, ids):
        shown = handlers.open_dataset(dataset, "", ADA)
        record = services.store.reviews.record(ids[0])
        assert (shown.record_id, value(shown.answer), visible(shown.form)) == (ids[0], record.suggestion, True)
        assert "Record 1 of 5" in shown.record and TRAIN[0] in shown.record and "seven" in shown.sources
        assert (value(shown.query_rating), value(shown.context_rating)) == (None, None)
        assert "Suggested by extractive-base" in shown.status and "5 pending" in shown.progress

    def test_the_newest_dataset_opens_where_none_is_chosen_and_a_shown_record_stays(self, handlers, ids):
        assert handlers.open_dataset(None, "", ADA).record_id == ids[0]
        assert handlers.open_dataset(None, ids[3], ADA).record_id == ids[3]

    def test_a_draft_is_saved_shown_and_there_again_after_a_reload(self, services, handlers, dataset, ids):
        typed = handlers.save_draft(ids[0], 4, None, "At seven.", ADA)
        assert "Draft saved" in typed.status and "<ins>" in typed.diff
        shown = handlers.open_dataset(dataset, "", ADA)
        assert (value(shown.answer), value(shown.query_rating)) == ("At seven.", 4)
        assert "1 drafts" in shown.progress and services.reviews.card(ids[0], me(services, BO)).response is None

    def test_a_submit_is_stored_and_shows_the_next_record(self, services, handlers, dataset, ids):
        shown = handlers.submit_response(ids[0], 5, 4, "At seven.", time.monotonic() - 12, ADA)
        assert shown.record_id == ids[1] and "1 submitted" in shown.progress
        stored = services.store.reviews.response(ids[0], me(services))
        assert stored.values == {QUERY_RATING: 5, "context_rating": 4, ANSWER: "At seven."}
        assert 12 <= stored.seconds < 60

    def test_an_empty_answer_is_refused_and_nothing_is_stored(self, services, handlers, ids):
        with pytest.raises(RecordError, match="Write an answer"):
            handlers.submit_response(ids[0], None, None, " ", None, ADA)
        assert services.store.reviews.response(ids[0], me(services)) is None

    def test_a_discard_goes_on_and_can_be_looked_at_again(self, handlers, dataset, ids):
        assert handlers.discard_record(ids[0], None, None, "half", None, ADA).record_id == ids[1]
        again = handlers.go_back(ids[1], dataset, ADA)
        assert "You discarded this" in again.status and value(again.answer) == "half"

    def test_back_and_next_stop_at_the_ends(self, handlers, dataset, ids):
        assert handlers.go_back(ids[0], dataset, ADA).record_id == ids[0]
        assert handlers.go_on(ids[0], dataset, ADA).record_id == ids[1]
        assert handlers.go_on(ids[-1], dataset, ADA).record_id == ids[-1]

    def test_when_all_is_done_one_can_look_at_the_last_record_again(self, handlers, dataset, ids):
        for record_id in ids:
            shown = handlers.submit_response(record_id, None, None, "Yes.", None, ADA)
        assert (shown.record_id, visible(shown.again), visible(shown.example)) == ("", True, False)
        assert "All done here" in shown.nothing_text and "5 submitted" in shown.progress
        again = handlers.go_back("", dataset, ADA)
        assert again.record_id == ids[-1] and "You submitted this" in again.status

    def test_others_answers_are_not_shown_before_ones_own(self, handlers, dataset, ids):
        handlers.submit_response(ids[0], 2, 2, "What Bo thinks.", None, BO)
        shown = handlers.go_back(ids[1], dataset, ADA)
        assert "What Bo thinks." not in repr(shown) and value(shown.query_rating) is None

    def test_without_a_cookie_or_a_record_nothing_is_kept(self, services, handlers, dataset, ids):
        acts = (
            lambda record_id, who: handlers.submit_response(record_id, None, None, "Yes.", None, who),
            lambda record_id, who: handlers.discard_record(record_id, None, None, "Yes.", None, who),
            lambda record_id, who: handlers.save_draft(record_id, None, None, "Yes.", who),
        )
        for act in acts:
            with pytest.raises(PipelineError, match="cookie"):
                act(ids[0], NOBODY)
            with pytest.raises(NotFoundError):
                act("nothing", ADA)
        assert services.store.reviews.responses(dataset) == []

    def test_the_example_is_prepared_and_opened(self, empty):
        shown = edit.EditHandlers(empty).prepare_example(ADA)
        assert visible(shown.form) and "Record 1 of 24" in shown.record
        assert len(empty.reviews.datasets()) == 1

    def test_datasets_can_be_chosen(self, services, handlers, dataset):
        services.reviews.create_dataset(services.store.runs.latest(1)[0].id, "customer-assistant")
        assert choices(handlers.load_datasets(dataset)) == ["Harbour (2) (5)", "Harbour (5)"]
        assert value(handlers.load_datasets(dataset)) == dataset
        assert value(handlers.load_datasets("gone")) == services.reviews.datasets()[0].id


class TestTune:
    @pytest.fixture
    def handlers(self, services):
        return tune.TuneHandlers(services)

    @pytest.fixture
    def submitted(self, services):
        dataset = services.reviews.datasets()[0].id
        for record in services.store.reviews.records(dataset):
            services.reviews.submit(record.id, me(services), {ANSWER: record.suggestion})
        return dataset

    def test_without_a_dataset_and_without_rows_it_says_where_to_begin(self, services, handlers, empty):
        nothing = tune.TuneHandlers(empty).show_data(None)
        assert "No dataset yet" in nothing.card and not nothing.train.interactive
        none_yet = handlers.show_data(services.reviews.datasets()[0].id)
        assert "No rows yet" in none_yet.card and not none_yet.download.interactive

    def test_the_data_card_counts_and_previews_the_rows(self, handlers, submitted):
        shown = handlers.show_data(submitted)
        assert "<b>5</b><span>rows</span>" in shown.card and "passes OpenAI&#x27;s checks" in shown.card
        assert "Fewer than 10 rows" in shown.card and shown.train.interactive and shown.download.interactive
        assert "assistant" in shown.preview and TRAIN[0] in shown.preview

    def test_the_file_is_made_when_it_is_asked_for(self, handlers, submitted):
        path = Path(handlers.download_rows(submitted))
        lines = path.read_text(encoding="utf-8").splitlines()
        assert path.name == "pairloop-chat.jsonl" and len(lines) == 5 and validate_chat_jsonl(lines) == []

    def test_a_job_is_started_and_shown_with_its_loss(self, services, handlers, submitted):
        chosen = handlers.load_choices(None, None)
        assert choices(chosen.base) == ["extractive-base"]
        handlers.start_training(value(chosen.dataset), value(chosen.base))
        trained(services, services.tuner.jobs()[0].id)
        shown = handlers.show_jobs()
        assert "extractive-tuned-1" in shown.jobs and "done: learned from" in shown.jobs
        assert (visible(shown.loss), visible(shown.compare), shown.timer.active) == (True, True, False)

    def test_a_failed_job_shows_its_reason_and_no_loss(self, services, handlers):
        dataset = services.reviews.datasets()[0].id
        record = services.store.reviews.records(dataset)[0]
        services.reviews.submit(record.id, me(services), {ANSWER: "At seven."})
        handlers.start_training(dataset, services.registry.all()[0].id)
        job = trained(services, services.tuner.jobs()[0].id)
        shown = handlers.show_jobs()
        assert job.state is JobState.FAILED and "Review more records on Edit" in shown.jobs
        assert not visible(shown.loss) and not visible(shown.compare)

    def test_what_is_missing_is_said(self, services, handlers):
        dataset = services.reviews.datasets()[0].id
        for act in (
            lambda: handlers.download_rows(None),
            lambda: handlers.download_rows(dataset),
            lambda: handlers.start_training(None, "m"),
            lambda: handlers.start_training(dataset, None),
            lambda: handlers.start_training(dataset, services.registry.all()[0].id),
        ):
            with pytest.raises(TrainingError):
                act()
        assert "No job yet" in handlers.show_jobs().jobs


class TestCompare:
    @pytest.fixture
    def handlers(self, services):
        return compare.CompareHandlers(services)

    @pytest.fixture
    def set_id(self, services):
        return add_comparison(services, (add_model(services, "secret-one"), add_model(services, "secret-two")), TEXTS)

    def vote(self, handlers, set_id, shown, name="vote_a", who=ADA, reason="", correction=""):
        return getattr(handlers, name)(set_id, shown.pair_id, shown.shown_at, reason, correction, who)

    def test_without_a_comparison_it_says_where_to_begin(self, handlers):
        assert "No comparison yet" in value(handlers.show_next(None, ADA).nothing)
        assert "gone" in value(handlers.show_next("nothing", ADA).nothing)

    def test_a_pair_is_shown_without_a_word_about_models(self, handlers, set_id):
        shown = handlers.show_next(set_id, ADA)
        assert visible(shown.form) and shown.pair.count("<section") == 2
        assert "secret" not in repr(shown) + repr(choices(handlers.load_comparisons(None)))
        assert "0 of 4 judged by you" in shown.progress and not visible(shown.undo)

    def test_every_button_stores_its_outcome_and_shows_the_next_pair(self, services, handlers, set_id):
        shown, given = handlers.show_next(set_id, ADA), []
        for name in ("vote_a", "vote_b", "vote_tie", "vote_both_bad"):
            given.append(shown.pair_id)
            shown = self.vote(handlers, set_id, shown, name, reason=f"because {name}")
        votes = {vote.comparison_id: vote for vote in services.store.comparisons.votes(set_id)}
        outcomes = [votes[pair_id].outcome for pair_id in given]
        assert outcomes == ["model_a", "model_b", "tie", "both_bad"] and len(set(given)) == 4
        assert votes[given[1]].reason == "because vote_b" and votes[given[0]].seconds < 60
        assert "All judged" in value(shown.nothing) and visible(shown.undo) and visible(shown.results)

    def test_undo_brings_the_pair_back_with_what_was_written(self, services, handlers, set_id):
        first = handlers.show_next(set_id, ADA)
        self.vote(handlers, set_id, first, reason="because", correction="A better answer.")
        again = handlers.undo_vote(set_id, ADA)
        assert (again.pair_id, again.pair) == (first.pair_id, first.pair)
        assert (again.reason, again.correction) == ("because", "A better answer.")
        assert services.store.comparisons.votes(set_id) == []

    def test_a_second_vote_on_a_pair_counts_once_and_goes_on(self, services, handlers, set_id):
        first = handlers.show_next(set_id, ADA)
        second = self.vote(handlers, set_id, first)
        assert self.vote(handlers, set_id, first, "vote_b").pair_id == second.pair_id
        assert len(services.store.comparisons.votes(set_id)) == 1

    def test_what_is_no_vote_is_refused(self, services, handlers, set_id):
        shown = handlers.show_next(set_id, ADA)
        for act, kind in (
            (lambda: handlers.vote_a(set_id, "", None, "", "", ADA), ComparisonError),
            (lambda: self.vote(handlers, set_id, shown, who=BO), ComparisonError),
            (lambda: self.vote(handlers, set_id, shown, who=NOBODY), PipelineError),
            (lambda: handlers.vote_a(set_id, "nothing", None, "", "", ADA), NotFoundError),
            (lambda: handlers.undo_vote(None, ADA), ComparisonError),
            (lambda: handlers.undo_vote(set_id, ADA), ComparisonError),
        ):
            with pytest.raises(kind):
                act()
        assert services.store.comparisons.votes(set_id) == []

    def test_a_new_comparison_is_prepared_in_the_background_and_then_shown(self, services, handlers):
        weights = {**services.registry.all()[0].config, "sentences": 1, "threshold": 0.0}
        child = add_model(services, "secret-child", services.registry.all()[0].id)
        other = type(child)(**{**{name: getattr(child, name) for name in child.__slots__}, "id": "z" * 26,
                               "name": "secret-other", "config": weights})  # fmt: skip
        services.store.models.add(other)
        new = handlers.load_new(None, None, None)
        assert value(new.model_1) == other.id and value(new.model_2) == services.registry.all()[0].id
        assert f"{len(TEST)} test queries" in new.preview
        created = handlers.create_comparison(value(new.model_1), value(new.model_2), value(new.query_list))
        assert "secret" not in repr(created) + repr(choices(created.chosen))
        deadline = time.monotonic() + 30
        while services.comparisons.sets()[0].state == "preparing" and time.monotonic() < deadline:
            time.sleep(0.02)
        shown = handlers.show_next(value(created.chosen), ADA)
        assert services.comparisons.sets()[0].state == "open" and "secret" not in repr(shown)

    def test_a_comparison_that_cannot_be_is_refused_with_what_to_do(self, services, handlers):
        base, list_id = services.registry.all()[0].id, services.query_lists.all()[0].id
        assert "needs two models" in handlers.preview_new(base, None, list_id)
        assert "two different models" in handlers.preview_new(base, base, list_id)
        for chosen in ((None, None, None), (base, base, list_id)):
            with pytest.raises(ComparisonError):
                handlers.create_comparison(*chosen)
        assert services.comparisons.sets() == []

    def test_a_failed_preparation_names_no_model(self, services, handlers, set_id):
        services.store.comparisons.fail_set(set_id, "failed", "secret-one could not answer")
        shown = handlers.show_next(set_id, ADA)
        assert "could not be prepared" in value(shown.nothing) and "secret" not in repr(shown)
        services.store.comparisons.fail_set(set_id, "preparing", "")
        waiting = handlers.show_next(set_id, ADA)
        assert "Answers are being made" in value(waiting.nothing) and waiting.timer.active


class TestResults:
    @pytest.fixture
    def handlers(self, services):
        return results.ResultsHandlers(services)

    @pytest.fixture
    def set_id(self, services):
        return add_comparison(services, (add_model(services, "first-one"), add_model(services, "second-one")), TEXTS)

    def judge(self, services, set_id, who=ADA):
        handlers = compare.CompareHandlers(services)
        shown = handlers.show_next(set_id, who)
        while shown.pair_id:
            better = handlers.vote_a if shown.pair.index("in short") < shown.pair.index("goes on") else handlers.vote_b
            shown = better(set_id, shown.pair_id, shown.shown_at, "", "", who)

    def test_before_somebody_opens_the_results_nothing_of_them_is_told(self, handlers, services, set_id):
        self.judge(services, set_id)
        shown = handlers.show_results(set_id, ADA)
        assert visible(shown.gate) and not visible(shown.content) and "every pair" in shown.gate_text
        assert "-one" not in repr(shown) + repr(choices(handlers.load_comparisons(None, ADA)))
        for act in (handlers.download_votes, handlers.download_chart):
            with pytest.raises(ComparisonError, match="Open the results first"):
                act(set_id, ADA)

    def test_opening_shows_who_wins_with_all_counts_and_ends_the_voting(self, handlers, services, set_id):
        self.judge(services, set_id)
        shown = handlers.reveal_results(set_id, ADA)
        assert visible(shown.content) and not visible(shown.gate)
        assert "first-one" in shown.headline and "100.00" in shown.numbers and "Side A won" in shown.checks
        assert "first-one" in choices(handlers.load_comparisons(None, ADA))[0]
        with pytest.raises(ComparisonError, match="final"):
            compare.CompareHandlers(services).undo_vote(set_id, ADA)

    def test_one_persons_reveal_opens_nothing_for_another(self, handlers, set_id):
        handlers.reveal_results(set_id, ADA)
        assert visible(handlers.show_results(set_id, BO).gate)
        assert "-one" not in repr(choices(handlers.load_comparisons(None, BO)))

    def test_files_hold_the_votes_and_a_page_that_needs_no_network(self, handlers, services, set_id):
        self.judge(services, set_id)
        handlers.reveal_results(set_id, ADA)
        with open(handlers.download_votes(set_id, ADA), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 4 and {row["annotator"] for row in rows} == {"annotator-1"}
        page = Path(handlers.download_chart(set_id, ADA)).read_text(encoding="utf-8")
        assert "first-one better" in page and '<script src="http' not in page

    def test_results_without_votes_are_results_too(self, handlers, set_id):
        shown = handlers.reveal_results(set_id, ADA)
        assert visible(shown.content) and not visible(shown.chart)

    def test_what_is_missing_is_said(self, handlers):
        assert "No comparison yet" in handlers.show_results(None, ADA).gate_text
        for act in (handlers.reveal_results, handlers.download_votes, handlers.download_chart):
            with pytest.raises(ComparisonError, match="Choose a comparison"):
                act(None, ADA)
            with pytest.raises(PipelineError):
                act("nothing", ADA)


class TestSettingsAndHeader:
    def test_settings_show_every_variable_and_no_key(self, prepared, tmp_path):
        services = open_copy(
            prepared, tmp_path / "chat", openai_base_url="http://127.0.0.1:1/v1", openai_api_key="sk-never-shown"
        )
        shown = settings_tab.SettingsHandlers(services).show_settings()
        assert "OPENAI_API_KEY" in shown.environment and "sk-never" not in repr(shown)
        assert str(services.settings.home) in shown.environment and "http://127.0.0.1:1/v1" in shown.models
        services.close()

    def test_a_model_is_registered_and_listed(self, prepared, tmp_path):
        services = open_copy(prepared, tmp_path / "chat", openai_base_url="http://127.0.0.1:1/v1")
        shown = settings_tab.SettingsHandlers(services).add_model("Mine", "vendor/model", "answer-review", 0.5)
        assert "<b>Mine</b>" in shown.models and "vendor/model at http" in shown.models
        with pytest.raises(ModelError, match="already"):
            settings_tab.SettingsHandlers(services).add_model("Mine", "other", "answer-review", None)
        services.close()

    def test_without_an_endpoint_no_model_is_registered(self, services):
        with pytest.raises(ModelError, match="No endpoint"):
            settings_tab.SettingsHandlers(services).add_model("Mine", "m", "answer-review", None)

    def test_a_name_is_kept_and_shown(self, services):
        handlers = header.HeaderHandlers(services)
        assert 'value="Guest 1"' in handlers.show_header(ADA)
        assert 'value="Ada Lovelace"' in handlers.rename_person(event(name="  Ada \n Lovelace "), ADA)
        assert 'value="Ada Lovelace"' in handlers.show_header(ADA)
        assert "Ada" not in handlers.show_header(BO)

    @pytest.mark.parametrize("data", [{"name": " "}, {"name": "n" * 41}, {}])
    def test_what_is_no_name_is_refused(self, services, data):
        with pytest.raises(RecordError, match="1 to 40"):
            header.HeaderHandlers(services).rename_person(event(**data), ADA)

    def test_a_name_that_is_markup_stays_text_in_the_message_too(self, services, monkeypatch):
        said = []
        monkeypatch.setattr(gr, "Info", said.append)
        shown = header.HeaderHandlers(services).rename_person(event(name='<b onclick="x">'), ADA)
        assert "<b onclick" not in shown and "<b" not in said[0]


def test_what_handlers_return_can_be_sent_to_a_browser(services):
    screen = edit.EditHandlers(services).open_dataset(None, "", ADA)
    assert json.dumps([item for item in screen if isinstance(item, str | float)])
