"""What is shown this once, with a button that copies it, and the address that a page is at."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import gradio as gr

from components import _html
from pipeline.settings import Entry

COPIES_JS = """
element.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const field = button.parentElement.querySelector('input');
  field.select();
  await navigator.clipboard.writeText(field.value).catch(() => document.execCommand('copy'));
  button.textContent = 'Copied';
});
"""
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


def shown(text: str, label: str, note: str) -> str:
    """Return a text in a field of its own with a button that copies it; ``note`` says that it is shown this once."""
    return (
        f'<div class="pl-new-link"><input class="pl-input" readonly aria-label="{_html.esc(label)}" value="{_html.esc(text)}">'
        f'<button type="button" class="pl-plain-button" data-copy>Copy</button></div>{_html.note(note, "good")}'
    )


def gone(field: gr.HTML, opened: Sequence[Callable]) -> None:
    """Let a field of what is shown once be empty for whoever comes back; ``opened`` are the events of its panel and its tab.

    To be called before these events are given what shows the panel: the page does one after another.
    """
    for event in opened:
        # By the page itself: it is gone before the server has answered.
        event(None, None, field, js="() => ''", api_visibility="private", show_progress="hidden")


def address(request: gr.Request, entry: Entry) -> str:
    """Return where the app is that a request was made to, as its browser says; where it says nothing, as the settings do."""
    found = request.headers.get("origin", "") if hasattr(request, "headers") else ""
    return f"{found}{entry.base}" if _ORIGIN.fullmatch(found) else entry.public_url
