"""A dataset with all kinds of questions that people disagree on, for tests of the review."""

from __future__ import annotations

from pipeline.annotation.settings import (
    DatasetSettings,
    Distribution,
    Field,
    FieldKind,
    MetadataProperty,
    Option,
    Question,
    QuestionKind,
)
from pipeline.records import Suggestion
from pipeline.services import Services
from pipeline.store.datasets import Dataset, NewRecord
from tests.workspace import person

SETTINGS = DatasetSettings(
    fields=(
        Field("query", title="Query"),
        Field("contexts", FieldKind.CONTEXTS, "Contexts", required=False),
        Field("note", title="Note", required=False),
    ),
    questions=(
        Question(
            "quality", QuestionKind.RATING, "How good is the answer?", options=tuple(Option(n) for n in range(1, 6))
        ),
        Question("tone", QuestionKind.LABEL, "Tone", options=(Option("warm", "Warm"), Option("cold", "Cold"))),
        Question(
            "topics",
            QuestionKind.MULTI_LABEL,
            "Topics",
            required=False,
            options=tuple(Option(n) for n in ("fees", "fuel", "storms")),
        ),
        Question(
            "order",
            QuestionKind.RANKING,
            "Which is better?",
            required=False,
            options=(Option("a", "A"), Option("b", "B"), Option("c", "C")),
        ),
        Question("answer", QuestionKind.TEXT, "Better answer", required=False),
    ),
    guidelines="Judge what a visitor of the harbour would say.",
    metadata=(MetadataProperty("source"), MetadataProperty("secret", visible=False)),
    distribution=Distribution(min_submitted=3),
    unprefilled=0.4,
    mark_chunks=True,
)
QUERIES = (
    "When does the harbour office open?",
    "How much is the mooring fee a night?",
    "Where is diesel sold?",
    "What does a red lantern warn of?",
    "What does a token for the shower cost?",
    "Who may leave the basin?",
    "Which boats moor free of charge?",
    "Does the pump take coins?",
)
SUGGESTED = "Boats pay twelve euros a night at the pier."


def ranks(**places: int) -> list[dict[str, object]]:
    """Return a ranking."""
    return [{"value": option, "rank": rank} for option, rank in places.items()]


def values(quality: int, tone: str, topics: list[str], order: list, answer: str) -> dict[str, object]:
    """Return the values of a response."""
    return {"quality": quality, "tone": tone, "topics": topics, "order": order, "answer": answer}


AGREED = values(4, "warm", ["fees"], ranks(a=1, b=2, c=3), SUGGESTED)
OTHERS = values(1, "cold", ["fuel", "storms"], ranks(a=3, b=2, c=1), "Nobody pays for a night at the east pier.")
CLOSE = values(5, "warm", ["fees", "fuel"], ranks(a=1, b=1, c=3), "Boats pay twelve euros a night at the north pier.")


def new_records() -> list[NewRecord]:
    """Return the records, each with two passages and a suggested answer."""
    passages = [
        {"title": "Mooring", "text": "Every boat pays a fee."},
        {"title": "Fuel", "text": "Diesel is sold here."},
    ]
    return [
        NewRecord(
            {"query": query, "contexts": passages},
            {"source": "manual", "secret": "gold-7"},
            [Suggestion("answer", SUGGESTED, "base-model", 0.7)],
            f"q{number}",
        )
        for number, query in enumerate(QUERIES, 1)
    ]


def add_reviewed(services: Services, settings: DatasetSettings = SETTINGS) -> tuple[Dataset, list[str], list[str]]:
    """Add a dataset; return it, its record ids and the ids of Ada, Bo and Cy.

    The first four records have three answers each; the fifth has two, by Ada and Bo; the sixth has a draft and a discard; the
    others have nothing.
    """
    dataset = services.datasets.create("Harbour answers", settings)
    services.datasets.add_records(dataset.id, new_records())
    ids = services.store.datasets.record_ids(dataset.id)
    ada, bo, cy = (person(services, name) for name in ("Ada", "Bo", "Cy"))
    given = ((AGREED, AGREED, AGREED), (AGREED, CLOSE, AGREED), (AGREED, CLOSE, OTHERS), (AGREED, OTHERS, OTHERS))
    desk = services.annotation
    for number, answers in enumerate(given):
        for who, answer, seconds in zip((ada, bo, cy), answers, (10.0, 20.0, 30.0), strict=True):
            marks = {"chunks": {"0": True, "1": who == cy}}
            desk.submit(ids[number], who, answer, seconds, marks)
    desk.submit(ids[4], ada, AGREED, 10)
    desk.submit(ids[4], bo, OTHERS, 20)
    desk.save_draft(ids[5], ada, {"quality": 2})
    desk.discard(ids[5], bo, {}, 5, reason="The query is cut off.")
    return services.datasets.get(dataset.id), ids, [ada, bo, cy]
