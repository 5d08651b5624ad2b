"""Records in and out: of files, of the Hub, and whole datasets."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pipeline.annotation.contents import (
    MAX_FIELD_CHARACTERS,
    MAX_ITEMS,
    check_external_id,
    check_fields,
    check_metadata,
    check_suggestion,
)
from pipeline.annotation.plain import MAX_OPTIONS
from pipeline.annotation.settings import RATING_RANGE, DatasetSettings, check_settings
from pipeline.annotation.values import MAX_SPANS, MAX_TEXT_CHARACTERS, Marks, check_marks, check_values
from pipeline.cleaning import clean
from pipeline.datasets import MAX_NAME, DatasetDesk
from pipeline.dump import Dump, DumpDecision, DumpRecord, DumpResponse, DumpVersion
from pipeline.errors import RecordError
from pipeline.naming import free_name
from pipeline.record_files import pairloop
from pipeline.record_files.hub import read_hub
from pipeline.record_files.mapping import MAX_PERSON, Incoming
from pipeline.record_files.rows import Source
from pipeline.record_files.writing import Form, write
from pipeline.records import Record, ResponseStatus, Suggestion
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.datasets import Dataset
from pipeline.store.exchange import TakenIn
from pipeline.tasks import marked_text


class RecordDesk:
    """Takes records in and hands datasets out."""

    def __init__(self, store: Store, datasets: DatasetDesk, settings: Settings) -> None:
        self._store = store
        self._datasets = datasets
        self._settings = settings

    def dump(self, dataset_id: str) -> Dump:
        """Return a dataset with everything that belongs to it, people by their names."""
        dataset = self._datasets.get(dataset_id)
        guidelines = self._store.datasets.guidelines(dataset_id)
        settings = dataset.settings
        return self._store.exchange.whole(
            dataset,
            self._store.datasets.records(dataset_id),
            guidelines or {settings.guidelines_version: settings.guidelines},
        )

    def export(self, dataset_id: str, form: Form) -> tuple[str, bytes]:
        """Return a dataset as a file: its name and its content."""
        return write(self.dump(dataset_id), form)

    def add(self, dataset_id: str, records: Sequence[Incoming]) -> TakenIn:
        """Add records that were made ready for this dataset, all or none, with their responses.

        Raises:
            RecordError: the dataset is made of a run.
        """
        self._datasets.taking_records(dataset_id)
        people = self._people(response.person for item in records for response in item.responses)
        moment = time.time()
        timed = [(item.record, [_timed(response, moment) for response in item.responses]) for item in records]
        return self._store.exchange.add(dataset_id, timed, people)

    def replaced(self, dataset_id: str, records: Sequence[Incoming]) -> int:
        """Count the records that would take the place of one with the same id."""
        known = self._store.datasets.external_ids(dataset_id)
        return sum(item.record.external_id in known for item in records)

    def read_dump(self, text: str, name: str) -> Dump:
        """Return the dataset in a file that Pairloop has written, checked against its own settings.

        Raises:
            RecordError: it is damaged, or something in it is not allowed; the message says where.
        """
        dump = pairloop.read(text, name)
        if dump.published:
            check_settings(dump.settings)
        if len(clean(dump.name).split()) == 0 or len(dump.name) > MAX_NAME:
            raise RecordError(f"The dataset in {name} needs a name of 1 to {MAX_NAME} characters.")
        if dump.guidelines.get(dump.settings.guidelines_version, dump.settings.guidelines) != dump.settings.guidelines:
            raise RecordError(f"{name} is damaged: its newest guidelines are not those of its settings.")
        checked = tuple(_checked(dump.settings, record) for record in dump.records)
        ids = [record.external_id for record in checked if record.external_id is not None]
        if len(set(ids)) < len(ids):
            raise RecordError(f"{name} is damaged: two of its records have the same external id.")
        return replace(dump, records=checked)

    def make_dataset(self, dump: Dump) -> Dataset:
        """Make a new dataset with everything of ``dump``, in one transaction."""
        people = self._people(person for record in dump.records for person in record.people)
        name = free_name(clean(dump.name), {dataset.name for dataset in self._datasets.all()})
        return self._datasets.get(self._store.exchange.add_whole(name, dump, people))

    def from_hub(self, name: str, config: str = "", split: str = "", revision: str = "") -> Source:
        """Return the rows of a dataset on the Hub, read with the workspace's token.

        Raises:
            RecordError: it cannot be read; the message says why.
        """
        return read_hub(name, config.strip(), split.strip(), revision.strip(), self._settings.hf_token)

    def _people(self, names: Iterable[str]) -> Mapping[str, str]:
        return self._store.members.for_import(list(dict.fromkeys(names)))


def _timed(response: DumpResponse, moment: float) -> DumpResponse:
    """Return a response of which its file does not say when it was given as one of now."""
    if response.updated_at:
        return response
    return replace(response, created_at=moment, updated_at=moment)


def _checked(settings: DatasetSettings, record: DumpRecord) -> DumpRecord:
    try:
        external_id = check_external_id(record.external_id)
        if len({item.question for item in record.suggestions}) < len(record.suggestions) or len(record.decisions) > 1:
            raise RecordError("It has two suggestions for one question, or two decisions.")
        people = [clean(response.person) for response in record.responses]
        named = all(0 < len(clean(person)) <= MAX_PERSON for person in record.people)
        if len(set(people)) < len(people) or not named:
            raise RecordError("Two responses are from one person, or a person has no name that can be kept.")
        fields = check_fields(settings, record.fields)
        suggestions = tuple(_suggestion(settings, item) for item in record.suggestions)
        passages = fields.get(settings.contexts_field)
        text = marked_text(settings, _shown(fields, suggestions))
        about = (settings, len(passages) if isinstance(passages, list) else 0, text)
        return replace(
            record,
            fields=fields,
            metadata=check_metadata(settings, record.metadata),
            suggestions=suggestions,
            external_id=external_id,
            responses=tuple(_response(item, *about) for item in record.responses),
            decisions=tuple(_decision(settings, item) for item in record.decisions),
        )
    except RecordError as error:
        raise RecordError(f"Record {record.number:,}: {error}") from error


def _shown(fields: Mapping[str, object], suggestions: Sequence[Suggestion]) -> Record:
    return Record("", "", 0, fields, suggestions={item.question: item for item in suggestions})


def _suggestion(settings: DatasetSettings, item: Suggestion) -> Suggestion:
    value = check_suggestion(settings, item.question, item.value, item.agent, item.score)
    return Suggestion(item.question, value, clean(item.agent), item.score)


def _response(item: DumpResponse, settings: DatasetSettings, passages: int, text: str) -> DumpResponse:
    edits = item.edits
    if edits is not None:
        if edits.keys() != {"values", "marks"} or not all(isinstance(part, dict) for part in edits.values()):
            raise RecordError(f"The edits of {item.person} are not values and marks.")
        values = check_values(settings, edits["values"], submitted=False)
        edits = {"values": values, "marks": _marks(settings, edits["marks"], passages, text)}
    return replace(
        item,
        person=clean(item.person),
        # A question that was added later is required of those who answer from then on, not of those who had answered.
        values=_values(settings, item.values, item.status),
        marks=_marks(settings, item.marks, passages, text),
        reason=clean(item.reason),
        edits=edits,
        # What was given elsewhere is in no sprint that is planned here later on, whatever the clock said there.
        updated_at=min(item.updated_at, time.time()),
        history=tuple(_version(settings, version, passages, text) for version in item.history),
    )


def _version(settings: DatasetSettings, item: DumpVersion, passages: int, text: str) -> DumpVersion:
    values, marks = _past_values(settings, item.values, item.status), _marks(settings, item.marks, passages, text)
    return replace(item, values=values, marks=marks, reason=clean(item.reason))


def _decision(settings: DatasetSettings, item: DumpDecision) -> DumpDecision:
    status = ResponseStatus.DRAFT
    check = _values if item.withdrawn_at is None else _past_values
    values = check(settings, item.values, status)
    return replace(item, person=clean(item.person), values=values, reason=clean(item.reason))


def _values(settings: DatasetSettings, values: Mapping[str, object], status: ResponseStatus) -> dict[str, object]:
    optional = replace(settings, questions=tuple(replace(item, required=False) for item in settings.questions))
    return check_values(optional, values, submitted=status is ResponseStatus.SUBMITTED)


def _past_values(settings: DatasetSettings, values: Mapping[str, object], status: ResponseStatus) -> dict[str, object]:
    """Return values that stand no more: settings may have changed since, so that they need only look like answers."""
    try:
        return _values(settings, values, status)
    except RecordError:
        if not all(map(_looks_like_an_answer, values.values())):
            raise
    return {clean(name): value for name, value in values.items()}


def _looks_like_an_answer(value: object) -> bool:
    if isinstance(value, str):
        return value == clean(value) and len(value) <= MAX_TEXT_CHARACTERS
    if not isinstance(value, list):
        return isinstance(value, int) and value in RATING_RANGE
    return len(value) <= MAX_OPTIONS and all(
        (isinstance(item, str) and item == clean(item))
        or (
            isinstance(item, dict)
            and item.keys() == {"value", "rank"}
            and all(map(_looks_like_an_answer, item.values()))
        )
        for item in value
    )


def _marks(settings: DatasetSettings, marks: Mapping[str, object], passages: int, text: str) -> Marks:
    """Return marks as they were made: the record may have been replaced since, or its dataset ask for none any more."""
    try:
        return check_marks(settings, marks, passages, text)
    except RecordError:
        chunks, spans = marks.get("chunks", {}), marks.get("spans", [])
        if not marks.keys() <= {"chunks", "spans"} or not _are_chunks(chunks) or not _are_spans(spans):
            raise
    return dict(marks)


def _are_chunks(chunks: object) -> bool:
    if not isinstance(chunks, dict) or len(chunks) > MAX_ITEMS:
        return False
    return all(re.fullmatch("[0-9]{1,4}", key) and isinstance(value, bool) for key, value in chunks.items())


def _are_spans(spans: object) -> bool:
    return isinstance(spans, list) and len(spans) <= MAX_SPANS and all(map(_is_span, spans))


def _is_span(span: object) -> bool:
    if not isinstance(span, dict) or span.keys() != {"start", "end", "text"}:
        return False
    text, places = span["text"], (span["start"], span["end"])
    if not isinstance(text, str) or text != clean(text) or not all(type(place) is int for place in places):
        return False
    return 0 <= places[0] < places[1] <= MAX_FIELD_CHARACTERS and len(text) == places[1] - places[0]
