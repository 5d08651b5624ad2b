"""Addresses of the web: whether one is of this machine, or at another one, and under which path the app is reached."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from pipeline.errors import SettingsError

# Below these the app has pages of its own: a path that begins with one could not be told from them.
OWN_PLACES = frozenset((
    "annotate", "api", "assets", "backup", "config", "favicon.ico", "gradio_api", "healthz", "join", "manifest.json", "metrics",
    "new-password", "pwa_icon", "readyz", "results", "robots.txt", "sign-in", "sign-out", "static", "svelte", "team", "theme.css",
    "w",
))  # fmt: skip
_PATH = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._~-]*)*")


def is_loopback(address: str) -> bool:
    """Say whether an address is one of this machine itself."""
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_at(address: str, place: str) -> bool:
    """Say whether an address has the scheme, the host and the port of a place, in which ``*.`` stands for any name."""
    given, wanted = urlsplit(address), urlsplit(place)
    try:
        ports = [part.port or {"http": 80, "https": 443}.get(part.scheme) for part in (given, wanted)]
    except ValueError:
        return False
    host, name = given.hostname or "", wanted.hostname or ""
    named = host.endswith(name[1:]) if name.startswith("*.") else host == name
    return named and given.scheme == wanted.scheme and ports[0] == ports[1]


def public_url(name: str, value: str) -> tuple[str, str]:
    """Return the address under which people reach the app, without a slash at its end, and the path in it; "" for "".

    Raises:
        SettingsError: it is none that the app can be reached under.
    """
    if not value:
        return "", ""
    parts = urlsplit(value)
    path = parts.path.rstrip("/")
    if not parts.hostname or parts.query or parts.fragment or not _PATH.fullmatch(path):
        raise SettingsError(
            f"{name} is {value!r}: it takes an address as people type it, for example https://acme.org or "
            "https://acme.org/feedback."
        )
    if path.split("/")[1:2] and path.split("/")[1] in OWN_PLACES:
        raise SettingsError(
            f"{name} is {value!r}, whose path begins like pages of the app itself: use another one, for example /feedback."
        )
    return f"{parts.scheme}://{parts.netloc}{path}", path
