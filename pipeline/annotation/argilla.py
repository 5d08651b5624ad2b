"""Settings as Argilla writes them: ``settings.json`` of Argilla 2, ``argilla.yaml`` of Argilla 1, and plain lists of names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pipeline.annotation.plain import NAME, from_plain
from pipeline.annotation.settings import DatasetSettings
from pipeline.errors import RecordError

_KINDS = {"label_selection": "label", "multi_label_selection": "multi_label", "dynamic_label_selection": "label"}
_FIELDS = ("text", "markdown", "chat", "contexts")
_QUESTIONS = ("text", "rating", "label", "multi_label", "ranking")
# What only Argilla writes at the top of its settings.
_OWN = {"vectors", "allow_extra_metadata", "vectors_settings", "metadata_properties", "mapping"}
_LETTERS = re.compile(r"[^a-z0-9_-]+")


def is_argilla(plain: Mapping[str, object]) -> bool:
    """Say whether settings are in one of Argilla's forms and not in ours."""
    if _OWN & plain.keys():
        return True
    parts = [item for key in ("fields", "questions", "metadata") for item in _list(plain.get(key))]
    return any(_is_foreign(item) for item in parts) or "strategy" in _mapping(plain.get("distribution"))


def _is_foreign(item: object) -> bool:
    if isinstance(item, str):
        return True
    part = _mapping(item)
    foreign = {"settings", "labels", "use_markdown", "visible_for_annotators", "visible_labels", "dataset_id"}
    return bool(foreign & part.keys()) or part.get("type") in _KINDS


def from_argilla(plain: Mapping[str, object]) -> tuple[DatasetSettings, list[str]]:
    """Return our settings, and in sentences what Argilla has and we do not.

    Raises:
        RecordError: they cannot be read; the message says where.
    """
    notes: list[str] = []
    metadata = plain.get("metadata") or plain.get("metadata_properties")
    ours = {
        "guidelines": plain.get("guidelines") or "",
        "fields": _parts("field", plain.get("fields"), _field, notes),
        "questions": _parts("question", plain.get("questions"), _question, notes),
        "metadata": _parts("metadata property", metadata, _property, notes),
        "distribution": {"min_submitted": _mapping(plain.get("distribution")).get("min_submitted") or 1},
    }
    if plain.get("vectors") or plain.get("vectors_settings"):
        notes.append("Vectors were left out: records are found by their words here.")
    return from_plain(ours), notes


def plain_name(name: object) -> str:
    """Return a name of Argilla's as it is allowed here: small letters, digits, - and _."""
    text = str(name)
    return text if NAME.fullmatch(text) else _LETTERS.sub("-", text.lower()).strip("-_") or "unnamed"


def _parts(what: str, items: object, read: Callable, notes: list[str]) -> list[dict[str, object]]:
    found = []
    for item in _list(items):
        source = {"name": item} if isinstance(item, str) else item
        if not isinstance(source, Mapping) or not source.get("name"):
            raise RecordError(f"A {what} in this file has no name.")
        name = plain_name(source["name"])
        if name != source["name"]:
            notes.append(f"The {what} {source['name']!r} is called {name!r} here.")
        own = _mapping(source.get("settings"))
        part = read({**source, **own, "name": name, "title": _title(source, name)}, notes)
        if part is not None:
            found.append(part)
    return found


def _title(source: Mapping[str, object], name: str) -> str:
    title = source.get("title") or ""
    # Without a title, the name was shown as it was written.
    title = title or ("" if source["name"] == name else source["name"])
    return "" if title == name else str(title)


def _field(source: Mapping[str, object], notes: list[str]) -> dict[str, object] | None:
    kind = source.get("type") or "text"
    if kind == "text" and source.get("use_markdown"):
        kind = "markdown"
    if kind not in _FIELDS:
        notes.append(f"The field {source['name']!r} was left out: fields of the type {kind} are not known here.")
        return None
    return {"name": source["name"], "type": kind, "title": source["title"], "required": _required(source)}


def _question(source: Mapping[str, object], notes: list[str]) -> dict[str, object] | None:
    kind = _KINDS.get(str(source.get("type")), source.get("type"))
    if kind not in _QUESTIONS:
        instead = " Mark unsupported spans in a text instead." if kind == "span" else ""
        notes.append(f"The question {source['name']!r} was left out: it is of the type {kind}.{instead}")
        return None
    description = source.get("description") or ""
    part = {"name": source["name"], "type": kind, "title": source["title"], "description": description}
    options = source.get("options") or source.get("values") or source.get("labels")
    if kind != "text" and options is not None:
        part["options"] = _options(kind, options)
    return {**part, "required": _required(source)}


def _options(kind: object, options: object) -> object:
    if isinstance(options, Mapping):
        return [_option(kind, value, text) for value, text in options.items()]
    if not isinstance(options, list):
        return options
    rows = [item if isinstance(item, Mapping) else {"value": item} for item in options]
    return [_option(kind, row.get("value"), row.get("text")) for row in rows]


def _option(kind: object, value: object, text: object) -> dict[str, object]:
    if kind != "rating":
        value = str(value) if isinstance(value, int | float) else value
    return {"value": value} if text is None or str(text) == str(value) else {"value": value, "text": str(text)}


def _property(source: Mapping[str, object], notes: list[str]) -> dict[str, object]:
    part = {"name": source["name"], "type": source.get("type") or "terms", "title": source["title"]}
    terms = source.get("values") or source.get("options") or []
    if terms:
        part["terms"] = [str(term) for term in _list(terms)]
    part |= {key: source[key] for key in ("min", "max") if source.get(key) is not None}
    shown = source.get("visible_for_annotators")
    return {**part, "visible": True if shown is None else shown}


def _required(source: Mapping[str, object]) -> object:
    required = source.get("required")
    return True if required is None else required


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
