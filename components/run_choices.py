"""Runs to make records of, as choices."""

from __future__ import annotations

from pipeline.datasets import DatasetDesk
from pipeline.ranking.verdict import plural
from pipeline.records import Split
from pipeline.services import Services

# So many of the newest runs are looked through, and so many are offered.
LOOKED_AT, OFFERED = 1_000, 50


def run_choices(services: Services) -> list[tuple[str, str]]:
    """Return the newest runs that have answers, as (label, id); those that only answer for a comparison are not offered."""
    runs = [run for run in services.store.runs.latest(LOOKED_AT) if run.split is not Split.TEST and run.done]
    names: dict[str, str] = {}
    return [(_label(services, run, names), run.id) for run in runs[:OFFERED]]


def left_out(desk: DatasetDesk, run_id: str) -> tuple[str, ...]:
    """Return what is to be said beside a dataset of a run: of how many train queries it holds nothing, and why."""
    number = desk.left_out_of(run_id)
    are = "is a test query" if number == 1 else "are test queries"
    said = f"{plural(number, 'query', 'queries')} of the run {are} in another list, kept for Compare, and left out."
    return (said,) if number else ()


def _label(services: Services, run, names: dict[str, str]) -> str:
    for item_id, name_of in (
        (run.model_id, lambda model_id: services.store.models.get(model_id).name),
        (run.query_set_id, services.store.queries.set_name),
    ):
        if item_id not in names:
            names[item_id] = name_of(item_id)
    return f"{names[run.query_set_id]} · {names[run.model_id]} · {run.done} answers"
