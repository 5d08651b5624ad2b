"""Files of the results, and links by which people who do not vote read them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _download, _html, _once, _picture, charts, pictures
from components._guard import allowed
from components._noting import noted
from components._session import person
from components.results import report
from pipeline import ranking
from pipeline.errors import ComparisonError
from pipeline.records import Role
from pipeline.report import Report, results_csv
from pipeline.revealed import Revealed
from pipeline.services import Services
from pipeline.store.links import ResultLink
from pipeline.vote_files import arena_jsonl, votes_csv, votes_jsonl

WARNING = (
    "Whoever has the link sees the results with the models' names, without signing in. Send it only to people who do not vote "
    "here any more. It shows the votes of the moment at which it is opened, and leads nowhere once you withdraw it."
)
COPY = "Copy it now: it is shown this once and cannot be looked up later."
_PRESSES_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-link]');
  if (button) trigger('expand', {link: button.dataset.link});
});
"""


@dataclass(frozen=True, slots=True)
class SharePanel:
    """Components of the part."""

    report: _download.Download
    votes: _download.Download
    jsonl: _download.Download
    arena: _download.Download
    numbers: _download.Download
    chart: _download.Download
    bar: _picture.Picture
    over_time: _picture.Picture
    make: gr.Button
    new: gr.HTML
    links: gr.HTML


class Links(NamedTuple):
    """Output order of the links."""

    new: str
    links: str


class ShareHandlers:
    """Files and links for those who have opened the results."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.comparisons
        self._shared = services.shared_results

    def download_votes(self, set_id: str | None, request: gr.Request) -> str:
        """Return the path of a CSV file of the votes, on every pair of the comparison."""
        return self._exported("pairloop-votes.csv", votes_csv(*self._votes(set_id, request)), set_id)

    def download_jsonl(self, set_id: str | None, request: gr.Request) -> str:
        """Return the path of a file of JSON lines with the same votes."""
        return self._exported("pairloop-votes.jsonl", votes_jsonl(*self._votes(set_id, request)), set_id)

    def download_arena(self, set_id: str | None, request: gr.Request) -> str:
        """Return the path of a file with the same votes in LMArena's columns."""
        return self._exported("pairloop-votes-lmarena.jsonl", arena_jsonl(*self._votes(set_id, request)[:3]), set_id)

    def _votes(self, set_id: str | None, request: gr.Request) -> tuple:
        return votes_of(self._services, chosen(set_id), person(self._services, request))

    def download_numbers(self, set_id: str | None, pair: str | None, request: gr.Request) -> str:
        """Return the path of a CSV file of the results."""
        return _download.write("pairloop-results.csv", results_csv(self._report(set_id, pair, request)))

    def download_report(self, set_id: str | None, pair: str | None, request: gr.Request) -> str:
        """Return the path of the report, an HTML file that needs nothing else."""
        found = self._report(set_id, pair, request)
        return _download.write("pairloop-report.html", report.page(found, self._colours(found.models)))

    def download_chart(self, set_id: str | None, pair: str | None, request: gr.Request) -> str:
        """Return the path of the chart as an HTML page of its own."""
        revealed = self._revealed(set_id, pair, request)
        counts = ranking.count_outcomes(revealed.votes, revealed.first, revealed.second)
        figure = charts.outcomes(counts, self._colours(list(revealed.models.values())))
        page = figure.to_html(include_plotlyjs=True, full_html=True, config=charts.CONFIG)
        return _download.write("pairloop-results.html", page)

    def draw_bar(self, set_id: str | None, pair: str | None, request: gr.Request) -> str:
        """Return the stacked bar as a picture."""
        revealed = self._revealed(set_id, pair, request)
        found = ranking.verdict(revealed.votes, revealed.first, revealed.second, revealed.in_order)
        return pictures.bar(found.counts, self._colours(list(revealed.models.values())), found.headline)

    def draw_over_time(self, set_id: str | None, pair: str | None, request: gr.Request) -> str:
        """Return what happened over time as a picture."""
        revealed = self._revealed(set_id, pair, request)
        found = ranking.progress(revealed.timeline, revealed.first, revealed.second)
        if not found.steps:
            raise ComparisonError("There are no votes on this pair yet, and so nothing to draw.")
        return pictures.over_time(found, self._colours(list(revealed.models.values()))[found.first])

    def make_link(self, set_id: str | None, request: gr.Request) -> Links:
        """Make a link, and show it this once."""
        me = person(self._services, request)
        token = self._shared.make(chosen(set_id), me)
        self._noted("link.made", set_id)
        link = f"{_once.address(request, self._services.settings.entry)}/results/{token}"
        return Links(_once.shown(link, "The new link", COPY), self.links_of(set_id, me))

    def withdraw(self, set_id: str | None, request: gr.Request, event: gr.EventData) -> Links:
        """Withdraw a link."""
        me = person(self._services, request)
        self._shared.withdraw(chosen(set_id), str(event._data.get("link", "")), me)
        self._noted("link.withdrawn", set_id)
        return Links("", self.links_of(set_id, me))

    def links_of(self, set_id: str, member_id: str) -> str:
        """Return the links of a comparison as a list."""
        return links(self._shared.links(set_id, member_id))

    def _exported(self, name: str, content: str, set_id: str | None) -> str:
        self._noted("votes.exported", set_id, {"format": name.partition(".")[2]})
        return _download.write(name, content)

    def _noted(self, action: str, set_id: str | None, detail: dict[str, object] | None = None) -> None:
        item = self._services.store.comparisons.set(chosen(set_id))
        noted(self._services, action, self._desk.blind_name(item), detail)

    def _colours(self, names: Sequence[str]) -> dict[str, str]:
        return colours(self._services, names)

    def _report(self, set_id: str | None, pair: str | None, request: gr.Request) -> Report:
        self._revealed(set_id, pair, request)
        return self._services.reports.report(chosen(set_id), number_of(pair))

    def _revealed(self, set_id: str | None, pair: str | None, request: gr.Request) -> Revealed:
        return revealed_pair(self._services, chosen(set_id), pair, person(self._services, request))


def votes_of(services: Services, set_id: str, member_id: str) -> tuple:
    """Return the votes on every pair, with the names of their models, their queries, and their comparison.

    Raises:
        ComparisonError: the results are not open to this person.
    """
    revealed = services.comparisons.results(set_id, member_id)
    queries = services.store.queries.by_ids(list({vote.query_id for vote in revealed.stored}))
    texts = {query.id: query.text for query in queries.values()}
    name = services.comparisons.name(services.store.comparisons.set(set_id), member_id)
    # Not the registry's names: where they are never shown, they are not in the file either.
    return revealed.stored, revealed.models, texts, {vote.comparison_id: name for vote in revealed.stored}


def chosen(set_id: str | None) -> str:
    """Return the id of the comparison that is chosen.

    Raises:
        ComparisonError: none is.
    """
    if not set_id:
        raise ComparisonError("Choose a comparison first.")
    return set_id


def number_of(pair: str | None) -> int:
    """Return the number of the pair that is chosen: a number, because the models' ids could tell their names."""
    return int(pair) if pair and pair.isdecimal() and len(pair) < 6 else 0


def revealed_pair(services: Services, set_id: str, pair: str | None, member_id: str) -> Revealed:
    """Return the results of a comparison on the pair of a number, the first where there is no such pair."""
    revealed = services.comparisons.results(set_id, member_id)
    number = number_of(pair)
    if not 0 < number < len(revealed.pairs):
        return revealed
    return services.comparisons.results(set_id, member_id, revealed.pairs[number])


def colours(services: Services, names: Sequence[str]) -> dict[str, str]:
    """Return the colours of models by name: those they have everywhere, or by their order where their names are not shown."""
    known = charts.colours([model.name for model in services.registry.all()])
    return known if set(names) <= known.keys() else charts.colours(names)


def build() -> SharePanel:
    """Lay out the part."""
    with gr.Accordion("Download and share", open=False, elem_id="results-share"):
        with gr.Row(elem_classes=["pl-files"]):
            whole = _download.build("Report (HTML, print it for a PDF)", "results-report")
            votes = _download.build("Votes (CSV)", "results-votes")
            jsonl = _download.build("Votes (JSONL)", "results-votes-jsonl")
            arena = _download.build("Votes (LMArena JSONL)", "results-votes-arena")
            numbers = _download.build("Results (CSV)", "results-numbers-csv")
            bar = _picture.build("Bar (PNG)", "results-bar-png", "pairloop-results.png")
            over_time = _picture.build("Over time (PNG)", "results-over-time-png", "pairloop-over-time.png")
            chart = _download.build("Bar (interactive HTML)", "results-picture")
        gr.HTML(f'<h3 class="pl-title">Link for viewers</h3>{_html.note(WARNING, "warn")}')
        make = gr.Button("Make a link", elem_id="results-link-make")
        new = gr.HTML("", js_on_load=_once.COPIES_JS, elem_id="results-link-new")
        listed = gr.HTML("", js_on_load=_PRESSES_JS, elem_id="results-links")
    return SharePanel(whole, votes, jsonl, arena, numbers, chart, bar, over_time, make, new, listed)


def wire(panel: SharePanel, handlers: ShareHandlers, set_id: gr.Dropdown, pair: gr.Dropdown) -> None:
    """Attach the listeners."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    for download, handler in (
        (panel.votes, handlers.download_votes),
        (panel.jsonl, handlers.download_jsonl),
        (panel.arena, handlers.download_arena),
    ):
        _download.wire(download, Role.ADMIN, handler, [set_id])
    for download, handler in (
        (panel.report, handlers.download_report),
        (panel.numbers, handlers.download_numbers),
        (panel.chart, handlers.download_chart),
    ):
        _download.wire(download, Role.VIEWER, handler, [set_id, pair])
    _picture.wire(panel.bar, Role.VIEWER, handlers.draw_bar, [set_id, pair])
    _picture.wire(panel.over_time, Role.VIEWER, handlers.draw_over_time, [set_id, pair])
    panel.make.click(allowed(Role.ADMIN, handlers.make_link, cost=1), set_id, [panel.new, panel.links], **quiet)
    withdraw: Callable = panel.links.expand
    withdraw(allowed(Role.ADMIN, handlers.withdraw), set_id, [panel.new, panel.links], **quiet)


def links(found: Sequence[tuple[ResultLink, str]]) -> str:
    """Return links with their date and who made them; those that lead somewhere can be withdrawn."""
    if not found:
        return _html.note("No link to these results was made yet.")
    return f'<ul class="pl-links">{"".join(_link(link, name) for link, name in found)}</ul>'


def _link(link: ResultLink, name: str) -> str:
    made = f"Made {_html.ago(link.created_at)} by {_html.esc(name or 'somebody')}"
    if link.withdrawn_at is not None:
        return f"<li><span>{made}; withdrawn {_html.ago(link.withdrawn_at)}</span></li>"
    day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(link.created_at))
    return (
        f'<li><span>{made}</span> <button type="button" class="pl-plain-button" data-link="{_html.esc(link.id)}" '
        f'aria-label="Withdraw the link of {day}">Withdraw</button></li>'
    )
