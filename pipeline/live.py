"""Live mode: somebody asks, two models answer over the same contexts, and the answers come together, blind."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from pipeline.comparison_settings import ComparisonSettings, Kind, checked
from pipeline.comparisons import ComparisonDesk
from pipeline.errors import ComparisonError, ModelError
from pipeline.generation import Generation
from pipeline.preparation import Preparation, comparison
from pipeline.records import Split
from pipeline.store import Store

log = logging.getLogger(__name__)
NAME = "Live queries"
FAILED = "One of the two models gave no answer. Nothing was counted; ask again, or tell whoever set up the models."


class LiveDesk:
    """Live comparisons: their creation, and the queries of visitors."""

    def __init__(self, store: Store, generation: Generation, comparisons: ComparisonDesk) -> None:
        self._store = store
        self._comparisons = comparisons
        self._generation = generation
        self._preparation = Preparation(store, generation)
        self._creating = threading.Lock()

    def create(self, settings: ComparisonSettings) -> str:
        """Open a live comparison of two models; return its id, or that of the one with the same settings.

        Raises:
            ComparisonError: the settings cannot be used.
        """
        settings = checked(replace(settings, kind=Kind.LIVE, include_trained=False))
        with self._creating, self._store.database.alone("comparisons"):
            # One that was cut off before it was open takes no queries, and never will.
            same = (item for item in self._store.comparisons.sets() if item.settings == settings)
            if (twin := next((item for item in same if item.state == "open"), None)) is not None:
                return twin.id
            list_id = self._store.queries.add_set(NAME, [], kind="live")
            label = f"{self._preparation.label(settings.model_ids)}, {NAME.lower()}"
            set_id = self._store.comparisons.add_set(label[:200], settings, list_id)
            self._store.comparisons.open_set(set_id, [], {"pairs": 0})
        return set_id

    def ask(self, set_id: str, member_id: str, text: str) -> bool:
        """Have both models answer a query; the pair then waits for this person's vote.

        Returns once both have answered, so that no pace tells them apart. False where both answers are the same, which is
        counted as a tie and not shown. A pair that waits already is judged first: nothing is asked then.

        Raises:
            ComparisonError: the comparison is not a live one, is closed to this person, or a model gave no answer.
            QueryFileError: the query is empty or too long.
        """
        item = self._store.comparisons.set(set_id)
        if item.settings.kind is not Kind.LIVE or item.state != "open":
            raise ComparisonError("This comparison takes no queries of your own.")
        if self._store.comparisons.revealed(set_id, member_id):
            raise ComparisonError("You have opened the results of this comparison, which ended your voting on it.")
        if self._store.votes.open_draws(set_id, member_id):
            return True
        query = self._generation.add_query(item.query_set_id, text, Split.TEST)
        try:
            task, completions = self._generation.answers(query, item.model_ids)
        except ModelError as error:
            # Its words would name the model, and on the screen there is no word about models.
            log.warning("A live query got no answer: %s", error)
            raise ComparisonError(FAILED) from error
        found = comparison(set_id, len(self._store.comparisons.in_set(set_id)), task.retrieval, completions)
        self._store.comparisons.add([found])
        if found.identical:
            return False
        self._comparisons.draw(found, item.settings, member_id)
        return True
