"""All models together: ratings with intervals and shared ranks, and who beats whom, over what a person has opened."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _download, _html, _picture, drawings, pictures
from components._guard import allowed
from components._session import person
from components.explained import explained, heads
from pipeline.errors import ComparisonError
from pipeline.ranking import Leaderboard, RatedGroup, Rating, TieModel
from pipeline.ranking.verdict import percent, plural
from pipeline.records import Role
from pipeline.services import Services
from pipeline.standings import Standings, pairs_csv, standings_csv

TIES = [("half a win for each", TieModel.HALF_WINS.value), ("an outcome of their own", TieModel.DAVIDSON.value)]
_HEADS = (
    ("Rank", "pl-num", "1 + the number of models whose interval lies wholly above this one; models may share a rank"),
    ("Model", "", "The model's name"),
    ("Rating", "pl-num", "Bradley–Terry on the Elo scale; the mean of the models is 1000"),
    ("95 % interval", "pl-num", "From resampling queries, not votes"),
    ("", "", "Line"),
    ("Queries", "pl-num", "Different queries that this model's votes are on"),
    ("Votes", "pl-num", "Votes on this model, automatic ties included"),
    ("Wins, ties, losses", "pl-num", "Ties hold both bad too"),
)
EXPLAINED = (
    "A model that is rated 100 points above another one wins about 64 % of the votes between them, with 200 points 76 %, "
    "with 400 points 91 % (a tie counting as half a win). Ratings are maximum likelihood (Bradley and Terry, 1952).",
    "Half a win for each is the usual way to count ties and both bad. Where ties are common it presses the models together; "
    "then count ties as an outcome of their own (Davidson, 1970), which estimates how often equal models tie.",
    "The interval comes from 1,000 resamples of the queries, since votes on one query are not independent. Ranks are shared "
    "where intervals overlap: 2 and 2 means that the votes do not tell these two apart.",
    "Who beats whom: the win fraction is wins and half of the ties and both bad, over the votes of the two. 50 % means that "
    "neither is preferred.",
)


@dataclass(frozen=True, slots=True)
class LeaderboardPanel:
    """Components of the part."""

    summary: gr.HTML
    content: gr.Column
    ties: gr.Radio
    table: gr.HTML
    heat: gr.HTML
    picture: _picture.Picture
    ratings_file: _download.Download
    pairs_file: _download.Download
    votes_file: _download.Download


class Shown(NamedTuple):
    """Output order of the part."""

    summary: str
    content: gr.Column
    table: str
    heat: str


class LeaderboardHandlers:
    """The standings as one person may see them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.standings

    def show_models(self, ties: str | None, request: gr.Request) -> Shown:
        """Show the standings over what this person has opened, or say what is missing."""
        found = self._standings(ties, request)
        if len(found.board.ratings) < 2:
            return Shown(summary(found), gr.Column(visible=False), "", "")
        return Shown(summary(found), gr.Column(visible=True), table(found), drawings.heat(found.fractions))

    def stamp(self, request: gr.Request) -> Hashable:
        """Return a value that changes with the votes behind the standings."""
        return self._desk.stamp(person(self._services, request))

    def draw_heat(self, ties: str | None, request: gr.Request) -> str:
        """Return who beats whom as a picture."""
        return pictures.heat(self._with_votes(ties, request).fractions)

    def download_ratings(self, ties: str | None, request: gr.Request) -> str:
        """Return the path of a CSV file of the ratings."""
        return _download.write("pairloop-leaderboard.csv", standings_csv(self._with_votes(ties, request)))

    def download_pairs(self, ties: str | None, request: gr.Request) -> str:
        """Return the path of a CSV file of who beats whom."""
        return _download.write("pairloop-pairs.csv", pairs_csv(self._with_votes(ties, request).fractions))

    def download_counted(self, request: gr.Request) -> str:
        """Return the path of a CSV file of the votes behind the ratings."""
        return _download.write("pairloop-all-votes.csv", self._desk.votes_csv(person(self._services, request)))

    def _standings(self, ties: str | None, request: gr.Request) -> Standings:
        known = {model.value: model for model in TieModel}
        return self._desk.standings(person(self._services, request), known.get(ties or "", TieModel.HALF_WINS))

    def _with_votes(self, ties: str | None, request: gr.Request) -> Standings:
        found = self._standings(ties, request)
        if not found.votes:
            raise ComparisonError("No vote counts yet. Open the results of a comparison first.")
        return found


def build() -> LeaderboardPanel:
    """Lay out the part."""
    gr.HTML('<h3 class="pl-title pl-all-models">All models</h3>')
    about = gr.HTML("", elem_id="results-models")
    with gr.Column(visible=False) as content:
        ties = gr.Radio(TIES, value=TIES[0][1], label="Ties and both bad count as", elem_id="results-ties")
        # Gradio would refuse what is none of the choices before the handler can.
        ties.preprocess = lambda value: value
        ratings = gr.HTML("", elem_id="results-leaderboard")
        gr.HTML(f'<h3 class="pl-title">{explained("Who beats whom", EXPLAINED[-1], "who-beats-whom")}</h3>')
        heat = gr.HTML("", elem_id="results-heat")
        with gr.Row(elem_classes=["pl-files"]):
            picture = _picture.build(
                "Picture of who beats whom (PNG)", "results-heat-png", "pairloop-who-beats-whom.png"
            )
            ratings_file = _download.build("Download ratings (CSV)", "results-ratings-csv")
            pairs_file = _download.build("Download who beats whom (CSV)", "results-pairs-csv")
            votes_file = _download.build("Download all these votes (CSV)", "results-counted-csv")
    return LeaderboardPanel(about, content, ties, ratings, heat, picture, ratings_file, pairs_file, votes_file)


def wire(panel: LeaderboardPanel, handlers: LeaderboardHandlers, opened: list[Callable]) -> None:
    """Attach the listeners; each of ``opened`` registers for an event after which the part should be shown anew."""
    screen = outputs(panel)
    # A large leaderboard takes seconds, in a thread; nobody else has to wait for it.
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 4}
    for event in [*opened, panel.ties.input]:
        event(allowed(Role.VIEWER, handlers.show_models), panel.ties, screen, **quiet)
    _picture.wire(panel.picture, Role.VIEWER, handlers.draw_heat, [panel.ties])
    _download.wire(panel.ratings_file, Role.VIEWER, handlers.download_ratings, [panel.ties])
    _download.wire(panel.pairs_file, Role.VIEWER, handlers.download_pairs, [panel.ties])
    _download.wire(panel.votes_file, Role.VIEWER, handlers.download_counted, [])


def outputs(panel: LeaderboardPanel) -> list[gr.components.Component]:
    """Return the components that :class:`Shown` is for."""
    return [panel.summary, panel.content, panel.table, panel.heat]


def summary(found: Standings) -> str:
    """Return what the standings rest on, and what is left out."""
    closed = ""
    if found.closed:
        its, is_ = ("their", "comparisons are") if found.closed > 1 else ("its", "comparison is")
        closed = f" {found.closed:,} more {is_} left out until you open {its} results."
    if len(found.board.ratings) < 2:
        seen = (
            f"none of the {found.opened:,} that you have opened has any" if found.opened else "you have opened none yet"
        )
        if found.opened == 1:
            seen = "the one that you have opened has none"
        return _html.note(
            f"Models are ranked here once a comparison whose results you opened has votes; {seen}.{closed}"
        )
    ties = f" ({plural(found.automatic, 'automatic tie')} of identical answers among them)" if found.automatic else ""
    return _html.note(
        f"{plural(len(found.board.ratings), 'model')}, {plural(found.votes, 'vote')}{ties} on "
        f"{plural(found.queries, 'query', 'queries')}, from {plural(found.opened, 'comparison')} that you have opened."
        f"{closed}"
    )


def table(found: Standings) -> str:
    """Return the ratings, a table for each group of models that met."""
    return ratings(found.board)


def ratings(board: Leaderboard) -> str:
    """Return a leaderboard, a table for each group of models that met."""
    ends = [end for rating in board.ratings for end in (rating.low, rating.high, rating.rating) if end is not None]
    low, high = min(ends), max(ends)
    shown = [_html.note(board.note, "warn")] if board.note else []
    for number, group in enumerate(board.groups, 1):
        title = f"Group {number}: {plural(group.votes, 'vote')} on {plural(group.queries, 'query', 'queries')}"
        shown.append(f"<p class='pl-label'>{title}</p>" if len(board.groups) > 1 else "")
        shown.append(_group(group, title, low, high, number))
        shown.append(_html.note(group.note, "warn") if group.note else "")
        if group.closeness is not None:
            equal = group.closeness / (2 + group.closeness)
            shown.append(
                _html.note(f"Two models of equal strength tie {percent(equal)} of their votes (Davidson's ν).")
            )
    told = "".join(f"<p>{_html.esc(text)}</p>" for text in EXPLAINED)
    return "".join(shown) + f'<details class="pl-more"><summary>How to read this</summary>{told}</details>'


def _group(group: RatedGroup, title: str, low: float, high: float, number: int) -> str:
    shown = heads(_HEADS, f"rating-{number}")
    rows = "".join(_row(rating, low, high) for rating in group.ratings)
    return (
        f"<div class='pl-scroll' tabindex='0' role='region' aria-label='Ratings, {title}'><table class='pl-table'><thead>"
        f"<tr>{shown}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(rating: Rating, low: float, high: float) -> str:
    interval = "–" if rating.low is None else f"{rating.low:.0f} – {rating.high:.0f}"
    counts = f"{rating.wins:,}, {rating.ties:,}, {rating.losses:,}"
    return (
        f"<tr><td class='pl-num'>{rating.rank}</td><th scope='row'>{_html.esc(rating.model)}</th>"
        f"<td class='pl-num'><b>{rating.rating:.0f}</b></td><td class='pl-num'>{interval}</td>"
        f"<td>{_line(rating, low, high)}</td><td class='pl-num'>{rating.queries:,}</td>"
        f"<td class='pl-num'>{rating.votes:,}</td><td class='pl-num'>{counts}</td></tr>"
    )


def _line(rating: Rating, low: float, high: float) -> str:
    def place(value: float) -> float:
        return 50.0 if high == low else 100 * (value - low) / (high - low)

    ends = (rating.rating, rating.rating) if rating.low is None else (rating.low, rating.high)
    left, right = place(ends[0]), 100 - place(ends[1])
    return (
        f"<span class='pl-range' aria-hidden='true'><i style='left:{left:.1f}%;right:{right:.1f}%'></i>"
        f"<b style='left:{place(rating.rating):.1f}%'></b></span>"
    )
