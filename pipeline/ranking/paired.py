"""Votes on any number of models as arrays: what was said of which pair on which query, and resamples of the queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from pipeline.ranking.counts import check_votes
from pipeline.records import Outcome, Vote

# What can be said of a pair, seen from its first model. A tie and both bad are one here: half a win for each.
WIN, LOSS, TIE = 0, 1, 2
KINDS = 3
# Numbers that a table of resamples may hold at a time (8 bytes each).
BLOCK = 2_000_000


@dataclass(frozen=True)
class Ballots:
    """One row for each vote: number of its query, of the two models (``first < second``), and what was said.

    ``models`` are sorted by name, so that the order of the votes and the sides leave no trace.
    """

    models: tuple[str, ...]
    query: np.ndarray
    first: np.ndarray
    second: np.ndarray
    kind: np.ndarray

    def of(self, members: Iterable[int]) -> Ballots:
        """Return the votes among some of the models, who keep their order."""
        kept = sorted(members)
        place = np.full(len(self.models), -1)
        place[kept] = np.arange(len(kept))
        rows = (place[self.first] >= 0) & (place[self.second] >= 0)
        names = tuple(self.models[member] for member in kept)
        return Ballots(names, self.query[rows], place[self.first[rows]], place[self.second[rows]], self.kind[rows])


@dataclass(frozen=True)
class PairTable:
    """Counts of a set of models: ``pairs`` that met (first < second), and ``counts[pair, kind]``.

    Queries with the same votes are one pattern, which came ``times`` times: a resample of queries is then a draw of how
    often each pattern comes. ``entries`` tell how many votes of which kind each pattern holds (a row for each pair and
    kind, a column for each pattern).
    """

    models: tuple[str, ...]
    pairs: np.ndarray
    counts: np.ndarray
    times: np.ndarray
    entries: csr_array

    @property
    def queries(self) -> int:
        """How many queries were voted on."""
        return int(self.times.sum())

    def resamples(self, rounds: int, dice: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield blocks of rounds as counts[round, pair, kind]; each round draws as many queries as there are."""
        size = max(1, min(rounds, BLOCK // (len(self.times) + 4 * self.counts.size + len(self.models) ** 2)))
        for start in range(0, rounds, size):
            weights = self._draw(min(size, rounds - start), dice)
            yield np.ascontiguousarray((self.entries @ weights).T).reshape(-1, len(self.pairs), KINDS)

    def _draw(self, rounds: int, dice: np.random.Generator) -> np.ndarray:
        """Return how often each pattern comes in each round, a column for each round."""
        queries, patterns = self.queries, len(self.times)
        if patterns * 8 < queries:
            return dice.multinomial(queries, self.times / queries, size=rounds).T.astype(float)
        # Drawing queries one by one is several times faster than a multinomial of nearly as many patterns.
        pattern_of = np.repeat(np.arange(patterns), self.times)
        weights = np.empty((patterns, rounds))
        for number in range(rounds):
            drawn = pattern_of[dice.integers(0, queries, queries)]
            weights[:, number] = np.bincount(drawn, minlength=patterns)
        return weights


def ballots(votes: Iterable[Vote]) -> Ballots:
    """Return the votes as arrays.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.check_votes`.
    """
    numbers: dict[str, int] = {}
    queries: dict[str, int] = {}
    rows = [
        (
            queries.setdefault(vote.query_id, len(queries)),
            numbers.setdefault(vote.model_a, len(numbers)),
            numbers.setdefault(vote.model_b, len(numbers)),
            _KIND[vote.outcome],
        )
        for vote in check_votes(votes)
    ]
    names = sorted(numbers)
    place = np.empty(len(names), dtype=np.int64)
    place[[numbers[name] for name in names]] = np.arange(len(names))
    query, side_a, side_b, kind = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    one, other = place[side_a], place[side_b]
    swapped = one > other
    kind = np.where(swapped & (kind != TIE), LOSS - kind, kind)
    return Ballots(tuple(names), query, np.where(swapped, other, one), np.where(swapped, one, other), kind)


def pair_table(given: Ballots) -> PairTable:
    """Count the votes for each pair, and find the queries with the same votes."""
    many = len(given.models)
    codes, pair = np.unique(given.first * many + given.second, return_inverse=True)
    cells = len(codes) * KINDS
    cell = pair * KINDS + given.kind
    counts = np.bincount(cell, minlength=cells).reshape(-1, KINDS).astype(float)
    entry, number = distinct(given.query * cells + cell)
    row, times, kept = _patterns(entry // max(cells, 1), entry % max(cells, 1), number)
    entries = csr_array((number[kept].astype(float), (entry[kept] % max(cells, 1), row)), shape=(cells, len(times)))
    return PairTable(given.models, np.stack([codes // many, codes % many], axis=1), counts, times, entries)


def distinct(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers (from 0 up) that come, in order, and how often; for a million, far faster than ``np.unique``."""
    ordered = np.sort(numbers)
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[starts], np.diff(np.append(starts, len(ordered)))


def _patterns(query: np.ndarray, cell: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pattern of each entry that is kept, how often each pattern comes, and the entries that are kept.

    ``query`` is sorted. Patterns come in an order that depends on what they hold alone, not on how queries are named.
    """
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    lengths = np.diff(np.append(starts, len(query)))
    rows, times, kept = [], [], []
    found = 0
    for length in np.unique(lengths).tolist():
        places = starts[lengths == length][:, None] + np.arange(length)
        keys = np.concatenate([cell[places], number[places]], axis=1)
        order = np.lexsort(keys.T[::-1])
        is_new = np.ones(len(order), dtype=bool)
        is_new[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
        first = np.flatnonzero(is_new)
        times.append(np.diff(np.append(first, len(order))))
        kept.append(places[order[first]].ravel())
        rows.append(np.repeat(found + np.arange(len(first)), length))
        found += len(first)
    empty = np.empty(0, dtype=np.int64)
    return tuple(np.concatenate([empty, *parts]) for parts in (rows, times, kept))


_KIND = {Outcome.MODEL_A: WIN, Outcome.MODEL_B: LOSS, Outcome.TIE: TIE, Outcome.BOTH_BAD: TIE}
