"""The address of a PostgreSQL database, which may hold a password."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pipeline.errors import SettingsError


def checked(value: str) -> str:
    """Return an address as SQLAlchemy takes it, or "".

    Raises:
        SettingsError: it is none. Nothing of it is said, since it may hold a password.
    """
    if not value:
        return ""
    scheme, apart, rest = value.partition("://")
    if scheme not in ("postgres", "postgresql") or not apart or not rest:
        raise SettingsError("DATABASE_URL takes an address that begins with postgresql:// or postgres://.")
    try:
        urlsplit(value).port  # noqa: B018
    except ValueError as error:
        raise SettingsError("DATABASE_URL has a port that is no number from 0 to 65535.") from error
    return f"postgresql://{rest}"


def secrets_of(url: str) -> tuple[str, ...]:
    """Return an address and the password in it, as it is written there and as it is."""
    written = urlsplit(url).password or ""
    return tuple(dict.fromkeys(filter(None, (url if written else "", written, unquote(written)))))


def place_of(url: str) -> str:
    """Return where a database is, in words, without user and password."""
    parts = urlsplit(url)
    host = parts.hostname or "this machine"
    port = f":{parts.port}" if parts.port else ""
    return f"PostgreSQL at {host}{port}{parts.path}"
