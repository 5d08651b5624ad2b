"""Numbers that explain themselves: on hover, on a tap and by the keyboard, without a script."""

from __future__ import annotations

from components._html import esc


def explained(label: str, text: str, key: str) -> str:
    """Return a label with a small button that says what it means; ``key`` is used for no other label on the page."""
    return (
        f'<span class="pl-explained">{esc(label)} <button type="button" class="pl-why" popovertarget="why-{esc(key)}" '
        f'title="{esc(text)}" aria-label="What is: {esc(label)}?">?</button></span>'
        f'<span popover id="why-{esc(key)}" class="pl-because"><b>{esc(label)}.</b> {esc(text)}</span>'
    )


def heads(columns: tuple[tuple[str, str, str], ...], key: str) -> str:
    """Return the cells of a table's head: (name, class, what it means) each; a column without a name is unseen."""
    cells = []
    for place, (name, kind, text) in enumerate(columns):
        shown = explained(name, text, f"{key}-{place}") if name and text else esc(name)
        unseen = f'<span class="pl-unseen">{esc(text)}</span>' if not name else ""
        cells.append(f'<th scope="col" class="{kind}">{shown}{unseen}</th>')
    return "".join(cells)
