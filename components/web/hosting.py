"""Opens the workspaces of a server beside the main one, each with services and an app of its own, and closes them again.

One that cannot be opened keeps no other from work: it says so, and is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi import FastAPI

from components._session import sign_in_of
from components.web.mounting import let_go
from components.web.telling import tell_owner_link
from pipeline.errors import PipelineError, RecordError, StoreError
from pipeline.events import work_for
from pipeline.services import CLOSE_SECONDS, Services, open_services
from pipeline.store.engine import UNREADABLE_STORE
from pipeline.store.workspaces import Workspace
from pipeline.workspaces import PREFIX, UNNAMED, Place, Standing

log = logging.getLogger(__name__)
UNREADABLE = "Its store cannot be read; the log of the server says why."
# How often it is looked what other replicas have made or closed; what is done here is seen at once.
LOOK_SECONDS = 1.0
# One that could not be opened is tried again.
AGAIN_SECONDS = 30.0
# An owner who has made a workspace waits so long for its link.
PATIENCE_SECONDS = 60.0
OPENING = "Opening the workspace …"
UNFORESEEN = "It failed in a way that nobody foresaw; the log of the server says how."


@dataclass(slots=True)
class Room:
    """A workspace that is open, or is about to be. ``app`` is None until it is; ``problem`` says why it cannot be."""

    workspace: Workspace
    told: str = OPENING
    problem: str = ""
    failed_at: float = 0.0
    services: Services | None = None
    app: FastAPI | None = None
    closing: bool = False
    # Set when it is open, or cannot be.
    settled: threading.Event = field(default_factory=threading.Event)
    living: Future | None = None
    over: asyncio.Event | None = None


class Hosting:
    """The workspaces of a server: the main one, which is open, and the others, each of which it opens and closes."""

    def __init__(self, main: Services, build: Callable[[Services], FastAPI]) -> None:
        self._main = main
        self._build = build
        self._desk = main.workspaces
        self._desk.host = self
        self._rooms: dict[str, Room] = {}
        self._lock = threading.Lock()
        self._known: Mapping[str, Workspace] = {}
        self._version: tuple[int, ...] | None = None
        self._looked_at = float("-inf")
        self._woken = threading.Event()
        self._stopping = False
        # Rooms that are being closed are known here no more, and the end of the process waits for them all the same.
        self._closing: set[threading.Thread] = set()
        # The settings may leave the choice of it to the system; whoever listens on it says which one it is.
        self.port = main.settings.port
        self._loop: asyncio.AbstractEventLoop | None = None
        main.store.database.when_changed(self._look_soon)

    # Which there are

    def known(self) -> Mapping[str, Workspace] | None:
        """Return the workspaces by their words, where no other process could have changed that since it was looked; else None."""
        if self._main.store.database.shared:
            fresh = time.monotonic() - self._looked_at < LOOK_SECONDS
        else:
            fresh = self._version == self._desk.version()
        return self._known if fresh else None

    def look(self) -> Mapping[str, Workspace]:
        """Read which workspaces there are.

        Raises:
            StoreError: the main workspace's store cannot be read.
        """
        now, version = time.monotonic(), self._desk.version()
        if version != self._version:
            self._known = {found.slug: found for found in self._desk.all()}
            self._version = version
        self._looked_at = now
        return self._known

    def _look_soon(self) -> None:
        self._looked_at = float("-inf")
        self._woken.set()

    # The life of the server

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open all workspaces one after another, and from then on whatever is made or opened again."""
        self._loop = loop
        threading.Thread(target=self._keep, name="workspaces", daemon=True).start()

    async def leave(self) -> None:
        """End the lives of the apps, which belong to the loop."""
        self._stopping = True
        self._woken.set()
        living = [room for room in self._rooms.values() if room.over]
        for room in living:
            room.over.set()
        await asyncio.gather(*(asyncio.wrap_future(room.living) for room in living), return_exceptions=True)

    def hurry(self) -> None:
        """Send what waits in every workspace, without waiting for it."""
        for services in self._open():
            services.backup.hurry()

    def close(self) -> None:
        """Close the main workspace and the others, all at the same time."""
        with self._lock:
            self._stopping = True
            closing = [threading.Thread(target=_close, args=(services,), daemon=True) for services in self._open()]
            begun = list(self._closing)
        for thread in closing:
            thread.start()
        closing += begun
        deadline = time.monotonic() + CLOSE_SECONDS + 1.0
        for thread in closing:
            thread.join(max(0.0, deadline - time.monotonic()))

    # What the main workspace asks (pipeline.workspaces.Host)

    def standing(self, workspace: Workspace) -> Standing:
        """Say how a workspace stands at this moment."""
        if workspace.closed_at is not None:
            return Standing("closed")
        room = self._rooms.get(workspace.slug)
        if room is None or room.app is None:
            return Standing("failed", room.problem) if room and room.problem else Standing("opening")
        try:
            return Standing("open", "", sum(member.removed_at is None for member in room.services.people.members()))
        except UNREADABLE_STORE:
            log.exception("The workspace %s cannot be read", workspace.slug)
            return Standing("failed", UNREADABLE)

    def owner_code(self, workspace: Workspace) -> str:
        """Return the code for the first owner of a workspace, once it is open; "" where it needs none, or has an owner.

        Raises:
            RecordError: it cannot be opened, or not yet.
        """
        room = self.room(workspace)
        room.settled.wait(PATIENCE_SECONDS)
        if room.problem:
            raise RecordError(f"It cannot be opened: {room.problem}")
        if room.services is None or room.app is None:
            raise RecordError("It is still being opened. Ask for its link again in a minute.")
        return room.services.entrance.owner_code()

    def places(self, cookies: str, secure: bool, here: str) -> list[Place]:
        """Return the workspaces that a browser with these cookies is signed in to."""
        base = self._main.settings.entry.base
        found = []
        for slug, services in (("", self._main), *((slug, room.services) for slug, room in self._rooms_open())):
            try:
                token = sign_in_of(cookies, secure, slug)
                if services.people.open or slug == here or (token and services.store.sign_ins.find(token) is not None):
                    name = services.store.values.workspace_name() or (slug or UNNAMED)
                    found.append(Place(name, f"{base}{PREFIX}{slug}/" if slug else f"{base}/", slug == here))
            except UNREADABLE_STORE as error:
                # These are headers of others. They say nothing of it, as Team does.
                log.warning("The workspace %s cannot be read: %s", slug or UNNAMED, type(error).__name__)
        return found

    # Rooms

    def room(self, workspace: Workspace) -> Room:
        """Return the room of a workspace that is served; where there is none it begins to be opened."""
        with self._lock:
            room = self._rooms.get(workspace.slug)
            if room is None and not self._stopping:
                room = self._rooms[workspace.slug] = Room(workspace)
                threading.Thread(target=self._open_room, args=(room,), name="opening", daemon=True).start()
        return room or Room(workspace)

    def again(self, workspace: Workspace) -> None:
        """Try once more to open a workspace that could not be."""
        with self._lock:
            room = self._rooms.get(workspace.slug)
            if room is not None and room.problem:
                del self._rooms[workspace.slug]
        self._woken.set()

    def _keep(self) -> None:
        while not self._stopping:
            # Cleared first: what changes during a look is looked at once more.
            self._woken.clear()
            try:
                self._see_to(self.look())
            except StoreError as error:
                log.warning("Workspaces: %s It is tried again.", error)
            self._woken.wait(LOOK_SECONDS)

    def _see_to(self, known: Mapping[str, Workspace]) -> None:
        for slug, room in list(self._rooms.items()):
            served = known.get(slug) is not None and known[slug].closed_at is None
            if not served and room.settled.is_set() and not room.closing:
                self._begin_to_close(room)
            elif room.problem and time.monotonic() - room.failed_at > AGAIN_SECONDS:
                self.again(room.workspace)
        for slug, workspace in known.items():
            if workspace.closed_at is None and slug not in self._rooms and not self._stopping:
                # One after another: the first visitors come while they are opened. Who is asked for meanwhile opens beside them.
                self.room(workspace).settled.wait(LOOK_SECONDS)

    def _open_room(self, room: Room) -> None:
        # What nobody foresaw rises and is logged as what ended this thread; the other workspaces go on, and this one says it.
        services, problem = None, UNFORESEEN
        work_for(room.workspace.slug)
        try:
            services = open_services(self._desk.settings_of(room.workspace), lambda text: setattr(room, "told", text))
            self._furnish(room, services)
            problem = ""
        except PipelineError as error:
            problem = str(error)
            log.warning("The workspace %s cannot be opened: %s", room.workspace.slug, error)
        finally:
            if problem:
                self._give_up(room, services, problem)
        if not problem:
            room.settled.set()
            services.add_example_to_empty_workspace()

    def _furnish(self, room: Room, services: Services) -> None:
        """Build the app of a workspace, let it live in the server's loop, and begin its back-up."""
        services.workspaces.host = self
        if not services.store.values.was_named():
            services.store.values.set_workspace_name(room.workspace.name)
        app = self._build(services)
        begun: Future = Future()
        room.living = asyncio.run_coroutine_threadsafe(self._live(room, app, begun), self._loop)
        room.living.add_done_callback(lambda ended: begun.done() or begun.set_exception(ended.exception() or OSError()))
        begun.result(PATIENCE_SECONDS)
        services.start_backup()
        tell_owner_link(services, self.port)
        with self._lock:
            # Whoever stops it closes what is open by then.
            if self._stopping:
                raise RecordError("The server is stopping.")
            room.services, room.app = services, app

    async def _live(self, room: Room, app: FastAPI, begun: Future) -> None:
        room.over = asyncio.Event()
        try:
            async with app.router.lifespan_context(app):
                begun.set_result(None)
                await room.over.wait()
        finally:
            let_go(app)

    def _give_up(self, room: Room, services: Services | None, problem: str) -> None:
        self._end_life(room)
        try:
            if services is not None:
                services.close()
        finally:
            room.problem, room.failed_at = problem, time.monotonic()
            room.settled.set()

    def _begin_to_close(self, room: Room) -> None:
        with self._lock:
            if room.closing or self._stopping:
                return
            room.closing, room.app = True, None
            thread = threading.Thread(target=self._close_room, args=(room,), name="closing", daemon=True)
            self._closing.add(thread)
        thread.start()

    def _close_room(self, room: Room) -> None:
        """Close a workspace that is served no more; it may be opened again once it is closed."""
        work_for(room.workspace.slug)
        self._end_life(room)
        try:
            if room.services is not None:
                room.services.close()
        finally:
            with self._lock:
                self._rooms.pop(room.workspace.slug, None)
                self._closing.discard(threading.current_thread())
            self._woken.set()

    def _end_life(self, room: Room) -> None:
        """End what belongs to the loop: the life of the app, and the streams that somebody listens to."""
        if room.over is not None and self._loop is not None:
            with suppress(RuntimeError):
                # A loop that has ended has ended them.
                self._loop.call_soon_threadsafe(room.over.set)

    def _rooms_open(self) -> list[tuple[str, Room]]:
        return [(slug, room) for slug, room in list(self._rooms.items()) if room.app is not None]

    def _open(self) -> list[Services]:
        return [self._main, *(room.services for _, room in self._rooms_open())]


def _close(services: Services) -> None:
    work_for(services.settings.entry.workspace)
    services.close()
