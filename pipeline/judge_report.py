"""The numbers on a judge: what it said of a comparison, held against what people said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.judge_questions import Questions
from pipeline.ranking import dissent, win_rate
from pipeline.ranking.intervals import WinRate
from pipeline.ranking.judge import (
    JudgeAgreement,
    Placed,
    PositionBias,
    Rate,
    Single,
    as_votes,
    both_orders,
    flips,
    judge_agreement,
    length_preference,
    position_bias,
    rate_of,
)
from pipeline.records import Vote
from pipeline.revealed import Revealed
from pipeline.store.judgements import Judgement
from pipeline.store.members import AUTOMATIC, NOBODY


@dataclass(frozen=True, slots=True)
class PairRates:
    """Win rates of the first of two models over the pairs that differ: by the judge, and by people."""

    judge: WinRate
    people: WinRate


@dataclass(frozen=True, slots=True)
class Report:
    """All numbers on a judge. ``without_verdict`` of ``replies`` held none; ``pairs`` were judged in both orders.

    ``ceiling`` is how often a vote of a person is that of most others on the same pair. Tokens and seconds are of all that
    was asked, errors included; tokens are None where the endpoint never told.
    """

    replies: int
    without_verdict: int
    pairs: int
    flips: Rate
    agreement: JudgeAgreement
    ceiling: Rate
    position: PositionBias
    length: WinRate
    people_length: WinRate
    rates: tuple[PairRates, ...]
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float


def report_of(revealed: Revealed, questions: Questions, said: Sequence[Judgement]) -> Report:
    """Return the numbers on all that one judge ``said``, oldest first; where it was asked again, the newest reply counts."""
    newest = {item.order: item.outcome for item in said if not item.error}
    names = {answer: revealed.models[model] for answer, model in questions.models.items()}
    replied = [question for question in questions.asked if question.order in newest]
    singles = [
        Single(item.query_id, names[item.left], names[item.right], newest[item.order], item.comparison_id)
        for item in replied
    ]
    pairs = both_orders(singles)
    judged, people = as_votes(pairs), people_votes(revealed)
    lengths = {(item.comparison_id, names[item.left]): questions.words[item.left] for item in questions.asked}
    held = dissent([vote for _, vote in people])
    return Report(
        replies=len(replied),
        without_verdict=sum(single.outcome is None for single in singles),
        pairs=len(pairs),
        flips=flips(pairs),
        agreement=judge_agreement(pairs, people),
        ceiling=rate_of(sum(one.agreed for one in held), sum(one.judged for one in held)),
        position=position_bias(singles),
        length=length_preference(judged, lengths),
        people_length=length_preference(people, lengths),
        rates=_rates(revealed, judged, people),
        prompt_tokens=_sum(item.prompt_tokens for item in said),
        completion_tokens=_sum(item.completion_tokens for item in said),
        seconds=sum(item.seconds for item in said),
    )


def people_votes(revealed: Revealed) -> list[Placed]:
    """Return what people said, on all pairs of models, with the comparisons that they said it of."""
    # Whom a file does not name is no one person: what is said about annotators leaves such votes out.
    sides = (
        (*revealed.sides(vote), "" if vote.annotator_id in NOBODY else vote.annotator_id, vote)
        for vote in revealed.stored
    )
    return [
        (vote.comparison_id, Vote(vote.query_id, left, right, vote.outcome, person))
        for left, right, person, vote in sides
        if vote.annotator_id != AUTOMATIC
    ]


def _rates(revealed: Revealed, judged: Sequence[Placed], people: Sequence[Placed]) -> tuple[PairRates, ...]:
    named = [(revealed.models[one], revealed.models[two]) for one, two in revealed.pairs]
    by_judge, by_people = ([vote for _, vote in votes] for votes in (judged, people))
    rates = (PairRates(win_rate(by_judge, *pair), win_rate(by_people, *pair)) for pair in named)
    return tuple(rate for rate in rates if rate.judge.votes)


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
