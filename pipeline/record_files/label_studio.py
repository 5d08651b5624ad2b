"""Tasks of Label Studio, read: annotations become responses, predictions become suggestions.

Form: its guide "Label Studio JSON format of annotated tasks", and the tags' pages; values as in ``control_tags.py`` of
label-studio-sdk 2.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pipeline.record_files.rows import DISCARDED, METADATA, RESPONSES, SUGGESTION, Answer, Proposal, Row, plain
from pipeline.records import ResponseStatus

# What is under "value" of a result, by its type.
_KEYS = {"choices": "choices", "textarea": "text", "rating": "rating", "ranker": "ranker", "number": "number"}


def is_task(value: object) -> bool:
    """Say whether a JSON value is a task."""
    known = ("annotations", "predictions", "completions", "drafts", "is_labeled")
    return isinstance(value, Mapping) and isinstance(value.get("data"), Mapping) and any(key in value for key in known)


def task_rows(values: Sequence[tuple[str, object]]) -> tuple[tuple[Row, ...], list[str]]:
    """Return a row for each task, and in sentences what was left out."""
    left: Counter[str] = Counter()
    rows = tuple(_row(place, value, left) for place, value in values)
    notes = [
        f"{_were(count, f'result of the type {kind}', f'results of the type {kind}')} left out: "
        f"{'it is about a part' if count == 1 else 'they are about parts'}, not the whole record."
        for kind, count in sorted(left.items())
        if not kind.startswith("!")
    ]
    if left["!empty"]:
        notes.append(
            f"{_were(left['!empty'], 'annotation without any answer', 'annotations without any answer')} left out."
        )
    if left["!predictions"]:
        many = _were(left["!predictions"], "prediction", "predictions")
        notes.append(f"{many} left out: of several for one question the one with the highest score is taken.")
    return rows, notes


def _were(count: int, one: str, many: str) -> str:
    return f"1 {one} was" if count == 1 else f"{count:,} {many} were"


def _row(place: str, value: object, left: Counter[str]) -> Row:
    if not isinstance(value, Mapping) or not isinstance(value.get("data"), Mapping):
        return Row(place, {}, "it is not a task with data")
    cells: dict[str, object] = {"id": None if value.get("id") is None else str(value["id"])}
    cells |= {str(name): plain(cell) for name, cell in value["data"].items()}
    if isinstance(value.get("meta"), Mapping):
        cells |= {f"{METADATA}{name}": plain(cell) for name, cell in value["meta"].items()}
    for name, proposal in _proposals(value.get("predictions"), left).items():
        cells[f"{name}{SUGGESTION}"] = proposal
    for name, answer in _answers(value, left):
        cells.setdefault(name, []).append(answer)
    return Row(place, cells)


def _answers(task: Mapping, left: Counter[str]) -> Iterator[tuple[str, Answer]]:
    drafts = [(item, ResponseStatus.DRAFT) for item in _mappings(task.get("drafts"))]
    done = _mappings(task.get("annotations") or task.get("completions"))
    for item, status in [*((item, ResponseStatus.SUBMITTED) for item in done), *drafts]:
        status = ResponseStatus.DISCARDED if item.get("was_cancelled") else status
        created = _time(item.get("created_at"))
        known = {
            "person": _person(item.get("completed_by") or item.get("user")),
            "status": status,
            "seconds": _seconds(item.get("lead_time")),
            "created_at": created,
            "updated_at": _time(item.get("updated_at")) or created,
        }
        values = _values(item.get("result"), left)
        for name, value in values.items():
            yield f"{name}{RESPONSES}", Answer(value=value, **known)
        if not values and status is ResponseStatus.DISCARDED:
            yield DISCARDED, Answer(**known)
        elif not values:
            left["!empty"] += 1


def _values(results: object, left: Counter[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for item in _mappings(results):
        kind, value = str(item.get("type")), item.get("value")
        if kind not in _KEYS or not isinstance(value, Mapping):
            left[kind] += 1
            continue
        name, held = str(item.get("from_name")), plain(value.get(_KEYS[kind]))
        if isinstance(held, Mapping):
            # The order of a ranker stands under its own name, or under those of its buckets.
            held = [entry for entries in held.values() if isinstance(entries, list) for entry in entries]
        if isinstance(held, list) and isinstance(found.get(name), list):
            held = [*found[name], *held]
        found[name] = held
    return found


def _proposals(predictions: object, left: Counter[str]) -> dict[str, Proposal]:
    found: dict[str, Proposal] = {}
    for item in _mappings(predictions):
        score = item.get("score")
        score = score if isinstance(score, int | float) and not isinstance(score, bool) else None
        for name, value in _values(item.get("result"), left).items():
            known = found.get(name)
            left["!predictions"] += known is not None
            if known is None or (score or 0) >= (known.score or 0):
                found[name] = Proposal(value, str(item.get("model_version") or ""), score)
    return found


def _person(user: object) -> str:
    if isinstance(user, Mapping):
        full = " ".join(str(user[key]) for key in ("first_name", "last_name") if user.get(key))
        return full or str(user.get("email") or user.get("username") or f"user {user.get('id')}")
    if isinstance(user, str) and user:
        return user
    return "unknown annotator" if user is None else f"user {user}"


def _time(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(float(value), 0.0), 1e7) if number else 0.0


def _mappings(value: object) -> list[Mapping]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
