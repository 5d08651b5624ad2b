"""Better answers that people wrote beside their votes, and what else of votes a model may be trained on.

The rule: a person may take for training the votes of those comparisons whose results they have opened, and whose names may
be shown at all. Their own voting there has ended by then, and what others still vote on are stored completions that no
later model changes; nothing that is made of a vote reaches anybody who has not opened its results. Queries of such rows are
mostly test queries: a model that is trained on one is never compared on it afterwards, unless somebody says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import vote_training
from pipeline.comparison_settings import RevealPolicy
from pipeline.comparisons import ComparisonDesk
from pipeline.errors import TrainingError
from pipeline.export import to_chat_jsonl
from pipeline.hub.publish import annotators
from pipeline.records import Context
from pipeline.store import Store

Row = dict[str, Any]
# What leads from a row of a training file back to where it came from.
LINEAGE = (
    "source", "split", "query_id", "query", "comparison_id", "comparison_set_id", "vote_id", "annotator", "kind",
    "prompt_template",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Correction:
    """What a vote gives to learn: what was asked, the contexts that were shown, and the row that is trained on.

    The answer is a better one that somebody wrote, or in a pair the preferred one, over the one that was ``rejected``.
    ``model`` is whose answer was rejected.
    """

    vote_id: str
    query_id: str
    query: str
    contexts: tuple[Context, ...]
    answer: str
    messages: Sequence[dict[str, str]]
    is_test: bool
    annotator: str = ""
    rejected: str | None = None
    model: str = ""
    source: str = "correction"


@dataclass(frozen=True, slots=True)
class TrainableSet:
    """A comparison that somebody may train on, with how many of its votes hold a correction."""

    id: str
    name: str
    votes: int
    corrections: int


class CorrectionDesk:
    """Training data out of votes, for those who have opened their results."""

    def __init__(self, store: Store, comparisons: ComparisonDesk) -> None:
        self._store = store
        self._find = store.templates.find
        self._comparisons = comparisons

    def sets(self, member_id: str) -> list[TrainableSet]:
        """Return the comparisons with votes that this person may train on, newest first."""
        counts = self._store.votes.counts()
        found = []
        for item in self._comparisons.sets():
            given, undone = counts.get(item.id, (0, 0))
            if given > undone and self._is_open(item.id, member_id):
                votes = self._store.votes.of_set(item.id)
                written = sum(bool(vote.correction) for vote in votes)
                found.append(TrainableSet(item.id, item.name, len(votes), written))
        return found

    def corrections(self, set_ids: Sequence[str], member_id: str) -> list[Correction]:
        """Return the corrections of comparisons, oldest first.

        Raises:
            TrainingError: this person may not train on one of them.
        """
        votes = self._votes(set_ids, member_id)
        by_vote = {vote["vote_id"]: vote for vote in votes if vote["number"] == 0}
        return [
            _correction(by_vote[row["vote_id"]], row["messages"]) for row in vote_training.corrected(votes, self._find)
        ]

    def pairs(self, set_ids: Sequence[str], member_id: str) -> list[Correction]:
        """Return the preference pairs of comparisons, oldest first: winners over losers, corrections over what they better.

        Raises:
            TrainingError: this person may not train on one of them.
        """
        return [_pair(row) for row in vote_training.preferred(self._votes(set_ids, member_id), self._find)]

    def singles(self, set_ids: Sequence[str], member_id: str) -> list[Row]:
        """Return single answers with whether they are wanted, as rows with their lineage.

        Raises:
            TrainingError: this person may not train on one of them.
        """
        return vote_training.unpaired(self._votes(set_ids, member_id), self._find)

    def corrections_jsonl(self, set_ids: Sequence[str], member_id: str) -> str:
        """Return corrections as chats with their lineage, one JSON object a line."""
        return self._jsonl(vote_training.corrected(self._votes(set_ids, member_id), self._find), ("messages",))

    def preferences_jsonl(self, set_ids: Sequence[str], member_id: str) -> str:
        """Return preference pairs with their lineage: winners over losers, corrections over what was not the only best."""
        models = ("chosen_model", "chosen_model_id", "rejected_model", "rejected_model_id")
        rows = vote_training.preferred(self._votes(set_ids, member_id), self._find)
        return self._jsonl(rows, ("prompt", "chosen", "rejected", *models))

    def unpaired_jsonl(self, set_ids: Sequence[str], member_id: str) -> str:
        """Return single answers with whether they are wanted, for training without pairs."""
        rows = vote_training.unpaired(self._votes(set_ids, member_id), self._find)
        return self._jsonl(rows, ("prompt", "completion", "label", "outcome", "model", "model_id"))

    def _jsonl(self, rows: Sequence[Row], columns: Sequence[str]) -> str:
        if not rows:
            raise TrainingError(
                "These votes give no such row: nobody wrote a better answer, or no answer was preferred."
            )
        return to_chat_jsonl({name: row[name] for name in ("id", *columns, *LINEAGE)} for row in rows)

    def _votes(self, set_ids: Sequence[str], member_id: str) -> list[Row]:
        if not set_ids:
            raise TrainingError("Choose a comparison first.")
        closed = [set_id for set_id in set_ids if not self._is_open(set_id, member_id)]
        if closed:
            raise TrainingError(
                "Votes may be trained on by those who have opened their results, where names are shown at all. Open the "
                "results of this comparison first."
            )
        names = annotators(self._store, self._store.values.pseudonym_salt())
        rows = self._store.published.votes(set_ids)
        return [{**row, "annotator": names[row["annotator_id"]]} for row in rows]

    def _is_open(self, set_id: str, member_id: str) -> bool:
        item = self._store.comparisons.set(set_id)
        shown = item.settings.reveal is not RevealPolicy.NEVER and item.state == "open"
        return shown and self._comparisons.is_revealed(set_id, member_id)


def _correction(vote: Row, messages: Sequence[dict[str, str]]) -> Correction:
    contexts = tuple(vote_training.context_of(context) for context in vote["contexts"])
    told = (vote["vote_id"], vote["query_id"], vote["query"], contexts, vote["correction"], messages)
    return Correction(*told, is_test=vote["split"] == "test", annotator=vote["annotator"])


def _pair(row: Row) -> Correction:
    contexts = tuple(vote_training.context_of(context) for context in row["contexts"])
    answer = row["chosen"][-1]["content"]
    told = (row["vote_id"], row["query_id"], row["query"], contexts, answer, [*row["prompt"], *row["chosen"]])
    return Correction(
        *told,
        is_test=row["split"] == "test",
        annotator=row["annotator"],
        rejected=row["rejected"][-1]["content"],
        model=row["rejected_model"] or "",
        source=row["source"],
    )
