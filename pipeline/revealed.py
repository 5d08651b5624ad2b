"""The results of a comparison with the models' names: for those who have opened them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from pipeline.comparison_settings import ComparisonSettings, RevealPolicy
from pipeline.errors import ComparisonError
from pipeline.preparation import Preparation
from pipeline.records import Vote
from pipeline.store import Store
from pipeline.store.comparisons import Comparison, ComparisonSet
from pipeline.store.members import AUTOMATIC
from pipeline.store.votes import StoredVote


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


class ResultsReader:
    """Reads votes and puts the names to them."""

    def __init__(self, store: Store, preparation: Preparation) -> None:
        self._store = store
        self._preparation = preparation

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
        shown = {comparison.id for comparison in comparisons if not comparison.identical}
        repeated = _with_automatic_ties(self._store.votes.of_set(item.id), shown)
        stored = tuple(chain.from_iterable(vote.pairwise() for vote in repeated))
        wanted = [vote for vote in stored if {vote.left_model_id, vote.right_model_id} == {first, second}]
        return Revealed(
            first=names[first],
            second=names[second],
            votes=tuple(_vote(vote, names) for vote in wanted),
            automatic_ties=sum(vote.annotator_id == AUTOMATIC for vote in wanted),
            stored=stored,
            summary=item.summary,
            models=names,
            pairs=pairs,
            settings=item.settings,
        )

    def _names(self, item: ComparisonSet) -> dict[str, str]:
        """Return the names of a set's models by id."""
        if item.settings.reveal is RevealPolicy.NEVER:
            shuffled = sorted(item.model_ids, key=lambda model: hashlib.sha256(f"{item.id}{model}".encode()).digest())
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


def _with_automatic_ties(votes: Sequence[StoredVote], shown: Collection[str]) -> tuple[StoredVote, ...]:
    """Repeat the tie of an identical pair for each person who has judged all the pairs that are ``shown``.

    Whoever only looked in would otherwise pull the win rate to 50 % by ties that outnumber their own votes.
    """
    judged: dict[str, set[str]] = {}
    for vote in votes:
        judged.setdefault(vote.annotator_id, set()).add(vote.comparison_id)
    people = sum(judged[person] >= set(shown) for person in judged if person != AUTOMATIC)
    counted = (repeat(vote, max(people, 1) if vote.annotator_id == AUTOMATIC else 1) for vote in votes)
    return tuple(chain.from_iterable(counted))


def _vote(vote: StoredVote, names: Mapping[str, str]) -> Vote:
    sides = names[vote.left_model_id], names[vote.right_model_id]
    # An automatic tie counts as a vote, but nobody gave it.
    person = "" if vote.annotator_id == AUTOMATIC else vote.annotator_id
    return Vote(vote.query_id, *sides, vote.outcome, person, vote.seconds)
