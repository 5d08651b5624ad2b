"""The datasets to begin with; that of Argilla's tutorial has the tutorial's names and titles."""

import json
from dataclasses import replace

import pytest

from pipeline.annotation.files import from_text
from pipeline.annotation.plain import from_plain, to_plain
from pipeline.annotation.settings import FieldKind, QuestionKind, check_settings
from pipeline.annotation.templates import (
    get_dataset_template,
    preference_settings,
    ranking_settings,
    review_settings,
    run_settings,
    templates,
    tutorial_settings,
)
from pipeline.errors import NotFoundError, RecordError

NAMES = [item.name for item in templates()]


@pytest.mark.parametrize("name", NAMES)
def test_a_template_can_be_worked_with_at_once_but_for_the_blank_one(name):
    template = get_dataset_template(name)
    assert template.title and template.description and template.called
    if name == "blank":
        assert (template.settings.fields, template.settings.questions) == ((), ())
    else:
        check_settings(template.settings)
    assert from_plain(to_plain(template.settings)) == template.settings


def test_together_they_show_every_kind_of_question():
    asked = {question.kind for item in templates() for question in item.settings.questions}
    assert asked == set(QuestionKind)


@pytest.mark.parametrize("count", [2, 10])
def test_a_ranking_shows_as_many_responses_as_it_ranks(count):
    settings = ranking_settings(count)
    check_settings(settings)
    assert len(settings.fields) == count + 1
    assert settings.questions[0].values == tuple(item.name for item in settings.fields[1:])
    assert get_dataset_template("ranking", count).settings == settings


@pytest.mark.parametrize("count", [1, 11])
def test_as_many_responses_as_nobody_can_rank_are_refused(count):
    with pytest.raises(RecordError, match="Rank 2 to 10 responses"):
        get_dataset_template("ranking", count)


def test_a_template_that_there_is_not_is_said():
    with pytest.raises(NotFoundError, match="'other'"):
        get_dataset_template("other")


def test_records_of_a_run_are_reviewed_with_the_form_of_its_prompt():
    assert run_settings("customer-assistant") == tutorial_settings()
    assert run_settings("answer-review") == review_settings("answer-review")


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("part", "bundled"),
    [("annotation_dataset", tutorial_settings()), ("preference_dataset", preference_settings())],
    ids=["annotation", "preference"],
)
def test_the_bundled_datasets_are_those_of_the_tutorial(shared_data, part, bundled):
    text = (shared_data / "argilla_cloud" / "tutorial_settings.json").read_text(encoding="utf-8")
    published = json.loads(text)[part]
    keys = ("fields", "questions")
    read = from_text(json.dumps({key: published[key] for key in keys})).settings
    assert published["name"] in (get_dataset_template(published["name"]).called,)
    assert bundled.questions == read.questions
    # The tutorial joins the passages to one text; here they are a list, which may be empty.
    as_text = [
        replace(field, kind=FieldKind.TEXT, required=True) if field.kind is FieldKind.CONTEXTS else field
        for field in bundled.fields
    ]
    assert tuple(as_text) == read.fields
