"""Setup and New dataset by their handlers."""

import json
import re
from pathlib import Path

import gradio as gr
import pytest

from components.edit import setup_html, setup_parts
from components.edit.new_dataset import COPY, FILE, NewDatasetHandlers
from components.edit.setup_handlers import NO_DATASET, NO_SPANS, SetupHandlers
from components.edit.setup_parts import FIELDS, METADATA, QUESTIONS, Form
from pipeline.annotation.files import from_text
from pipeline.annotation.settings import DatasetSettings, Field, MetadataKind, MetadataProperty, Question, QuestionKind
from pipeline.annotation.templates import templates, tutorial_settings
from pipeline.errors import NotFoundError, RecordError
from pipeline.records import Suggestion
from pipeline.store.datasets import NewRecord
from tests.components.screens import ADA, choices, member


@pytest.fixture
def setup(empty):
    return SetupHandlers(empty)


@pytest.fixture
def new(empty):
    return NewDatasetHandlers(empty)


@pytest.fixture
def blank(empty):
    return empty.datasets.create_from_template("blank", "Mine").id


def form(kind, title, name="", options="", flag=True, low=None, high=None):
    return Form(kind, title, name, "", flag, options, low, high)


def untouched(value):
    return value == gr.skip()


def add(handlers, dataset_id, section, **values):
    shown = handlers.save(dataset_id, setup_parts.key(section, ""), *form(**values))
    assert "pl-good" in shown.part_message, shown.part_message
    return shown


@pytest.mark.parametrize("template", templates(), ids=lambda item: item.name)
def test_every_part_comes_out_of_its_form_as_it_went_in(template):
    settings = template.settings
    for section in (FIELDS, QUESTIONS, METADATA):
        for item in getattr(settings, section):
            assert setup_parts.part_of(section, setup_parts.form_of(item, section)) == item


@pytest.mark.parametrize(
    "item",
    [
        MetadataProperty("m", MetadataKind.TERMS, "M", ("a", "b c"), visible=False),
        MetadataProperty("m", MetadataKind.INTEGER, low=1, high=5),
        MetadataProperty("m", MetadataKind.FLOAT, low=-0.5),
    ],
    ids=lambda item: item.kind.value,
)
def test_metadata_comes_out_of_its_form_as_it_went_in(item):
    assert setup_parts.part_of(METADATA, setup_parts.form_of(item, METADATA)) == item


def test_a_name_is_made_of_the_title_and_a_scale_is_typed_in_one_line_or_several():
    question = setup_parts.part_of(QUESTIONS, form("rating", "How good, 1–5?", options="1, 2 3"))
    assert (question.name, question.values) == ("how-good-1-5", (1, 2, 3))
    labelled = setup_parts.part_of(QUESTIONS, form("rating", "x", options="1 | poor\n2 | good"))
    assert [(option.value, option.text) for option in labelled.options] == [(1, "poor"), (2, "good")]
    with pytest.raises(RecordError, match="whole numbers from 0 to 10, not 'poor'"):
        setup_parts.part_of(QUESTIONS, form("rating", "x", options="poor\ngood"))
    with pytest.raises(RecordError, match="a title or a name"):
        setup_parts.part_of(QUESTIONS, form("text", "  "))
    with pytest.raises(RecordError, match="what kind of field"):
        setup_parts.part_of(FIELDS, form("image", "x"))


def test_a_part_moves_within_its_section_and_stays_at_the_ends():
    settings = DatasetSettings(tuple(map(Field, "abc")), ())
    order = [item.name for item in setup_parts.moved(settings, FIELDS, "c", -1).fields]
    assert order == ["a", "c", "b"]
    for name, step in (("a", -1), ("c", 1), ("other", 1)):
        assert setup_parts.moved(settings, FIELDS, name, step) == settings


def test_marks_follow_the_text_they_are_in():
    settings = DatasetSettings((Field("a"),), (Question("q", QuestionKind.TEXT),), mark_spans="a")
    assert setup_parts.with_part(settings, FIELDS, "a", Field("b")).mark_spans == "b"
    assert setup_parts.without(settings, FIELDS, "a").mark_spans == ""
    assert setup_parts.without(settings, QUESTIONS, "q").mark_spans == "a"


def test_a_dataset_is_made_by_hand_and_every_save_is_kept(empty, setup, blank):
    assert "Add a field" in setup.show(blank).state
    add(setup, blank, FIELDS, kind="text", title="Text")
    add(setup, blank, QUESTIONS, kind="label", title="Which?", options="a | A\nb | B")
    add(setup, blank, METADATA, kind="integer", title="Pages", low=1)
    shown = setup.show(blank)
    assert choices(shown.parts) == ["Field: Text (text)", "Question: Which? (label)", "Metadata: Pages (integer)"]
    assert shown.publish.interactive and "complete" in shown.state
    settings = empty.datasets.get(blank).settings
    assert settings.question("which").values == ("a", "b") and settings.metadata_property("pages").low == 1
    done = setup.publish(blank)
    assert empty.datasets.get(blank).published and not done.publish.visible and choices(done.dataset) == ["Mine (0)"]


def test_the_form_is_that_of_the_chosen_part(setup, blank):
    add(setup, blank, QUESTIONS, kind="rating", title="Stars", options="1\n2", flag=False)
    shown = setup.choose(blank, "questions/stars")
    assert (shown.editing, shown.title, shown.part_name) == ("questions/stars", "Stars", "stars")
    assert (shown.options.value, shown.options.visible, shown.flag.value) == ("1\n2", True, False)
    assert "Text, written freely" in choices(shown.kind)
    add(setup, blank, FIELDS, kind="text", title="Shown")
    assert "Text, shown as it is" in choices(setup.choose(blank, "fields/shown").kind)
    assert setup.choose(blank, "questions/gone").form.visible is False


def test_a_rating_begins_with_one_to_five(setup):
    options, low, _ = setup.choose_kind("questions/", "rating", "")
    assert (options.value, options.visible, low.visible) == ("1\n2\n3\n4\n5", True, False)
    options, low, high = setup.choose_kind("metadata/", "float", "")
    assert (options.visible, low.visible, high.visible) == (False, True, True)


@pytest.mark.parametrize("begin", ["begin_field", "begin_question", "begin_metadata"])
def test_a_new_part_begins_empty(setup, blank, begin):
    shown = getattr(setup, begin)(blank)
    assert shown.form.visible and shown.title == "" and shown.editing.endswith("/") and shown.parts.value is None


def test_a_new_field_or_question_is_required_at_first_until_the_dataset_is_published(empty, setup, blank):
    assert setup.begin_field(blank).flag.value and setup.begin_question(blank).flag.value
    answered(empty, setup, blank)
    assert not setup.begin_field(blank).flag.value and not setup.begin_question(blank).flag.value
    assert setup.begin_metadata(blank).flag.value


def test_a_name_that_is_taken_is_refused_beside_the_form_and_nothing_is_lost(empty, setup, blank):
    add(setup, blank, FIELDS, kind="text", title="One")
    add(setup, blank, FIELDS, kind="chat", title="Two")
    for editing in ("fields/", "fields/two"):
        shown = setup.save(blank, editing, *form("markdown", "One"))
        assert "a field named &#x27;one&#x27; already" in shown.part_message and untouched(shown.title)
    assert [item.kind.value for item in empty.datasets.get(blank).settings.fields] == ["text", "chat"]


def answered(empty, setup, blank):
    add(setup, blank, FIELDS, kind="text", title="Text")
    add(setup, blank, QUESTIONS, kind="rating", title="Stars", options="1\n2\n3")
    empty.datasets.publish(blank)
    empty.datasets.add_records(blank, [NewRecord({"text": "t"}, suggestions=[Suggestion("stars", 1, "m")])])
    record = empty.store.datasets.records(blank)[0]
    empty.annotation.submit(record.id, member(empty, ADA), {"stars": 2})


def test_what_would_invalidate_answers_is_refused_beside_the_form(empty, setup, blank):
    answered(empty, setup, blank)
    before = empty.datasets.get(blank).settings
    wider = setup.save(blank, "questions/stars", *form("rating", "Stars", "stars", "1\n2\n3\n4"))
    assert 'role="alert"' in wider.part_message and "same number means something else" in wider.part_message
    assert "1 response answers it" in setup.remove(blank, "questions/stars").part_message
    assert "1 record has a value" in setup.remove(blank, "fields/text").part_message
    assert empty.datasets.get(blank).settings == before
    titled = setup.save(blank, "questions/stars", *form("rating", "How many stars?", "stars", "1 | poor\n2\n3"))
    assert "Saved" in titled.part_message
    assert empty.datasets.get(blank).settings.question("stars").options[0].text == "poor"


def test_guidelines_are_shown_as_people_read_them_and_versioned_once_published(empty, setup, blank):
    answered(empty, setup, blank)
    assert "<strong>bold</strong>" in setup.show_guidelines("**bold** <script>")
    assert "<script>" not in setup.show_guidelines("<script>alert(1)</script>")
    shown = setup.save_guidelines(blank, "Read **all** of it.")
    assert "Version 2." in shown.guidelines_message and "<strong>all</strong>" in shown.guidelines_shown


def test_rules_are_kept_and_what_they_do_is_said(empty, setup, blank):
    answered(empty, setup, blank)
    shown = setup.save_rules(blank, 3, 2, 25, False, "text")
    assert "fewer than 3" in shown.rules_message and "that 2 people discarded" in shown.rules_message
    settings = empty.datasets.get(blank).settings
    assert (settings.distribution.min_submitted, settings.distribution.discard_quorum) == (3, 2)
    assert (settings.unprefilled, settings.mark_spans) == (0.25, "text")
    assert setup.show(blank).unprefilled == 25
    for wrong in ((0, 0, 0), (1, 0, 101), (1.5, 0, 0), (1, 101, 0)):
        assert "pl-bad" in setup.save_rules(blank, *wrong, False, NO_SPANS).rules_message
    assert "contexts" in setup.save_rules(blank, 1, 0, 0, True, NO_SPANS).rules_message
    assert empty.datasets.get(blank).settings == settings


def test_the_preview_is_the_form_of_annotators_that_nothing_can_be_done_with(empty, setup, blank):
    answered(empty, setup, blank)
    html = setup.show(blank).preview
    assert "The first record" in html and " inert>" in html and "Stars" in html
    assert not re.search(r' (id|name|for)="(?!preview-)', html) and "data-question" not in html


@pytest.mark.parametrize("template", templates(), ids=lambda item: item.name)
def test_every_template_has_a_preview_before_there_are_records(empty, template):
    dataset = empty.datasets.create_from_template(template.name)
    html = setup_html.preview(dataset, None)
    shown = [setup_html._html.esc(question.heading) for question in dataset.settings.questions]
    assert all(title in html for title in shown) and html


def test_what_people_wrote_cannot_break_the_screen(empty, setup, blank):
    add(setup, blank, FIELDS, kind="text", title='<img src=x onerror="alert(1)"> name="x" id="y"')
    shown = setup.show(blank)
    assert "<img" not in shown.preview + shown.state
    opened = setup.choose(blank, shown.parts.choices[0][1])
    assert "<img" not in opened.form_title


@pytest.mark.parametrize("name", [item.name for item in templates()])
def test_a_dataset_is_made_from_every_template(empty, new, name):
    made = new.create("Named", name, 4, None, None, "")
    dataset = empty.datasets.get(made.dataset.value)
    assert (dataset.name, dataset.published, made.asked) == ("Named", False, "")
    if name == "ranking":
        assert len(dataset.settings.questions[0].options) == 4


def test_the_tutorials_dataset_is_one_click(empty, new):
    dataset = empty.datasets.get(new.create_tutorial().dataset.value)
    assert (dataset.name, dataset.published, dataset.settings) == ("customer_assistant", True, tutorial_settings())


def test_what_a_beginning_needs_is_shown(new):
    def visible(begin):
        return [part.visible for part in new.choose(begin)]

    assert visible("ranking") == [True, False, False, False]
    assert visible(FILE) == [False, True, False, False] and visible(COPY) == [False, False, True, False]
    assert visible("customer_assistant") == [False, False, False, True] == visible("answer-review")


def test_settings_come_from_a_file_with_what_was_read_otherwise(empty, new, tmp_path):
    path = tmp_path / "support.json"
    path.write_text(json.dumps({"fields": [{"name": "Q", "settings": {"type": "text"}}], "questions": []}))
    made = new.create("", FILE, 3, str(path), None, "")
    dataset = empty.datasets.get(made.dataset.value)
    assert dataset.name == "support" and dataset.settings.fields[0].name == "q"
    assert "is called &#x27;q&#x27; here" in made.message
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="no text in UTF-8"):
        new.create("", FILE, 3, str(path), None, "")
    with pytest.raises(RecordError, match="Choose a YAML or JSON file"):
        new.create("", FILE, 3, None, None, "")


def test_downloaded_settings_make_the_same_dataset(empty, setup, new):
    source = new.create_tutorial().dataset.value
    for path in (setup.download_yaml(source), setup.download_json(source)):
        copy = new.create("", FILE, 3, path, None, "").dataset.value
        assert empty.datasets.get(copy).settings == from_text(Path(path).read_text(encoding="utf-8")).settings
        assert empty.datasets.get(copy).settings == empty.datasets.get(source).settings
    other = new.create("", COPY, 3, None, source, "").dataset.value
    assert empty.datasets.get(other).settings == tutorial_settings()
    with pytest.raises(RecordError, match="Choose the dataset"):
        new.create("", COPY, 3, None, None, "")


def test_a_run_fills_a_new_dataset_or_one_that_is_there(harbour):
    setup, new = SetupHandlers(harbour), NewDatasetHandlers(harbour)
    [(label, run_id)] = [choice for choice in new.begin().run.choices if choice[1]]
    assert label == "Harbour · extractive-base · 8 answers"
    made = new.create("", "customer_assistant", 3, None, None, run_id).dataset.value
    assert harbour.datasets.get(made).size == 5 and harbour.datasets.get(made).run_id == run_id
    later = new.create_tutorial().dataset.value
    assert "Added 5 records" in setup.fill(later, run_id).run_message
    assert "all here" in setup.fill(later, run_id).run_message
    with pytest.raises(RecordError, match="Choose a run first"):
        setup.fill(later, "")
    assert "The first record" in setup.show(later).preview


def test_somebody_who_asked_for_a_new_dataset_keeps_that_panel(setup, blank):
    for asked in ("asked", ""):
        *shown, state = setup.show_opened(blank, asked)
        assert untouched(shown[0]) and untouched(shown[1]) and untouched(state)
    *shown, state, message = setup.show_chosen(blank)
    assert shown[0].visible and (state, message) == ("", "")


def test_an_empty_workspace_begins_with_a_new_dataset(setup):
    editor, new, *_, state = setup.show_opened(None, "")
    assert new.visible and not editor.visible and state == NO_DATASET


def test_the_first_dataset_is_shown_in_place_of_that(setup, blank):
    editor, new, *_, state = setup.show_opened(None, NO_DATASET)
    assert editor.visible and not new.visible and state == ""


def test_a_dataset_gets_another_name(empty, setup, blank):
    assert choices(setup.rename(blank, "Other").dataset) == ["Other (draft)"]
    with pytest.raises(RecordError):
        setup.rename(blank, "")
    with pytest.raises(NotFoundError):
        setup.rename("nowhere", "x")
