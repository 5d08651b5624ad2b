"""Results: who wins, how sure that is, and what may be concluded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html, drawings
from components._choices import build_dropdown, dropdown, remember
from components._guard import allowed
from components._session import is_covered, person
from components.results import checks as results_checks
from components.results import judge, leaderboard, vote_import, vote_list
from components.results import share as results_share
from components.results import slices as results_slices
from components.results.numbers import about, criteria, headline, numbers, prepared
from components.results.share import chosen, colours, number_of, revealed_pair
from pipeline import ranking
from pipeline.comparison_settings import ComparisonSettings, Kind, RevealPolicy, VoteForm
from pipeline.ranking import Verdict
from pipeline.ranking.verdict import plural
from pipeline.records import Role
from pipeline.revealed import Revealed
from pipeline.services import Services

LIVE = "Votes that come in are counted here by themselves, every few seconds."
# Asks for what is new while the tab is open and somebody looks; it ends with the results that it is part of.
_LIVE_JS = """
const each = setInterval(() => {
  if (!element.isConnected) { clearInterval(each); return; }
  const screen = document.querySelector('#results-screen');
  if (document.visibilityState === 'visible' && screen && screen.offsetParent) trigger('tick');
}, 3000);
"""
# What was chosen before, and beside it the vote that a link leads to: a dropdown takes its own choices only.
_VOTE_FIRST_JS = "(chosen) => [(BEFORE)(chosen), window.pairloopPlaces.peek('vote')]"
_WATCH_JS = "window.pairloopResults.watch(element);"
# What takes long is computed again for live screens after ten times as long at the earliest.
REST = 10


@dataclass(frozen=True, slots=True)
class ResultsTab:
    """Components of the tab."""

    root: gr.Tab
    chosen: gr.Dropdown
    pair: gr.Dropdown
    gate: gr.Column
    gate_text: gr.HTML
    reveal: gr.Button
    content: gr.Column
    headline: gr.HTML
    chart: gr.HTML
    numbers: gr.HTML
    criteria: gr.HTML
    over_time: gr.HTML
    checks: gr.HTML
    slice_by: gr.Dropdown
    slices: gr.HTML
    live: gr.HTML
    seen: gr.State
    share: results_share.SharePanel
    judge: judge.JudgePanel
    models: leaderboard.LeaderboardPanel
    bring: vote_import.VoteImport
    votes: vote_list.VoteListPanel


class Screen(NamedTuple):
    """Output order of the tab."""

    pair: gr.Dropdown
    gate: gr.Column
    gate_text: str
    reveal: gr.Button
    content: gr.Column
    headline: str
    chart: gr.HTML
    numbers: str
    criteria: str
    over_time: str
    checks: str
    slice_by: gr.Dropdown
    slices: str
    seen: Seen | None
    new_link: str
    links: str


class Seen(NamedTuple):
    """What a screen shows: which pair of which comparison, after how many votes; the rest may be older than the chart."""

    set_id: str
    pair: int
    chart: tuple[int, int]
    rest: tuple[int, int]
    models: object = None


class Live(NamedTuple):
    """Output order of what changes when votes come in."""

    seen: Seen
    headline: str
    chart: gr.HTML
    numbers: str
    criteria: str
    over_time: str
    checks: str
    slices: str
    models: tuple


class ResultsHandlers:
    """Results of one comparison at a time, for those who have opened them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.comparisons
        self._details = services.result_details
        self.rest_from = 0.0
        self.models = leaderboard.LeaderboardHandlers(services)
        self.share = results_share.ShareHandlers(services)
        self.judge = judge.JudgeHandlers(services)
        self.bring = vote_import.VoteImportHandlers(services)
        self.votes = vote_list.VoteListHandlers(services)

    def load_comparisons(self, chosen: str | None, request: gr.Request) -> gr.Dropdown:
        """Return the comparisons; one names its models only to a person who has opened its results.

        ``vote/`` and a vote's id choose the one that the vote was given in, as an address does that names a vote.
        """
        me, chosen = person(self._services, request), self.votes.set_of(chosen)
        choices = [(self._desk.name(item, me), item.id) for item in self._desk.sets() if item.state == "open"]
        return dropdown(choices, chosen)

    def open_comparisons(self, chosen: str | None, vote_id: str | None, request: gr.Request) -> gr.Dropdown:
        """Return the comparisons; the one of the vote that a link leads to is chosen, else what was chosen before."""
        return self.load_comparisons(f"{vote_list.OF_VOTE}{vote_id}" if vote_id else chosen, request)

    def show_results(self, set_id: str | None, request: gr.Request) -> Screen:
        """Show the results of the first pair, or what opening them would mean."""
        return self.show_pair(set_id, None, request)

    def show_pair(self, set_id: str | None, pair: str | None, request: gr.Request) -> Screen:
        """Show the results of a pair, or what opening them would mean."""
        if not set_id:
            makes = is_covered(self._services, request, Role.ADMIN)
            text = f"{'Make one' if makes else 'An admin makes one'} on Compare; once its pairs are judged, its result is here."
            return _closed(_html.empty("No comparison yet", text), False)
        me = person(self._services, request)
        if not self._desk.is_revealed(set_id, me):
            return self._gate(set_id, me)
        counts = self._counts(set_id)
        revealed = revealed_pair(self._services, set_id, pair, me)
        place = [revealed.models[one] for one, _ in revealed.pairs]
        pairs = [
            (f"{revealed.models[one]} against {revealed.models[two]}", str(n))
            for n, (one, two) in enumerate(revealed.pairs)
        ]
        number = number_of(pair) if number_of(pair) < len(place) else 0
        verdict = ranking.verdict(revealed.votes, revealed.first, revealed.second, revealed.in_order)
        slice_choices = results_slices.choices(self._details.keys(revealed))
        return Screen(
            pair=gr.Dropdown(choices=pairs, value=str(number), visible=len(pairs) > 1),
            gate=gr.Column(visible=False),
            gate_text="",
            reveal=gr.Button(visible=False),
            content=gr.Column(visible=True),
            headline=headline(verdict) + about(revealed.settings),
            chart=self._chart(verdict, revealed),
            numbers=self._numbers(verdict, revealed),
            criteria=criteria(self._details.criteria(revealed), revealed.first),
            over_time=self._over_time(revealed),
            checks=self._checks(set_id, revealed),
            slice_by=gr.Dropdown(choices=slice_choices, value="", visible=len(slice_choices) > 1),
            slices="",
            seen=Seen(set_id, number, counts, counts, self.models.stamp(request)),
            new_link="",
            links=self.share.links_of(set_id, me),
        )

    def follow_vote(self, chosen: str | None, event: gr.EventData, request: gr.Request) -> gr.Dropdown:
        """Choose the comparison of the vote that a link leads to; without a vote, stay."""
        vote_id = str(event._data.get("place", ""))
        return self.open_comparisons(chosen, vote_id, request)

    def show_followed(self, set_id: str | None, pair: str | None, seen: Seen | None, request: gr.Request) -> Screen:
        """Show the results of the comparison that a link led to, where they are not on the screen."""
        if seen is not None and seen.set_id == set_id:
            return Screen(*[gr.skip()] * len(Screen._fields))
        return self.show_results(set_id, request)

    def show_slices(self, set_id: str | None, pair: str | None, key: str | None, request: gr.Request) -> str:
        """Return the results in parts, or nothing where all votes are looked at together."""
        if not key:
            return ""
        revealed = revealed_pair(self._services, chosen(set_id), pair, person(self._services, request))
        return results_slices.table(self._details.slices(revealed, key), revealed.first)

    def reveal_results(self, set_id: str | None, request: gr.Request) -> Screen:
        """Open the results to this person, which ends their voting, and show them."""
        self._desk.reveal(chosen(set_id), person(self._services, request))
        return self.show_results(set_id, request)

    def refresh(
        self,
        set_id: str | None,
        pair: str | None,
        key: str | None,
        ties: str | None,
        seen: Seen | None,
        request: gr.Request,
    ) -> Iterator[Live]:
        """Yield what changed since the screen was drawn: the chart at once, then what takes longer; else nothing."""
        if seen is None or (seen.set_id, seen.pair) != (set_id, number_of(pair)):
            yield _UNCHANGED
            return
        counts, shown = self._counts(seen.set_id), _UNCHANGED
        if counts != seen.chart:
            revealed = revealed_pair(self._services, seen.set_id, pair, person(self._services, request))
            verdict = ranking.verdict(revealed.votes, revealed.first, revealed.second, revealed.in_order)
            seen = seen._replace(chart=counts)
            shown = _UNCHANGED._replace(
                seen=seen,
                headline=headline(verdict) + about(revealed.settings),
                chart=self._chart(verdict, revealed),
                numbers=self._numbers(verdict, revealed),
                criteria=criteria(self._details.criteria(revealed), revealed.first),
                over_time=self._over_time(revealed),
            )
        yield shown
        if time.monotonic() < self.rest_from:
            return
        began = time.monotonic()
        rest = self._rest(seen, counts, pair, key, ties, request)
        if rest is not None:
            self.rest_from = time.monotonic() + REST * (time.monotonic() - began)
            yield rest

    def _rest(
        self, seen: Seen, counts: tuple[int, int], pair: str | None, key: str | None, ties: str | None,
        request: gr.Request,
    ) -> Live | None:  # fmt: skip
        """Return what takes longer and has changed, or None."""
        models, live = self.models.stamp(request), _UNCHANGED
        if (counts, models) == (seen.rest, seen.models):
            return None
        if counts != seen.rest:
            revealed = revealed_pair(self._services, seen.set_id, pair, person(self._services, request))
            slices = self.show_slices(seen.set_id, pair, key, request) if key else gr.skip()
            live = live._replace(checks=self._checks(seen.set_id, revealed), slices=slices)
        if models != seen.models:
            live = live._replace(models=self.models.show_models(ties, request))
        return live._replace(seen=seen._replace(rest=counts, models=models))

    def _counts(self, set_id: str) -> tuple[int, int]:
        """Return how many votes of a set were given, and how many of them were taken back."""
        log = self._services.store.votes.log(set_id)
        return log.given, log.undone

    def _chart(self, verdict: Verdict, revealed: Revealed) -> gr.HTML:
        shown = drawings.bar(verdict.counts, self._colours(revealed)) if verdict.counts.votes else ""
        return gr.HTML(shown, visible=verdict.counts.votes > 0)

    def _numbers(self, verdict: Verdict, revealed: Revealed) -> str:
        return numbers(verdict, revealed.automatic_ties) + prepared(revealed.summary, revealed.settings)

    def _over_time(self, revealed: Revealed) -> str:
        found = ranking.progress(revealed.timeline, revealed.first, revealed.second)
        if not found.steps:
            return ""
        return (
            f'<h3 class="pl-title">Over time</h3>{drawings.over_time(found, self._colours(revealed)[revealed.first])}'
        )

    def _checks(self, set_id: str, revealed: Revealed) -> str:
        adjusted = self._details.adjusted(set_id, revealed) if revealed.votes else None
        return results_checks.checks(revealed.votes, self._details.names(), adjusted)

    def _colours(self, revealed: Revealed) -> dict[str, str]:
        return colours(self._services, list(revealed.models.values()))

    def _gate(self, set_id: str, me: str) -> Screen:
        settings = self._services.store.comparisons.set(set_id).settings
        works = (self._services.people.role_of(me) or Role.VIEWER).covers(Role.ANNOTATOR)
        return _closed(_html.empty(*_gate_words(settings, works, *self._desk.progress(set_id, me))), True)


_UNCHANGED = Live(*[gr.skip()] * 8, models=tuple([gr.skip()] * 4))


def build() -> ResultsTab:
    """Lay out the tab."""
    with gr.Tab("Results", id="results") as root, gr.Column(elem_id="results-screen", elem_classes=["pl-screen"]):
        with gr.Row(equal_height=False):
            chosen_set = build_dropdown("Comparison", "results-chosen", scale=2)
            pair = build_dropdown("Pair of models", "results-pair", scale=2)
        pair.visible = False
        with gr.Column(visible=False) as gate:
            gate_text = gr.HTML("")
            reveal = gr.Button("Open the results", variant="primary", elem_id="results-reveal")
        with gr.Column(visible=False) as content:
            shown = [
                _block(f"results-{name}")
                for name in ("headline", "chart", "numbers", "criteria", "over-time", "checks")
            ]
            slice_by = build_dropdown("Look at parts of the votes", "results-slice-by")
            slices = _block("results-slices")
            live = gr.HTML(_html.note(LIVE), js_on_load=_LIVE_JS, elem_id="results-live")
            share = results_share.build()
        votes = vote_list.build()
        judge_panel = judge.build()
        models = leaderboard.build()
        bring = vote_import.build()
        seen = gr.State(None)
    return ResultsTab(
        root, chosen_set, pair, gate, gate_text, reveal, content, *shown, slice_by, slices, live, seen, share, judge_panel,
        models, bring, votes,
    )  # fmt: skip


def wire(tab: ResultsTab, handlers: ResultsHandlers) -> None:
    """Attach the listeners."""
    drawn = [tab.headline, tab.chart, tab.numbers, tab.criteria, tab.over_time, tab.checks]
    screen = [
        tab.pair, tab.gate, tab.gate_text, tab.reveal, tab.content, *drawn, tab.slice_by, tab.slices, tab.seen,
        tab.share.new, tab.share.links,
    ]  # fmt: skip
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    before = _VOTE_FIRST_JS.replace("BEFORE", remember(tab.chosen, "results"))
    wanted = [tab.chosen, tab.votes.opened]
    opened = tab.root.select(allowed(Role.VIEWER, handlers.open_comparisons), wanted, tab.chosen, js=before, **quiet)
    opened.success(allowed(Role.VIEWER, handlers.show_pair), [tab.chosen, tab.pair], screen, **quiet)
    tab.chosen.input(allowed(Role.VIEWER, handlers.show_results), tab.chosen, screen, **quiet)
    tab.pair.input(allowed(Role.VIEWER, handlers.show_pair), [tab.chosen, tab.pair], screen, **quiet)
    revealed = tab.reveal.click(allowed(Role.VIEWER, handlers.reveal_results), tab.chosen, screen, **quiet)
    revealed.success(allowed(Role.VIEWER, handlers.load_comparisons), tab.chosen, tab.chosen, **quiet)
    parts = [tab.chosen, tab.pair, tab.slice_by]
    tab.slice_by.input(allowed(Role.VIEWER, handlers.show_slices), parts, tab.slices, **quiet)
    changing = [tab.seen, *drawn, tab.slices, *leaderboard.outputs(tab.models)]
    asked = [*parts, tab.models.ties, tab.seen]
    # Each open screen asks every few seconds, and a large leaderboard takes seconds.
    tab.live.tick(allowed(Role.VIEWER, _flat(handlers.refresh)), asked, changing, **quiet, concurrency_limit=4)
    shown = tab.bring.show.click(
        allowed(Role.VIEWER, handlers.load_comparisons), tab.bring.brought, tab.chosen, **quiet
    )
    shown = shown.success(allowed(Role.VIEWER, handlers.show_results), tab.chosen, screen, **quiet)
    shown.success(None, None, None, js="() => document.querySelector('#results-screen').scrollIntoView()", **quiet)
    followed = tab.votes.door.expand(allowed(Role.VIEWER, handlers.follow_vote), tab.chosen, tab.chosen, **quiet)
    followed.success(allowed(Role.VIEWER, handlers.show_followed), [tab.chosen, tab.pair, tab.seen], screen, **quiet)
    again = [opened.success, tab.chosen.input, revealed.success, shown.success]
    judge.wire(tab.judge, handlers.judge, tab.chosen, again)
    vote_list.wire(tab.votes, handlers.votes, tab.chosen, [*again, followed.success])
    vote_import.wire(tab.bring, handlers.bring)
    leaderboard.wire(tab.models, handlers.models, [tab.root.select, revealed.success, tab.bring.brought.change])
    results_share.wire(tab.share, handlers.share, tab.chosen, tab.pair)


def _block(elem_id: str) -> gr.HTML:
    return gr.HTML("", js_on_load=_WATCH_JS, elem_id=elem_id)


def _flat(refresh):
    def tick(
        set_id: str | None, pair: str | None, key: str | None, ties: str | None, seen: Seen | None, request: gr.Request
    ) -> Iterator[tuple]:
        for live in refresh(set_id, pair, key, ties, seen, request):
            yield (*live[:-1], *live.models)

    return tick


def _gate_words(settings: ComparisonSettings, works: bool, done: int, total: int) -> tuple[str, str]:
    """Return how far somebody is with their votes, and what opening the results means for them."""
    told = "The results tell which model wrote which answer. "
    if settings.reveal is RevealPolicy.NEVER:
        told = "The models are numbered in the results; which is which is never shown. "
    if not works:
        return "The results are closed", f"{told}Whoever opens them judges no pair of this comparison afterwards."
    ends = f"{told}Opening them ends your voting on this comparison."
    if settings.kind is Kind.LIVE:
        return f"You have judged {plural(done, 'pair')} so far", ends
    what = "ranking" if settings.form is VoteForm.RANKING else "pair"
    if done < total:
        return f"You have {total - done} of {plural(total, what)} left to judge", ends
    title = f"You have judged every {what}" if total else "Every answer was identical"
    return title, "Opening the results makes your votes final: undo ends."


def _closed(text: str, can_open: bool) -> Screen:
    return Screen(
        pair=gr.Dropdown(choices=[], value=None, visible=False),
        gate=gr.Column(visible=True),
        gate_text=text,
        reveal=gr.Button(visible=can_open),
        content=gr.Column(visible=False),
        headline="",
        chart=gr.HTML("", visible=False),
        numbers="",
        criteria="",
        over_time="",
        checks="",
        slice_by=gr.Dropdown(choices=[], value=None),
        slices="",
        seen=None,
        new_link="",
        links="",
    )
