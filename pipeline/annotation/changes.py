"""What may change in a dataset that has records and responses: everything that leaves them as valid as they were.

As in Argilla, texts, guidelines and the order of labels may always change, and kinds, names and scales may not once they are
used. Argilla freezes a published dataset beyond that; here, what nobody has filled or answered yet may still be changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.annotation.contents import check_metadata
from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, MetadataProperty, Question, QuestionKind
from pipeline.annotation.values import is_answered
from pipeline.errors import RecordError
from pipeline.records import Record, Response, ResponseStatus

_CHOSEN = (QuestionKind.LABEL, QuestionKind.MULTI_LABEL)
_WRITTEN = {FieldKind.TEXT, FieldKind.MARKDOWN}


@dataclass(frozen=True, slots=True)
class Use:
    """What the records and responses of a dataset hold.

    ``filled`` counts the records that have a value in a field, ``answered`` the responses that answer a question and
    ``suggested`` the records with a suggestion for it; ``chosen`` has its options that were answered or suggested.
    ``submitted`` counts, by question, the submitted responses that answer it, ``decided`` the records on which a standing
    decision does. ``metadata`` are the values that occur. ``spans`` and ``chunks`` count the responses with such marks.
    """

    records: int = 0
    responses: int = 0
    filled: Mapping[str, int] = field(default_factory=dict)
    answered: Mapping[str, int] = field(default_factory=dict)
    suggested: Mapping[str, int] = field(default_factory=dict)
    chosen: Mapping[str, frozenset[object]] = field(default_factory=dict)
    submitted: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    decided: Mapping[str, int] = field(default_factory=dict)
    spans: int = 0
    chunks: int = 0


def use_of(
    records: Iterable[Record], responses: Iterable[Response], decisions: Iterable[Mapping[str, object]] = ()
) -> Use:
    """Return what records, responses and the values of decisions hold.

    Drafts and discarded responses count too, since nobody's work is lost.
    """
    count = _Count()
    for record in records:
        count.add_record(record)
    for response in responses:
        count.add_response(response)
    for values in decisions:
        count.add_decision(values)
    return Use(
        records=count.records,
        responses=count.submitted_responses,
        filled=count.filled,
        answered=count.answered,
        suggested=count.suggested,
        chosen={name: frozenset(values) for name, values in count.chosen.items()},
        submitted=count.submitted,
        metadata={name: tuple(values.values()) for name, values in count.metadata.items()},
        decided=count.decided,
        spans=count.spans,
        chunks=count.chunks,
    )


class _Count:
    def __init__(self) -> None:
        self.records = self.submitted_responses = self.spans = self.chunks = 0
        self.filled: dict[str, int] = {}
        self.answered: dict[str, int] = {}
        self.suggested: dict[str, int] = {}
        self.submitted: dict[str, int] = {}
        self.decided: dict[str, int] = {}
        self.chosen: dict[str, set[object]] = {}
        self.metadata: dict[str, dict[str, object]] = {}

    def add_record(self, record: Record) -> None:
        self.records += 1
        for name, value in record.fields.items():
            if value not in (None, "", [], ()):
                self.filled[name] = self.filled.get(name, 0) + 1
        for name, item in record.suggestions.items():
            self.suggested[name] = self.suggested.get(name, 0) + 1
            self._choose(name, item.value)
        for name, value in record.metadata.items():
            self.metadata.setdefault(name, {})[repr(value)] = value

    def add_response(self, response: Response) -> None:
        submitted = response.status is ResponseStatus.SUBMITTED
        self.submitted_responses += submitted
        edits = response.edits or {}
        marks = [response.marks, edits.get("marks") or {}]
        self.spans += any(part.get("spans") for part in marks)
        self.chunks += any(part.get("chunks") for part in marks)
        kept = {name: [value] for name, value in response.values.items() if is_answered(value)}
        for name in kept:
            if submitted:
                self.submitted[name] = self.submitted.get(name, 0) + 1
        for name, value in (edits.get("values") or {}).items():
            if is_answered(value):
                kept.setdefault(name, []).append(value)
        for name, values in kept.items():
            self.answered[name] = self.answered.get(name, 0) + 1
            for value in values:
                self._choose(name, value)

    def add_decision(self, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            self.decided[name] = self.decided.get(name, 0) + 1
            self._choose(name, value)

    def _choose(self, name: str, value: object) -> None:
        options = self.chosen.setdefault(name, set())
        for item in value if isinstance(value, list) else [value]:
            # A ranking names each option with its rank.
            option = item.get("value") if isinstance(item, Mapping) else item
            # Long texts are answers to text questions, which have no options.
            if isinstance(option, int | str) and len(str(option)) <= 1_000:
                options.add(option)


def check_change(before: DatasetSettings, after: DatasetSettings, use: Use) -> None:
    """Check that records and responses stay valid when settings change.

    Raises:
        RecordError: some would not; the message says which and why.
    """
    for old in before.fields:
        _check_field(old, after.field(old.name), use)
    for new in after.fields:
        if before.field(new.name) is None:
            _check_new_field(new, use)
    for asked in before.questions:
        _check_question(asked, after.question(asked.name), use)
    for asked in after.questions:
        if before.question(asked.name) is None:
            _check_new_question(asked, use)
    for known in after.metadata:
        if known != before.metadata_property(known.name):
            _check_property(known, after, use)
    _check_marks(before, after, use)


def _check_marks(before: DatasetSettings, after: DatasetSettings, use: Use) -> None:
    if use.spans and after.mark_spans != before.mark_spans:
        raise RecordError(
            f"Spans are marked in {before.mark_spans!r} by {_people(use.spans)}, and would point into another text. "
            "Leave it as it is."
        )
    if use.chunks and before.mark_chunks and not after.mark_chunks:
        raise RecordError(
            f"Passages are marked as relevant or not in {_responses(use.chunks)}, which would not be valid any more. Leave "
            "it as it is."
        )


def _check_field(old: Field, new: Field | None, use: Use) -> None:
    filled = use.filled.get(old.name, 0)
    if new is None:
        if filled:
            raise RecordError(
                f"The field “{old.heading}” cannot be removed or renamed: {_records(filled)} {_has(filled)} a value in it, "
                "and answers were given to what it shows."
            )
        return
    if filled and new.kind is not old.kind and {old.kind, new.kind} != _WRITTEN:
        raise RecordError(
            f"The field “{old.heading}” cannot become {new.kind}: {_records(filled)} {_has(filled)} {old.kind} in it."
        )
    if new.required and not old.required and filled < use.records:
        missing = use.records - filled
        raise RecordError(
            f"The field “{old.heading}” cannot become required: {_records(missing)} {_has(missing)} no value in it."
        )


def _check_new_field(new: Field, use: Use) -> None:
    if new.required and use.records:
        raise RecordError(
            f"The field “{new.heading}” cannot be added as required: {_records(use.records)} "
            f"{_has(use.records)} no value in it. Add it as optional."
        )


def _check_question(old: Question, new: Question | None, use: Use) -> None:
    answered = use.answered.get(old.name, 0)
    decided = use.decided.get(old.name, 0)
    if new is None:
        if answered or decided:
            raise RecordError(
                f"The question “{old.heading}” cannot be removed or renamed: {_given(old, use)} it. "
                "Make it optional instead."
            )
        return
    used = answered or decided or use.suggested.get(old.name, 0)
    if used and new.kind is not old.kind:
        raise RecordError(
            f"The question “{old.heading}” cannot become {_kind(new)}: {_given(old, use)} it as {_kind(old)}. "
            "Add a new question instead."
        )
    if used:
        _check_options(old, new, use)
    if new.required and not old.required:
        _check_required(new, use.responses - use.submitted.get(new.name, 0))


def _check_required(new: Question, missing: int) -> None:
    if missing:
        raise RecordError(
            f"The question “{new.heading}” cannot be required: {_responses(missing)} "
            f"{'was' if missing == 1 else 'were'} submitted without an answer to it. Leave it optional."
        )


def _check_new_question(new: Question, use: Use) -> None:
    if new.required:
        _check_required(new, use.responses)


def _check_options(old: Question, new: Question, use: Use) -> None:
    gone = [option for option in old.options if option.value not in new.values]
    more = [option for option in new.options if option.value not in old.values]
    name = old.heading
    if old.kind is QuestionKind.RATING and (gone or more):
        raise RecordError(
            f"The values of the rating “{name}” cannot change: {_given(old, use)} it on the scale {_scale(old)}, and the "
            "same number means something else on another scale. Add a new question instead."
        )
    if old.kind is QuestionKind.RANKING and (gone or more):
        raise RecordError(
            f"The options of the ranking “{name}” cannot change: {_given(old, use)} it with every one of its "
            f"{len(old.options)} options in order, and a ranking needs all of them. Add a new question instead."
        )
    taken = [option.shown for option in gone if option.value in use.chosen.get(old.name, ())]
    if old.kind in _CHOSEN and taken:
        raise RecordError(
            f"The option{'s' if len(taken) > 1 else ''} {', '.join(map(repr, taken))} of “{name}” cannot be removed or "
            "renamed: it was chosen, suggested or decided on. Change its text instead."
        )


def _check_property(new: MetadataProperty, after: DatasetSettings, use: Use) -> None:
    for value in use.metadata.get(new.name, ()):
        try:
            check_metadata(after, {new.name: value})
        except RecordError as error:
            raise RecordError(f"{error} Records with that value are in the dataset already.") from error


def effects(before: DatasetSettings, after: DatasetSettings) -> list[str]:
    """Return what a change does to the work of people, in sentences; most changes do nothing to it."""
    said = []
    old, new = before.distribution, after.distribution
    if new.min_submitted > old.min_submitted:
        said.append(
            f"Records with fewer than {new.min_submitted} submitted responses wait for people again; what was submitted stays."
        )
    elif new.min_submitted < old.min_submitted:
        said.append(
            f"Records with {new.min_submitted} or more submitted responses are done; none of the responses is lost, and "
            "all of them count."
        )
    if new.discard_quorum != old.discard_quorum:
        if new.discard_quorum is None:
            said.append("A discard now counts for the person alone: records that a quorum had retired wait again.")
        else:
            said.append(f"Records that {_people(new.discard_quorum)} discarded are retired for everybody.")
    if after.guidelines != before.guidelines:
        said.append("The guidelines are a new version; every response keeps the version that it was given under.")
    if after.unprefilled != before.unprefilled:
        said.append("Which records come without suggestions changes for records that were not answered yet.")
    return said


def _given(question: Question, use: Use) -> str:
    answered = use.answered.get(question.name, 0)
    if answered:
        # Drafts and discards count, so this number may be larger than that of the responses elsewhere.
        more = ", drafts or discarded ones among them," if answered > use.submitted.get(question.name, 0) else ""
        return f"{_responses(answered)}{more} {'answers' if answered == 1 else 'answer'}"
    decided = use.decided.get(question.name, 0)
    if decided:
        return f"{decided:,} decision{'' if decided == 1 else 's'} {'answers' if decided == 1 else 'answer'}"
    return f"suggestions on {_records(use.suggested.get(question.name, 0))} answer"


def _kind(question: Question) -> str:
    return question.kind.value.replace("_", "-")


def _scale(question: Question) -> str:
    return f"{question.values[0]} to {question.values[-1]}" if question.values else "it had"


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


def _responses(count: int) -> str:
    return f"{count:,} response{'' if count == 1 else 's'}"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"
