"""What judges said as a file that a spreadsheet or pandas opens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.spreadsheets import to_csv
from pipeline.store.judgements import Judgement

COLUMNS = (
    *("judge", "instructions", "query", "model_a", "model_b", "verdict", "reply", "error"),
    *("seconds", "prompt_tokens", "completion_tokens", "judged_at"),
)


@dataclass(frozen=True, slots=True)
class NamedJudgement:
    """A judgement with the names of what it is about; ``instructions`` are the words that the judge was told first."""

    judge: str
    instructions: str
    query: str
    model_a: str
    model_b: str
    judgement: Judgement


def judgements_csv(rows: Iterable[NamedJudgement]) -> str:
    """Return judgements as CSV with a header line, one for each order of a pair.

    ``model_a`` was shown as A; ``verdict`` is empty where the reply held none. Times are UTC.
    """
    return to_csv(COLUMNS, (_cells(row, row.judgement) for row in rows))


def _cells(row: NamedJudgement, said: Judgement) -> tuple[str, ...]:
    tokens = ("" if number is None else str(number) for number in (said.prompt_tokens, said.completion_tokens))
    return (
        *(row.judge, row.instructions, row.query, row.model_a, row.model_b),
        *(said.outcome.value if said.outcome else "", said.reply, said.error, f"{said.seconds:.2f}", *tokens),
        datetime.fromtimestamp(said.created_at, UTC).isoformat(timespec="seconds"),
    )
