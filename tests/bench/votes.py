"""Votes from elsewhere come in: ``python -m tests.bench.votes [votes]``, 100,000 without a number.

Two files in LMArena's columns: one with a query and two answers of its own for every vote, one with 500 queries and no answers.
Printed are the seconds of one processor, and the time that passed, to read a file, to prepare its preview, to bring it in, and to
count its results for the first time.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipeline import ranking
from tests.workspace import open_workspace

MODELS = tuple(f"model-{n}" for n in range(20))
WINNERS = ("model_a", "model_b", "tie", "tie (bothbad)")


def write(path: Path, votes: int, answers: bool) -> Path:
    """Write a file of votes."""
    chance = random.Random(5)
    with path.open("w", encoding="utf-8") as file:
        for n in range(votes):
            a, b = chance.sample(MODELS, 2)
            row = {"model_a": a, "model_b": b, "winner": chance.choice(WINNERS), "judge": f"person-{n % 300}"}
            row["question"] = f"What is said in place {n if answers else n % 500}?"
            texts = {"answer_a": f"{a} says it is {n}.", "answer_b": f"{b} says it is not {n}."} if answers else {}
            file.write(json.dumps({**row, **texts}) + "\n")
    return path


def timed(name: str, act: Callable[[], object]) -> object:
    """Do something and print how long it took."""
    begun, used = time.perf_counter(), time.process_time()
    found = act()
    print(f"  {name:14} {time.process_time() - used:6.1f} s of one processor, {time.perf_counter() - begun:6.1f} s")
    return found


def measure(votes: int, answers: bool) -> None:
    """Bring one file into a workspace of its own."""
    with tempfile.TemporaryDirectory() as folder:
        services = open_workspace(Path(folder) / "home", max_upload_mb=1_000)
        desk = services.vote_files
        path = write(Path(folder) / "votes.jsonl", votes, answers)
        print(f"{votes:,} votes, {'a query and answers each' if answers else '500 queries, no answers'}")
        mapping = timed("read", lambda: desk.propose(path))
        timed("preview", lambda: desk.prepare(path, mapping))
        brought = timed("bring in", lambda: desk.bring(path, mapping))
        found = timed("first results", lambda: services.comparisons.results_of(brought.set_id))
        assert ranking.count_outcomes(found.votes, found.first, found.second).votes > 0
        services.close()


def main() -> None:
    """Measure both files."""
    votes = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for answers in (True, False):
        measure(votes, answers)


if __name__ == "__main__":
    main()
