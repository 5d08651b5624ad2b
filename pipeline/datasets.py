"""Datasets: made, given records, changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from pipeline.annotation.changes import Use, check_change, effects, use_of
from pipeline.annotation.contents import check_external_id, check_fields, check_metadata, check_suggestion
from pipeline.annotation.plain import from_plain, to_plain
from pipeline.annotation.settings import DatasetSettings, FieldKind, check_settings, with_new_guidelines
from pipeline.annotation.templates import get_dataset_template, run_settings, tutorial_settings
from pipeline.cleaning import clean, normal
from pipeline.errors import RecordError
from pipeline.generation import Generation, Row
from pipeline.naming import free_name
from pipeline.prompts import ANSWER_REVIEW, CUSTOMER_ASSISTANT, TEMPLATES
from pipeline.records import Run, Split, Suggestion
from pipeline.store import Store
from pipeline.store.datasets import Dataset, NewRecord

MAX_NAME = 200


class DatasetDesk:
    """Makes datasets and changes them."""

    def __init__(self, store: Store, generation: Generation) -> None:
        self._store = store
        self._generation = generation
        # Two people who change one dataset at the same time must not undo each other.
        self._changing = threading.Lock()

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

    def create_from_template(self, template: str, name: str = "", responses: int = 3, publish: bool = False) -> Dataset:
        """Make a dataset from a template of :func:`pipeline.annotation.templates.templates`; it begins as a draft.

        Raises:
            RecordError: the name cannot be used, or so many ``responses`` cannot be ranked.
        """
        chosen = get_dataset_template(template, responses)
        return self.create(name.strip() or chosen.called, chosen.settings, publish)

    def duplicate(self, dataset_id: str, name: str = "") -> Dataset:
        """Make a draft with the settings of another dataset, without its records."""
        source = self.get(dataset_id)
        settings = replace(source.settings, guidelines_version=1)
        return self.create(name.strip() or source.name, settings, publish=False)

    def rename(self, dataset_id: str, name: str) -> Dataset:
        """Give a dataset another name; one that another dataset has gets a number.

        Raises:
            RecordError: the name cannot be used.
        """
        self._store.datasets.change(dataset_id, name=self._free_name(name, dataset_id))
        return self.get(dataset_id)

    def publish(self, dataset_id: str) -> Dataset:
        """Let people annotate a dataset; it needs no records for that.

        Raises:
            RecordError: people could not work with its settings; the message says what is missing.
        """
        with self._changing, self._store.database.alone("datasets"):
            check_settings(self.get(dataset_id).settings)
            self._store.datasets.change(dataset_id, publish=True)
        return self.get(dataset_id)

    def edit(self, dataset_id: str, change: Callable[[DatasetSettings], DatasetSettings]) -> list[str]:
        """Change a dataset's settings as they are now; return what that does to people's work, in sentences.

        New guidelines of a published dataset are a new version of them.

        Raises:
            RecordError: records or responses would not be valid any more, or people could not work with the settings.
        """
        with self._changing, self._store.database.alone("datasets"):
            dataset = self.get(dataset_id)
            before = dataset.settings
            # Through the plain values, where every value is checked.
            wanted = from_plain(to_plain(change(before)))
            after = replace(wanted, guidelines=before.guidelines, guidelines_version=before.guidelines_version)
            if dataset.published:
                after = with_new_guidelines(after, wanted.guidelines)
            else:
                after = replace(after, guidelines=wanted.guidelines)
            if after == before:
                return []
            if dataset.size and _structure(after) != _structure(before):
                _check_roles(dataset, after)
                check_change(before, after, self._use(dataset_id))
            if dataset.published:
                check_settings(after)
            self._store.datasets.change(dataset_id, settings=after)
        return effects(before, after) if dataset.published and dataset.size else []

    def _use(self, dataset_id: str) -> Use:
        records, responses = self._store.datasets.records(dataset_id), self._store.responses.of_dataset(dataset_id)
        decisions = self._store.adjudications.of_dataset(dataset_id).values()
        return use_of(records, responses, (decision.values for decision in decisions))

    def create_of_run(self, run_id: str, template: str, name: str = "") -> Dataset:
        """Make a dataset of the answered train queries of a run; the answers become suggestions.

        It is an *answer review*, or for the tutorial's prompt template the tutorial's dataset. Without a name it gets that
        of the list of queries.

        Raises:
            RecordError: the run has no answered train query.
            NotFoundError: there is no such prompt template.
        """
        run = self._store.runs.get(run_id)
        told = self._store.models.get(run.model_id).template
        if template == ANSWER_REVIEW.name and told and told not in TEMPLATES:
            # The form is the same for every template that people write; rows to train on must have the model's own prompt.
            template = told
        settings = run_settings(template, self._store.templates.find)
        name = self._free_name(name.strip() or self._store.queries.set_name(run.query_set_id))
        items = [(row.query.id, row.completion.id) for row in self._reviewable(run)]
        return self.get(self._store.datasets.add_of_run(name, settings, template, run_id, items))

    def add_run(self, dataset_id: str, run_id: str) -> int:
        """Put the answered train queries of a run into a dataset; return how many records are new.

        The query goes into its first text, the contexts into its contexts or its second text, the answer becomes the
        suggestion for its first text question. A dataset that is still empty, and has these three, is then one that was
        made of that run, and gives training data on Tune.

        Raises:
            RecordError: the run has no answered train query, or the dataset no places for what a run has.
        """
        dataset, run = self.get(dataset_id), self._store.runs.get(run_id)
        settings = dataset.settings
        if dataset.run_id == run_id:
            return 0
        if dataset.run_id is not None:
            raise RecordError("This dataset was made of another run. Make a new one of this run.")
        if not settings.query_field or not settings.answer_question:
            raise RecordError("A run needs a text field for its queries and a text question for its answers.")
        rows, model = self._reviewable(run), self._store.models.get(run.model_id)
        if settings.contexts_field and not dataset.size and not _other_required(settings):
            template = _prompt_of(settings) or model.template
            items = [(row.query.id, row.completion.id) for row in rows]
            self._store.datasets.fill_of_run(dataset_id, template, run_id, items)
            return len(items)
        return self.add_records(dataset_id, [_of_run(settings, row, model.name) for row in rows])[0]

    def left_out_of(self, run_id: str) -> int:
        """Return how many train queries of a run no dataset is made of, because they are test queries in another list."""
        rows, held_out = self._generation.rows(self._store.runs.get(run_id)), self._held_out()
        return sum(row.query.split is Split.TRAIN and normal(row.query.text) in held_out for row in rows)

    def _held_out(self) -> set[str]:
        return {normal(text) for text in self._store.queries.test_texts()}

    def _reviewable(self, run: Run) -> list[Row]:
        """Return the answered train queries of a run.

        A train query that is a test query in another list is left out: it would be read in the open and trained on.
        """
        rows = [row for row in self._generation.rows(run) if row.completion and not row.completion.error]
        held_out = self._held_out()
        found = [row for row in rows if normal(row.query.text) not in held_out]
        if not found:
            raise RecordError(
                "There is no answered train query in this run: test queries are kept for Compare. "
                "Run a list with train queries first."
            )
        return found

    def taking_records(self, dataset_id: str) -> Dataset:
        """Return a dataset that records can be added to.

        Raises:
            RecordError: it was made of a run.
        """
        dataset = self.get(dataset_id)
        if dataset.run_id is not None:
            raise RecordError("This dataset was made of a run. Make another one for records from elsewhere.")
        return dataset

    def add_records(self, dataset_id: str, records: Sequence[NewRecord]) -> tuple[int, int]:
        """Add records, all or none; return how many are new and how many took the place of one with their external id.

        Raises:
            RecordError: one of them does not fit the settings; the message names it.
        """
        dataset = self.taking_records(dataset_id)
        checked = [_checked(dataset.settings, number, record) for number, record in enumerate(records, 1)]
        return self._store.datasets.add_records(dataset_id, checked)

    def _free_name(self, name: str, of: str | None = None) -> str:
        name = " ".join(clean(name).split())
        if not 1 <= len(name) <= MAX_NAME:
            raise RecordError(f"A dataset needs a name of 1 to {MAX_NAME} characters.")
        return free_name(name, {dataset.name for dataset in self.all() if dataset.id != of})


def _structure(settings: DatasetSettings) -> object:
    """Return what records and responses depend on: everything but texts and what says who gets which record."""
    return (
        [(item.name, item.kind, item.required) for item in settings.fields],
        [(item.name, item.kind, item.required, item.values) for item in settings.questions],
        {item.name: replace(item, title="", visible=True) for item in settings.metadata},
        settings.mark_spans,
        settings.mark_chunks,
    )


def _check_roles(dataset: Dataset, after: DatasetSettings) -> None:
    """Check that what a run has given still goes where it went: into the first field and question of their kinds."""
    if dataset.run_id is None:
        return
    roles = (
        ("query", "query_field", "text field"),
        ("contexts", "contexts_field", "contexts field"),
        ("answer", "answer_question", "text question"),
    )
    for what, role, place in roles:
        name = getattr(dataset.settings, role)
        if getattr(after, role) != name:
            raise RecordError(
                f"This dataset was made of a run, whose {what} goes to {name!r}, its first {place}. Leave it there, of "
                "that kind and before others of its kind."
            )


def _prompt_of(settings: DatasetSettings) -> str:
    """Return the prompt template that settings with these names belong to, or ""."""
    names = (settings.query_field, settings.contexts_field, settings.answer_question)
    tutorial = tutorial_settings()
    own = (tutorial.query_field, tutorial.contexts_field, tutorial.answer_question)
    return CUSTOMER_ASSISTANT.name if names == own else ""


def _other_required(settings: DatasetSettings) -> bool:
    filled = (settings.query_field, settings.contexts_field)
    return any(item.required and item.name not in filled for item in settings.fields)


def _of_run(settings: DatasetSettings, row: Row, agent: str) -> NewRecord:
    texts = [item for item in settings.fields if item.kind in (FieldKind.TEXT, FieldKind.MARKDOWN)]
    fields: dict[str, object] = {settings.query_field: row.query.text}
    passages = row.retrieval.contexts if row.retrieval else ()
    if settings.contexts_field:
        fields[settings.contexts_field] = [
            {"text": passage.text, "title": passage.document_name, "score": passage.score} for passage in passages
        ]
    elif len(texts) > 1:
        fields[texts[1].name] = "\n\n".join(passage.text.strip() for passage in passages)
    suggestion = Suggestion(settings.answer_question, row.completion.text, agent)
    known = {item.name for item in settings.metadata}
    metadata = {name: value for name, value in row.query.metadata.items() if name in known}
    return NewRecord(fields, metadata, [suggestion], external_id=row.completion.id)


def _checked(settings: DatasetSettings, number: int, record: NewRecord) -> NewRecord:
    try:
        external_id = check_external_id(record.external_id)
        return NewRecord(
            fields=check_fields(settings, record.fields),
            metadata=check_metadata(settings, record.metadata),
            suggestions=[_suggestion(settings, item) for item in record.suggestions],
            external_id=external_id,
        )
    except RecordError as error:
        raise RecordError(f"Record {number}: {error}") from error


def _suggestion(settings: DatasetSettings, item: Suggestion) -> Suggestion:
    value = check_suggestion(settings, item.question, item.value, item.agent, item.score)
    return Suggestion(item.question, value, clean(item.agent), item.score)
