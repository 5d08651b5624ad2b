"""The connections of the process to model endpoints: one pool, in the event loop that opened it.

``openai`` and its transport take 0.6 s to import, so they are imported where they are used. The transport is aiohttp's:
it takes half the time of the default one for each request, which all others wait for while 32 are under way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pipeline.settings import is_loopback

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai._base_client import AsyncHttpxClientWrapper

CONNECT_SECONDS = 10.0


class _Pool:
    """Two pools of connections, and a client of the ``openai`` package for each endpoint, key and time-out."""

    def __init__(self) -> None:
        from openai import DefaultAioHttpClient

        self.http: AsyncHttpxClientWrapper = DefaultAioHttpClient()
        # This machine is never asked by way of the proxy that the environment may name for the rest of the world.
        self.here: AsyncHttpxClientWrapper = DefaultAioHttpClient(trust_env=False)
        self.clients: dict[tuple[str, str, float, str], AsyncOpenAI] = {}


# Connections belong to the event loop that opened them, and go with it. There is one such loop in the app.
_POOLS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()


def client_of(base_url: str, api_key: str, timeout: float, api_version: str = "") -> AsyncOpenAI:
    """Return the client for an endpoint, on the connections of the running loop. It retries nothing by itself.

    With ``api_version`` the endpoint is asked as Azure's deployments are.

    Raises:
        ValueError: the address is none.
    """
    import httpx2
    from openai import AsyncAzureOpenAI, AsyncOpenAI

    pool = _POOLS.get(asyncio.get_running_loop())
    if pool is None:
        pool = _POOLS[asyncio.get_running_loop()] = _Pool()
    key = (base_url, api_key, timeout, api_version)
    if key not in pool.clients:
        settings = {
            # The client insists on a key; where there is none, each request leaves out the header.
            "api_key": api_key or "none",
            "timeout": httpx2.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
            "max_retries": 0,
            "http_client": pool.here if is_loopback(base_url) else pool.http,
        }
        try:
            if api_version:
                pool.clients[key] = AsyncAzureOpenAI(azure_endpoint=base_url, api_version=api_version, **settings)
            else:
                pool.clients[key] = AsyncOpenAI(base_url=base_url, **settings)
        except httpx2.InvalidURL as error:
            raise ValueError(f"{without_secrets(base_url)!r} is not an address") from error
    return pool.clients[key]


async def close_clients() -> None:
    """Close the connections of the running loop. Models that are used afterwards open new ones."""
    if pool := _POOLS.pop(asyncio.get_running_loop(), None):
        await pool.http.aclose()
        await pool.here.aclose()


def without_secrets(base_url: str) -> str:
    """Return an address without the user name, password and query that some people put into it."""
    return without_user(base_url.partition("?")[0])[0]


def without_user(base_url: str) -> tuple[str, str]:
    """Return an address without the ``name:password@`` that it may hold, and that name and password."""
    head, slashes, tail = base_url.partition("//")
    host, slash, path = tail.partition("/")
    user, _, host = host.rpartition("@")
    return f"{head}{slashes}{host}{slash}{path}", user
