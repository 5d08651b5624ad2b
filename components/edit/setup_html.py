"""What Setup shows beside its fields: the state of a dataset, and how annotators see it."""

from __future__ import annotations

from components import _html
from components.edit.form_html import form_html
from components.edit.record_html import record_html
from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, MetadataKind, check_settings
from pipeline.errors import RecordError
from pipeline.records import Record
from pipeline.store.datasets import Dataset
from pipeline.tasks import Card

_SAMPLES = {
    FieldKind.TEXT: "The text of a record stands here.",
    FieldKind.MARKDOWN: "The **formatted** text of a record stands here.",
    FieldKind.CHAT: [
        {"role": "user", "content": "What somebody asks."},
        {"role": "assistant", "content": "What is answered."},
    ],
    FieldKind.CONTEXTS: [{"text": "A passage that was found.", "title": "Document"}],
}


def missing(dataset: Dataset) -> str:
    """Return what a dataset lacks before people can annotate it, or ""."""
    try:
        check_settings(dataset.settings)
    except RecordError as error:
        return str(error)
    return ""


def state(dataset: Dataset) -> str:
    """Return whether people can annotate a dataset, and what is missing where they cannot."""
    count = f"{dataset.size:,} record{'' if dataset.size == 1 else 's'}"
    if dataset.published:
        waiting = "" if dataset.size else " Add records, or fill it from a run below."
        text = f"Published, {count}.{waiting} What would make records or answers invalid is refused, with the reason."
        return _html.note(text, "good")
    lack = missing(dataset)
    if lack:
        return _html.note("Draft: nobody can annotate it yet.") + _html.note(f"Before you publish it: {lack}", "warn")
    return _html.note(
        f"Draft, {count}: nobody can annotate it yet. It is complete; publish it when it is as you want it."
    )


def preview(dataset: Dataset, record: Record | None) -> str:
    """Return a record as annotators see it: the first one of the dataset, or a made-up one while there is none."""
    settings = dataset.settings
    if not settings.fields and not settings.questions:
        return _html.note("Nothing to see yet: add a field and a question.")
    record = record or _made_up(settings)
    card = Card(record, settings, None, 1, max(1, dataset.size), prefilled=True, closed=False)
    what = "The first record, as annotators see it" if dataset.size else "A made-up record, as annotators will see it"
    shown = _renamed(f"<div>{record_html(card)}</div><div>{form_html(card)}</div>")
    # Nothing in it can be pressed or reached: it is a picture of the form.
    return f'{_html.note(what + ". Nothing can be filled in here.")}<div class="pl-preview" inert>{shown}</div>'


def _renamed(html: str) -> str:
    """Give the parts of a form other names than those of the form on Annotate. What people wrote has no quotes in it here."""
    for name in ("id", "for", "name"):
        html = html.replace(f' {name}="', f' {name}="preview-')
    return html.replace(" data-question=", " data-of-question=")


def _made_up(settings: DatasetSettings) -> Record:
    fields = {field.name: _sample(field) for field in settings.fields}
    metadata = {
        item.name: (item.terms[0] if item.terms else "a term") if item.kind is MetadataKind.TERMS else item.low or 1
        for item in settings.metadata
        if item.visible
    }
    return Record("preview", "", 0, fields, metadata)


def _sample(field: Field) -> object:
    return _SAMPLES[field.kind]
