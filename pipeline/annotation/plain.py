"""The settings of a dataset as plain values of JSON or YAML, and back; every value that comes from outside is checked here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from pipeline.annotation.settings import (
    RATING_RANGE,
    DatasetSettings,
    Distribution,
    Field,
    FieldKind,
    MetadataKind,
    MetadataProperty,
    Option,
    Question,
    QuestionKind,
)
from pipeline.cleaning import clean
from pipeline.errors import RecordError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
MAX_NAME, MAX_TITLE, MAX_TEXT = 200, 500, 20_000
MAX_OPTIONS = 500
MAX_PARTS = 50
MAX_PEOPLE = 100
LARGEST = 1e300


def to_plain(settings: DatasetSettings) -> dict[str, object]:
    """Return settings as values of JSON or YAML; what has its default is left out."""
    distribution = {"min_submitted": settings.distribution.min_submitted}
    if settings.distribution.discard_quorum is not None:
        distribution["discard_quorum"] = settings.distribution.discard_quorum
    plain: dict[str, object] = {
        "guidelines": settings.guidelines,
        "guidelines_version": settings.guidelines_version,
        "fields": [_plain_field(item) for item in settings.fields],
        "questions": [_plain_question(item) for item in settings.questions],
        "metadata": [_plain_property(item) for item in settings.metadata],
        "distribution": distribution,
    }
    optional = {name: getattr(settings, name) for name in ("unprefilled", "mark_chunks", "mark_spans")}
    return plain | {name: value for name, value in optional.items() if value}


def _plain_field(item: Field) -> dict[str, object]:
    plain: dict[str, object] = {"name": item.name, "type": item.kind.value}
    return plain | _texts(item, "title") | ({} if item.required else {"required": False})


def _plain_question(item: Question) -> dict[str, object]:
    plain: dict[str, object] = {"name": item.name, "type": item.kind.value, **_texts(item, "title", "description")}
    plain["required"] = item.required
    if item.kind is QuestionKind.RATING and not any(option.text for option in item.options):
        return plain | {"values": list(item.values)}
    if item.options:
        plain["options"] = [{"value": option.value, **_texts(option, "text")} for option in item.options]
    return plain


def _plain_property(item: MetadataProperty) -> dict[str, object]:
    plain: dict[str, object] = {"name": item.name, "type": item.kind.value, **_texts(item, "title")}
    if item.terms:
        plain["terms"] = list(item.terms)
    bounds = {"min": item.low, "max": item.high}
    plain |= {name: value for name, value in bounds.items() if value is not None}
    return plain | ({} if item.visible else {"visible": False})


def _texts(item: object, *names: str) -> dict[str, object]:
    return {name: getattr(item, name) for name in names if getattr(item, name)}


def from_plain(plain: object) -> DatasetSettings:
    """Return settings from the values of :func:`to_plain`. They may be incomplete: :func:`check_settings` says so.

    Raises:
        RecordError: a value is not allowed, or a name is unknown; the message says which.
    """
    source = _Part("The settings", plain)
    fields = tuple(map(_field, source.rows("fields")))
    questions = tuple(map(_question, source.rows("questions")))
    metadata = tuple(map(_property, source.rows("metadata")))
    for what, items in (("fields", fields), ("questions", questions), ("metadata properties", metadata)):
        _check_unique(what, [item.name for item in items])
    settings = DatasetSettings(
        fields=fields,
        questions=questions,
        guidelines=source.text("guidelines", MAX_TEXT),
        metadata=metadata,
        distribution=_distribution(source.take("distribution", {})),
        unprefilled=float(source.number("unprefilled", 0, 1, 0)),
        mark_chunks=source.flag("mark_chunks", False),
        mark_spans=source.text("mark_spans", MAX_NAME),
        guidelines_version=source.whole("guidelines_version", 1, 1_000_000, 1),
    )
    source.end()
    return settings


def _field(plain: object) -> Field:
    source = _Part("A field", plain)
    item = Field(source.name(), source.word("type", FieldKind), source.text("title"), source.flag("required", True))
    source.end()
    return item


def _question(plain: object) -> Question:
    source = _Part("A question", plain)
    name, kind = source.name(), source.word("type", QuestionKind)
    item = Question(
        name=name,
        kind=kind,
        title=source.text("title"),
        description=source.text("description", MAX_TEXT),
        required=source.flag("required", True),
        options=_options(name, kind, source),
    )
    source.end()
    return item


def _options(name: str, kind: QuestionKind, source: _Part) -> tuple[Option, ...]:
    rows = source.take("options", None)
    if rows is None:
        rows = source.take("values", [])
    if not isinstance(rows, list) or len(rows) > MAX_OPTIONS:
        raise RecordError(f"The options of {name!r} are a list of at most {MAX_OPTIONS}.")
    if kind is QuestionKind.TEXT and rows:
        raise RecordError(f"The text question {name!r} has options, but a text is free.")
    options = tuple(_option(name, kind, row) for row in rows)
    _check_unique(f"options of {name!r}", [str(option.value) for option in options])
    return options


def _option(name: str, kind: QuestionKind, row: object) -> Option:
    value, text = (row.get("value"), row.get("text", "")) if isinstance(row, dict) else (row, "")
    if not isinstance(text, str) or len(text) > MAX_TITLE:
        raise RecordError(f"The text of an option of {name!r} has at most {MAX_TITLE} characters.")
    if kind is QuestionKind.RATING:
        if isinstance(value, bool) or value not in RATING_RANGE:
            raise RecordError(f"The values of the rating {name!r} are whole numbers from 0 to 10, not {value!r}.")
        return Option(int(value), clean(text))
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TITLE:
        raise RecordError(f"An option of {name!r} is a text of 1 to {MAX_TITLE} characters, not {value!r}.")
    return Option(clean(value).strip(), clean(text))


def _property(plain: object) -> MetadataProperty:
    source = _Part("A metadata property", plain)
    terms = source.take("terms", [])
    if not isinstance(terms, list) or not all(isinstance(term, str) and term for term in terms):
        raise RecordError("The terms of a metadata property are a list of texts.")
    item = MetadataProperty(
        name=source.name(),
        kind=source.word("type", MetadataKind),
        title=source.text("title"),
        terms=tuple(dict.fromkeys(map(clean, terms))),
        low=source.number("min", None, None, None),
        high=source.number("max", None, None, None),
        visible=source.flag("visible", True),
    )
    source.end()
    if item.low is not None and item.high is not None and item.low > item.high:
        raise RecordError(f"The minimum of {item.name!r} is larger than its maximum.")
    return item


def _distribution(plain: object) -> Distribution:
    source = _Part("The distribution", plain)
    quorum = source.take("discard_quorum", None)
    wanted = Distribution(
        source.whole("min_submitted", 1, MAX_PEOPLE, 1),
        None
        if quorum is None
        else _Part("The distribution", {"discard_quorum": quorum}).whole("discard_quorum", 1, 100),
    )
    source.end()
    return wanted


def _check_unique(what: str, names: Sequence[str]) -> None:
    if len(names) > max(MAX_PARTS, MAX_OPTIONS if what.startswith("options") else 0):
        raise RecordError(f"There are {len(names)} {what}; {MAX_PARTS} are the limit.")
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise RecordError(f"Two {what} have the same name: {', '.join(twice)}.")


class _Part:
    """An object of plain settings that is taken apart value by value; what is left at the end is unknown."""

    def __init__(self, what: str, plain: object) -> None:
        if not isinstance(plain, Mapping) or not all(isinstance(key, str) for key in plain):
            raise RecordError(f"{what} must be an object with names and values.")
        self._what, self._rest = what, dict(plain)

    def take(self, key: str, default: object) -> object:
        value = self._rest.pop(key, None)
        return default if value is None else value

    def rows(self, key: str) -> list[object]:
        value = self.take(key, [])
        if not isinstance(value, list):
            raise RecordError(f"{key!r} must be a list.")
        return value

    def name(self) -> str:
        value = self.take("name", None)
        if not isinstance(value, str) or len(value) > MAX_NAME or not NAME.fullmatch(value):
            raise RecordError(
                f"{self._what} is named by small letters, digits, - and _, beginning with a letter or digit, not {value!r}."
            )
        self._what = f"{self._what} {value!r}"
        return value

    def text(self, key: str, limit: int = MAX_TITLE) -> str:
        value = self.take(key, "")
        if not isinstance(value, str) or len(value) > limit:
            raise RecordError(f"{self._what}: {key!r} is a text of at most {limit:,} characters.")
        return clean(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise RecordError(f"{self._what}: {key!r} is true or false.")
        return value

    def number(self, key: str, low: float | None, high: float | None, default: float | None):
        value = self.take(key, default)
        if value is None:
            return None
        # NaN and the infinities are in no range, and neither are whole numbers that no float can hold.
        wrong = isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST
        if wrong or (low is not None and value < low) or (high is not None and value > high):
            bounds = "" if low is None else f" from {low:g} to {high:g}"
            raise RecordError(f"{self._what}: {key!r} is a number{bounds}, not {value!r}.")
        return value

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self.number(key, low, high, default)
        if value is None or value != int(value):
            raise RecordError(f"{self._what}: {key!r} is a whole number from {low} to {high}.")
        return int(value)

    def word(self, key: str, words: type[StrEnum]):
        value = self.take(key, None)
        allowed: Collection[str] = [word.value for word in words]
        if value not in allowed:
            raise RecordError(f"{self._what}: {key!r} is one of {', '.join(allowed)}, not {value!r}.")
        return words(value)

    def end(self) -> None:
        if self._rest:
            raise RecordError(f"{self._what} cannot have {', '.join(map(repr, sorted(self._rest)))}.")
