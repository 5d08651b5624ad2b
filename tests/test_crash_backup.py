"""The app with a dataset repo, killed and stopped while people work and while the Hub fails: what is kept where is true."""

import json
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.store import open_store
from tests.backing import REPO, TOKEN, never_rewritten, restored, rows_of
from tests.hub_server import HubServer
from tests.servers import AppProcess, QuickApp
from tests.workers import check, prepare_work, tokens_of, work_until_killed

ROUNDS = 2
FAULTS = (
    {"status": 409},
    {"status": 412},
    {"status": 429, "retry_after": 1},
    {"status": 500},
    {"status": 503},
    {"drop": "before"},
    {"drop": "cut"},
    {"drop": "after"},
    {"hang": 1.5},
    {"hang": 1.5, "drop": "after"},
)
PATHS = ("/commit/", "/commit/", "/preupload/", "/api/datasets/team/feedback$", "/tree/", "/resolve/", "^/lfs/", "")


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return prepare_work(tmp_path_factory.mktemp("work"))


@pytest.fixture
def prepared(workspace, tmp_path):
    return Path(shutil.copytree(workspace, tmp_path / "home"))


def settings_of(hub: HubServer) -> dict[str, str]:
    return {"PAIRLOOP_DATASET_REPO": REPO, "HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url, "PAIRLOOP_EXAMPLE": "0"}


@contextmanager
def failing(hub: HubServer, dice: random.Random) -> Iterator[None]:
    """Let random calls to the Hub go wrong in random ways."""
    over = threading.Event()

    def fail() -> None:
        while not over.wait(dice.uniform(0.3, 2.0)):
            # One at a time: piled up they would be a Hub that is down.
            hub.heal()
            hub.fail(path=dice.choice(PATHS), **dice.choice(FAULTS))

    thread = threading.Thread(target=fail)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        hub.heal()


def in_repo(hub: HubServer) -> dict[tuple[str, str], str]:
    """Return the newest stamp of every row that the repo holds, read without any code of the app."""
    found: dict[tuple[str, str], str] = {}
    for path, data in hub.files(REPO).items():
        if path.startswith(("journal/", "snapshot/")):
            for line in map(json.loads, data.splitlines()):
                if "row" in line:
                    key = line["table"], line["row"]["id"]
                    found[key] = max(found.get(key, ""), line["at"])
    return found


def noted(place: Path, condition: str = "1") -> dict[tuple[str, str], str]:
    """Return the stamp of every row that the store in a folder, or of a file, has noted and that meets a condition."""
    connection = sqlite3.connect(place / "pairloop.db" if place.is_dir() else place)
    rows = connection.execute(f"SELECT table_name, row_id, stamp FROM changes WHERE {condition}").fetchall()
    connection.close()
    return {(table, row): stamp for table, row, stamp in rows}


def check_confirmed(hub: HubServer, home: Path) -> int:
    """See that the repo has every change that the store takes for backed up; return how many those are."""
    there, confirmed = in_repo(hub), noted(home, "in_repo")
    missing = {key: stamp for key, stamp in confirmed.items() if there.get(key, "") < stamp}
    assert not missing, f"{len(missing)} changes count as backed up and are not in the repo"
    return len(confirmed)


def check_restore(hub: HubServer, file: Path) -> None:
    """See that a new store gets exactly what the repo holds, each row once and in its newest state."""
    store = restored(hub, file)
    assert store.merging.parked() == []
    store.close()
    there, got = in_repo(hub), noted(file)
    assert {key: got.get(key) for key in there} == there
    assert never_rewritten(hub)


def same_work(one: Path, other: Path) -> None:
    """Compare what people did in two stores."""
    first, second = open_store(one / "pairloop.db"), open_store(other / "pairloop.db")
    try:
        assert rows_of(first) == rows_of(second)
    finally:
        first.close()
        second.close()


def test_kills_and_faults_at_any_moment_lose_double_and_rewrite_nothing(hub, prepared, tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice, rounds = random.Random(seed), []
    tokens = tokens_of(dice)
    app = QuickApp(prepared, PAIRLOOP_SYNC_SECONDS="1", **settings_of(hub))
    hub.add_repo(REPO, private=True)

    with failing(hub, dice):
        for number in range(ROUNDS):
            with app:
                rounds.append(work_until_killed(app, tokens, dice))
            check(prepared, rounds)
            print(f"{check_confirmed(hub, prepared)} of {len(noted(prepared))} confirmed")
            if number:
                hub.heal()
                check_restore(hub, tmp_path / f"restored-{number}.db")
    # A healthy Hub gets the rest, and a new machine everything, though the restore itself is killed once too.
    with app:
        assert app.stop(timeout=10) == 0
    check_confirmed(hub, prepared)
    assert noted(prepared, "NOT in_repo") == {}
    hub.fail(times=None, path="/tree/|/resolve/", hang=60.0)
    new = QuickApp(tmp_path / "new", PAIRLOOP_SYNC_SECONDS="1", **settings_of(hub))
    killed_while_it_restores(new, hub)
    hub.heal()
    with new:
        assert new.stop(timeout=10) == 0
    check(tmp_path / "new", rounds)
    same_work(prepared, tmp_path / "new")
    assert never_rewritten(hub)


def killed_while_it_restores(app: AppProcess, hub: HubServer) -> None:
    """Start an app on an empty disk, and kill it when it waits for what it has asked the Hub for."""
    before = len(hub.requests)

    def start() -> None:
        with pytest.raises(AssertionError, match="the app ended"):
            app.start()

    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(start)
        deadline = time.monotonic() + 60
        while not any("/tree/" in call.path or "/resolve/" in call.path for call in hub.requests[before:]):
            assert time.monotonic() < deadline, "it asks for nothing"
            time.sleep(0.05)
        app.kill()
        # What went wrong there rises here.
        starting.result(60)


def timed_stop(app: AppProcess) -> None:
    """Stop the app as a Space does, which kills after 10 s."""
    begun = time.monotonic()
    assert app.stop(timeout=10) == 0
    print(f"stopped in {time.monotonic() - begun:.1f} s")


def check_acknowledged(hub: HubServer, home: Path, rounds: list) -> None:
    """See that a new machine has everything that people were told was done.

    Not that nothing waits: a call whose answer nobody got any more may write in the very last moment.
    """
    home.mkdir()
    check_restore(hub, home / "pairloop.db")
    check(home, rounds)


def test_a_stop_sends_what_waits_and_ends_in_time_even_if_the_hub_hangs(hub, prepared, tmp_path):
    dice = random.Random(1)
    tokens, rounds = tokens_of(dice), []
    # Nothing is sent by itself after the first commit, so that much is waiting at the stop.
    app = QuickApp(prepared, PAIRLOOP_SYNC_SECONDS="3600", **settings_of(hub))

    def stop(app: AppProcess) -> None:
        deadline = time.monotonic() + 60
        while len(noted(prepared, "NOT in_repo")) <= 20:
            assert time.monotonic() < deadline, "too little waits to be sent"
            time.sleep(0.1)
        timed_stop(app)

    with app:
        rounds.append(work_until_killed(app, tokens, dice, stop))
    check(prepared, rounds)
    check_acknowledged(hub, tmp_path / "new", rounds)
    # The tables come after the journal, in what time is left.
    print(f"tables: {sorted(path for path in hub.files(REPO) if path.startswith('data/'))}")
    with app:
        wait_for_first_commit(prepared)
        hub.fail(times=None, hang=60.0)
        rounds.append(work_until_killed(app, tokens, dice, stop))
    check(prepared, rounds)
    check_confirmed(hub, prepared)
    hub.heal()
    with app:
        timed_stop(app)
    assert noted(prepared, "NOT in_repo") == {}
    check_restore(hub, tmp_path / "restored-too.db")


def wait_for_first_commit(home: Path) -> None:
    deadline = time.monotonic() + 60
    while noted(home, "NOT in_repo"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
