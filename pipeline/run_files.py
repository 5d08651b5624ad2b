"""The rows of a run as one person may see them: what the table shows, and the file of all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipeline.comparisons import WITHHELD
from pipeline.generation import Row
from pipeline.spreadsheets import to_csv

COLUMNS = ("number", "query", "split", "model", "state", "answer", "sources", "seconds")


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row as it is shown. ``answer`` is the error where there is no answer; an answer that is withheld has no time."""

    number: int
    query: str
    split: str
    state: str
    answer: str = ""
    sources: int | None = None
    seconds: float | None = None


def shown_rows(rows: Sequence[Row], withheld: Collection[str] = ()) -> list[ShownRow]:
    """Return the rows of a run with their numbers; the answers to ``withheld`` queries are left out."""
    return [_shown(number, row, row.query.id in withheld) for number, row in enumerate(rows, 1)]


def run_csv(rows: Sequence[ShownRow], model: str) -> str:
    """Return the rows of a run of ``model`` as CSV with a header line."""
    return to_csv(COLUMNS, (_cells(row, model) for row in rows))


def _shown(number: int, row: Row, withheld: bool) -> ShownRow:
    done = row.completion
    known = (number, row.query.text, row.query.split.value)
    sources = len(row.retrieval.contexts) if row.retrieval else None
    if done is None:
        return ShownRow(*known, "waiting", sources=sources)
    if done.error:
        return ShownRow(*known, "failed", done.error, sources)
    if withheld:
        return ShownRow(*known, "answered", WITHHELD, sources)
    return ShownRow(*known, "not in the documents" if done.refused else "answered", done.text, sources, done.seconds)


def _cells(row: ShownRow, model: str) -> tuple[str, ...]:
    sources = "" if row.sources is None else str(row.sources)
    seconds = "" if row.seconds is None else f"{row.seconds:.2f}"
    return str(row.number), row.query, row.split, model, row.state, row.answer, sources, seconds
