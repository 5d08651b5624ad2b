"""A dataset as Pairloop's own file, without any loss: JSON lines, the first of which is the dataset.

It names nothing of the workspace that it is from, so that a dataset which is taken in elsewhere and written again is the same
file, byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields

from pipeline.annotation.plain import from_plain, to_plain
from pipeline.cleaning import clean
from pipeline.dump import Dump, DumpDecision, DumpRecord, DumpResponse, DumpVersion
from pipeline.errors import RecordError
from pipeline.records import ResponseStatus, Suggestion

FORM = "pairloop_dataset"
VERSION = 1


def is_dump(text: str) -> bool:
    """Say whether a text is such a file."""
    return text.lstrip("\ufeff \r\n\t").startswith(f'{{"{FORM}"')


def write(dump: Dump) -> str:
    """Return a dataset as JSON lines."""
    head = {
        "name": dump.name,
        "published": dump.published,
        "settings": to_plain(dump.settings),
        "guidelines": {str(version): text for version, text in sorted(dump.guidelines.items())},
        "records": len(dump.records),
    }
    first = f'{{"{FORM}": {VERSION}, {_json(head)[1:]}'
    return "\n".join([first, *(_json(_plain_record(record)) for record in dump.records), ""])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _plain_record(record: DumpRecord) -> dict[str, object]:
    plain = _plain(record, without=("number",))
    nested = {"suggestions": record.suggestions, "decisions": record.decisions}
    plain |= {name: [_plain(item) for item in items] for name, items in nested.items() if items}
    if record.responses:
        plain["responses"] = [
            _plain(item) | ({"history": [_plain(version) for version in item.history]} if item.history else {})
            for item in record.responses
        ]
    return plain


def _plain(item: object, without: tuple[str, ...] = ()) -> dict[str, object]:
    """Return the plain values of a dataclass; what has its default is left out, nested tuples too."""
    plain = {}
    for field in fields(item):
        value = getattr(item, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if field.name not in without and value != default and not isinstance(value, tuple):
            plain[field.name] = value
    return plain


def read(text: str, name: str) -> Dump:
    """Return the dataset in the text of such a file; its values are still to be checked against its settings.

    Raises:
        RecordError: it is damaged, or was written by a newer version.
    """
    lines = [line for line in text.removeprefix("\ufeff").split("\n") if line.strip()]
    head = _object(lines[0], f"The first line of {name}")
    if head.get(FORM) != VERSION:
        raise RecordError(f"{name} was written by another version of Pairloop, and cannot be read by this one.")
    records = tuple(_record(number, line, name) for number, line in enumerate(lines[1:], 1))
    if head.get("records") != len(records):
        raise RecordError(f"{name} is cut off: it has {len(records):,} of {head.get('records')} records.")
    guidelines = head.get("guidelines")
    if not isinstance(guidelines, Mapping) or not all(
        re.fullmatch("[0-9]{1,7}", version) and isinstance(text, str) for version, text in guidelines.items()
    ):
        raise RecordError(f"The guidelines in {name} are not texts by version.")
    return Dump(
        name=_is(head.get("name"), str, "name", name),
        settings=from_plain(head.get("settings")),
        records=records,
        published=_is(head.get("published"), bool, "published", name),
        guidelines={int(version): clean(text) for version, text in guidelines.items()},
    )


def _record(number: int, line: str, name: str) -> DumpRecord:
    place = f"Record {number:,} of {name}"
    plain = _object(line, place)
    suggestions = tuple(_made(Suggestion, item, place) for item in _list(plain, "suggestions", place))
    responses = tuple(_response(item, place) for item in _list(plain, "responses", place))
    decisions = tuple(_made(DumpDecision, item, place) for item in _list(plain, "decisions", place))
    nested = {"suggestions": suggestions, "responses": responses, "decisions": decisions}
    own = {"metadata": {}, "external_id": None, **plain, "number": number, **nested}
    return _made(DumpRecord, own, place)


def _response(plain: object, place: str) -> DumpResponse:
    row = dict(plain) if isinstance(plain, Mapping) else {}
    history = tuple(_made(DumpVersion, item, place, status=ResponseStatus) for item in _list(row, "history", place))
    return _made(DumpResponse, {**row, "history": history}, place, status=ResponseStatus)


_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("fields", "metadata", "values", "marks"), (dict,)),
    "edits": (dict, type(None)),
    **dict.fromkeys(("person", "reason", "question", "agent"), (str,)),
    "external_id": (str, type(None)),
    **dict.fromkeys(("seconds", "at", "updated_at"), (int, float)),
    **dict.fromkeys(("created_at", "reopened_at", "withdrawn_at"), (int, float, type(None))),
    "prefilled": (bool, type(None)),
    "guidelines_version": (int, type(None)),
}


_TIMES = ("at", "created_at", "updated_at", "reopened_at", "withdrawn_at")
# SQLite's integers have 64 bits, and the years of Python's times four digits.
LARGEST, LATEST = 2**63, 253_402_300_800


def _made(kind: type, plain: object, place: str, **words: Callable):
    if not isinstance(plain, Mapping):
        raise RecordError(f"{place} is damaged: {kind.__name__} is not an object.")
    values = dict(plain)
    known = {field.name for field in fields(kind)}
    if set(values) - known:
        raise RecordError(f"{place} is damaged: it has {sorted(set(values) - known)[0]!r}.")
    for name, value in values.items():
        wanted = _TYPES.get(name)
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted)):
            raise RecordError(f"{place} is damaged: {name!r} has another type than it should.")
        # NaN is in no range.
        if wanted and isinstance(value, int | float) and not 0 <= value < (LATEST if name in _TIMES else LARGEST):
            raise RecordError(f"{place} is damaged: {name!r} is no number that can be.")
    # Of records of the first version nobody knows when they were made.
    if kind is not DumpRecord and values.get("created_at", 0) is None:
        raise RecordError(f"{place} is damaged: 'created_at' is missing.")
    try:
        return kind(**{name: words[name](value) if name in words else value for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise RecordError(f"{place} is damaged: {error}.") from error


def _list(plain: Mapping[str, object], name: str, place: str) -> list[object]:
    found = plain.get(name) or []
    if not isinstance(found, list):
        raise RecordError(f"{place} is damaged: {name!r} is not a list.")
    return found


def _is(value: object, kind: type, what: str, name: str):
    if not isinstance(value, kind):
        raise RecordError(f"{name} is damaged: {what!r} is missing.")
    return value


def _object(line: str, place: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{place} is not JSON.") from error
    if not isinstance(found, dict):
        raise RecordError(f"{place} is not an object.")
    return found
