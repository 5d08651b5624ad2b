"""The API's work on documents and datasets: asked by HTTP and by Gradio's client alike, for one person at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from components.api import models as api
from components.edit.annotate_answers import ChangedError, version_of
from pipeline.annotation.plain import to_plain
from pipeline.errors import AccessError, ComparisonError, NotFoundError, RecordError
from pipeline.limits import Places
from pipeline.record_files.mapping import Problem, convert, propose
from pipeline.record_files.reading import read_values
from pipeline.record_files.writing import Form
from pipeline.records import Context, Response, ResponseStatus, Role
from pipeline.services import Services
from pipeline.store.datasets import Dataset
from pipeline.tasks import Card

# Problems that an answer lists.
TOLD = 20
# Each holds a thread while a model answers.
ASKING = 16


class RowsError(RecordError):
    """Rows cannot be read."""

    def __init__(self, message: str, problems: Sequence[api.RowProblem]) -> None:
        super().__init__(message)
        self.problems = problems


class DatasetApi:
    """Asking, documents, datasets, records and responses. ``me`` is who asks; each method checks their role."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.annotation
        self._asking = Places(ASKING, "people ask")
        # What is read to compare must still be so when it is written.
        self._locks = [threading.Lock() for _ in range(64)]

    def me(self, me: str) -> api.Me:
        """Say who this is."""
        self._services.people.needs(me, Role.VIEWER)
        role = self._services.people.role_of(me) or Role.VIEWER
        return api.Me(id=me, name=self._services.store.members.name(me), role=role)

    def ask(self, me: str, query: str, model: str = "") -> api.Answered:
        """Let a model answer a query; what this person is to judge blind is refused, as on the Ask screen."""
        self._services.people.needs(me, Role.ANNOTATOR)
        self._services.limits.take(me)
        model_id = self._model(model)
        try:
            self._services.comparisons.refuse_withheld_query(query, model_id, me)
        except ComparisonError as error:
            raise AccessError(str(error)) from error
        with self._asking.one():
            # The text as it grows is for who reads along.
            asked = deque(self._services.generation.ask(query, model_id), maxlen=1)[0]
        done = asked.completion
        return api.Answered(
            completion=done.id,
            query=asked.query.text,
            model=asked.model_name,
            answer=done.text,
            refused=done.refused,
            citations=list(done.citations),
            contexts=passages(asked.retrieval.contexts),
            seconds=done.seconds,
        )

    def add_documents(self, me: str, files: Sequence[tuple[Path, str]]) -> api.AddedDocuments:
        """Take in files; each that cannot be read is named with its reason."""
        self._services.people.needs(me, Role.ADMIN)
        self._services.limits.take(me)
        found = self._services.library.add_files(files)
        good = [item for item in found if not item.problem]
        if len(good) == 1:
            self._services.activity.note(me, "document.added", good[0].name)
        elif good:
            self._services.activity.note(me, "documents.added", good[0].name, {"documents": len(good)})
        return api.AddedDocuments(
            documents=[api.AddedDocument(name=item.name, passages=item.chunks, problem=item.problem) for item in found]
        )

    def datasets(self, me: str) -> api.Datasets:
        """List the datasets with this person's progress."""
        self._services.people.needs(me, Role.VIEWER)
        found = self._services.datasets.all()
        return api.Datasets(datasets=[api.DatasetSummary(**self._summary(me, dataset)) for dataset in found])

    def dataset(self, me: str, name: str) -> api.DatasetDetails:
        """Describe a dataset: guidelines, fields and questions."""
        self._services.people.needs(me, Role.VIEWER)
        dataset = self._dataset(name)
        plain = to_plain(dataset.settings)
        told = {part: plain[part] for part in ("guidelines", "fields", "questions")}
        return api.DatasetDetails(**self._summary(me, dataset), **told)

    def next_record(self, me: str, name: str, after: str = "") -> api.NextRecord:
        """Hand out the next record that waits for this person, and keep it for them."""
        self._services.people.needs(me, Role.ANNOTATOR)
        dataset = self._dataset(name)
        if not dataset.published:
            raise RecordError("This dataset is not published yet. Publish it in Setup, then it can be answered.")
        record_id = self._desk.next_record(dataset.id, me, after or None)
        return api.NextRecord(
            record=_task(self._desk.card(record_id, me)) if record_id else None,
            waiting=record_id is None and self._desk.is_waiting(dataset.id, me),
            progress=self._progress(me, dataset.id),
        )

    def respond(self, me: str, record_id: str, given: api.GivenResponse) -> api.Responded:
        """Keep a draft, submit or discard. A request that was carried out before changes nothing."""
        self._services.people.needs(me, Role.ANNOTATOR)
        requests, sent = self._services.store.requests, ("response", me, record_id, given.token)
        with self._locks[hash((me, record_id)) % len(self._locks)]:
            repeated = bool(given.token) and requests.is_done(*sent)
            if repeated:
                response = self._services.store.responses.get(record_id, me)
            else:
                response = self._respond(me, record_id, given)
                if given.token:
                    requests.done(*sent)
        return api.Responded(
            record=record_id,
            status=response.status if response else None,
            version=version_of(response),
            repeated=repeated,
            progress=self._progress(me, self._services.store.datasets.dataset_of(record_id)),
        )

    def add_records(self, me: str, name: str, rows: Sequence[object], leave_out: bool = False) -> api.AddedRecords:
        """Add records as an import does: all or none, or all but those that cannot be read."""
        self._services.people.needs(me, Role.ADMIN)
        self._services.limits.take(me)
        dataset = self._dataset(name)
        if not rows:
            raise RecordError("There are no records in this request.")
        source = read_values([(f"entry {number:,}", row) for number, row in enumerate(rows, 1)], "The request")
        mapped = propose(dataset.settings, source)
        prepared = convert(dataset.settings, source, mapped)
        problems = [api.RowProblem(place=item.place, reason=item.reason) for item in prepared.problems[:TOLD]]
        if prepared.problems and not (leave_out and prepared.records):
            raise RowsError(_refusal(prepared.problems), problems)
        taken = self._services.records.add(dataset.id, prepared.records)
        self._services.activity.note(me, "records.imported", dataset.name, {"records": len(prepared.records)})
        return api.AddedRecords(
            new=taken.new,
            replaced=taken.replaced,
            responses=taken.responses,
            left_out=len(prepared.problems),
            problems=problems,
            columns=mapped,
            notes=list(prepared.notes),
        )

    def export(self, me: str, name: str, form: Form) -> tuple[str, bytes]:
        """Return a dataset as a file: its name and its content."""
        self._services.people.needs(me, Role.ADMIN)
        self._services.limits.take(me)
        dataset = self._dataset(name)
        written = self._services.records.export(dataset.id, form)
        self._services.activity.note(me, "records.exported", dataset.name, {"format": form.value})
        return written

    def _respond(self, me: str, record_id: str, given: api.GivenResponse) -> Response:
        marks = given.marks.model_dump(exclude_defaults=True)
        if given.version is not None:
            card = self._desk.card(record_id, me)
            stored = version_of(card.response)
            if given.version != stored and not self._desk.is_kept(card, given.values, marks):
                raise ChangedError(stored)
        if given.status is ResponseStatus.SUBMITTED:
            return self._desk.submit(record_id, me, given.values, given.seconds, marks)
        if given.status is ResponseStatus.DISCARDED:
            return self._desk.discard(record_id, me, given.values, given.seconds, marks, given.reason)
        return self._desk.save_draft(record_id, me, given.values, marks)

    def _model(self, name: str) -> str:
        models = self._services.registry.answering()
        if not name:
            return models[0].id
        # The newest of a name: older versions are retired, or are there under a name of their own.
        found = next((model for model in reversed(models) if name in (model.id, model.name)), None)
        if found is None:
            raise NotFoundError(f"There is no model named {name[:200]}. Ask shows the names of those that answer.")
        return found.id

    def _dataset(self, name: str) -> Dataset:
        every = self._services.datasets.all()
        found = next((dataset for dataset in every if dataset.id == name), None)
        found = found or next((dataset for dataset in every if dataset.name == name), None)
        if found is None:
            raise NotFoundError(f"There is no dataset with the id or the name {name[:200]}.")
        return found

    def _summary(self, me: str, dataset: Dataset) -> dict[str, object]:
        return {
            "id": dataset.id,
            "name": dataset.name,
            "published": dataset.published,
            "takes_records": dataset.run_id is None,
            "guidelines_version": dataset.settings.guidelines_version,
            "progress": self._progress(me, dataset.id),
        }

    def _progress(self, me: str, dataset_id: str) -> api.MyProgress:
        return api.MyProgress(**asdict(self._desk.progress(dataset_id, me)))


def passages(contexts: Sequence[Context]) -> list[api.Passage]:
    """Return contexts as the API tells them: without scores, which no vote is to rest on."""
    return [
        api.Passage(number=number, document=item.document_name, heading=item.heading, page=item.page, text=item.text)
        for number, item in enumerate(contexts, 1)
    ]


def _task(card: Card) -> api.TaskRecord:
    record, response = card.record, card.response
    return api.TaskRecord(
        id=record.id,
        dataset=record.dataset_id,
        number=card.number,
        total=card.total,
        fields=dict(record.fields),
        metadata=dict(record.metadata),
        questions=to_plain(card.settings)["questions"],
        suggestions=[
            api.Proposed(question=item.question, value=item.value, agent=item.agent, score=item.score)
            for item in record.suggestions.values()
        ],
        values=dict(card.values),
        marks=dict(card.marks),
        status=response.status if response else None,
        version=version_of(response),
        guidelines_version=card.settings.guidelines_version,
    )


def _refusal(problems: Sequence[Problem]) -> str:
    first = problems[0]
    rest = f" So {'is' if len(problems) == 2 else 'are'} {len(problems) - 1:,} more." if len(problems) > 1 else ""
    return f"Nothing was added: {first.place} cannot be read. {first.reason}{rest}"
