"""All models together: what the comparisons that one person has opened say about them."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.comparison_settings import Kind, RevealPolicy
from pipeline.comparisons import ComparisonDesk
from pipeline.errors import ComparisonError
from pipeline.ranking import Leaderboard, TieModel, WinFractions, leaderboard, win_fractions
from pipeline.records import Vote
from pipeline.spreadsheets import to_csv
from pipeline.store import Store
from pipeline.store.members import AUTOMATIC, NOBODY
from pipeline.store.votes import StoredVote
from pipeline.vote_files import votes_csv

# People who have opened the same comparisons share what was computed; so many choices of comparisons are kept.
KEPT = 8
COLUMNS = (
    "group", "rank", "model", "rating", "low", "high", "queries", "votes", "wins", "ties_and_both_bad", "losses",
    "ties_count_as", "confidence",
)  # fmt: skip
PAIR_COLUMNS = ("model", "against", "win_fraction", "votes", "queries")


@dataclass(frozen=True, slots=True)
class Standings:
    """Ratings and win fractions over the ``opened`` comparisons; ``closed`` ones are not counted.

    ``votes`` are all that count, ``automatic`` of them are ties of identical answers. The rows of ``fractions`` are in the
    order of the ratings. ``queries`` counts different texts: a query that stands in two lists is one.
    """

    board: Leaderboard
    fractions: WinFractions
    queries: int
    votes: int
    automatic: int
    opened: int
    closed: int


@dataclass(frozen=True, slots=True)
class _Counted:
    """What depends on the votes alone."""

    board: Leaderboard
    fractions: WinFractions
    queries: int
    votes: int
    automatic: int


class StandingsDesk:
    """Standings for each person: over the comparisons whose results they have opened, and no other."""

    def __init__(self, store: Store, comparisons: ComparisonDesk) -> None:
        self._store = store
        self._comparisons = comparisons
        self._computing = threading.Lock()
        self._kept: OrderedDict[Hashable, _Counted] = OrderedDict()

    def standings(self, member_id: str, tie_model: TieModel = TieModel.HALF_WINS) -> Standings:
        """Return the standings; computed anew only where a vote came or went, or another comparison was opened."""
        opened, closed = self._sets(member_id)
        # Counted before the votes are read: a vote that comes in between is counted again next time, never left out.
        counts = self._store.votes.counts()
        key = (tie_model, _stamp(opened, counts))
        found = self._found(key)
        if found is None:
            with self._computing:
                # Somebody else may have had it computed meanwhile.
                found = self._found(key) or self._keep(key, self._count(opened, member_id, tie_model))
        values = (found.board, found.fractions, found.queries, found.votes, found.automatic)
        return Standings(*values, len(opened), closed)

    def stamp(self, member_id: str) -> Hashable:
        """Return a value that changes with the votes behind a person's standings, without computing any."""
        return _stamp(self._sets(member_id)[0], self._store.votes.counts())

    def votes_csv(self, member_id: str) -> str:
        """Return the votes behind the standings as CSV.

        Raises:
            ComparisonError: no vote counts yet.
        """
        opened = self._sets(member_id)[0]
        stored = self._stored(opened, member_id)
        if not stored:
            raise ComparisonError("No vote counts yet. Open the results of a comparison first.")
        sets = {
            item.id: self._comparisons.name(item, member_id) for item in self._comparisons.sets() if item.id in opened
        }
        in_sets = {it.id: name for set_id, name in sets.items() for it in self._store.comparisons.in_set(set_id)}
        return votes_csv(stored, self._labels(), self._texts(stored), in_sets)

    def _sets(self, member_id: str) -> tuple[list[str], int]:
        """Return the comparisons this person has opened, oldest first, and the number of those that they have not."""
        revealed = self._store.comparisons.opened_by(member_id)
        # Where names are never shown there is nothing to put on a table of models.
        ready = [
            item
            for item in self._comparisons.sets()
            if item.state == "open" and item.settings.reveal is not RevealPolicy.NEVER
        ]
        # Two replicas that took in one file of votes before they met have it twice: its votes count once.
        first = {item.query_set_id: item.id for item in sorted(ready, key=lambda item: item.id, reverse=True)}
        ready = [it for it in ready if it.settings.kind is not Kind.IMPORTED or first[it.query_set_id] == it.id]
        opened = sorted(item.id for item in ready if item.id in revealed or item.settings.kind is Kind.IMPORTED)
        return opened, len(ready) - len(opened)

    def _found(self, key: Hashable) -> _Counted | None:
        return self._kept.get(key)

    def _keep(self, key: Hashable, counted: _Counted) -> _Counted:
        self._kept[key] = counted
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return counted

    def _count(self, opened: Sequence[str], member_id: str, tie_model: TieModel) -> _Counted:
        stored = self._stored(opened, member_id)
        labels, texts = self._labels(), self._texts(stored)
        votes = [_vote(vote, labels, texts) for vote in stored]
        board = leaderboard(votes, tie_model)
        fractions = win_fractions(votes, [rating.model for rating in board.ratings])
        queries = len({vote.query_id for vote in votes})
        automatic = sum(vote.annotator_id == AUTOMATIC for vote in stored)
        return _Counted(board, fractions, queries, len(votes), automatic)

    def _stored(self, opened: Sequence[str], member_id: str) -> list[StoredVote]:
        # By way of the desk, which refuses what this person has not opened and repeats automatic ties.
        return [vote for set_id in opened for vote in self._comparisons.results(set_id, member_id).stored]

    def _labels(self) -> dict[str, str]:
        return distinct_names([(model.id, model.name) for model in self._store.models.all()])

    def _texts(self, stored: Sequence[StoredVote]) -> dict[str, str]:
        queries = self._store.queries.by_ids(list({vote.query_id for vote in stored}))
        return {query.id: query.text for query in queries.values()}


def _stamp(opened: Sequence[str], counts: Mapping[str, tuple[int, int]]) -> Hashable:
    return tuple((set_id, counts.get(set_id)) for set_id in opened)


def distinct_names(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return names by id; where two replicas gave one name to two things, the end of the id tells them apart."""
    items = list(items)
    times = Counter(name for _, name in items)
    return {item_id: name if times[name] == 1 else f"{name} ({item_id[-4:]})" for item_id, name in items}


def standings_csv(standings: Standings) -> str:
    """Return the ratings as CSV, unrounded; groups of models that never met are numbered from 1."""
    board = standings.board
    rows = (
        (
            *(
                str(number),
                str(rating.rank),
                rating.model,
                repr(rating.rating),
                _number(rating.low),
                _number(rating.high),
            ),
            *(str(count) for count in (rating.queries, rating.votes, rating.wins, rating.ties, rating.losses)),
            *(board.tie_model.value, repr(board.confidence)),
        )
        for number, group in enumerate(board.groups, 1)
        for rating in group.ratings
    )
    return to_csv(COLUMNS, rows)


def pairs_csv(fractions: WinFractions) -> str:
    """Return the win fraction of every model against every other one that it met as CSV, unrounded."""
    rows = (
        (model, other, repr(rate), str(fractions.votes[i][j]), str(fractions.queries[i][j]))
        for i, model in enumerate(fractions.models)
        for j, other in enumerate(fractions.models)
        if (rate := fractions.rates[i][j]) is not None
    )
    return to_csv(PAIR_COLUMNS, rows)


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _vote(vote: StoredVote, labels: Mapping[str, str], texts: Mapping[str, str]) -> Vote:
    sides = labels[vote.left_model_id], labels[vote.right_model_id]
    person = "" if vote.annotator_id in NOBODY else vote.annotator_id
    # The text is the cluster: a query that stands in two lists is one query, and the file of votes says the same.
    return Vote(texts[vote.query_id], *sides, vote.outcome, person, vote.seconds)
