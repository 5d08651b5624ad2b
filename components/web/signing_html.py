"""The pages of sign-in as HTML: they need no script, and nothing from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from pipeline.auth.names import MAX_NAME
from pipeline.auth.passwords import LONGEST, SHORTEST
from pipeline.entrance import ONE_TIME_DAYS
from pipeline.records import Role

STYLE, SCRIPT = "/sign-in/style.css", "/sign-in/script.js"
_BRAND = '<p class="pl-brand">Pairloop</p>'
_ROLES = {Role.VIEWER: "a viewer", Role.ANNOTATOR: "an annotator", Role.ADMIN: "an admin", Role.OWNER: "an owner"}


@dataclass(frozen=True, slots=True)
class Typed:
    """What a form is filled with, and what was wrong with what was sent; never a password."""

    name: str = ""
    code: str = ""
    next: str = "/"
    error: str = ""


def page(title: str, body: str, framed: bool = False) -> str:
    """Return a whole page."""
    script = f'<script src="{SCRIPT}" defer></script>' if framed else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<title>{escape(title)} · Pairloop</title><link rel="stylesheet" href="{STYLE}">{script}</head>'
        f"<body><main>{_BRAND}<section><h1>{escape(title)}</h1>{body}</section></main></body></html>"
    )


def of(page: str, workspace: str) -> str:
    """Return a page with the name of the workspace that it leads to; as it is where that has none."""
    if not workspace:
        return page
    named = page.replace(" · Pairloop</title>", f" · {escape(workspace)} · Pairloop</title>", 1)
    return named.replace(_BRAND, f'<p class="pl-brand">Pairloop · {escape(workspace)}</p>', 1)


def account(typed: Typed) -> str:
    """Return the page on which people with a local account sign in."""
    fields = _name("User name", typed.name, "username")
    fields += _password("Password", "password", "current-password", first=bool(typed.name))
    more = '<p class="pl-note"><a href="/new-password">Change your password</a></p>'
    more += '<p class="pl-note">No account, or the password is lost? Ask an owner of this workspace.</p>'
    return page("Sign in", _form("/sign-in", typed, fields, "Sign in") + more)


def by_name(typed: Typed, mine: str, role: Role | None = None) -> str:
    """Return the page on which people come in with a name and a join code; ``mine`` is whose browser this is already."""
    again = ""
    if mine:
        kept = Typed(next=typed.next)
        inside = f'<input type="hidden" name="name" value="{escape(mine)}">'
        again = f"{_form('/sign-in', kept, inside, f'Go on as {mine}')}<hr><p class='pl-note'>Or come in as somebody else:</p>"
    hint = "Whoever set this up has it. It is needed the first time only."
    fields = _name("Your name", typed.name, "nickname") + _text("Join code", "code", typed.code, hint)
    said = f"<p>You come in as {_ROLES[role]}.</p>" if role else ""
    form = _form("/sign-in", typed, fields, "Come in", "pl-second" if mine else "")
    note = '<p class="pl-note">Your name belongs to this browser: nobody else can take it.</p>'
    return page("Come in", again + said + form + note)


def join(typed: Typed, role: Role) -> str:
    """Return the page on which somebody who was invited makes a local account."""
    fields = _name("User name", typed.name, "username", "Others see it beside what you do.") + _new_password(
        bool(typed.name)
    )
    said = f"<p>You are invited as {_ROLES[role]}. Choose a name and a password.</p>"
    return page("Join", said + _form("/join", typed, fields, "Join"))


def new_password(typed: Typed, said: str) -> str:
    """Return the page on which somebody chooses another password."""
    fields = _name("User name", typed.name, "username")
    label = "Current password, or the one that an owner gave you"
    fields += _password(label, "password", "current-password", first=bool(typed.name))
    note = f'<p role="status">{escape(said)}</p>' if said else ""
    after = (
        '<p class="pl-note">This signs you out everywhere else.</p>'
        f'<p class="pl-note">A password that an owner gave you is good for one change, within {ONE_TIME_DAYS} days. Lost? Ask an '
        'owner of this workspace.</p><p class="pl-note"><a href="/sign-in">Back to sign-in</a></p>'
    )
    return page("Choose a new password", note + _form("/new-password", typed, fields + _new_password(), "Save") + after)


def hub(next_: str, code: str, framed: bool, there: str, role: Role | None = None, error: str = "") -> str:
    """Return the page that leads to the Hub, in a tab of its own where this page is within a frame; ``there`` is its address."""
    address = f"/sign-in/hub?next={quote(next_, safe='')}" + (f"&code={quote(code, safe='')}" if code else "")
    said = f"<p>You are invited as {_ROLES[role]}.</p>" if role else ""
    said += "<p>This workspace is for its members. Sign in with your account of the Hugging Face Hub.</p>"
    button = f'<a class="pl-button" href="{escape(address)}"{_aside(framed)}>Sign in with Hugging Face</a>'
    more = ""
    if framed:
        more = (
            '<button type="button" id="go-on" class="pl-second" hidden>I have signed in: go on here</button>'
            '<p class="pl-note">Sign-in opens in a tab of its own, and the app goes on there. Here too, unless your browser '
            f'keeps cookies from pages within other pages: then <a href="{escape(next_)}" target="_blank" rel="noopener">use '
            "the app in its own tab</a>.</p>"
        )
    more += (
        '<p class="pl-note">You come in with the account that you are signed in with on the Hub. For another one, '
        f"{_out(there, 'sign out there')} first.</p>"
    )
    return page("Sign in", _error(error) + said + button + more, framed)


def no_member(login: str, ask: str, hub: str, space: str) -> str:
    """Return the page for somebody whom the Hub knows and this workspace does not.

    ``hub`` is the address of the Hub, where they sign out to come as somebody else; ``space`` that of the Space, where there is
    one: whoever owns it can be asked there.
    """
    there = ""
    if space:
        there = f" You can ask on the {_out(f'{space}/discussions', 'Community page of this Space')}."
    name = f"<b>{escape(login)}</b>"
    return page(
        "You are not a member",
        f"<p>You are signed in on the Hub as {name}, who is no member of this workspace.</p>"
        f"<p>Ask {escape(ask)} to invite you, and say your name on the Hub: {name}.{there} Then sign in again.</p>"
        f'<p class="pl-note">Invited under another account? {_out(hub, "Sign out on the Hub")}, then sign in here with it.</p>'
        '<a class="pl-button pl-second" href="/sign-in">Back to sign-in</a>',
    )


def _out(address: str, text: str) -> str:
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{escape(text)}</a>'


def failed(title: str, message: str) -> str:
    """Return the page that says what went wrong, and leads to the beginning."""
    return page(title, f'{_error(message)}<a class="pl-button" href="/sign-in">Go to sign-in</a>')


def _form(action: str, typed: Typed, fields: str, button: str, kind: str = "") -> str:
    hidden = f'<input type="hidden" name="next" value="{escape(typed.next)}">' if typed.next != "/" else ""
    # The join code of a link is not shown: only where it is typed it is a field of the form.
    if typed.code and 'name="code"' not in fields:
        hidden += f'<input type="hidden" name="code" value="{escape(typed.code)}">'
    return (
        f'{_error(typed.error)}<form method="post" action="{action}">{hidden}{fields}'
        f'<button type="submit" class="{kind}">{escape(button)}</button></form>'
    )


def _error(message: str) -> str:
    return f'<p class="pl-bad" role="alert">{escape(message)}</p>' if message else ""


def _aside(framed: bool) -> str:
    return ' target="_blank" rel="noopener"' if framed else ""


def _name(label: str, value: str, kind: str, hint: str = "") -> str:
    said = f'<p class="pl-hint" id="name-hint">{escape(hint)}</p>' if hint else ""
    described = ' aria-describedby="name-hint"' if hint else ""
    return (
        f'<label for="name">{label}</label><input id="name" name="name" required maxlength="{MAX_NAME}" value="{escape(value)}" '
        f'autocomplete="{kind}" autocapitalize="none" spellcheck="false"{described}{"" if value else " autofocus"}>{said}'
    )


def _text(label: str, name: str, value: str, hint: str) -> str:
    return (
        f'<label for="{name}">{label}</label><input id="{name}" name="{name}" value="{escape(value)}" autocomplete="off" '
        f'autocapitalize="characters" spellcheck="false" maxlength="100" aria-describedby="{name}-hint">'
        f'<p class="pl-hint" id="{name}-hint">{escape(hint)}</p>'
    )


def _password(label: str, name: str, kind: str, hint: str = "", first: bool = False) -> str:
    said = f'<p class="pl-hint" id="{name}-hint">{escape(hint)}</p>' if hint else ""
    described = f' aria-describedby="{name}-hint"' if hint else ""
    return (
        f'<label for="{name}">{label}</label><input id="{name}" name="{name}" type="password" required maxlength="{LONGEST}" '
        f'autocomplete="{kind}"{described}{" autofocus" if first else ""}>{said}'
    )


def _new_password(first: bool = False) -> str:
    hint = f"At least {SHORTEST} characters; a few words are easy to remember."
    return _password("New password", "new", "new-password", hint, first) + _password(
        "New password again", "again", "new-password"
    )
