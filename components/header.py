"""The header of every tab: where data is kept, who you are, which keys there are."""

from __future__ import annotations

import time

import gradio as gr

from components._errors import shows_errors
from components._html import esc
from components._session import person
from components.backup_words import UNKNOWN, Words, words
from pipeline.cleaning import clean
from pipeline.errors import RecordError
from pipeline.services import Services

MAX_NAME = 40
_RENAME_JS = """
element.addEventListener('change', (event) => {
  if (event.target.matches('[data-name]')) trigger('edit', {name: event.target.value});
});
"""
KEYS = (
    ("Everywhere", (("?", "show these keys"), ("Esc", "close a document"))),
    (
        "Edit",
        (("1 to 5", "rate, when you are not typing"), ("Ctrl Enter", "submit"), ("[ and ]", "record before and after")),
    ),
    (
        "Compare",
        (("1", "A is better"), ("2", "B is better"), ("3", "tie"), ("4", "both bad"), ("S", "sources"), ("Z", "undo")),
    ),
)


class HeaderHandlers:
    """Header of one person."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def show_header(self, request: gr.Request) -> str:
        """Return the header."""
        return self._header(self._services.store.members.name(person(self._services, request)))

    def rename_person(self, event: gr.EventData, request: gr.Request) -> str:
        """Give this person the name that was typed."""
        name = " ".join(clean(str(event._data.get("name", ""))).split())
        if not 1 <= len(name) <= MAX_NAME:
            raise RecordError(f"A name has 1 to {MAX_NAME} characters.")
        self._services.store.members.rename(person(self._services, request), name)
        gr.Info(f"You are {esc(name)} from now on.")
        return self._header(name)

    def _header(self, name: str) -> str:
        return header(name, words(self._services.backup.state(), time.time()))


def build() -> gr.HTML:
    """Lay out the header, and the list of keys apart from it: a header that is set anew must not take an open dialog away."""
    gr.HTML(keys(), elem_id="keys")
    return gr.HTML(header(""), js_on_load=_RENAME_JS, elem_id="header")


def wire(html: gr.HTML, handlers: HeaderHandlers) -> None:
    """Attach the listener for a new name."""
    html.edit(shows_errors(handlers.rename_person), None, html, api_visibility="private", show_progress="hidden")


def header(name: str, backup: Words = UNKNOWN) -> str:
    """Return the header's HTML. The page's script keeps what it says about the back-up true (backup.js)."""
    return (
        '<div class="pl-header"><span class="pl-brand">Pairloop</span>'
        f'<button type="button" class="pl-state" data-open-backup data-backup="{backup.kind}" title="{esc(backup.title)}">'
        f'{esc(backup.text)}</button><span class="pl-unseen" role="status" data-backup-told></span>'
        '<span class="pl-grow"></span>'
        f'<label class="pl-state">You <input class="pl-name" data-name aria-label="Your name" maxlength="{MAX_NAME}" '
        f'value="{esc(name)}"></label>'
        '<button type="button" class="pl-link-button" data-open-keys>Keys <kbd>?</kbd></button></div>'
    )


def keys() -> str:
    """Return the list of keys as a closed dialog."""
    groups = "".join(
        f"<p class='pl-label'>{title}</p><dl>{''.join(f'<dt>{_kbd(key)}</dt><dd>{what}</dd>' for key, what in group)}</dl>"
        for title, group in KEYS
    )
    return (
        f'<dialog id="pl-keys" aria-label="Keys"><h3 class="pl-title">Keys</h3>{groups}'
        '<button type="button" class="pl-plain-button" data-close-keys>Close</button></dialog>'
    )


def _kbd(keys: str) -> str:
    return " ".join(f"<kbd>{esc(key)}</kbd>" if len(key) == 1 or key[0].isupper() else esc(key) for key in keys.split())
