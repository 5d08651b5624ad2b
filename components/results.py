"""Results: who wins, how sure that is, and what may be concluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _download, _html, charts, leaderboard, results_checks, results_slices
from components._choices import build_dropdown, dropdown
from components._errors import shows_errors
from components._session import person
from pipeline import ranking
from pipeline.errors import ComparisonError
from pipeline.ranking.verdict import RULE, Verdict, p_text, plural
from pipeline.revealed import Revealed
from pipeline.services import Services
from pipeline.vote_files import votes_csv


@dataclass(frozen=True, slots=True)
class ResultsTab:
    """Components of the tab."""

    root: gr.Tab
    chosen: gr.Dropdown
    gate: gr.Column
    gate_text: gr.HTML
    reveal: gr.Button
    content: gr.Column
    headline: gr.HTML
    chart: gr.Plot
    numbers: gr.HTML
    checks: gr.HTML
    slice_by: gr.Dropdown
    slices: gr.HTML
    votes: _download.Download
    picture: _download.Download
    models: leaderboard.LeaderboardPanel


class Screen(NamedTuple):
    """Output order of the tab."""

    gate: gr.Column
    gate_text: str
    reveal: gr.Button
    content: gr.Column
    headline: str
    chart: gr.Plot
    numbers: str
    checks: str
    slice_by: gr.Dropdown
    slices: str


class ResultsHandlers:
    """Results of one comparison at a time, for those who have opened them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.comparisons
        self._details = services.result_details
        self.models = leaderboard.LeaderboardHandlers(services)

    def load_comparisons(self, chosen: str | None, request: gr.Request) -> gr.Dropdown:
        """Return the comparisons; one names its models only to a person who has opened its results."""
        me = person(self._services, request)
        choices = [
            (item.name if self._desk.is_revealed(item.id, me) else self._desk.blind_name(item), item.id)
            for item in self._desk.sets()
            if item.state == "open"
        ]
        return dropdown(choices, chosen)

    def show_results(self, set_id: str | None, request: gr.Request) -> Screen:
        """Show the results, or what opening them would mean."""
        if not set_id:
            return _closed(
                _html.empty("No comparison yet", "Make one on Compare, judge its pairs, and read the result here."),
                False,
            )
        me = person(self._services, request)
        if not self._desk.is_revealed(set_id, me):
            return self._gate(set_id, me)
        revealed = self._desk.results(set_id, me)
        told = results_checks.checks(
            revealed.votes, self._details.names(), self._details.adjusted(set_id, revealed) if revealed.votes else None
        )
        return _screen(revealed, self._colours(), told, results_slices.choices(self._details.keys(revealed)))

    def show_slices(self, set_id: str | None, key: str | None, request: gr.Request) -> str:
        """Return the results in parts, or nothing where all votes are looked at together."""
        if not key:
            return ""
        revealed = self._revealed(set_id, request)
        return results_slices.table(self._details.slices(revealed, key), revealed.first)

    def reveal_results(self, set_id: str | None, request: gr.Request) -> Screen:
        """Open the results to this person, which ends their voting, and show them."""
        if not set_id:
            raise ComparisonError("Choose a comparison first.")
        self._desk.reveal(set_id, person(self._services, request))
        return self.show_results(set_id, request)

    def download_votes(self, set_id: str | None, request: gr.Request) -> str:
        """Return the path of a CSV file of the votes."""
        revealed = self._revealed(set_id, request)
        models = {model.id: model.name for model in self._services.registry.all()}
        queries = self._services.store.queries.by_ids([vote.query_id for vote in revealed.stored])
        texts = {query.id: query.text for query in queries.values()}
        return _download.write("pairloop-votes.csv", votes_csv(revealed.stored, models, texts))

    def download_chart(self, set_id: str | None, request: gr.Request) -> str:
        """Return the path of the chart as an HTML page of its own."""
        revealed = self._revealed(set_id, request)
        counts = ranking.count_outcomes(revealed.votes, revealed.first, revealed.second)
        figure = charts.outcomes(counts, self._colours())
        page = figure.to_html(include_plotlyjs=True, full_html=True, config=charts.CONFIG)
        return _download.write("pairloop-results.html", page)

    def _colours(self) -> dict[str, str]:
        return charts.colours([model.name for model in self._services.registry.all()])

    def _revealed(self, set_id: str | None, request: gr.Request) -> Revealed:
        if not set_id:
            raise ComparisonError("Choose a comparison first.")
        return self._desk.results(set_id, person(self._services, request))

    def _gate(self, set_id: str, me: str) -> Screen:
        done, total = self._desk.progress(set_id, me)
        if done < total:
            title = f"You have {total - done} of {total} pairs left to judge"
            text = "The results tell which model wrote which answer. Opening them ends your voting on this comparison."
        else:
            title = "You have judged every pair" if total else "Every answer was identical"
            text = "Opening the results makes your votes final: undo ends."
        return _closed(_html.empty(title, text), True)


def build() -> ResultsTab:
    """Lay out the tab."""
    with gr.Tab("Results", id="results") as root, gr.Column(elem_id="results-screen", elem_classes=["pl-screen"]):
        chosen = build_dropdown("Comparison", "results-chosen")
        with gr.Column(visible=False) as gate:
            gate_text = gr.HTML("")
            reveal = gr.Button("Open the results", variant="primary", elem_id="results-reveal")
        with gr.Column(visible=False) as content:
            headline = gr.HTML("", elem_id="results-headline")
            chart = gr.Plot(show_label=False, elem_id="results-chart")
            numbers = gr.HTML("", elem_id="results-numbers")
            checks = gr.HTML("", elem_id="results-checks")
            slice_by = build_dropdown("Look at parts of the votes", "results-slice-by")
            slices = gr.HTML("", elem_id="results-slices")
            with gr.Row():
                votes = _download.build("Download votes (CSV)", "results-votes")
                picture = _download.build("Download chart (HTML)", "results-picture")
        models = leaderboard.build()
    return ResultsTab(
        root, chosen, gate, gate_text, reveal, content, headline, chart, numbers, checks, slice_by, slices, votes, picture,
        models,
    )  # fmt: skip


def wire(tab: ResultsTab, handlers: ResultsHandlers) -> None:
    """Attach the listeners."""
    screen = [
        tab.gate, tab.gate_text, tab.reveal, tab.content, tab.headline, tab.chart, tab.numbers, tab.checks, tab.slice_by,
        tab.slices,
    ]  # fmt: skip
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    opened = tab.root.select(shows_errors(handlers.load_comparisons), tab.chosen, tab.chosen, **quiet)
    opened.success(shows_errors(handlers.show_results), tab.chosen, screen, **quiet)
    tab.chosen.input(shows_errors(handlers.show_results), tab.chosen, screen, **quiet)
    revealed = tab.reveal.click(shows_errors(handlers.reveal_results), tab.chosen, screen, **quiet)
    revealed.success(shows_errors(handlers.load_comparisons), tab.chosen, tab.chosen, **quiet)
    tab.slice_by.input(shows_errors(handlers.show_slices), [tab.chosen, tab.slice_by], tab.slices, **quiet)
    leaderboard.wire(tab.models, handlers.models, [tab.root.select, revealed.success])
    _download.wire(tab.votes, handlers.download_votes, [tab.chosen])
    _download.wire(tab.picture, handlers.download_chart, [tab.chosen])


def _screen(
    revealed: Revealed, colours: Mapping[str, str], checks: str, slice_choices: list[tuple[str, str]]
) -> Screen:
    verdict = ranking.verdict(revealed.votes, revealed.first, revealed.second)
    return Screen(
        gate=gr.Column(visible=False),
        gate_text="",
        reveal=gr.Button(visible=False),
        content=gr.Column(visible=True),
        headline=headline(verdict),
        chart=gr.Plot(charts.shown(charts.outcomes(verdict.counts, colours)), visible=verdict.counts.votes > 0),
        numbers=numbers(verdict, revealed.automatic_ties) + prepared(revealed.summary),
        checks=checks,
        slice_by=gr.Dropdown(choices=slice_choices, value="", visible=len(slice_choices) > 1),
        slices="",
    )


def _closed(text: str, can_open: bool) -> Screen:
    return Screen(
        gate=gr.Column(visible=True),
        gate_text=text,
        reveal=gr.Button(visible=can_open),
        content=gr.Column(visible=False),
        headline="",
        chart=gr.Plot(None),
        numbers="",
        checks="",
        slice_by=gr.Dropdown(choices=[], value=None),
        slices="",
    )


def headline(verdict: Verdict) -> str:
    """Return what may be concluded, in words."""
    counted = "".join(f"<small>{_html.esc(sentence)}</small>" for sentence in verdict.details[:1])
    rest = "".join(f"<p>{_html.esc(sentence)}</p>" for sentence in verdict.details[1:])
    more = f'<details class="pl-more"><summary>How this is concluded</summary>{rest}</details>' if rest else ""
    return f'<p class="pl-headline">{_html.esc(verdict.headline)}{counted}</p>{more}'


def numbers(verdict: Verdict, automatic_ties: int) -> str:
    """Return the table of numbers, each with what it means."""
    counts, rate, sign, anytime = verdict.counts, verdict.rate, verdict.sign, verdict.anytime
    interval = f" [{100 * rate.low:.1f} – {100 * rate.high:.1f}]" if rate.low is not None else ""
    rows = (
        (
            f"Win rate of {counts.first}",
            "–" if rate.rate is None else f"{100 * rate.rate:.2f} %{interval}",
            "Wins and half of the ties and both bad, over all votes, with its 95 % interval over queries. "
            f"50 % means that neither is preferred. {rate.note}",
        ),
        (
            "Queries, votes, annotators",
            f"{counts.queries}, {counts.votes}, {counts.annotators}",
            _given_by(counts.votes, automatic_ties),
        ),
        (
            "Sign test",
            f"p {p_text(sign.p_value)}",
            f"Exact and two-sided, over queries: {sign.wins} won by {counts.first}, {sign.losses} by {counts.second}, "
            f"{sign.even} even. Meant for one look after the last vote.",
        ),
        (
            "Anytime-valid p",
            f"p {p_text(anytime.p_value)}",
            f"Stays valid however often you look while votes come in. {RULE}",
        ),
    )
    body = "".join(
        f"<tr><td><b>{_html.esc(name)}</b></td><td class='pl-num'>{_html.esc(value)}</td><td>{_html.esc(text)}</td></tr>"
        for name, value, text in rows
    )
    return f"<div class='pl-scroll' tabindex='0'><table class='pl-table'><tbody>{body}</tbody></table></div>"


def _given_by(votes: int, automatic: int) -> str:
    if automatic:
        are = "is an automatic tie" if automatic == 1 else "are automatic ties"
        return (
            f"{automatic} of the votes {are}: both answers were identical, which counts once for each person who judged "
            "every pair that is shown, and once at least."
        )
    return "Every vote was given by a person." if votes else "Nobody has voted yet."


def prepared(summary: Mapping[str, int]) -> str:
    """Return what became of the test queries when the comparison was made; what did not happen is left out."""
    pairs, identical, failed, barred = (summary.get(name, 0) for name in ("pairs", "identical", "failed", "barred"))
    same = f", {identical} of them with identical answers" if identical else ""
    parts = [
        f"{plural(pairs, 'query', 'queries')} compared{same}",
        f"{failed} without an answer" if failed else "",
        f"{barred} barred because {'it is' if barred == 1 else 'they are'} reviewed on Edit" if barred else "",
    ]
    return _html.note(f"{'; '.join(filter(None, parts))}.")
