"""Who did what when, of all that changes the workspace for others. Answers and votes are rows of their own and are not told here.

A subject is what something is called, never what somebody wrote or holds: no answer, no code, no password, no key. A comparison
is told by the name that it has for those who still judge it blind.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.cleaning import clean
from pipeline.store import Store
from pipeline.store.activity import Entry

MOST_SUBJECT = 200
# In a detail: the id of the person who is told of in the place of a subject, since their name may change, or be taken away.
WHOM = "whom"
PAGE = 50


@dataclass(frozen=True, slots=True)
class Words:
    """How an action is told: its group in the list of kinds, what was done, and what more of its detail is told."""

    group: str
    did: str
    detail: str = ""


ACTIONS: Mapping[str, Words] = {
    "document.added": Words("Documents", "added a document"),
    "documents.added": Words("Documents", "added documents", "{documents} documents"),
    "document.removed": Words("Documents", "removed a document"),
    "example.added": Words("Documents", "added the example"),
    "queries.added": Words("Runs", "added a list of queries", "{queries} queries"),
    "run.started": Words("Runs", "started a run over", "{queries} queries"),
    "run.cancelled": Words("Runs", "cancelled a run over"),
    "run.resumed": Words("Runs", "went on with a run over"),
    "dataset.created": Words("Datasets", "created the dataset", "{records} records"),
    "dataset.changed": Words("Datasets", "changed the dataset", "{what}"),
    "dataset.renamed": Words("Datasets", "renamed the dataset", "it was {before}"),
    "dataset.published": Words("Datasets", "published the dataset", "{records} records"),
    "records.added": Words("Datasets", "added records to", "{records} records"),
    "records.imported": Words("Imports and exports", "imported records into", "{records} records"),
    "records.exported": Words("Imports and exports", "exported records of", "{format}"),
    "votes.imported": Words("Imports and exports", "imported votes as", "{votes} votes"),
    "votes.exported": Words("Imports and exports", "exported the votes of", "{format}"),
    "judgements.exported": Words("Imports and exports", "exported the judge's verdicts on"),
    "training.exported": Words("Imports and exports", "downloaded a training file", "{format}"),
    "workspace.exported": Words("Imports and exports", "downloaded the workspace as a file"),
    "workspace.imported": Words("Imports and exports", "imported a workspace file", "{rows} rows were new or newer"),
    "comparison.created": Words("Comparisons", "created"),
    "link.made": Words("Comparisons", "made a link to the results of"),
    "link.withdrawn": Words("Comparisons", "withdrew the link to the results of"),
    "judge.started": Words("Comparisons", "let a judge vote on"),
    "judge.cancelled": Words("Comparisons", "stopped the judge of"),
    "model.registered": Words("Models", "registered the model"),
    "model.changed": Words("Models", "changed the model"),
    "model.retired": Words("Models", "retired the model"),
    "model.restored": Words("Models", "offered again the model"),
    "prompt.changed": Words("Models", "saved the prompt", "version {version}"),
    "retrieval.changed": Words("Models", "changed how passages are retrieved"),
    "job.started": Words("Models", "began to train", "with {trainer}"),
    "job.ended": Words("Models", "ended the training of", "{state}"),
    "job.cancelled": Words("Models", "cancelled the training of"),
    "storage.synced": Words("Workspace", "asked for a sync with the dataset repo"),
    "workspace.renamed": Words("Workspace", "named the workspace", "it was {before}"),
    "workspace.made": Words("Workspace", "made the workspace", "at {address}"),
    "workspace.closed": Words("Workspace", "closed the workspace"),
    "workspace.reopened": Words("Workspace", "opened again the workspace"),
    "sprint.started": Words("Workspace", "started the sprint", "goal {goal}"),
    "sprint.ended": Words("Workspace", "ended the sprint", "{done} of {goal}"),
    "sprint.board": Words("Workspace", "changed the sprint", "leaderboard {state}"),
    "person.joined": Words("People", "joined", "as {role}"),
    "role.changed": Words("People", "changed the role of", "from {before} to {after}"),
    "person.removed": Words("People", "removed"),
    "invitation.made": Words("People", "invited", "as {role}"),
    "invitation.withdrawn": Words("People", "withdrew the invitation of"),
    "password.reset": Words("People", "reset the password of"),
    "sign_ins.ended": Words("People", "ended the sign-ins of"),
    "token.made": Words("People", "made the API token"),
    "token.revoked": Words("People", "revoked the API token"),
}
GROUPS = tuple(dict.fromkeys(words.group for words in ACTIONS.values()))


@dataclass(frozen=True, slots=True)
class Line:
    """An entry in words. ``who`` is "" for what the app did by itself."""

    id: str
    at: float
    who: str
    did: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, newest first; ``older`` asks for the next page, and is "" on the last one."""

    lines: tuple[Line, ...]
    older: str


class ActivityLog:
    """Notes what people do and tells it in words."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(
        self, member_id: str | None, action: str, subject: str = "", detail: Mapping[str, object] | None = None
    ) -> None:
        """Note that somebody did something; ``member_id`` is None for what the app did by itself.

        Of the detail only what the words of the action tell is kept.
        """
        words = _words(action)
        known = {name: _short(value) for name, value in (detail or {}).items() if name in _names(words.detail)}
        self._store.activity.add(member_id, action, str(_short(subject)), known)

    def note_about(self, member_id: str, action: str, whom: str, detail: Mapping[str, object] | None = None) -> None:
        """Note that somebody did something to a person, who is told of by the name that they have when it is read."""
        words = _words(action)
        known = {name: _short(value) for name, value in (detail or {}).items() if name in _names(words.detail)}
        self._store.activity.add(member_id, action, "", {**known, WHOM: whom})

    def forget(self, member_id: str, *names: str) -> None:
        """Tell of a person without these names, which they had, wherever entries of the group People say them."""
        actions = [action for action, words in ACTIONS.items() if words.group == "People"]
        self._store.activity.call_by_id(member_id, WHOM, [name for name in names if name], actions)

    def latest(self, person: str | None = None, group: str | None = None, older: str = "", most: int = PAGE) -> Page:
        """Return the newest entries, of one person or one group of actions where that is given.

        ``older`` is what the page before said; what it cannot have said begins at the newest.
        """
        actions = [action for action, words in ACTIONS.items() if words.group == group] if group else []
        found = self._store.activity.latest(person, actions, _place(older), most + 1)
        names = self._store.members.names()
        lines = tuple(_line(entry, names) for entry in found[:most])
        return Page(lines, f"{lines[-1].at!r}/{lines[-1].id}" if len(found) > most else "")

    def people(self) -> list[tuple[str, str]]:
        """Return (name, id) of all who did something, by name."""
        names = self._store.members.names()
        found = [(names[member_id], member_id) for member_id in self._store.activity.people() if member_id in names]
        return sorted(found, key=lambda pair: (pair[0].casefold(), pair[1]))


def _line(entry: Entry, names: Mapping[str, str]) -> Line:
    words = _words(entry.action)
    known = all(name in entry.detail for name in _names(words.detail))
    more = words.detail.format_map(dict(entry.detail)) if known else ""
    who = names.get(entry.member_id, "Somebody") if entry.member_id else ""
    whom = entry.detail.get(WHOM)
    return Line(entry.id, entry.at, who, words.did, names.get(str(whom), "somebody") if whom else entry.subject, more)


def _words(action: str) -> Words:
    # A newer version may have noted what this one has no words for.
    return ACTIONS.get(action) or Words("", action.replace(".", " ").replace("_", " "))


def _names(pattern: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(pattern) if name]


def _short(value: object) -> object:
    if isinstance(value, int | float):
        return value
    text = " ".join(clean(str(value)).split())
    return text if len(text) <= MOST_SUBJECT else f"{text[: MOST_SUBJECT - 1]}…"


def _place(older: str) -> tuple[float, str] | None:
    moment, _, entry_id = older.partition("/")
    try:
        return (float(moment), entry_id) if entry_id else None
    except ValueError:
        return None
