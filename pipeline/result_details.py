"""More about the results of one comparison: what could explain them, and how they are in parts of the votes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from pipeline.annotation.templates import CONTEXT_RATING, TUTORIAL_CONTEXT_RATING
from pipeline.cleaning import normal
from pipeline.comparisons import ComparisonDesk
from pipeline.errors import ComparisonError
from pipeline.ranking import (
    AdjustedRate,
    OutcomeCounts,
    Slices,
    Traits,
    WinRate,
    adjusted_win_rate,
    count_outcomes,
    slices,
    win_rate,
)
from pipeline.ranking.slices import MOST
from pipeline.records import Vote
from pipeline.revealed import Revealed
from pipeline.standings import distinct_names
from pipeline.store import Store

ANNOTATOR = "annotator"
CONTEXTS = "context rating"
METADATA = "metadata: "
# What the contexts of a query were rated on Edit, by the mean of those who rated them: was it the retriever, or the generator?
GOOD = 4
RATED_GOOD, RATED_POOR, UNRATED = f"contexts rated {GOOD} or more", f"contexts rated below {GOOD}", "contexts not rated"
_RATINGS = (CONTEXT_RATING, TUTORIAL_CONTEXT_RATING)


@dataclass(frozen=True, slots=True)
class Criterion:
    """What the votes say of one criterion: those that have a verdict on it."""

    name: str
    counts: OutcomeCounts
    rate: WinRate


class ResultDetails:
    """Numbers on a comparison beyond its votes, for those who have opened its results."""

    def __init__(self, store: Store, comparisons: ComparisonDesk) -> None:
        self._store = store
        self._comparisons = comparisons

    def names(self) -> dict[str, str]:
        """Return the names of people by id, no two alike."""
        return distinct_names(self._store.members.names().items())

    def adjusted(self, set_id: str, revealed: Revealed) -> AdjustedRate:
        """Return the win rate as it would be if both answers were equally long and had as many citations."""
        return adjusted_win_rate(revealed.votes, revealed.first, revealed.second, self._traits(set_id, revealed.models))

    def keys(self, revealed: Revealed) -> list[str]:
        """Return what the votes can be parted by: annotators, and metadata of the queries that several of them share."""
        people = {vote.annotator for vote in revealed.votes if vote.annotator}
        found = [ANNOTATOR] if len(people) > 1 else []
        if set(self._context_parts(revealed).values()) - {UNRATED}:
            found.append(CONTEXTS)
        metadata = self._metadata(revealed)
        for name in sorted({name for values in metadata.values() for name in values}):
            values = Counter(given.get(name, "") for given in metadata.values())
            parts = len(values)
            # A value for each query, or one for all, parts nothing; more than can be shown tells nothing either.
            if 1 < parts <= min(MOST, max(2, len(metadata) // 2)):
                found.append(METADATA + name)
        return found

    def slices(self, revealed: Revealed, key: str, people: Mapping[str, str] | None = None) -> Slices:
        """Return the verdict on each part of the votes; ``people`` are names by id, those of :meth:`names` where it is None.

        Raises:
            ComparisonError: these votes cannot be parted by ``key``.
        """
        if key not in self.keys(revealed):
            raise ComparisonError("The votes of this comparison cannot be parted like this. Choose something else.")
        if key == ANNOTATOR:
            names = self.names() if people is None else people

            def part(vote: Vote) -> str | None:
                return names.get(vote.annotator) if vote.annotator else None
        elif key == CONTEXTS:
            part = partial(_part_of, self._context_parts(revealed))
        else:
            metadata, name = self._metadata(revealed), key.removeprefix(METADATA)

            def part(vote: Vote) -> str | None:
                return str(metadata[vote.query_id].get(name, "")) or None

        return slices(revealed.votes, revealed.first, revealed.second, part, revealed.in_order)

    def criteria(self, revealed: Revealed) -> list[Criterion]:
        """Return what the votes on the pair say of each criterion, in the order of the settings; those without a vote too."""
        found = []
        for name in revealed.settings.criteria:
            votes = [
                Vote(vote.query_id, *revealed.sides(vote), vote.criteria[name], vote.annotator_id)
                for vote in revealed.stored
                if name in vote.criteria
            ]
            pair = revealed.first, revealed.second
            found.append(Criterion(name, count_outcomes(votes, *pair), win_rate(votes, *pair)))
        return found

    def _context_parts(self, revealed: Revealed) -> dict[str, str]:
        """Return for each query of the votes how its contexts were rated, whatever list it was rated in."""
        ratings: dict[str, list[int]] = {}
        for text, given in self._store.responses.values_by_query().items():
            rated = [value for values in given for name in _RATINGS if type(value := values.get(name)) is int]
            if rated:
                ratings.setdefault(normal(text), []).extend(rated)
        found = {}
        for query in self._store.queries.by_ids(list({vote.query_id for vote in revealed.votes})).values():
            rated = ratings.get(normal(query.text))
            found[query.id] = UNRATED if not rated else RATED_GOOD if sum(rated) >= GOOD * len(rated) else RATED_POOR
        return found

    def _metadata(self, revealed: Revealed) -> dict[str, Mapping[str, str]]:
        queries = self._store.queries.by_ids(list({vote.query_id for vote in revealed.votes}))
        return {query.id: query.metadata for query in queries.values()}

    def _traits(self, set_id: str, names: Mapping[str, str]) -> dict[tuple[str, str], Traits]:
        """Return words and citations of the answers by (query, model), where they are known."""
        items = self._store.comparisons.in_set(set_id)
        ids = [answer for item in items for answer in item.completion_ids]
        found: dict[tuple[str, str], set[Traits]] = {}
        for answer in self._store.runs.by_ids(ids).values():
            # Of imported votes the answers may not be known, which is not the same as an empty answer.
            if answer.text or answer.run_id:
                traits = Traits(len(answer.text.split()), len(set(answer.citations)))
                found.setdefault((answer.query_id, names[answer.model_id]), set()).add(traits)
        # Where a model answered a query in several ways, a vote does not say which of them it is on.
        return {key: several.pop() for key, several in found.items() if len(several) == 1}


def _part_of(parts: Mapping[str, str], vote: Vote) -> str | None:
    return parts.get(vote.query_id)
