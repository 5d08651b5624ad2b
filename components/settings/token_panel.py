"""API tokens, a panel of Settings for everybody: make one, see it once, revoke it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html, _once
from components._guard import allowed
from components._session import person
from components.api.routes import PREFIX
from components.team import html as team_html
from pipeline.records import Role
from pipeline.services import Services
from pipeline.store.tokens import ApiToken

DAYS = [("7 days", 7), ("30 days", 30), ("90 days", 90), ("1 year", 365), ("Until I revoke it", 0)]
PLACE = "pl_…"
_ABOUT = (
    "With a token a program works here as you: it may do what your role may, under your name. Give each program one of its own, "
    "so that you can revoke one alone."
)
_COPY = "Copy it now: it is shown this once and cannot be looked up later."
_PRESSES_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-revoke]');
  if (!button) return;
  if (button.dataset.sure) { trigger('withdraw', {token: button.dataset.revoke}); return; }
  button.dataset.sure = 'yes';
  button.textContent = 'Really revoke';
  setTimeout(() => { delete button.dataset.sure; button.textContent = 'Revoke'; }, 4000);
});
"""


@dataclass(frozen=True, slots=True)
class TokenPanel:
    """Components of the panel."""

    root: gr.Tab
    name: gr.Textbox
    days: gr.Dropdown
    make: gr.Button
    new: gr.HTML
    listed: gr.HTML
    example: gr.HTML


class Shown(NamedTuple):
    """Output order of the panel."""

    new: str
    listed: str
    example: str


class Made(NamedTuple):
    """Output order of a token that was made."""

    name: str
    new: str
    listed: str
    example: str


class TokenHandlers:
    """A person's own tokens, and for an owner those of others."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.tokens

    def show_tokens(self, request: gr.Request) -> Shown:
        """Return the tokens that open something, and an example of a request."""
        return Shown("", self._listed(person(self._services, request)), self._example(request, PLACE))

    def lead(self, request: gr.Request) -> gr.Tabs:
        """Open this panel for whoever sees no other one."""
        owner = self._services.people.role_of(person(self._services, request)) is Role.OWNER
        return gr.skip() if owner else gr.Tabs(selected="tokens")

    def make_token(self, name: str, days: float | None, request: gr.Request) -> Made:
        """Make a token and show it this once, also in the example."""
        me = person(self._services, request)
        made = self._desk.make(me, str(name or ""), int(days) if days else None)
        new = _once.shown(made.value, "The new token", _COPY)
        return Made("", new, self._listed(me), self._example(request, made.value))

    def revoke_token(self, request: gr.Request, event: gr.EventData) -> Shown:
        """Revoke a token."""
        me = person(self._services, request)
        self._desk.revoke(me, str(event._data.get("token", "")))
        return Shown(_html.note("Revoked. It opens nothing any more.", "good"), self._listed(me), gr.skip())

    def _listed(self, me: str) -> str:
        return tokens_html(self._desk.of(me), self._desk.of_others(me))

    def _example(self, request: gr.Request, token: str) -> str:
        settings = self._services.settings
        known = _once.address(request, settings.entry)
        return example_html(known or f"http://127.0.0.1:{settings.port}{settings.entry.base}", token)


def tokens_html(own: Sequence[ApiToken], others: Sequence[tuple[ApiToken, str]] = ()) -> str:
    """Return a person's tokens, and below them those of others, each with a button that revokes it."""
    head = ("For", "Made", "Expires", "Last used", "Change")
    table = team_html.table("Your API tokens", head, [_row(token) for token in own])
    shown = table if own else _html.note("You have no token.")
    if others:
        rows = [_row(token, name or "somebody") for token, name in others]
        table = team_html.table("API tokens of others", ("For", "Of", *head[1:]), rows)
        shown += f'<h3 class="pl-title">Of others</h3>{table}'
    return shown


def example_html(origin: str, token: str) -> str:
    """Return a request that can be copied into a terminal, and where the description of the others is."""
    command = curl(origin, token)
    return (
        '<p class="pl-label">Try it in a terminal</p>'
        f'<div class="pl-new-link"><input class="pl-input" readonly aria-label="Example" value="{_html.esc(command)}">'
        '<button type="button" class="pl-plain-button" data-copy>Copy</button></div>'
        f'<p class="pl-note">Everything there is: <code>{_html.esc(origin)}{PREFIX}</code>, described as OpenAPI in '
        f"<code>{_html.esc(origin)}{PREFIX}/openapi.json</code>.</p>"
    )


def curl(origin: str, token: str) -> str:
    """Return the command that asks the documents."""
    headers = f"-H 'Authorization: Bearer {token}' -H 'Content-Type: application/json'"
    return f'curl {headers} -d \'{{"query": "What does a rating of 1 mean?"}}\' {origin}{PREFIX}/ask'


def _row(token: ApiToken, owner: str = "") -> str:
    # Coarse as it is kept: to the quarter of an hour.
    used = "never" if token.used_at is None else team_html.at_moment(token.used_at)
    press = (
        f'<button type="button" class="pl-plain-button" data-revoke="{_html.esc(token.id)}" '
        f'aria-label="Revoke the token {_html.esc(token.name)}{f" of {_html.esc(owner)}" if owner else ""}">Revoke</button>'
    )
    cells = [("Of", _html.esc(owner))] if owner else []
    cells += [
        ("Made", _html.ago(token.created_at)),
        ("Expires", team_html.at_moment(token.expires_at) if token.expires_at else "never"),
        ("Last used", used),
        ("Change", press),
    ]
    return team_html.row(_html.esc(token.name), cells)


def build() -> TokenPanel:
    """Lay out the panel."""
    with gr.Tab("API tokens", id="tokens", elem_id="token-panel") as root:
        gr.HTML(f'<h3 class="pl-title">API tokens</h3>{_html.note(_ABOUT)}')
        with gr.Row(equal_height=True):
            name = gr.Textbox(
                label="What it is for",
                placeholder="For example: nightly import",
                max_lines=1,
                elem_id="token-name",
                scale=3,
            )
            days = gr.Dropdown(DAYS, value=90, label="Good for", filterable=False, elem_id="token-days", scale=1)
        make = gr.Button("Make a token", variant="primary", elem_id="token-make")
        new = gr.HTML("", js_on_load=_once.COPIES_JS, elem_id="token-new")
        listed = gr.HTML("", js_on_load=_PRESSES_JS, elem_id="token-list")
        example = gr.HTML("", js_on_load=_once.COPIES_JS, elem_id="token-example")
    return TokenPanel(root, name, days, make, new, listed, example)


def wire(panel: TokenPanel, handlers: TokenHandlers, opened: Sequence[Callable]) -> None:
    """Attach the listeners; each of ``opened`` fires when the panel is to be shown anew."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    shown = [panel.new, panel.listed, panel.example]
    for field in (panel.new, panel.example):
        _once.gone(field, opened)
    for event in opened:
        event(allowed(Role.VIEWER, handlers.show_tokens), None, shown, **quiet)
    given = [panel.name, panel.days]
    for event in (panel.make.click, panel.name.submit):
        event(allowed(Role.VIEWER, handlers.make_token, cost=1), given, [panel.name, *shown], **quiet)
    panel.listed.withdraw(allowed(Role.VIEWER, handlers.revoke_token), None, shown, **quiet)
