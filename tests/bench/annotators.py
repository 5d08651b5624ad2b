"""People at the app as their browsers are, many in one thread: for :mod:`tests.bench.load`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from tests.bench.workload import TEXT

BUTTONS = ("vote_a", "vote_b", "vote_tie", "vote_both_bad")
# As components/assets/backup.js does: so often a tab thinks of asking for the state of the back-up, and where nothing is to be
# expected and nobody does anything in it, it asks once in so many seconds.
LOOK_SECONDS, CALM_SECONDS = 2.0, 10.0
SETTLED = ("backed_up", "local")
# So many records are answered until somebody opens the dataset anew.
OPENS_AFTER = 5


@dataclass
class Tally:
    """What one phase took: seconds of each kind of act, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def timed(self, kind: str) -> AsyncIterator[None]:
        """Time one act."""
        begun = time.perf_counter()
        yield
        self.seconds[kind].append(time.perf_counter() - begun)


class Wrong(Exception):
    """The app answered with something else than was asked for."""


class Tab:
    """A tab of one browser: its cookies, its connections, and the listeners of its page."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = secrets.token_hex(6)
        self._numbers: dict[str, int] = {}
        self._asked_at_load: list[int] = []
        # As many connections as a browser opens to one place.
        self._http = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            connector=aiohttp.TCPConnector(limit_per_host=6),
            timeout=aiohttp.ClientTimeout(total=None, sock_read=120),
        )
        self._beside: list[asyncio.Task] = []

    async def sign_in(self, name: str, code: str) -> None:
        """Come in by a name, and load the page."""
        async with self._http.post(
            f"{self.url}/sign-in", data={"name": name, "code": code}, headers={"Origin": self.url}
        ) as came:
            text = await came.text()
            if came.status != 200 or came.url.path != "/":
                raise Wrong(f"sign-in: {came.status} {text[:200]}")

    async def load(self) -> None:
        """Do what a page does when it is loaded: its listeners, and the stream that says that it is there."""
        async with self._http.get(f"{self.url}/config") as answer:
            config = await answer.json()
        self._numbers = {entry["api_name"]: entry["id"] for entry in config["dependencies"]}
        self._beside.append(asyncio.create_task(self._heartbeat()))
        for entry in config["dependencies"]:
            if any(event == "load" for _, event in entry["targets"]) and not entry["inputs"]:
                await self.call_number(entry["id"])

    async def post(self, path: str, body: dict) -> dict:
        """Send JSON and return the JSON that is answered."""
        async with self._http.post(self.url + path, json=body, headers={"X-Pairloop": "1"}) as answer:
            read = await answer.read()
            if answer.status != 200:
                raise Wrong(f"{path}: {answer.status} {read[:200]!r}")
            return json.loads(read)

    async def call(self, listener: str, *values: object) -> list:
        """Call a listener through the queue and return its outputs."""
        return await self.call_number(self._numbers[listener], *values)

    async def call_number(self, number: int, *values: object) -> list:
        """Call a listener by its number."""
        body = {"data": list(values), "fn_index": number, "session_hash": self._session}
        await self.post("/gradio_api/queue/join", body)
        found = None
        async with self._http.get(f"{self.url}/gradio_api/queue/data?session_hash={self._session}") as stream:
            if stream.status != 200:
                raise Wrong(f"queue/data: {stream.status}")
            async for line in stream.content:
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("msg") == "process_completed":
                    found = message
        if found is None or not found["success"]:
            raise Wrong(f"listener {number}: {json.dumps(found)[:300]}")
        return found["output"]["data"]

    async def ask_backup(self) -> str:
        """Ask for the state of the back-up, which the header shows, and return its kind."""
        async with self._http.get(f"{self.url}/backup?zone=0") as answer:
            read = await answer.read()
            if answer.status != 200:
                raise Wrong(f"/backup: {answer.status} {read[:200]!r}")
            return json.loads(read)["kind"]

    async def close(self) -> None:
        """Close the tab."""
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self._http.close()

    async def _heartbeat(self) -> None:
        async with self._http.get(f"{self.url}/gradio_api/heartbeat/{self._session}") as stream:
            async for _ in stream.content:
                pass


class Person(ABC):
    """Somebody who works: ``done`` are what they were told was taken in, each once."""

    def __init__(self, name: str, tab: Tab, place: str, dice: random.Random) -> None:
        self.name, self.tab, self._place, self._dice = name, tab, place, dice
        self.done: list[tuple[str, str]] = []
        # What the tab knows of the back-up, when it asked last, and whether its person types or has clicked since.
        self._kind, self._asked = "checking", 0.0
        self._typing = self._touched = False

    @abstractmethod
    async def begin(self) -> None:
        """Open what is worked on."""

    @abstractmethod
    async def act(self, tally: Tally, think: float) -> None:
        """Do one piece of work, after thinking so many seconds in the mean."""

    async def work(self, until: float, tally: Tally, think: float) -> None:
        """Work until a time; with pauses the tab also asks what a tab asks by itself."""
        looking = asyncio.create_task(self._look(tally)) if think else None
        try:
            # People do not all begin in the same moment.
            await asyncio.sleep(self._dice.uniform(0, think))
            while time.monotonic() < until:
                await self.act(tally, think)
        except (Wrong, aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            tally.errors.append(f"{self.name}: {type(error).__name__} {error}"[:300])
        finally:
            if looking:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    async def pause(self, mean: float) -> None:
        """Think, at most three times as long as in the mean."""
        if mean:
            await asyncio.sleep(min(self._dice.expovariate(1 / mean), 3 * mean))

    async def changed(self, tally: Tally, think: float) -> None:
        """Ask as the page does after a change: not where nothing is sent anywhere."""
        if think and self._kind == "local":
            self._asked, self._touched = time.monotonic(), False
        elif think:
            await self._ask(tally)

    async def _look(self, tally: Tally) -> None:
        await asyncio.sleep(self._dice.uniform(0, LOOK_SECONDS))
        while True:
            calm = self._kind in SETTLED and not (self._typing or self._touched)
            if not calm or time.monotonic() - self._asked > CALM_SECONDS - LOOK_SECONDS / 2:
                await self._ask(tally)
            await asyncio.sleep(LOOK_SECONDS)

    async def _ask(self, tally: Tally) -> None:
        self._asked, self._touched = time.monotonic(), False
        try:
            async with tally.timed("back-up asked"):
                self._kind = await self.tab.ask_backup()
        except (Wrong, aiohttp.ClientError, TimeoutError) as error:
            tally.errors.append(f"{self.name}: {error}"[:300])


class Annotator(Person):
    """Answers records as the Annotate panel does: a draft while typing, a submit that brings the record after the next one."""

    async def begin(self) -> None:
        await self._open()

    async def act(self, tally: Tally, think: float) -> None:
        if len(self.done) % OPENS_AFTER == OPENS_AFTER - 1:
            async with tally.timed("next"):
                await self._open()
        record, version = self._shown["id"], self._shown["version"]
        values = {"query_rating": self._dice.randint(1, 5), "answer": f"{TEXT} {self._dice.random()}"}
        if think:
            self._typing = True
            await self.pause(think / 2)
            self._typing = False
            async with tally.timed("draft"):
                typed = {"record": record, "values": values, "version": version}
                version = (await self.tab.post("/annotate/draft", typed))["version"]
            await self.changed(tally, think)
            await self.pause(think / 2)
        self._touched = True
        body = {"action": "submit", "record": record, "showing": (self._next or {}).get("id", ""), "values": values}
        async with tally.timed("submit"):
            answer = await self.tab.post("/annotate/end", {**body, "version": version, "seconds": 3})
        self.done.append((record, values["answer"]))
        self._shown = self._next if answer["place"] else answer.get("card")
        self._next = answer.get("next")
        if self._shown is None:
            raise Wrong("there are no records left: more are needed")
        await self.changed(tally, think)

    async def _open(self) -> None:
        opened = await self.tab.post("/annotate/open", {"dataset": self._place})
        self._shown, self._next = opened["card"], opened["next"]


class Voter(Person):
    """Judges pairs by the listeners of the Compare tab."""

    async def begin(self) -> None:
        self._pair = (await self.tab.call("show_next", self._place))[0]

    async def act(self, tally: Tally, think: float) -> None:
        await self.pause(think)
        pair, button = self._pair, self._dice.choice(BUTTONS)
        self._touched = True
        async with tally.timed("vote"):
            self._pair = (await self.tab.call(button, self._place, pair, None, "", "", ""))[0]
        self.done.append((pair, button))
        if not self._pair or self._pair == pair:
            raise Wrong("there are no pairs left: more are needed")
        await self.changed(tally, think)


async def together(acts: list[Callable[[], Awaitable[None]]], at_once: int) -> None:
    """Do all, so many at a time."""
    places = asyncio.Semaphore(at_once)

    async def one(act: Callable[[], Awaitable[None]]) -> None:
        async with places:
            await act()

    await asyncio.gather(*(one(act) for act in acts))
