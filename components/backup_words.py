"""The state of the back-up in words: one line for the header, and full sentences for its title and for Settings."""

from __future__ import annotations

import time
from dataclasses import dataclass

from components._html import span
from pipeline.hub.state import BackupKind, BackupState, PlaceState
from pipeline.ranking.verdict import plural

LONGEST_REASON, LONGEST_FOLDER = 90, 36
_LOCAL = "Everything is kept on this machine only, because no dataset repo is configured."
_FLEETING = (
    "Nothing is backed up, and a Space loses its disk at every restart: add a secret HF_TOKEN, a token that may write, in the "
    "settings of the Space. A private dataset repo then keeps everything."
)


@dataclass(frozen=True, slots=True)
class Words:
    """What is shown: ``title`` has a line for each place, ``notes`` counts the warnings that Settings lists."""

    kind: str
    text: str
    title: str
    notes: int = 0


# What a page shows before it has heard anything; pairloop's script replaces it before the header is drawn.
UNKNOWN = Words("checking", "… Checking what is backed up", "")


def words(state: BackupState, now: float, zone: int | None = None) -> Words:
    """Return the words for a state. ``zone`` is how many minutes the reader's clock is ahead of UTC, where that is known."""
    places = [(state.repo, "the dataset repo"), (state.folder, "the folder")]
    known = [(place, f"{noun} {place.name}") for place, noun in places if place]
    sentences = [_sentences(place, name, now, zone) for place, name in known]
    if not known:
        sentences = [_FLEETING if state.fleeting else _LOCAL]
    text = _text(state, now, zone)
    if count := len(state.warnings):
        text += f" · {plural(count, 'warning')}"
    return Words(state.kind.value, text, "\n".join(sentences), count)


def _text(state: BackupState, now: float, zone: int | None) -> str:
    if state.kind is BackupKind.LOCAL:
        return "● Kept on this machine only"
    if state.kind is BackupKind.FAILING:
        return _failing(state.shown, now, zone) if state.shown else "! Not backed up, and lost when this Space restarts"
    if state.kind is BackupKind.WAITING:
        return _waiting(state, now)
    if state.repo is None:
        return f"● Kept on this machine and in {_short(state.folder.name)}"
    return "✓ All changes backed up"


def _waiting(state: BackupState, now: float) -> str:
    # The repo may have everything while the folder has not.
    in_repo = state.repo is not None and state.repo.waiting > 0
    place = state.repo if in_repo else state.folder
    where = "the dataset repo" if in_repo else _short(place.name)
    last = "no backup since the start" if place.last is None else f"last backup {span(now - place.last)} ago"
    return f"{plural(place.waiting, 'change')} not yet in {where} · {last}"


def _failing(place: PlaceState, now: float, zone: int | None) -> str:
    waiting = "no change waiting"
    if place.waiting:
        since = "" if place.since is None else f" since {_clock(place.since, now, zone)}"
        waiting = f"{plural(place.waiting, 'change')} waiting{since}"
    reason = place.problem.rstrip(".")
    if len(reason) > LONGEST_REASON:
        reason = f"{reason[:LONGEST_REASON].rsplit(' ', 1)[0]} …"
    again = "" if place.retry_in is None else f" · {_again(place.retry_in)}"
    return f"! Backup failing: {reason} · {waiting}{again}"


def _sentences(place: PlaceState, name: str, now: float, zone: int | None) -> str:
    last = "" if place.last is None else f" The last change arrived there {span(now - place.last)} ago."
    if not place.waiting:
        said = f"All changes are in {name}.{last}"
    else:
        are = "is" if place.waiting == 1 else "are"
        oldest = "" if place.since is None else f", the oldest since {_clock(place.since, now, zone)}"
        said = f"{plural(place.waiting, 'change')} {are} not yet in {name}{oldest}.{last}"
    if not place.problem:
        return said
    again = "" if place.retry_in is None else f" {_again(place.retry_in).capitalize()}."
    return f"The back-up is failing. {place.problem} {said}{again}"


def _again(seconds: float) -> str:
    return f"next try in {span(seconds)}" if seconds >= 1 else "next try now"


def _short(folder: str) -> str:
    """Return a folder for the header: its whole path where that is short, else the end of it."""
    return folder if len(folder) <= LONGEST_FOLDER else f"…{folder[-LONGEST_FOLDER:]}"


def _clock(moment: float, now: float, zone: int | None) -> str:
    """Return a time of the reader's day, with its date where that is another one."""
    there = time.gmtime(moment + 60 * (zone or 0))
    today = time.gmtime(now + 60 * (zone or 0))
    day = "" if there[:3] == today[:3] else f"{there.tm_mday} {time.strftime('%b', there)} "
    return f"{day}{time.strftime('%H:%M', there)}{' UTC' if zone is None else ''}"
