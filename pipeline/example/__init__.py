"""The bundled example: Pairloop's own handbook, and queries about it."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from pipeline.datasets import DatasetDesk
from pipeline.generation import Generation
from pipeline.library import Added, Library
from pipeline.query_files import read_queries
from pipeline.records import Split
from pipeline.registry import Registry
from pipeline.store import Store
from pipeline.store.datasets import Dataset

FOLDER = Path(__file__).parent
QUERY_LIST = "Handbook example"
TEMPLATE = "answer-review"


class Example:
    """Puts the example into a workspace."""

    def __init__(
        self, store: Store, library: Library, registry: Registry, generation: Generation, datasets: DatasetDesk
    ) -> None:
        self._store = store
        self._library = library
        self._registry = registry
        self._generation = generation
        self._datasets = datasets
        self._adding = threading.Lock()
        self._reviewing = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether the example is being taken in at this moment."""
        return self._adding.locked()

    def add(self) -> list[Added]:
        """Take in the handbook and its queries; what is there already is not taken in twice.

        At the first start this runs beside the screens: whoever asks for the example meanwhile waits for it.
        """
        with self._adding, self._store.database.alone("example"):
            return self._add()

    def add_at_first_start(self) -> None:
        """Take in the example where the workspace is new, and go on where a first start was stopped in the middle.

        The list of queries is stored last: where it is, the example was taken in once, whatever was deleted since.
        """
        if self._store.queries.example_set() is None and self._store.documents.hashes() <= _hashes():
            self.add()

    def _add(self) -> list[Added]:
        added = self._library.add_files([(path, path.name) for path in _files()])
        if self._store.queries.example_set() is None:
            found = read_queries(FOLDER / "queries.jsonl", "queries.jsonl")
            items = [(query.text, query.split or Split.TRAIN, dict(query.metadata)) for query in found]
            self._store.queries.add_set(QUERY_LIST, items, kind="example")
        return added

    def review(self) -> Dataset:
        """Answer the example's train queries with the embedded model, and make a dataset to review of them, once.

        A second click, and that of somebody else, leads to the dataset that there is.
        """
        with self._reviewing, self._store.database.alone("example"):
            return self._reviewed() or self._review()

    def _reviewed(self) -> Dataset | None:
        runs = self._store.runs
        example = self._store.queries.example_set()
        datasets = [item for item in self._datasets.all() if item.template == TEMPLATE and item.run_id]
        return next((item for item in datasets if runs.get(item.run_id).query_set_id == example), None)

    def _review(self) -> Dataset:
        self.add()
        model, query_list = self._registry.answering()[0].id, self._store.queries.example_set()
        tasks = self._generation.plan(query_list, Split.TRAIN)
        planned = self._generation.plan_run(model, query_list, Split.TRAIN, tasks)
        self._generation.background(self._generation.execute(planned)).result()
        return self._datasets.create_of_run(planned.run_id, TEMPLATE)


def _files() -> list[Path]:
    return sorted((FOLDER / "handbook").glob("*.md"))


def _hashes() -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in _files()}
