"""Votes as files: for a spreadsheet or pandas, as JSON lines, and in the columns of LMArena's battles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pipeline.export import to_chat_jsonl
from pipeline.records import Outcome
from pipeline.spreadsheets import to_csv
from pipeline.store.members import AUTOMATIC, NOBODY, UNNAMED
from pipeline.store.votes import StoredVote

COLUMNS = (
    "query", "model_a", "model_b", "outcome", "annotator", "seconds", "reason", "correction", "voted_at", "vote_id",
    "comparison_id", "set", "rank_a", "rank_b",
)  # fmt: skip
# Further columns of the CSV, one for each criterion that somebody judged.
CRITERION = "criterion: "
_ARENA = {outcome: outcome.value for outcome in Outcome} | {Outcome.BOTH_BAD: "tie (bothbad)"}
Names = Mapping[str, str]


def votes_csv(votes: Sequence[StoredVote], models: Names, queries: Names, sets: Names | None = None) -> str:
    """Return votes as CSV with a header line. ``model_a`` is what was shown on side A; annotators are pseudonyms.

    ``models`` and ``queries`` give the names and texts by id, ``sets`` names of comparison sets by the id of a comparison.
    A ranking comes as its pairwise verdicts, which share a ``vote_id`` and have the two ranks. Times are UTC.
    """
    criteria = sorted({name for vote in votes for name in vote.criteria})
    rows = (
        (
            *(_text(row[name]) for name in COLUMNS),
            *(vote.criteria[name].value if name in vote.criteria else "" for name in criteria),
        )
        for vote, row in _rows(votes, models, queries, sets or {})
    )
    return to_csv((*COLUMNS, *(CRITERION + name for name in criteria)), rows)


def votes_jsonl(votes: Sequence[StoredVote], models: Names, queries: Names, sets: Names | None = None) -> str:
    """Return what :func:`votes_csv` holds as JSON, an object a line, with numbers as numbers and criteria by name."""
    lines = (
        {**row, "criteria": {name: outcome.value for name, outcome in vote.criteria.items()}}
        for vote, row in _rows(votes, models, queries, sets or {})
    )
    return to_chat_jsonl(lines)


def arena_jsonl(votes: Sequence[StoredVote], models: Names, queries: Names) -> str:
    """Return votes as LMArena publishes its battles, an object a line; ``prompt`` is the query."""
    people = {**dict.fromkeys(NOBODY, "automatic"), **pseudonyms(votes)}
    lines = (
        {
            "question_id": vote.query_id,
            "model_a": models[vote.left_model_id],
            "model_b": models[vote.right_model_id],
            "winner": _ARENA[vote.outcome],
            "judge": people[vote.annotator_id],
            "turn": 1,
            "anony": True,
            "tstamp": round(vote.created_at, 4),
            "prompt": queries[vote.query_id],
        }
        for vote in votes
    )
    return to_chat_jsonl(lines)


def pseudonyms(votes: Sequence[StoredVote]) -> dict[str, str]:
    """Return a name for each person who voted that tells nobody, by their id: annotator-1 voted first."""
    people = dict.fromkeys(vote.annotator_id for vote in votes if vote.annotator_id not in NOBODY)
    return {person: f"annotator-{number}" for number, person in enumerate(people, 1)}


def _rows(
    votes: Sequence[StoredVote], models: Names, queries: Names, sets: Names
) -> Iterator[tuple[StoredVote, dict[str, object]]]:
    people = {AUTOMATIC: "automatic", UNNAMED: "unnamed", **pseudonyms(votes)}
    for vote in votes:
        ranks = dict(zip(vote.shown, vote.ranks, strict=True))
        values = (
            *(queries[vote.query_id], models[vote.left_model_id], models[vote.right_model_id], vote.outcome.value),
            people[vote.annotator_id],
            None if vote.seconds is None else round(vote.seconds, 1),
            *(vote.reason, vote.correction),
            datetime.fromtimestamp(vote.created_at, UTC).isoformat(timespec="seconds"),
            *(vote.id, vote.comparison_id, sets.get(vote.comparison_id, "")),
            *(ranks.get(vote.left_model_id), ranks.get(vote.right_model_id)),
        )
        yield vote, dict(zip(COLUMNS, values, strict=True))


def _text(value: object) -> str:
    return "" if value is None else str(value)
