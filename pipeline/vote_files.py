"""Votes as a file that a spreadsheet or pandas opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pipeline.spreadsheets import to_csv
from pipeline.store.members import AUTOMATIC
from pipeline.store.votes import StoredVote

COLUMNS = ("query", "model_a", "model_b", "outcome", "annotator", "seconds", "reason", "correction", "voted_at")


def votes_csv(votes: Sequence[StoredVote], models: Mapping[str, str], queries: Mapping[str, str]) -> str:
    """Return votes as CSV with a header line. ``model_a`` is what was shown on side A; annotators are pseudonyms.

    ``models`` and ``queries`` give the names and texts by id. Times are UTC.
    """
    people = dict.fromkeys(vote.annotator_id for vote in votes if vote.annotator_id != AUTOMATIC)
    pseudonyms = {AUTOMATIC: "automatic", **{person: f"annotator-{n}" for n, person in enumerate(people, 1)}}
    rows = (
        (
            queries[vote.query_id],
            models[vote.left_model_id],
            models[vote.right_model_id],
            vote.outcome.value,
            pseudonyms[vote.annotator_id],
            "" if vote.seconds is None else f"{vote.seconds:.1f}",
            vote.reason,
            vote.correction,
            datetime.fromtimestamp(vote.created_at, UTC).isoformat(timespec="seconds"),
        )
        for vote in votes
    )
    return to_csv(COLUMNS, rows)
