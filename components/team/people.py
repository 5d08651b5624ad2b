"""People, a panel of Team: who is a member as what, and what becomes of them. Without sign-in: which browsers have been here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html, _once
from components._guard import allowed
from components._session import person
from components.team import html as team_html
from pipeline.errors import RecordError
from pipeline.people import Member
from pipeline.ranking.verdict import plural
from pipeline.records import Role
from pipeline.services import Services
from pipeline.settings import SignIn

ROLE_WORDS = {
    Role.OWNER: "does everything, also models, keys, training, storage, roles and the removal of people",
    Role.ADMIN: "also handles documents, datasets, runs, comparisons and sprints, and invites annotators and viewers",
    Role.ANNOTATOR: "also asks, answers records and judges comparisons",
    Role.VIEWER: "reads Start and Results",
}
ROLES = [(role.capitalize(), role.value) for role in reversed(Role)]
OPEN = (
    "Whoever reaches this address may do everything here: read, change and remove. That is right on a laptop. To have people "
    "sign in, and to give each a role, start Pairloop with PAIRLOOP_SIGN_IN set to accounts (user names and passwords), name (a "
    "name and a join code, for a sprint) or huggingface (accounts of the Hub)."
)
_PRESSES_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-manage]');
  if (button) trigger('manage', {member: button.dataset.manage});
});
"""
# The form may be below a long list: whoever opened it is taken there.
_TO_FORM_JS = """() => requestAnimationFrame(() => {
  const heading = document.querySelector('#team-member h3');
  heading?.focus({preventScroll: true});
  heading?.scrollIntoView({block: 'nearest'});
  document.getElementById('team-member')?.scrollIntoView({block: 'nearest'});
})
"""


@dataclass(frozen=True, slots=True)
class PeoplePanel:
    """Components of the panel."""

    root: gr.Tab
    listed: gr.HTML
    form: gr.Column
    heading: gr.HTML
    member: gr.Textbox
    role: gr.Dropdown
    change: gr.Button
    reset: gr.Button
    end: gr.Button
    remove: gr.Button
    close: gr.Button
    said: gr.HTML
    confirm: gr.Column
    confirm_text: gr.HTML
    confirmed: gr.Button
    cancel: gr.Button


class Managed(NamedTuple):
    """Output order of the form of one person."""

    form: gr.Column
    heading: str
    member: str
    role: gr.Dropdown
    reset: gr.Button
    said: str
    confirm: gr.Column


class Done(NamedTuple):
    """Output order of something that was done to a person."""

    listed: str
    said: str
    confirm: gr.Column


class PeopleHandlers:
    """Members for those who may manage them: the desk checks who acts, whatever is shown."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.people

    def show_people(self, request: gr.Request) -> str:
        """Return everybody."""
        me = person(self._services, request)
        found = [member for member in self._desk.members() if member.removed_at is None]
        removed = len(self._desk.members()) - len(found)
        if self._desk.open:
            return _html.note(OPEN, "warn") + visitors_html(found, me)
        return members_html(found, removed, me, self._may_manage(me))

    def manage(self, request: gr.Request, event: gr.EventData) -> Managed:
        """Open the form of a person."""
        return self._form(str(event._data.get("member", "")), person(self._services, request))

    def change_role(self, member_id: str, role: str, request: gr.Request) -> Done:
        """Give a person another role."""
        if role not in list(Role):
            raise RecordError("Choose a role.")
        self._desk.set_role(person(self._services, request), member_id, Role(role))
        name = self._services.store.members.name(member_id)
        return self._done(request, _html.note(f"{name} is {_a(role)} from now on.", "good"))

    def reset_password(self, member_id: str, request: gr.Request) -> Done:
        """Give a person a password for one sign-in and show it this once."""
        password = self._desk.reset_password(person(self._services, request), member_id)
        name = self._services.store.members.name(member_id)
        note = f"Give it to {name} in person: it is shown this once, is good for one sign-in, and {name} then chooses another."
        return self._done(request, _once.shown(password, f"The new password of {name}", note))

    def end_sign_ins(self, member_id: str, request: gr.Request) -> Done:
        """End every sign-in of a person."""
        self._desk.end_sign_ins(person(self._services, request), member_id)
        name = self._services.store.members.name(member_id)
        return self._done(request, _html.note(f"{name} is signed out everywhere, and may sign in again.", "good"))

    def ask_remove(self, member_id: str) -> tuple[gr.Column, str]:
        """Ask whether a person is to be removed, and say what happens then."""
        name = self._member(member_id).name
        text = (
            f"{name} is signed out at once, can do nothing here any more and loses password and API tokens. Their answers and "
            "votes stay and go on counting, under a pseudonym in the place of the name. To come back they are invited anew."
        )
        return gr.Column(visible=True), _html.note(text, "warn")

    def remove(self, member_id: str, request: gr.Request) -> tuple[str, gr.Column, gr.Column]:
        """Remove a person."""
        name = self._member(member_id).name
        self._desk.remove(person(self._services, request), member_id)
        gr.Info(f"{_html.esc(name)} is removed.")
        return self.show_people(request), gr.Column(visible=False), gr.Column(visible=False)

    def _form(self, member_id: str, me: str) -> Managed:
        found = self._member(member_id)
        mine = " That is you." if member_id == me else ""
        login = f" Signs in as {_html.esc(found.login)}." if found.login else ""
        return Managed(
            gr.Column(visible=True),
            f'<h3 class="pl-title" tabindex="-1">{_html.esc(found.name)}</h3><p class="pl-note">{login}{mine}</p>',
            member_id,
            gr.Dropdown(choices=ROLES, value=found.role.value),
            gr.Button(visible=self._desk.mode is SignIn.ACCOUNTS),
            "",
            gr.Column(visible=False),
        )

    def _done(self, request: gr.Request, said: str) -> Done:
        return Done(self.show_people(request), said, gr.Column(visible=False))

    def _member(self, member_id: str) -> Member:
        found = [m for m in self._desk.members() if m.member_id == member_id and m.removed_at is None]
        if not found:
            raise RecordError("This person is no member any more. Reload the page.")
        return found[0]

    def _may_manage(self, me: str) -> bool:
        role = self._desk.role_of(me)
        return role is not None and role.covers(Role.OWNER)


def members_html(found: Sequence[Member], removed: int, me: str, manage: bool) -> str:
    """Return the members, each with a button where they may be managed."""
    rows = []
    for member in found:
        cells = [
            ("Role", _html.esc(member.role)),
            ("Signs in as", _html.esc(member.login) or "a name"),
            ("Member since", _html.ago(member.created_at)),
            ("Last seen", team_html.last_seen(member.last_seen)),
        ]
        if manage:
            button = (
                f'<button type="button" class="pl-plain-button" data-manage="{_html.esc(member.member_id)}" '
                f'aria-label="Manage {_html.esc(member.name)}">Manage</button>'
            )
            cells.append(("Change", button))
        you = " <span class='pl-quiet'>you</span>" if member.member_id == me else ""
        rows.append(team_html.row(f"{_html.esc(member.name)}{you}", cells))
    head = ("Member", "Role", "Signs in as", "Member since", "Last seen", *(("Change",) if manage else ()))
    gone = f"{plural(removed, 'person was', 'people were')} removed; what they gave stays under a pseudonym."
    roles = "".join(f"<li><b>{role}</b>: {words}</li>" for role, words in ROLE_WORDS.items())
    return (
        team_html.table("Members", head, rows)
        + (f'<p class="pl-note">{gone}</p>' if removed else "")
        + f'<details class="pl-more"><summary>What each role may do</summary><ul class="pl-list">{roles}</ul></details>'
    )


def visitors_html(found: Sequence[Member], me: str) -> str:
    """Return the browsers that have been here, of a workspace that nobody signs in to."""
    if not found:
        return ""
    rows = [
        team_html.row(
            f"{_html.esc(member.name)}{' <span class=pl-quiet>this browser</span>' if member.member_id == me else ''}",
            [
                ("Since", _html.ago(member.created_at)),
                ("Last seen", team_html.last_seen(member.last_seen)),
            ],
        )
        for member in found
    ]
    label = '<h3 class="pl-label">Browsers that have been here</h3>'
    return label + team_html.table("Browsers that have been here", ("Browser", "Since", "Last seen"), rows)


def build() -> PeoplePanel:
    """Lay out the panel; what is built next belongs below it in the same tab."""
    with gr.Tab("People", id="people", elem_id="team-people") as root:
        listed = gr.HTML("", js_on_load=_PRESSES_JS, elem_id="team-people-list")
        with gr.Column(visible=False, elem_id="team-member") as form:
            heading = gr.HTML("")
            member = gr.Textbox("", visible=False)
            with gr.Row(equal_height=False):
                role = gr.Dropdown(ROLES, label="Role", filterable=False, elem_id="team-member-role", scale=2)
                change = gr.Button("Change the role", elem_id="team-member-change")
            said = gr.HTML("", js_on_load=_once.COPIES_JS, elem_id="team-member-said")
            with gr.Row(elem_classes=["pl-beside"]):
                reset = gr.Button("Reset the password", elem_id="team-member-reset")
                end = gr.Button("Sign out everywhere", elem_id="team-member-end")
                remove = gr.Button("Remove …", variant="stop", elem_id="team-member-remove")
                close = gr.Button("Close", elem_id="team-member-close")
            with gr.Column(visible=False, elem_id="team-member-confirm") as confirm:
                confirm_text = gr.HTML("")
                with gr.Row(elem_classes=["pl-beside"]):
                    confirmed = gr.Button("Remove this person", variant="stop", elem_id="team-member-confirmed")
                    cancel = gr.Button("Cancel", elem_id="team-member-cancel")
    return PeoplePanel(
        root, listed, form, heading, member, role, change, reset, end, remove, close, said, confirm, confirm_text,
        confirmed, cancel,
    )  # fmt: skip


def wire(panel: PeoplePanel, handlers: PeopleHandlers, opened: list[Callable]) -> None:
    """Attach the listeners; ``opened`` are the events that show the panel."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    _once.gone(panel.said, opened)
    for event in opened:
        event(allowed(Role.ADMIN, handlers.show_people), None, panel.listed, **quiet)
    form = [panel.form, panel.heading, panel.member, panel.role, panel.reset, panel.said, panel.confirm]
    managed = panel.listed.manage(allowed(Role.OWNER, handlers.manage), None, form, **quiet)
    managed.success(None, None, None, js=_TO_FORM_JS, **quiet)
    done = [panel.listed, panel.said, panel.confirm]
    panel.change.click(allowed(Role.OWNER, handlers.change_role), [panel.member, panel.role], done, **quiet)
    panel.reset.click(allowed(Role.OWNER, handlers.reset_password, cost=1), panel.member, done, **quiet)
    panel.end.click(allowed(Role.OWNER, handlers.end_sign_ins), panel.member, done, **quiet)
    question = [panel.confirm, panel.confirm_text]
    panel.remove.click(allowed(Role.OWNER, handlers.ask_remove), panel.member, question, **quiet)
    over = [panel.listed, panel.form, panel.confirm]
    panel.confirmed.click(allowed(Role.OWNER, handlers.remove), panel.member, over, **quiet)
    for button, column in ((panel.cancel, panel.confirm), (panel.close, panel.form)):
        button.click(allowed(Role.ADMIN, _hidden), None, column, **quiet)


def _hidden() -> gr.Column:
    return gr.Column(visible=False)


def _a(role: str) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"
