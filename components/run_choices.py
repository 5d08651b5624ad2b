"""Runs to make records of, as choices."""

from __future__ import annotations

from pipeline.records import Split
from pipeline.services import Services

# So many of the newest runs are looked through, and so many are offered.
LOOKED_AT, OFFERED = 1_000, 50


def run_choices(services: Services) -> list[tuple[str, str]]:
    """Return the newest runs that have answers, as (label, id); those that only answer for a comparison are not offered."""
    runs = [run for run in services.store.runs.latest(LOOKED_AT) if run.split is not Split.TEST and run.done]
    names: dict[str, str] = {}
    return [(_label(services, run, names), run.id) for run in runs[:OFFERED]]


def _label(services: Services, run, names: dict[str, str]) -> str:
    for item_id, name_of in (
        (run.model_id, lambda model_id: services.store.models.get(model_id).name),
        (run.query_set_id, services.store.queries.set_name),
    ):
        if item_id not in names:
            names[item_id] = name_of(item_id)
    return f"{names[run.query_set_id]} · {names[run.model_id]} · {run.done} answers"
