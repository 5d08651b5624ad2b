"""Datasets: made, given records, changed."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.annotation.contents import check_fields, check_metadata, check_suggestion
from pipeline.annotation.settings import DatasetSettings, check_settings
from pipeline.annotation.templates import review_settings
from pipeline.cleaning import clean, normal
from pipeline.errors import RecordError
from pipeline.generation import Generation
from pipeline.naming import free_name
from pipeline.records import Suggestion
from pipeline.store import Store
from pipeline.store.datasets import Dataset, NewRecord

MAX_NAME = 200
MAX_EXTERNAL_ID = 400


class DatasetDesk:
    """Makes datasets and changes them."""

    def __init__(self, store: Store, generation: Generation) -> None:
        self._store = store
        self._generation = generation

    def all(self) -> list[Dataset]:
        """Return the datasets, newest first."""
        return self._store.datasets.all()

    def get(self, dataset_id: str) -> Dataset:
        """Return one dataset.

        Raises:
            NotFoundError: there is no such dataset.
        """
        return self._store.datasets.get(dataset_id)

    def create(self, name: str, settings: DatasetSettings, publish: bool = True) -> Dataset:
        """Make a dataset without records; without ``publish`` it is a draft, which nobody can annotate yet.

        Raises:
            RecordError: the name cannot be used, or people could not work with these settings.
        """
        if publish:
            check_settings(settings)
        return self.get(self._store.datasets.add(self._free_name(name), settings, publish))

    def create_of_run(self, run_id: str, template: str) -> Dataset:
        """Make an *answer review* of the answered train queries of a run; the answers become suggestions.

        A train query that is a test query in another list is left out: it would be read in the open and trained on.

        Raises:
            RecordError: the run has no answered train query.
        """
        settings = review_settings(template)
        run = self._store.runs.get(run_id)
        rows = [row for row in self._generation.rows(run) if row.completion and not row.completion.error]
        held_out = {normal(text) for text in self._store.queries.test_texts()}
        items = [(row.query.id, row.completion.id) for row in rows if normal(row.query.text) not in held_out]
        if not items:
            raise RecordError(
                "There is no answered train query in this run: test queries are kept for Compare. "
                "Run a list with train queries first."
            )
        name = self._free_name(self._store.queries.set_name(run.query_set_id))
        return self.get(self._store.datasets.add_of_run(name, settings, template, run_id, items))

    def add_records(self, dataset_id: str, records: Sequence[NewRecord]) -> tuple[int, int]:
        """Add records, all or none; return how many are new and how many took the place of one with their external id.

        Raises:
            RecordError: one of them does not fit the settings; the message names it.
        """
        dataset = self.get(dataset_id)
        if dataset.run_id is not None:
            raise RecordError("This dataset was made of a run. Make another one for records from elsewhere.")
        checked = [_checked(dataset.settings, number, record) for number, record in enumerate(records, 1)]
        return self._store.datasets.add_records(dataset_id, checked)

    def _free_name(self, name: str) -> str:
        name = " ".join(clean(name).split())
        if not 1 <= len(name) <= MAX_NAME:
            raise RecordError(f"A dataset needs a name of 1 to {MAX_NAME} characters.")
        return free_name(name, {dataset.name for dataset in self.all()})


def _checked(settings: DatasetSettings, number: int, record: NewRecord) -> NewRecord:
    try:
        if record.external_id is not None and not 1 <= len(record.external_id) <= MAX_EXTERNAL_ID:
            raise RecordError(f"Its external id has not 1 to {MAX_EXTERNAL_ID} characters.")
        return NewRecord(
            fields=check_fields(settings, record.fields),
            metadata=check_metadata(settings, record.metadata),
            suggestions=[_suggestion(settings, item) for item in record.suggestions],
            external_id=None if record.external_id is None else clean(record.external_id),
        )
    except RecordError as error:
        raise RecordError(f"Record {number}: {error}") from error


def _suggestion(settings: DatasetSettings, item: Suggestion) -> Suggestion:
    value = check_suggestion(settings, item.question, item.value, item.agent, item.score)
    return Suggestion(item.question, value, clean(item.agent), item.score)
