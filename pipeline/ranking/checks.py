"""Can the votes be relied on: unanimity, annotators who disagree with everyone, votes given in a hurry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from scipy.special import bdtr, ndtri

from pipeline.ranking.counts import check_votes
from pipeline.ranking.intervals import wilson
from pipeline.records import Outcome, Vote

FAST_SECONDS = 2.0
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Unanimity:
    """Of the ``judged`` pairs of answers with two votes or more, ``unanimous`` got one verdict only; Wilson's interval."""

    unanimous: int
    judged: int
    rate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Dissent:
    """How often an annotator said what most of the others said of the same two answers.

    ``judged`` are their votes on pairs where the others have a majority, ``agreed`` those that are like it. ``others`` is
    the rate at which all other annotators agree with theirs. ``p_value`` is the one-sided binomial test of ``agreed``
    against it, ``adjusted`` the same after Holm's correction for having looked at every annotator; ``flagged`` says
    that it is below 5 %.
    """

    annotator: str
    agreed: int
    judged: int
    rate: float
    others: float
    p_value: float
    adjusted: float
    flagged: bool


@dataclass(frozen=True, slots=True)
class FastVotes:
    """Of the ``timed`` votes, ``fast`` took less than ``under`` seconds; ``untimed`` have no known time.

    ``annotators`` are those who gave fast votes, with (fast, timed) of each, the most often fast first. Fast votes count
    like all others: this is a flag and no filter.
    """

    fast: int
    timed: int
    untimed: int
    annotators: tuple[tuple[str, int, int], ...]
    under: float = FAST_SECONDS


def unanimity(votes: Iterable[Vote], confidence: float = 0.95) -> Unanimity:
    """Return how many pairs of answers got the same verdict from all who voted on them.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.check_votes`.
        ValueError: ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: it lies between 0 and 1")
    verdicts: dict[Hashable, list[str]] = {}
    for vote in check_votes(votes):
        verdicts.setdefault(_unit(vote), []).append(_verdict(vote))
    judged = [given for given in verdicts.values() if len(given) > 1]
    same = sum(len(set(given)) == 1 for given in judged)
    if not judged:
        return Unanimity(0, 0, None, None, None)
    rate = same / len(judged)
    return Unanimity(same, len(judged), rate, *wilson(rate, len(judged), float(ndtri(0.5 + confidence / 2))))


def dissent(votes: Sequence[Vote], alpha: float = ALPHA) -> tuple[Dissent, ...]:
    """Compare each annotator with the majority of the others, vote by vote; the most unlike the others come first.

    A vote counts where the others' verdicts on the same two answers have one that is more frequent than any other. The
    test is the exact binomial one against the rate of all other annotators (W. J. Conover 1999, Practical Nonparametric
    Statistics, section 3.1), one-sided as only too little agreement is asked for, and corrected by S. Holm (1979), Scand.
    J. Statist. 6:65-70, so that among annotators who are all alike one is flagged with a chance of about 5 %. It takes
    votes of one annotator as independent. An annotator without a name is everyone who has none, and is left out.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.check_votes`.
    """
    agreed, judged = _agreement_with_others(votes)
    every_agreed, every_judged = agreed.total(), judged.total()
    found = []
    for name, number in judged.items():
        rest = every_judged - number
        if rest:
            others = (every_agreed - agreed[name]) / rest
            found.append((float(bdtr(agreed[name], number, others)), name, others))
    found.sort()
    shown, adjusted = [], 0.0
    for place, (p_value, name, others) in enumerate(found):
        adjusted = min(1.0, max(adjusted, p_value * (len(found) - place)))
        rate = agreed[name] / judged[name]
        values = (agreed[name], judged[name], rate, others, p_value, adjusted)
        shown.append(Dissent(name, *values, flagged=adjusted < alpha))
    return tuple(shown)


def fast_votes(votes: Iterable[Vote], under: float = FAST_SECONDS) -> FastVotes:
    """Return how many votes took less than ``under`` seconds, and whose they are."""
    fast: Counter[str] = Counter()
    timed: Counter[str] = Counter()
    untimed = 0
    for vote in votes:
        if vote.seconds is None:
            untimed += 1
            continue
        timed[vote.annotator] += 1
        fast[vote.annotator] += vote.seconds < under
    names = sorted((name for name in timed if fast[name]), key=lambda name: (-fast[name] / timed[name], name))
    return FastVotes(
        fast.total(), timed.total(), untimed, tuple((name, fast[name], timed[name]) for name in names), under
    )


def _agreement_with_others(votes: Iterable[Vote]) -> tuple[Counter[str], Counter[str]]:
    """Return for each annotator how many votes agree with the majority of the others, and how many could."""
    units: dict[Hashable, list[tuple[str, str]]] = {}
    for vote in check_votes(votes):
        if vote.annotator:
            units.setdefault(_unit(vote), []).append((vote.annotator, _verdict(vote)))
    agreed: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for given in units.values():
        if len(given) < 2:
            continue
        verdicts, own = Counter(verdict for _, verdict in given), Counter(given)
        for annotator, verdict in given:
            others = {kind: count - own[annotator, kind] for kind, count in verdicts.items()}
            most = max(others.values())
            if most and list(others.values()).count(most) == 1:
                judged[annotator] += 1
                agreed[annotator] += others[verdict] == most
    return agreed, judged


def _unit(vote: Vote) -> Hashable:
    return vote.query_id, *sorted((vote.model_a, vote.model_b))


def _verdict(vote: Vote) -> str:
    winners = {Outcome.MODEL_A: f"model {vote.model_a}", Outcome.MODEL_B: f"model {vote.model_b}"}
    return winners.get(vote.outcome, vote.outcome.value)
