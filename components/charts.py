"""Charts, drawn by plotly in the browser. Colours are Okabe and Ito's, which colour-blind people can tell apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go
from gradio.components.plot import PlotData

from pipeline.ranking import OutcomeCounts, WinFractions, shares
from pipeline.ranking.verdict import percent

MODELS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
TIE, BOTH_BAD = "#8C8C8C", "#4D4D4D"
# What can be read on the two dark ones; on the others it is black.
_WHITE_ON = (MODELS[0], BOTH_BAD)
# Zoom, pan and select mean nothing in these charts.
CONFIG = {"displayModeBar": False}
# From always lost to always won, by way of a light neutral: blue and vermilion, which colour-blind people can tell apart.
_LOST_TO_WON = [[0.0, MODELS[1]], [0.5, "#F1EEE8"], [1.0, MODELS[0]]]
# Up to so many models a cell has room for its numbers.
_WITH_NUMBERS = 12


def colours(models: Sequence[str]) -> dict[str, str]:
    """Return the colour of each model by its name; ``models`` is every model in the order of registration.

    That order never changes, so a model keeps its colour. There are six: the seventh model has that of the first.
    """
    return {model: MODELS[place % len(MODELS)] for place, model in enumerate(models)}


def shown(figure: go.Figure) -> PlotData:
    """Return a figure as gr.Plot takes it together with plotly's configuration, which is no part of a figure."""
    return PlotData(type="plotly", plot=json.dumps({**json.loads(figure.to_json()), "config": CONFIG}))


def outcomes(counts: OutcomeCounts, colour_of: Mapping[str, str]) -> go.Figure:
    """Return the stacked bar of one pair: wins of the first, ties, both bad, wins of the second."""
    first, second = colour_of[counts.first], colour_of[counts.second]
    if second == first:
        second = MODELS[(MODELS.index(first) + 1) % len(MODELS)]
    of_all = shares(counts)
    parts = (
        (f"{counts.first} better", counts.wins, of_all.wins, first),
        ("tie", counts.ties, of_all.ties, TIE),
        ("both bad", counts.both_bad, of_all.both_bad, BOTH_BAD),
        (f"{counts.second} better", counts.losses, of_all.losses, second),
    )
    figure = go.Figure()
    for name, count, share, colour in parts:
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
            textfont={"color": "#ffffff" if colour in _WHITE_ON else "#111111", "size": 15},
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


def heat_map(fractions: WinFractions) -> go.Figure:
    """Return the win fraction of each model (row) against each other one (column), with n in the cell or on hover.

    Its size is fixed, so that a cell stays readable: where the window is narrower, the place around it scrolls.
    """
    names, many = fractions.models, len(fractions.models)
    roomy = many <= _WITH_NUMBERS
    rows = [f"{number}  {_short(name)}" for number, name in enumerate(names, 1)]
    cells = [[_met(rate, fractions.votes[i][j]) for j, rate in enumerate(row)] for i, row in enumerate(fractions.rates)]
    told = [[_told(fractions, i, j) for j in range(many)] for i in range(many)]
    figure = go.Figure(
        go.Heatmap(
            # Places and not names: two models may be called alike once their names are cut short.
            x=list(range(many)),
            y=list(range(many)),
            z=fractions.rates,
            zmin=0,
            zmax=1,
            colorscale=_LOST_TO_WON,
            showscale=False,
            xgap=2,
            ygap=2,
            text=cells,
            texttemplate="%{text}" if roomy else "",
            textfont={"size": 14},
            customdata=told,
            hovertemplate="%{customdata}<extra></extra>",
            hoverongaps=False,
        )
    )
    size, label = (72 if roomy else 30), 14 + 8 * max(map(len, rows))
    axis = {"tickvals": list(range(many)), "fixedrange": True, "showgrid": False, "zeroline": False}
    figure.update_layout(
        width=label + size * many + 16,
        height=40 + (50 if roomy else size) * many,
        margin={"l": label, "r": 8, "t": 32, "b": 8},
        xaxis={**axis, "ticktext": [str(number) for number in range(1, many + 1)], "side": "top", "tickangle": 0},
        yaxis={**axis, "ticktext": rows, "autorange": "reversed"},
    )
    return _neutral(figure)


def _short(name: str) -> str:
    # Plotly reads some markup in labels.
    return escape(name if len(name) <= 22 else f"{name[:21]}…")


def _met(rate: float | None, votes: int) -> str:
    return "" if rate is None else f"{percent(rate)}<br>n = {votes:,}"


def _told(fractions: WinFractions, i: int, j: int) -> str:
    rate = fractions.rates[i][j]
    if rate is None:
        return ""
    return (
        f"{escape(fractions.models[i])} against {escape(fractions.models[j])}:<br>win fraction {percent(rate)}, "
        f"{fractions.votes[i][j]:,} votes on {fractions.queries[i][j]:,} queries"
    )


def loss(losses: Sequence[float], model: str, colour: str) -> go.Figure:
    """Return the training loss per step."""
    figure = go.Figure(go.Scatter(x=list(range(len(losses))), y=list(losses), mode="lines", line={"color": colour}))
    figure.update_layout(
        title={"text": f"Training loss of {model}", "font": {"size": 15}},
        height=240,
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        xaxis={"title": "step", "fixedrange": True, "tickformat": "d", "nticks": min(len(losses), 12)},
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
