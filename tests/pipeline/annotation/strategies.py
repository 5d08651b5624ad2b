"""Settings of every shape, for properties."""

from hypothesis import strategies as st

from pipeline.annotation.plain import MAX_PEOPLE
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

names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,15}", fullmatch=True)
# What the store can hold: no NUL, no half characters.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
terms = texts.filter(lambda text: text and text == text.strip())
bounds = st.one_of(st.none(), st.integers(-1000, 1000), st.floats(-1e6, 1e6))

fields = st.builds(Field, names, st.sampled_from(FieldKind), texts, st.booleans())


@st.composite
def questions(draw):
    kind = draw(st.sampled_from(QuestionKind))
    values = {
        QuestionKind.TEXT: st.just([]),
        QuestionKind.RATING: st.lists(st.integers(0, 10), unique=True, max_size=11),
    }.get(kind, st.lists(terms, unique=True, max_size=6))
    options = tuple(Option(value, draw(texts)) for value in draw(values))
    return Question(draw(names), kind, draw(texts), draw(texts), draw(st.booleans()), options)


@st.composite
def properties(draw):
    kind = draw(st.sampled_from(MetadataKind))
    common = {"name": draw(names), "kind": kind, "title": draw(texts), "visible": draw(st.booleans())}
    if kind is MetadataKind.TERMS:
        return MetadataProperty(**common, terms=tuple(draw(st.lists(terms, unique=True, max_size=5))))
    low, high = draw(bounds), draw(bounds)
    if low is not None and high is not None and low > high:
        low, high = high, low
    return MetadataProperty(**common, low=low, high=high)


def _some(items):
    return st.lists(items, max_size=4, unique_by=lambda item: item.name).map(tuple)


settings = st.builds(
    DatasetSettings,
    fields=_some(fields),
    questions=_some(questions()),
    guidelines=texts,
    metadata=_some(properties()),
    distribution=st.builds(Distribution, st.integers(1, MAX_PEOPLE), st.one_of(st.none(), st.integers(1, MAX_PEOPLE))),
    unprefilled=st.floats(0, 1),
    mark_chunks=st.booleans(),
    mark_spans=st.one_of(st.just(""), names),
    guidelines_version=st.integers(1, 1_000_000),
)
