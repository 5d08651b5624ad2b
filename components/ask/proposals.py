"""Proposed queries, a part of Ask: asked of a model or taken from headings, and reviewed by people before they are used."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._choices import build_dropdown, dropdown
from components._guard import allowed
from components._session import person
from components.ask.runs import RunsPanel
from pipeline.errors import QueryFileError
from pipeline.limits import HEAVY
from pipeline.proposals import ACCEPTED, ELSEWHERE, HEADINGS, MOST, Progress
from pipeline.ranking.verdict import plural
from pipeline.records import Context, JobState, Role
from pipeline.services import Services
from pipeline.store.proposals import PROPOSED, REJECTED, Passage, Proposal

ABOUT = (
    "Queries that passages of your documents answer, for a first list or to measure retrieval with: each is asked of a chat "
    "model about one passage, or made of a heading or a question that stands in the documents. Nothing is used that nobody has "
    "accepted; an accepted query remembers its passage."
)
# What a press is about is what the page shows, however late its answer comes.
_SHOWN_JS = (
    "(current, text) => [document.querySelector('#proposals-passage [data-proposal]')?.dataset.proposal || '', text]"
)
_CHOOSE_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-choose]');
  if (button) trigger('expand', {proposal: button.dataset.choose});
});
"""
LISTED = 50


@dataclass(frozen=True, slots=True)
class ProposalPanel:
    """Components of the part."""

    root: gr.Accordion
    documents: gr.Dropdown
    count: gr.Number
    proposer: gr.Dropdown
    start: gr.Button
    cancel: gr.Button
    timer: gr.Timer
    progress: gr.HTML
    review: gr.Row
    list: gr.HTML
    current: gr.Textbox
    text: gr.Textbox
    passage: gr.HTML
    accept: gr.Button
    reject: gr.Button
    later: gr.Button
    undo: gr.Button
    decided: gr.HTML
    making: gr.Row
    name: gr.Textbox
    hold_out: gr.Checkbox
    make: gr.Button


class Panel(NamedTuple):
    """Output order of the part."""

    start: gr.Button
    cancel: gr.Button
    timer: gr.Timer
    progress: str
    review: gr.Row
    list: str
    current: str
    text: str
    passage: str
    undo: gr.Button
    decided: str
    making: gr.Row


class Choices(NamedTuple):
    """Output order of what can be chosen."""

    documents: gr.Dropdown
    proposer: gr.Dropdown


class Made(NamedTuple):
    """Output order after a list was made."""

    report: str
    query_list: gr.Dropdown
    name: str


class ProposalHandlers:
    """Proposes, and takes decisions."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.proposals

    def load_choices(self, documents: Sequence[str] | None, proposer: str | None) -> Choices:
        """Return the documents and the proposers to choose from; choices that still exist are kept."""
        there = [(item.name, item.id) for item in self._desk.documents()]
        kept = [item for item in documents or () if item in {value for _, value in there}]
        proposers = [
            ("Headings and questions in the documents", HEADINGS),
            *((model.name, model.id) for model in self._desk.proposers()),
        ]
        return Choices(gr.Dropdown(choices=there, value=kept, multiselect=True), dropdown(proposers, proposer))

    def show(self, current: str | None, request: gr.Request) -> Panel:
        """Show how far the proposer is, and the proposal that is being read; what was typed into it stays."""
        return self._panel(current or "", request)

    def propose(
        self,
        documents: Sequence[str] | None,
        count: float | None,
        proposer: str | None,
        current: str | None,
        request: gr.Request,
    ) -> Panel:
        """Propose queries from headings, or begin to ask a model."""
        number = int(count) if count else 0
        if (proposer or HEADINGS) == HEADINGS:
            self._desk.from_headings(documents or (), number)
        else:
            self._desk.start(documents or (), number, proposer)
        return self._panel(current or "", request)

    def cancel(self, current: str | None, request: gr.Request) -> Panel:
        """Stop asking."""
        self._desk.cancel()
        # It takes effect within a moment: waiting spares the person a screen that still says that it runs.
        for _ in range(40):
            if not _runs(self._desk.progress()):
                break
            time.sleep(0.05)
        return self._panel(current or "", request)

    def choose(self, event: gr.EventData, request: gr.Request) -> Panel:
        """Show the proposal that was clicked."""
        return self._panel(str(event._data.get("proposal", "")), request, anew=True)

    def accept(self, current: str | None, text: str | None, request: gr.Request) -> Panel:
        """Accept the proposal that is shown, as it stands in the field; show the next one."""
        following = self._after(current)
        if not self._desk.accept(_chosen(current), text or "", person(self._services, request)):
            gr.Info("Somebody else has decided on this query already.")
        return self._panel(following, request, anew=True)

    def reject(self, current: str | None, request: gr.Request) -> Panel:
        """Reject the proposal that is shown; show the next one."""
        following = self._after(current)
        self._desk.reject(_chosen(current), person(self._services, request))
        return self._panel(following, request, anew=True)

    def later(self, current: str | None, request: gr.Request) -> Panel:
        """Leave the proposal that is shown for later; show the next one."""
        return self._panel(self._after(current), request, anew=True)

    def undo(self, request: gr.Request) -> Panel:
        """Take back this person's newest decision, and show its proposal."""
        return self._panel(self._desk.undo(person(self._services, request)), request, anew=True)

    def make_list(self, name: str, hold_out: bool) -> Made:
        """Make a query list of what is accepted."""
        made = self._desk.make_list(name or "", hold_out)
        lists = [(f"{item.name} ({item.size})", item.id) for item in self._services.query_lists.all()]
        text = f"Added {made.name}: {made.train} train and {made.test} test queries, each with the passage that it was made of."
        # The report stands with the lists, far above the button.
        gr.Info(_html.esc(text))
        return Made(_html.note(text, "good"), dropdown(lists, made.id), "")

    def _after(self, current: str | None) -> str:
        """Return the waiting proposal after one, the first where that is the last."""
        ids = [item.id for item in self._desk.waiting()]
        place = ids.index(current) if current in ids else -1
        others = [item for item in (*ids[place + 1 :], *ids[: max(place, 0)]) if item != current]
        return others[0] if others else ""

    def _panel(self, wanted: str, request: gr.Request, anew: bool = False) -> Panel:
        waiting, progress = self._desk.waiting(), self._desk.progress()
        ids = [item.id for item in waiting]
        shown = next((item for item in waiting if item.id == wanted), waiting[0] if waiting else None)
        running, elsewhere = _runs(progress), self._desk.asked_elsewhere()
        accepted, rejected = self._desk.decided(ACCEPTED), self._desk.decided(REJECTED)
        # What somebody is typing is not taken from under them.
        same = shown is not None and shown.id == wanted and not anew
        text = gr.skip() if same else shown.query if shown else ""
        passage = (
            gr.skip() if same else card(shown, self._desk.passage(shown), ids.index(shown.id) + 1) if shown else ""
        )
        return Panel(
            start=gr.Button(interactive=not running and not elsewhere),
            cancel=gr.Button(visible=running),
            timer=gr.Timer(active=running or elsewhere),
            progress=(_html.note(ELSEWHERE) if elsewhere else "") + (told(progress) if progress else ""),
            review=gr.Row(visible=shown is not None),
            list=listed(waiting, self._desk.counts()[PROPOSED], shown.id if shown else ""),
            current=shown.id if shown else "",
            text=text,
            passage=passage,
            undo=gr.Button(visible=bool(accepted or rejected)),
            decided=decided(accepted, rejected),
            making=gr.Row(visible=bool(accepted)),
        )


def build() -> ProposalPanel:
    """Lay out the part."""
    with gr.Accordion("Propose queries from the documents", open=False, elem_id="proposals-panel") as root:
        gr.HTML(_html.note(ABOUT))
        with gr.Row(equal_height=False):
            documents = gr.Dropdown(
                [],
                label="Documents (all, if you choose none)",
                multiselect=True,
                elem_id="proposals-documents",
                scale=3,
            )
            documents.preprocess = lambda value: value
            proposer = build_dropdown("Made by", "proposals-proposer", scale=3)
            count = gr.Number(
                20, label=f"How many (1 to {MOST})", precision=0, elem_id="proposals-count", scale=1, min_width=140
            )
        with gr.Row():
            start = gr.Button("Propose", variant="primary", elem_id="proposals-start", scale=0, min_width=150)
            cancel = gr.Button("Cancel", visible=False, elem_id="proposals-cancel", scale=0, min_width=150)
        timer = gr.Timer(1.0, active=False)
        progress = gr.HTML("", elem_id="proposals-progress")
        current = gr.Textbox("", visible=False, elem_id="proposals-current")
        with gr.Row(visible=False, equal_height=False, elem_id="proposals-review") as review:
            with gr.Column(scale=2, min_width=280):
                listing = gr.HTML("", js_on_load=_CHOOSE_JS, elem_id="proposals-list")
            with gr.Column(scale=3, min_width=320):
                text = gr.Textbox(
                    label="Query; change it where it should be another", lines=2, elem_id="proposals-text"
                )
                with gr.Row(elem_classes=["pl-files"]):
                    accept = gr.Button("Accept  A", variant="primary", elem_id="proposals-accept")
                    reject = gr.Button("Reject  X", elem_id="proposals-reject")
                    later = gr.Button("Later  N", elem_id="proposals-later")
                passage = gr.HTML("", js_on_load=_html.OPEN_SOURCE_JS, elem_id="proposals-passage")
        with gr.Row(elem_classes=["pl-files"]):
            undo = gr.Button("Undo  Z", visible=False, elem_id="proposals-undo")
        decided_html = gr.HTML("", elem_id="proposals-decided")
        with gr.Row(visible=False, equal_height=False) as making:
            name = gr.Textbox(label="Name of the list (optional)", max_lines=1, elem_id="proposals-name", scale=3)
            hold_out = gr.Checkbox(
                True,
                label="Hold out every third query as a test query for Compare",
                elem_id="proposals-hold-out",
                scale=3,
            )
            make = gr.Button("Make a query list", elem_id="proposals-make", scale=1, min_width=170)
    return ProposalPanel(
        root, documents, count, proposer, start, cancel, timer, progress, review, listing, current, text, passage, accept,
        reject, later, undo, decided_html, making, name, hold_out, make,
    )  # fmt: skip


def wire(panel: ProposalPanel, handlers: ProposalHandlers, runs: RunsPanel) -> None:
    """Attach the listeners. ``runs`` is where the list that is made can be run."""
    screen = [
        panel.start, panel.cancel, panel.timer, panel.progress, panel.review, panel.list, panel.current, panel.text,
        panel.passage, panel.undo, panel.decided, panel.making,
    ]  # fmt: skip
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    chosen = [panel.documents, panel.proposer]
    panel.root.expand(allowed(Role.ADMIN, handlers.load_choices, quiet=True), chosen, chosen, **quiet)
    panel.root.expand(allowed(Role.ADMIN, handlers.show, quiet=True), panel.current, screen, **quiet)
    panel.timer.tick(
        allowed(Role.ADMIN, handlers.show, quiet=True), panel.current, screen, concurrency_limit=4, **quiet
    )
    asked = [panel.documents, panel.count, panel.proposer, panel.current]
    panel.start.click(allowed(Role.ADMIN, handlers.propose, cost=HEAVY), asked, screen, api_visibility="private")
    panel.cancel.click(allowed(Role.ADMIN, handlers.cancel), panel.current, screen, **quiet)
    panel.list.expand(allowed(Role.ADMIN, handlers.choose), None, screen, **quiet)
    both = [panel.current, panel.text]
    panel.accept.click(allowed(Role.ADMIN, handlers.accept), both, screen, js=_SHOWN_JS, **quiet)
    one = _SHOWN_JS.replace(", text]", "]")
    panel.reject.click(allowed(Role.ADMIN, handlers.reject), panel.current, screen, js=one, **quiet)
    panel.later.click(allowed(Role.ADMIN, handlers.later), panel.current, screen, js=one, **quiet)
    panel.undo.click(allowed(Role.ADMIN, handlers.undo), None, screen, **quiet)
    made = panel.make.click(
        allowed(Role.ADMIN, handlers.make_list),
        [panel.name, panel.hold_out],
        [runs.report, runs.query_list, panel.name],
        **quiet,
    )
    made.success(allowed(Role.ADMIN, handlers.show, quiet=True), panel.current, screen, **quiet)


def told(progress: Progress) -> str:
    """Return how far a proposer is, or what came of it."""
    headings = progress.proposer == HEADINGS
    words = [plural(progress.proposed, "new query", "new queries")]
    words += [f"{progress.more:,} more could be made"] if progress.more else []
    words += [f"{progress.same:,} there already"] if progress.same else []
    nothing = plural(progress.nothing, "passage")
    words += (
        [f"{nothing} with nothing to ask" if not headings else f"{nothing} without such a heading"]
        if progress.nothing
        else []
    )
    failed = sum(progress.failures.values())
    words += [f"{failed:,} failed"] if failed else []
    words += [f"{progress.tokens:,} tokens"] if progress.tokens else []
    words += [f"${progress.cost:,.4f}"] if progress.cost is not None else []
    words += [_ENDS[progress.state]] if progress.state in _ENDS else []
    line = f"{progress.asked:,} of {plural(progress.total, 'passage')}: {', '.join(words)}"
    shown = _html.note(line, "good") if headings and progress.proposed else _html.note(line)
    if not headings:
        shown = _html.bar(progress.asked, progress.total, f"{progress.proposer} · {line}")
    errors = [f"{reason} ({plural(count, 'passage')})" for reason, count in progress.failures.most_common(3)]
    errors += [progress.error] if progress.error else []
    return shown + "".join(_html.note(error, "bad") for error in errors)


_ENDS = {
    JobState.CANCELLED: "cancelled",
    JobState.INTERRUPTED: "interrupted when the app stopped; Propose goes on with other passages",
    JobState.FAILED: "failed",
}


def listed(waiting: Sequence[Proposal], total: int, shown: str) -> str:
    """Return the proposals that wait, the one that is being read marked."""
    if not waiting:
        return ""
    place = next((number for number, item in enumerate(waiting) if item.id == shown), 0)
    # The one that is being read is always among those that are listed.
    first = max(0, min(place - 5, len(waiting) - LISTED))
    rows = "".join(
        f'<li><button type="button" class="pl-proposal" data-choose="{_html.esc(item.id)}" '
        f'{_CURRENT if item.id == shown else ""} dir="auto">{_html.esc(item.query)}</button></li>'
        for item in waiting[first : first + LISTED]
    )
    more = _html.note(f"{min(LISTED, len(waiting))} of these are listed.") if total > LISTED else ""
    return f'<p class="pl-label">{plural(total, "proposal")} to review</p><ol class="pl-proposals">{rows}</ol>{more}'


_CURRENT = 'aria-current="true"'


def card(proposal: Proposal, passage: Passage, number: int) -> str:
    """Return the passage that a query was made of."""
    place = (passage.chunk_id, passage.document_id, passage.document, passage.text, passage.start, passage.end)
    context = Context(*place, score=0.0, heading=passage.heading, page=passage.page)
    return (
        f'<div data-proposal="{_html.esc(proposal.id)}"><p class="pl-label">The passage that should answer it</p>'
        f"{_html.source(number, context, scores=False, opened=True)}</div>"
    )


def decided(accepted: Sequence[Proposal], rejected: Sequence[Proposal]) -> str:
    """Return what was decided and is in no list yet."""
    parts = []
    for title, several in (("accepted, in no list yet", accepted), ("rejected, and not proposed again", rejected)):
        if several:
            rows = "".join(f'<li dir="auto">{_html.esc(item.query)}</li>' for item in several[-LISTED:])
            parts.append(
                f'<details class="pl-more"><summary>{len(several)} {title}</summary><ul class="pl-uses">{rows}</ul></details>'
            )
    return "".join(parts)


def _runs(progress: Progress | None) -> bool:
    return progress is not None and progress.state is JobState.RUNNING


def _chosen(current: str | None) -> str:
    if not current:
        raise QueryFileError("Choose a proposal first.")
    return current
