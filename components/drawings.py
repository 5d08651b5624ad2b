"""Charts as plain HTML: they follow light and dark, keep their type at every width, and change in place when votes come.

Plotly would put a new drawing in place of the old one at each refresh, and needs 4.5 MB of script, also in a report.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from components import charts
from components._html import esc, note
from components.explained import explained
from pipeline.ranking import OutcomeCounts, Progress, Step, WinFractions
from pipeline.ranking.power import ALPHA
from pipeline.ranking.verdict import p_text, percent, plural

# The drawing of a line has this size, and is stretched to the place it gets.
WIDTH, HEIGHT = 1000.0, 100.0
# p is drawn down to a thousandth, or as far as it went.
LEAST_DECADES = 3
# More models than this are a file's business.
MOST_MODELS = 30
NEUTRAL = (241, 238, 232)
# Full colours would be too dark for the numbers on them.
DEEPEST = 0.7


class Axis(NamedTuple):
    """What stands at a scale: (place from the top in per cent, label); ``mark`` is the place of the line that decides."""

    ticks: tuple[tuple[float, str], ...]
    mark: float


def bar(counts: OutcomeCounts, colour_of: Mapping[str, str]) -> str:
    """Return the stacked bar of one pair with its legend; a label that does not fit is left out, the legend has it."""
    parts, of_all = charts.parts(counts, colour_of), plural(counts.votes, "vote")
    told = "; ".join(f"{part.name}: {part.count} of {counts.votes}" for part in parts)
    pieces = "".join(
        f'<span style="width:{part.share:.4f}%;background:{part.colour};color:{part.ink}" '
        f'title="{esc(part.name)}: {part.count} of {of_all} ({part.share:.2f} %)">'
        f"<b>{part.count} · {part.share:.2f} %</b></span>"
        for part in parts
        if part.count
    )
    legend = "".join(
        f'<li class="legendtext"><i style="background:{part.colour}"></i>{esc(part.name)}: {part.count} ({part.share:.2f} %)'
        "</li>"
        for part in parts
    )
    return f'<div class="pl-bar" role="img" aria-label="{esc(told)}">{pieces}</div><ul class="pl-legend legend">{legend}</ul>'


def over_time(found: Progress, colour: str, slider: bool = True) -> str:
    """Return how the win rate and p came about, with a slider that tells the numbers after each step (which takes a script)."""
    if not found.steps:
        return ""
    last = found.steps[-1]
    steps = [[step.votes, step.queries, *_rounded(step)] for step in found.steps]
    rate = explained(
        f"Win rate of {found.first} after each vote",
        "The line is the win rate of all votes so far, the band its 95 % interval over queries. It should settle as votes "
        "come in. Automatic ties of identical answers stand at the start.",
        "over-time-rate",
    )
    proof = explained(
        "Anytime-valid p after each vote",
        "It can only fall: it is made of the strongest evidence so far. Below the dashed line (0.05) the votes tell the models "
        "apart, if the interval agrees. The scale is logarithmic.",
        "over-time-p",
    )
    few = (
        f" (one step for each {plural(math.ceil(last.votes / len(found.steps)), 'vote')})"
        if last.votes > len(found.steps)
        else ""
    )
    label = f"After how many votes{few}"
    scrub = (
        f'<label class="pl-scrub"><span>{esc(label)}</span><input type="range" min="1" max="{len(steps)}" '
        f'value="{len(steps)}" step="1"></label>'
    )
    return (
        f'<div class="pl-over-time" data-steps="{esc(json.dumps(steps))}" data-model="{esc(found.first)}">'
        f'<p class="pl-label">{rate}</p>{_plot(rate_lines(found, colour), rate_axis(), "a")}'
        f'<p class="pl-label">{proof}</p>{_plot(p_lines(found), p_axis(found), "b")}'
        f'<div class="pl-along"><span>0</span><span>{plural(last.votes, "vote")}</span></div>{scrub if slider else ""}'
        f'<p class="pl-readout" role="status">{esc(told(found.first, last))}</p></div>'
    )


def told(model: str, step: Step) -> str:
    """Return a step in words."""
    interval = "" if step.low is None else f" [{100 * step.low:.1f} – {100 * step.high:.1f}]"
    return (
        f"After {plural(step.votes, 'vote')} on {plural(step.queries, 'query', 'queries')}: win rate of {model} "
        f"{100 * step.rate:.1f} %{interval}, anytime-valid p {p_text(step.p_value)}."
    )


def _rounded(step: Step) -> list[object]:
    return [
        *(None if value is None else round(100 * value, 1) for value in (step.rate, step.low, step.high)),
        p_text(step.p_value),
    ]


def _plot(lines: str, axis: Axis, name: str) -> str:
    ticks = "".join(f'<span style="top:{place:.2f}%">{esc(label)}</span>' for place, label in axis.ticks)
    grid = "".join(f'<path class="pl-grid" d="M0 {place:.2f}H{WIDTH:.0f}"/>' for place, _ in axis.ticks)
    return (
        f'<div class="pl-plot" data-plot="{name}" aria-hidden="true">{ticks}<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" '
        f'preserveAspectRatio="none" focusable="false">{grid}<path class="pl-decides" d="M0 {axis.mark:.2f}H{WIDTH:.0f}"/>{lines}'
        '<path class="pl-cursor" d=""/></svg></div>'
    )


def rate_axis() -> Axis:
    """Return the scale of the win rate."""
    return Axis(tuple((100.0 - value, f"{value} %") for value in (100, 75, 50, 25, 0)), 50.0)


def p_axis(found: Progress) -> Axis:
    """Return the scale of p, a line for each power of ten."""
    deepest = _decades(found)
    every = max(1, math.ceil(deepest / 4))
    ticks = tuple(
        (100 * decade / deepest, "1" if not decade else f"{10.0**-decade:.{decade}f}" if decade < 4 else f"1e-{decade}")
        for decade in range(0, deepest + 1, every)
    )
    return Axis(ticks, 100 * -math.log10(ALPHA) / deepest)


def rate_lines(found: Progress, colour: str) -> str:
    """Return the band and the line of the win rate as SVG."""
    every = [(_across(found, step), step) for step in found.steps]
    sure = [(x, step) for x, step in every if step.low is not None]
    ends = [f"{x:.1f} {100 - 100 * step.high:.2f}" for x, step in sure]
    ends += [f"{x:.1f} {100 - 100 * step.low:.2f}" for x, step in reversed(sure)]
    band = f'<path d="M{"L".join(ends)}Z" fill="{colour}" fill-opacity=".22"/>' if sure else ""
    return band + _line([(x, 100 - 100 * step.rate) for x, step in every], colour)


def p_lines(found: Progress) -> str:
    """Return the line of p as SVG."""
    deepest = _decades(found)
    places = [
        (_across(found, step), 100 * min(deepest, -math.log10(max(step.p_value, 1e-300))) / deepest)
        for step in found.steps
    ]
    return _line(places, charts.TIE)


def _decades(found: Progress) -> int:
    # Beyond a few dozen nobody reads the difference.
    least = min((step.p_value for step in found.steps), default=1.0)
    return min(40, max(LEAST_DECADES, math.ceil(-math.log10(max(least, 1e-300)))))


def _across(found: Progress, step: Step) -> float:
    return WIDTH * step.votes / found.steps[-1].votes


def _line(places: Sequence[tuple[float, float]], colour: str) -> str:
    shown = "L".join(f"{x:.1f} {y:.2f}" for x, y in places)
    x, y = places[-1]
    # The end is a dot: a line without length with round ends keeps its form when the drawing is stretched.
    style = f'fill="none" stroke="{colour}" vector-effect="non-scaling-stroke"'
    return (
        f'<path d="M{shown}" {style} stroke-width="2.5"/>'
        f'<path d="M{x:.1f} {y:.2f}h0" {style} stroke-width="9" stroke-linecap="round"/>'
    )


def heat(fractions: WinFractions) -> str:
    """Return who beats whom as a table whose cells have colours: blue where the row's model wins, vermilion where it loses."""
    names = fractions.models[:MOST_MODELS]
    head = "".join(
        f'<th scope="col" class="pl-num" title="{esc(model)}">{number}</th>' for number, model in enumerate(names, 1)
    )
    hidden = len(fractions.models) - len(names)
    more = note(f"The {len(names)} models with the highest ratings; the file has {hidden} more.") if hidden else ""
    rows = "".join(
        f"<tr><th scope='row'>{i + 1} {esc(model)}</th>{''.join(_cell(fractions, i, j) for j in range(len(names)))}</tr>"
        for i, model in enumerate(names)
    )
    return (
        "<div class='pl-scroll' tabindex='0' role='region' aria-label='Who beats whom'><table class='pl-table pl-heat'>"
        f"<thead><tr><th scope='col'>Model against</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>{more}"
    )


def _cell(fractions: WinFractions, i: int, j: int) -> str:
    rate = fractions.rates[i][j]
    if rate is None:
        return "<td class='pl-num'>–</td>"
    votes, queries = plural(fractions.votes[i][j], "vote"), plural(fractions.queries[i][j], "query", "queries")
    about = f"{fractions.models[i]} against {fractions.models[j]}: win fraction {percent(rate)}, {votes} on {queries}"
    return (
        f"<td class='pl-num' style='background:{shade(rate)}' title='{esc(about)}'>{percent(rate)}<br>"
        f"<small>{votes}, {queries}</small></td>"
    )


def shade(rate: float) -> str:
    """Return the colour of a win fraction: neutral at one half."""
    end = charts.MODELS[0] if rate > 0.5 else charts.MODELS[1]
    colour = tuple(int(end[place : place + 2], 16) for place in (1, 3, 5))
    share = DEEPEST * abs(rate - 0.5) * 2
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(NEUTRAL, colour, strict=True))
