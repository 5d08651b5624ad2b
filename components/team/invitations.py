"""Invitations, a part of the People panel of Team: by a link or a code, by a name or an organisation of the Hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

import gradio as gr

from components import _html, _once
from components._guard import allowed
from components._session import person
from components.team import html as team_html
from pipeline.errors import RecordError
from pipeline.people import Invitation, Invited
from pipeline.ranking.verdict import plural
from pipeline.records import Role
from pipeline.services import Services
from pipeline.settings import SignIn

LINK, HUB_NAME, ORGANISATION = "link", "name", "organisation"
_PRESSES_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-withdraw]');
  if (button) trigger('withdraw', {invitation: button.dataset.withdraw});
});
"""


@dataclass(frozen=True, slots=True)
class InvitationPart:
    """Components of the part."""

    root: gr.Column
    kind: gr.Dropdown
    whom: gr.Textbox
    role: gr.Dropdown
    days: gr.Number
    most: gr.Number
    make: gr.Button
    new: gr.HTML
    listed: gr.HTML


class Shown(NamedTuple):
    """Output order of the part when it is opened."""

    root: gr.Column
    kind: gr.Dropdown
    role: gr.Dropdown
    listed: str


class Made(NamedTuple):
    """Output order of an invitation that was made or withdrawn."""

    new: str
    listed: str


class InvitationHandlers:
    """Invitations for those who may invite: the desk checks to which role."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.people

    def show_invitations(self, request: gr.Request) -> Shown:
        """Return how this person may invite, and whom; nothing where nobody signs in."""
        if self._desk.open:
            return Shown(gr.Column(visible=False), gr.skip(), gr.skip(), "")
        mine = self._desk.role_of(person(self._services, request))
        roles = [role for role in reversed(Role) if mine is Role.OWNER or Role.ANNOTATOR.covers(role)]
        on_hub = self._desk.mode is SignIn.HUGGINGFACE
        return Shown(
            gr.Column(visible=True),
            gr.Dropdown(visible=on_hub),
            gr.Dropdown(choices=[(role.capitalize(), role.value) for role in roles], value=Role.ANNOTATOR.value),
            self._listed(),
        )

    def choose_kind(self, kind: str | None) -> gr.Textbox:
        """Ask for what the kind of invitation needs."""
        label = "Name of the organisation on the Hub" if kind == ORGANISATION else "Name on the Hub"
        return gr.Textbox(label=label, visible=kind in (HUB_NAME, ORGANISATION))

    def invite(
        self, kind: str | None, whom: str, role: str, days: float | None, most: float | None, request: gr.Request
    ) -> Made:
        """Make an invitation and show it this once."""
        if role not in list(Role):
            raise RecordError("Choose a role.")
        if kind in (HUB_NAME, ORGANISATION) and not str(whom or "").strip():
            raise RecordError("Type the name on the Hub.")
        invited = self._desk.invite(
            person(self._services, request),
            Role(role),
            hub_name=str(whom or "") if kind == HUB_NAME else "",
            organisation=str(whom or "") if kind == ORGANISATION else "",
            days=_whole(days, 0),
            # A name is one person; 0 sets no limit.
            most=1 if kind == HUB_NAME else _whole(most, -1) or None,
        )
        count = _whole(most, 0)
        lets_in = f"It lets in {plural(count, 'person', 'people') if count else 'any number of people'}, as {role}."
        return Made(self._new(invited, str(whom or "").strip(), lets_in, request), self._listed())

    def withdraw(self, request: gr.Request, event: gr.EventData) -> Made:
        """Withdraw an invitation."""
        self._desk.withdraw(person(self._services, request), str(event._data.get("invitation", "")))
        return Made("", self._listed())

    def _new(self, invited: Invited, whom: str, lets_in: str, request: gr.Request) -> str:
        if not invited.code:
            return _html.note(f"{whom} is invited: signing in with the Hub is all it takes.", "good")
        link = f"{_once.address(request, self._services.settings.entry)}/join?code={quote(invited.code, safe='')}"
        note = f"{lets_in} Copy it now: it is shown this once and cannot be looked up later."
        shown = _once.shown(link, "The link of the new invitation", note)
        if self._desk.mode is SignIn.NAME:
            shown += f'<p class="pl-note">Or tell people this address and the join code <b>{_html.esc(invited.code)}</b>.</p>'
        return shown

    def _listed(self) -> str:
        return invitations_html(self._desk.invitations())


def invitations_html(found: Sequence[Invitation]) -> str:
    """Return invitations that somebody may come by, each with a button, and folded below them those that are over."""
    good = [one for one in found if one.good]
    over = [one for one in found if not one.good]
    head = ("For", "As", "Used", "Expires", "By")
    parts = []
    if good:
        rows = [_row(one, button=True) for one in good]
        parts.append(team_html.table("Invitations", (*head, "Change"), rows))
    else:
        parts.append(_html.note("Nobody is invited at the moment."))
    if over:
        old = team_html.table("Invitations that are over", head, [_row(one) for one in over[:50]])
        parts.append(f'<details class="pl-more"><summary>Over: {len(over):,}</summary>{old}</details>')
    return "".join(parts)


def _row(one: Invitation, button: bool = False) -> str:
    whom = one.hub_name or one.organisation or "whoever has the link"
    name = f"{_html.esc(whom)}{' <span class=pl-quiet>organisation</span>' if one.organisation else ''}"
    of = "" if one.most is None else f" of {one.most:,}"
    expires = team_html.at_moment(one.expires_at) if one.expires_at else "never"
    if one.withdrawn_at:
        expires = f"withdrawn {_html.ago(one.withdrawn_at)}"
    cells = [
        ("As", _html.esc(one.role)),
        ("Used", f"{one.used:,}{of}" if of else plural(one.used, "time")),
        ("Expires", expires),
        ("By", _html.esc(one.by or "somebody")),
    ]
    if button:
        press = (
            f'<button type="button" class="pl-plain-button" data-withdraw="{_html.esc(one.id)}" '
            f'aria-label="Withdraw the invitation for {_html.esc(whom)} as {_html.esc(one.role)}">Withdraw</button>'
        )
        cells.append(("Change", press))
    return team_html.row(name, cells)


def build() -> InvitationPart:
    """Lay out the part, within the tab that is open."""
    with gr.Column(visible=False, elem_id="team-invite") as root:
        gr.HTML('<h3 class="pl-title">Invite</h3>')
        with gr.Row(equal_height=False):
            kinds = [("Whoever has the link", LINK), ("A person of the Hub", HUB_NAME)]
            kinds.append(("An organisation of the Hub", ORGANISATION))
            kind = gr.Dropdown(kinds, value=LINK, label="Invite", filterable=False, elem_id="team-invite-kind", scale=2)
            whom = gr.Textbox(label="Name on the Hub", visible=False, max_lines=1, elem_id="team-invite-whom", scale=2)
            role = gr.Dropdown([], label="As", filterable=False, elem_id="team-invite-role", scale=1)
            # What a person may invite to is not the same for everybody, and the desk checks it.
            role.preprocess = lambda value: value
            days = gr.Number(7, label="Good for (days)", precision=0, elem_id="team-invite-days", scale=1)
            most = gr.Number(
                1, label="How many people (0: any number)", precision=0, elem_id="team-invite-most", scale=1
            )
        make = gr.Button("Invite", variant="primary", elem_id="team-invite-make")
        new = gr.HTML("", js_on_load=_once.COPIES_JS, elem_id="team-invite-new")
        listed = gr.HTML("", js_on_load=_PRESSES_JS, elem_id="team-invitations")
    return InvitationPart(root, kind, whom, role, days, most, make, new, listed)


def wire(part: InvitationPart, handlers: InvitationHandlers, opened: list[Callable]) -> None:
    """Attach the listeners; ``opened`` are the events that show the part."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    _once.gone(part.new, opened)
    for event in opened:
        shown = [part.root, part.kind, part.role, part.listed]
        event(allowed(Role.ADMIN, handlers.show_invitations), None, shown, **quiet)
    part.kind.input(allowed(Role.ADMIN, handlers.choose_kind), part.kind, part.whom, **quiet)
    form = [part.kind, part.whom, part.role, part.days, part.most]
    part.make.click(allowed(Role.ADMIN, handlers.invite, cost=1), form, [part.new, part.listed], **quiet)
    part.listed.withdraw(allowed(Role.ADMIN, handlers.withdraw), None, [part.new, part.listed], **quiet)


def _whole(number: float | None, otherwise: int) -> int:
    """Return a whole number that was typed; what is none becomes one that the desk refuses."""
    fits = isinstance(number, int | float) and number == number and abs(number) < 1e9 and number == int(number)
    return int(number) if fits else otherwise
