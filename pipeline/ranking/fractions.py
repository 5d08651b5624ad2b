"""How each model fared against each other one: the numbers behind the heat map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ComparisonError
from pipeline.ranking.paired import KINDS, LOSS, TIE, WIN, ballots, distinct
from pipeline.records import Vote


@dataclass(frozen=True, slots=True)
class WinFractions:
    """``rates[i][j]`` is the win rate of model i against model j, None where they never met and on the diagonal.

    ``votes`` and ``queries`` are how many it rests on. ``mean[i]`` is the mean of row i over those shown that i met: each
    opponent counts once, however often they met.
    """

    models: tuple[str, ...]
    rates: tuple[tuple[float | None, ...], ...]
    votes: tuple[tuple[int, ...], ...]
    queries: tuple[tuple[int, ...], ...]
    mean: tuple[float | None, ...]


def win_fractions(votes: Iterable[Vote], models: Sequence[str] | None = None) -> WinFractions:
    """Return (wins + half of ties and both bad) / votes of every two models.

    Rows are in the order of ``models``, which may be some of them or hold others that have no votes; without it, in the
    order of their means.

    Raises:
        ComparisonError: a model is named twice, or as :func:`pipeline.ranking.counts.check_votes`.
    """
    if models is not None and len(set(models)) < len(models):
        raise ComparisonError("A model is named twice. Name each model once.")
    given = ballots(votes)
    many = len(given.models)
    pair = given.first * many + given.second
    counts = np.bincount(pair * KINDS + given.kind, minlength=many * many * KINDS).reshape(many, many, KINDS)
    points = counts[..., WIN] + counts[..., TIE] / 2
    points = points + (counts[..., LOSS] + counts[..., TIE] / 2).T
    total = counts.sum(axis=2) + counts.sum(axis=2).T
    seen, _ = distinct(given.query * many * many + pair)
    queries = np.bincount(seen % max(1, many * many), minlength=many * many).reshape(many, many)
    queries = queries + queries.T
    rates = np.divide(points, total, out=np.full(total.shape, np.nan), where=total > 0)
    means = np.divide(
        np.nansum(rates, axis=1), (total > 0).sum(axis=1), out=np.full(many, np.nan), where=total.any(axis=1)
    )
    if models is None:
        models = [given.models[place] for place in np.lexsort((np.arange(many), -means))]
    place = {name: number for number, name in enumerate(given.models)}
    spots = [place.get(name, many) for name in models]
    rates, total, queries = (_with_empty(table, many)[np.ix_(spots, spots)] for table in (rates, total, queries))
    return WinFractions(
        models=tuple(models),
        rates=tuple(tuple(_known(rate) for rate in row) for row in rates.tolist()),
        votes=tuple(tuple(map(int, row)) for row in total.tolist()),
        queries=tuple(tuple(map(int, row)) for row in queries.tolist()),
        mean=tuple(_row_mean(row) for row in rates.tolist()),
    )


def _with_empty(table: np.ndarray, many: int) -> np.ndarray:
    """Return the table with a last row and column for a model that has no votes."""
    empty = np.nan if table.dtype.kind == "f" else 0
    padded = np.full((many + 1, many + 1), empty, dtype=table.dtype)
    padded[:many, :many] = table
    return padded


def _row_mean(row: Sequence[float]) -> float | None:
    known = [rate for rate in row if rate == rate]
    return sum(known) / len(known) if known else None


def _known(rate: float) -> float | None:
    return rate if rate == rate else None
