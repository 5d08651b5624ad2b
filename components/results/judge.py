"""A model as a judge of one comparison: what it would be asked, how far it is, and what its verdicts are worth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _download, _html
from components._choices import build_dropdown, dropdown
from components._guard import allowed
from components._noting import noted
from components._session import person
from pipeline.errors import ComparisonError
from pipeline.judge_report import PairRates, Report
from pipeline.judging import Plan, Progress
from pipeline.limits import HEAVY
from pipeline.ranking.intervals import WinRate
from pipeline.ranking.judge import Kappa, Rate
from pipeline.ranking.verdict import p_text, percent, plural
from pipeline.records import JobState, Model, Role
from pipeline.services import Services

END_SECONDS = 5.0
ABOUT = (
    "A model judges the same pairs, each in both orders. Its verdicts are kept apart from people's votes and count in no "
    "result above."
)
LEXICAL = (
    "{name} is no language model: as a judge it counts how many words of an answer stand in the passages, and how many words "
    "of the query the answer takes up. It is a baseline, and it favours answers that copy the passages."
)
NO_PRICE = "A price is a number, for example 2.5."
OWN = "{name} wrote some of these answers itself, and models tend to favour their own."
_ENDS = {
    JobState.CANCELLED: "cancelled; run it again to ask the rest",
    JobState.INTERRUPTED: "interrupted when the app stopped; run it again to ask the rest",
    JobState.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class JudgePanel:
    """Components of the panel."""

    root: gr.Accordion
    model: gr.Dropdown
    prompt_price: gr.Textbox
    completion_price: gr.Textbox
    run: gr.Button
    cancel: gr.Button
    plan: gr.HTML
    progress: gr.HTML
    numbers: gr.HTML
    download: _download.Download
    timer: gr.Timer


class JudgeShown(NamedTuple):
    """Output order of the panel's content."""

    model: gr.Dropdown
    run: gr.Button
    cancel: gr.Button
    plan: str
    progress: str
    numbers: str
    download: gr.Button
    timer: gr.Timer


class JudgeClosed(NamedTuple):
    """Output order of the panel as it is when another comparison is chosen."""

    root: gr.Accordion
    plan: str
    progress: str
    numbers: str
    timer: gr.Timer


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost, in whatever money; None where it is not given."""

    prompt: float | None
    completion: float | None

    @classmethod
    def read(cls, prompt: str | None, completion: str | None) -> Prices | None:
        """Return prices as they were typed, or None where one of them is no number."""
        try:
            given = [float(text) if (text or "").strip() else None for text in (prompt, completion)]
        except ValueError:
            return None
        return cls(*given) if all(price is None or 0 <= price < math.inf for price in given) else None

    def of(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return what these tokens cost, or None where no price is given."""
        if not self.prompt and not self.completion:
            return None
        return (prompt_tokens * (self.prompt or 0) + completion_tokens * (self.completion or 0)) / 1_000_000


class JudgeHandlers:
    """Judges of one comparison, for those who have opened its results."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.judge

    def close_judge(self, set_id: str | None, request: gr.Request) -> JudgeClosed:
        """Fold and empty the panel, and hide it where the results are not open to this person."""
        is_open = bool(set_id) and self._services.comparisons.is_revealed(set_id, person(self._services, request))
        return JudgeClosed(gr.Accordion(visible=is_open, open=False), "", "", "", gr.Timer(active=False))

    def show_judge(
        self,
        set_id: str | None,
        model_id: str | None,
        prompt_price: str | None,
        completion_price: str | None,
        request: gr.Request,
    ) -> JudgeShown:
        """Return what a judge would be asked, how far it is, and its numbers."""
        set_id, me = self._chosen(set_id), person(self._services, request)
        judges = self._desk.judges()
        ids = [model.id for model in judges]
        model = judges[ids.index(model_id) if model_id in ids else 0]
        given = Prices.read(prompt_price, completion_price)
        prices = given or Prices(None, None)
        # First of all: what is read after the end of a run is all of it.
        state = self._desk.progress(set_id, model.id, me)
        plan = self._desk.plan(set_id, model.id, me)
        # While it is asked, the numbers change with each reply: they are shown at the end.
        report = None if state.running else self._desk.report(set_id, model.id, me)
        return JudgeShown(
            model=dropdown([(choice.name, choice.id) for choice in judges], model.id),
            run=gr.Button(visible=plan.calls > 0, interactive=not state.running),
            cancel=gr.Button(visible=state.here),
            plan=about(model, plan)
            + ("" if state.running else planned(plan, prices))
            + ("" if given else _html.note(NO_PRICE, "bad")),
            progress=progress(state),
            numbers=numbers(model.name, report, prices) if report else "",
            download=gr.Button(visible=report is not None),
            timer=gr.Timer(active=state.running),
        )

    def start_judge(
        self,
        set_id: str | None,
        model_id: str | None,
        prompt_price: str | None,
        completion_price: str | None,
        request: gr.Request,
    ) -> JudgeShown:
        """Begin to ask a judge."""
        if not model_id:
            raise ComparisonError("Choose a model to judge first.")
        self._desk.start(self._chosen(set_id), model_id, person(self._services, request))
        self._noted("judge.started", self._chosen(set_id))
        return self.show_judge(set_id, model_id, prompt_price, completion_price, request)

    def cancel_judge(
        self,
        set_id: str | None,
        model_id: str | None,
        prompt_price: str | None,
        completion_price: str | None,
        request: gr.Request,
    ) -> JudgeShown:
        """Stop asking a judge; what it said stays."""
        if set_id and model_id:
            me = person(self._services, request)
            self._desk.cancel(set_id, model_id, me)
            self._noted("judge.cancelled", set_id)
            deadline = time.monotonic() + END_SECONDS
            while self._desk.progress(set_id, model_id, me).here and time.monotonic() < deadline:
                time.sleep(0.05)
        return self.show_judge(set_id, model_id, prompt_price, completion_price, request)

    def download_judgements(self, set_id: str | None, request: gr.Request) -> str:
        """Return the path of a CSV file of all that judges said of a comparison."""
        text = self._desk.csv(self._chosen(set_id), person(self._services, request))
        self._noted("judgements.exported", self._chosen(set_id))
        return _download.write("pairloop-judgements.csv", text)

    def _noted(self, action: str, set_id: str) -> None:
        comparisons = self._services.comparisons
        noted(self._services, action, comparisons.blind_name(self._services.store.comparisons.set(set_id)))

    def _chosen(self, set_id: str | None) -> str:
        if not set_id:
            raise ComparisonError("Choose a comparison first.")
        return set_id


def build() -> JudgePanel:
    """Lay out the panel."""
    with gr.Accordion("LLM judge", open=False, visible=False, elem_id="results-judge") as root:
        gr.HTML(_html.note(ABOUT))
        with gr.Row(equal_height=False):
            model = build_dropdown("Judge", "judge-model", scale=3)
            price = {"placeholder": "optional, for example 2.5", "max_lines": 1, "scale": 2, "min_width": 180}
            prompt_price = gr.Textbox(label="Price of 1M prompt tokens", elem_id="judge-prompt-price", **price)
            completion_price = gr.Textbox(
                label="Price of 1M completion tokens", elem_id="judge-completion-price", **price
            )
        plan = gr.HTML("", elem_id="judge-plan")
        with gr.Row():
            run = gr.Button("Run", variant="primary", elem_id="judge-run", scale=0, min_width=150)
            cancel = gr.Button("Cancel", visible=False, elem_id="judge-cancel", scale=0, min_width=150)
        progress_html = gr.HTML("", elem_id="judge-progress")
        numbers_html = gr.HTML("", elem_id="judge-numbers")
        with gr.Row(elem_classes=["pl-files"]):
            download = _download.build("Download its verdicts (CSV)", "judge-download", visible=False)
        timer = gr.Timer(1.0, active=False)
    return JudgePanel(
        root, model, prompt_price, completion_price, run, cancel, plan, progress_html, numbers_html, download, timer
    )


def wire(panel: JudgePanel, handlers: JudgeHandlers, chosen: gr.Dropdown, changed: list[Callable]) -> None:
    """Attach the listeners; each of ``changed`` registers for an event after which another comparison may be shown."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    closed = [panel.root, panel.plan, panel.progress, panel.numbers, panel.timer]
    for event in changed:
        event(allowed(Role.VIEWER, handlers.close_judge), chosen, closed, **quiet)
    given = [chosen, panel.model, panel.prompt_price, panel.completion_price]
    shown = [
        panel.model, panel.run, panel.cancel, panel.plan, panel.progress, panel.numbers, panel.download.button, panel.timer,
    ]  # fmt: skip
    prices = (panel.prompt_price, panel.completion_price)
    asked = [event for price in prices for event in (price.submit, price.blur)]
    for event in (panel.root.expand, panel.model.input, *asked):
        event(allowed(Role.VIEWER, handlers.show_judge), given, shown, **quiet)
    panel.timer.tick(allowed(Role.VIEWER, handlers.show_judge), given, shown, concurrency_limit=4, **quiet)
    panel.run.click(allowed(Role.OWNER, handlers.start_judge, cost=HEAVY), given, shown, **quiet)
    panel.cancel.click(allowed(Role.OWNER, handlers.cancel_judge), given, shown, **quiet)
    _download.wire(panel.download, Role.ADMIN, handlers.download_judgements, [chosen])


def about(model: Model, plan: Plan) -> str:
    """Return what has to be known of a judge before it is believed."""
    if model.provider != "openai":
        return _html.note(LEXICAL.format(name=model.name), "warn")
    return _html.note(OWN.format(name=model.name), "warn") if plan.own else ""


def planned(plan: Plan, prices: Prices) -> str:
    """Return what a judge will be asked."""
    if not plan.total:
        return _html.note("There is nothing to judge: no pair has two answers that differ.")
    same = f"; {plural(plan.identical, 'identical pair')} not asked" if plan.identical else ""
    if not plan.calls:
        return _html.note(f"Asked about all {plural(plan.pairs, 'pair')}, in both orders{same}.")
    rest = "" if plan.calls == plan.total else f" of {plan.total:,}; the others are answered"
    words = f"Will ask {plural(plan.calls, 'question')}{rest}: {plural(plan.pairs, 'pair')} in both orders{same}."
    if plan.prompt_tokens:
        words += f" About {plan.prompt_tokens:,} prompt and {plan.completion_tokens:,} completion tokens"
        cost = prices.of(plan.prompt_tokens, plan.completion_tokens)
        words += "." if cost is None else f", {_money(cost)} at these prices."
    return _html.note(words)


def progress(state: Progress) -> str:
    """Return how far a judge is, in a bar and in words; nothing where it was never asked, or all is well and done."""
    if state.run is None:
        return ""
    words = [f"{state.done:,} of {plural(state.total, 'question')} answered"]
    words += [f"{state.failed:,} failed"] if state.failed else []
    if state.running and not state.here:
        words.append("asked by a copy of the app on another machine, where it can be cancelled")
    words += [_ENDS[state.run.state]] if state.run.state in _ENDS else []
    if state.done == state.total and not state.running:
        return ""
    errors = (*state.errors, *([state.run.error] if state.run.error else []))
    return _html.bar(state.done, state.total, " · ".join(words)) + "".join(_html.note(text, "bad") for text in errors)


def numbers(judge: str, found: Report, prices: Prices) -> str:
    """Return the numbers on a judge, each with its n and what it means."""
    rows = [*_with_people(found), *_leanings(found), *(row for rate in found.rates for row in _win_rates(rate))]
    rows.append(_cost(found, prices))
    body = "".join(
        f"<tr><td><b>{_html.esc(name)}</b></td><td class='pl-num'>{_html.esc(value)}</td><td>{_html.esc(text)}</td></tr>"
        for name, value, text in rows
    )
    return (
        f"<p class='pl-headline'>{_html.esc(headline(judge, found))}</p><div class='pl-scroll' tabindex='0' role='region' "
        f"aria-label='Numbers on this judge'><table class='pl-table'><tbody>{body}</tbody></table></div>"
    )


def headline(judge: str, found: Report) -> str:
    """Return in a sentence whether this judge says what people say."""
    same = found.agreement.same
    if same.rate is None:
        return f"{judge} judged {plural(found.pairs, 'pair')}; people have no majority on any of them to compare with."
    pairs = plural(same.total, "pair")
    return f"{judge} agrees with people on {same.count:,} of {pairs}: {percent(same.rate)}{_interval(same)}."


def _with_people(found: Report) -> Iterator[tuple[str, str, str]]:
    held, kappa = found.agreement, found.agreement.kappa
    out = [f"{plural(held.undecided, 'pair')} without a majority of people" if held.undecided else ""]
    out += [f"{plural(held.unvoted, 'pair')} without a vote" if held.unvoted else ""]
    left = ", ".join(filter(None, out))
    yield (
        "Agreement with people",
        _share(held.same),
        "The same verdict as most people gave on that pair: a model, tie or both bad. Wilson's interval over pairs."
        + (f" Left out: {left}." if left else ""),
    )
    yield (
        "Cohen's κ",
        "–" if kappa.kappa is None else f"{kappa.kappa:.2f}{_kappa_interval(kappa)}",
        f"Over {plural(held.same.total, 'pair')}: agreement beyond what chance gives; 1 is always, 0 is chance. The interval "
        f"comes from resampling queries. {kappa.reason}".strip(),
    )
    yield (
        "The same winner",
        _share(held.decisive),
        "Of the pairs where both the judge and people prefer a model.",
    )
    yield (
        "People among themselves",
        _share(found.ceiling),
        "Votes that are what most others say of the same pair. A judge that agrees with people as often is like one person more."
        if found.ceiling.total
        else "No pair has votes of enough people to tell how far they agree themselves.",
    )


def _leanings(found: Report) -> Iterator[tuple[str, str, str]]:
    place, length, people = found.position.rate, found.length, found.people_length
    yield (
        "Flips",
        _share(found.flips),
        "Pairs on which its two verdicts, one in each order, differ. They count as ties.",
    )
    yield (
        "For the answer shown first",
        _rate(place),
        f"Of {plural(place.votes, 'decisive verdict')} on {plural(place.queries, 'query', 'queries')}, pairs with a verdict in "
        "both orders only: 50 % is a judge that does not mind the order. "
        f"Sign test p {p_text(found.position.sign.p_value)}."
        if place.votes
        else "No pair has a decisive verdict, so nothing can be said about the order.",
    )
    yield (
        "For the longer answer",
        _rate(length),
        f"Of {plural(length.votes, 'pair')} where it prefers one of two answers of different length (in words). "
        f"People: {_rate(people)} of {plural(people.votes, 'vote')}.",
    )
    yield (
        "Replies without a verdict",
        f"{found.without_verdict:,} of {found.replies:,}",
        "Replies that do not end as they were asked to. They are kept with their text; their pairs count for nothing.",
    )


def _win_rates(rates: PairRates) -> Iterator[tuple[str, str, str]]:
    judge, people = rates.judge, rates.people
    yield (
        f"Win rate of {judge.first}",
        _rate(judge),
        f"Against {judge.second}, by the judge: {plural(judge.votes, 'pair')} on {plural(judge.queries, 'query', 'queries')}, "
        f"a tie or both bad is half a win. By people on pairs that differ: {_rate(people)} of {plural(people.votes, 'vote')}. "
        f"{judge.note}",
    )


def _cost(found: Report, prices: Prices) -> tuple[str, str, str]:
    asked = f"{plural(found.replies, 'reply', 'replies')}, {found.seconds:,.1f} s of waiting, all together."
    if found.prompt_tokens is None and found.completion_tokens is None:
        return "Cost", "–", f"No tokens were counted. {asked}"
    prompt, completion = found.prompt_tokens or 0, found.completion_tokens or 0
    cost = prices.of(prompt, completion)
    words = f"{prompt:,} prompt and {completion:,} completion tokens, as the endpoint counted them. {asked}"
    if cost is None:
        return "Cost", f"{prompt + completion:,} tokens", f"{words} Give the prices above to see the money."
    return "Cost", _money(cost), f"{words} At the prices above."


def _share(rate: Rate) -> str:
    return "–" if rate.rate is None else f"{percent(rate.rate)}{_interval(rate)}, {rate.count:,} of {rate.total:,}"


def _interval(rate: Rate | WinRate) -> str:
    return "" if rate.low is None else f" [{100 * rate.low:.0f} – {100 * rate.high:.0f}]"


def _rate(rate: WinRate) -> str:
    return "–" if rate.rate is None else f"{percent(rate.rate)}{_interval(rate)}"


def _kappa_interval(kappa: Kappa) -> str:
    return "" if kappa.low is None else f" [{kappa.low:.2f} – {kappa.high:.2f}]"


def _money(cost: float) -> str:
    return f"{cost:,.2f}" if cost >= 0.01 else "under 0.01"
