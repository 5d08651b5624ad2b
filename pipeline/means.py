"""The mean of numbers between 0 and 1, with its interval."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from scipy.special import stdtrit

from pipeline.ranking.intervals import wilson


def mean_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return the mean of independent values within 0 and 1, and its 95 % interval; None with fewer than two.

    Wilson's form with n_e = m (1−m) / v observations, v the variance of the mean, and Student's t with n − 1 degrees: what
    :func:`pipeline.ranking.win_rate` does for clusters of one size.
    """
    mean, number = min(1.0, max(0.0, statistics.fmean(values))), len(values)
    if number < 2:
        return mean, None, None
    variance = statistics.variance(values) / number
    # Where all are alike, nothing shows how they differ: as many observations as Student's t has degrees.
    observations = mean * (1 - mean) / variance if variance and 0 < mean < 1 else number - 1
    return mean, *wilson(mean, observations, float(stdtrit(number - 1, 0.975)))
