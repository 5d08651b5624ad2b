"""Links between screens: to a model, a training row, a vote and a record. The page's script opens them in place (lineage.js)."""

from __future__ import annotations

from urllib.parse import quote

from components._html import esc


def link(address: str, words: str, kind: str = "") -> str:
    """Return a link within the app."""
    return f'<a class="pl-way {kind}" href="{esc(address)}" data-go>{esc(words)}</a>'


def model(model_id: str, name: str) -> str:
    """Return a link to a model's page."""
    return link(f"?tab=tune&model={quote(model_id, safe='')}", name)


def row(model_id: str, row_id: str, words: str) -> str:
    """Return a link to a training row on its model's page."""
    return link(f"?tab=tune&model={quote(model_id, safe='')}&row={quote(row_id, safe='')}", words)


def vote(vote_id: str, words: str) -> str:
    """Return a link to a vote on Results."""
    return link(f"?tab=results&vote={quote(vote_id, safe='')}", words)


def record(record_id: str, words: str) -> str:
    """Return a link to a record on Edit."""
    # Edit reads its address when the page is loaded, so this loads it.
    address = f"?tab=edit&record={quote(record_id, safe='')}"
    return f'<a class="pl-way" href="{esc(address)}">{esc(words)}</a>'
