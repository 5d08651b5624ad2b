"""The part of Tune that follows jobs: the table, and the card of one with its state, its log and what its trainer said."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from gradio.components.plot import PlotData

from components import _html, charts
from components.tune.data import overridden
from pipeline.finetune.jobs import silent
from pipeline.records import JobState
from pipeline.store.training import TrainingEvent, TrainingJob

JOBS_JS = """
element.addEventListener('click', (event) => {
  const job = event.target.closest('[data-job]');
  if (job) trigger('expand', {job: job.dataset.job});
});
"""
_LINES = 200
_SILENT = (
    "Nothing was heard of this job for a while. Where the machine that trains it is gone, cancel the job here and start it "
    "again."
)


def table(
    jobs: Sequence[TrainingJob],
    names: Mapping[str, str],
    rows: Mapping[str, int],
    chosen: str | None = None,
    marked: Mapping[str, int] | None = None,
    titles: Mapping[str, str] | None = None,
) -> str:
    """Return the jobs as a table; ``marked`` counts rows that an owner let in against the rule, ``titles`` names trainers."""
    if not jobs:
        return _html.note("No job yet.")
    titles = titles or {}
    body = "".join(
        _row(
            job,
            names,
            rows[job.id],
            job.id == chosen,
            (marked or {}).get(job.id, 0),
            titles.get(job.trainer, job.trainer),
        )
        for job in jobs
    )
    return (
        "<div class='pl-scroll' tabindex='0'><table class='pl-table pl-stack'><thead><tr><th>Model</th><th>Parent</th>"
        "<th>Trainer</th><th class='pl-num'>Rows</th><th>State</th><th>Started</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def card(job: TrainingJob, events: Sequence[TrainingEvent], trainer: str, marked: int) -> str:
    """Return what is known of one job: its state in its trainer's words, the override, its log."""
    states = [event for event in events if event.kind == "state"]
    said = f"{states[-1].text}, {_html.span(time.time() - states[-1].at)} ago" if states else ""
    words = f"{_html.esc(trainer)}: {_html.esc(said)}" if said else _html.esc(trainer)
    title = f"<h3 class='pl-title'>Job of {_html.ago(job.created_at)}</h3>"
    notes = [_html.note(job.error, "bad")] if job.error else []
    if job.trainer == "local" and silent(job, events):
        notes.append(_html.note(_SILENT, "warn"))
    if marked:
        reason = str((job.settings or {}).get("override") or "")
        notes.append(_html.note(overridden(marked, reason), "warn"))
    lines = "\n".join(event.text for event in events if event.kind == "log")
    shown = "\n".join(lines.splitlines()[-_LINES:])
    log = (
        f"<details class='pl-log'><summary>Log</summary><pre dir='auto' tabindex='0'>{_html.esc(shown)}</pre></details>"
        if shown
        else ""
    )
    outside = job.external_id if job.external_id and not job.external_id.startswith("embedded:") else ""
    known = f"<p class='pl-note'>{_html.esc(outside)}</p>" if outside else ""
    return f"{title}<p class='pl-job-state'><b>{job.state}</b> {words}</p>{known}{''.join(notes)}{log}"


def curve(job: TrainingJob, events: Sequence[TrainingEvent], name: str, colour: str) -> PlotData | None:
    """Return the loss as a chart: from the events, or from what older jobs kept; None where there is none."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events:
        if event.kind == "loss" and event.step is not None and event.value is not None:
            found.setdefault(event.text, []).append((event.step, event.value))
    kept = job.metrics.get("losses")
    if not found and isinstance(kept, list) and kept:
        found["train"] = [(step, float(value)) for step, value in enumerate(kept)]
    if not found:
        return None
    ordered = {label: sorted(points) for label, points in sorted(found.items(), key=lambda item: item[0] != "train")}
    return charts.shown(charts.losses(ordered, name, colour))


def shown_job(jobs: Sequence[TrainingJob], chosen: str | None) -> TrainingJob | None:
    """Return the job that is chosen, else the newest."""
    return next((job for job in jobs if job.id == chosen), next(iter(jobs), None))


def _row(job: TrainingJob, names: Mapping[str, str], rows: int, chosen: bool, marked: int, trainer: str) -> str:
    model = names.get(job.model_id) or ("not there yet" if job.state is JobState.RUNNING else "no model")
    button = (
        f"<button type='button' class='pl-job-link' data-job='{_html.esc(job.id)}' aria-pressed='{str(chosen).lower()}'>"
        f"{_html.esc(model)}</button>"
    )
    flag = " <span title='Test queries among its rows, let in by an owner'>!</span>" if marked else ""
    return (
        f"<tr{' class=pl-current' if chosen else ''}><td>{button}</td>"
        f"<td data-label='Parent'>{_html.esc(names.get(job.base_model_id, ''))}</td>"
        f"<td data-label='Trainer'>{_html.esc(trainer)}</td>"
        f"<td class='pl-num' data-label='Rows'><span>{rows}{flag}</span></td>"
        f"<td class='pl-wide' data-label='State'><span>{job.state}{_outcome(job)}</span></td>"
        f"<td data-label='Started'>{_html.ago(job.created_at)}</td></tr>"
    )


def _outcome(job: TrainingJob) -> str:
    if job.error:
        return f": {_html.esc(job.error)}"
    if job.state is JobState.RUNNING:
        return " …"
    metrics = job.metrics
    if job.state is JobState.DONE and "kept" in metrics:
        kept, dropped = (_html.esc(str(metrics.get(name, 0))) for name in ("kept", "not_kept"))
        return f": learned from {kept} kept and {dropped} dropped sentences"
    return ""
