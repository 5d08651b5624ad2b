"""A server with several workspaces for tests, over a socket of this machine."""

from __future__ import annotations

import threading
import time

import httpx2
import uvicorn

import app
from components._session import SIGN_IN, of_workspace
from pipeline.services import Services
from pipeline.store.workspaces import Workspace
from tests.servers import free_port

PATIENCE = 60


class ServedSite:
    """The main workspace, whose services these are, and the others, on a port of this machine until it is closed."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.site = app.build_site(services)
        self.hosting = self.site.hosting
        self.url = f"http://127.0.0.1:{free_port()}"
        config = uvicorn.Config(
            self.site,
            port=int(self.url.rpartition(":")[2]),
            log_level="critical",
            timeout_graceful_shutdown=1,
            timeout_keep_alive=120,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, daemon=True)
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.02)

    def make(self, actor: str, name: str, **more) -> Services:
        """Make a workspace, wait until it is open, and return its services."""
        return self.opened(self.services.workspaces.create(actor, name, **more))

    def opened(self, workspace: Workspace) -> Services:
        """Wait until a workspace is open, and return its services."""
        room = self.hosting.room(workspace)
        assert room.settled.wait(PATIENCE) and not room.problem, room.problem
        return room.services

    def at(self, slug: str) -> Workspace:
        """Return a workspace by its word in addresses."""
        return next(one for one in self.services.workspaces.all() if one.slug == slug)

    def until(self, slug: str, gone: bool = True) -> None:
        """Wait until a workspace is closed for good, or there again."""
        deadline = time.monotonic() + PATIENCE
        while (slug not in self.hosting._rooms) != gone:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def client(self, slug: str = "", cookie: str = "", **headers: str) -> httpx2.Client:
        """Return a browser in a workspace, signed in by a cookie where one is given."""
        if cookie:
            headers["Cookie"] = f"{of_workspace(SIGN_IN, slug)}={cookie}"
        base = f"{self.url}/w/{slug}" if slug else self.url
        return httpx2.Client(base_url=base, headers=headers, timeout=60, follow_redirects=False)

    def close(self) -> None:
        """Stop, and close all workspaces."""
        self._uvicorn.should_exit = True
        self._thread.join()
        self.hosting.close()
