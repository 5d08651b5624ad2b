"""The sentences on the screen: what may be concluded from the votes, by a stated rule, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.ranking.counts import OutcomeCounts, count_outcomes
from pipeline.ranking.evidence import AnytimeTest, SignTest, anytime_p, sign_test
from pipeline.ranking.intervals import WinRate, win_rate
from pipeline.ranking.power import ALPHA, Outlook, QueriesNeeded, needed_after
from pipeline.records import Vote

RULE = (
    "A result is called conclusive when the anytime-valid p is below 0.05 and the 95 % interval of the win rate lies"
    " on the same side of 50 %."
)
SMALL_DIFFERENCE = 0.05


class Level(StrEnum):
    """What may be concluded: there are no votes, there is no conclusion yet, or one model is preferred."""

    NONE = "none"
    NOT_CONCLUSIVE = "not_conclusive"
    CONCLUSIVE = "conclusive"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``headline`` is the sentence on top, ``details`` are the sentences below it, the rest is what they rest on.

    ``leader`` is the model with the higher win rate, or empty where neither is ahead. There is no level for "equal":
    votes that show no difference do not show that there is none, and the interval says how large it may be.
    """

    level: Level
    leader: str
    headline: str
    details: tuple[str, ...]
    counts: OutcomeCounts
    rate: WinRate
    sign: SignTest
    anytime: AnytimeTest
    needed: QueriesNeeded


def verdict(votes: Sequence[Vote], first: str, second: str, in_order: bool = True) -> Verdict:
    """Say what the votes on a pair prove. ``votes`` are in time order, or ``in_order`` is False.

    The rule is :data:`RULE`. People watch the page while votes come in and stop when they like what they see, so the
    anytime-valid p decides; the sign test is reported beside it. The interval has to agree, and the evidence has to be
    for the model that leads now, so that an early run of luck does not outlive the votes that undid it. Rate and
    interval in the headline are those of the leader.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.pair_results`.
    """
    counts = count_outcomes(votes, first, second)
    rate = win_rate(votes, first, second)
    anytime = anytime_p(votes, first, second, in_order)
    sign = sign_test(votes, first, second)
    needed = needed_after(counts.queries, anytime)
    leader = "" if rate.rate in (None, 0.5) else (first if rate.rate > 0.5 else second)
    level = _level(rate, anytime, leader)
    headline = _headline(level, leader, counts, rate, needed)
    details = _details(counts, rate, sign, anytime)
    return Verdict(level, leader, headline, details, counts, rate, sign, anytime, needed)


def _level(rate: WinRate, anytime: AnytimeTest, leader: str) -> Level:
    if rate.rate is None:
        return Level.NONE
    clear = rate.low is not None and rate.high is not None and (rate.low > 0.5 or rate.high < 0.5)
    proved = anytime.p_value < ALPHA and anytime.favours == leader
    return Level.CONCLUSIVE if clear and proved else Level.NOT_CONCLUSIVE


def _headline(level: Level, leader: str, counts: OutcomeCounts, rate: WinRate, needed: QueriesNeeded) -> str:
    if level is Level.NONE:
        return f"There are no votes on {counts.first} and {counts.second} yet."
    if counts.wins == counts.losses == 0:
        return _undecided(counts)
    over = f"over {plural(rate.queries, 'query', 'queries')}"
    if not leader:
        return f"Neither model is ahead: win rate 50 %{_interval(rate, False)} {over}. Not conclusive."
    mirrored = leader == counts.second
    shown = percent(1 - rate.rate if mirrored else rate.rate) + _interval(rate, mirrored)
    if level is Level.CONCLUSIVE:
        return f"{leader} is preferred: win rate {shown} {over}. Conclusive."
    return f"{leader} is ahead: win rate {shown} {over}. {_outlook(needed, leader)}"


def _undecided(counts: OutcomeCounts) -> str:
    one = counts.votes == 1
    every = "the only vote" if one else f"all {counts.votes:,} votes"
    if not counts.ties:
        return f"Neither model is good enough here: {every} {'says' if one else 'say'} that both answers are bad."
    if not counts.both_bad:
        return f"No difference seen: {every} {'is a tie' if one else 'are ties'}. Not conclusive."
    parts = f"{plural(counts.ties, 'tie')}, {counts.both_bad:,} both bad"
    return f"No difference seen: none of the {counts.votes:,} votes prefers a model ({parts}). Not conclusive."


def _outlook(needed: QueriesNeeded, leader: str) -> str:
    if needed.outlook is Outlook.ENOUGH:
        return "Not conclusive: the evidence was stronger earlier than it is now."
    if needed.outlook is Outlook.TOO_MANY:
        return "Not conclusive: a difference this small takes thousands of queries to prove."
    if needed.more is None or needed.favourite != leader:
        return "Not conclusive yet, and too even to say how many more queries it takes."
    more = plural(about(needed.more), "more query", "more queries")
    return f"Not conclusive yet: about {more} if it goes on like this."


def _details(counts: OutcomeCounts, rate: WinRate, sign: SignTest, anytime: AnytimeTest) -> tuple[str, ...]:
    if not counts.votes:
        return ()
    details = [_counted(counts)]
    if rate.note:
        details.append(rate.note)
    elif rate.low > 0.5 - SMALL_DIFFERENCE and rate.high < 0.5 + SMALL_DIFFERENCE:
        details.append("If there is a difference, it is probably small: the interval stays within 5 points of 50 %.")
    if sign.wins + sign.losses + anytime.wins + anytime.losses:
        details += [RULE, _watched(anytime), _looked_once(sign)]
    return tuple(details)


def _counted(counts: OutcomeCounts) -> str:
    people = f" by {plural(counts.annotators, 'annotator')}" if counts.annotators else ""
    parts = (
        plural(counts.wins, "win"),
        plural(counts.ties, "tie"),
        f"{counts.both_bad:,} both bad",
        plural(counts.losses, "loss", "losses"),
    )
    return f"{plural(counts.votes, 'vote')}{people}; for {counts.first}: {', '.join(parts)}."


def _watched(anytime: AnytimeTest) -> str:
    score = f"{anytime.wins:,} to {anytime.losses:,}"
    if anytime.in_order:
        counted = f"first decisive vote of each query: {score}"
        meaning = "right however often one looks at it and whenever the voting stops"
    else:
        counted = f"majority of each query: {score}"
        meaning = "taken from the final counts alone, as the order of the votes is not known"
    return f"Anytime-valid p {p_text(anytime.p_value)} ({counted}); it is {meaning}."


def _looked_once(sign: SignTest) -> str:
    return (
        f"Sign test p {p_text(sign.p_value)} (majority of each query: {sign.wins:,} to {sign.losses:,}); it is right"
        " only if the number of votes was fixed beforehand and this is the one look at it."
    )


def _interval(rate: WinRate, mirrored: bool) -> str:
    if rate.low is None or rate.high is None:
        return ""
    low, high = (1 - rate.high, 1 - rate.low) if mirrored else (rate.low, rate.high)
    return f" [{percent(low)[:-2]}–{percent(high)[:-2]}]"


def percent(share: float) -> str:
    """Return a share as whole per cent, with decimals only where 0, 50 or 100 would be said of what is not exactly so.

    >>> percent(0.607), percent(0.504), percent(0.999)
    ('61 %', '50.4 %', '99.9 %')
    """
    for digits in (0, 1, 2):
        # Halves go up, as people expect; half a unit in the 12th place undoes the error of the binary fraction.
        scaled = math.floor(share * 100 * 10**digits + 0.5 + 1e-9) / 10**digits
        if scaled not in (0, 50, 100) or math.isclose(scaled, share * 100, abs_tol=1e-9):
            break
    return f"{scaled:.{digits}f} %"


def p_text(p_value: float) -> str:
    """Return a p-value with its sign of relation, to two digits: "= 0.035", "< 0.001", and never 0.05 for 0.0496."""
    if p_value < 0.001:
        return "< 0.001"
    # More digits where rounding would carry the value over the mark that decides.
    for digits in range(3 if p_value < 0.1 else 2, 12):
        text = f"{p_value:.{digits}f}"
        if (float(text) < ALPHA) == (p_value < ALPHA):
            break
    return f"= {text.rstrip('0').rstrip('.')}"


def about(number: int) -> int:
    """Return the number rounded up to what an estimate can bear: to 5 from 10 on, to two digits from 100 on."""
    if number < 10:
        return number
    step = 5 if number < 100 else 10 ** (len(str(number)) - 2)
    return math.ceil(number / step) * step


def plural(number: int, one: str, many: str = "") -> str:
    """Return "1 query" or "1,200 queries"; ``many`` is ``one`` with an s where it is not given."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
