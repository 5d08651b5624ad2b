"""Links between screens, to a model, a training row, a vote and a record, and between the pages of a list.

The page's script opens them in place (lineage.js).
"""

from __future__ import annotations

from urllib.parse import quote

from components._html import esc, note
from pipeline.ranking.verdict import plural


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


def pager(page: int, pages: int, total: int, noun: str) -> str:
    """Return which page of a list is shown, with the buttons to the others."""
    words = f"{plural(total, noun)}, page {page + 1} of {pages}" if pages > 1 else plural(total, noun)
    if pages <= 1:
        return note(words)

    def button(label: str, target: int, off: bool) -> str:
        return f'<button type="button" class="pl-plain-button" data-page="{target}" {"disabled" if off else ""}>{label}</button>'

    return (
        f'<div class="pl-pager">{button("Newer" if noun == "vote" else "Before", page - 1, page == 0)}<span>{words}</span>'
        f"{button('Older' if noun == 'vote' else 'After', page + 1, page + 1 >= pages)}</div>"
    )
