"""Members for tests: a workspace that people sign in to, and somebody of each role."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import uvicorn

import app
from components.web import mounting
from pipeline.auth import names
from pipeline.records import Role, id_of
from pipeline.services import Services
from pipeline.settings import Entry, SignIn
from pipeline.store.memberships import Newcomer
from tests.servers import free_port
from tests.workspace import open_workspace


@dataclass(frozen=True, slots=True)
class Person:
    """A member who is signed in by a cookie."""

    id: str
    cookie: str


def open_team(home: Path, mode: SignIn = SignIn.ACCOUNTS, **entry) -> Services:
    """Open a workspace without the example that people sign in to."""
    return open_workspace(home, entry=Entry(mode=mode, **entry))


def add(services: Services, name: str, role: Role) -> Person:
    """Let somebody be a member, without the work that a password is."""
    member_id = id_of("member", "test", name)
    services.store.memberships.join(
        Newcomer(id_of("membership", "test", name), member_id, name, role, f"account:{name}")
    )
    return Person(member_id, services.store.sign_ins.begin(member_id, "account"))


def id_of_name(name: str) -> str:
    """Return the id of whoever came by this name, where people come by names."""
    return id_of("member", "name", names.folded(name))


def team(services: Services) -> dict[Role, Person]:
    """Add somebody of each role: Vera, Anna, Adam and Olga."""
    named = {Role.VIEWER: "Vera", Role.ANNOTATOR: "Anna", Role.ADMIN: "Adam", Role.OWNER: "Olga"}
    return {role: add(services, name, role) for role, name in named.items()}


class Served:
    """The app over services, on a port of this machine, until it is closed."""

    def __init__(self, services: Services, port: int = 0) -> None:
        self.services = services
        self.screens = app.build_app(services)
        self.mounted = mounting.mount(self.screens, services)
        port = port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        # Long: a connection that is closed for idling in the moment of the next request is an error of that request.
        config = uvicorn.Config(
            self.mounted, port=port, log_level="critical", timeout_graceful_shutdown=1, timeout_keep_alive=120
        )
        self._uvicorn = uvicorn.Server(config)
        threading.Thread(target=self._uvicorn.run, daemon=True).start()
        while not self._uvicorn.started:
            time.sleep(0.02)

    def close(self) -> None:
        """Stop, and close the services."""
        self._uvicorn.should_exit = True
        self.services.close()
