"""The settings of a dataset: fields, questions, guidelines, metadata properties, distribution.

As plain values, which are stored, exported and imported, they are read and written by :mod:`pipeline.annotation.plain`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from pipeline.errors import RecordError

RATING_RANGE = range(11)


class FieldKind(StrEnum):
    """How a field is shown. ``chat`` is a list of messages, ``contexts`` a list of passages."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CHAT = "chat"
    CONTEXTS = "contexts"


class QuestionKind(StrEnum):
    """What is asked for; the shapes of the values stand in :mod:`pipeline.annotation.values`."""

    TEXT = "text"
    RATING = "rating"
    LABEL = "label"
    MULTI_LABEL = "multi_label"
    RANKING = "ranking"


class MetadataKind(StrEnum):
    """Kind of a metadata property."""

    TERMS = "terms"
    INTEGER = "integer"
    FLOAT = "float"


@dataclass(frozen=True, slots=True)
class Field:
    """A named piece of a record that is shown. Without ``title`` its name is shown."""

    name: str
    kind: FieldKind = FieldKind.TEXT
    title: str = ""
    required: bool = True

    @property
    def heading(self) -> str:
        """What stands above it."""
        return self.title or self.name


@dataclass(frozen=True, slots=True)
class Option:
    """One of the values to choose from: a number for ratings, else a name; ``text`` is what is shown of it."""

    value: str | int
    text: str = ""

    @property
    def shown(self) -> str:
        """What stands on the screen."""
        return self.text or str(self.value)


@dataclass(frozen=True, slots=True)
class Question:
    """What the annotator is asked. ``options`` are empty for text questions only."""

    name: str
    kind: QuestionKind
    title: str = ""
    description: str = ""
    required: bool = True
    options: tuple[Option, ...] = ()

    @property
    def heading(self) -> str:
        """What stands above it."""
        return self.title or self.name

    @property
    def values(self) -> tuple[str | int, ...]:
        """The values of the options, in their order."""
        return tuple(option.value for option in self.options)


@dataclass(frozen=True, slots=True)
class MetadataProperty:
    """What is known of a record. ``terms`` are the allowed ones (any, where empty); ``low`` and ``high`` bound numbers.

    What is not ``visible`` never leaves the server on an annotator's screen.
    """

    name: str
    kind: MetadataKind = MetadataKind.TERMS
    title: str = ""
    terms: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    visible: bool = True

    @property
    def heading(self) -> str:
        """What stands beside it."""
        return self.title or self.name


@dataclass(frozen=True, slots=True)
class Distribution:
    """When a record is done: with ``min_submitted`` submitted responses, or when ``discard_quorum`` people discarded it.

    Without a quorum a discard counts for the person alone.
    """

    min_submitted: int = 1
    discard_quorum: int | None = None

    def is_done(self, submitted: int, discarded: int) -> bool:
        """Say whether a record with so many submitted and discarded responses needs no more."""
        retired = self.discard_quorum is not None and discarded >= self.discard_quorum
        return submitted >= self.min_submitted or retired


@dataclass(frozen=True, slots=True)
class DatasetSettings:
    """What a dataset shows and asks.

    ``unprefilled`` is the share of records, 0 to 1, that are shown without suggestions, so that anchoring can be measured.
    ``mark_chunks`` asks of every passage of a contexts field whether it is relevant. ``mark_spans`` names the text field or
    text question in whose shown or suggested text unsupported spans are marked; "" asks for none.
    """

    fields: tuple[Field, ...]
    questions: tuple[Question, ...]
    guidelines: str = ""
    metadata: tuple[MetadataProperty, ...] = ()
    distribution: Distribution = field(default_factory=Distribution)
    unprefilled: float = 0.0
    mark_chunks: bool = False
    mark_spans: str = ""
    guidelines_version: int = 1

    def field(self, name: str) -> Field | None:
        """Return a field by its name."""
        return next((item for item in self.fields if item.name == name), None)

    def question(self, name: str) -> Question | None:
        """Return a question by its name."""
        return next((item for item in self.questions if item.name == name), None)

    @property
    def query_field(self) -> str:
        """Name of the field that a query of the RAG system goes into: the first text; "" where there is none."""
        shown = (FieldKind.TEXT, FieldKind.MARKDOWN)
        return next((item.name for item in self.fields if item.kind in shown), "")

    @property
    def contexts_field(self) -> str:
        """Name of the field that retrieved passages go into, or ""."""
        return next((item.name for item in self.fields if item.kind is FieldKind.CONTEXTS), "")

    @property
    def answer_question(self) -> str:
        """Name of the question that a model's answer is corrected in: the first text question, or ""."""
        return next((item.name for item in self.questions if item.kind is QuestionKind.TEXT), "")

    def metadata_property(self, name: str) -> MetadataProperty | None:
        """Return a metadata property by its name."""
        return next((item for item in self.metadata if item.name == name), None)


def check_settings(settings: DatasetSettings) -> None:
    """Check that people can work with these settings, which may still be incomplete while they are being made.

    Raises:
        RecordError: something is missing or contradicts something else; the message says what to do.
    """
    if not settings.fields:
        raise RecordError("Add a field: annotators must be shown something.")
    if not settings.questions:
        raise RecordError("Add a question: annotators must be asked something.")
    if not any(item.required for item in settings.fields):
        raise RecordError("Make a field required: a record without any field shows nothing.")
    if not any(item.required for item in settings.questions):
        raise RecordError("Make a question required: a response without any answer says nothing.")
    for question in settings.questions:
        _check_options(question)
    _check_marks(settings)


def _check_options(question: Question) -> None:
    count, name = len(question.options), question.heading
    if question.kind is QuestionKind.RATING and not 2 <= count <= len(RATING_RANGE):
        values = "1 value" if count == 1 else f"{count} values"
        raise RecordError(f"The rating {name!r} has {values}: give 2 to 11 of the numbers 0 to 10.")
    if question.kind in (QuestionKind.LABEL, QuestionKind.MULTI_LABEL, QuestionKind.RANKING) and count < 2:
        raise RecordError(f"The question {name!r} has {count} option{'' if count == 1 else 's'}: give at least 2.")


def _check_marks(settings: DatasetSettings) -> None:
    if settings.mark_chunks and not any(item.kind is FieldKind.CONTEXTS for item in settings.fields):
        raise RecordError("Passages can be marked as relevant only where a field is of the kind contexts.")
    name = settings.mark_spans
    if not name:
        return
    shown, asked = settings.field(name), settings.question(name)
    text_field = shown is not None and shown.kind in (FieldKind.TEXT, FieldKind.MARKDOWN)
    if not text_field and not (asked is not None and asked.kind is QuestionKind.TEXT):
        raise RecordError(f"Spans can be marked in a text field or a text question, and {name!r} is neither.")


def with_new_guidelines(settings: DatasetSettings, text: str) -> DatasetSettings:
    """Return the settings with other guidelines under the next version; unchanged where the text is the same."""
    if text == settings.guidelines:
        return settings
    return replace(settings, guidelines=text, guidelines_version=settings.guidelines_version + 1)
