"""The fields, questions and metadata properties of a dataset as a list to choose from, and one of them as a form."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from pipeline.annotation.settings import (
    DatasetSettings,
    Field,
    FieldKind,
    MetadataKind,
    MetadataProperty,
    Option,
    Question,
    QuestionKind,
)
from pipeline.errors import RecordError

FIELDS, QUESTIONS, METADATA = "fields", "questions", "metadata"
WORDS = {FIELDS: "Field", QUESTIONS: "Question", METADATA: "Metadata"}
Part = Field | Question | MetadataProperty
_KINDS = {FIELDS: FieldKind, QUESTIONS: QuestionKind, METADATA: MetadataKind}
# By section: "text" is a kind of field and a kind of question.
_TITLES = {
    FIELDS: {
        FieldKind.TEXT: "Text, shown as it is",
        FieldKind.MARKDOWN: "Markdown, shown formatted",
        FieldKind.CHAT: "Chat, a list of messages",
        FieldKind.CONTEXTS: "Contexts, a list of passages",
    },
    QUESTIONS: {
        QuestionKind.TEXT: "Text, written freely",
        QuestionKind.RATING: "Rating, one number of a scale",
        QuestionKind.LABEL: "Label, one of several",
        QuestionKind.MULTI_LABEL: "Multi-label, any of several",
        QuestionKind.RANKING: "Ranking, options in order",
    },
    METADATA: {
        MetadataKind.TERMS: "Terms, one or more words",
        MetadataKind.INTEGER: "Integer, a whole number",
        MetadataKind.FLOAT: "Float, any number",
    },
}
_SLUG = re.compile(r"[^a-z0-9]+")


class Form(NamedTuple):
    """What is typed into the form of a part. ``flag`` is required, or for metadata shown to annotators."""

    kind: str
    title: str
    name: str
    description: str
    flag: bool
    options: str
    low: float | None
    high: float | None


def key(section: str, name: str) -> str:
    """Return what stands for a part in the list; without a name, for one that is being made."""
    return f"{section}/{name}"


def split(chosen: str | None) -> tuple[str, str]:
    """Return the section and the name of what was chosen in the list.

    Raises:
        RecordError: nothing was chosen.
    """
    section, _, name = (chosen or "").partition("/")
    if section not in WORDS:
        raise RecordError("Choose a field, a question or a metadata property first.")
    return section, name


def listed(settings: DatasetSettings) -> list[tuple[str, str]]:
    """Return the parts of a dataset as choices of a list, in the order in which annotators see them."""
    return [
        (_label(section, item), key(section, item.name)) for section in WORDS for item in getattr(settings, section)
    ]


def _label(section: str, item: Part) -> str:
    words = [item.kind.value.replace("_", "-")]
    if section == METADATA:
        words += [] if item.visible else ["hidden from annotators"]
    elif not item.required:
        words.append("optional")
    return f"{WORDS[section]}: {item.heading} ({', '.join(words)})"


def kinds(section: str) -> list[tuple[str, str]]:
    """Return the kinds that a part of a section can be of, as choices."""
    return [(title, kind.value) for kind, title in _TITLES[section].items()]


def has_options(section: str, kind: str) -> bool:
    """Say whether a part of this kind has options or terms."""
    return kind == MetadataKind.TERMS if section == METADATA else section == QUESTIONS and kind != QuestionKind.TEXT


def find(settings: DatasetSettings, section: str, name: str) -> Part | None:
    """Return a part by its name."""
    return next((item for item in getattr(settings, section) if item.name == name), None)


def form_of(item: Part | None, section: str) -> Form:
    """Return the form filled with a part, or empty for a new one."""
    if item is None:
        first = next(iter(_KINDS[section])).value
        return Form(first, "", "", "", section == METADATA, "", None, None)
    if isinstance(item, MetadataProperty):
        return Form(item.kind, item.title, item.name, "", item.visible, "\n".join(item.terms), item.low, item.high)
    options = "\n".join(_line(option) for option in item.options) if isinstance(item, Question) else ""
    description = item.description if isinstance(item, Question) else ""
    return Form(item.kind.value, item.title, item.name, description, item.required, options, None, None)


def _line(option: Option) -> str:
    return f"{option.value} | {option.text}" if option.text else str(option.value)


def part_of(section: str, form: Form) -> Part:
    """Return the part that a form describes. What is not allowed in it is found when the settings are stored.

    Raises:
        RecordError: it has no name, or the values of a rating are no numbers.
    """
    title = (form.title or "").strip()
    name = (form.name or "").strip() or _SLUG.sub("-", title.lower()).strip("-")
    if not name:
        raise RecordError("Give it a title or a name.")
    if form.kind not in [kind.value for kind in _KINDS[section]]:
        raise RecordError(f"Choose what kind of {WORDS[section].lower()} it is.")
    kind = _KINDS[section](form.kind)
    if section == FIELDS:
        return Field(name, kind, title, bool(form.flag))
    if section == QUESTIONS:
        options = _options(kind, form.options or "")
        return Question(name, kind, title, (form.description or "").strip(), bool(form.flag), options)
    terms = tuple(line.strip() for line in (form.options or "").splitlines() if line.strip())
    if kind is MetadataKind.TERMS:
        return MetadataProperty(name, kind, title, terms, visible=bool(form.flag))
    return MetadataProperty(name, kind, title, (), form.low, form.high, bool(form.flag))


def _options(kind: QuestionKind, text: str) -> tuple[Option, ...]:
    if kind is QuestionKind.TEXT:
        return ()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if kind is QuestionKind.RATING and len(lines) == 1 and "|" not in lines[0]:
        lines = lines[0].replace(",", " ").split()
    pairs = [[part.strip() for part in line.split("|", 1)] for line in lines]
    return tuple(Option(_number(pair[0]) if kind is QuestionKind.RATING else pair[0], *pair[1:]) for pair in pairs)


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,4}", text):
        raise RecordError(f"The values of a rating are whole numbers from 0 to 10, not {text!r}.")
    return int(text)


def with_part(settings: DatasetSettings, section: str, old: str, item: Part) -> DatasetSettings:
    """Return the settings with a part in the place of the one called ``old``, or at the end of its section."""
    items = list(getattr(settings, section))
    place = next((n for n, known in enumerate(items) if known.name == old), None)
    if place is None:
        items.append(item)
    else:
        items[place] = item
    spans = item.name if old and settings.mark_spans == old and section != METADATA else settings.mark_spans
    return replace(settings, mark_spans=spans, **{section: tuple(items)})


def without(settings: DatasetSettings, section: str, name: str) -> DatasetSettings:
    """Return the settings without a part."""
    items = tuple(item for item in getattr(settings, section) if item.name != name)
    spans = "" if section != METADATA and settings.mark_spans == name else settings.mark_spans
    return replace(settings, mark_spans=spans, **{section: items})


def moved(settings: DatasetSettings, section: str, name: str, step: int) -> DatasetSettings:
    """Return the settings with a part one place further up or down in its section; at the ends it stays."""
    items = list(getattr(settings, section))
    place = next((n for n, item in enumerate(items) if item.name == name), None)
    target = None if place is None else place + step
    if target is not None and 0 <= target < len(items):
        items[place], items[target] = items[target], items[place]
    return replace(settings, **{section: tuple(items)})
