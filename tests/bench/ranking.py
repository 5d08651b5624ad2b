"""How long a leaderboard takes, beside those of FastChat and arena-rank where they are installed.

    python -m tests.bench.ranking [python of the others]

Votes of one query each (what the others assume) and of three votes a query; 1,000 rounds, one processor. Ours begins with
the votes as objects and ends with ratings, intervals and ranks; the others begin with a table. "apart" is the largest
difference of ratings from ours, after bringing both to the same mean.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# One processor, said before numpy is loaded.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

from pipeline.ranking import leaderboard  # noqa: E402
from pipeline.records import Outcome, Vote  # noqa: E402

ROUNDS = 1_000
SIZES = [(votes, models) for votes in (10_000, 100_000, 1_000_000) for models in (5, 20, 100)]
OUTCOMES = (Outcome.MODEL_A, Outcome.MODEL_B, Outcome.TIE)
PEERS = Path(__file__).with_name("ranking_peers.py")


def draw(votes: int, models: int) -> dict[str, np.ndarray]:
    """Return votes as arrays: strengths lie over 350 points of rating, a fifth are ties between equals."""
    random = np.random.default_rng(votes + models)
    strength = np.linspace(1, -1, models)
    left = random.integers(0, models, votes)
    right = (left + random.integers(1, models, votes)) % models
    chance = 1 / (1 + np.exp(strength[right] - strength[left]))
    tie = 0.8 * chance * (1 - chance)
    luck = random.random(votes)
    kind = np.where(luck < chance - tie / 2, 0, np.where(luck > chance + tie / 2, 1, 2))
    names = np.array([f"model-{number:03d}" for number in range(models)])
    return {"names": names, "left": left, "right": right, "kind": kind}


def as_votes(data: dict[str, np.ndarray], per_query: int) -> list[Vote]:
    """Return the same votes as objects."""
    names = data["names"].tolist()
    rows = zip(data["left"].tolist(), data["right"].tolist(), data["kind"].tolist(), strict=True)
    return [
        Vote(f"q{number // per_query}", names[left], names[right], OUTCOMES[kind])
        for number, (left, right, kind) in enumerate(rows)
    ]


def ours(data: dict[str, np.ndarray], per_query: int) -> tuple[float, dict[str, float]]:
    """Return the seconds and the ratings of our leaderboard."""
    votes = as_votes(data, per_query)
    started = time.perf_counter()
    board = leaderboard(votes, rounds=ROUNDS)
    return time.perf_counter() - started, {rating.model: rating.rating for rating in board.ratings}


def theirs(data: dict[str, np.ndarray], python: str) -> list[dict]:
    """Return what the others made of the votes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "votes.npz"
        np.savez(path, **data)
        done = subprocess.run(
            [python, str(PEERS), str(path), str(ROUNDS)], capture_output=True, text=True, check=True, env={**os.environ}
        )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def apart(one: dict[str, float], other: dict[str, float]) -> float:
    """Return the largest difference of ratings after bringing both to the same mean."""
    names = sorted(one)
    first, second = (np.array([ratings[name] for name in names]) for ratings in (one, other))
    return float(np.abs((first - first.mean()) - (second - second.mean())).max())


def main() -> None:
    """Print the table."""
    python = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"{ROUNDS:,} rounds, one processor; seconds (~: extrapolated)")
    for votes, models in SIZES:
        data = draw(votes, models)
        seconds, ratings = ours(data, 1)
        clustered, _ = ours(data, 3)
        print(
            f"{votes:9,} votes {models:4d} models | ours {seconds:.2f}, three votes a query {clustered:.2f}", flush=True
        )
        for peer in theirs(data, python) if python else []:
            if "error" in peer:
                print(f"    {peer['path']}: {peer['error']}", flush=True)
                continue
            mark = "~" if peer["guessed"] else ""
            ratio = peer["seconds"] / seconds
            difference = apart(ratings, peer["ratings"])
            print(f"    {peer['path']} {mark}{peer['seconds']:.2f} ({ratio:.1f} x), apart {difference:.2g}", flush=True)


if __name__ == "__main__":
    main()
