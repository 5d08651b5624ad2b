"""What every answer says to a browser: what a page may run and load, who may frame it, what is told to whom, and what is kept.

Whatever might get through in a text of a stranger, no page can be made to load from, or send to, any place but this app.
"""

from __future__ import annotations

import re

from pipeline.settings import Entry

# Gradio's page has scripts in itself, and makes functions of the texts that listeners run in the browser.
_PAGE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'none'; object-src 'none'; base-uri 'self'; form-action 'self'; "
)
# What is no page, opened by its address, is looked at and nothing more.
_NO_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; "
_RUNS = re.compile(rb"\s*(text/html|(text|application)/javascript)", re.IGNORECASE)
# The same for everybody, under names that change with what is in them.
_SHARED = re.compile(r"/(assets|static|svelte)/|/(theme\.css|favicon\.ico)$")
_UNUSED = "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), usb=()"


def frame_rule(entry: Entry) -> str:
    """Return which pages may show this one in a frame: of a Space those of the Hub, else only its own."""
    # Not those of *.hf.space: anybody's Space is there.
    if entry.space_id:
        return f"frame-ancestors 'self' {entry.provider}"
    return "frame-ancestors 'self'"


def protecting(send, entry: Entry, path: str, file: bool):
    """Return ``send`` with what every answer says, where it does not say more itself.

    A file may be anything that somebody has uploaded: opened by its address it runs nothing, whatever else is said of it.
    """

    async def protect(message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": _headers(list(message.get("headers", ())), entry, path, file)}
        await send(message)

    return protect


def _headers(said: list[tuple[bytes, bytes]], entry: Entry, path: str, file: bool) -> list[tuple[bytes, bytes]]:
    framing = frame_rule(entry)
    if file:
        said = [
            (name, value) for name, value in said if name.lower() not in (b"content-security-policy", b"cache-control")
        ]
    said = [(name, _within(name, value, framing)) for name, value in said]
    names = {name.lower(): value for name, value in said}
    page = _PAGE if _RUNS.match(names.get(b"content-type", b"")) else _NO_PAGE
    rules = {
        b"content-security-policy": f"sandbox; default-src 'none'; {framing}" if file else f"{page}{framing}",
        b"x-content-type-options": "nosniff",
        b"referrer-policy": "same-origin",
        b"permissions-policy": _UNUSED,
    }
    if not entry.space_id:
        # A Space is shown within the pages of the Hub, which open it and are opened by it.
        rules |= {b"cross-origin-opener-policy": "same-origin", b"cross-origin-resource-policy": "same-origin"}
    if file or not _SHARED.search(path):
        rules[b"cache-control"] = "no-store"
    return said + [(name, value.encode()) for name, value in rules.items() if name not in names]


def _within(name: bytes, value: bytes, framing: str) -> bytes:
    """Return what a header says, with who may frame the page where it is the one for that and does not say so."""
    silent = name.lower() == b"content-security-policy" and b"frame-ancestors" not in value
    return value + f"; {framing}".encode() if silent else value
