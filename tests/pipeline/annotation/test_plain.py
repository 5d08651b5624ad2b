"""Settings as plain values: the same when they come back, and everything from outside is checked."""

import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import settings as rules

from pipeline.annotation.plain import MAX_OPTIONS, MAX_PARTS, from_plain, to_plain
from pipeline.annotation.templates import templates
from pipeline.errors import RecordError
from tests.pipeline.annotation.strategies import settings

REVIEW = to_plain(templates()[0].settings)


@rules(deadline=None)
@given(settings)
def test_what_is_written_is_read_as_it_was(item):
    assert from_plain(to_plain(item)) == item


@rules(deadline=None)
@given(settings)
def test_it_is_the_same_through_json(item):
    assert from_plain(json.loads(json.dumps(to_plain(item)))) == item


def changed(**values):
    return {**deepcopy(REVIEW), **values}


def question(**values):
    return changed(questions=[{"name": "q", "type": "label", "options": ["a", "b"], **values}])


@pytest.mark.parametrize(
    ("plain", "wrong"),
    [
        ([], "must be an object"),
        (changed(fields="text"), "'fields' must be a list"),
        (changed(fields=[{"name": "Text", "type": "text"}]), "small letters, digits, - and _"),
        (changed(fields=[{"name": "_x", "type": "text"}]), "beginning with a letter or digit"),
        (changed(fields=[{"name": "x" * 201, "type": "text"}]), "is named by small letters"),
        (changed(fields=[{"name": "x", "type": "image"}]), "is one of text, markdown, chat, contexts"),
        (changed(fields=[{"name": "x", "type": "text", "required": "no"}]), "'required' is true or false"),
        (changed(fields=[{"name": "x", "type": "text"}] * 2), "Two fields have the same name: x"),
        (changed(fields=[{"name": f"f{n}", "type": "text"} for n in range(MAX_PARTS + 1)]), "50 are the limit"),
        (question(type="text"), "has options, but a text is free"),
        (question(type="rating"), "whole numbers from 0 to 10, not 'a'"),
        (question(type="rating", options=[True, 2]), "not True"),
        (question(type="rating", options=[1, 11]), "not 11"),
        (question(options=["a", "a"]), "have the same name: a"),
        (question(options=["a", ""]), "text of 1 to 500 characters"),
        (question(options=[{"value": "a", "text": "x" * 501}]), "at most 500 characters"),
        (question(options=[str(n) for n in range(MAX_OPTIONS + 1)]), "a list of at most 500"),
        (question(title=["T"]), "'title' is a text"),
        (question(colour="red"), "cannot have 'colour'"),
        (changed(metadata=[{"name": "m", "type": "integer", "min": 3, "max": 1}]), "larger than its maximum"),
        (changed(metadata=[{"name": "m", "type": "terms", "terms": [1]}]), "a list of texts"),
        (changed(distribution={"min_submitted": 0}), "'min_submitted' is a number from 1 to 100"),
        (changed(distribution={"min_submitted": 1.5}), "whole number"),
        (changed(distribution={"discard_quorum": 101}), "from 1 to 100"),
        (changed(unprefilled=1.2), "'unprefilled' is a number from 0 to 1"),
        (changed(unprefilled=float("nan")), "'unprefilled' is a number"),
        (changed(guidelines="x" * 20_001), "at most 20,000"),
        (changed(extra=1), "cannot have 'extra'"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_not_allowed_is_named(plain, wrong):
    with pytest.raises(RecordError, match=wrong):
        from_plain(plain)


def test_a_bare_list_of_values_is_a_list_of_options():
    plain = {"questions": [{"name": "q", "type": "label", "values": ["a", "b"]}]}
    assert from_plain(plain).questions[0].values == ("a", "b")
