"""In which order a person sees the answers to a query: every pair of models equally often one way and the other."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations

_CHANCE = random.SystemRandom()


def balanced_order(models: Sequence[str], earlier: Mapping[tuple[str, str], int]) -> tuple[int, ...]:
    """Return the places of ``models`` in the order to show, drawn among those that keep pairs most in balance.

    Args:
        models: ids, one per answer; at most six.
        earlier: how often this person saw the first model of a pair before the second one.

    With two models the counts of both orders never differ by more than 1: the one that is behind comes first, and at a
    draw chance decides. With more, an order and its reverse do the same; where sets of different models are mixed, the
    largest difference is kept as small as it can be.
    """

    def imbalance(order: tuple[int, ...]) -> tuple[int, int]:
        # combinations() keeps the order, so the first of two places is shown before the second.
        apart = [
            abs(earlier.get((models[i], models[j]), 0) + 1 - earlier.get((models[j], models[i]), 0))
            for i, j in combinations(order, 2)
        ]
        return max(apart), sum(apart)

    # Six answers have 720 orders.
    scored = [(imbalance(order), order) for order in permutations(range(len(models)))]
    least = min(score for score, _ in scored)
    return _CHANCE.choice([order for score, order in scored if score == least])


def any_order(models: Sequence[str], earlier: Mapping[tuple[str, str], int]) -> tuple[int, ...]:
    """Return the places of ``models`` in an order that chance alone decides, whatever was shown ``earlier``."""
    return tuple(_CHANCE.sample(range(len(models)), len(models)))
