"""Many people at once: no record gets more responses than it needs, every record gets them, and nobody waits in vain."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.annotation.plain import from_plain
from pipeline.records import ResponseStatus
from pipeline.store import open_store
from pipeline.store.datasets import NewRecord
from tests.annotator import Annotator
from tests.servers import QuickApp
from tests.workspace import open_workspace

PEOPLE, RECORDS, WANTED, QUORUM = 20, 90, 2, 3
SETTINGS = {
    "fields": [{"name": "text", "type": "text"}],
    "questions": [
        {"name": "kind", "type": "label", "options": ["praise", "complaint"]},
        {"name": "why", "type": "text", "required": False},
    ],
    "distribution": {"min_submitted": WANTED, "discard_quorum": QUORUM},
}


@pytest.fixture
def letters(tmp_path):
    services = open_workspace(tmp_path / "home")
    dataset = services.datasets.create("Letters", from_plain(SETTINGS))
    services.datasets.add_records(dataset.id, [NewRecord({"text": f"Letter {n}."}) for n in range(RECORDS)])
    services.close()
    return tmp_path / "home", dataset.id


class Worker:
    """Somebody who works until nothing is left: submits mostly, discards, takes back, goes away from some records."""

    def __init__(self, url: str, dataset: str, seed: int, start: threading.Barrier) -> None:
        self._person = Annotator(url, dataset)
        self._dice, self._ready = random.Random(seed), start
        self.ended: Counter[str] = Counter()
        self.refused: list[str] = []

    def work(self) -> None:
        self._ready.wait()
        deadline = time.monotonic() + 200
        self._person.open()
        while self._person.record or self._person.waiting:
            assert time.monotonic() < deadline, "somebody waits for ever"
            if not self._person.record:
                time.sleep(0.2)
                self._person.open()
                continue
            self._act()

    def _act(self) -> None:
        number = self._dice.random()
        if number < 0.05:
            self._person.open(leave=True)
        elif number < 0.15:
            self._person.draft({"why": "Hm"})
        elif number < 0.25:
            self._end("discard", {})
        else:
            self._end("submit", {"kind": self._dice.choice(["praise", "complaint"])})
            if self._dice.random() < 0.05:
                self._person.undo()

    def _end(self, action: str, values: dict) -> None:
        error = self._person.end(action, values)
        if error:
            self.refused.append(error)
            self._person.open(leave=True)
        else:
            self.ended[action] += 1


def test_twenty_people_at_once_leave_no_record_over_assigned_and_none_starved(letters):
    home, dataset = letters
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as app:
        ready = threading.Barrier(PEOPLE)
        workers = [Worker(app.url, dataset, seed, ready) for seed in range(PEOPLE)]
        with ThreadPoolExecutor(PEOPLE) as pool:
            at_work = [pool.submit(worker.work) for worker in workers]
        # What went wrong for one of them rises here.
        assert [future.result() for future in at_work] == [None] * PEOPLE
    store = open_store(home / "pairloop.db")
    submitted, discarded = Counter(), Counter()
    for response in store.responses.of_dataset(dataset):
        submitted[response.record_id] += response.status is ResponseStatus.SUBMITTED
        discarded[response.record_id] += response.status is ResponseStatus.DISCARDED
    ids = store.datasets.record_ids(dataset)
    store.close()
    assert max(submitted.values()) <= WANTED
    done = [i for i in ids if submitted[i] == WANTED or discarded[i] >= QUORUM]
    assert len(done) == len(ids) == RECORDS
    # Nobody who had a record on the screen lost it to somebody else.
    assert [worker.refused for worker in workers if worker.refused] == []
    assert sum(worker.ended["submit"] for worker in workers) >= WANTED * RECORDS - sum(discarded.values())
