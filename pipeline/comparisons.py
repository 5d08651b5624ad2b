"""Blind pairwise comparison: which pairs there are, who sees which next and on which side, and the votes.

Nothing that this module hands out for a vote tells which model wrote which side: a :class:`BlindPair` holds texts, an id
that is the same for everybody, and counts.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from pipeline.cleaning import clean, normal
from pipeline.errors import ComparisonError, PipelineError
from pipeline.generation import Generation, Task
from pipeline.records import Completion, Context, JobState, Outcome, Query, Record, Retrieval, Split, Vote, new_id
from pipeline.store import Store
from pipeline.store.comparisons import INTERRUPTED, Comparison, ComparisonSet, StoredVote
from pipeline.store.members import AUTOMATIC

WITHHELD = "Test query: kept for Compare; shown after the results of its comparison are opened."
MAX_TEXT_CHARACTERS = 50_000
# A vote is timed from the moment the pair was sent; longer than this is a break.
MAX_VOTE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class BlindPair:
    """What a person sees before a vote. ``number`` of ``total`` counts this person's pairs."""

    comparison_id: str
    query: str
    contexts: tuple[Context, ...]
    text_a: str
    text_b: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a comparison would hold. ``barred`` queries are reviewed on Edit."""

    pairs: int
    barred: int


@dataclass(frozen=True, slots=True)
class Revealed:
    """The votes of a set with the models' names, ready for :mod:`pipeline.ranking`.

    A pair of identical answers, which is shown to nobody, is a tie of each person who has judged every pair that is
    shown, and one tie at least; ``automatic_ties`` counts these votes. ``summary`` says what became of the set's queries.
    """

    first: str
    second: str
    votes: tuple[Vote, ...]
    automatic_ties: int
    stored: tuple[StoredVote, ...]
    summary: Mapping[str, int]


class ComparisonDesk:
    """Comparisons from their creation to the reveal."""

    def __init__(self, store: Store, generation: Generation) -> None:
        self._store = store
        self._generation = generation
        self._creating = threading.Lock()

    def preview(self, query_set_id: str) -> Preview:
        """Count what a comparison over the test queries of a list would hold."""
        queries, barred = self._usable_queries(query_set_id)
        return Preview(len(queries), barred)

    def create(self, model_1: str, model_2: str, query_set_id: str) -> str:
        """Store a comparison and begin to prepare it in the background; return its id.

        Where the same models are compared on the same list already, every query was answered, and no document came or
        went since, that comparison's id is returned: a second click is no second comparison.

        Raises:
            ComparisonError: the models are the same, or no test query is left.
        """
        if model_1 == model_2:
            raise ComparisonError("Choose two different models.")
        queries, barred = self._usable_queries(query_set_id)
        if not queries:
            raise ComparisonError(_no_queries(barred))
        names = [self._store.models.get(model).name for model in (model_1, model_2)]
        label = f"{names[0]} and {names[1]}, {self._store.queries.set_name(query_set_id)}"
        with self._creating:
            if (twin := self._twin({model_1, model_2}, query_set_id)) is not None:
                return twin.id
            set_id = self._store.comparisons.add_set(label, (model_1, model_2), query_set_id)
        self._generation.background(self._prepare(set_id, {query.id for query in queries}, barred))
        return set_id

    def sets(self) -> list[ComparisonSet]:
        """Return all comparisons, newest first."""
        return self._store.comparisons.sets()

    def blind_name(self, item: ComparisonSet) -> str:
        """Return a name for a set that can be shown before the reveal: it holds no model's name."""
        number = sorted(other.id for other in self.sets()).index(item.id) + 1
        return f"Comparison {number} · {self._store.queries.set_name(item.query_set_id)}"

    def blind_error(self, item: ComparisonSet) -> str:
        """Return why a set could not be prepared, in words that name no model."""
        error = item.error
        for model in self._store.models.all():
            for name in (model.name, str(model.config.get("model_id", ""))):
                error = error.replace(name, "a model") if name else error
        return error

    def next_pair(self, set_id: str, annotator_id: str) -> BlindPair | None:
        """Return the next pair for this person, or None when all are judged or the results are open to them.

        A pair whose sides are drawn and that has no vote yet comes first, so that a reload or an undo shows it again
        with the same sides; then the comparison with the fewest votes, ties broken in an order of the person's own.
        """
        if self._store.comparisons.revealed(set_id, annotator_id):
            return None
        shown = [item for item in self._store.comparisons.in_set(set_id) if not item.identical]
        votes = self._store.comparisons.votes(set_id)
        mine = {vote.comparison_id for vote in votes if vote.annotator_id == annotator_id}
        waiting = [item for item in shown if item.id not in mine]
        if not waiting:
            return None
        item = self._first(waiting, set_id, annotator_id, votes)
        return self._blind(item, annotator_id, len(mine) + 1, len(shown))

    def vote(
        self,
        comparison_id: str,
        annotator_id: str,
        outcome: Outcome,
        reason: str = "",
        correction: str = "",
        seconds: float | None = None,
    ) -> bool:
        """Store a verdict on the pair as this person saw it; False where they had voted on it already.

        Raises:
            ComparisonError: the pair was never shown to this person, or their voting has ended.
        """
        if max(len(reason), len(correction)) > MAX_TEXT_CHARACTERS:
            raise ComparisonError(f"A reason or an answer takes at most {MAX_TEXT_CHARACTERS:,} characters.")
        item = self._store.comparisons.get(comparison_id)
        left = self._store.comparisons.side(comparison_id, annotator_id)
        if left is None:
            raise ComparisonError("This pair was not shown to you. Reload the page.")
        shown = (left, item.completion_2_id if left == item.completion_1_id else item.completion_1_id)
        texts = (clean(reason).strip(), clean(correction).strip())
        timed = None if seconds is None else min(max(seconds, 0.0), MAX_VOTE_SECONDS)
        return self._store.comparisons.add_vote(item, annotator_id, shown, Outcome(outcome), texts, timed)

    def undo(self, set_id: str, annotator_id: str) -> StoredVote:
        """Take back this person's newest vote; the pair is shown again, sides as before.

        Raises:
            ComparisonError: there is no vote to take back, or the results are open to this person.
        """
        vote = self._store.comparisons.undo_last(set_id, annotator_id)
        if vote is None:
            raise ComparisonError("There is no vote to take back.")
        return vote

    def progress(self, set_id: str, annotator_id: str) -> tuple[int, int]:
        """Return (pairs judged by this person, pairs to judge)."""
        shown = {item.id for item in self._store.comparisons.in_set(set_id) if not item.identical}
        votes = self._store.comparisons.votes(set_id)
        return sum(v.annotator_id == annotator_id and v.comparison_id in shown for v in votes), len(shown)

    def is_revealed(self, set_id: str, member_id: str) -> bool:
        """Say whether this person has opened the results."""
        return self._store.comparisons.revealed(set_id, member_id)

    def reveal(self, set_id: str, member_id: str) -> None:
        """Open the results to this person. Their votes are final from now on, and they give no more.

        Raises:
            ComparisonError: it is not open for votes yet, or never was.
            NotFoundError: there is no such comparison.
        """
        item = self._store.comparisons.set(set_id)
        if item.state != "open":
            raise ComparisonError("This comparison has no results: it is not open for votes.")
        self._store.comparisons.reveal(item.id, member_id)

    def withheld(self, queries: Sequence[Query], model_id: str, member_id: str) -> frozenset[str]:
        """Return the ids of those queries whose answers by this model this person may not see beside its name.

        These are the queries that they are judging blind, and test queries that this model has answered in no comparison
        whose results they have opened: whoever has read a model's answer cannot judge it blind. It is the text that
        counts, in whatever list it stands.
        """
        texts = self._withheld_texts(model_id, member_id)
        return frozenset(query.id for query in queries if normal(query.text) in texts)

    def refuse_withheld_query(self, text: str, model_id: str, member_id: str) -> None:
        """Refuse to let a model answer a query in the open whose answer :meth:`withheld` would withhold.

        Raises:
            ComparisonError: it is one of those.
        """
        if normal(text) in self._withheld_texts(model_id, member_id):
            raise ComparisonError(WITHHELD)

    def results(self, set_id: str, member_id: str) -> Revealed:
        """Return the votes with the models' names.

        Raises:
            ComparisonError: the results are not open to this person yet.
        """
        if not self.is_revealed(set_id, member_id):
            raise ComparisonError("Open the results first: that ends your voting on this comparison.")
        item = self._store.comparisons.set(set_id)
        names = {model.id: model.name for model in self._store.models.all()}
        shown = {pair.id for pair in self._store.comparisons.in_set(set_id) if not pair.identical}
        stored = _with_automatic_ties(self._store.comparisons.votes(set_id), shown)
        votes = tuple(_vote(vote, names) for vote in stored)
        # The child of the two comes first: the question is whether the tuned model beats its base.
        first, second = self._child_first(item)
        automatic = sum(vote.annotator_id == AUTOMATIC for vote in stored)
        return Revealed(names[first], names[second], votes, automatic, stored, item.summary)

    def _child_first(self, item: ComparisonSet) -> tuple[str, str]:
        lineage = [model.id for model in self._lineage(item.model_2_id)]
        if item.model_1_id in lineage:
            return item.model_2_id, item.model_1_id
        return item.model_1_id, item.model_2_id

    def _first(self, waiting, set_id, annotator_id, votes) -> Comparison:
        drawn = self._store.comparisons.open_draws(set_id, annotator_id)
        count = {item.id: 0 for item in waiting}
        for vote in votes:
            if vote.comparison_id in count:
                count[vote.comparison_id] += 1

        def order(item: Comparison) -> tuple[int, int, str]:
            place = drawn.index(item.id) if item.id in drawn else len(drawn)
            return place, count[item.id], hashlib.sha256(f"{annotator_id}{item.id}".encode()).hexdigest()

        return min(waiting, key=order)

    def _blind(self, item: Comparison, annotator_id: str, number: int, total: int) -> BlindPair:
        left = self._store.comparisons.draw_side(item.id, annotator_id, _first_on_left)
        right = item.completion_2_id if left == item.completion_1_id else item.completion_1_id
        texts = self._store.runs.by_ids([left, right])
        query = self._store.queries.by_ids([item.query_id])[item.query_id]
        retrieval = self._store.queries.retrievals_by_id([item.retrieval_id])[item.retrieval_id]
        return BlindPair(item.id, query.text, retrieval.contexts, texts[left].text, texts[right].text, number, total)

    def _usable_queries(self, query_set_id: str) -> tuple[list[Query], int]:
        """Return the test queries that can be judged blind and in fairness, and the number of the others.

        What is reviewed on Edit is read there beside the name of the model that wrote it. All that a model was trained
        on was reviewed before.
        """
        datasets = self._store.datasets
        reviewed = {
            normal(text)
            for dataset in datasets.all()
            for record in datasets.records(dataset.id)
            for text in _texts_shown(record)
        }
        queries = self._store.queries.in_set(query_set_id, Split.TEST)
        usable = [query for query in queries if normal(query.text) not in reviewed]
        return usable, len(queries) - len(usable)

    def _lineage(self, model_id: str):
        while model_id is not None:
            model = self._store.models.get(model_id)
            yield model
            model_id = model.parent_id

    def _twin(self, models: set[str], query_set_id: str) -> ComparisonSet | None:
        same = (s for s in self.sets() if {s.model_1_id, s.model_2_id} == models and s.query_set_id == query_set_id)
        return next((item for item in same if item.state == "preparing" or self._is_current(item)), None)

    def _is_current(self, item: ComparisonSet) -> bool:
        """Say whether a set is open, misses no query, and its contexts are those that would be retrieved today."""
        first = next(iter(self._store.comparisons.in_set(item.id)), None)
        if item.state != "open" or first is None or item.summary.get("failed"):
            return False
        stored = self._store.queries.retrievals_by_id([first.retrieval_id])[first.retrieval_id]
        return stored.retriever == self._generation.retriever_name()

    def _withheld_texts(self, model_id: str, member_id: str) -> set[str]:
        """Return the queries of :meth:`withheld` as normal texts."""
        blind: set[str] = set()
        opened: set[str] = set()
        for item in self.sets():
            if item.state in ("preparing", "open"):
                texts = {normal(query.text) for query in self._store.queries.in_set(item.query_set_id, Split.TEST)}
                if not self.is_revealed(item.id, member_id):
                    blind |= texts
                elif model_id in (item.model_1_id, item.model_2_id):
                    opened |= texts
        return blind | ({normal(text) for text in self._store.queries.test_texts()} - opened)

    async def _prepare(self, set_id: str, query_ids: set[str], barred: int) -> None:
        item = self._store.comparisons.set(set_id)
        state, error = "failed", "An unexpected error ended the preparation; the log of the app says which."
        try:
            # Planning retrieves and writes; on the event loop it would hold up everybody's streams.
            tasks = await asyncio.to_thread(self._plan, item, query_ids)
            for model_id in (item.model_1_id, item.model_2_id):
                plan = self._generation.plan_run
                run = await asyncio.to_thread(plan, model_id, item.query_set_id, Split.TEST, tasks)
                if await self._generation.execute(run) is JobState.CANCELLED:
                    raise ComparisonError("Its answers were cancelled. Create it again: finished answers are kept.")
            await asyncio.to_thread(self._open, item, tasks, barred)
            error = ""
        except PipelineError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            state, error = "interrupted", INTERRUPTED
            raise
        finally:
            if error:
                self._store.comparisons.fail_set(set_id, state, error)

    def _plan(self, item: ComparisonSet, query_ids: set[str]) -> list[Task]:
        """Return the queries with the contexts that both models get, whatever becomes of the documents meanwhile."""
        barred = {query.id for query in self._store.queries.in_set(item.query_set_id, Split.TEST)} - query_ids
        return self._generation.plan(item.query_set_id, Split.TEST, left_out=barred)

    def _open(self, item: ComparisonSet, tasks: Sequence[Task], barred: int) -> None:
        ids = [task.retrieval.id for task in tasks]
        answers = [self._store.runs.answered(model, ids) for model in (item.model_1_id, item.model_2_id)]
        both = [task.retrieval for task in tasks if all(task.retrieval.id in some for some in answers)]
        if not both:
            raise ComparisonError("No query was answered by both models: see the errors of their runs on Ask.")
        items = [_comparison(item.id, n, r, answers[0][r.id], answers[1][r.id]) for n, r in enumerate(both)]
        summary = {
            "pairs": len(items),
            "identical": sum(comparison.identical for comparison in items),
            "barred": barred,
            "failed": len(tasks) - len(items),
        }
        self._store.comparisons.open_set(item.id, items, summary)


def _first_on_left(firsts: int, seconds: int) -> bool:
    """Balance: behind on the left side comes first; at a draw chance decides."""
    return random.SystemRandom().random() < 0.5 if firsts == seconds else firsts < seconds


def _comparison(set_id: str, position: int, retrieval: Retrieval, one: Completion, two: Completion) -> Comparison:
    identical = one.text.split() == two.text.split()
    return Comparison(new_id(), set_id, position, retrieval.query_id, retrieval.id, one.id, two.id, identical)


def _with_automatic_ties(votes: Sequence[StoredVote], shown: Collection[str]) -> tuple[StoredVote, ...]:
    """Repeat the tie of an identical pair for each person who has judged all the pairs that are ``shown``.

    Whoever only looked in would otherwise pull the win rate to 50 % by ties that outnumber their own votes.
    """
    judged: dict[str, set[str]] = {}
    for vote in votes:
        judged.setdefault(vote.annotator_id, set()).add(vote.comparison_id)
    people = sum(judged[person] >= set(shown) for person in judged if person != AUTOMATIC)
    counted = (repeat(vote, max(people, 1) if vote.annotator_id == AUTOMATIC else 1) for vote in votes)
    return tuple(chain.from_iterable(counted))


def _no_queries(barred: int) -> str:
    if barred:
        return "Every test query of this list is reviewed on Edit, where its answers are read in the open. Bring other queries."
    return "This list has no test queries. Bring a list with a split column, or tick the box that holds a third out."


def _texts_shown(record: Record) -> Iterator[str]:
    """Return the texts of a record that may be queries: texts, and the messages of a chat, but no passages."""
    for value in record.fields.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (item["content"] for item in value if isinstance(item, Mapping) and "content" in item)


def _vote(vote: StoredVote, names: dict[str, str]) -> Vote:
    sides = names[vote.left_model_id], names[vote.right_model_id]
    # An automatic tie counts as a vote, but nobody gave it.
    person = "" if vote.annotator_id == AUTOMATIC else vote.annotator_id
    return Vote(vote.query_id, *sides, vote.outcome, person, vote.seconds)
