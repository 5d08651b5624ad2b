"""A team at work over HTTP: ``python -m tests.bench.load [--minutes 10] [--only sqlite one three] [--people 100]``.

100 people, each with the tab that a browser has (cookies, page listeners, heartbeat): two thirds answer records, one third
judges pairs. Three arrangements, each for so many minutes: SQLite; one replica, and three, on PostgreSQL behind Caddy with the
guide's Caddyfile. First ten people who only annotate, then all without a pause, for the rate; then all with pauses, drafts, and
what a tab asks by itself, for the times. At the end everything that somebody was told is compared with what the store holds.

The people, the proxy and the database share the processors with the app; whose seconds they were is printed. Both engines write
to the disk before they answer. Beside it, for each arrangement, how many events an empty gr.Interface answers here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import func, select

from pipeline.annotation.plain import from_plain
from pipeline.auth import names
from pipeline.records import ResponseStatus, Role
from pipeline.settings import Entry, SignIn
from pipeline.store import Server, open_store
from pipeline.store.datasets import NewRecord
from pipeline.store.schema import response_history
from tests import people
from tests.bench.annotate import SETTINGS
from tests.bench.annotators import Annotator, Person, Tab, Tally, Voter, together
from tests.bench.start import first_page
from tests.bench.workload import PASSAGE
from tests.postgres import PostgreSQL
from tests.proxy import Caddy
from tests.servers import AppProcess, free_port
from tests.workers import VOTES, is_balanced
from tests.workspace import add_comparison, add_model, open_workspace

RECORDS, PAIRS, EACH = 20_000, 2_000, 2
THINK = 5.0
# Of the time of an arrangement: ten people, all without pauses, the others with pauses.
FEW, FULL = 0.1, 0.3
BARE_CLIENTS, BARE_SECONDS = (1, 20, 100), 5.0
ANSWER = "The onboarding process takes one business day after the contract is signed, says passage {n}. " * 4
BARE = """
import gradio as gr, sys
gr.Interface(lambda text: text, "text", "text").launch(server_port=int(sys.argv[1]), quiet=True)
"""
ARRANGEMENTS = {"sqlite": "SQLite, one process", "one": "PostgreSQL, 1 replica", "three": "PostgreSQL, 3 replicas"}


@dataclass
class Place:
    """An arrangement that runs: where people reach it, and its processes by what they are."""

    url: str
    dataset: str
    set_id: str
    code: str
    home: Path
    database_url: str
    processes: dict[str, list[int]]
    everybody: list[Person] = field(default_factory=list)

    def memory(self) -> float:
        """Return the MB that the replicas hold together."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.processes["app"]) / 1e6

    def worked(self) -> Counter[str]:
        """Return the seconds that processors have worked, by what for."""
        found: Counter[str] = Counter()
        for kind, pids in self.processes.items():
            for process in map(psutil.Process, pids):
                # A database works in processes of its own.
                some = process.children() if kind == "database" else []
                found[kind] += sum(sum(one.cpu_times()[:2]) for one in (process, *some))
        return found


def prepare(home: Path, database_url: str) -> tuple[str, str, str]:
    """Make the workspace; return its dataset, its comparison and the code to join by."""
    services = open_workspace(home, database_url=database_url, entry=Entry(mode=SignIn.NAME))
    settings = {**SETTINGS, "distribution": {"min_submitted": EACH}}
    dataset = services.datasets.create("Large", from_plain(settings)).id
    contexts = [{"text": PASSAGE} for _ in range(4)]
    rows = [NewRecord({"query": f"What is said in place {n}?", "contexts": contexts}) for n in range(RECORDS)]
    services.datasets.add_records(dataset, rows)
    texts = [(ANSWER.format(n=n), ANSWER.format(n=f"{n} too")) for n in range(PAIRS)]
    set_id = add_comparison(services, [add_model(services, name) for name in ("one", "two")], texts)
    owner, code = people.add(services, "Olga", Role.OWNER).id, names.typed_code()
    services.store.invitations.add(Role.ANNOTATOR, owner, code=code, days=None, most=None)
    services.close()
    return dataset, set_id, code


@contextlib.contextmanager
def arranged(kind: str, folder: Path) -> Iterator[Place]:
    """Run an arrangement."""
    database, url = PostgreSQL(("max_connections = 300",)), ""
    with contextlib.ExitStack() as running:
        if kind != "sqlite":
            running.callback(database.stop)
            url = database.bare()
        home = folder / "home"
        made, count = prepare(home, url), 3 if kind == "three" else 1
        settings = {"PAIRLOOP_EXAMPLE": "0", "PAIRLOOP_SIGN_IN": "name"} | ({"DATABASE_URL": url} if url else {})
        apps = [AppProcess(folder / f"home{n}" if n else home, **settings) for n in range(count)]
        for app in apps:
            running.enter_context(app)
        processes = {"app": [app.pid for app in apps], "people": [psutil.Process().pid]}
        address = apps[0].url
        if url:
            caddy = running.enter_context(Caddy(folder, [f"127.0.0.1:{app.port}" for app in apps]))
            address = caddy.url
            processes |= {"proxy": [caddy.pid], "database": [database.pid]}
        yield Place(address, *made, home, url, processes)


async def come(place: Place, count: int, kind: type[Person], dice: random.Random) -> list[Person]:
    """Let more people sign in, load their page and open what they work on."""
    target = place.dataset if kind is Annotator else place.set_id
    first = len(place.everybody)
    came = [kind(f"Person {first + n}", Tab(place.url), target, random.Random(dice.random())) for n in range(count)]
    place.everybody += came

    async def one(person: Person) -> None:
        await person.tab.sign_in(person.name, place.code)
        await person.tab.load()
        await person.begin()

    await together([lambda person=person: one(person) for person in came], 4)
    return came


def high(times: Sequence[float]) -> float:
    """Return what 95 of 100 are not above."""
    return sorted(times)[max(0, math.ceil(0.95 * len(times)) - 1)]


async def phase(place: Place, name: str, workers: Sequence[Person], seconds: float, think: float = 0.0) -> list[str]:
    """Let people work for a time, print what it took, and return what went wrong."""
    tally, before, begun = Tally(), place.worked(), time.monotonic()
    await asyncio.gather(*(worker.work(begun + seconds, tally, think) for worker in workers))
    took = time.monotonic() - begun
    used = place.worked() - before
    print(f"  {len(workers)} people, {name}, {took:.0f} s; errors: {len(tally.errors)}")
    for kind, times in sorted(tally.seconds.items()):
        p95 = high(times)
        print(
            f"    {kind:14} {len(times):7,}  {len(times) / took:7.1f}/s  p50 {statistics.median(times) * 1000:7.1f} ms"
            f"  p95 {p95 * 1000:7.1f} ms  most {max(times) * 1000:7.1f} ms"
        )
    print("    processors at work:", ", ".join(f"{kind} {used[kind] / took:.2f}" for kind in place.processes))
    print(*(f"    ! {error}" for error in tally.errors[:3]), sep="\n", end="\n" if tally.errors else "")
    return tally.errors


async def use(place: Place, count: int, seconds: float) -> bool:
    """Let a team work; return whether nothing went wrong."""
    dice = random.Random(7)
    # Whatever a process does the first time costs more memory than later ones: some come to each of them.
    some = 1 if len(place.processes["app"]) == 1 else 4 * len(place.processes["app"])
    warm = [*await come(place, some, Annotator, dice), *await come(place, some, Voter, dice)]
    errors = await phase(place, "to warm up", warm, min(5.0, seconds * FEW))
    empty, begun = place.memory(), time.monotonic()
    annotators = await come(place, count - count // 3, Annotator, dice)
    voters = await come(place, count // 3, Voter, dice)
    full = place.memory()
    print(f"  {count} people signed in and loaded their page in {time.monotonic() - begun:.1f} s")
    print(f"  memory: {empty:.0f} MB, with {count} sessions {full:.0f} MB: {(full - empty) / count:.2f} MB each")
    errors += await phase(place, "who only annotate, without a pause", annotators[:10], seconds * FEW)
    errors += await phase(place, "without a pause", [*annotators, *voters], seconds * FULL)
    rest, how = seconds * (1 - FEW - FULL), f"with {THINK:g} s of thought in the mean"
    errors += await phase(place, how, [*annotators, *voters], rest, THINK)
    print(f"  memory in the end: {place.memory():.0f} MB")
    await asyncio.gather(*(person.tab.close() for person in place.everybody))
    return not errors


def is_kept(place: Place) -> bool:
    """Compare what people were told with what the store holds; print it, and return whether it is the same."""
    server = Server(place.database_url, "") if place.database_url else None
    store = open_store(place.home / "pairloop.db", server=server)
    told = {person.name: person.done for person in place.everybody}
    answers, judged = Counter(), Counter()
    for person in place.everybody:
        who = people.id_of_name(person.name)
        if isinstance(person, Annotator):
            answers.update((who, *one) for one in told[person.name])
        else:
            judged.update((who, pair, VOTES[button]) for pair, button in told[person.name])
    submitted = ResponseStatus.SUBMITTED
    given = [r for r in store.responses.of_dataset(place.dataset) if r.status is submitted]
    kept = Counter((r.annotator_id, r.record_id, r.values["answer"]) for r in given)
    cast = Counter((v.annotator_id, v.comparison_id, v.outcome) for v in store.votes.of_set(place.set_id))
    each = Counter(response.record_id for response in given)
    with store.database.read() as connection:
        again = connection.scalar(select(func.count()).select_from(response_history))
    store_says = {
        "lost": (answers - kept).total() + (judged - cast).total(),
        "doubled or never told": (kept - answers).total() + (cast - judged).total() + again,
        "records over their limit": sum(count > EACH for count in each.values()),
    }
    found = ", ".join(f"{name}: {count}" for name, count in store_says.items())
    balanced = is_balanced(store)
    print(f"  {kept.total():,} answers and {cast.total():,} votes are kept; {found}; sides balanced: {balanced}")
    store.close()
    return balanced and not any(store_says.values())


async def bare(url: str) -> None:
    """Print how many events an empty Gradio app answers."""
    for clients in BARE_CLIENTS:
        tabs, seconds = [Tab(url) for _ in range(clients)], []
        begun = time.monotonic()

        async def echo(tab: Tab, until: float, seconds: list[float] = seconds) -> None:
            while time.monotonic() < until:
                asked = time.perf_counter()
                await tab.call_number(0, "hello")
                seconds.append(time.perf_counter() - asked)

        await asyncio.gather(*(echo(tab, begun + BARE_SECONDS) for tab in tabs))
        p95 = high(seconds)
        rate = len(seconds) / (time.monotonic() - begun)
        print(
            f"  an empty gr.Interface, {clients:3} clients: {rate:6.1f} events/s"
            f"  p50 {statistics.median(seconds) * 1000:7.1f} ms  p95 {p95 * 1000:7.1f} ms"
        )
        await asyncio.gather(*(tab.close() for tab in tabs))


def measure_bare() -> None:
    """Start an empty Gradio app and measure it."""
    port = free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-c", BARE, str(port)], **quiet)
    try:
        first_page(f"http://127.0.0.1:{port}/")
        asyncio.run(bare(f"http://127.0.0.1:{port}"))
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Measure all arrangements; return 1 where something went wrong or is not as people were told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of each arrangement")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--only", nargs="+", choices=ARRANGEMENTS, default=list(ARRANGEMENTS))
    asked, good = parser.parse_args(), True
    sys.stdout.reconfigure(line_buffering=True)
    for kind in asked.only:
        print(ARRANGEMENTS[kind])
        measure_bare()
        with tempfile.TemporaryDirectory() as folder, arranged(kind, Path(folder)) as place:
            good &= asyncio.run(use(place, asked.people, asked.minutes * 60))
            good &= is_kept(place)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
