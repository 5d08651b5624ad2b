"""What a record shows: its fields, its visible metadata, and the marks that are set on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components import _html
from components._html import esc
from pipeline.annotation.settings import DatasetSettings, Field, FieldKind
from pipeline.records import Context
from pipeline.tasks import Card, marked_text

# The first passages are open, so that there is something to read; the others are one press away.
OPENED = 2
# A longer text is no headline.
MAX_HEADLINE = 300


def record_html(card: Card) -> str:
    """Return everything that is shown of a record, above and beside the form."""
    settings, fields = card.settings, card.record.fields
    shown = [_field(card, field, fields[field.name]) for field in settings.fields if field.name in fields]
    return metadata_html(settings, card.record.metadata) + "".join(shown) + _marked_suggestion(card)


def metadata_html(settings: DatasetSettings, metadata: Mapping[str, object]) -> str:
    """Return what is known of a record, as far as annotators may see it."""
    known = [item for item in settings.metadata if item.visible and item.name in metadata]
    if not known:
        return ""
    rows = "".join(
        f"<div><dt>{esc(item.heading)}</dt><dd>{esc(_listed(metadata[item.name]))}</dd></div>" for item in known
    )
    return f'<dl class="pl-metadata" aria-label="Metadata">{rows}</dl>'


def first_words(record_fields: Mapping[str, object], length: int = 90) -> str:
    """Return the first words of a record's fields, for a list of records."""
    for value in record_fields.values():
        text = " ".join(_some_text(value).split())
        if text:
            return text if len(text) <= length else text[:length].rstrip() + " …"
    return "(empty)"


def _field(card: Card, field: Field, value: object) -> str:
    settings = card.settings
    heading = f'<p class="pl-label">{esc(field.heading)}</p>'
    if field.name == settings.mark_spans:
        return f'<section class="pl-field">{_marked(card, field.heading)}</section>'
    if field.kind is FieldKind.CONTEXTS:
        place = ' id="edit-sources"' if field.name == settings.contexts_field else ""
        return f'<section class="pl-field"{place}>{heading}{_passages(card, field, value)}</section>'
    if field.kind is FieldKind.CHAT:
        return f'<section class="pl-field">{heading}{_chat(value)}</section>'
    text, cited = str(value), _count(card)
    if field.name == settings.query_field and len(text) <= MAX_HEADLINE and field.kind is FieldKind.TEXT:
        return f'<section class="pl-field">{heading}<h3 class="pl-query" dir="auto">{esc(text)}</h3></section>'
    if field.kind is FieldKind.MARKDOWN:
        return f'<section class="pl-field">{heading}{_html.answer(text, cited)}</section>'
    return f'<section class="pl-field">{heading}<div class="pl-plain" dir="auto">{_html.cited(text, cited)}</div></section>'


def _count(card: Card) -> int:
    passages = card.record.fields.get(card.settings.contexts_field)
    return len(passages) if isinstance(passages, list) else 0


def _chat(value: object) -> str:
    rows = value if isinstance(value, list) else []
    return "".join(
        f'<div class="pl-turn" data-role="{esc(row["role"].lower())}"><b>{esc(row["role"])}</b>'
        f'<div dir="auto">{esc(row["content"])}</div></div>'
        for row in rows
    )


def _passages(card: Card, field: Field, value: object) -> str:
    marks = card.marks.get("chunks") or {}
    asked = card.settings.mark_chunks and field.name == card.settings.contexts_field
    contexts = _contexts(card, field, value)
    if not contexts:
        return _html.note("No passage of the documents matches this query.")
    parts = []
    for number, context in enumerate(contexts, 1):
        source = _html.source(number, context, False, number <= OPENED)
        toggles = _relevance(number, marks.get(str(number - 1))) if asked else ""
        parts.append(f'<div class="pl-passage-row">{source}{toggles}</div>')
    return "".join(parts)


def _contexts(card: Card, field: Field, value: object) -> Sequence[Context]:
    if card.record.query_id is not None and field.name == card.settings.contexts_field:
        return card.record.contexts
    rows = value if isinstance(value, list) else []
    return [_context(number, row) for number, row in enumerate(rows, 1)]


def _context(number: int, row: Mapping[str, object]) -> Context:
    name = str(row.get("title") or f"Passage {number}")
    name += f" · score {row['score']:.2f}" if row.get("score") is not None else ""
    return Context("", "", name, str(row["text"]), 0, len(str(row["text"])), 0.0)


def _relevance(number: int, marked: object) -> str:
    def toggle(value: bool, word: str) -> str:
        pressed = "true" if marked is value else "false"
        return (
            f'<button type="button" class="pl-toggle" data-chunk-mark="{number - 1}" data-relevant="{str(value).lower()}" '
            f'aria-pressed="{pressed}">{word}</button>'
        )

    buttons = toggle(True, "Relevant") + toggle(False, "Not relevant")
    return f'<div class="pl-relevance" role="group" aria-label="Passage {number}">{buttons}</div>'


def _marked_suggestion(card: Card) -> str:
    question = card.settings.question(card.settings.mark_spans)
    if question is None or not marked_text(card.settings, card.record):
        return ""
    return f'<section class="pl-field">{_marked(card, f"Suggested: {question.heading}")}</section>'


def _marked(card: Card, heading: str) -> str:
    """Return a text in which spans can be marked: plain, so that places on the screen are places in the text."""
    text = marked_text(card.settings, card.record)
    # A carriage return as such would be dropped by the browser, and every place after it would be another one.
    shown = esc(text).replace("\r", "&#13;")
    label = f"{heading}. Select what nothing supports and press M"
    return (
        f'<p class="pl-label">{esc(heading)}</p>'
        # A text box that takes no letters: only in one of these does the keyboard move a cursor and select.
        f'<div class="pl-plain pl-marked" data-marked dir="auto" contenteditable="true" inputmode="none" role="textbox" '
        f'aria-readonly="true" aria-multiline="true" spellcheck="false" aria-label="{esc(label)}">{shown}</div>'
        '<div class="pl-marking"><button type="button" class="pl-plain-button" data-mark disabled>Mark as unsupported '
        '<kbd data-key-of="edit.mark">M</kbd></button>'
        '<span class="pl-note">Select words that nothing supports.</span></div>'
        '<ul class="pl-spans" data-spans aria-label="Marked as unsupported"></ul>'
    )


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _some_text(value: object) -> str:
    if isinstance(value, list):
        return _some_text(value[0]) if value else ""
    if isinstance(value, Mapping):
        return str(value.get("content") or value.get("text") or "")
    return str(value)
