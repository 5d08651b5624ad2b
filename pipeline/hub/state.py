"""What is known about the back-up at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BackupKind(StrEnum):
    """The one word for it."""

    LOCAL = "local"
    BACKED_UP = "backed_up"
    WAITING = "waiting"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class PlaceState:
    """One place that changes are sent to: the dataset repo, or the data folder.

    ``waiting`` changes have not arrived there, the oldest since ``since``; ``last`` is when something arrived last (both
    in seconds since the epoch); ``retry_in`` is in how many seconds the next attempt is made after a failure.
    """

    name: str
    waiting: int
    since: float | None
    last: float | None
    problem: str = ""
    retry_in: float | None = None


@dataclass(frozen=True, slots=True)
class BackupState:
    """The state of all places, and what people should know of beside it, as sentences.

    ``fleeting`` says that this machine's disk is lost at every restart, as that of a Space is.
    """

    repo: PlaceState | None = None
    folder: PlaceState | None = None
    warnings: tuple[str, ...] = ()
    fleeting: bool = False

    @property
    def kind(self) -> BackupKind:
        """Return the worst of the places, of which the repo is the one that counts."""
        places = [place for place in (self.repo, self.folder) if place]
        if not places:
            return BackupKind.FAILING if self.fleeting else BackupKind.LOCAL
        if any(place.problem for place in places):
            return BackupKind.FAILING
        return BackupKind.WAITING if any(place.waiting for place in places) else BackupKind.BACKED_UP

    @property
    def shown(self) -> PlaceState | None:
        """Return the place that the header speaks of: one that fails, else the repo, else the folder."""
        places = [place for place in (self.repo, self.folder) if place]
        return next((place for place in places if place.problem), places[0] if places else None)
