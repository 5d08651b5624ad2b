"""The connections of the process to model endpoints: one pool, in the event loop that opened it.

``openai`` and its transport take 0.6 s to import, so they are imported where they are used. The transport is aiohttp's:
it takes half the time of the default one for each request, which all others wait for while 32 are under way.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from pipeline.errors import ModelError
from pipeline.models.causes import Cause
from pipeline.settings import is_loopback

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai._base_client import AsyncHttpxClientWrapper

CONNECT_SECONDS = 10.0
# Where machines in a cloud ask for their own keys; no model is there, and nobody may have the app ask in their name.
_KEPT_OFF = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",
            "fe80::/10",
            "fd00:ec2::/32",
            "100.100.100.200/32",
            "168.63.129.16/32",
            "192.0.0.192/32",
            "64:ff9b::a9fe:0/112",
        ),
    )
)
_NAMES_KEPT_OFF = ("metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal")
KEPT_OFF = "{} is of the cloud that the app runs in, and no model is asked there: give the address of an endpoint."


class KeptOffError(OSError):
    """A name led to an address that is kept off."""


class _Pool:
    """Two pools of connections, and a client of the ``openai`` package for each endpoint, key and time-out."""

    def __init__(self) -> None:
        self.http = _opened(trust_env=True)
        # This machine is never asked by way of the proxy that the environment may name for the rest of the world.
        self.here = _opened(trust_env=False)
        self.clients: dict[tuple[str, str, float, str], AsyncOpenAI] = {}


# Connections belong to the event loop that opened them, and go with it. There is one such loop in the app.
_POOLS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()


def client_of(base_url: str, api_key: str, timeout: float, api_version: str = "") -> AsyncOpenAI:
    """Return the client for an endpoint, on the connections of the running loop. It retries nothing by itself.

    With ``api_version`` the endpoint is asked as Azure's deployments are.

    Raises:
        ValueError: the address is none.
        ModelError: it is one that is kept off.
    """
    import httpx2
    from openai import AsyncAzureOpenAI, AsyncOpenAI

    host = (urlsplit(base_url).hostname or "").rstrip(".")
    if host in _NAMES_KEPT_OFF or is_kept_off(host):
        raise ModelError(KEPT_OFF.format(host), Cause.WRONG_ADDRESS)
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


def is_kept_off(address: str) -> bool:
    """Say whether an address of a machine is one that no model is asked at: one of a cloud's own services."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in _KEPT_OFF if network.version == found.version)


def _opened(trust_env: bool) -> AsyncHttpxClientWrapper:
    """Return connections that go where they were told, and nowhere from there.

    A redirect would take queries, and a key that is sent in a header of its own, to whatever place the endpoint names.
    """
    from openai import DefaultAioHttpClient

    opened = DefaultAioHttpClient(trust_env=trust_env, follow_redirects=False)
    for transport in (opened._transport, *opened._mounts.values()):
        if transport is not None:
            _keep_off(transport)
    return opened


def _keep_off(transport) -> None:
    """Let a transport connect to no address that is kept off, whatever name led there: it is looked at as it is dialled."""
    import aiohttp

    def dial(found) -> socket.socket:
        family, kind, protocol, _, address = found
        if is_kept_off(address[0]):
            raise KeptOffError(f"{address[0]} is kept off")
        return socket.socket(family=family, type=kind, proto=protocol)

    def session() -> aiohttp.ClientSession:
        limits = transport.limits
        connector = aiohttp.TCPConnector(
            keepalive_timeout=limits.keepalive_expiry,
            ssl=transport.ssl_context,
            limit=limits.max_connections or 0,
            socket_factory=dial,
        )
        return aiohttp.ClientSession(connector=connector)

    transport.client = session


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
