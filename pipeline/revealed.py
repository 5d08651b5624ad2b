"""The results of a comparison with the models' names: for those who have opened them."""

from __future__ import annotations

import hmac
import threading
from collections import Counter, OrderedDict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.comparison_settings import ComparisonSettings, RevealPolicy
from pipeline.errors import ComparisonError
from pipeline.preparation import Preparation
from pipeline.records import Vote
from pipeline.store import Store
from pipeline.store.comparisons import Comparison, ComparisonSet
from pipeline.store.members import AUTOMATIC, NOBODY
from pipeline.store.votes import KEPT_LOGS, StoredVote


@dataclass(frozen=True, slots=True)
class Revealed:
    """The votes of a set with the models' names, ready for :mod:`pipeline.ranking`.

    ``votes`` are those on the pair ``first`` and ``second``; ``stored`` are all, a ranking as its pairwise outcomes. A pair
    of identical answers, which is shown to nobody, is a tie of each person who has judged everything that is shown, and one
    tie at least; ``automatic_ties`` counts these among ``votes``. ``models`` are the names by id, in the order of the set, and
    ``pairs`` the ids of all pairs. ``summary`` says what became of the set's queries.
    """

    first: str
    second: str
    votes: tuple[Vote, ...]
    automatic_ties: int
    stored: tuple[StoredVote, ...]
    summary: Mapping[str, int]
    models: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...]
    settings: ComparisonSettings

    @property
    def in_order(self) -> bool:
        """Whether it is known in which order the votes were given: a file of votes may not tell, and may be sorted."""
        return not self.summary.get("untimed")

    @property
    def timeline(self) -> tuple[Vote, ...]:
        """The votes on the pair as they came, or none where that is not known."""
        return self.votes if self.in_order else ()

    def sides(self, vote: StoredVote) -> tuple[str, str]:
        """Return the names of the models behind A and B."""
        return self.models[vote.left_model_id], self.models[vote.right_model_id]


class ResultsReader:
    """Reads votes and puts the names to them."""

    def __init__(self, store: Store, preparation: Preparation) -> None:
        self._store = store
        self._preparation = preparation
        self._counting = threading.Lock()
        self._kept: OrderedDict[str, _Counted] = OrderedDict()

    def read(self, item: ComparisonSet, comparisons: Collection[Comparison], pair: tuple[str, str] | None) -> Revealed:
        """Return the votes on the comparisons of a set, and on one pair of its models (the first where it is None).

        Raises:
            ComparisonError: the pair is not in the set.
        """
        names = self._names(item)
        pairs = self._pairs(item, names)
        first, second = pair or pairs[0]
        if (first, second) not in pairs and (second, first) not in pairs:
            raise ComparisonError("This comparison does not hold that pair of models. Reload the page.")
        shown = frozenset(comparison.id for comparison in comparisons if not comparison.identical)
        with self._counting:
            stored, votes, automatic = self._count(item.id, names, shown).of_pair(first, second)
        return Revealed(
            first=names[first],
            second=names[second],
            votes=votes,
            automatic_ties=automatic,
            stored=stored,
            summary=item.summary,
            models=names,
            pairs=pairs,
            settings=item.settings,
        )

    def _count(self, set_id: str, names: Mapping[str, str], shown: frozenset[str]) -> _Counted:
        """Return the votes of a set with names; those that were counted before are not counted again."""
        log = self._store.votes.log(set_id)
        key = (log.generation, tuple(names.items()), shown)
        counted = self._kept.get(set_id)
        if counted is None or counted.key != key or not counted.take(log.votes):
            counted = _Counted(key, names, shown, log.votes)
            counted.take(log.votes)
        self._kept[set_id] = counted
        self._kept.move_to_end(set_id)
        while len(self._kept) > KEPT_LOGS:
            self._kept.popitem(last=False)
        return counted

    def _names(self, item: ComparisonSet) -> dict[str, str]:
        """Return the names of a set's models by id."""
        if item.settings.reveal is RevealPolicy.NEVER:
            # By a secret: the ids of sets and models are in every browser, and must not tell which model is "Model 1".
            salt = self._store.values.pseudonym_salt().encode()
            shuffled = sorted(
                item.model_ids, key=lambda model: hmac.digest(salt, f"{item.id}{model}".encode(), "sha256")
            )
            return {model: f"Model {number}" for number, model in enumerate(shuffled, 1)}
        names = {model.id: model.name for model in self._store.models.all()}
        return {model: names[model] for model in item.model_ids}

    def _pairs(self, item: ComparisonSet, names: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return the pairs of a set's models. A child stands before its parent: does the tuned model beat its base?"""
        ids = list(names)
        if item.settings.reveal is RevealPolicy.NEVER:
            return tuple((one, two) for n, one in enumerate(ids) for two in ids[n + 1 :])
        lineages = {model: {parent.id for parent in self._preparation.lineage(model)} for model in ids}
        pairs = ((one, two) for n, one in enumerate(ids) for two in ids[n + 1 :])
        return tuple((two, one) if one in lineages[two] else (one, two) for one, two in pairs)


class _Counted:
    """The votes of a set as pairwise verdicts with names, taken in one after the other.

    The tie of an identical pair is repeated for each person who has judged all the pairs that are ``shown``: whoever only
    looked in would otherwise pull the win rate to 50 % by ties that outnumber their own votes.
    """

    def __init__(
        self, key: Hashable, names: Mapping[str, str], shown: frozenset[str], votes: Sequence[StoredVote]
    ) -> None:
        self.key = key
        self._names = names
        self._shown = shown
        self._judged: Counter[str] = Counter()
        self._people = 0
        for vote in votes:
            self._judge(vote)
        self._repeats = max(self._people, 1)
        self._begun = False
        self._taken = self._ties = 0
        self._stored: list[StoredVote] = []
        self._votes: dict[frozenset[str], list[Vote]] = {}
        self._automatic: Counter[frozenset[str]] = Counter()

    def take(self, votes: Sequence[StoredVote]) -> bool:
        """Take in what comes after the votes that were taken; False where all has to be counted anew.

        That is where another person has judged everything that is shown, so that ties of before count once more.
        """
        new = votes[self._taken :]
        if self._begun:
            for vote in new:
                self._judge(vote)
            if max(self._people, 1) != self._repeats:
                if self._ties:
                    return False
                self._repeats = max(self._people, 1)
        for vote in new:
            tie = vote.annotator_id == AUTOMATIC
            self._ties += tie
            for verdict in vote.pairwise() * (self._repeats if tie else 1):
                pair = frozenset((verdict.left_model_id, verdict.right_model_id))
                self._stored.append(verdict)
                self._votes.setdefault(pair, []).append(_vote(verdict, self._names))
                self._automatic[pair] += tie
        self._begun, self._taken = True, len(votes)
        return True

    def of_pair(self, first: str, second: str) -> tuple[tuple[StoredVote, ...], tuple[Vote, ...], int]:
        """Return all verdicts, the votes on a pair, and how many of these are automatic ties."""
        pair = frozenset((first, second))
        return tuple(self._stored), tuple(self._votes.get(pair, ())), self._automatic[pair]

    def _judge(self, vote: StoredVote) -> None:
        if vote.annotator_id == AUTOMATIC or vote.comparison_id not in self._shown:
            return
        # A count is enough: one vote of a person stands on a comparison.
        self._judged[vote.annotator_id] += 1
        self._people += self._judged[vote.annotator_id] == len(self._shown)


def _vote(vote: StoredVote, names: Mapping[str, str]) -> Vote:
    sides = names[vote.left_model_id], names[vote.right_model_id]
    # An automatic tie counts as a vote, but nobody gave it.
    person = "" if vote.annotator_id in NOBODY else vote.annotator_id
    return Vote(vote.query_id, *sides, vote.outcome, person, vote.seconds)
