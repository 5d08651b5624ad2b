"""What the back-up costs and how long it takes: ``python -m tests.bench.backup [submit] [restore] [faults] [sprint]``.

Four parts, all of them unless some are named, against the loopback Hub in a process of its own. Nothing is asserted.

    submit   latency of a submit with and without a dataset repo, side by side on two stores, in random order
    restore  a new machine gets 1,000, 10,000 and 100,000 responses back, from journal files and from a snapshot
    faults   the longest time that an acknowledged change was on this machine alone, while the Hub fails in many ways
    sprint   commits and bytes of 10 people who review for 8 hours, each with 5 drafts and a submit a minute
"""

from __future__ import annotations

import logging
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from huggingface_hub import constants
from sqlalchemy import event

from pipeline.backup import hub_sync
from pipeline.hub.repo import HubRepo
from pipeline.hub.sync import HubSync, Pace
from pipeline.records import ResponseStatus
from pipeline.settings import Settings
from pipeline.store import Store, open_store
from tests.bench.workload import TEXT, fill, records_of
from tests.hub_server import HubServer
from tests.workspace import respond

REPO, TOKEN = "team/feedback", "hf_write_token"
# Faults as the Hub shows them, each in force for so many seconds of work.
FAULT_SECONDS = 12.0
FAULTS: dict[str, dict[str, object] | None] = {
    "none": None,
    "3 x error 503": {"times": 3, "status": 503, "path": "/commit/"},
    "429, Retry-After 5": {"times": 1, "status": 429, "retry_after": 5, "path": "/commit/"},
    "a commit hangs": {"times": 1, "hang": 60.0, "path": "/commit/"},
    "the answer is lost": {"times": 1, "drop": "after", "path": "/commit/"},
    "the answer is cut": {"times": 1, "drop": "cut", "path": "/commit/"},
    "down for 8 s": {"down": 8.0},
}
MINUTES, PEOPLE, DRAFTS = 480, 10, 5


def main() -> None:
    """Run the parts that are named."""
    constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_TELEMETRY = True
    logging.disable(logging.WARNING)
    parts = {"submit": submit, "restore": restore, "faults": faults, "sprint": sprint}
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as folder:
            parts[name](Path(folder))


def submit(folder: Path, pairs: int = 3000) -> None:
    """Print percentiles of both stores and the ratios of pairs."""
    alone, backed = open_store(folder / "alone.db"), open_store(folder / "backed.db")
    for store in (alone, backed):
        fill(store, records=pairs // PEOPLE, people=PEOPLE, responses=0)
    places = {id(store): records_of(store) for store in (alone, backed)}
    taken: dict[int, list[float]] = {id(alone): [], id(backed): []}
    with hub_process() as (url, _):
        sync = HubSync(backed, HubRepo(REPO, url, TOKEN), Pace(journal=1.0), dict)
        sync.start()
        for number in range(pairs):
            for store in random.sample((alone, backed), 2):
                records, people = places[id(store)]
                record, person = records[number // PEOPLE], people[number % PEOPLE]
                begun = time.perf_counter()
                respond(store, record, person, ResponseStatus.SUBMITTED, {"answer": TEXT})
                taken[id(store)].append(time.perf_counter() - begun)
        sync.stop(30)
    both = {"without": taken[id(alone)], "with": taken[id(backed)]}
    cuts = {name: _percentiles(seconds) for name, seconds in both.items()}
    for name, values in cuts.items():
        print(f"submit {name:8} sync: " + "  ".join(f"p{cut} {1000 * values[cut]:.2f} ms" for cut in values))
    ratios = "  ".join(f"p{cut} {cuts['with'][cut] / cuts['without'][cut]:.2f} x" for cut in cuts["with"])
    median = statistics.median(a / b for a, b in zip(both["with"], both["without"], strict=True))
    print(f"submit with / without:  {ratios}  median of pairs {median:.2f} x  ({pairs} pairs, a commit a second)")


def restore(folder: Path) -> None:
    """Print how long it takes until a new machine has everything."""
    for responses in (1_000, 10_000, 100_000):
        store = open_store(folder / f"{responses}.db")
        fill(store, records=responses // PEOPLE, people=PEOPLE, responses=responses)
        with hub_process() as (url, ask):
            sync = HubSync(store, HubRepo(REPO, url, TOKEN), Pace(fold_files=1), dict)
            pushed = _timed(sync._send)
            journal = _restored(folder, url), ask("size")
            folded = _timed(lambda s=sync: s._tidy(True))
            snapshot = _restored(folder, url), ask("size")
        store.close()
        print(
            f"restore {responses:7,} responses, {journal[0][1]:,} rows (sent in {pushed:.1f} s, folded in {folded:.1f} s):"
        )
        for name, ((seconds, _), (files, size)) in (("journal files", journal), ("snapshot", snapshot)):
            print(f"    {files:3} {name:14} {size / 1e6:6.1f} MB  {seconds:6.2f} s")


def faults(folder: Path) -> None:
    """Print for each fault how old the oldest waiting change became, with a commit at most every two seconds."""
    store = open_store(folder / "faults.db")
    fill(store, records=5000, people=1, responses=0)
    records, people = records_of(store)
    waiting = iter(records)
    with HubServer() as hub:
        sync = HubSync(store, HubRepo(REPO, hub.url, TOKEN, 5.0), Pace(journal=2.0), dict)
        sync.start()
        until(lambda: store.outbox.waiting("repo").count == 0)
        for name, fault in FAULTS.items():
            worst, saved = 0.0, 0
            outage = _begin(hub, fault)
            end = time.monotonic() + FAULT_SECONDS
            while time.monotonic() < end or store.outbox.waiting("repo").count:
                if time.monotonic() < end:
                    respond(store, next(waiting), people[0], ResponseStatus.SUBMITTED, {"answer": TEXT})
                    saved += 1
                since = store.outbox.waiting("repo").since
                worst = max(worst, time.time() - since if since else 0.0)
                time.sleep(0.05)
            outage.join()
            hub.heal()
            print(f"faults: {name:26} longest on this machine alone {worst:5.1f} s  ({saved} submits, a commit in 2 s)")
        sync.stop(10)
    store.close()


def sprint(folder: Path) -> None:
    """Print commits and bytes of a working day whose clock is simulated; everything else is real."""
    store = open_store(folder / "sprint.db")
    # 29,000 transactions: how they get to the disk is not what is measured here.
    event.listen(store.database.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
    store.database.engine.dispose()
    fill(store, records=MINUTES, people=PEOPLE, responses=0)
    records, people = records_of(store)
    now = [0.0]
    with HubServer() as hub:
        settings = Settings(home=folder, dataset_repo=REPO, hf_endpoint=hub.url, hf_token=TOKEN)
        sync = hub_sync(store, settings, lambda data: data, clock=lambda: now[0])
        sync.sync_now()
        before, begun = len(hub.requests), time.perf_counter()
        for minute in range(MINUTES):
            for person in people:
                for draft in range(DRAFTS):
                    text = {"answer": TEXT[: 80 * (draft + 1)]}
                    respond(store, records[minute], person, ResponseStatus.DRAFT, text)
                respond(store, records[minute], person, ResponseStatus.SUBMITTED, {"answer": TEXT}, 45.0)
            now[0] += 60.0
            if now[0] >= sync._journal.due():
                failures = sync._cycle(at_once=False)
                assert not failures, failures
        sync.sync_now()
        _print_sprint(hub, before, time.perf_counter() - begun)
    store.close()


def _print_sprint(hub: HubServer, before: int, took: float) -> None:
    commits = [commit for commit in hub.commits(REPO)[1:]]
    kinds = {
        "journal": [c for c in commits if any(path.startswith("journal/") for path in c.added)],
        "tables": [c for c in commits if any(path.startswith("data/") for path in c.added)],
        "folding": [c for c in commits if any(path.startswith("snapshot/") for path in c.added)],
    }
    calls = hub.requests[before:]
    files = hub.files(REPO)
    kept = {
        folder: (len(found := [data for path, data in files.items() if path.startswith(folder)]), sum(map(len, found)))
        for folder in ("journal/", "snapshot/", "data/")
    }
    written = sum(commit.files[path].size for commit in kinds["journal"] for path in commit.added)
    print(
        f"sprint: {MINUTES} min, {PEOPLE} people, {PEOPLE * MINUTES * (DRAFTS + 1):,} writes (simulated in {took:.0f} s)"
    )
    print("    commits: " + ", ".join(f"{len(found)} {name}" for name, found in kinds.items()))
    print(f"    sent {sum(len(call.body) for call in calls) / 1e6:.1f} MB in {len(calls):,} requests")
    print(f"    journal written {written / 1e6:.2f} MB")
    print(
        "    repo at the end: " + ", ".join(f"{name} {n} files {size / 1e6:.2f} MB" for name, (n, size) in kept.items())
    )


def _begin(hub: HubServer, fault: dict[str, object] | None) -> threading.Thread:
    """Begin a fault; return what ends with an outage."""
    down = (fault or {}).get("down", 0.0)
    if fault and not down:
        hub.fail(**fault)

    def outage() -> None:
        if down:
            hub.stop()
            time.sleep(down)
            hub.start()

    thread = threading.Thread(target=outage)
    thread.start()
    return thread


def _restored(folder: Path, url: str) -> tuple[float, int]:
    """Restore into a new store; return seconds and rows."""
    rows = []

    def take(store: Store) -> bool:
        rows.append(HubSync(store, HubRepo(REPO, url, TOKEN), Pace(), dict).restore(lambda text: None))
        return True

    file = folder / f"{time.monotonic_ns()}.db"
    begun = time.perf_counter()
    store = open_store(file, take)
    seconds = time.perf_counter() - begun
    store.close()
    file.unlink()
    return seconds, rows[0]


def serve(ends: Connection) -> None:
    """Run the Hub until the other end says that it is over; answer what it asks."""
    with HubServer() as hub:
        ends.send(hub.url)
        while ends.recv():
            kept = [data for path, data in hub.files(REPO).items() if path.startswith(("journal/", "snapshot/"))]
            ends.send((len(kept), sum(map(len, kept))))


@contextmanager
def hub_process():
    """Run the Hub in a process of its own, as in life; yield its address and how to ask it what it keeps."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    url = here.recv()

    def ask(what: str) -> tuple[int, int]:
        here.send(what)
        return here.recv()

    yield url, ask
    here.send("")
    process.join()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    while not condition():
        time.sleep(0.02)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    failed = work()
    assert not failed, failed
    return time.perf_counter() - begun


def _percentiles(seconds: list[float]) -> dict[int, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {cut: cuts[cut - 1] for cut in (50, 95, 99)}


if __name__ == "__main__":
    main()
