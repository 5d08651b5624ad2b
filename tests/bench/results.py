"""How long it takes from a vote to the refreshed chart, and to the rest of the Results tab, beside the number of votes.

    python -m tests.bench.results [votes ...]

One comparison of two models over 1,000 queries, judged by as many people as it takes. The screen is open; a vote is given, and
the handler of the live refresh is called as the page calls it every few seconds. Medians of five votes.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

# One processor, said before numpy is loaded.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

from components._session import COOKIE  # noqa: E402
from components.results import tab as results  # noqa: E402
from pipeline.records import Outcome, new_id  # noqa: E402
from pipeline.services import Services  # noqa: E402
from pipeline.store.rows import put  # noqa: E402
from pipeline.store.schema import members, votes  # noqa: E402
from pipeline.store.vote_rows import Cast, vote_row  # noqa: E402
from tests.workspace import add_comparison, add_model, open_workspace  # noqa: E402

QUERIES = 1_000
TOKEN = "a" * 64
VOTES = 5


def fill(services: Services, many: int) -> str:
    """Judge a comparison by made-up people; return its id."""
    luck = random.Random(many)
    models = (add_model(services, "tuned"), add_model(services, "base"))
    texts = [
        ("Short, and to the point. [1]", f"Long, and {'on ' * luck.randint(5, 40)}. [1] [2]") for _ in range(QUERIES)
    ]
    topics = [f"topic {n % 8}" for n in range(QUERIES)]
    set_id = add_comparison(services, models, texts, metadata={"topic": topics})
    items = services.store.comparisons.in_set(set_id)
    people = [new_id() for _ in range(max(1, many // QUERIES))]
    with services.store.database.write() as connection:
        rows = [
            {"id": person, "name": f"P {n}", "token_hash": None, "created_at": 1.0} for n, person in enumerate(people)
        ]
        put(connection, members, rows)
        for person in people:
            put(connection, votes, [vote_row(item.id, person, _cast(item.completion_ids, luck)) for item in items])
    return set_id


def _cast(ids: tuple[str, ...], luck: random.Random) -> Cast:
    shown = ids if luck.random() < 0.5 else ids[::-1]
    first_left = shown == ids
    drawn = luck.random()
    if drawn < 0.2:
        return Cast(shown, Outcome.TIE if drawn < 0.15 else Outcome.BOTH_BAD, seconds=8.0)
    first_wins = luck.random() < 0.55
    return Cast(shown, Outcome.MODEL_A if first_wins == first_left else Outcome.MODEL_B, seconds=8.0)


def measure(services: Services, set_id: str) -> dict[str, float]:
    """Return medians in seconds: the vote, the chart after it, and everything after it."""
    request = SimpleNamespace(cookies={COOKIE: TOKEN}, headers={})
    me = services.store.members.by_token(TOKEN)
    services.comparisons.reveal(set_id, me)
    handlers = results.ResultsHandlers(services)
    began = time.perf_counter()
    shown = handlers.show_results(set_id, request)
    first = time.perf_counter() - began
    taken: dict[str, list[float]] = {"vote": [], "chart": [], "everything": [], "nothing new": []}
    seen = shown.seen
    for number in range(VOTES):
        voter = services.store.members.by_token(f"{number:064x}")
        began = time.perf_counter()
        pair = services.comparisons.next_pair(set_id, voter)
        services.comparisons.vote(pair.comparison_id, voter, Outcome.MODEL_A, seconds=5)
        taken["vote"].append(time.perf_counter() - began)
        # On a live screen it waits for ten times as long as it took; here it is measured each time.
        handlers.rest_from = 0.0
        began = time.perf_counter()
        parts = handlers.refresh(set_id, "0", "", None, seen, request)
        seen = next(parts).seen
        taken["chart"].append(time.perf_counter() - began)
        for live in parts:
            seen = live.seen
        taken["everything"].append(time.perf_counter() - began)
        began = time.perf_counter()
        list(handlers.refresh(set_id, "0", "", None, seen, request))
        taken["nothing new"].append(time.perf_counter() - began)
    return {"first look": first, **{name: statistics.median(times) for name, times in taken.items()}}


def main() -> None:
    """Print a line for each number of votes."""
    for many in map(int, sys.argv[1:] or ("1000", "10000", "100000")):
        with tempfile.TemporaryDirectory() as folder:
            services = open_workspace(Path(folder) / "home")
            set_id = fill(services, many)
            taken = measure(services, set_id)
            services.close()
        print(
            f"{many:8,} votes | " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in taken.items()), flush=True
        )


if __name__ == "__main__":
    main()
