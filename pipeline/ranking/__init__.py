"""Pure statistics over votes: who is preferred, how sure that is, and how many queries are missing.

Functions take a sequence of :class:`pipeline.records.Vote` and return frozen values that say how they were made. Those on
two models take their names, and votes on other pairs count for nothing. Models are matched by name, never by the side
they stood on.

``counts`` < ``evidence`` < ``intervals`` < ``progress``, ``power`` < ``verdict`` < ``adjusted``, ``checks``, ``slices`` for
two models; ``counts`` < ``paired`` < ``strengths`` < ``ratings``, ``fractions`` for more: each file uses only those before it.
"""

from pipeline.ranking.adjusted import AdjustedRate, Effect, Traits, adjusted_win_rate
from pipeline.ranking.checks import Dissent, FastVotes, Unanimity, dissent, fast_votes, unanimity
from pipeline.ranking.counts import OutcomeCounts, Shares, count_outcomes, shares
from pipeline.ranking.evidence import AnytimeTest, SignTest, anytime_p, e_value, sign_test
from pipeline.ranking.fractions import WinFractions, win_fractions
from pipeline.ranking.intervals import Share, WinRate, left_share, wilson, win_rate, win_share
from pipeline.ranking.power import QueriesNeeded, Rule, queries_needed
from pipeline.ranking.progress import Progress, Step, progress
from pipeline.ranking.ratings import Leaderboard, RatedGroup, Rating, leaderboard
from pipeline.ranking.slices import Slice, Slices, slices
from pipeline.ranking.strengths import TieModel
from pipeline.ranking.verdict import Level, Verdict, verdict

__all__ = [
    "AdjustedRate",
    "AnytimeTest",
    "Dissent",
    "Effect",
    "FastVotes",
    "Leaderboard",
    "Level",
    "OutcomeCounts",
    "Progress",
    "QueriesNeeded",
    "RatedGroup",
    "Rating",
    "Rule",
    "Share",
    "Shares",
    "SignTest",
    "Slice",
    "Slices",
    "Step",
    "TieModel",
    "Traits",
    "Unanimity",
    "Verdict",
    "WinFractions",
    "WinRate",
    "adjusted_win_rate",
    "anytime_p",
    "count_outcomes",
    "dissent",
    "e_value",
    "fast_votes",
    "leaderboard",
    "left_share",
    "progress",
    "queries_needed",
    "shares",
    "sign_test",
    "slices",
    "unanimity",
    "verdict",
    "wilson",
    "win_fractions",
    "win_rate",
    "win_share",
]
