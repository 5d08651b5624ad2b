"""What the answers of a run took: money, tokens and time."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """What one good answer took. ``attempts`` is 0 where it was there before, and None where that is not known."""

    query_id: str
    seconds: float
    first_text_seconds: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    attempts: int | None


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Sums over ``answers`` of a run. Tokens and cost are of those that tell them, ``counted`` and ``priced`` many.

    ``half`` and ``most`` are the seconds within which 50 and 95 % of them were complete, ``first_text`` within which half had
    begun. ``tokens_per_second`` is how fast one answer is written. None stands for what nothing tells.
    """

    answers: int
    counted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    priced: int = 0
    cost: float = 0.0
    half: float | None = None
    most: float | None = None
    first_text: float | None = None
    tokens_per_second: float | None = None
    retried: int = 0


def figures(spent: Iterable[Spent], left_out: Collection[str] = ()) -> RunFigures:
    """Return the sums over the answers that were asked for in a run, but those to queries in ``left_out``."""
    made = [item for item in spent if item.attempts != 0 and item.query_id not in left_out]
    counted = [item for item in made if item.prompt_tokens is not None and item.completion_tokens is not None]
    costs = [item.cost for item in made if item.cost is not None]
    writing = sum(item.seconds for item in counted)
    written = sum(item.completion_tokens for item in counted)
    return RunFigures(
        answers=len(made),
        counted=len(counted),
        prompt_tokens=sum(item.prompt_tokens for item in counted),
        completion_tokens=written,
        priced=len(costs),
        cost=math.fsum(costs),
        half=percentile([item.seconds for item in made], 0.5),
        most=percentile([item.seconds for item in made], 0.95),
        first_text=percentile([item.first_text_seconds for item in made if item.first_text_seconds is not None], 0.5),
        tokens_per_second=written / writing if writing > 0 else None,
        retried=sum((item.attempts or 1) > 1 for item in made),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least ``share`` of the values do not exceed, or None for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
