"""People who work on the app over HTTP until it is gone, and what they were told, compared with what is kept."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from sqlalchemy import func, select

from pipeline.records import Outcome, ResponseStatus
from pipeline.store import Store, open_store
from pipeline.store.schema import completions, sides
from tests.material import add_manual, add_queries, finished
from tests.servers import AppProcess
from tests.visitor import Visitor
from tests.workspace import add_comparison, add_model, open_workspace

PIECES, REVIEWERS, VOTERS = 150, 3, 2
VOTES = {
    "vote_a": Outcome.MODEL_A,
    "vote_b": Outcome.MODEL_B,
    "vote_tie": Outcome.TIE,
    "vote_both_bad": Outcome.BOTH_BAD,
}


def prepare_work(folder: Path) -> Path:
    """Return the folder of a workspace with records to review and pairs to judge, more than anybody gets through."""
    home = folder / "home"
    services = open_workspace(home)
    add_manual(services, folder)
    list_id = add_queries(services, [f"Where is pier number {n} of the harbour?" for n in range(PIECES)], ())
    run_id = services.generation.start_run(services.registry.all()[0].id, list_id)
    finished(services, run_id)
    services.datasets.create_of_run(run_id, "answer-review")
    texts = [(f"Pier {n} is here.", f"You find pier {n} over there.") for n in range(PIECES)]
    add_comparison(services, (add_model(services, "one"), add_model(services, "two")), texts)
    services.close()
    return home


class Worker(threading.Thread):
    """Somebody who works until the app is gone, and remembers what it said was done."""

    def __init__(self, url: str, token: str, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self._url, self.token, self._dice = url, token, dice
        self.done: list[tuple[str, str]] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            self.work(Visitor(self._url, self.token))
        except (OSError, HTTPException, ValueError):
            # The app is gone: the connection broke, or a message was cut in the middle. Nothing more is acknowledged.
            return
        except Exception as error:  # noqa: BLE001 - a thread cannot raise into the test: the test looks at it
            self.failure = error

    def breathe(self, following):
        """Wait a little, so that the work lasts for all rounds on any machine."""
        time.sleep(self._dice.uniform(0.0, 0.1))
        return following


class Reviewer(Worker):
    def work(self, visitor: Visitor) -> None:
        card = visitor.annotate("open").get("card")
        while card:
            record_id = card["id"]
            answer = f"Answer {self._dice.random()} to {record_id}."
            typed = {"record": record_id, "values": {"answer": answer[:9]}, "version": card["version"]}
            version = visitor.annotate("draft", **typed)["version"]
            rated = {"query_rating": 4, "context_rating": 5, "answer": answer}
            ended = visitor.annotate("end", action="submit", record=record_id, values=rated, version=version)
            self.done.append((record_id, answer))
            card = self.breathe(ended.get("card"))


class Voter(Worker):
    def work(self, visitor: Visitor) -> None:
        set_id = visitor.call("load_comparisons", None)[0]["value"]
        pair_id = visitor.call("show_next", set_id)[0]
        while pair_id:
            button = self._dice.choice(list(VOTES))
            following = visitor.call(button, set_id, pair_id, None, f"because of {pair_id}", "", "")[0]
            self.done.append((pair_id, button))
            pair_id = self.breathe(following)


def tokens_of(dice: random.Random) -> list[str]:
    """Return a cookie for everybody."""
    return [f"{dice.getrandbits(256):064x}" for _ in range(REVIEWERS + VOTERS)]


def work_until_killed(
    app: AppProcess, tokens: list[str], dice: random.Random, end: Callable[[AppProcess], None] = AppProcess.kill
) -> list[Worker]:
    """Let everybody work until ``end`` takes the app away in the middle of it; return what each of them was told."""
    kinds = [Reviewer] * REVIEWERS + [Voter] * VOTERS
    workers = [kind(app.url, token, random.Random(dice.random())) for kind, token in zip(kinds, tokens, strict=True)]
    for worker in workers:
        worker.start()
    deadline = time.monotonic() + 60
    while not all(worker.done or not worker.is_alive() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(dice.uniform(0.2, 1.5))
    end(app)
    for worker in workers:
        worker.join(40)
    assert [worker.failure for worker in workers] == [None] * len(workers)
    assert all(worker.done for worker in workers), "somebody got nothing done before the kill"
    print([len(worker.done) for worker in workers])
    return workers


def check(home: Path, rounds: list[list[Worker]]) -> None:
    """Compare what people were told with what the store in a folder holds."""
    store = open_store(home / "pairloop.db")
    check_store(store, rounds)
    store.close()
    connection = sqlite3.connect(home / "pairloop.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    # Nobody submits anything twice here, so a line of history would be a response that was written double.
    assert connection.execute("SELECT count(*) FROM response_history").fetchone() == (0,)
    connection.close()


def check_store(store: Store, rounds: list[list[Worker]]) -> None:
    """Compare what people were told with what a store holds, in the same store classes that the app uses."""
    dataset, comparison = store.datasets.all()[0].id, store.comparisons.sets()[0].id
    responses = {(r.annotator_id, r.record_id): r for r in store.responses.of_dataset(dataset)}
    votes = {(v.annotator_id, v.comparison_id): v for v in store.votes.of_set(comparison)}
    assert len(responses) == len(store.responses.of_dataset(dataset))
    assert len(votes) == len(store.votes.of_set(comparison))
    for worker in (worker for workers in rounds for worker in workers):
        who = store.members.by_token(worker.token)
        assert len({item for item, _ in worker.done}) == len(worker.done), "a record or a pair was offered twice"
        for item, said in worker.done:
            if isinstance(worker, Reviewer):
                stored = responses[who, item]
                assert (stored.status, stored.values["answer"]) == (ResponseStatus.SUBMITTED, said)
            else:
                assert (votes[who, item].outcome, votes[who, item].reason) == (VOTES[said], f"because of {item}")


def is_balanced(store: Store) -> bool:
    """Say whether everybody was shown either model on the left as often as the other, give or take one."""
    left = select(sides.c.annotator_id, completions.c.model_id, func.count())
    left = left.join(completions, sides.c.left_completion_id == completions.c.id)
    with store.database.read() as connection:
        rows = connection.execute(left.group_by(sides.c.annotator_id, completions.c.model_id)).all()
    seen = {}
    for who, _, count in rows:
        seen.setdefault(who, []).append(count)
    return all(max(counts) - (min(counts) if len(counts) == 2 else 0) <= 1 for counts in seen.values())
