"""Handlers of Start, Ask and Edit, called as Gradio calls them: what they show, and what they refuse."""

import csv
import re
import time
from dataclasses import replace

import pytest

from components import start, viewer
from components._html import esc
from components.ask import documents, runs
from components.ask import tab as ask
from components.edit import annotate
from components.edit import tab as edit
from components.edit.annotate_answers import AnnotateAnswers, Typed, View
from pipeline.annotation.templates import ANSWER, QUERY_RATING
from pipeline.comparisons import WITHHELD
from pipeline.errors import DocumentError, NotFoundError, PipelineError, QueryFileError, RecordError
from pipeline.records import Split
from pipeline.store.runs import NewRun
from tests.components.screens import ADA, BO, NOBODY, choices, event, member, value
from tests.material import TEST, TRAIN, finished, open_copy
from tests.openai_server import OpenAIServer
from tests.workspace import add_comparison, add_model


@pytest.fixture
def services(harbour):
    return harbour


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

    def test_pairs_of_a_comparison_whose_results_are_open_wait_no_more(self, services):
        handlers, models = start.StartHandlers(services), (add_model(services, "one"), add_model(services, "two"))
        for count in (4, 3):
            set_id = add_comparison(services, models, [(f"This {n}.", f"That {n}.") for n in range(count)])
        assert "7 pairs for you" in handlers.show_loop(ADA).loop
        services.comparisons.reveal(set_id, member(services))
        assert "4 pairs for you" in handlers.show_loop(ADA).loop and "2 comparisons" in handlers.show_loop(ADA).loop
        assert "7 pairs for you" in handlers.show_loop(BO).loop

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
        first, *_, last = ask.AskHandlers(services).ask(TRAIN[2], None, ADA)
        assert "extractive-base is answering" in first.answer and "north pier" in first.sources
        assert "north pier" in last.answer and 'data-cite="1"' in last.answer and last.sources == first.sources

    def test_what_the_documents_do_not_hold_is_said(self, services):
        *_, last = ask.AskHandlers(services).ask("Quantum chromodynamics?", None, ADA)
        assert "not in the documents" in last.answer and "pl-refused" in last.answer
        assert "No passage" in last.sources

    def test_no_query_and_no_cookie_are_refused_where_the_answer_would_stand(self, services):
        for query, who, words in (("  ", ADA, "Type a query first"), (TRAIN[0], NOBODY, "Allow cookies")):
            (shown,) = ask.AskHandlers(services).ask(query, None, who)
            assert words in shown.answer and 'role="alert"' in shown.answer and shown.sources == ""

    def test_a_test_query_is_kept_for_compare_here_as_in_the_table_of_a_run(self, services):
        (shown,) = ask.AskHandlers(services).ask(f" {TEST[1].rstrip('?').upper()}", None, ADA)
        assert "Test query: kept for Compare" in shown.answer
        rows = runs.RunsHandlers(services).show_run(None, ADA).rows
        assert rows.count("Test query: kept for Compare") == 2 * len(TEST)  # the cell and its hover text

    def test_the_error_of_an_endpoint_is_shown_once_beside_the_sources(self, prepared, tmp_path):
        with OpenAIServer(api_key="right") as server:
            services = open_copy(
                prepared, tmp_path / "chat", openai_base_url=server.base_url, openai_model="test-model"
            )
            steps = ask.AskHandlers(services).ask(TRAIN[0], services.registry.all()[-1].id, ADA)
            assert "seven" in next(steps).sources
            *growing, failed = steps
            assert "OPENAI_API_KEY" in failed.answer and "seven" in failed.sources
            # Who waits for long sees the seconds; there is no second error.
            assert all("is answering" in step.answer for step in growing)
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
        record = services.store.datasets.records(services.datasets.all()[0].id)[2]
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
        assert "Added Mine: 2 train and 1 test queries. Left out, because they stood there twice: 1." in added.report
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
        begun = handlers.start_run(added.id, services.registry.all()[0].id, "", ADA)
        finished(services, begun.run_id)
        ended = handlers.show_run(begun.run_id, ADA)
        assert "extractive-base on More: 2 of 2 · done" in ended.progress
        assert ended.rows.count("<tr>") == 3 and "Where is the tower?" in ended.rows
        assert (ended.timer.active, ended.cancel.visible, ended.run.interactive) == (False, False, True)

    def test_a_run_can_be_cancelled_from_the_screen(self, prepared, tmp_path):
        with OpenAIServer() as server:
            server.fail(times=None, stall=60)
            services = open_copy(
                prepared, tmp_path / "chat", openai_base_url=server.base_url, openai_model="test-model"
            )
            handlers = runs.RunsHandlers(services)
            list_id, model_id = services.query_lists.all()[0].id, services.registry.all()[-1].id
            begun = handlers.start_run(list_id, model_id, "", ADA)
            assert (begun.timer.active, begun.cancel.visible, begun.run.interactive) == (True, True, False)
            ended = handlers.cancel_run(begun.run_id, ADA)
            assert "cancelled; resume it" in ended.progress and not ended.cancel.visible and ended.resume.visible
            services.close()

    def test_the_newest_run_is_shown_where_none_was_chosen(self, services, empty):
        assert "8 of 8 · done" in runs.RunsHandlers(services).show_run(None, ADA).progress
        nothing = runs.RunsHandlers(empty).show_run(None, ADA)
        assert nothing.run_id is None and "No run yet" in nothing.progress
        assert runs.RunsHandlers(empty).cancel_run(None, ADA) is not None

    def test_a_run_of_before_is_looked_at_again_by_choosing_its_list(self, services):
        handlers, model_id = runs.RunsHandlers(services), services.registry.all()[0].id
        harbour = services.query_lists.all()[0].id
        later = services.query_lists.add_text("Where is the tower?", "Later", False).id
        none = handlers.show_chosen(later, model_id, None, ADA)
        assert none.run_id == runs.NO_RUN and "has not answered this list yet" in none.progress and not none.rows
        with pytest.raises(RecordError, match="Run a list"):
            handlers.download_run(none.run_id, ADA)
        finished(services, handlers.start_run(later, model_id, "", ADA).run_id)
        # What a page that was just opened chooses is what it shows.
        assert value(handlers.load_choices(None, None).query_list) == later
        assert "on Later: 1 of 1" in handlers.show_chosen(later, model_id, none.run_id, ADA).progress
        assert "on Harbour: 8 of 8" in handlers.show_chosen(harbour, model_id, none.run_id, ADA).progress

    def test_the_runs_that_a_comparison_makes_of_test_queries_are_not_shown_by_themselves(self, services):
        services.store.queries.add_set("Tests", [("Where are the showers?", Split.TEST, {})])
        list_id = services.query_lists.all()[0].id
        limited = services.generation.start_run(services.registry.all()[0].id, list_id, Split.TEST)
        finished(services, limited)
        handlers = runs.RunsHandlers(services)
        assert "on Harbour: 8 of 8" in handlers.show_run(None, ADA).progress
        assert "on Tests: 1 of 1" in handlers.show_run(limited, ADA).progress

    def test_a_run_is_downloaded_with_a_row_per_query_and_withheld_rows_stay_withheld(self, services):
        handlers, shown = runs.RunsHandlers(services), runs.RunsHandlers(services).show_run(None, ADA)
        assert shown.download.visible and "Download" not in shown.rows
        with open(handlers.download_run(shown.run_id, ADA), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["query"] for row in rows] == [*TRAIN, *TEST] and {row["model"] for row in rows} == {
            "extractive-base"
        }
        assert "seven in the morning" in rows[0]["answer"] and float(rows[0]["seconds"]) >= 0
        assert [row["answer"] for row in rows[len(TRAIN) :]] == [WITHHELD] * len(TEST)
        with pytest.raises(PipelineError, match="cookie"):
            handlers.download_run(shown.run_id, NOBODY)
        with pytest.raises(RecordError, match="Run a list"):
            handlers.download_run(None, ADA)

    def test_a_long_run_says_where_all_its_rows_are(self, services):
        text = "\n".join(f"Query number {n}" for n in range(runs.SHOWN_ROWS + 5))
        long = services.query_lists.add_text(text, "Long", False)
        model = services.registry.all()[0].id
        run_id = services.store.runs.start(NewRun(model, long.id, None, "r", runs.SHOWN_ROWS + 5, 0))
        handlers = runs.RunsHandlers(services)
        shown = handlers.show_run(run_id, ADA).rows
        assert shown.count("<tr>") == 1 + runs.SHOWN_ROWS
        assert "The first 200 of 205 queries. Download the run for all of them." in shown
        with open(handlers.download_run(run_id, ADA), encoding="utf-8", newline="") as file:
            assert [row["state"] for row in csv.DictReader(file)] == ["waiting"] * 205

    def test_the_time_left_is_that_of_the_answers_that_are_still_to_be_made(self, services):
        run = services.store.runs.get(services.store.runs.start(NewRun(
            services.registry.all()[0].id, services.query_lists.all()[0].id, None, "r", total=500, reused=400,
        )))  # fmt: skip
        assert (run.done, run.reused) == (400, 400)
        assert "left" not in runs.progress(run, "m", "l")
        begun = replace(run, done=410, created_at=time.time() - 10)
        assert re.search(r"about (89|90|91) s left", runs.progress(begun, "m", "l"))

    def test_what_is_missing_is_said(self, services):
        handlers = runs.RunsHandlers(services)
        for list_id, model_id in ((None, "m"), ("l", None), ("", "")):
            with pytest.raises(QueryFileError, match="Choose a list"):
                handlers.start_run(list_id, model_id, "", ADA)
        for list_id, model_id, kind in (
            ("gone", services.registry.all()[0].id, QueryFileError),
            ("l", "x", NotFoundError),
        ):
            with pytest.raises(kind):
                handlers.start_run(list_id, model_id, "", ADA)
        with pytest.raises(RecordError, match="Run a list"):
            handlers.send_to_edit(None, "answer-review")
        for act in (handlers.show_run, handlers.cancel_run):
            with pytest.raises(NotFoundError):
                act("gone", ADA)

    def test_answers_are_sent_to_edit(self, services):
        handlers = runs.RunsHandlers(services)
        sent = handlers.send_to_edit(services.store.runs.latest(1)[0].id, "customer-assistant")
        newest = services.datasets.all()[0]
        assert (sent.tabs.selected, value(sent.dataset)) == ("edit", newest.id)
        assert (newest.name, newest.template, newest.size) == ("Harbour (2)", "customer-assistant", 5)


class TestEdit:
    """The example's kind of dataset; the routes over every kind of field and question have tests of their own."""

    @pytest.fixture
    def answers(self, services):
        return AnnotateAnswers(services)

    @pytest.fixture
    def me(self, services):
        return member(services)

    @pytest.fixture
    def dataset(self, services):
        return services.datasets.all()[0].id

    @pytest.fixture
    def ids(self, services, dataset, me):
        return services.annotation.order(dataset, me)

    def test_a_record_is_shown_with_its_contexts_and_the_suggestion(self, services, answers, dataset, ids, me):
        shown = answers.open(me, dataset, "", View(), frame=True)
        record, html = services.store.datasets.record(ids[0]), shown["card"]["html"]
        assert (shown["card"]["id"], shown["next"]["id"]) == (ids[0], ids[1])
        assert "Record 1 of 5" in html and esc(record.query) in html and esc(record.completion) in html
        assert f'data-chunk="{record.contexts[0].chunk_id}"' in html and "checked" not in html
        assert "Suggested by extractive-base" in html and "Pending <b>5</b>" in shown["counts"]

    def test_the_newest_dataset_opens_where_none_is_chosen_and_a_record_that_is_asked_for(self, answers, ids, me):
        assert answers.open(me, "", "", View(), False)["card"]["id"] == ids[0]
        assert answers.open(me, "", ids[3], View(), False)["card"]["id"] == ids[3]

    def test_a_draft_is_saved_shown_and_there_again_after_a_reload(self, services, answers, dataset, ids, me):
        saved = answers.save_draft(me, Typed(ids[0], {QUERY_RATING: 4, ANSWER: "At seven."}))
        assert saved["saved"] and "<ins>" in saved["diffs"][ANSWER]
        shown = answers.open(me, dataset, "", View(), False)
        assert shown["card"]["id"] == ids[0] and "At seven." in shown["card"]["html"]
        assert shown["card"]["html"].count("checked") == 1 and "Drafts <b>1</b>" in shown["counts"]
        assert services.annotation.card(ids[0], member(services, BO)).response is None

    def test_a_discard_goes_on_and_can_be_looked_at_again(self, answers, dataset, ids, me):
        answers.end(me, "discard", Typed(ids[0], {ANSWER: "half"}), 1.0, "<b>odd</b>")
        assert answers.after(me, ids[0], "", View())["card"]["id"] == ids[1]
        again = answers.step(me, dataset, ids[1], -1, View())["card"]["html"]
        assert "You discarded this: &lt;b&gt;odd" in again and "half" in again

    def test_back_and_next_stop_at_the_ends(self, answers, dataset, ids, me):
        assert answers.step(me, dataset, ids[0], -1, View())["end"] == "This is the first record."
        assert answers.step(me, dataset, ids[0], 1, View())["card"]["id"] == ids[1]
        assert answers.step(me, dataset, ids[-1], 1, View())["end"] == "This is the last record."

    def test_when_all_is_done_one_can_look_at_the_last_record_again(self, answers, dataset, ids, me):
        for record_id in ids:
            answers.end(me, "submit", Typed(record_id, {ANSWER: "Yes."}), 1.0, "")
        shown = answers.after(me, ids[-1], "", View())
        assert "All done here" in shown["empty"] and "edit-again" in shown["empty"]
        again = answers.step(me, dataset, "", -1, View())["card"]
        assert again["id"] == ids[-1] and "You submitted this; submit again to change it" in again["html"]

    def test_without_a_record_nothing_is_kept(self, services, answers, dataset, me):
        nothing = Typed("nothing", {ANSWER: "Yes."})
        for act in (
            lambda: answers.save_draft(me, nothing),
            lambda: answers.end(me, "submit", nothing, 1.0, ""),
            lambda: answers.stay(me, "nothing"),
        ):
            with pytest.raises(NotFoundError):
                act()
        assert services.store.responses.of_dataset(dataset) == []

    def test_the_example_is_prepared_for_the_first_press(self, empty):
        prepared = annotate.AnnotateHandlers(empty).prepare_example()
        shown = AnnotateAnswers(empty).open(member(empty), prepared, "", View(), False)
        assert "Record 1 of 24" in shown["card"]["html"] and len(empty.datasets.all()) == 1

    def test_datasets_can_be_chosen_by_themselves_and_by_one_of_their_records(self, services, dataset, ids):
        handlers = edit.EditHandlers(services)
        services.datasets.create_of_run(services.store.runs.latest(1)[0].id, "customer-assistant")
        assert choices(handlers.load_datasets(dataset)) == ["Harbour (2) (5)", "Harbour (5)"]
        assert value(handlers.load_datasets(dataset)) == value(handlers.load_datasets(f"record/{ids[2]}")) == dataset
        newest = services.datasets.all()[0].id
        assert value(handlers.load_datasets("gone")) == value(handlers.load_datasets("record/gone")) == newest
