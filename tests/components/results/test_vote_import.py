"""The panel that brings votes in, and the part of Tune that takes them: called as Gradio calls them."""

import csv
import json
from pathlib import Path

import pytest

from components.ask import runs
from components.ask import tab as ask
from components.results import tab as results
from components.results.vote_import import MEANINGS, ORDER, VoteImportHandlers
from components.settings import model_panel
from components.tune import tab as tune
from components.tune import votes as tune_votes
from pipeline.errors import ComparisonError, TrainingError
from pipeline.records import Outcome
from pipeline.vote_import.mapping import MAX_OPTIONS
from tests.components.screens import ADA, BO, choices, member, value
from tests.workspace import add_comparison, add_model

ODD = "<script>alert(1)</script>{x}"


@pytest.fixture
def services(harbour):
    return harbour


@pytest.fixture
def path(tmp_path):
    verdicts = ["model_a", "model_b", "tie", "tie (bothbad)", "model_c"]
    file = tmp_path / "battles.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["question", "model_a", "model_b", "winner", "judge"])
        writer.writerows([f"Q {n} {ODD}", "old-1", "new-1", verdict, "bo"] for n, verdict in enumerate(verdicts))
    return str(file)


def chosen_of(screen):
    """Return what the form holds after a file was read, in the order of the handlers' inputs."""
    parts = iter(screen[4:])
    targets = [next(parts).value for _ in ORDER]
    next(parts)
    meanings = [next(parts).value for _ in MEANINGS]
    options = [next(parts).value for _ in range(MAX_OPTIONS)]
    next(parts)
    return [*targets, *meanings, *options, next(parts).value, False, False]


def with_meaning(chosen, text, meaning):
    place = len(ORDER) + list(MEANINGS).index(meaning)
    return [[*item, text] if n == place else item for n, item in enumerate(chosen)]


def test_a_file_is_shown_with_what_cannot_be_read_and_nothing_in_it_is_html(services, path):
    screen = VoteImportHandlers(services).read(path)
    seen, leave_out, button = screen[-3:]
    assert "5 rows in 5 columns" in screen[0] and screen[2] == "battles"
    assert "4 votes by 1 annotator on 4 queries, between 2 models" in seen
    assert "row 6: winner &#x27;model_c&#x27; is not a known verdict" in seen
    assert "<script" not in seen and "{x}" not in seen
    assert leave_out.visible and leave_out.label == "Leave out the 1 row that cannot be read" and not button.interactive


def test_the_votes_come_in_once_the_unknown_verdict_has_a_meaning(services, path):
    handlers = VoteImportHandlers(services)
    chosen = chosen_of(handlers.read(path))
    with pytest.raises(ComparisonError, match="row 6: winner 'model_c'"):
        handlers.bring(path, "", *chosen)
    chosen = with_meaning(chosen, "model_c", Outcome.BOTH_BAD.value)
    assert handlers.look(path, *chosen).bring.interactive
    message, form, file, set_id, show = handlers.bring(path, "Battles of May", *chosen)
    assert "5 votes are in." in message and not form.visible and file is None and show.visible
    shown = results.ResultsHandlers(services)
    boxes = shown.load_comparisons(set_id, BO)
    assert boxes.value == set_id and "Battles of May" in choices(boxes)
    assert "brought in before" in handlers.bring(path, "Again", *chosen)[0]
    assert len([item for item in services.comparisons.sets() if item.id == set_id]) == 1
    listed = model_panel.ModelHandlers(services).show_registry(None, None, None).models
    assert "old-1" in listed and listed.count("it answers nothing") == 2
    assert choices(ask.AskHandlers(services).load_models(None)) == choices(
        runs.RunsHandlers(services).load_choices(None, None).model
    )
    assert "old-1" not in choices(ask.AskHandlers(services).load_models(None))


def test_a_value_stands_under_one_meaning_only(services, path):
    handlers = VoteImportHandlers(services)
    chosen = with_meaning(chosen_of(handlers.read(path)), "tie", "both_bad")
    with pytest.raises(ComparisonError, match="two meanings"):
        handlers.look(path, *chosen)


def test_another_column_of_verdicts_shows_its_own_values(services, path):
    handlers = VoteImportHandlers(services)
    chosen = chosen_of(handlers.read(path))
    chosen[ORDER.index("outcome")] = "judge"
    values, first, *_ = handlers.choose_columns(path, *chosen)
    assert values.visible and values.open and choices(first) == ["bo (5)"] and value(first) == []


def test_the_responses_of_a_ranking_are_given_to_models(services, tmp_path):
    order = [{"value": "one", "rank": 1}, {"value": "two", "rank": 2}]
    given = {"user_id": "u", "status": "submitted", "values": {"order": {"value": order}}}
    record = {"fields": {"prompt": "Q", "one": "A text", "two": "Another"}, "metadata": {}, "responses": [given]}
    file = tmp_path / "records.json"
    file.write_text(json.dumps([record]), "utf-8")
    handlers = VoteImportHandlers(services)
    screen = handlers.read(str(file))
    chosen = chosen_of(screen)
    start = len(ORDER) + len(MEANINGS)
    assert chosen[start : start + 2] == ["one", "two"] and "one is better" in screen[-3]
    chosen[start : start + 2] = ["Old", "New"]
    assert "Old is better" in handlers.look(str(file), *chosen).preview
    flipped = [*chosen[:-2], True, chosen[-1]]
    assert "New is better" in handlers.look(str(file), *flipped).preview


@pytest.mark.parametrize("content", ["", "no,columns\n", "{", "%PDF-1.4"])
def test_what_is_no_file_of_votes_says_so_and_shows_no_form_or_no_button(services, tmp_path, content):
    file = tmp_path / "votes.csv"
    file.write_text(content, "utf-8")
    screen = VoteImportHandlers(services).read(str(file))
    assert not screen[1].visible or not screen[-1].interactive


def test_tune_lists_comparisons_whose_results_are_open_and_counts_their_corrections(services):
    set_id = add_comparison(services, (add_model(services, "one"), add_model(services, "two")), [("First.", "Second.")])
    ada = member(services)
    pair = services.comparisons.next_pair(set_id, ada)
    services.comparisons.vote(pair.comparison_id, ada, Outcome.BOTH_BAD, correction=f"Better {ODD}.")
    handlers, part = tune.TuneHandlers(services), tune_votes.TuneVotesHandlers(services)
    root, _ = part.load(None, ADA)
    assert not root.visible
    dataset = services.datasets.all()[0].id
    with pytest.raises(TrainingError, match="Open the results"):
        handlers.show_data(dataset, [set_id], ADA)
    services.comparisons.reveal(set_id, ada)
    root, box = part.load([set_id, "gone"], ADA)
    assert root.visible and value(box) == [set_id] and choices(box) == ["both by name (1 correction, 1 vote)"]
    assert not part.load(None, BO)[0].visible
    shown = handlers.show_data(dataset, [set_id], ADA)
    assert "corrections out of votes" in shown.card and "1 test query is trained on" in shown.card
    assert "<script" not in shown.preview
    for form in ("trl-prompt-completion", "trl-preference", "trl-unpaired"):
        lines = Path(handlers.download_rows("", [set_id], ADA, "", form)).read_text("utf-8").splitlines()
        assert json.loads(lines[0])["annotator"].startswith("annotator-")
        with pytest.raises(TrainingError):
            handlers.download_rows("", [set_id], BO, "", form)
    lines = Path(handlers.download_rows(dataset, [set_id], ADA)).read_text("utf-8").splitlines()
    assert f"Better {ODD}." in lines[-1]
