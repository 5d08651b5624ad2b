"""A vote as it is given, and as the row that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.records import Outcome, new_id
from pipeline.store.rows import now


@dataclass(frozen=True, slots=True)
class Cast:
    """A vote as it is given: the ids of the completions in the order ``shown``, A first, and what was said of them.

    A ranking has the rank of each (1 is best, ties share one); ``criteria`` are outcomes by name.
    """

    shown: tuple[str, ...]
    outcome: Outcome = Outcome.TIE
    reason: str = ""
    correction: str = ""
    seconds: float | None = None
    ranks: tuple[int, ...] = ()
    criteria: Mapping[str, Outcome] = field(default_factory=dict)


def vote_row(comparison_id: str, annotator_id: str, cast: Cast) -> dict[str, object]:
    """Return a vote as a row."""
    return {
        "id": new_id(),
        "comparison_id": comparison_id,
        "annotator_id": annotator_id,
        "left_completion_id": cast.shown[0],
        "right_completion_id": cast.shown[1],
        "outcome": cast.outcome.value,
        "reason": cast.reason,
        "correction": cast.correction,
        "seconds": cast.seconds,
        "created_at": now(),
        "shown": list(cast.shown) if cast.ranks else None,
        "ranks": list(cast.ranks) or None,
        "criteria": {name: outcome.value for name, outcome in cast.criteria.items()} or None,
    }
