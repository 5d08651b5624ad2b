"""How many more queries it takes to tell two models apart, if things go on as they have begun."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import bdtr

from pipeline.ranking.counts import count_outcomes
from pipeline.ranking.evidence import AnytimeTest, SignTest, anytime_p, e_value, sign_test
from pipeline.records import Vote

POWER = 0.8
ALPHA = 0.05
# Beyond this many decisive queries nobody is going to vote; it also bounds the work (a tenth of a second).
MOST_DECISIVE = 2_000


class Rule(StrEnum):
    """Which test is to reach p < 0.05."""

    ANYTIME = "anytime"
    SIGN = "sign"


class Outlook(StrEnum):
    """What is known about the number of queries that are missing."""

    ENOUGH = "enough"
    ESTIMATE = "estimate"
    NO_DIFFERENCE = "no difference"
    TOO_MANY = "too many"


@dataclass(frozen=True, slots=True)
class QueriesNeeded:
    """``more`` queries give the test of ``rule`` 80 % power at the observed rates; None where there is no such number.

    ``outlook`` says why: the test is below 0.05 already (enough), neither model is ahead among the decisive queries
    (no difference), or over 2,000 decisive queries are missing (too many). ``favourite`` is the model ahead among
    them, empty if none is; ``decisive_share`` is the part of the queries that prefer a model, ``favourite_share`` the
    part of those that prefer the favourite; None where there are none.
    """

    outlook: Outlook
    more: int | None
    favourite: str
    decisive_share: float | None
    favourite_share: float | None
    rule: Rule
    power: float = POWER
    alpha: float = ALPHA


def queries_needed(
    votes: Sequence[Vote], first: str, second: str, rule: Rule = Rule.ANYTIME, in_order: bool = True
) -> QueriesNeeded:
    """Estimate how many more queries, voted on like those so far, will tell the two models apart.

    The observed rates are taken for the true ones; early on they flatter, so the number is a plan and no promise.

    - ``Rule.ANYTIME``: the chance, from the wins and losses in hand, that E reaches 20 on the way is computed exactly
      by following every path of wins and losses (Armitage, McPherson and Rowe 1969, doi:10.2307/2343787).
    - ``Rule.SIGN``: the smallest total of decisive queries at which the exact sign test has the power, less those in
      hand (Conover 1999, Practical Nonparametric Statistics, section 3.4; the power is binomial).

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.pair_results`.
    """
    made = anytime_p(votes, first, second, in_order) if rule is Rule.ANYTIME else sign_test(votes, first, second)
    return needed_after(count_outcomes(votes, first, second).queries, made, rule)


def needed_after(queries: int, made: AnytimeTest | SignTest, rule: Rule = Rule.ANYTIME) -> QueriesNeeded:
    """Return what :func:`queries_needed` returns, where the test of the rule has been ``made`` already over so many queries."""
    ahead, behind = max(made.wins, made.losses), min(made.wins, made.losses)
    outlook, missing = _outlook(ahead, behind, made.p_value, rule)
    decisive = ahead + behind
    return QueriesNeeded(
        outlook=outlook,
        more=None if missing is None else math.ceil(missing * queries / decisive),
        favourite="" if ahead == behind else made.first if made.wins == ahead else made.second,
        decisive_share=decisive / queries if queries else None,
        favourite_share=ahead / decisive if decisive else None,
        rule=rule,
    )


def _outlook(ahead: int, behind: int, p_value: float, rule: Rule) -> tuple[Outlook, int | None]:
    """Return the outlook and how many decisive queries are missing."""
    if p_value < ALPHA:
        return Outlook.ENOUGH, None
    if ahead == behind:
        return Outlook.NO_DIFFERENCE, None
    missing = _missing_anytime(ahead, behind) if rule is Rule.ANYTIME else _missing_sign(ahead, behind)
    return (Outlook.TOO_MANY if missing is None else Outlook.ESTIMATE), missing


def _missing_anytime(ahead: int, behind: int) -> int | None:
    """Return after how many further decisive queries E has reached 1 / ALPHA with probability POWER."""
    share = ahead / (ahead + behind)
    # open_paths[i]: probability of i further wins of the one ahead with E below the mark all the way.
    open_paths = np.ones(1)
    crossed = 0.0
    mark = _first_crossing(ahead + behind, ahead)
    for more in range(1, MOST_DECISIVE + 1):
        open_paths = np.append(open_paths * (1 - share), 0.0) + np.append(0.0, open_paths * share)
        mark = _first_crossing(ahead + behind + more, mark)
        crossed += float(open_paths[mark - ahead :].sum())
        open_paths[mark - ahead :] = 0.0
        if crossed >= POWER:
            return more
    return None


def _first_crossing(total: int, at_least: int) -> int:
    """Return the smallest number of wins, from ``at_least`` up, at which E has reached 1 / ALPHA among ``total``."""
    wins = max(at_least, (total + 1) // 2)
    while wins <= total and e_value(wins, total - wins) < 1 / ALPHA:
        wins += 1
    return wins


def _missing_sign(ahead: int, behind: int) -> int | None:
    """Return how many further decisive queries give the sign test the power: at least 1, as it is not below ALPHA."""
    share = ahead / (ahead + behind)
    totals = np.arange(1, MOST_DECISIVE + ahead + behind + 1)
    critical = _critical(totals)
    possible = critical >= 0
    reach = np.where(possible, critical, 0)
    power = np.where(possible, bdtr(reach, totals, 1 - share) + bdtr(reach, totals, share), 0.0)
    enough = np.flatnonzero((power >= POWER) & (totals > ahead + behind))
    return int(totals[enough[0]]) - ahead - behind if enough.size else None


def _critical(totals: np.ndarray) -> np.ndarray:
    """Return for each total the largest number of the rarer side with a two-sided p below ALPHA, -1 where none has."""
    critical = np.full(totals.shape, -1)
    rarer = -1
    for place, total in enumerate(totals.tolist()):
        # One more query never lowers the critical number and raises it by at most one.
        if 2 * bdtr(rarer + 1, total, 0.5) < ALPHA:
            rarer += 1
        critical[place] = rarer
    return critical
