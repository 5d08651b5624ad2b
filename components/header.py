"""The header of every tab: where data is kept, who you are, which keys there are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from components._guard import allowed
from components._html import esc
from components._session import is_secure, person
from components.backup_words import UNKNOWN, Words, words
from pipeline.auth.names import MAX_NAME, person_name
from pipeline.records import Role
from pipeline.services import Services
from pipeline.workspaces import Place

_RENAME_JS = """
element.addEventListener('change', (event) => {
  if (event.target.matches('[data-name]')) trigger('edit', {name: event.target.value});
});
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A key and what it does. One with an ``action`` may be changed; the page's script (keys.js) knows actions by their names.

    ``button`` is the id of a button of Gradio's whose label ends with the key.
    """

    key: str
    what: str
    action: str = ""
    button: str = ""
    fixed: bool = False


# A form, so that it needs no script; the address knows by the cookie who wants to leave.
_OUT = (
    '<form class="pl-out" method="post" action="sign-out"><span class="pl-role" title="What you may do here">ROLE</span>'
    '<button type="submit" class="pl-link-button">Sign out</button></form>'
)
KEYS = (
    ("Everywhere", (Key("?", "show these keys", "every.help", fixed=True), Key("Esc", "close a document"))),
    (
        "Ask, reviewing proposed queries",
        (
            Key("a", "accept", "ask.accept", "proposals-accept"),
            Key("x", "reject", "ask.reject", "proposals-reject"),
            Key("n", "leave for later", "ask.later", "proposals-later"),
            Key("e", "change the query", "ask.edit"),
            Key("Ctrl Enter", "accept, while you change it", "ask.submit", fixed=True),
            Key("z", "undo the last decision", "ask.undo", "proposals-undo"),
        ),
    ),
    (
        "Edit",
        (
            Key("Ctrl Enter", "submit, also while you type", "edit.submit", fixed=True),
            Key("0 to 9", "choose in the question with the focus, else the first without an answer"),
            Key("q", "next question", "edit.question"),
            Key("[", "record before", "edit.back"),
            Key("]", "record after", "edit.next"),
            Key("d", "discard; you are asked first", "edit.discard"),
            Key("a", "accept the suggestions", "edit.accept"),
            Key("z", "undo the last submit or discard", "edit.undo"),
            Key("r", "next passage: relevant", "edit.relevant"),
            Key("n", "next passage: not relevant", "edit.irrelevant"),
            Key("m", "mark the selected words as unsupported", "edit.mark"),
            Key("g", "guidelines", "edit.guidelines"),
            Key("/", "search", "edit.search"),
            Key("Esc", "leave a field, close a panel"),
        ),
    ),
    (
        "Compare",
        (
            Key("1", "A is better", "compare.a", "vote-a"),
            Key("2", "B is better", "compare.b", "vote-b"),
            Key("3", "tie", "compare.tie", "vote-tie"),
            Key("4", "both bad", "compare.bad", "vote-bad"),
            Key("1 to 6", "in a ranking: the place of the next answer"),
            Key("Enter", "give a ranking"),
            Key("s", "sources", "compare.sources"),
            Key("z", "undo", "compare.undo", "vote-undo"),
        ),
    ),
)


class HeaderHandlers:
    """Header of one person."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def show_header(self, request: gr.Request) -> str:
        """Return the header."""
        me = person(self._services, request)
        return self._header(self._services.store.members.name(me), me, request)

    def rename_person(self, event: gr.EventData, request: gr.Request) -> str:
        """Give this person the name that was typed."""
        name, me = person_name(str(event._data.get("name", ""))), person(self._services, request)
        self._services.people.check_free(name, me)
        self._services.store.members.rename(me, name)
        gr.Info(f"You are {esc(name)} from now on.")
        return self._header(name, me, request)

    def _header(self, name: str, me: str, request: gr.Request) -> str:
        role = None if self._services.people.open else self._services.people.role_of(me)
        workspace = self._services.store.values.workspace_name()
        said = words(self._services.backup.state(), time.time())
        return header(name, said, role, workspace, self._places(request))

    def _places(self, request: gr.Request) -> list[Place]:
        """Return the workspaces that this browser is signed in to."""
        host, scope = self._services.workspaces.host, getattr(getattr(request, "request", None), "scope", None)
        if host is None or scope is None:
            return []
        here = self._services.settings.entry.workspace
        return host.places(request.headers.get("cookie", ""), is_secure(scope), here)


def build() -> gr.HTML:
    """Lay out the header, and the list of keys apart from it: a header that is set anew must not take an open dialog away."""
    gr.HTML(keys(), elem_id="keys")
    return gr.HTML(header(""), js_on_load=_RENAME_JS, elem_id="header")


def wire(html: gr.HTML, handlers: HeaderHandlers) -> None:
    """Attach the listener for a new name."""
    html.edit(
        allowed(Role.VIEWER, handlers.rename_person), None, html, api_visibility="private", show_progress="hidden"
    )


def header(
    name: str,
    backup: Words = UNKNOWN,
    role: Role | None = None,
    workspace: str = "",
    places: Sequence[Place] = (),
) -> str:
    """Return the header's HTML. The page's script keeps what it says about the back-up true (backup.js).

    Where people sign in, it has the role, by which the style hides what is for others (signing.css), and the way out.

    Until the name is known, none can be typed: the header that comes with it would take it away.
    """
    known = "" if name else "disabled "
    in_role = f' data-role="{role}"' if role else ""
    # The window is called after it too (live.js).
    called = (
        f'<span class="pl-workspace" data-workspace="{esc(workspace)}">{esc(workspace)}</span>' if workspace else ""
    )
    if len(places) > 1:
        called = _switcher(workspace, places)
    out = _OUT.replace("ROLE", role) if role else ""
    return (
        f'<div class="pl-header"{in_role}><span class="pl-brand">Pairloop</span>{called}'
        f'<button type="button" class="pl-state" data-open-backup data-backup="{backup.kind}" title="{esc(backup.title)}">'
        f'{esc(backup.text)}</button><span class="pl-unseen" role="status" data-backup-told></span>'
        '<span class="pl-grow"></span>'
        f'<label class="pl-state">You <input class="pl-name" data-name {known}aria-label="Your name" maxlength="{MAX_NAME}" '
        f'value="{esc(name)}"></label>{out}'
        '<button type="button" class="pl-link-button" data-open-keys>Keys <kbd>?</kbd></button></div>'
    )


def _switcher(workspace: str, places: Sequence[Place]) -> str:
    """Return the name of the workspace, which opens to those of the others that this browser is signed in to."""
    links = "".join(
        f"<li><b>{esc(place.name)}</b></li>"
        if place.here
        else f'<li><a href="{esc(place.address)}">{esc(place.name)}</a></li>'
        for place in places
    )
    here = next((place.name for place in places if place.here), workspace)
    return (
        f'<details class="pl-switch"><summary class="pl-workspace" data-workspace="{esc(workspace)}">{esc(here)}</summary>'
        f'<ul aria-label="Your workspaces">{links}</ul></details>'
    )


def keys() -> str:
    """Return the list of keys as a closed dialog."""
    groups = "".join(
        f"<p class='pl-label'>{title}</p><dl>{''.join(_row(key) for key in group)}</dl>" for title, group in KEYS
    )
    return (
        f'<dialog id="pl-keys" aria-label="Keys"><h3 class="pl-title">Keys</h3>{groups}'
        '<p class="pl-note" role="status" data-keys-note></p><div class="pl-keys-buttons">'
        '<button type="button" class="pl-plain-button" data-close-keys>Close</button>'
        '<button type="button" class="pl-plain-button" data-change-keys aria-pressed="false">Change keys</button>'
        '<button type="button" class="pl-plain-button" data-reset-keys hidden>Reset</button></div></dialog>'
    )


def _row(key: Key) -> str:
    if not key.action:
        return f"<dt>{_kbd(key.key)}</dt><dd>{key.what}</dd>"
    data = f'data-action="{key.action}" data-key="{esc(key.key)}" data-what="{key.what}"'
    data += f' data-button="{key.button}"' if key.button else ""
    if key.fixed:
        return f"<dt {data} data-fixed>{_kbd(key.key)}</dt><dd>{key.what}</dd>"
    change = (
        f'<button type="button" class="pl-link-button" data-change-key hidden>Change'
        f'<span class="pl-unseen"> the key for: {key.what}</span></button>'
    )
    return f"<dt {data}><kbd>{esc(key.key.upper())}</kbd> {change}</dt><dd>{key.what}</dd>"


def _kbd(keys: str) -> str:
    return " ".join(f"<kbd>{esc(key)}</kbd>" if len(key) == 1 or key[0].isupper() else esc(key) for key in keys.split())
