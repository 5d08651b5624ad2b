"""How much people have done and how much is left, counted by the database: one grouped query over each table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Integer, Select, cast, func, select, union_all

from pipeline.annotation.settings import Distribution
from pipeline.records import ResponseStatus
from pipeline.store.engine import Database
from pipeline.store.members import NOBODY
from pipeline.store.schema import comparisons, records, response_history, responses, votes

# Time is worked in stretches of so many seconds: one in which an answer came counts whole.
STRETCH = 300.0
SUBMITTED = ResponseStatus.SUBMITTED.value
# What is given here says under which guidelines and how it was shown; what comes with a file of records says neither. Nobody
# worked at that here, and where the file has no times its time is that of the import.
GIVEN_HERE = responses.c.guidelines_version.is_not(None) | responses.c.prefilled.is_not(None)


@dataclass(frozen=True, slots=True)
class Given:
    """What one person did on one dataset: responses by their status."""

    submitted: int = 0
    drafts: int = 0
    discarded: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a dataset: records that need responses yet, and how many responses they need together."""

    records: int = 0
    responses: int = 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Comparisons of one set that people judge: how many there are with so many votes, by the number of votes."""

    by_votes: Mapping[int, int]

    @property
    def total(self) -> int:
        """How many comparisons there are."""
        return sum(self.by_votes.values())

    @property
    def votes(self) -> int:
        """How many standing votes they have."""
        return sum(votes * count for votes, count in self.by_votes.items())

    @property
    def fewest(self) -> tuple[int, int]:
        """The smallest number of votes on one, and how many have no more."""
        return min(self.by_votes.items(), default=(0, 0))


@dataclass(frozen=True, slots=True)
class Worked:
    """Answers of one person in a time, and in how many stretches of :data:`STRETCH` seconds they came."""

    answers: int
    stretches: int


class WorkStore:
    """Counts over ``responses`` and ``votes``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def responses(self) -> dict[str, dict[str, Given]]:
        """Return what each person did on each dataset, by dataset and person."""
        query = (
            select(records.c.dataset_id, responses.c.annotator_id, responses.c.status, func.count())
            .select_from(responses.join(records))
            .group_by(records.c.dataset_id, responses.c.annotator_id, responses.c.status)
        )
        counts: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        with self._db.read() as connection:
            for dataset_id, annotator_id, status, count in connection.execute(query):
                counts[dataset_id, annotator_id][status] = count
        found: dict[str, dict[str, Given]] = defaultdict(dict)
        for (dataset_id, annotator_id), by in counts.items():
            found[dataset_id][annotator_id] = Given(*(by.get(s, 0) for s in (SUBMITTED, "draft", "discarded")))
        return dict(found)

    def left(self, sizes: Mapping[str, tuple[int, Distribution]]) -> dict[str, Left]:
        """Return what is left of datasets, which are given by id with their size and the rule when a record is done."""
        submitted = func.sum(cast(responses.c.status == SUBMITTED, Integer)).label("submitted")
        discarded = func.sum(cast(responses.c.status == ResponseStatus.DISCARDED.value, Integer)).label("discarded")
        by_record = select(responses.c.record_id, submitted, discarded).group_by(responses.c.record_id).subquery()
        query = (
            select(records.c.dataset_id, by_record.c.submitted, by_record.c.discarded, func.count())
            .select_from(by_record.join(records, by_record.c.record_id == records.c.id))
            .group_by(records.c.dataset_id, by_record.c.submitted, by_record.c.discarded)
        )
        left = {i: [size, size * rule.min_submitted] for i, (size, rule) in sizes.items()}
        with self._db.read() as connection:
            for dataset_id, given, refused, count in connection.execute(query):
                if dataset_id not in left:
                    continue
                rule = sizes[dataset_id][1]
                done = rule.is_done(given, refused)
                left[dataset_id][0] -= count if done else 0
                left[dataset_id][1] -= count * (rule.min_submitted if done else given)
        return {i: Left(*counts) for i, counts in left.items()}

    def votes(self) -> dict[str, dict[str, int]]:
        """Return how many standing votes each person gave in each set of comparisons, by set and person."""
        query = (
            select(comparisons.c.comparison_set_id, votes.c.annotator_id, func.count())
            .select_from(votes.join(comparisons))
            .where(votes.c.undone_at.is_(None), votes.c.annotator_id.not_in(NOBODY))
            .group_by(comparisons.c.comparison_set_id, votes.c.annotator_id)
        )
        found: dict[str, dict[str, int]] = defaultdict(dict)
        with self._db.read() as connection:
            for set_id, annotator_id, count in connection.execute(query):
                found[set_id][annotator_id] = count
        return dict(found)

    def pairs(self) -> dict[str, Pairs]:
        """Return for each set of comparisons how many votes those have that people judge."""
        standing = votes.c.undone_at.is_(None) & votes.c.annotator_id.not_in(NOBODY)
        by_comparison = (
            select(comparisons.c.comparison_set_id, comparisons.c.id, func.count(votes.c.id).label("votes"))
            .select_from(comparisons.outerjoin(votes, (votes.c.comparison_id == comparisons.c.id) & standing))
            .where(comparisons.c.identical.is_(False))
            .group_by(comparisons.c.comparison_set_id, comparisons.c.id)
            .subquery()
        )
        query = select(by_comparison.c.comparison_set_id, by_comparison.c.votes, func.count())
        query = query.group_by(by_comparison.c.comparison_set_id, by_comparison.c.votes)
        found: dict[str, dict[int, int]] = defaultdict(dict)
        with self._db.read() as connection:
            for set_id, votes_each, count in connection.execute(query):
                found[set_id][votes_each] = count
        return {set_id: Pairs(by_votes) for set_id, by_votes in found.items()}

    def worked(self, since: float, dataset_id: str | None = None, set_id: str | None = None) -> dict[str, Worked]:
        """Return how many answers each person submitted in a time and how long they worked, on one thing where it is given.

        An answer is a response that stands as submitted, at the time of its last submit, or a standing vote. What came with
        a file of records is none.
        """
        parts = [] if set_id else [_answers(since, dataset_id)]
        parts += [] if dataset_id else [_given_votes(since, set_id)]
        given = union_all(*parts).subquery()
        # Not floor(), which is Python's own on SQLite, and slow; on the border of two stretches it does not matter which it is.
        stretch = func.round(given.c.at / STRETCH - 0.5)
        each = select(given.c.who, func.count().label("answers")).group_by(given.c.who, stretch).subquery()
        query = select(each.c.who, func.sum(each.c.answers), func.count())
        with self._db.read() as connection:
            rows = connection.execute(query.group_by(each.c.who))
            return {who: Worked(int(answers), stretches) for who, answers, stretches in rows}

    def new_answers(self, dataset_id: str, since: float, until: float) -> dict[str, int]:
        """Return how many responses of each person stand as submitted that were first submitted here in a time."""
        earlier = (response_history.c.response_id == responses.c.id) & (response_history.c.status == SUBMITTED)
        first = func.coalesce(func.min(response_history.c.at), responses.c.updated_at)
        by_response = (
            select(responses.c.annotator_id.label("who"))
            .select_from(responses.join(records).outerjoin(response_history, earlier))
            .where(records.c.dataset_id == dataset_id, responses.c.status == SUBMITTED, GIVEN_HERE)
            # Nothing was submitted for the first time after its last change.
            .where(responses.c.updated_at >= since)
            .group_by(responses.c.id, responses.c.annotator_id, responses.c.updated_at)
            .having((first >= since) & (first <= until))
        )
        return self._by_person(by_response)

    def new_votes(self, set_id: str, since: float, until: float) -> dict[str, int]:
        """Return how many standing votes of each person were given in a time."""
        return self._by_person(_given_votes(since, set_id).where(votes.c.created_at <= until))

    def _by_person(self, given: Select) -> dict[str, int]:
        each = given.subquery()
        with self._db.read() as connection:
            rows = connection.execute(select(each.c.who, func.count()).group_by(each.c.who))
            return {who: count for who, count in rows}


def _answers(since: float, dataset_id: str | None) -> Select:
    query = select(responses.c.annotator_id.label("who"), responses.c.updated_at.label("at"))
    query = query.where(responses.c.status == SUBMITTED, responses.c.updated_at >= since, GIVEN_HERE)
    if dataset_id:
        inside = responses.c.record_id.in_(select(records.c.id).where(records.c.dataset_id == dataset_id))
        query = query.where(inside)
    return query


def _given_votes(since: float, set_id: str | None) -> Select:
    query = select(votes.c.annotator_id.label("who"), votes.c.created_at.label("at"))
    query = query.where(votes.c.undone_at.is_(None), votes.c.annotator_id.not_in(NOBODY), votes.c.created_at >= since)
    if set_id:
        query = query.select_from(votes.join(comparisons)).where(comparisons.c.comparison_set_id == set_id)
    return query
