"""The Records panel: its handlers over real services, and what its HTML lets through."""

import json
from types import SimpleNamespace

import pytest

from components.edit import record_columns
from components.edit.record_panel import Pending, RecordHandlers
from pipeline.annotation.settings import DatasetSettings, Field, Option, Question, QuestionKind
from pipeline.errors import RecordError
from pipeline.record_files.mapping import NOTHING
from pipeline.record_files.writing import Form
from pipeline.records import ResponseStatus
from tests.workspace import open_workspace, person, respond

SETTINGS = DatasetSettings(
    fields=(Field("text"),),
    questions=(Question("tone", QuestionKind.LABEL, options=(Option("warm"), Option("cold"))),),
)
CSV = "id,Text,tone,other\n1,One,warm,x\n2,Two,cold,y\n3,,warm,z\n4,Four,hot,\n"


@pytest.fixture
def letters(empty):
    dataset = empty.datasets.create("Letters", SETTINGS)
    return SimpleNamespace(services=empty, id=dataset.id, handlers=RecordHandlers(empty))


def looked(letters, tmp_path, text, name="x.csv"):
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return letters.handlers.look_at_file(letters.id, str(file))


def to(mapping):
    return SimpleNamespace(_data={"mapping": mapping})


def test_a_file_is_shown_with_its_columns_and_nothing_is_added(letters, tmp_path):
    screen = looked(letters, tmp_path, CSV)
    assert "4 rows, 4 columns" in screen.columns and '<option value="field:text" selected>' in screen.columns
    assert "2 records will be new." in screen.report and "2 suggestions" in screen.report
    assert "<b>row 4</b>: The field" in screen.report and "<b>row 5</b>: “tone”" in screen.report
    assert screen.leave_out.visible and screen.leave_out.label == "Leave out the 2 rows that cannot be read"
    assert (screen.add.value, screen.add.interactive) == ("Add 2 records", False)
    assert letters.services.datasets.get(letters.id).size == 0


def test_where_somebody_lets_a_column_go_stays_over_a_change_of_panel(letters, tmp_path):
    pending = looked(letters, tmp_path, CSV).pending
    pending = letters.handlers.map_columns(
        letters.id, pending, to({"other": "field:text", "Text": NOTHING, "id": "nowhere"})
    ).pending
    again = letters.handlers.show(letters.id, pending)
    assert (again.pending.mapped["other"], again.pending.mapped["id"]) == ("field:text", pending.mapped["id"])
    assert again.columns.count('value="field:text" selected') == 1
    other = letters.services.datasets.create("Others", SETTINGS).id
    fresh = letters.handlers.show(other, pending).pending
    assert fresh.mapped == looked(letters, tmp_path, CSV).pending.mapped


def test_the_good_rows_go_in_only_when_somebody_says_so(letters, tmp_path):
    pending = looked(letters, tmp_path, CSV).pending
    with pytest.raises(RecordError, match="Some rows cannot be read"):
        letters.handlers.add_records(letters.id, pending, False)
    assert letters.handlers.allow(letters.id, pending, True).interactive
    done = letters.handlers.add_records(letters.id, pending, True)
    assert "2 records added." in done.report and "2 rows left out, as you chose." in done.report
    assert done.pending is None and done.upload is None and done.columns == ""
    assert done.dataset.choices == [("Letters (2)", letters.id)]
    again = looked(letters, tmp_path, CSV)
    assert "2 records take the place of the records with the same id" in again.report


def test_a_column_goes_elsewhere_and_only_to_places_that_there_are(letters, tmp_path):
    pending = looked(letters, tmp_path, CSV).pending
    changed = letters.handlers.map_columns(letters.id, pending, to({"tone": "", "other": "metadata:other"}))
    assert changed.pending.mapped["tone"] == "" and "suggestion" not in changed.report
    assert changed.add.value == "Add 3 records"
    twice = letters.handlers.map_columns(letters.id, pending, to({"other": "field:text"}))
    assert "go to the same place" in twice.report and not twice.add.interactive
    forged = letters.handlers.map_columns(letters.id, pending, to({"other": "field:secret", "tone": 7, "new": "id"}))
    assert forged.pending.mapped == pending.mapped
    for wrong in (None, [], {"mapping": "x"}):
        with pytest.raises(RecordError, match="again"):
            letters.handlers.map_columns(letters.id, pending, SimpleNamespace(_data=wrong))


def test_what_cannot_be_read_is_said_where_the_file_stands(letters, tmp_path):
    screen = looked(letters, tmp_path, "")
    assert "x.csv is empty." in screen.report and screen.pending is None and not screen.add.visible
    assert "The pasted text is empty." in letters.handlers.look_at_text(letters.id, " ").report
    assert "owner/name" in letters.handlers.look_at_hub(letters.id, "not a name", "", "", "").report


def test_pasted_rows_are_read_as_a_file_is(letters):
    screen = letters.handlers.look_at_text(letters.id, '{"text": "One"}\n{"text": "Two", "tone": "warm"}')
    letters.handlers.add_records(letters.id, screen.pending, False)
    assert [r.fields["text"] for r in letters.services.store.datasets.records(letters.id)] == ["One", "Two"]


def test_nothing_of_a_file_is_html(letters):
    evil = "<img src=x onerror=alert(1)>{{7*7}}${alert(1)}\"'"
    screen = letters.handlers.look_at_text(letters.id, json.dumps([{"text": evil, evil: evil, "tone": evil}]))
    for html in (screen.columns, screen.report, screen.summary):
        assert "<img" not in html and "{{" not in html and "${" not in html


def test_a_dataset_of_a_run_takes_none_but_a_file_can_become_one(harbour, tmp_path):
    (dataset,) = harbour.datasets.all()
    run = SimpleNamespace(services=harbour, id=dataset.id, handlers=RecordHandlers(harbour))
    rows = "text,mood\n" + "".join(f"Text {n},{'good' if n % 2 else 'bad'}\n" for n in range(6))
    screen = looked(run, tmp_path, rows, "moods.csv")
    assert "takes no other records" in screen.report and screen.fresh.visible and not screen.add.visible
    done = run.handlers.make_dataset(screen.pending)
    assert "moods is there, with 6 records." in done.report
    made = harbour.datasets.get(done.dataset.value)
    assert made.published and made.settings.question("mood").values == ("bad", "good") and made.size == 6


def test_a_file_without_texts_becomes_no_dataset_and_is_told_what_to_do(letters, tmp_path):
    screen = looked(letters, tmp_path, "winner,loser\n" + "a,b\nb,a\n" * 4)
    with pytest.raises(RecordError, match="holds texts to show. Make a dataset in Setup"):
        letters.handlers.make_dataset(screen.pending)
    assert len(letters.services.datasets.all()) == 1


def test_a_whole_dataset_moves_to_another_workspace(letters, tmp_path):
    letters.handlers.add_records(letters.id, looked(letters, tmp_path, CSV).pending, True)
    record_id = letters.services.store.datasets.record_ids(letters.id)[0]
    ada = person(letters.services, "Ada")
    respond(letters.services.store, record_id, ada, ResponseStatus.SUBMITTED, {"tone": "cold"})
    path = letters.handlers.download(letters.id, Form.PAIRLOOP.value)
    other = open_workspace(tmp_path / "other")
    handlers = RecordHandlers(other)
    screen = handlers.look_at_file(None, path)
    assert "a whole dataset, Letters: 2 records, 2 suggestions, 1 response, 1 person" in screen.report
    done = handlers.add_records(None, screen.pending, False)
    assert "Letters is there, with 2 records." in done.report
    with open(path, "rb") as file:
        assert other.records.export(done.dataset.value, Form.PAIRLOOP)[1] == file.read()
    other.close()


@pytest.mark.parametrize("form", list(Form))
def test_every_form_can_be_downloaded_and_is_described(letters, tmp_path, form):
    letters.handlers.add_records(letters.id, looked(letters, tmp_path, CSV).pending, True)
    assert "names" in letters.handlers.describe(form.value)
    if form in (Form.CSV_RESPONSES, Form.PARQUET_RESPONSES):
        with pytest.raises(RecordError, match="no responses yet"):
            letters.handlers.download(letters.id, form.value)
        store = letters.services.store
        record_id = store.datasets.record_ids(letters.id)[0]
        respond(store, record_id, person(letters.services, "Ada"), ResponseStatus.SUBMITTED, {"tone": "cold"})
    path = letters.handlers.download(letters.id, form.value)
    screen = letters.handlers.look_at_file(letters.id, path)
    assert screen.pending is not None and screen.add.interactive


def test_after_a_restart_the_file_is_asked_for_again(letters):
    for call in (
        lambda: letters.handlers.add_records(letters.id, None, False),
        lambda: letters.handlers.make_dataset(Pending()),
        lambda: letters.handlers.map_columns(letters.id, None, to({})),
    ):
        with pytest.raises(RecordError, match="Choose the file again"):
            call()


def test_without_a_dataset_the_panel_says_so(empty):
    handlers = RecordHandlers(empty)
    assert "no dataset yet" in handlers.show(None, None).summary
    with pytest.raises(RecordError, match="no dataset"):
        handlers.download(None, Form.CSV_RECORDS.value)
    assert record_columns.SHOWN_ROWS == 5
