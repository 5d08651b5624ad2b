"""The team in numbers: who works here, what each has done, how fast, and what is left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.comparison_settings import Kind
from pipeline.comparisons import ComparisonDesk
from pipeline.kept import Kept
from pipeline.people import PeopleDesk
from pipeline.records import Role
from pipeline.store import Store
from pipeline.store.members import NOBODY
from pipeline.store.work import STRETCH, Given, Left, Pairs, Worked

HOUR = 3600.0
# Over which time a pace may be asked for, in seconds, by what it is called.
SPANS: Mapping[str, float] = {"hour": HOUR, "day": 24 * HOUR, "week": 7 * 24 * HOUR}


@dataclass(frozen=True, slots=True)
class Colleague:
    """Whoever works here or did: ``role`` is None for those who are no members, or no more."""

    member_id: str
    name: str
    role: Role | None
    last_seen: float | None = None


@dataclass(frozen=True, slots=True)
class DatasetNumbers:
    """A dataset: how many records it has, what is left, and what each person did."""

    id: str
    name: str
    records: int
    left: Left
    by_person: Mapping[str, Given]

    @property
    def total(self) -> Given:
        """What all people did together."""
        return together(self.by_person.values())


@dataclass(frozen=True, slots=True)
class ComparisonNumbers:
    """A comparison under the name that the reader may know: votes by comparison and by person."""

    id: str
    name: str
    pairs: Pairs
    by_person: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PersonNumbers:
    """What one person did on all that was asked for; ``worked`` is for a time only."""

    person: Colleague
    given: Given
    votes: int
    worked: Worked


@dataclass(frozen=True, slots=True)
class Numbers:
    """The team's numbers of one moment."""

    at: float
    datasets: tuple[DatasetNumbers, ...]
    comparisons: tuple[ComparisonNumbers, ...]
    people: tuple[PersonNumbers, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What numbers are asked for: one dataset, one comparison or everything, and the time of the pace."""

    dataset_id: str = ""
    set_id: str = ""
    span: str = "day"


EVERYTHING = Wanted()


def pace(worked: Worked) -> float | None:
    """Return answers per active hour; None where there was no answer."""
    return worked.answers * HOUR / (worked.stretches * STRETCH) if worked.stretches else None


def together(given: Iterable[Given]) -> Given:
    """Return the sum of what several people, or one on several datasets, did."""
    some = list(given)
    return Given(sum(g.submitted for g in some), sum(g.drafts for g in some), sum(g.discarded for g in some))


class TeamDesk:
    """Counts the team's work for whoever may see it."""

    def __init__(self, store: Store, comparisons: ComparisonDesk, people: PeopleDesk, kept: Kept | None = None) -> None:
        self._store = store
        self._comparisons = comparisons
        self._people = people
        self._kept = kept or Kept()

    def numbers(self, reader: str, wanted: Wanted = EVERYTHING) -> Numbers:
        """Return the numbers of everybody who is a member or has worked. Comparisons have the names that this reader may know."""
        return self._kept.get((reader, wanted), lambda: self._count(reader, wanted))

    def _count(self, reader: str, wanted: Wanted) -> Numbers:
        now = time.time()
        datasets = self._datasets()
        comparisons = self._comparison_numbers(reader)
        worked = self._store.work.worked(
            now - SPANS.get(wanted.span, SPANS["day"]), wanted.dataset_id or None, wanted.set_id or None
        )
        counted = [d for d in datasets if not wanted.set_id and wanted.dataset_id in ("", d.id)]
        judged = [c for c in comparisons if not wanted.dataset_id and wanted.set_id in ("", c.id)]
        people = [
            PersonNumbers(
                person,
                together([d.by_person[person.member_id] for d in counted if person.member_id in d.by_person]),
                sum(c.by_person.get(person.member_id, 0) for c in judged),
                worked.get(person.member_id, Worked(0, 0)),
            )
            for person in self._everybody(datasets, comparisons)
        ]
        people.sort(key=lambda one: (-(one.given.submitted + one.votes), one.person.name.casefold()))
        return Numbers(now, tuple(datasets), tuple(comparisons), tuple(people))

    def _datasets(self) -> list[DatasetNumbers]:
        published = [dataset for dataset in self._store.datasets.all() if dataset.published]
        given = self._store.work.responses()
        left = self._store.work.left({d.id: (d.size, d.settings.distribution) for d in published})
        return [DatasetNumbers(d.id, d.name, d.size, left[d.id], given.get(d.id, {})) for d in published]

    def _comparison_numbers(self, reader: str) -> list[ComparisonNumbers]:
        given, pairs = self._store.work.votes(), self._store.work.pairs()
        return [
            ComparisonNumbers(
                item.id, self._comparisons.name(item, reader), pairs.get(item.id, Pairs({})), given.get(item.id, {})
            )
            for item in self._comparisons.sets()
            # Votes that came with a file are nobody's work here.
            if item.state == "open" and item.settings.kind is not Kind.IMPORTED
        ]

    def _everybody(
        self, datasets: Sequence[DatasetNumbers], comparisons: Sequence[ComparisonNumbers]
    ) -> list[Colleague]:
        members = self._people.members()
        known = {m.member_id: Colleague(m.member_id, m.name, m.role, m.last_seen) for m in members if not m.removed_at}
        worked = {who for part in (*datasets, *comparisons) for who in part.by_person} - known.keys() - NOBODY
        names = self._store.members.names() if worked else {}
        return [*known.values(), *(Colleague(who, names.get(who, ""), None) for who in sorted(worked))]
