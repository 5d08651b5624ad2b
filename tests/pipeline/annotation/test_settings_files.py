"""Settings as files: ours in YAML and JSON, and Argilla's."""

import json
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as rules

from pipeline.annotation.files import MAX_CHARACTERS, Loaded, from_text, to_json, to_yaml
from pipeline.annotation.plain import to_plain
from pipeline.annotation.settings import FieldKind, MetadataKind, Option, QuestionKind
from pipeline.annotation.templates import templates, tutorial_settings
from pipeline.errors import RecordError
from pipeline.record_files.argilla import settings_json
from tests.pipeline.annotation.strategies import settings


@rules(deadline=None)
@given(settings)
def test_settings_come_back_from_yaml_and_json_as_they_were(item):
    assert from_text(to_yaml(item)).settings == item
    assert from_text(to_json(item)).settings == item


@pytest.mark.parametrize("template", templates(), ids=lambda item: item.name)
def test_other_programs_read_the_same_out_of_the_files(template):
    plain = to_plain(template.settings)
    assert yaml.safe_load(to_yaml(template.settings)) == plain
    assert json.loads(to_json(template.settings)) == plain


def test_the_yaml_is_made_for_people():
    text = to_yaml(tutorial_settings())
    assert "guidelines: |-\n  You see what a user wrote" in text
    assert "  values: [1, 2, 3, 4, 5]\n" in text


def test_written_by_hand_yes_and_dates_are_words():
    text = """
        fields: [{name: text, type: text}]
        questions:
          - {name: ok, type: label, options: [yes, no, 2024-01-01], required: false}
    """
    question = from_text(text).settings.questions[0]
    assert question.values == ("yes", "no", "2024-01-01") and not question.required


def test_braces_may_begin_a_yaml_file_too_and_a_mark_of_the_encoding_any():
    assert from_text("{fields: [], questions: []}").settings == from_text("\ufefffields: []\nquestions: []").settings


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, r"line 2: aliases \(\*\) are not allowed"),
        ("fields:\n  - name: a\n    type: [\n", "not YAML, line 4"),
        ("fields: []\nfields: []", "line 2: 'fields' stands twice"),
        ('{"fields": [],\n "fields": []}', "'fields' stands twice"),
        ('{"fields": [],\n "questions": [}', "not JSON, line 2"),
        ("[" * 5_000, "nested too deeply"),
        ('{"a":' * 5_000, "not JSON|nested too deeply"),
        ("- just\n- a list", "holds no settings"),
        ("name: x", "neither fields nor questions"),
        ("", "holds no settings"),
        ("fields: !!python/object/apply:os.getcwd []", "line 1: could not determine a constructor"),
        ("fields: \x07", "not YAML"),
        ("fields: [{name: A, type: text}]", "small letters"),
        ("fields: [{name: a, type: text}]\ncolour: red", "cannot have 'colour'"),
        ("x" * (MAX_CHARACTERS + 1), "2,000,001 characters"),
    ],
    ids=lambda value: value[:20].strip() if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_refused_with_its_line(text, why):
    with pytest.raises(RecordError, match=why):
        from_text(text)


# As Argilla 2 writes settings.json: the models of fields, questions and metadata as the server has them.
ARGILLA = {
    "guidelines": "Read.",
    "allow_extra_metadata": False,
    "distribution": {"strategy": "overlap", "min_submitted": 2},
    "fields": [
        {
            "id": "d3c1",
            "name": "Prompt",
            "title": "Prompt",
            "required": True,
            "settings": {"type": "text", "use_markdown": False},
            "dataset_id": "0a",
            "inserted_at": "2024-10-01T00:00:00",
        },
        {"name": "answer", "title": "Answer", "required": False, "settings": {"type": "text", "use_markdown": True}},
        {"name": "talk", "title": None, "required": False, "settings": {"type": "chat", "use_markdown": True}},
        {"name": "picture", "title": "Picture", "required": False, "settings": {"type": "image"}},
    ],
    "questions": [
        {
            "name": "label",
            "title": "Which?",
            "description": None,
            "required": True,
            "settings": {
                "type": "label_selection",
                "options": [{"value": "yes", "text": "Yes", "description": None}, {"value": "no", "text": "no"}],
                "visible_options": None,
            },
        },
        {
            "name": "topics",
            "title": "topics",
            "description": "All of them",
            "required": False,
            "settings": {
                "type": "multi_label_selection",
                "options": [{"value": "a", "text": "a"}, {"value": "b", "text": "b"}],
                "options_order": "natural",
            },
        },
        {"name": "stars", "settings": {"type": "rating", "options": [{"value": 1}, {"value": 2}]}},
        {"name": "rank", "settings": {"type": "ranking", "options": [{"value": "a", "text": "A"}, {"value": "b"}]}},
        {"name": "why", "required": False, "settings": {"type": "text", "use_markdown": True}},
        {"name": "parts", "settings": {"type": "span", "field": "answer", "options": [{"value": "x", "text": "x"}]}},
    ],
    "metadata": [
        {
            "name": "model",
            "title": "Model",
            "visible_for_annotators": False,
            "settings": {"type": "terms", "values": ["m"]},
        },
        {"name": "length", "title": "length", "settings": {"type": "integer", "min": 0, "max": None}},
        {"name": "score", "settings": {"type": "float", "min": 0.5, "max": 1.0}},
    ],
    "vectors": [{"name": "v", "dimensions": 3}],
}


def test_the_settings_of_argilla_2_are_read():
    loaded = from_text(json.dumps(ARGILLA))
    found = loaded.settings
    assert [(item.name, item.kind, item.title, item.required) for item in found.fields] == [
        ("prompt", FieldKind.TEXT, "Prompt", True),
        ("answer", FieldKind.MARKDOWN, "Answer", False),
        ("talk", FieldKind.CHAT, "", False),
    ]
    assert [(item.name, item.kind, item.required) for item in found.questions] == [
        ("label", QuestionKind.LABEL, True),
        ("topics", QuestionKind.MULTI_LABEL, False),
        ("stars", QuestionKind.RATING, True),
        ("rank", QuestionKind.RANKING, True),
        ("why", QuestionKind.TEXT, False),
    ]
    assert found.question("label").options == (Option("yes", "Yes"), Option("no"))
    assert found.question("stars").values == (1, 2)
    assert [(item.kind, item.visible, item.terms, item.low, item.high) for item in found.metadata] == [
        (MetadataKind.TERMS, False, ("m",), None, None),
        (MetadataKind.INTEGER, True, (), 0, None),
        (MetadataKind.FLOAT, True, (), 0.5, 1.0),
    ]
    assert (found.guidelines, found.distribution.min_submitted) == ("Read.", 2)


@pytest.mark.parametrize("template", templates(), ids=lambda item: item.name)
def test_what_is_exported_for_argilla_is_read_as_it_was(template):
    loaded = from_text(json.dumps(settings_json(template.settings)))
    # Argilla has no field of passages: they become Markdown.
    fields = tuple(
        replace(item, kind=FieldKind.MARKDOWN) if item.kind is FieldKind.CONTEXTS else item
        for item in template.settings.fields
    )
    assert loaded == Loaded(replace(template.settings, fields=fields))


def test_what_argilla_has_and_we_have_not_is_said():
    notes = " ".join(from_text(json.dumps(ARGILLA)).notes)
    for words in (
        "'Prompt' is called 'prompt'",
        "'picture' was left out",
        "'parts' was left out",
        "Vectors were left out",
    ):
        assert words in notes


def test_the_yaml_of_argilla_1_is_read():
    text = """
        fields:
          - {name: text, title: Text, required: true, type: text, use_markdown: true}
        questions:
          - {name: rating, type: rating, values: [1, 2, 3], required: true}
          - {name: label, type: label_selection, labels: {y: Yes, n: No}, visible_labels: null, required: false}
          - {name: rank, type: ranking, values: [a, b], required: false}
        guidelines: null
        metadata_properties:
          - {name: group, type: terms, values: [a, b], visible_for_annotators: true}
    """
    loaded = from_text(text)
    assert loaded.notes == ()
    assert loaded.settings.fields[0].kind is FieldKind.MARKDOWN
    assert loaded.settings.question("rating").values == (1, 2, 3)
    assert loaded.settings.question("label").options == (Option("y", "Yes"), Option("n", "No"))
    assert loaded.settings.metadata[0].terms == ("a", "b")


@pytest.mark.parametrize(
    "part",
    [
        {"fields": [{"settings": {"type": "text"}}]},
        {"fields": [5], "vectors": []},
        {"questions": [{"name": "q", "settings": {"type": "rating", "options": "many"}}]},
        {"metadata": [{"name": "m", "settings": {"type": "colour"}}]},
    ],
)
def test_what_is_wrong_in_argillas_settings_is_said(part):
    with pytest.raises(RecordError):
        from_text(json.dumps({"fields": [], "questions": [], "allow_extra_metadata": True, **part}))


@pytest.mark.shared_data
def test_the_tutorials_file_gives_its_first_dataset(shared_data):
    text = (shared_data / "argilla_cloud" / "tutorial_settings.json").read_text(encoding="utf-8")
    loaded = from_text(text)
    assert [item.name for item in loaded.settings.fields] == ["user-message", "context"]
    assert loaded.settings.questions == tutorial_settings().questions
    assert "settings of 2 datasets; 'annotation_dataset' was read" in loaded.notes[0]
