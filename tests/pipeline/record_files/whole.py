"""A dataset with everything in it, and any dataset for hypothesis."""

from hypothesis import strategies as st

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
from pipeline.dump import Dump, DumpDecision, DumpRecord, DumpResponse, DumpVersion
from pipeline.records import ResponseStatus, Suggestion

SETTINGS = DatasetSettings(
    fields=(
        Field("text", title="The text"),
        Field("note", FieldKind.MARKDOWN, required=False),
        Field("chat", FieldKind.CHAT, required=False),
        Field("sources", FieldKind.CONTEXTS, required=False),
    ),
    questions=(
        Question(
            "tone", QuestionKind.LABEL, "Tone?", "How it sounds", options=(Option("warm", "Very warm"), Option("cold"))
        ),
        Question("topics", QuestionKind.MULTI_LABEL, required=False, options=(Option("a"), Option("b"), Option("c"))),
        Question("stars", QuestionKind.RATING, required=False, options=tuple(Option(n) for n in range(1, 6))),
        Question("order", QuestionKind.RANKING, required=False, options=(Option("x"), Option("y"))),
        Question("why", QuestionKind.TEXT, required=False),
    ),
    metadata=(
        MetadataProperty("price", MetadataKind.FLOAT, "Price", low=0, high=1000),
        MetadataProperty("shop", terms=("north", "south"), visible=False),
        MetadataProperty("pages", MetadataKind.INTEGER),
    ),
    guidelines="Read **twice**.\n\nThen answer.",
    distribution=Distribution(2, 2),
    unprefilled=0.25,
    mark_chunks=True,
    mark_spans="text",
    guidelines_version=2,
)

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_NAME = st.text("abcdefgh ÄЖ中🙂\"'(2)", min_size=1, max_size=8).map(lambda text: " ".join(text.split())).filter(bool)
_TIME = st.floats(1.0, 2e9, allow_nan=False, width=64)
_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "tone": st.sampled_from(["warm", "cold"]),
        "topics": st.sampled_from([["a"], ["a", "c"], ["a", "b", "c"]]),
        "stars": st.integers(1, 5),
        "order": st.sampled_from([[1, 2], [2, 1], [1, 1]]).map(
            lambda ranks: [{"value": name, "rank": rank} for name, rank in zip("xy", ranks, strict=True)]
        ),
        "why": _TEXT,
    },
)
_FIELDS = st.fixed_dictionaries(
    {"text": _TEXT.filter(bool), "sources": st.just([{"text": "One."}, {"text": "Two.", "title": "T", "score": 0.5}])},
    optional={
        "note": _TEXT.filter(bool),
        "chat": st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": _TEXT}), min_size=1, max_size=2),
    },
)
_MARKS = st.sampled_from([{}, {"chunks": {"0": True, "1": False}}])
_METADATA = st.fixed_dictionaries(
    {},
    optional={
        "price": st.floats(0, 1000),
        "shop": st.just("north"),
        "pages": st.integers(0, 9),
        "own key": _TEXT.filter(bool),
    },
)


def _status():
    return st.sampled_from(list(ResponseStatus))


_VERSION = st.builds(
    DumpVersion,
    st.sampled_from([ResponseStatus.SUBMITTED, ResponseStatus.DISCARDED]),
    _VALUES,
    _TIME,
    _MARKS,
    st.sampled_from(["", "Not mine."]),
)


def _responses():
    one = st.builds(
        DumpResponse,
        person=_NAME,
        status=_status(),
        values=_VALUES,
        created_at=_TIME,
        updated_at=_TIME,
        seconds=st.floats(0, 600),
        marks=_MARKS,
        reason=st.sampled_from(["", "Unclear: 🙂"]),
        edits=st.none() | st.fixed_dictionaries({"values": _VALUES, "marks": _MARKS}),
        prefilled=st.none() | st.booleans(),
        guidelines_version=st.none() | st.integers(1, 2),
        reopened_at=st.none() | _TIME,
        history=st.lists(_VERSION, max_size=2, unique_by=lambda item: (item.at, item.status)).map(tuple),
    )
    return st.lists(one, max_size=3, unique_by=lambda item: item.person).map(tuple)


def _suggestions():
    score = st.none() | st.floats(0, 1)
    made = [
        st.builds(Suggestion, st.just("tone"), st.just("warm"), st.sampled_from(["", "small model"]), score),
        st.builds(Suggestion, st.just("topics"), st.just(["a"]), st.just("m"), st.just([0.5])),
        st.builds(Suggestion, st.just("why"), _TEXT, st.just("m"), score),
    ]
    return st.tuples(*(st.lists(item, max_size=1) for item in made)).map(lambda parts: tuple(sum(parts, [])))


_RECORD = st.builds(
    DumpRecord,
    number=st.just(1),
    fields=_FIELDS,
    metadata=_METADATA,
    suggestions=_suggestions(),
    external_id=st.none() | st.text("abc123", min_size=1, max_size=5),
    created_at=_TIME,
    responses=_responses(),
    decisions=st.lists(st.builds(DumpDecision, _NAME, _VALUES, _TEXT, _TIME, _TIME, st.none() | _TIME), max_size=1).map(
        tuple
    ),
)


def dumps():
    """Any dataset of these settings."""
    unique = st.lists(_RECORD, max_size=4, unique_by=lambda item: item.external_id or id(item)).map(tuple)
    guidelines = st.sampled_from([{1: "Read.", 2: SETTINGS.guidelines}, {2: SETTINGS.guidelines}])
    return st.builds(Dump, _NAME, st.just(SETTINGS), unique, st.booleans(), guidelines)
