"""How good the retrieved passages are, from people's marks "relevant" and "not relevant".

- Precision at k: relevant passages among the first k, over k; fewer than k passages count as if the rest were not relevant.
- nDCG at k: sum of 1 / log2(rank + 1) over the relevant passages among the first k, over the same sum for the best order of
  the relevant ones (K. Järvelin and J. Kekäläinen, ACM TOIS 20 (2002) 422-446, with the discount that trec_eval and
  scikit-learn use). Relevant are those known: what was never retrieved was never marked, so recall cannot be told.
- MRR: the mean of 1 / rank of the first relevant passage, 0 where there is none (E. Voorhees, TREC-8, 1999).

The interval is over queries, by :func:`pipeline.means.mean_interval`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.means import mean_interval

CUTOFFS = (1, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class Metric:
    """A mean over queries with its 95 % interval, None where there are fewer than two queries."""

    name: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """Metrics over the ``queries`` whose passages were marked; of their ``passages``, ``marked`` were marked by anybody.

    ``split`` passages were called relevant by as many people as not: they count as not relevant, like unmarked ones.
    """

    metrics: tuple[Metric, ...]
    queries: int
    passages: int
    marked: int
    split: int


def majority(passages: int, marks: Sequence[Mapping[str, object]]) -> list[bool | None]:
    """Return for each passage whether more people called it relevant than not; None where none did, or as many.

    ``marks`` holds for each person the marks by the passage's number, which begins at "0".
    """
    found: list[bool | None] = []
    for number in range(passages):
        given = [person[str(number)] for person in marks if isinstance(person.get(str(number)), bool)]
        relevant = sum(given)
        found.append(None if 2 * relevant == len(given) else 2 * relevant > len(given))
    return found


def precision_at(k: int, relevant: Sequence[bool]) -> float:
    """Return the share of the first ``k`` that is relevant; passages in the order retrieved."""
    return sum(relevant[:k]) / k


def ndcg_at(k: int, relevant: Sequence[bool], known: int | None = None) -> float:
    """Return nDCG with binary gain; ``known`` relevant passages exist in all, by default those that were retrieved."""
    known = sum(relevant) if known is None else known
    best = sum(_discount(rank) for rank in range(1, min(k, known) + 1))
    gained = sum(_discount(rank) for rank, hit in enumerate(relevant[:k], 1) if hit)
    return gained / best if best else 0.0


def reciprocal_rank(relevant: Sequence[bool]) -> float:
    """Return 1 / the rank of the first relevant passage, or 0."""
    return next((1 / rank for rank, hit in enumerate(relevant, 1) if hit), 0.0)


def retrieval_report(queries: Sequence[tuple[int, Sequence[Mapping[str, object]]]]) -> RetrievalReport:
    """Return the metrics of queries given as (number of passages, everybody's marks), passages in the order retrieved."""
    marked = [(majority(passages, marks), marks) for passages, marks in queries if passages and any(marks)]
    judged = [[hit is True for hit in hits] for hits, _ in marked]
    touched = [{number for person in marks for number in person} for _, marks in marked]
    longest = max((len(hits) for hits in judged), default=0)
    # And where fewer passages are retrieved, over all of them.
    cutoffs = sorted({k for k in (*CUTOFFS, longest) if 0 < k <= min(longest, CUTOFFS[-1])})
    metrics = [_metric(f"Precision@{k}", [precision_at(k, hits) for hits in judged]) for k in cutoffs]
    metrics += [_metric(f"nDCG@{k}", [ndcg_at(k, hits) for hits in judged]) for k in cutoffs]
    metrics += [_metric("MRR", [reciprocal_rank(hits) for hits in judged])] if judged else []
    return RetrievalReport(
        metrics=tuple(metrics),
        queries=len(judged),
        passages=sum(map(len, judged)),
        marked=sum(map(len, touched)),
        split=sum(
            hit is None and str(number) in numbers
            for (hits, _), numbers in zip(marked, touched, strict=True)
            for number, hit in enumerate(hits)
        ),
    )


def _discount(rank: int) -> float:
    return 1 / math.log2(rank + 1)


def _metric(name: str, values: Sequence[float]) -> Metric:
    return Metric(name, *mean_interval(values))
