"""The results of one comparison in parts: by annotator, by how the contexts were rated, by the metadata of the queries."""

from __future__ import annotations

from collections.abc import Sequence

from components import _html
from components.explained import heads
from pipeline.ranking import Slice, Slices
from pipeline.ranking.verdict import p_text, percent, plural
from pipeline.result_details import METADATA

WHOLE = "All votes together"
_HEADS = (
    ("Part", "", "The value that these votes share"),
    (
        "Win rate",
        "pl-num",
        "Wins and half of the ties and both bad, over the votes of this part, with the 95 % interval",
    ),
    ("Queries", "pl-num", "Different queries in this part; the interval is over these"),
    ("Votes", "pl-num", "Votes in this part"),
    ("Wins, ties, both bad, losses", "pl-num", "Seen from the model whose win rate this is"),
    ("Corrected p", "pl-num", "Anytime-valid p of this part, corrected (Holm) for all parts that were looked at"),
)


def choices(keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return what the votes can be parted by as choices, the whole first."""
    return [(WHOLE, ""), *((f"By {label(key)}", key) for key in keys)]


def label(key: str) -> str:
    """Return what votes are parted by in words."""
    return key.removeprefix(METADATA)


def table(found: Slices, first: str, key: str = "slices") -> str:
    """Return the parts with the warning about many looks; ``key`` is used for no other table on the page."""
    if not found.parts:
        return _html.note("There are no votes to part.")
    named = tuple((f"{name} of {first}" if name == "Win rate" else name, kind, text) for name, kind, text in _HEADS)
    shown = heads(named, key)
    notes = [_html.note(found.warning, "warn")] if found.warning else []
    standing = [part.name for part in found.parts if part.stands_out]
    if standing:
        notes.append(_html.note(f"Conclusive after the correction: {', '.join(standing)}."))
    if found.unknown:
        are = "belongs" if found.unknown == 1 else "belong"
        notes.append(_html.note(f"{plural(found.unknown, 'vote')} {are} to no part."))
    if found.hidden:
        notes.append(_html.note(f"{plural(found.hidden, 'part')} with the fewest votes are not shown."))
    return (
        f"<div class='pl-scroll' tabindex='0' role='region' aria-label='Results in parts'><table class='pl-table'>"
        f"<thead><tr>{shown}</tr></thead><tbody>{''.join(map(_row, found.parts))}</tbody></table></div>{''.join(notes)}"
    )


def _row(part: Slice) -> str:
    rate, counts = part.verdict.rate, part.verdict.counts
    interval = "" if rate.low is None else f" [{100 * rate.low:.0f} – {100 * rate.high:.0f}]"
    shown = "–" if rate.rate is None else percent(rate.rate) + interval
    numbers = (
        shown,
        f"{counts.queries:,}",
        f"{counts.votes:,}",
        f"{counts.wins:,}, {counts.ties:,}, {counts.both_bad:,}, {counts.losses:,}",
        p_text(part.adjusted).removeprefix("= "),
    )
    cells = "".join(f"<td class='pl-num'>{_html.esc(number)}</td>" for number in numbers)
    return f"<tr><th scope='row'>{_html.esc(part.name)}</th>{cells}</tr>"
