"""What Compare shows: the answers that wait, or why there are none; and what its page sends with a vote."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import NamedTuple

import gradio as gr

from components import _html
from components.compare.voting_html import criteria_html, pair_html
from pipeline.comparison_settings import ComparisonSettings, Kind, RevealPolicy, VoteForm
from pipeline.comparisons import BlindPair
from pipeline.errors import ComparisonError
from pipeline.records import Outcome
from pipeline.store.comparisons import ComparisonSet
from pipeline.store.votes import StoredVote

MAX_BALLOT_CHARACTERS = 5_000


class Screen(NamedTuple):
    """Output order of everything that changes with a pair; the default is a screen without one."""

    pair_id: str = ""
    shown_at: float | None = None
    progress: str = ""
    told: str = ""
    nothing: gr.HTML | None = None
    results: gr.Button | None = None
    ask: gr.Column | None = None
    form: gr.Column | None = None
    pair: str = ""
    criteria: str = ""
    sources: str = ""
    reason: str = ""
    correction: str = ""
    bar: gr.Row | None = None
    rank_bar: gr.Row | None = None
    undo: gr.Button | None = None
    timer: gr.Timer | None = None


class Given(NamedTuple):
    """What the page sends with a vote. ``ballot`` is JSON: criteria and places."""

    set_id: str = ""
    pair_id: str = ""
    shown_at: float | None = None
    reason: str = ""
    correction: str = ""
    ballot: str = ""


def read_ballot(text: str) -> tuple[dict[str, Outcome], list[int]]:
    """Return the criteria and the places that a page sends with a vote.

    Raises:
        ComparisonError: it is not what this app's page sends.
    """
    try:
        if not isinstance(text or "", str) or len(text or "") > MAX_BALLOT_CHARACTERS:
            raise ValueError("too long")
        found = json.loads(text or "{}")
        criteria: Mapping[str, str] = found.get("criteria", {})
        places = [int(place) for place in found.get("places", [])]
        return {str(name): Outcome(outcome) for name, outcome in criteria.items()}, places
    except (AttributeError, RecursionError, TypeError, ValueError) as error:
        raise ComparisonError("This vote cannot be read. Reload the page and vote again.") from error


def pair_screen(pair: BlindPair, undone: StoredVote | None = None, places: tuple[int, ...] = ()) -> Screen:
    """Return the screen of a pair; ``undone`` is the vote on it that was taken back."""
    ranking, done = pair.settings.form is VoteForm.RANKING, pair.number - 1
    # Live there is no end to be counted towards.
    live = pair.settings.kind is Kind.LIVE
    counted = _html.note(f"{done} judged by you") if live else _html.bar(done, pair.total, _judged(done, pair.total))
    return Screen(
        pair_id=pair.comparison_id,
        shown_at=time.monotonic(),
        progress=counted,
        nothing=gr.HTML("", visible=False),
        results=gr.Button(visible=False),
        ask=gr.Column(visible=False),
        form=gr.Column(visible=True),
        pair=pair_html(pair, places),
        criteria=criteria_html(pair.settings.criteria, undone.criteria if undone else {}),
        sources=_html.sources(pair.contexts, scores=False, opened=0),
        reason=undone.reason if undone else "",
        correction=undone.correction if undone else "",
        bar=gr.Row(visible=not ranking),
        rank_bar=gr.Row(visible=ranking),
        undo=gr.Button(visible=done > 0 and pair.settings.reveal is not RevealPolicy.VOTE),
        timer=gr.Timer(active=False),
    )


def _judged(done: int, total: int) -> str:
    return f"{done} of {total} judged by you"


def nothing(title: str, text: str, progress: str = "", results: bool = False, waiting: bool = False) -> Screen:
    """Return a screen without answers; with ``waiting`` the page asks again by itself."""
    return Screen(
        shown_at=time.monotonic(),
        progress=progress,
        nothing=gr.HTML(_html.empty(title, text), visible=True),
        results=gr.Button(visible=results),
        ask=gr.Column(visible=False),
        form=gr.Column(visible=False),
        bar=gr.Row(visible=False),
        rank_bar=gr.Row(visible=False),
        undo=gr.Button(visible=False),
        timer=gr.Timer(active=waiting),
    )


def not_open(item: ComparisonSet | None, error: str) -> Screen:
    """Return the screen of a comparison that is gone, being made, or could not be."""
    if item is None:
        return nothing("This comparison is gone", "Choose another one.")
    if item.state == "preparing":
        text = "The models answer the test queries. This page goes on by itself."
        return nothing("Answers are being made", text, waiting=True)
    return nothing("This comparison could not be prepared", error)


def finished(settings: ComparisonSettings, done: int, total: int, revealed: bool) -> Screen:
    """Return the screen where nothing waits for this person."""
    live = settings.kind is Kind.LIVE
    shown = _html.note(f"{done} judged by you") if live else _html.bar(done, total, _judged(done, total))
    if revealed:
        text = "You have opened the results, which ended your voting here."
        return nothing("Your votes are final", text, shown, True)
    undo = gr.Button(visible=done > 0 and settings.reveal is not RevealPolicy.VOTE)
    if live:
        text = "Two models answer. Both answers come at the same moment, and you say which one is better."
        screen = nothing("Ask something", text, shown, results=done > 0)
        return screen._replace(ask=gr.Column(visible=True), undo=undo)
    if total == 0:
        text = "The models gave the same answer to every query. These count as ties; the results say so."
        return nothing("Nothing to judge", text, shown, results=True)
    final = settings.reveal is RevealPolicy.VOTE
    what = "ranking" if settings.form is VoteForm.RANKING else "pair"
    text = f"You have judged every {what}." + ("" if final else " Undo is possible until you open the results.")
    return nothing("All judged", text, shown, results=True)._replace(undo=undo)
