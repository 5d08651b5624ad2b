"""Handlers of Tune, Compare, Results, Settings and the header: what they show, and what they refuse."""

import csv
import re
import time
from pathlib import Path

import gradio as gr
import pytest

from components import header
from components.compare import tab as compare
from components.results import checks as results_checks
from components.results import tab as results
from components.settings import environment_panel, model_panel
from components.tune import tab as tune
from pipeline.annotation.templates import ANSWER
from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm
from pipeline.errors import ComparisonError, NotFoundError, PipelineError, RecordError, TrainingError
from pipeline.export import validate_chat_jsonl
from pipeline.records import JobState, Outcome, Split, Vote
from pipeline.settings import from_environment
from tests.components.screens import ADA, BO, NOBODY, choices, event, member, value
from tests.material import TEST, TRAIN, open_copy, trained
from tests.workspace import add_comparison, add_model

TEXTS = [(f"Answer {n} in short.", f"Answer {n}, which goes on.") for n in range(4)]


@pytest.fixture
def services(harbour):
    return harbour


class TestTune:
    @pytest.fixture
    def handlers(self, services):
        return tune.TuneHandlers(services)

    @pytest.fixture
    def submitted(self, services):
        dataset = services.datasets.all()[0].id
        for record in services.store.datasets.records(dataset):
            services.annotation.submit(record.id, member(services), {ANSWER: record.completion})
        return dataset

    def test_without_a_dataset_and_without_rows_it_says_where_to_begin(self, services, handlers, empty):
        nothing = tune.TuneHandlers(empty).show_data(None)
        assert "No dataset yet" in nothing.card and not nothing.train.interactive
        none_yet = handlers.show_data(services.datasets.all()[0].id)
        assert "No rows yet" in none_yet.card and not none_yet.download.interactive

    def test_the_data_card_counts_and_previews_the_rows(self, handlers, submitted):
        shown = handlers.show_data(submitted)
        assert "<b>5</b><span>rows</span>" in shown.card and "passes OpenAI&#x27;s checks" in shown.card
        assert "Fewer than 10 rows" in shown.card and shown.train.interactive and shown.download.interactive
        assert "assistant" in shown.preview and TRAIN[0] in shown.preview

    def test_the_file_is_made_when_it_is_asked_for(self, handlers, submitted):
        path = Path(handlers.download_rows(submitted))
        lines = path.read_text(encoding="utf-8").splitlines()
        assert path.name == "pairloop-openai-chat.jsonl" and len(lines) == 5 and validate_chat_jsonl(lines) == []

    def test_a_job_is_started_and_shown_with_its_loss(self, services, handlers, submitted):
        chosen = handlers.load_choices(None, None)
        assert choices(chosen.base) == ["extractive-base"]
        handlers.start_training(value(chosen.dataset), value(chosen.base))
        trained(services, services.tuner.jobs()[0].id)
        shown = handlers.show_jobs()
        assert "extractive-tuned-1" in shown.jobs and "done: learned from" in shown.jobs
        assert (shown.loss.visible, shown.compare.visible, shown.timer.active) == (True, True, False)

    def test_a_failed_job_shows_its_reason_and_no_loss(self, services, handlers):
        dataset = services.datasets.all()[0].id
        record = services.store.datasets.records(dataset)[0]
        services.annotation.submit(record.id, member(services), {ANSWER: "At seven."})
        handlers.start_training(dataset, services.registry.all()[0].id)
        job = trained(services, services.tuner.jobs()[0].id)
        shown = handlers.show_jobs()
        assert job.state is JobState.FAILED and "Review more records on Edit" in shown.jobs
        assert not shown.loss.visible and not shown.compare.visible

    def test_what_is_missing_is_said(self, services, handlers):
        dataset = services.datasets.all()[0].id
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
        return getattr(handlers, name)(set_id, shown.pair_id, shown.shown_at, reason, correction, "", who)

    def test_without_a_comparison_it_says_where_to_begin(self, handlers):
        assert "No comparison yet" in value(handlers.show_next(None, ADA).nothing)
        assert "gone" in value(handlers.show_next("nothing", ADA).nothing)

    def test_a_pair_is_shown_without_a_word_about_models(self, handlers, set_id):
        shown = handlers.show_next(set_id, ADA)
        assert shown.form.visible and shown.pair.count("<section") == 2
        assert "secret" not in repr(shown) + repr(choices(handlers.load_comparisons(None)))
        assert "0 of 4 judged by you" in shown.progress and not shown.undo.visible

    def test_every_button_stores_its_outcome_and_shows_the_next_pair(self, services, handlers, set_id):
        shown, given = handlers.show_next(set_id, ADA), []
        for name in ("vote_a", "vote_b", "vote_tie", "vote_both_bad"):
            given.append(shown.pair_id)
            shown = self.vote(handlers, set_id, shown, name, reason=f"because {name}")
        votes = {vote.comparison_id: vote for vote in services.store.votes.of_set(set_id)}
        outcomes = [votes[pair_id].outcome for pair_id in given]
        assert outcomes == ["model_a", "model_b", "tie", "both_bad"] and len(set(given)) == 4
        assert votes[given[1]].reason == "because vote_b" and votes[given[0]].seconds < 60
        assert "All judged" in value(shown.nothing) and shown.undo.visible and shown.results.visible

    def test_undo_brings_the_pair_back_with_what_was_written(self, services, handlers, set_id):
        first = handlers.show_next(set_id, ADA)
        self.vote(handlers, set_id, first, reason="because", correction="A better answer.")
        again = handlers.undo_vote(set_id, ADA)
        assert (again.pair_id, again.pair) == (first.pair_id, first.pair)
        assert (again.reason, again.correction) == ("because", "A better answer.")
        assert services.store.votes.of_set(set_id) == []

    def test_a_second_vote_on_a_pair_counts_once_and_goes_on(self, services, handlers, set_id):
        first = handlers.show_next(set_id, ADA)
        second = self.vote(handlers, set_id, first)
        assert self.vote(handlers, set_id, first, "vote_b").pair_id == second.pair_id
        assert len(services.store.votes.of_set(set_id)) == 1

    def test_what_is_no_vote_is_refused(self, services, handlers, set_id):
        shown = handlers.show_next(set_id, ADA)
        for act, kind in (
            (lambda: handlers.vote_a(set_id, "", None, "", "", "", ADA), ComparisonError),
            (lambda: self.vote(handlers, set_id, shown, who=BO), ComparisonError),
            (lambda: self.vote(handlers, set_id, shown, who=NOBODY), PipelineError),
            (lambda: handlers.vote_a(set_id, "nothing", None, "", "", "", ADA), NotFoundError),
            (lambda: handlers.undo_vote(None, ADA), ComparisonError),
            (lambda: handlers.undo_vote(set_id, ADA), ComparisonError),
        ):
            with pytest.raises(kind):
                act()
        assert services.store.votes.of_set(set_id) == []

    def test_a_new_comparison_is_prepared_in_the_background_and_then_shown(self, services, handlers):
        weights = {**services.registry.all()[0].config, "sentences": 1, "threshold": 0.0}
        child = add_model(services, "secret-child", services.registry.all()[0].id)
        other = type(child)(**{**{name: getattr(child, name) for name in child.__slots__}, "id": "z" * 26,
                               "name": "secret-other", "config": weights})  # fmt: skip
        services.store.models.add(other)
        new = handlers.new.load_new(None, None, None)
        assert value(new.model_1) == other.id and value(new.model_2) == services.registry.all()[0].id
        assert f"{len(TEST)} test queries" in new.preview
        created = handlers.create_comparison(value(new.model_1), value(new.model_2), value(new.query_list))
        assert "secret" not in repr(created) + repr(choices(created.chosen))
        deadline = time.monotonic() + 30
        while services.comparisons.sets()[0].state == "preparing" and time.monotonic() < deadline:
            time.sleep(0.02)
        shown = handlers.show_next(value(created.chosen), ADA)
        assert services.comparisons.sets()[0].state == "open" and "secret" not in repr(shown)

    def test_a_new_comparison_begins_with_two_different_models(self, services, handlers):
        newer = add_model(services, "newer")
        for chosen in ((None, None), (services.registry.all()[0].id, None)):
            new = handlers.new.load_new(*chosen, None)
            assert {value(new.model_1), value(new.model_2)} == {newer.id, services.registry.all()[0].id}

    def test_a_live_comparison_asks_for_no_list_and_leaves_out_what_was_chosen_before(self, services, handlers):
        models = [add_model(services, name).id for name in ("secret-one", "secret-two", "secret-three")]
        assert [part.visible for part in handlers.new.fit("live")] == [False] * 4
        assert [part.visible for part in handlers.new.fit("prepared")] == [True] * 4
        set_id = handlers.new.create(models[0], models[1], None, models[2:], "live", "ranking", "vote", "", 0, True)
        settings = services.store.comparisons.set(set_id).settings
        assert (settings.kind, settings.model_ids, settings.include_trained) == ("live", tuple(models[:2]), False)

    def test_a_comparison_that_cannot_be_is_refused_with_what_to_do(self, services, handlers):
        base, list_id = services.registry.all()[0].id, services.query_lists.all()[0].id
        assert "needs two models" in handlers.new.preview_new(base, None, list_id)
        assert "different models" in handlers.new.preview_new(base, base, list_id)
        for chosen in ((None, None, None), (base, base, list_id)):
            with pytest.raises(ComparisonError):
                handlers.create_comparison(*chosen)
        assert services.comparisons.sets() == []

    def test_the_way_to_the_results_leads_to_the_comparison_that_was_judged(self, services, handlers, set_id):
        models = add_model(services, "third"), add_model(services, "fourth")
        newer = add_comparison(services, models, TEXTS)
        judged = handlers.open_results(set_id, ADA)
        assert (judged.tabs.selected, value(judged.chosen)) == ("results", set_id)
        assert value(handlers.open_results(newer, ADA).chosen) == newer
        assert "both by name" not in repr(choices(judged.chosen))

    def test_a_failed_preparation_names_no_model(self, services, handlers, set_id):
        services.store.comparisons.fail_set(set_id, "failed", "secret-one could not answer")
        shown = handlers.show_next(set_id, ADA)
        assert "could not be prepared" in value(shown.nothing) and "secret" not in repr(shown)
        services.store.comparisons.fail_set(set_id, "preparing", "")
        waiting = handlers.show_next(set_id, ADA)
        assert "Answers are being made" in value(waiting.nothing) and waiting.timer.active


def _downloads(share):
    with_pair = (
        share.download_numbers,
        share.download_report,
        share.download_chart,
        share.draw_bar,
        share.draw_over_time,
    )
    return (
        share.download_votes,
        share.make_link,
        *(lambda set_id, me, act=act: act(set_id, None, me) for act in with_pair),
    )


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
            shown = better(set_id, shown.pair_id, shown.shown_at, "", "", "", who)

    def test_before_somebody_opens_the_results_nothing_of_them_is_told(self, handlers, services, set_id):
        self.judge(services, set_id)
        shown = handlers.show_results(set_id, ADA)
        assert shown.gate.visible and not shown.content.visible and "every pair" in shown.gate_text
        assert "-one" not in repr(shown) + repr(choices(handlers.load_comparisons(None, ADA)))
        for act in _downloads(handlers.share):
            with pytest.raises(ComparisonError, match="Open the results first"):
                act(set_id, ADA)

    def test_what_opening_means_is_said_as_it_is_for_every_form(self, handlers, services):
        models = [add_model(services, name) for name in ("first-one", "second-one")]
        never = add_comparison(services, models, TEXTS, reveal=RevealPolicy.NEVER)
        assert "which is which is never shown" in handlers.show_results(never, ADA).gate_text
        ranked = add_comparison(services, models, TEXTS, form=VoteForm.RANKING)
        assert "4 of 4 rankings left to judge" in handlers.show_results(ranked, ADA).gate_text
        live = services.live.create(ComparisonSettings(tuple(model.id for model in models)))
        told = handlers.show_results(live, ADA).gate_text
        assert "You have judged 0 pairs so far" in told and "identical" not in told

    def test_opening_shows_who_wins_with_all_counts_and_ends_the_voting(self, handlers, services, set_id):
        self.judge(services, set_id)
        shown = handlers.reveal_results(set_id, ADA)
        assert shown.content.visible and not shown.gate.visible
        assert "first-one" in shown.headline and "100.00" in shown.numbers and "Side A won" in shown.checks
        assert choices(handlers.load_comparisons(None, ADA)) == ["both by name"]
        with pytest.raises(ComparisonError, match="final"):
            compare.CompareHandlers(services).undo_vote(set_id, ADA)

    def test_one_persons_reveal_opens_nothing_for_another(self, handlers, set_id):
        handlers.reveal_results(set_id, ADA)
        assert handlers.show_results(set_id, BO).gate.visible
        assert "-one" not in repr(choices(handlers.load_comparisons(None, BO)))

    def test_files_hold_the_votes_and_a_page_that_needs_no_network(self, handlers, services, set_id):
        self.judge(services, set_id)
        handlers.reveal_results(set_id, ADA)
        with open(handlers.share.download_votes(set_id, ADA), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 4 and {row["annotator"] for row in rows} == {"annotator-1"}
        page = Path(handlers.share.download_chart(set_id, None, ADA)).read_text(encoding="utf-8")
        assert "first-one better" in page and '<script src="http' not in page

    def test_checks_call_no_probability_zero_and_count_only_votes_with_a_known_time(self):
        def shown(*seconds):
            return results_checks.checks(
                [Vote(str(n), "a", "b", Outcome.MODEL_A, "x", time) for n, time in enumerate(seconds)]
            )

        untimed = shown(*[None] * 40)
        assert "p &lt; 0.001" in untimed and "0.000" not in untimed
        assert "No vote has a known time" in untimed and "under 2 s" not in untimed
        assert "None of 3 votes took under 2 s" in shown(2.0, 3.0, 4.0)
        assert "None of 1 vote with a known time took under 2 s" in shown(2.0, None)
        assert "1 of 2 votes with a known time took under 2 s" in shown(1.9, 3.0, None)

    def test_queries_that_were_left_out_are_counted_with_the_reason(self, services):
        twins = services.store.queries.add_set("Twins", [(text, Split.TEST, {}) for text in (*TRAIN[:2], TEST[0])])
        one, two = add_model(services, "one").id, add_model(services, "two").id
        preview = compare.CompareHandlers(services).new.preview_new(one, two, twins)
        assert "1 test query." in preview and "2 more are barred: they are reviewed on Edit" in preview
        assert "2 barred because they are reviewed on Edit" in results.prepared({"pairs": 1, "barred": 2})

    def test_results_without_votes_are_results_too(self, handlers, set_id):
        shown = handlers.reveal_results(set_id, ADA)
        assert shown.content.visible and not shown.chart.visible

    def test_what_is_missing_is_said(self, handlers):
        assert "No comparison yet" in handlers.show_results(None, ADA).gate_text
        for act in (handlers.reveal_results, *_downloads(handlers.share)):
            with pytest.raises(ComparisonError, match="Choose a comparison"):
                act(None, ADA)
            with pytest.raises(PipelineError):
                act("nothing", ADA)


class TestSettingsAndHeader:
    def test_settings_show_every_variable_and_no_key(self, prepared, tmp_path):
        services = open_copy(
            prepared, tmp_path / "chat", openai_base_url="http://127.0.0.1:1/v1", openai_api_key="sk-never-shown"
        )
        models = model_panel.ModelHandlers(services).show_registry(None, None, None)
        environment = environment_panel.EnvironmentHandlers(services).show_environment()
        assert "OPENAI_API_KEY" in environment and "sk-never" not in repr((models, environment))
        assert str(services.settings.home) in environment and "OPENAI_API_KEY" in choices(models.key)
        services.close()
        told = from_environment(
            {"DATABASE_URL": "postgresql://ada:hunter2@db.example/loop", "OAUTH_CLIENT_SECRET": "hush"}
        )
        shown = environment_panel.environment_html(told)
        assert "PostgreSQL at db.example/loop" in shown and not re.search("hunter2|hush", shown)

    def test_a_name_is_kept_and_shown(self, services):
        handlers = header.HeaderHandlers(services)
        assert 'value="Guest 1"' in handlers.show_header(ADA)
        assert 'value="Ada Lovelace"' in handlers.rename_person(event(name="  Ada \n Lovelace "), ADA)
        assert 'value="Ada Lovelace"' in handlers.show_header(ADA)
        assert "Ada" not in handlers.show_header(BO)

    def test_no_name_is_typed_into_a_field_that_is_replaced_when_the_name_is_known(self, services):
        assert " disabled " in header.header("")
        assert "disabled" not in header.HeaderHandlers(services).show_header(ADA)

    @pytest.mark.parametrize("data", [{"name": " "}, {"name": "n" * 41}, {}])
    def test_what_is_no_name_is_refused(self, services, data):
        with pytest.raises(RecordError, match="1 to 40"):
            header.HeaderHandlers(services).rename_person(event(**data), ADA)

    def test_a_name_that_is_markup_stays_text_in_the_message_too(self, services, monkeypatch):
        said = []
        monkeypatch.setattr(gr, "Info", said.append)
        shown = header.HeaderHandlers(services).rename_person(event(name='<b onclick="x">'), ADA)
        assert "<b onclick" not in shown and "<b" not in said[0]
