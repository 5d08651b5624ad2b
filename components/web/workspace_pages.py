"""What stands at an address where no page of the app is: of a workspace that is not open, or of nothing at all."""

from __future__ import annotations

import json
from html import escape

from components.theme import ASSETS

NOTHING = "There is no workspace at this address, or not any more. Ask whoever gave it to you."
FAILED = (
    "This workspace cannot be opened at the moment. Whoever runs the server finds the reason on Team, All workspaces, "
    "and in its log."
)
_LOOK = (
    ":root{color-scheme:light dark;--back:#faf9f7;--card:#fff;--edge:#e4e0da;--text:#211f1c;--quiet:#615c55;--link:#0f766e}"
    "@media(prefers-color-scheme:dark){:root{--back:#171614;--card:#201f1c;--edge:#3a3732;--text:#ece9e4;--quiet:#aaa49b;"
    "--link:#2dd4bf}}*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:14px;"
    "background:var(--back);color:var(--text);font:17px/1.55 ui-sans-serif,system-ui,sans-serif}main{width:100%;max-width:560px;"
    "padding:clamp(20px,5vw,32px);background:var(--card);border:1px solid var(--edge);border-radius:12px}b{color:var(--quiet);"
    "font-size:16px}p{margin:8px 0 0;overflow-wrap:anywhere}a{color:var(--link)}"
)
# Where a page leads to by its status, within the app, and in which words.
_LEADS = {401: ("/sign-in", "Sign in"), 404: ("/", "Go to the start page")}
# Who may show it in a frame is added by the door, of what comes from within the app.
PLAIN = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = f"{PLAIN}; frame-ancestors 'self'"
# The page of an opening asks again by a script of its own.
_ASKS = f"{_STYLE}; script-src 'unsafe-inline'; connect-src 'self'"


async def opening(scope, send, told: str) -> None:
    """Say that a workspace is being opened; the page goes on to it by itself."""
    template = (ASSETS / "restoring.html").read_text(encoding="utf-8")
    await _answer(scope, send, 503, told, template.replace("{text}", escape(told)), _ASKS)


async def failed(scope, send) -> None:
    """Say that a workspace cannot be opened. Why is for whoever runs the server: it may name their folders."""
    await say(scope, send, 503, FAILED)


async def nothing(scope, send) -> None:
    """Say that there is no workspace: the same for one that was closed and one that never was."""
    await say(scope, send, 404, NOTHING)


async def say(scope, send, status: int, message: str, rules: str = _STYLE) -> None:
    """Answer with a sentence; a page also leads to where something is, or to the way in."""
    more = ""
    if status in _LEADS:
        address, words = _LEADS[status]
        more = f'<p><a href="{escape(scope.get("root_path", "") + address)}">{words}</a></p>'
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><meta name="robots" content="noindex"><title>Pairloop</title><style>{_LOOK}</style></head>'
        f"<body><main><b>Pairloop</b><p>{escape(message)}</p>{more}</main></body></html>"
    )
    await _answer(scope, send, status, message, page, rules)


def is_looked_at(scope, accepted: str) -> bool:
    """Say whether a request is of somebody who looks at what comes, and not of a page's script or a program."""
    return scope["method"] == "GET" and "text/html" in accepted


async def lead(scope, send, address: str) -> None:
    """Lead to an address, with what was asked of it."""
    query = scope["query_string"].decode("latin-1")
    target = f"{address}?{query}" if query else address
    headers = [(b"location", target.encode("latin-1")), (b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _answer(scope, send, status: int, message: str, page: str, rules: str) -> None:
    wanted = dict(scope["headers"]).get(b"accept", b"")
    if b"text/html" in wanted:
        kind, body = "text/html; charset=utf-8", page
    elif b"json" in wanted or "/api/" in scope["path"] or scope["method"] not in ("GET", "HEAD"):
        kind, body = "application/json", json.dumps({"error": message, "detail": message})
    else:
        kind, body = "text/plain; charset=utf-8", message
    headers = {
        "content-type": kind,
        "content-length": str(len(body.encode())),
        "cache-control": "no-store",
        "content-security-policy": rules,
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        **({"retry-after": "2"} if status == 503 else {}),
    }
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body.encode()})
