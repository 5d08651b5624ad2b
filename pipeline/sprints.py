"""Sprints: a goal on one dataset or comparison, how far it is, how fast it would have to go, and who did how much."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pipeline.activity import ActivityLog
from pipeline.cleaning import clean
from pipeline.comparison_settings import Kind
from pipeline.comparisons import ComparisonDesk
from pipeline.errors import RecordError
from pipeline.kept import Kept
from pipeline.store import Store
from pipeline.store.sprints import Plan, Sprint

MAX_NAME = 120
MAX_GOAL = 1_000_000
MIN_SECONDS, MAX_SECONDS = 60.0, 92 * 24 * 3600.0
# The pace of now is that of a sixth of the sprint, but of ten minutes at least and a day at most.
SHARE, SHORTEST, LONGEST = 1 / 6, 600.0, 24 * 3600.0
# So many seconds a count is good for: a hundred people look at it.
FRESH = 1.0
# So long its results stand where people work.
SHOWN_AFTER = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Answers per hour: how many it takes from now to reach the goal, and how many there were lately.

    ``needed`` is None in the last second and when the goal is reached; ``lately`` counts the last ``window`` seconds, and is
    None before the first second. ``expected`` is how many there will be at the end if it goes on like that.
    """

    needed: float | None
    lately: float | None
    window: float
    expected: float | None


def window_of(elapsed: float, length: float) -> float:
    """Return over how many seconds the pace of now is taken."""
    return min(max(elapsed, 0.0), max(SHORTEST, min(length * SHARE, LONGEST)))


def rate(goal: int, done: int, recent: int, window: float, left: float) -> Rate:
    """Return the rates of a sprint: ``recent`` of ``done`` answers came in the last ``window`` seconds, ``left`` remain."""
    missing = max(0, goal - done)
    needed = missing * 3600 / left if missing and left >= 1 else None
    lately = recent * 3600 / window if window >= 1 else None
    expected = None if lately is None else done + lately * max(0.0, left) / 3600
    return Rate(needed, lately, window, expected)


@dataclass(frozen=True, slots=True)
class Score:
    """One line of the leaderboard; equal counts share a place."""

    place: int
    name: str
    count: int
    mine: bool


@dataclass(frozen=True, slots=True)
class SprintView:
    """A sprint as one reader may see it at a moment.

    ``state`` is "planned", "running" or "ended". ``about`` is the name of what is worked on, which for a comparison is the one
    that the reader may know. ``board`` is empty where the leaderboard is off: then the counts of others are nobody's business.
    """

    sprint: Sprint
    state: str
    about: str
    at: float
    done: int
    mine: int
    people: int
    rate: Rate
    board: tuple[Score, ...]

    @property
    def left(self) -> float:
        """Seconds until it ends, or until it begins where it is planned."""
        until = self.sprint.starts_at if self.state == "planned" else self.sprint.end
        return max(0.0, until - self.at)

    @property
    def unit(self) -> str:
        """What is counted."""
        return "answer" if self.sprint.dataset_id else "vote"


class SprintDesk:
    """Plans sprints, follows them and ends them."""

    def __init__(
        self, store: Store, comparisons: ComparisonDesk, activity: ActivityLog, kept: Kept | None = None
    ) -> None:
        self._store = store
        self._comparisons = comparisons
        self._activity = activity
        self._kept = kept or Kept(FRESH)

    def start(self, actor: str, plan: Plan) -> Sprint:
        """Plan a sprint, or begin it where it starts now.

        Raises:
            RecordError: the goal, the time or the name cannot be used, or another sprint is on the same thing at that time.
            NotFoundError: what is to be worked on is not there.
        """
        name = " ".join(clean(plan.name).split())
        if not 1 <= len(name) <= MAX_NAME:
            raise RecordError(f"Give the sprint a name of 1 to {MAX_NAME} characters.")
        if not isinstance(plan.goal, int) or not 1 <= plan.goal <= MAX_GOAL:
            raise RecordError(f"A goal is a whole number from 1 to {MAX_GOAL:,}.")
        if not MIN_SECONDS <= plan.ends_at - plan.starts_at <= MAX_SECONDS or plan.ends_at <= time.time():
            raise RecordError("A sprint takes from one minute to three months, and ends later than now.")
        self._check_place(plan)
        checked = Plan(
            name, plan.dataset_id, plan.comparison_set_id, plan.goal, plan.leaderboard, plan.starts_at, plan.ends_at
        )
        sprint = self._store.sprints.get(self._store.sprints.add(actor, checked))
        self._activity.note(actor, "sprint.started", name, {"goal": plan.goal})
        return sprint

    def end(self, actor: str, sprint_id: str) -> None:
        """End a sprint before its time.

        Raises:
            RecordError: it has ended already.
        """
        sprint = self._store.sprints.get(sprint_id)
        now = time.time()
        if sprint.end <= now:
            raise RecordError("This sprint has ended already.")
        self._store.sprints.end(sprint_id, now)
        detail = {"done": sum(self._counts(sprint, sprint.starts_at, now).values()), "goal": sprint.goal}
        self._activity.note(actor, "sprint.ended", sprint.name, detail)

    def set_leaderboard(self, actor: str, sprint_id: str, shown: bool) -> None:
        """Turn the leaderboard of a sprint on or off."""
        sprint = self._store.sprints.get(sprint_id)
        if sprint.leaderboard != shown:
            self._store.sprints.set_leaderboard(sprint_id, shown)
            self._activity.note(actor, "sprint.board", sprint.name, {"state": "on" if shown else "off"})

    def all(self, reader: str) -> list[SprintView]:
        """Return every sprint, the one that began last first."""
        return self._views(self._store.sprints.all(), reader)

    def current(self, reader: str) -> list[SprintView]:
        """Return the sprints that are planned, go on, or have ended within a day."""
        now = time.time()
        sprints = [sprint for sprint in self._store.sprints.all(now - SHOWN_AFTER) if sprint.end >= now - SHOWN_AFTER]
        return self._views(sprints, reader)

    def left(self, dataset_id: str) -> int:
        """Return how many responses a dataset still needs."""
        dataset = self._store.datasets.get(dataset_id)
        return self._store.work.left({dataset.id: (dataset.size, dataset.settings.distribution)})[dataset.id].responses

    def _views(self, sprints: list[Sprint], reader: str) -> list[SprintView]:
        names = self._store.members.names() if sprints else {}
        return [self._view(sprint, reader, names) for sprint in sprints]

    def _view(self, sprint: Sprint, reader: str, names: dict[str, str]) -> SprintView:
        now = time.time()
        state = "planned" if now < min(sprint.starts_at, sprint.end) else "running" if now < sprint.end else "ended"
        counts, rate_ = self._kept.get(sprint, lambda: self._count(sprint, now))
        done = sum(counts.values())
        return SprintView(
            sprint=sprint,
            state=state,
            about=self._about(sprint, reader),
            at=now,
            done=done,
            mine=counts.get(reader, 0),
            people=len(counts),
            rate=rate_,
            board=_board(counts, names, reader) if sprint.leaderboard else (),
        )

    def _count(self, sprint: Sprint, now: float) -> tuple[dict[str, int], Rate]:
        counts = self._counts(sprint, sprint.starts_at, min(now, sprint.end))
        return counts, self._rate(sprint, sum(counts.values()), now)

    def _counts(self, sprint: Sprint, since: float, until: float) -> dict[str, int]:
        if until <= since:
            return {}
        if sprint.dataset_id:
            return self._store.work.new_answers(sprint.dataset_id, since, until)
        return self._store.work.new_votes(sprint.comparison_set_id, since, until)

    def _rate(self, sprint: Sprint, done: int, now: float) -> Rate:
        until = min(now, sprint.end)
        window = window_of(until - sprint.starts_at, sprint.ends_at - sprint.starts_at)
        if until >= sprint.end:
            # Afterwards it is the pace of the whole sprint.
            window, recent = max(until - sprint.starts_at, 0.0), done
        else:
            recent = sum(self._counts(sprint, until - window, until).values())
        return rate(sprint.goal, done, recent, window, sprint.end - until)

    def _about(self, sprint: Sprint, reader: str) -> str:
        if sprint.dataset_id:
            return self._store.datasets.get(sprint.dataset_id).name
        return self._comparisons.name(self._store.comparisons.set(sprint.comparison_set_id), reader)

    def _check_place(self, plan: Plan) -> None:
        if bool(plan.dataset_id) == bool(plan.comparison_set_id):
            raise RecordError("Choose what the sprint is about: one dataset or one comparison.")
        if plan.dataset_id and not self._store.datasets.get(plan.dataset_id).published:
            raise RecordError("This dataset is not published yet. Publish it in Setup, then it can be worked on.")
        if plan.comparison_set_id:
            item = self._store.comparisons.set(plan.comparison_set_id)
            if item.state != "open" or item.settings.kind is Kind.IMPORTED:
                raise RecordError("This comparison is not open for votes.")
        for other in self._store.sprints.all(time.time()):
            same = other.dataset_id == plan.dataset_id and other.comparison_set_id == plan.comparison_set_id
            if same and other.starts_at < plan.ends_at and plan.starts_at < other.end and other.end > time.time():
                raise RecordError(f"The sprint “{other.name}” is on this at that time. End it first, or start later.")


def _board(counts: dict[str, int], names: dict[str, str], reader: str) -> tuple[Score, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], names.get(item[0], "").casefold(), item[0]))
    return tuple(
        Score(1 + sum(other > count for other in counts.values()), names.get(who, "Somebody"), count, who == reader)
        for who, count in ordered
    )
