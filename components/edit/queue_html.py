"""What stands around a record: queues, search and filter, the list of records, guidelines, and what an empty screen says."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from components import _html
from components._html import esc
from components.edit.record_html import first_words
from pipeline.annotation.settings import DatasetSettings, MetadataKind, MetadataProperty
from pipeline.records import Record, ResponseStatus
from pipeline.review_numbers import shown
from pipeline.store.responses import Version
from pipeline.tasks import PENDING, Progress

QUEUES = {PENDING: "Pending", "draft": "Drafts", "submitted": "Submitted", "discarded": "Discarded"}
NO_QUEUE = {
    "draft": ("No drafts", "What you begin and do not submit waits here."),
    "submitted": ("Nothing submitted yet", "What you submit can be read and changed here."),
    "discarded": ("Nothing discarded", "What you discard can be taken back in here."),
}


def counts_html(counts: Progress, current: str) -> str:
    """Return the queues of one person as buttons, with how many records are in each."""
    numbers = (counts.pending, counts.drafts, counts.submitted, counts.discarded)
    buttons = "".join(
        f'<button type="button" class="pl-queue" data-queue="{queue}" aria-pressed="{str(queue == current).lower()}">'
        f"{name} <b>{number:,}</b></button>"
        for (queue, name), number in zip(QUEUES.items(), numbers, strict=True)
    )
    others = f'<span class="pl-note">{counts.others:,} done by others</span>' if counts.others else ""
    return buttons + others


def frame_html(settings: DatasetSettings) -> str:
    """Return the parts of the screen that stay while records come and go."""
    return (
        '<div class="pl-queues"><div id="edit-progress" role="group" aria-label="Queues"></div>'
        '<form class="pl-search" id="edit-search" role="search">'
        '<input type="search" class="pl-input" data-filter-text placeholder="Search records" aria-label="Search records">'
        f"{_filter(settings)}"
        '<button type="button" class="pl-plain-button" data-list aria-expanded="false" aria-controls="edit-list">List</button>'
        "</form></div>"
        '<div id="edit-list" hidden></div>'
        '<div id="edit-alerts"></div>'
        f'<div id="edit-guided">{guidelines_html(settings)}</div>'
        '<div id="edit-card"></div>'
        f"{_FOOT}"
        '<div class="pl-unseen" role="status" aria-live="polite" data-told></div>'
    )


_FOOT = (
    '<div id="edit-foot" hidden>'
    '<div id="edit-discarding" hidden><label for="edit-reason">Why discard it? (optional)</label>'
    '<input type="text" class="pl-input" id="edit-reason" maxlength="2000">'
    '<button type="button" class="pl-plain-button" id="edit-discard-confirm">Discard <kbd>⏎</kbd></button>'
    '<button type="button" class="pl-plain-button" data-discard-cancel>Cancel <kbd>Esc</kbd></button></div>'
    '<div id="edit-bar">'
    '<button type="button" class="pl-act" id="edit-back">Back <kbd data-key-of="edit.back">[</kbd></button>'
    '<button type="button" class="pl-act" id="edit-next">Next <kbd data-key-of="edit.next">]</kbd></button>'
    '<div id="edit-status"></div>'
    '<button type="button" class="pl-act pl-stop" id="edit-discard">Discard <kbd data-key-of="edit.discard">D</kbd></button>'
    '<button type="button" class="pl-act pl-primary" id="edit-submit">Submit <kbd>Ctrl ⏎</kbd></button>'
    "</div></div>"
)


def guidelines_html(settings: DatasetSettings) -> str:
    """Return the guidelines, folded; nothing where there are none."""
    if not settings.guidelines.strip():
        return ""
    return (
        f'<details id="edit-guidelines" data-version="{settings.guidelines_version}"><summary>Guidelines '
        f'<kbd data-key-of="edit.guidelines">G</kbd></summary>{_html.answer(settings.guidelines)}</details>'
    )


def _filter(settings: DatasetSettings) -> str:
    properties = "".join(_property(item) for item in settings.metadata if item.visible)
    scores = "".join(
        _range("score", question.name, f"Suggestion score: {question.heading}") for question in settings.questions
    )
    buttons = (
        '<div class="pl-filter-buttons"><button type="submit" class="pl-plain-button">Apply</button>'
        '<button type="button" class="pl-plain-button" data-filter-clear>Clear</button></div>'
    )
    return (
        '<details class="pl-filter"><summary class="pl-plain-button">Filter <b data-filter-count></b></summary>'
        f'<div class="pl-filter-panel">{properties}{scores}{buttons}</div></details>'
    )


def _property(item: MetadataProperty) -> str:
    if item.kind is not MetadataKind.TERMS:
        return _range("range", item.name, item.heading)
    name = esc(item.name)
    if not item.terms:
        return (
            f'<label class="pl-filter-row">{esc(item.heading)}'
            f'<input type="text" class="pl-input" data-filter-terms="{name}" placeholder="one or more, with commas"></label>'
        )
    terms = "".join(
        f'<label class="pl-check"><input type="checkbox" data-filter-term="{name}" value="{esc(term)}">{esc(term)}</label>'
        for term in item.terms
    )
    return f'<fieldset class="pl-filter-row"><legend>{esc(item.heading)}</legend><div class="pl-terms">{terms}</div></fieldset>'


def _range(kind: str, name: str, heading: str) -> str:
    data = f'data-filter-{kind}="{esc(name)}"'
    low, high = (
        f'<input type="number" step="any" class="pl-input" {data} data-end="{end}" aria-label="{esc(heading)}, {word}" '
        f'placeholder="{word}">'
        for end, word in (("low", "from"), ("high", "to"))
    )
    return f'<div class="pl-filter-row"><span>{esc(heading)}</span><div class="pl-filter-range">{low}{high}</div></div>'


def list_html(records: Sequence[tuple[int, Record, str]], total: int, current: str) -> str:
    """Return records as buttons: (place in this person's order, record, status); ``total`` is how many there are."""
    if not records:
        return _html.note("No record here.")
    rows = "".join(
        f'<li><button type="button" class="pl-row" data-open-record="{esc(record.id)}" '
        f'{"aria-current=true" if record.id == current else ""}><span class="pl-number">{number}</span>'
        f'<span class="pl-place" dir="auto">{esc(first_words(record.fields))}</span><span class="pl-note">{status}</span>'
        "</button></li>"
        for number, record, status in records
    )
    more = _html.note(f"The first {len(records)} of {total:,}. Search or filter to find others.")
    return f'<ol class="pl-rows">{rows}</ol>{more if total > len(records) else ""}'


def history_html(settings: DatasetSettings, versions: Sequence[Version]) -> str:
    """Return the earlier versions of a response, each with a button that puts it into the form."""
    if not versions:
        return ""
    rows = "".join(_version(settings, version) for version in versions)
    return f'<details class="pl-history"><summary>Earlier versions ({len(versions)})</summary><ol>{rows}</ol></details>'


def _version(settings: DatasetSettings, version: Version) -> str:
    values = "".join(
        f"<dt>{esc(question.heading)}</dt><dd dir='auto'>{esc(shown(question, version.values[question.name]))}</dd>"
        for question in settings.questions
        if version.values.get(question.name) not in (None, "", [])
    )
    reason = f"<dt>Reason</dt><dd dir='auto'>{esc(version.reason)}</dd>" if version.reason else ""
    put = _json({"values": version.values, "marks": version.marks})
    return (
        f"<li><b>{version.status.value.capitalize()}</b> {_html.ago(version.at)}<dl>{values}{reason}</dl>"
        f'<button type="button" class="pl-link-button" data-put="{put}">Put into the form</button></li>'
    )


def _json(value: object) -> str:
    return esc(json.dumps(value))


def empty_html(title: str, text: str, *buttons: tuple[str, str]) -> str:
    """Return what stands in place of a record, with buttons of (element id, words); the first is the way on."""
    made = "".join(
        f'<button type="button" class="pl-act {"pl-primary" if place == 0 else ""}" id="{button}">{words}</button>'
        for place, (button, words) in enumerate(buttons)
    )
    return f'<div class="pl-nothing">{_html.empty(title, text)}<div class="pl-ways">{made}</div></div>'


def no_dataset(may_make: bool) -> str:
    """Return what a workspace without a dataset says, to those who may make one and to those who wait for it."""
    if not may_make:
        return empty_html(
            "Nothing to annotate yet", "An admin publishes a dataset; then its records wait for you here."
        )
    text = "Run a list of queries on Ask and send the answers here, press New dataset, or begin with the example."
    return empty_html("Nothing to annotate yet", text, ("edit-example", "Review the example"))


def not_published() -> str:
    """Return what a dataset says that is still being made."""
    return empty_html("This dataset is not published yet", "Finish it in Setup; then its records can be answered here.")


def no_records() -> str:
    """Return what a dataset without records says."""
    return empty_html("This dataset has no records yet", "Add records in Records; they will wait for you here.")


def no_match() -> str:
    """Return what a filter says that nothing meets."""
    text = "No record of this queue has these words and meets this filter."
    return empty_html("No record matches", text, ("edit-unfilter", "Clear search and filter"))


def all_done(counts: Progress) -> str:
    """Return what somebody reads who has no pending record left."""
    by_others = f" Others have done {counts.others:,} of them." if counts.others else ""
    text = f"No record of this dataset waits for you.{by_others} You can look at your answers again."
    return empty_html("All done here", text, ("edit-again", "Look at the last record again"))


def others_at_work(counts: Progress) -> str:
    """Return what somebody reads while others are answering all that is left."""
    text = f"Others are answering the {counts.pending:,} records that are left. This looks again every 10 seconds."
    ways = ("edit-retry", "Look again now"), ("edit-again", "Look at the last record again")
    return empty_html("Nothing is free at the moment", text, *ways)


def empty_queue(queue: str) -> str:
    """Return what an empty queue says."""
    return empty_html(*NO_QUEUE[queue], ("edit-pending", "Go on with pending records"))


def status_words(status: ResponseStatus | None, edited: bool, saved_at: float) -> str:
    """Return one line about a person's response, as it is stored."""
    if status is None:
        return ""
    if status is ResponseStatus.DRAFT:
        return f"Your draft, saved {_html.span(time.time() - saved_at)} ago"
    if edited:
        return f"You {status.value} this; your changes are not submitted yet"
    again = "submit again to change it" if status is ResponseStatus.SUBMITTED else "submit to take it back in"
    return f"You {status.value} this; {again}"
