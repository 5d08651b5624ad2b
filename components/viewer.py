"""The document drawer: a cited passage in its place. Shared by every tab that shows sources."""

from __future__ import annotations

import time

import gradio as gr

from components._guard import allowed
from components._html import esc
from pipeline.records import Document, Role
from pipeline.services import Services

# Characters shown before and after the passage; a whole book would make the drawer slow.
AROUND = 20_000


class ViewerHandlers:
    """Shows documents."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def show_place(self, event: gr.EventData) -> str:
        """Return the drawer with the chunk that was clicked, marked in its document."""
        place = self._services.library.place(str(event._data.get("chunk", "")))
        return drawer(place.document, place.chunk.start, place.chunk.end)


def build() -> gr.HTML:
    """Lay out the drawer, empty."""
    return gr.HTML("", elem_id="document-viewer")


def wire(viewer: gr.HTML, handlers: ViewerHandlers, sources: list[gr.HTML]) -> None:
    """Let every list of sources open the drawer."""
    for source in sources:
        source.expand(
            allowed(Role.VIEWER, handlers.show_place), None, viewer, api_visibility="private", show_progress="hidden"
        )


def drawer(document: Document, start: int, end: int) -> str:
    """Return the drawer's HTML: the document's text with ``[start, end)`` marked."""
    first, last = max(0, start - AROUND), min(len(document.text), end + AROUND)
    before, passage, after = document.text[first:start], document.text[start:end], document.text[end:last]
    cut = "" if first == 0 and last == len(document.text) else " · the surroundings of the passage"
    gone = " · deleted from the workspace" if document.deleted_at else ""
    return (
        # The time makes every opening a new value: the same passage can be opened again after it was closed.
        f'<aside class="pl-drawer" role="dialog" tabindex="-1" data-at="{time.time_ns()}" '
        f'aria-label="Document {esc(document.name)}">'
        f"<header><strong>{esc(document.name)}<span class='pl-note'>{cut}{gone}</span></strong>"
        '<button type="button" class="pl-plain-button" data-close-drawer>Close <kbd>Esc</kbd></button></header>'
        f'<div class="pl-text" dir="auto">{esc(before)}<mark>{esc(passage)}</mark>{esc(after)}</div></aside>'
    )
