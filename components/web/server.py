"""The web server: given a port, served until it is told to stop."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import uvicorn

from components import _download
from components.web.workspaces import Site
from pipeline.errors import SettingsError
from pipeline.events import happened
from pipeline.services import Services
from pipeline.settings import Settings
from pipeline.version import VERSION

# An open page asks at least every ten seconds (backup.js). A connection that is closed in the very moment in which a page sends
# something over it loses that, and where it is a change the browser must not send it again by itself.
KEEP_ALIVE_SECONDS = 30


def listen(chosen: Settings) -> socket.socket:
    """Take the port of the settings.

    Raises:
        SettingsError: it cannot be had.
    """
    try:
        listening = socket.create_server((chosen.host, chosen.port))
    except OSError as error:
        where, reason = f"{chosen.host}:{chosen.port}", error.strerror or error
        raise SettingsError(f"It cannot listen on {where} ({reason}): stop what does, or set PAIRLOOP_PORT.") from error
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, and these do not: each answer over a
    # connection that stays open would wait 40 ms for the other side's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def serve(site: Site, listening: socket.socket, services: Services) -> None:
    """Serve until the process is told to stop, then close all workspaces and end the process with status 0.

    ``services`` are the main workspace's.
    """
    site.hosting.port = listening.getsockname()[1]
    # Without a limit an open tab's heartbeat would keep the server from ever stopping; and a Space is killed after 10 s, of
    # which the back-up gets the most.
    config = uvicorn.Config(
        site, log_config=None, log_level="warning", timeout_graceful_shutdown=1, timeout_keep_alive=KEEP_ALIVE_SECONDS
    )
    server = _Server(config, site.hosting.hurry)
    # When uvicorn has stopped it sends itself the signal again, which must not keep the services from being closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    # The first page is not kept waiting for the example: it is indexed beside it, and the Start tab says so.
    threading.Thread(target=_after_start, args=(server, services), daemon=True).start()
    happened("started", version=VERSION, space=services.settings.space or None)
    # What is there by now stays. To look through it for garbage again and again would stop everybody for 0.2 s each time.
    gc.freeze()
    try:
        server.run(sockets=[listening])
    finally:
        site.hosting.close()
        happened("stopped")
    _download.remove_all()
    sys.stdout.flush()
    sys.stderr.flush()
    # Python would wait for threads that read from a Hub which may never answer; everything that counts is closed.
    os._exit(0)


class _Server(uvicorn.Server):
    """Begins to send what waits at the moment of the signal, while the server is still stopping."""

    def __init__(self, config: uvicorn.Config, hurry: Callable[[], None]) -> None:
        super().__init__(config)
        self._hurry = hurry

    def handle_exit(self, sig, frame) -> None:
        """Note the signal."""
        self._hurry()
        # Open tabs are cut off in a moment. That is no error, and needs no traceback for each of them.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)


def _after_start(server: uvicorn.Server, services: Services) -> None:
    while not server.started:
        time.sleep(0.05)
    services.add_example_to_empty_workspace()
