"""What may change once there are records and responses, and what is refused with its reason."""

from dataclasses import replace

import pytest

from pipeline.annotation.changes import Use, check_change, effects, use_of
from pipeline.annotation.settings import (
    DatasetSettings,
    Distribution,
    Field,
    FieldKind,
    MetadataKind,
    MetadataProperty,
    Option,
    Question,
    QuestionKind,
)
from pipeline.errors import RecordError
from pipeline.records import Record, Response, ResponseStatus, Suggestion

TEXT, NOTE = Field("text", title="Text"), Field("note", required=False)
STARS = Question("stars", QuestionKind.RATING, "Stars", options=tuple(map(Option, (1, 2, 3))))
LABEL = Question("label", QuestionKind.LABEL, "Label", required=False, options=tuple(map(Option, "abc")))
LABELS = Question("labels", QuestionKind.MULTI_LABEL, "Labels", required=False, options=tuple(map(Option, "xyz")))
RANK = Question("rank", QuestionKind.RANKING, "Rank", required=False, options=tuple(map(Option, "pq")))
WHY = Question("why", QuestionKind.TEXT, "Why", required=False)
BEFORE = DatasetSettings(
    (TEXT, NOTE),
    (STARS, LABEL, LABELS, RANK, WHY),
    metadata=(MetadataProperty("topic", terms=("x", "y")), MetadataProperty("pages", MetadataKind.INTEGER)),
)
RANKING = [{"value": "p", "rank": 1}, {"value": "q", "rank": 1}]


def record(number, **fields):
    suggestions = {"label": Suggestion("label", "c")} if number == 0 else {}
    return Record(
        f"r{number}", "d", number, {"text": "t", **fields}, {"topic": "x", "pages": 7, "free": "f"}, suggestions
    )


def response(number, status=ResponseStatus.SUBMITTED, edits=None, marks=None, **values):
    return Response(f"a{number}", f"r{number}", "ada", status, values, edits=edits, marks=marks or {})


USE = use_of(
    [record(0), record(1, note="n"), record(2)],
    [
        response(0, stars=3, label="a", labels=["x"], rank=RANKING),
        response(1, stars=1, why=" "),
        response(2, ResponseStatus.DRAFT, labels=["y"]),
    ],
)


def with_question(question):
    return replace(
        BEFORE, questions=tuple(question if item.name == question.name else item for item in BEFORE.questions)
    )


def options(question, *values):
    return replace(question, options=tuple(map(Option, values)))


def without(name):
    return replace(
        BEFORE,
        fields=tuple(item for item in BEFORE.fields if item.name != name),
        questions=tuple(item for item in BEFORE.questions if item.name != name),
        metadata=tuple(item for item in BEFORE.metadata if item.name != name),
    )


def test_what_records_and_responses_hold_is_counted():
    assert (USE.records, USE.responses, USE.spans) == (3, 2, 0)
    assert USE.filled == {"text": 3, "note": 1}
    assert USE.answered == {"stars": 2, "label": 1, "labels": 2, "rank": 1}
    assert USE.submitted == {"stars": 2, "label": 1, "labels": 1, "rank": 1}
    assert USE.chosen["label"] == {"a", "c"} and USE.chosen["rank"] == {"p", "q"}
    assert USE.suggested == {"label": 1} and USE.metadata["pages"] == (7,)


def test_what_was_typed_into_a_submitted_response_since_counts_too():
    use = use_of([record(0)], [response(0, stars=1, edits={"values": {"label": "b", "why": ""}, "marks": {}})])
    assert use.answered == {"stars": 1, "label": 1} and use.submitted == {"stars": 1} and "b" in use.chosen["label"]


ALLOWED = {
    "texts": replace(
        BEFORE,
        fields=(replace(TEXT, title="Other"), NOTE),
        questions=(
            replace(STARS, title="T", description="D", options=(Option(1, "bad"), Option(2), Option(3, "good"))),
            replace(LABEL, options=(Option("a", "A"), Option("b"), Option("c"))),
            LABELS,
            RANK,
            WHY,
        ),
        guidelines="New",
    ),
    "order of questions and fields": replace(BEFORE, questions=BEFORE.questions[::-1], fields=BEFORE.fields[::-1]),
    "order of labels": with_question(options(LABEL, *"cab")),
    "order of a ranking's options": with_question(options(RANK, *"qp")),
    "a label added": with_question(options(LABEL, *"abcd")),
    "a label added to several": with_question(options(LABELS, *"xyzw")),
    "a label removed that nobody chose": with_question(options(LABEL, *"ac")),
    "a question removed that nobody answered": without("why"),
    "a question of another kind that nobody answered": with_question(
        options(replace(WHY, kind=QuestionKind.LABEL), *"ab")
    ),
    "required to optional": with_question(replace(STARS, required=False)),
    "an optional question added": replace(
        BEFORE, questions=(*BEFORE.questions, Question("more", QuestionKind.TEXT, required=False))
    ),
    "an optional field added": replace(BEFORE, fields=(*BEFORE.fields, Field("more", required=False))),
    "a field formatted": replace(BEFORE, fields=(replace(TEXT, kind=FieldKind.MARKDOWN), NOTE)),
    "metadata hidden": replace(
        BEFORE, metadata=tuple(replace(item, visible=False, title="T") for item in BEFORE.metadata)
    ),
    "metadata added": replace(BEFORE, metadata=(*BEFORE.metadata, MetadataProperty("free"))),
    "metadata removed": without("topic"),
    "a term removed that no record has": replace(BEFORE, metadata=(MetadataProperty("topic", terms=("x",)),)),
    "distribution": replace(BEFORE, distribution=Distribution(5, 2), unprefilled=0.5),
}
REFUSED = {
    "a field with values removed": (without("text"), "“Text” cannot be removed or renamed: 3 records have a value"),
    "an optional field with values removed": (without("note"), "“note” cannot be removed or renamed: 1 record has"),
    "a field renamed": (replace(BEFORE, fields=(replace(TEXT, name="t"), NOTE)), "“Text” cannot be removed or renamed"),
    "a field of another kind": (
        replace(BEFORE, fields=(replace(TEXT, kind=FieldKind.CHAT), NOTE)),
        "cannot become chat: 3 records have text",
    ),
    "a field made required": (
        replace(BEFORE, fields=(TEXT, replace(NOTE, required=True))),
        "“note” cannot become required: 2 records have no value",
    ),
    "a required field added": (
        replace(BEFORE, fields=(*BEFORE.fields, Field("more"))),
        "“more” cannot be added as required: 3 records have no value in it. Add it as optional",
    ),
    "an answered question removed": (without("stars"), "“Stars” cannot be removed or renamed: 2 responses answer it"),
    "a question that only a draft answers renamed": (
        with_question(LABELS.__class__("labels", QuestionKind.TEXT)),
        "“Labels” cannot become text: 2 responses, drafts or discarded ones among them, answer it as multi-label",
    ),
    "an answered label removed": (with_question(options(LABEL, *"bc")), "option 'a' of “Label” cannot be removed"),
    "a suggested label removed": (with_question(options(LABEL, *"ab")), "option 'c' of “Label” cannot be removed"),
    "a label of a draft removed": (with_question(options(LABELS, *"xz")), "option 'y' of “Labels”"),
    "a value added to a rating": (
        with_question(options(STARS, 1, 2, 3, 4)),
        "on the scale 1 to 3, and the same number",
    ),
    "a value removed from a rating": (
        with_question(options(STARS, 1, 3)),
        "values of the rating “Stars” cannot change",
    ),
    "an option added to a ranking": (with_question(options(RANK, *"pqr")), "a ranking needs all of them"),
    "a question made required": (
        with_question(replace(WHY, required=True)),
        "“Why” cannot be required: 2 responses were submitted without",
    ),
    "one that most answered made required": (
        with_question(replace(LABEL, required=True)),
        "“Label” cannot be required: 1 response was submitted without",
    ),
    "a required question added": (
        replace(BEFORE, questions=(*BEFORE.questions, Question("more", QuestionKind.TEXT))),
        "“more” cannot be required: 2 responses were submitted",
    ),
    "a term removed that a record has": (
        replace(BEFORE, metadata=(MetadataProperty("topic", terms=("y",)),)),
        "is one of y, not 'x'. Records with that value",
    ),
    "bounds that a record is outside of": (
        replace(BEFORE, metadata=(MetadataProperty("pages", MetadataKind.INTEGER, high=5),)),
        "unlike 7",
    ),
    "metadata described as what it is not": (
        replace(BEFORE, metadata=(*BEFORE.metadata, MetadataProperty("free", MetadataKind.FLOAT))),
        "'free' is a number",
    ),
}


@pytest.mark.parametrize("after", ALLOWED.values(), ids=ALLOWED)
def test_what_leaves_everything_valid_is_allowed(after):
    check_change(BEFORE, after, USE)


@pytest.mark.parametrize(("after", "why"), REFUSED.values(), ids=REFUSED)
def test_what_would_invalidate_something_is_refused_with_the_reason(after, why):
    with pytest.raises(RecordError, match=why):
        check_change(BEFORE, after, USE)


@pytest.mark.parametrize("after", [after for after, _ in REFUSED.values()], ids=REFUSED)
def test_the_same_is_allowed_while_there_is_nothing_yet(after):
    check_change(BEFORE, after, Use())


def test_marked_spans_keep_the_text_that_they_point_into():
    marked = replace(BEFORE, mark_spans="text")
    use = use_of([record(0)], [response(0, stars=1, marks={"spans": [{"start": 0, "end": 1, "text": "t"}]})])
    for name in ("note", ""):
        with pytest.raises(RecordError, match="Spans are marked in 'text' by 1 person"):
            check_change(marked, replace(marked, mark_spans=name), use)
    check_change(marked, replace(marked, mark_spans="note"), USE)


def test_a_scale_that_was_only_suggested_cannot_change_either():
    use = Use(records=1, suggested={"stars": 1}, chosen={"stars": frozenset({3})})
    with pytest.raises(RecordError, match="suggestions on 1 record answer it on the scale"):
        check_change(BEFORE, with_question(options(STARS, 1, 2, 3, 4)), use)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"distribution": Distribution(3)}, "fewer than 3 submitted responses wait for people again"),
        ({"distribution": Distribution(1)}, "1 or more submitted responses are done; none of the responses is lost"),
        ({"distribution": Distribution(2, 2)}, "that 2 people discarded are retired"),
        ({"guidelines": "Other"}, "a new version"),
        ({"unprefilled": 0.2}, "without suggestions changes"),
    ],
)
def test_what_a_change_does_to_peoples_work_is_said(change, says):
    before = replace(BEFORE, distribution=Distribution(2))
    assert says in " ".join(effects(before, replace(before, **change)))
    assert effects(before, before) == []


def test_without_a_quorum_discards_count_for_one_person_again():
    before = replace(BEFORE, distribution=Distribution(1, 3))
    assert "wait again" in effects(before, BEFORE)[0]
