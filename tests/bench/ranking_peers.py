"""The leaderboards of others on the same votes. Runs in an environment of its own, where FastChat and arena-rank are:

    python tests/bench/ranking_peers.py votes.npz rounds

Prints one line of JSON for each path that can be imported: seconds of all rounds, the ratings, whether it was
extrapolated. Everything on one processor; slow paths are timed on a few rounds and extrapolated to all.
"""

import io
import json
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pandas as pd

# Seconds that a path may take in full.
PATIENCE = 25


def fastchat(frame):
    from fastchat.serve.monitor.rating_systems import compute_bootstrap_bt, compute_bt

    ratings = compute_bt(frame)
    return lambda rounds: compute_bootstrap_bt(frame, rounds, num_cpu=1), dict(ratings)


def fastchat_0_2_36(frame):
    from fastchat.serve.monitor.elo_analysis import compute_elo_mle_with_tie, get_bootstrap_result

    if frame["model_a"].nunique() * len(frame) > 5_000_000:
        raise MemoryError("its table of votes and models does not fit")
    ratings = compute_elo_mle_with_tie(frame)
    return lambda rounds: get_bootstrap_result(frame, compute_elo_mle_with_tie, rounds), dict(ratings)


def arena_rank(frame):
    import jax.numpy as jnp
    from arena_rank.models.bradley_terry import BradleyTerry, fit_single_bootstrap_sample
    from arena_rank.utils.data_utils import PairDataset

    data = PairDataset.from_pandas(frame)
    model = BradleyTerry(n_competitors=len(data.competitors))
    found = model.compute_ratings_and_cis(data, ci_method="sandwich")

    def run(rounds):
        # What its bootstrap does, one sample after the other: its pool forks, and jax hangs in the fork.
        counts = np.asarray(data.counts, dtype=float)
        drawn = np.random.default_rng(0).multinomial(int(counts.sum()), counts / counts.sum(), size=rounds)
        samples = [fit_single_bootstrap_sample(jnp.asarray(row, dtype=float), model, data) for row in drawn]
        return np.quantile([np.asarray(sample["ratings"]) for sample in samples], [0.025, 0.975], axis=0)

    return run, dict(zip(found["competitors"], np.asarray(found["ratings"]).tolist(), strict=True))


def arena_rank_sandwich(frame):
    """What it does unless told otherwise: no bootstrap, one fit, every vote independent."""
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    started = time.perf_counter()
    data = PairDataset.from_pandas(frame)
    found = BradleyTerry(n_competitors=len(data.competitors)).compute_ratings_and_cis(data, ci_method="sandwich")
    ratings = dict(zip(found["competitors"], np.asarray(found["ratings"]).tolist(), strict=True))
    return time.perf_counter() - started, ratings


def timed(run, rounds):
    """Seconds of so many rounds, measured or extrapolated from few and some more."""

    def seconds(number):
        started = time.perf_counter()
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            run(number)
        return time.perf_counter() - started

    # Reading the votes is in both, and counts once.
    few, more = seconds(2), seconds(8)
    whole = few + (rounds - 2) * max(0.0, more - few) / 6
    return (whole, True) if whole > PATIENCE else (seconds(rounds), False)


def main():
    data = np.load(sys.argv[1], allow_pickle=False)
    names = data["names"]
    outcomes = np.array(["model_a", "model_b", "tie"])[data["kind"]]
    frame = pd.DataFrame({"model_a": names[data["left"]], "model_b": names[data["right"]], "winner": outcomes})
    for path in (fastchat, fastchat_0_2_36, arena_rank, arena_rank_sandwich):
        try:
            run, ratings = path(frame)
            seconds, guessed = timed(run, int(sys.argv[2])) if callable(run) else (run, False)
        except (ImportError, MemoryError) as error:
            print(json.dumps({"path": path.__name__, "error": str(error)}), flush=True)
            continue
        ratings = {str(name): float(rating) for name, rating in ratings.items()}
        print(
            json.dumps({"path": path.__name__, "seconds": seconds, "guessed": guessed, "ratings": ratings}), flush=True
        )


if __name__ == "__main__":
    main()
