"""Rows of training data with their lineage, and how queries are kept on one side of every border."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.cleaning import normal
from pipeline.records import Context


class Method(StrEnum):
    """How a model learns: from answers, or from pairs of a better and a worse one."""

    SFT = "sft"
    DPO = "dpo"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of training data as chat messages that end with the answer to learn.

    ``rejected`` is the worse answer of a preference pair, and None in a row to learn by heart. ``suggestion`` is the answer
    that was reviewed; a correction has none. The lineage: ``response_id`` or ``vote_id``, the record, the annotator under a
    pseudonym, the version of the guidelines, and the model that had answered (in a pair: whose answer was rejected).
    ``label`` says of a single answer whether it is wanted (training without pairs).
    ``is_test`` rows are of a query that is kept for comparisons, ``overridden`` those that an owner let in all the same.
    """

    query_id: str
    query: str
    contexts: tuple[Context, ...]
    answer: str
    messages: Sequence[Mapping[str, str]]
    suggestion: str | None = None
    response_id: str | None = None
    vote_id: str | None = None
    rejected: str | None = None
    is_test: bool = False
    overridden: bool = False
    record_id: str | None = None
    annotator: str = ""
    guidelines_version: int | None = None
    model: str = ""
    source: str = ""
    label: bool | None = None

    @property
    def kind(self) -> str:
        """The word of the store: ``sft`` or ``preference``."""
        return "sft" if self.rejected is None else "preference"

    @property
    def prompt(self) -> list[dict[str, str]]:
        """What the model is given: the messages before the answer."""
        return [dict(message) for message in self.messages[:-1]]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a trainer gets: the rows to learn from, and those that it only measures the loss on.

    No query is on both sides. ``override`` is the reason that an owner gave for training on queries that are kept for
    comparisons.
    """

    method: Method
    train: tuple[Row, ...]
    validation: tuple[Row, ...] = ()
    override: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, those of the validation last."""
        return (*self.train, *self.validation)


def split_by_query(rows: Sequence[Row], share: float) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Return the rows to train on and those to validate on: about ``share`` of the queries, the same ones every time.

    A query goes to one side with all its rows, whoever wrote them and however it is spelled; at least one query is trained on.
    """
    texts = sorted({normal(row.query) for row in rows}, key=_draw)
    held = set(texts[: min(round(len(texts) * share), max(len(texts) - 1, 0))])
    train = tuple(row for row in rows if normal(row.query) not in held)
    return train, tuple(row for row in rows if normal(row.query) in held)


def on_both_sides(train: Iterable[Row], validation: Iterable[Row]) -> set[str]:
    """Return the queries that stand on both sides, in their normal form; there must be none."""
    return {normal(row.query) for row in train} & {normal(row.query) for row in validation}


def _draw(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
