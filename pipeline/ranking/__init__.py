"""Pure statistics over votes: who is preferred, how sure that is, and how many queries are missing.

Functions take a sequence of :class:`pipeline.records.Vote` and two model names, and return frozen values that say how
they were made. Models are matched by name, never by the side they stood on; votes on other pairs count for nothing.

``counts`` < ``intervals``, ``evidence`` < ``power`` < ``verdict``: each file uses only those before it.
"""

from pipeline.ranking.counts import OutcomeCounts, Shares, count_outcomes, outcome_from_ranks, shares
from pipeline.ranking.evidence import AnytimeTest, SignTest, anytime_p, e_value, sign_test
from pipeline.ranking.intervals import Share, WinRate, left_share, wilson, win_rate, win_share
from pipeline.ranking.power import QueriesNeeded, Rule, queries_needed
from pipeline.ranking.verdict import Level, Verdict, verdict

__all__ = [
    "AnytimeTest",
    "Level",
    "OutcomeCounts",
    "QueriesNeeded",
    "Rule",
    "Share",
    "Shares",
    "SignTest",
    "Verdict",
    "WinRate",
    "anytime_p",
    "count_outcomes",
    "e_value",
    "left_share",
    "outcome_from_ranks",
    "queries_needed",
    "shares",
    "sign_test",
    "verdict",
    "wilson",
    "win_rate",
    "win_share",
]
