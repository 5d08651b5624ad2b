"""Sides as they were drawn for each person, and votes."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from sqlalchemy import Connection, bindparam, func, select

from pipeline.errors import ComparisonError
from pipeline.records import Outcome, id_of, outcome_from_ranks
from pipeline.store.comparisons import Comparison, comparison_of, is_revealed
from pipeline.store.engine import Database
from pipeline.store.rows import change, found, now, put
from pipeline.store.schema import comparisons, completions, sides, votes
from pipeline.store.vote_rows import Cast, vote_row


@dataclass(frozen=True, slots=True)
class StoredVote:
    """A standing vote with what surrounds it. ``left_model_id`` is the model that was shown as A.

    A ranking has the ids of its models in the order in which they were ``shown``, with the rank of each.
    """

    id: str
    comparison_id: str
    query_id: str
    annotator_id: str
    left_model_id: str
    right_model_id: str
    outcome: Outcome
    reason: str
    correction: str
    seconds: float | None
    created_at: float
    shown: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    criteria: Mapping[str, Outcome] = field(default_factory=dict)

    def pairwise(self) -> list[StoredVote]:
        """Return the vote as one verdict per pair of models; of two the one that was shown first is A."""
        if not self.ranks:
            return [self]
        return [replace(self, **self._between(i, j)) for i, j in combinations(range(len(self.ranks)), 2)]

    def _between(self, i: int, j: int) -> dict[str, object]:
        outcome = outcome_from_ranks(self.ranks[i], self.ranks[j])
        return {"left_model_id": self.shown[i], "right_model_id": self.shown[j], "outcome": outcome}


@dataclass(frozen=True, slots=True)
class VoteLog:
    """The standing votes of a set in time order. While ``generation`` stays, votes were added at the end and nothing else.

    ``version`` is that of the tables it was read at; ``given`` and ``undone`` are the numbers of :meth:`VoteStore.counts`.
    """

    votes: tuple[StoredVote, ...]
    generation: int
    version: tuple[int, ...]
    given: int
    undone: int


# The votes of so many sets are kept as they were read.
KEPT_LOGS = 8

# Given the models of some completions, and how often this person saw one before another, the order to show them in.
Choose = Callable[[Sequence[str], Mapping[tuple[str, str], int]], Sequence[int]]


class VoteStore:
    """Rows of ``sides`` and ``votes``."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._reading = threading.Lock()
        self._logs: OrderedDict[str, VoteLog] = OrderedDict()
        self._counts: tuple[tuple[int, ...], dict[str, tuple[int, int]]] = ((), {})
        self._generation = 0

    def draw(
        self, comparison_id: str, annotator_id: str, choose: Choose, apart_from: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Return the completions in the order in which this person sees them, A first; drawn once and then kept.

        What was drawn for them in the sets ``apart_from`` is not counted.
        Counting and storing are one transaction, so that two tabs of one person cannot unbalance the sides.
        """
        with self._db.write() as connection:
            if drawn := _drawn(connection, comparison_id, annotator_id):
                return drawn
            row = connection.execute(select(comparisons).where(comparisons.c.id == comparison_id)).mappings().first()
            ids = comparison_of(found(row, "comparison")).completion_ids
            model_of = _models_of(connection, ids)
            models = [model_of[item] for item in ids]
            order = choose(models, _earlier(connection, annotator_id, models, apart_from))
            shown = tuple(ids[place] for place in order)
            key = {"comparison_id": comparison_id, "annotator_id": annotator_id}
            new = {"id": id_of("side", comparison_id, annotator_id), **key, "left_completion_id": shown[0]}
            put(connection, sides, [{**new, "drawn_at": now(), "shown": list(shown) if len(shown) > 2 else None}])
            return shown

    def drawn(self, comparison_id: str, annotator_id: str) -> tuple[str, ...]:
        """Return the completions in the order in which this person was shown them, or () where nothing was drawn."""
        with self._db.read() as connection:
            return _drawn(connection, comparison_id, annotator_id)

    def drawn_for(self, set_id: str, annotator_id: str) -> set[str]:
        """Return the comparisons of a set that were shown to this person."""
        query = (
            select(sides.c.comparison_id)
            .select_from(sides.join(comparisons))
            .where(comparisons.c.comparison_set_id == set_id, sides.c.annotator_id == annotator_id)
        )
        with self._db.read() as connection:
            return set(connection.scalars(query))

    def open_draws(self, set_id: str, annotator_id: str) -> list[str]:
        """Return the comparisons whose sides are drawn for this person and that wait for the vote, oldest first."""
        with self._db.read() as connection:
            return list(connection.scalars(_OPEN_DRAWS, {"set_id": set_id, "annotator": annotator_id}))

    def add(self, comparison: Comparison, annotator_id: str, cast: Cast) -> bool:
        """Store a vote; False if one of this person stands already.

        Raises:
            ComparisonError: the results are open for this person, which ended their voting.
        """
        row = vote_row(comparison.id, annotator_id, cast)
        with self._db.write() as connection:
            if is_revealed(connection, comparison.comparison_set_id, annotator_id):
                raise ComparisonError("You have opened the results of this comparison, which ended your voting on it.")
            mine = (votes.c.comparison_id == comparison.id) & (votes.c.annotator_id == annotator_id)
            if connection.scalar(select(votes.c.id).where(mine, votes.c.undone_at.is_(None))) is not None:
                return False
            put(connection, votes, [row])
        return True

    def undo_last(self, set_id: str, annotator_id: str) -> StoredVote | None:
        """Take back this person's newest standing vote of the set and return it, or None where there is none.

        Raises:
            ComparisonError: the results are open for this person; a vote is final from then on.
        """
        with self._db.write() as connection:
            if is_revealed(connection, set_id, annotator_id):
                raise ComparisonError("Your votes are final: you have opened the results of this comparison.")
            query = _votes_query(comparisons.c.comparison_set_id == set_id, votes.c.annotator_id == annotator_id)
            row = connection.execute(query.order_by(None).order_by(votes.c.id.desc())).mappings().first()
            if row is None:
                return None
            change(connection, votes, row["id"], undone_at=now())
            return _stored_votes(connection, [row])[0]

    def of_set(self, set_id: str) -> list[StoredVote]:
        """Return the standing votes of a set in time order, automatic ties included; a ranking is one vote."""
        return list(self.log(set_id).votes)

    def log(self, set_id: str) -> VoteLog:
        """Return the standing votes of a set as :meth:`of_set` does; of those that were read before, only new ones are read."""
        with self._reading:
            # Asked for first: what is read below is no older.
            version = self._db.version(votes, comparisons, completions)
            known = self._logs.get(set_id)
            if known is None or known.version != version:
                with self._db.read() as connection:
                    known = self._read(connection, set_id, version, known)
            self._logs[set_id] = known
            self._logs.move_to_end(set_id)
            while len(self._logs) > KEPT_LOGS:
                self._logs.popitem(last=False)
            return known

    def _read(self, connection: Connection, set_id: str, version: tuple[int, ...], known: VoteLog | None) -> VoteLog:
        in_set = comparisons.c.comparison_set_id == set_id
        query = select(func.count(votes.c.id), func.count(votes.c.undone_at)).select_from(votes.join(comparisons))
        given, undone = connection.execute(query.where(in_set)).one()
        # A vote of another replica may be older than the newest one here: then there are fewer new ones than were given.
        if known is not None and known.votes and known.undone == undone:
            rows = connection.execute(_votes_query(in_set, votes.c.id > known.votes[-1].id)).mappings().all()
            if len(rows) == given - known.given:
                new = _stored_votes(connection, rows)
                return VoteLog((*known.votes, *new), known.generation, version, given, undone)
        rows = connection.execute(_votes_query(in_set)).mappings().all()
        self._generation += 1
        return VoteLog(tuple(_stored_votes(connection, rows)), self._generation, version, given, undone)

    def judged_by(self, set_id: str, annotator_id: str) -> set[str]:
        """Return the comparisons of a set that this person has a standing vote on."""
        with self._db.read() as connection:
            return set(connection.scalars(_JUDGED, {"set_id": set_id, "annotator": annotator_id}))

    def per_comparison(self, set_id: str) -> Counter[str]:
        """Return the number of standing votes on each comparison of a set."""
        with self._db.read() as connection:
            return Counter({row[0]: row[1] for row in connection.execute(_PER_COMPARISON, {"set_id": set_id})})

    def wins(self, set_id: str) -> Counter[tuple[str, str]]:
        """Return how often one model won against another in the standing votes on the pairs of a set."""
        left, right = completions.alias("left"), completions.alias("right")
        query = (
            select(left.c.model_id, right.c.model_id, votes.c.outcome, func.count())
            .select_from(
                votes.join(comparisons)
                .join(left, votes.c.left_completion_id == left.c.id)
                .join(right, votes.c.right_completion_id == right.c.id)
            )
            .where(comparisons.c.comparison_set_id == set_id, votes.c.undone_at.is_(None))
            .where(votes.c.outcome.in_((Outcome.MODEL_A.value, Outcome.MODEL_B.value)))
            .group_by(left.c.model_id, right.c.model_id, votes.c.outcome)
        )
        wins: Counter[tuple[str, str]] = Counter()
        with self._db.read() as connection:
            for a, b, outcome, count in connection.execute(query):
                wins[(a, b) if outcome == Outcome.MODEL_A else (b, a)] += count
        return wins

    def models_of(self, completion_ids: Collection[str]) -> dict[str, str]:
        """Return the ids of models by completion."""
        with self._db.read() as connection:
            return _models_of(connection, completion_ids)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return for each set with votes how many there ever were, and how many were taken back.

        A vote never changes otherwise, so what was computed from the votes of a set stands while these two numbers do.
        """
        version = self._db.version(votes, comparisons)
        if self._counts[0] == version:
            return dict(self._counts[1])
        query = (
            select(comparisons.c.comparison_set_id, func.count(votes.c.id), func.count(votes.c.undone_at))
            .select_from(votes.join(comparisons))
            .group_by(comparisons.c.comparison_set_id)
        )
        with self._db.read() as connection:
            counts = {row[0]: (row[1], row[2]) for row in connection.execute(query)}
        self._counts = (version, counts)
        return dict(counts)


def _drawn(connection: Connection, comparison_id: str, annotator_id: str) -> tuple[str, ...]:
    mine = (sides.c.comparison_id == comparison_id) & (sides.c.annotator_id == annotator_id)
    query = select(sides, comparisons.c.completion_1_id, comparisons.c.completion_2_id)
    row = connection.execute(query.select_from(sides.join(comparisons)).where(mine)).mappings().first()
    return () if row is None else _shown(row)


def _shown(row: Mapping) -> tuple[str, ...]:
    """Return what stands in a row of ``sides`` beside the two completions of its comparison."""
    if row["shown"]:
        return tuple(row["shown"])
    left, pair = row["left_completion_id"], (row["completion_1_id"], row["completion_2_id"])
    return pair if left == pair[0] else pair[::-1]


def _earlier(
    connection: Connection, annotator_id: str, models: Collection[str], apart_from: Collection[str]
) -> Counter[tuple[str, str]]:
    """Count how often this person saw one of ``models`` before another, over all sets but some."""
    asked = {"annotator": annotator_id, "apart_from": sorted(apart_from)}
    counts: Counter[tuple[str, str]] = Counter()
    for one, two, in_order, number in connection.execute(_PAIRS_SEEN, {**asked, "models": sorted(set(models))}):
        counts[(one, two) if in_order else (two, one)] += number
    rankings = list(connection.scalars(_RANKINGS_SEEN, asked))
    model_of = _models_of(connection, {item for shown in rankings for item in shown})
    for shown in rankings:
        seen = [model_of[item] for item in shown if model_of[item] in models]
        counts.update(combinations(seen, 2))
    return counts


def _pairs_seen():
    one, two = completions.alias("one"), completions.alias("two")
    in_order = sides.c.left_completion_id == comparisons.c.completion_1_id
    return (
        select(one.c.model_id, two.c.model_id, in_order, func.count())
        .select_from(
            sides.join(comparisons)
            .join(one, comparisons.c.completion_1_id == one.c.id)
            .join(two, comparisons.c.completion_2_id == two.c.id)
        )
        .where(sides.c.annotator_id == bindparam("annotator"), sides.c.shown.is_(None))
        .where(
            one.c.model_id.in_(bindparam("models", expanding=True)),
            two.c.model_id.in_(bindparam("models", expanding=True)),
        )
        .where(comparisons.c.comparison_set_id.not_in(bindparam("apart_from", expanding=True)))
        .group_by(one.c.model_id, two.c.model_id, in_order)
    )


# Asked for at every vote: to put a statement together takes as long as to run it.
_PAIRS_SEEN = _pairs_seen()
_RANKINGS_SEEN = (
    select(sides.c.shown)
    .select_from(sides.join(comparisons))
    .where(sides.c.annotator_id == bindparam("annotator"), sides.c.shown.is_not(None))
    .where(comparisons.c.comparison_set_id.not_in(bindparam("apart_from", expanding=True)))
)
_JUDGED = (
    select(votes.c.comparison_id)
    .select_from(votes.join(comparisons))
    .where(comparisons.c.comparison_set_id == bindparam("set_id"), votes.c.annotator_id == bindparam("annotator"))
    .where(votes.c.undone_at.is_(None))
)
_STANDING = select(votes.c.id).where(
    votes.c.comparison_id == sides.c.comparison_id,
    votes.c.annotator_id == sides.c.annotator_id,
    votes.c.undone_at.is_(None),
)
_OPEN_DRAWS = (
    select(sides.c.comparison_id)
    .select_from(sides.join(comparisons))
    .where(comparisons.c.comparison_set_id == bindparam("set_id"), sides.c.annotator_id == bindparam("annotator"))
    .where(~_STANDING.exists())
    .order_by(sides.c.drawn_at, sides.c.id)
)
_PER_COMPARISON = (
    select(votes.c.comparison_id, func.count())
    .select_from(votes.join(comparisons))
    .where(comparisons.c.comparison_set_id == bindparam("set_id"), votes.c.undone_at.is_(None))
    .group_by(votes.c.comparison_id)
)


def _models_of(connection: Connection, completion_ids: Collection[str]) -> dict[str, str]:
    """Return the ids of models by completion."""
    ids, model_of = sorted(completion_ids), {}
    # SQLite takes 32,766 values in one statement.
    for start in range(0, len(ids), 10_000):
        some = completions.c.id.in_(ids[start : start + 10_000])
        query = select(completions.c.id, completions.c.model_id).where(some)
        model_of.update((row.id, row.model_id) for row in connection.execute(query))
    return model_of


def _votes_query(*conditions):
    left, right = completions.alias("left"), completions.alias("right")
    return (
        select(
            votes,
            comparisons.c.query_id,
            left.c.model_id.label("left_model_id"),
            right.c.model_id.label("right_model_id"),
        )
        .select_from(
            votes.join(comparisons)
            .join(left, votes.c.left_completion_id == left.c.id)
            .join(right, votes.c.right_completion_id == right.c.id)
        )
        .where(*conditions, votes.c.undone_at.is_(None))
        .order_by(votes.c.id)
    )


def _stored_votes(connection: Connection, rows: Sequence[Mapping]) -> list[StoredVote]:
    model_of = _models_of(connection, {item for row in rows for item in row["shown"] or ()})
    return [_stored_vote(row, model_of) for row in rows]


def _stored_vote(row: Mapping, model_of: Mapping[str, str]) -> StoredVote:
    values = {name: row[name] for name in StoredVote.__slots__}
    return StoredVote(
        **{
            **values,
            "outcome": Outcome(row["outcome"]),
            "shown": tuple(model_of[item] for item in row["shown"] or ()),
            "ranks": tuple(row["ranks"] or ()),
            "criteria": {name: Outcome(value) for name, value in (row["criteria"] or {}).items()},
        }
    )
