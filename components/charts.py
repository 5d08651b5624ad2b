"""Charts, drawn by plotly in the browser. Colours are Okabe and Ito's, which colour-blind people can tell apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import plotly.graph_objects as go
from gradio.components.plot import PlotData

from pipeline.ranking import OutcomeCounts, shares

MODELS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
TIE, BOTH_BAD = "#8C8C8C", "#4D4D4D"
# What can be read on the two dark ones; on the others it is black.
_WHITE_ON = (MODELS[0], BOTH_BAD)
# Zoom, pan and select mean nothing in these charts.
CONFIG = {"displayModeBar": False}


def colours(models: Sequence[str]) -> dict[str, str]:
    """Return the colour of each model by its name; ``models`` is every model in the order of registration.

    That order never changes, so a model keeps its colour. There are six: the seventh model has that of the first.
    """
    return {model: MODELS[place % len(MODELS)] for place, model in enumerate(models)}


def shown(figure: go.Figure) -> PlotData:
    """Return a figure as gr.Plot takes it together with plotly's configuration, which is no part of a figure."""
    return PlotData(type="plotly", plot=json.dumps({**json.loads(figure.to_json()), "config": CONFIG}))


class Part(NamedTuple):
    """A part of the stacked bar: ``share`` is in per cent of all votes, ``ink`` can be read on its colour."""

    name: str
    count: int
    share: float
    colour: str
    ink: str


def parts(counts: OutcomeCounts, colour_of: Mapping[str, str]) -> tuple[Part, ...]:
    """Return the parts of the stacked bar of a pair: wins of the first, ties, both bad, wins of the second."""
    first, second = colour_of[counts.first], colour_of[counts.second]
    if second == first:
        second = MODELS[(MODELS.index(first) + 1) % len(MODELS)]
    of_all = shares(counts)
    found = (
        (f"{counts.first} better", counts.wins, of_all.wins, first),
        ("tie", counts.ties, of_all.ties, TIE),
        ("both bad", counts.both_bad, of_all.both_bad, BOTH_BAD),
        (f"{counts.second} better", counts.losses, of_all.losses, second),
    )
    return tuple(Part(*part, "#ffffff" if part[-1] in _WHITE_ON else "#111111") for part in found)


def _plain(text: str) -> str:
    """Return a name for plotly, which reads tags, entities and %{...} in texts."""
    return escape(text, quote=False).replace("%{", "%&#123;")


def outcomes(counts: OutcomeCounts, colour_of: Mapping[str, str]) -> go.Figure:
    """Return the stacked bar of one pair: wins of the first, ties, both bad, wins of the second."""
    figure = go.Figure()
    for part, count, share, colour, ink in parts(counts, colour_of):
        name = _plain(part)
        label = f"{count} · {share:.2f} %" if share >= 9 else (str(count) if share >= 3 else "")
        figure.add_bar(
            x=[share],
            y=["votes"],
            orientation="h",
            name=f"{name}: {count} ({share:.2f} %)",
            text=[label],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": ink, "size": 15},
            marker={"color": colour, "line": {"color": "#ffffff", "width": 1}},
            hovertemplate=f"{name}: {count} of {counts.votes} votes ({share:.2f} %)<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        height=240,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        # At the foot of the figure and not of the plot: on a phone the legend has four lines.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        xaxis={"range": [0, 100], "ticksuffix": " %", "fixedrange": True},
        # A label that does not fit is left out, not shrunk: the legend says the same.
        uniformtext={"minsize": 14, "mode": "hide"},
        yaxis={"visible": False, "fixedrange": True},
        bargap=0.15,
    )
    return _neutral(figure)


def losses(curves: Mapping[str, Sequence[tuple[int, float]]], model: str, colour: str) -> go.Figure:
    """Return the loss over the steps: the curve of the training first, those of held-back rows dashed and in grey."""
    figure = go.Figure()
    for place, (label, points) in enumerate(curves.items()):
        line = {"color": colour} if not place else {"color": TIE, "dash": "dash"}
        mode = "lines" if len(points) > 2 else "lines+markers"
        steps, values = [step for step, _ in points], [value for _, value in points]
        figure.add_scatter(x=steps, y=values, mode=mode, name=_plain(label), line=line)
    longest = max(len(points) for points in curves.values())
    figure.update_layout(
        title={"text": f"Loss of {_plain(model)}", "font": {"size": 15}},
        height=270 if len(curves) > 1 else 240,
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        showlegend=len(curves) > 1,
        # Below the plot: on a phone there is no room for it beside the title.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        xaxis={"title": "step", "fixedrange": True, "tickformat": "d", "nticks": min(longest, 12)},
        yaxis={"title": "loss", "fixedrange": True, "rangemode": "tozero"},
    )
    return _neutral(figure)


def _neutral(figure: go.Figure) -> go.Figure:
    # Transparent, in a grey that reads on the light and on the dark surface: the figure does not know which one it is on.
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "#7d776d", "size": 14, "family": "system-ui, sans-serif"},
    )
    figure.update_xaxes(gridcolor="rgba(128,128,128,.25)", automargin=True)
    figure.update_yaxes(gridcolor="rgba(128,128,128,.25)", automargin=True)
    return figure
