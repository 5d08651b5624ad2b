"""The charts as SVG of their own, with title, scales and n in them: what the page turns into PNG files."""

from __future__ import annotations

from collections.abc import Mapping

from components import charts, drawings
from components._html import esc
from pipeline.ranking import OutcomeCounts, Progress, WinFractions
from pipeline.ranking.verdict import percent, plural

WIDTH = 1000
INK, SOFT, LINE = "#211f1c", "#615c55", "#d8d3cb"
MARGIN = 24
# About how wide a character of 16 px is.
CHARACTER = 8.6


def bar(counts: OutcomeCounts, colour_of: Mapping[str, str], headline: str) -> str:
    """Return the stacked bar with the headline over it and its legend below."""
    pieces, legend, left = [], [], float(MARGIN)
    wide = WIDTH - 2 * MARGIN
    for place, part in enumerate(charts.parts(counts, colour_of)):
        width = wide * part.share / 100
        pieces.append(f'<rect x="{left:.1f}" y="96" width="{width:.1f}" height="72" fill="{part.colour}"/>')
        if width > 110:
            label = f"{part.count} · {part.share:.2f} %"
            pieces.append(_text(left + width / 2, 138, label, ink=part.ink, anchor="middle", weight="600"))
        x, y = MARGIN + (place % 2) * wide / 2, 204 + 30 * (place // 2)
        legend.append(f'<rect x="{x:.1f}" y="{y - 13}" width="14" height="14" fill="{part.colour}"/>')
        legend.append(_text(x + 22, y, f"{_short(part.name, 44)}: {part.count} ({part.share:.2f} %)"))
        left += width
    n = f"{plural(counts.votes, 'vote')} on {plural(counts.queries, 'query', 'queries')}"
    people = f" by {plural(counts.annotators, 'annotator')}" if counts.annotators else ""
    title = _wrapped(headline)
    return _page(260, "".join([*title, *pieces, *legend, _text(MARGIN, 80, n + people, ink=SOFT)]))


def over_time(found: Progress, colour: str) -> str:
    """Return the win rate and p over the votes, one below the other."""
    last = found.steps[-1]
    n = f"{plural(last.votes, 'vote')} on {plural(last.queries, 'query', 'queries')}"
    shown = [
        _text(MARGIN, 40, f"Win rate of {_short(found.first, 40)}, with its 95 % interval ({n})", weight="600"),
        _plot(60, 260, drawings.rate_lines(found, colour), drawings.rate_axis()),
        _text(MARGIN, 370, "Anytime-valid p", weight="600"),
        _plot(390, 180, drawings.p_lines(found), drawings.p_axis(found)),
        _text(84, 600, "0", ink=SOFT),
        _text(WIDTH - MARGIN, 600, f"{last.votes:,} votes", ink=SOFT, anchor="end"),
    ]
    return _page(620, "".join(shown))


def heat(fractions: WinFractions) -> str:
    """Return who beats whom."""
    many = len(fractions.models)
    label, size = 260, max(64, min(110, (WIDTH - 2 * MARGIN - 260) // max(1, many)))
    shown = [_text(MARGIN, 40, "Who beats whom: win fraction of the row's model against the column's", weight="600")]
    for i, model in enumerate(fractions.models):
        y = 84 + 56 * i
        shown.append(_text(MARGIN, y + 34, f"{i + 1}  {_short(model, 26)}"))
        shown.append(_text(label + MARGIN + size * (i + 0.5), 72, str(i + 1), ink=SOFT, anchor="middle"))
        for j in range(many):
            if (rate := fractions.rates[i][j]) is not None:
                shown.append(_square(label + MARGIN + size * j, y, size, rate, fractions.votes[i][j]))
    return _page(84 + 56 * many + MARGIN, "".join(shown), max(WIDTH, label + 2 * MARGIN + size * many))


def _square(x: float, y: float, size: float, rate: float, votes: int) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{size - 2:.1f}" height="54" fill="{drawings.shade(rate)}"/>'
        + _text(x + size / 2, y + 24, percent(rate), ink="#111111", anchor="middle")
        + _text(x + size / 2, y + 44, f"n = {votes:,}", ink="#111111", anchor="middle", size=14)
    )


def _plot(top: float, height: float, lines: str, axis: drawings.Axis) -> str:
    left, wide = 84, WIDTH - 84 - MARGIN
    ticks = "".join(
        f'<line x1="{left}" x2="{left + wide}" y1="{y:.1f}" y2="{y:.1f}" stroke="{LINE}"/>'
        + _text(left - 10, y + 5, name, ink=SOFT, anchor="end")
        for y, name in ((top + height * place / 100, name) for place, name in axis.ticks)
    )
    mark = top + height * axis.mark / 100
    return (
        f'{ticks}<line x1="{left}" x2="{left + wide}" y1="{mark:.1f}" y2="{mark:.1f}" stroke="{INK}" stroke-dasharray="6 5"/>'
        f'<svg x="{left}" y="{top}" width="{wide}" height="{height}" viewBox="0 0 {drawings.WIDTH:.0f} {drawings.HEIGHT:.0f}" '
        f'preserveAspectRatio="none" overflow="visible">{lines}</svg>'
    )


def _wrapped(text: str) -> list[str]:
    """Return a text in two lines at most."""
    room = int((WIDTH - 2 * MARGIN) / CHARACTER / 1.06)
    first = text if len(text) <= room else text[:room].rpartition(" ")[0] or text[:room]
    rest = text[len(first) :].strip()
    return [_text(MARGIN, 32 if rest else 44, first, weight="600"), _text(MARGIN, 55, _short(rest, room), weight="600")]


def _text(
    x: float, y: float, text: str, ink: str = INK, anchor: str = "start", weight: str = "400", size: int = 16
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{ink}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}">'
        f"{esc(text)}</text>"
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _page(height: float, content: str, width: float = WIDTH) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="system-ui, sans-serif">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{content}</svg>'
    )
