"""The report of a comparison: every number of its results, taken at one moment."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pipeline.comparison_settings import ComparisonSettings, RevealPolicy
from pipeline.comparisons import ComparisonDesk
from pipeline.ranking import (
    AdjustedRate,
    Leaderboard,
    OutcomeCounts,
    Progress,
    Slices,
    Verdict,
    WinFractions,
    WinRate,
    leaderboard,
    progress,
    verdict,
    win_fractions,
)
from pipeline.records import Vote
from pipeline.result_details import Criterion, ResultDetails
from pipeline.revealed import Revealed
from pipeline.spreadsheets import to_csv
from pipeline.store import Store
from pipeline.store.members import AUTOMATIC, NOBODY
from pipeline.store.votes import StoredVote
from pipeline.vote_files import pseudonyms

# Links to results are open to whoever has them: what was computed is kept while no vote comes.
KEPT = 8
# With more pairs than this the table of pairs would take minutes to read, and seconds to make.
MOST_PAIRS = 45
COLUMNS = (
    "part", "first", "second", "win_rate", "low", "high", "confidence", "queries", "votes", "annotators", "automatic_ties",
    "wins", "ties", "both_bad", "losses", "sign_p", "anytime_p", "corrected_p", "level",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PairResult:
    """What the votes say of two models; there is no verdict where a set has too many pairs to make one for each."""

    first: str
    second: str
    automatic_ties: int
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of one pair in full, of the other pairs in short, and of all models of the set together.

    ``number`` is the place of the pair among ``pairs``.
    ``names`` are those of the annotators by id, and tell nobody; ``slices`` are by what the votes are parted by.
    """

    title: str
    settings: ComparisonSettings
    summary: Mapping[str, int]
    made_at: float
    version: str
    number: int
    pairs: tuple[PairResult, ...]
    verdict: Verdict
    votes: tuple[Vote, ...]
    automatic_ties: int
    names: Mapping[str, str]
    adjusted: AdjustedRate | None
    progress: Progress
    criteria: tuple[Criterion, ...]
    slices: tuple[tuple[str, Slices], ...]
    board: Leaderboard
    fractions: WinFractions
    models: tuple[str, ...]


class ReportDesk:
    """Makes reports; one that was made stands until a vote comes or goes."""

    def __init__(self, store: Store, comparisons: ComparisonDesk, details: ResultDetails) -> None:
        self._store = store
        self._comparisons = comparisons
        self._details = details
        self._computing = threading.Lock()
        self._kept: OrderedDict[Hashable, Report] = OrderedDict()

    def report(self, set_id: str, number: int = 0) -> Report:
        """Return the report of a set on one of its pairs, by its number; the first pair where there is no such number.

        It asks nobody whom it is for: see :meth:`ComparisonDesk.results_of`.
        """
        models = len(self._store.comparisons.set(set_id).model_ids)
        # Whatever number an address has, there is one report for each pair to make and to keep.
        number = number if 0 <= number < models * (models - 1) // 2 else 0
        # Counted before the votes are read: one that comes in between is counted again next time, never left out.
        stamp = (self._store.votes.counts().get(set_id), self._store.responses.version())
        key = (set_id, number, *stamp)
        with self._computing:
            found = self._kept.get(key)
            if found is None:
                found = self._kept[key] = self._make(set_id, number)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    def _make(self, set_id: str, number: int) -> Report:
        item = self._store.comparisons.set(set_id)
        pairs = self._comparisons.results_of(set_id).pairs
        revealed = self._comparisons.results_of(set_id, pairs[number])
        named = item.settings.reveal is not RevealPolicy.NEVER
        every = [_vote(revealed, vote) for vote in revealed.stored]
        board = leaderboard(every)
        people = pseudonyms(revealed.stored)
        return Report(
            title=item.name if named else self._comparisons.blind_name(item),
            settings=item.settings,
            summary=item.summary,
            made_at=time.time(),
            version=app_version(),
            number=number,
            pairs=_pairs(revealed, every),
            verdict=verdict(revealed.votes, revealed.first, revealed.second, revealed.in_order),
            votes=revealed.votes,
            automatic_ties=revealed.automatic_ties,
            names=people,
            adjusted=self._details.adjusted(set_id, revealed) if revealed.votes else None,
            progress=progress(revealed.timeline, revealed.first, revealed.second),
            criteria=tuple(self._details.criteria(revealed)),
            slices=tuple((key, self._details.slices(revealed, key, people)) for key in self._details.keys(revealed)),
            board=board,
            fractions=win_fractions(every, [rating.model for rating in board.ratings]),
            models=tuple(revealed.models.values()),
        )


def results_csv(report: Report) -> str:
    """Return the numbers of a report as CSV, unrounded: a row for each pair, and for the parts of the pair in full."""
    rows = [
        _row("all votes", pair.verdict.counts, pair.verdict.rate, pair.verdict, pair.automatic_ties)
        for pair in report.pairs
        if pair.verdict is not None
    ]
    rows += [_row(f"criterion: {one.name}", one.counts, one.rate, None, None) for one in report.criteria]
    for key, found in report.slices:
        rows += [
            _row(f"{key} = {part.name}", part.verdict.counts, part.verdict.rate, part.verdict, None, part.adjusted)
            for part in found.parts
        ]
    return to_csv(COLUMNS, rows)


def app_version() -> str:
    """Return the version of Pairloop, or "" where it runs without being installed."""
    try:
        return version("pairloop")
    except PackageNotFoundError:
        return ""


def _row(
    part: str,
    counts: OutcomeCounts,
    rate: WinRate,
    found: Verdict | None,
    automatic: int | None,
    corrected: float | None = None,
) -> tuple[str, ...]:
    return (
        *(part, counts.first, counts.second),
        *(_text(value) for value in (rate.rate, rate.low, rate.high, rate.confidence)),
        *(str(number) for number in (counts.queries, counts.votes, counts.annotators)),
        _text(automatic),
        *(str(number) for number in (counts.wins, counts.ties, counts.both_bad, counts.losses)),
        *((_text(found.sign.p_value), _text(found.anytime.p_value)) if found else ("", "")),
        _text(corrected),
        found.level.value if found else "",
    )


def _text(value: float | None) -> str:
    return "" if value is None else repr(value)


def _pairs(revealed: Revealed, votes: Sequence[Vote]) -> tuple[PairResult, ...]:
    parted: dict[frozenset[str], list[Vote]] = {}
    for vote in votes:
        parted.setdefault(frozenset((vote.model_a, vote.model_b)), []).append(vote)
    ties = (revealed.sides(vote) for vote in revealed.stored if vote.annotator_id == AUTOMATIC)
    automatic = Counter(map(frozenset, ties))
    found = []
    for one, two in revealed.pairs:
        pair = revealed.models[one], revealed.models[two]
        some = parted.get(frozenset(pair), [])
        told = verdict(some, *pair, revealed.in_order) if len(revealed.pairs) <= MOST_PAIRS else None
        found.append(PairResult(*pair, automatic[frozenset(pair)], told))
    return tuple(found)


def _vote(revealed: Revealed, vote: StoredVote) -> Vote:
    person = "" if vote.annotator_id in NOBODY else vote.annotator_id
    return Vote(vote.query_id, *revealed.sides(vote), vote.outcome, person, vote.seconds)
