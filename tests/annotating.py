"""A dataset with every kind of field and question, for tests of the Annotate panel."""

from __future__ import annotations

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
from pipeline.records import Suggestion
from pipeline.services import Services
from pipeline.store.datasets import Dataset, NewRecord

TOPICS = tuple(Option(f"topic-{n}", f"Topic {n}") for n in range(1, 31))
REPLIES = (Option("a", "Reply A"), Option("b", "Reply B"), Option("c", "Reply C"))
# Letters outside the basic plane: a script counts two for each of them, Python one.
SHOWN = "Open 😀 **Settings** [1], then press Reset [2]."
VALUES = {
    "quality": 2,
    "verdict": "partly",
    "topics": ["topic-2", "topic-30"],
    "order": [{"value": "a", "rank": 1}, {"value": "b", "rank": 2}, {"value": "c", "rank": 2}],
    "better": "Open Settings.",
}


def every_kind(**changes) -> DatasetSettings:
    """Return settings with four kinds of fields and five kinds of questions."""
    fields = (
        Field("question", FieldKind.TEXT, "User question"),
        Field("chat", FieldKind.CHAT, "Conversation", required=False),
        Field("shown", FieldKind.MARKDOWN, "Answer of the model", required=False),
        Field("docs", FieldKind.CONTEXTS, "Passages", required=False),
    )
    questions = (
        Question("quality", QuestionKind.RATING, "How good is it?", options=tuple(map(Option, range(1, 6)))),
        Question("verdict", QuestionKind.LABEL, "Supported?", options=tuple(map(Option, ("yes", "partly", "no")))),
        Question("topics", QuestionKind.MULTI_LABEL, "Topics", required=False, options=TOPICS),
        Question("order", QuestionKind.RANKING, "Rank the replies", options=REPLIES),
        Question("better", QuestionKind.TEXT, "A better answer"),
    )
    metadata = (
        MetadataProperty("source", terms=("web", "email")),
        MetadataProperty("length", MetadataKind.INTEGER),
        MetadataProperty("secret", visible=False),
    )
    given = {"guidelines": "# Judge\n\n- Read **first**.", "metadata": metadata, "mark_chunks": True}
    return DatasetSettings(fields, questions, **{**given, "mark_spans": "shown", **changes})


def add_every_kind(
    services: Services, count: int = 6, text: str = "", suggested: bool = True, people: int = 1, **changes
) -> Dataset:
    """Publish such a dataset with ``count`` records; ``text`` stands in every field and suggestion."""
    settings = every_kind(distribution=Distribution(people), **changes)
    dataset = services.datasets.create("Every kind", settings)
    records = [_record(number, text, suggested) for number in range(count)]
    services.datasets.add_records(dataset.id, records)
    return services.datasets.get(dataset.id)


def _record(number: int, text: str, suggested: bool) -> NewRecord:
    fields = {
        "question": f"How do I reset, case {number}? {text}".strip(),
        "chat": [
            {"role": f"user {text}", "content": f"Hello {text}"},
            {"role": "assistant", "content": f"Try. {text}"},
        ],
        "shown": f"{SHOWN} {text}".strip(),
        "docs": [{"text": f"Passage {n}. {text}", "title": f"Manual {n} {text}", "score": 0.5} for n in range(4)],
    }
    suggestions = [
        Suggestion("quality", 4, f"judge {text[:100]}".strip(), 0.82),
        Suggestion("verdict", "partly", "judge", 0.61),
        Suggestion("topics", ["topic-2", "topic-30"], "judge", [0.9, 0.5]),
        Suggestion("order", VALUES["order"], "judge"),
        Suggestion("better", f"Open Settings, case {number}. {text}".strip(), "writer"),
    ]
    metadata = {"source": ("web", "email")[number % 2], "length": number, "secret": "a secret of the admin"}
    return NewRecord(fields, metadata, suggestions if suggested else (), f"case-{number}")
