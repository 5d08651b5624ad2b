"""The bundled example: Pairloop's own handbook, and queries about it."""

from __future__ import annotations

import threading
from pathlib import Path

from pipeline.generation import Generation
from pipeline.library import Added, Library
from pipeline.query_files import read_queries
from pipeline.records import Split
from pipeline.registry import Registry
from pipeline.store import Store
from pipeline.store.reviews import Dataset
from pipeline.tasks import ReviewDesk

FOLDER = Path(__file__).parent
QUERY_LIST = "Handbook example"


class Example:
    """Puts the example into a workspace."""

    def __init__(
        self, store: Store, library: Library, registry: Registry, generation: Generation, reviews: ReviewDesk
    ) -> None:
        self._store = store
        self._library = library
        self._registry = registry
        self._generation = generation
        self._reviews = reviews
        self._adding = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether the example is being taken in at this moment."""
        return self._adding.locked()

    def add(self) -> list[Added]:
        """Take in the handbook and its queries; what is there already is not taken in twice.

        At the first start this runs beside the screens: whoever asks for the example meanwhile waits for it.
        """
        with self._adding:
            return self._add()

    def _add(self) -> list[Added]:
        files = sorted((FOLDER / "handbook").glob("*.md"))
        added = self._library.add_files([(path, path.name) for path in files])
        if self._list_id() is None:
            found = read_queries(FOLDER / "queries.jsonl", "queries.jsonl")
            items = [(query.text, query.split or Split.TRAIN, dict(query.metadata)) for query in found]
            self._store.queries.add_set(QUERY_LIST, items)
        return added

    def review(self) -> Dataset:
        """Answer the example's train queries with the embedded model, and make a dataset to review of them."""
        self.add()
        model = self._registry.all()[0].id
        run_id, waiting = self._generation.plan_run(model, self._list_id() or "", Split.TRAIN)
        self._generation.background(self._generation.execute(run_id, model, waiting)).result()
        return self._reviews.create_dataset(run_id, "answer-review")

    def _list_id(self) -> str | None:
        return next((item.id for item in self._store.queries.sets() if item.name == QUERY_LIST), None)
