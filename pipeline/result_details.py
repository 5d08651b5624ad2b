"""More about the results of one comparison: what could explain them, and how they are in parts of the votes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline.comparisons import ComparisonDesk
from pipeline.errors import ComparisonError
from pipeline.ranking import AdjustedRate, Slices, Traits, adjusted_win_rate, slices
from pipeline.ranking.slices import MOST
from pipeline.records import Vote
from pipeline.revealed import Revealed
from pipeline.standings import distinct_names
from pipeline.store import Store

ANNOTATOR = "annotator"
METADATA = "metadata: "


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
        metadata = self._metadata(revealed)
        for name in sorted({name for values in metadata.values() for name in values}):
            values = Counter(given.get(name, "") for given in metadata.values())
            parts = len(values)
            # A value for each query, or one for all, parts nothing; more than can be shown tells nothing either.
            if 1 < parts <= min(MOST, max(2, len(metadata) // 2)):
                found.append(METADATA + name)
        return found

    def slices(self, revealed: Revealed, key: str) -> Slices:
        """Return the verdict on each part of the votes.

        Raises:
            ComparisonError: these votes cannot be parted by ``key``.
        """
        if key not in self.keys(revealed):
            raise ComparisonError("The votes of this comparison cannot be parted like this. Choose something else.")
        if key == ANNOTATOR:
            names = self.names()

            def part(vote: Vote) -> str | None:
                return names.get(vote.annotator) if vote.annotator else None
        else:
            metadata, name = self._metadata(revealed), key.removeprefix(METADATA)

            def part(vote: Vote) -> str | None:
                return str(metadata[vote.query_id].get(name, "")) or None

        return slices(revealed.votes, revealed.first, revealed.second, part)

    def _metadata(self, revealed: Revealed) -> dict[str, Mapping[str, str]]:
        queries = self._store.queries.by_ids(list({vote.query_id for vote in revealed.votes}))
        return {query.id: query.metadata for query in queries.values()}

    def _traits(self, set_id: str, names: Mapping[str, str]) -> dict[tuple[str, str], Traits]:
        """Return words and citations of the answers by (query, model)."""
        items = self._store.comparisons.in_set(set_id)
        ids = [answer for item in items for answer in item.completion_ids]
        return {
            (answer.query_id, names[answer.model_id]): Traits(len(answer.text.split()), len(set(answer.citations)))
            for answer in self._store.runs.by_ids(ids).values()
        }
