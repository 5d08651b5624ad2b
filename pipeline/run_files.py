"""The rows of a run as one person may see them: what the table shows, and the file of all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pipeline.comparisons import WITHHELD
from pipeline.generation import Row
from pipeline.models.causes import cause_of
from pipeline.spreadsheets import to_csv

COLUMNS = (
    *("number", "query", "split", "model", "state", "answer", "sources", "seconds"),
    *("first_text_seconds", "prompt_tokens", "completion_tokens", "cost", "attempts", "cause"),
)

_TAKEN = ("seconds", "first_text_seconds", "prompt_tokens", "completion_tokens", "cost", "attempts")


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row as it is shown. ``answer`` is the error where there is no answer, and ``cause`` what that comes from.

    Of an answer that is withheld nothing is told: neither its time nor its length nor its price.
    """

    number: int
    query: str
    split: str
    state: str
    answer: str = ""
    sources: int | None = None
    seconds: float | None = None
    query_id: str = ""
    first_text_seconds: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    attempts: int | None = None
    cause: str = ""

    @property
    def tokens(self) -> int | None:
        """Tokens of prompt and answer, or None where they are not known."""
        known = [count for count in (self.prompt_tokens, self.completion_tokens) if count is not None]
        return sum(known) if known else None


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
    shown = ShownRow(*known, "waiting", sources=sources, query_id=row.query.id)
    if done is None:
        return shown
    if done.error:
        tried = {"attempts": done.attempts, "cause": cause_of(done.cause)}
        return replace(shown, state="failed", answer=done.error, **tried)
    if withheld:
        return replace(shown, state="answered", answer=WITHHELD)
    taken = {name: getattr(done, name) for name in _TAKEN}
    return replace(shown, state="not in the documents" if done.refused else "answered", answer=done.text, **taken)


def _cells(row: ShownRow, model: str) -> tuple[str, ...]:
    return (
        *(str(row.number), row.query, row.split, model, row.state, row.answer, _number(row.sources)),
        *("" if value is None else f"{value:.2f}" for value in (row.seconds, row.first_text_seconds)),
        *(_number(value) for value in (row.prompt_tokens, row.completion_tokens)),
        "" if row.cost is None else f"{row.cost:.8f}",
        *(_number(row.attempts), str(row.cause)),
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
