"""What the Hub of the tests holds and hears: tokens, repositories, commits, requests and their answers, and what goes wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from http import HTTPStatus

_MESSAGES = {
    401: "Invalid credentials in Authorization header",
    412: "A commit has happened since. Please refresh and try again.",
}


class Answer(Exception):
    """What is sent back: returned, or raised from wherever a request is found to be wrong."""

    def __init__(self, status: int, content: object = b"", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.headers = status, {"Content-Type": "application/json", **(headers or {})}
        self.body = content if isinstance(content, bytes) else json.dumps(content).encode()


def error(status: int, message: str | None = None, code: str | None = None, **headers: str) -> Answer:
    message = _MESSAGES.get(status, HTTPStatus(status).phrase) if message is None else message
    said = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return Answer(status, {"error": message}, said | {name.replace("_", "-"): value for name, value in headers.items()})


class Gone(Exception):
    """The client left, or the server stops or cuts the connection."""


@dataclass(frozen=True)
class Token:
    """What a token stands for: with role "write" it may write to the namespaces of its user and ``orgs``."""

    user: str
    role: str = "write"
    orgs: Sequence[str] = ()

    def owns(self, name: str) -> bool:
        return name.split("/")[0] in (self.user, *self.orgs)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request whose method is ``method`` and in whose path the pattern ``path`` is found.

    ``status`` answers with that error, ``message`` and ``code`` as X-Error-Message and X-Error-Code, and handles
    nothing. ``drop`` closes the connection: "before" the request is handled, "after" it was handled and without an
    answer, or "cut" in the middle of the answer. ``hang`` waits so many seconds before the handling, with "after"
    behind it; a client that leaves before the handling has had no effect.
    """

    method: str | None = None
    path: str = ""
    status: int = 0
    retry_after: str | int | None = None
    message: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0
    drop: str = ""

    def answer(self) -> Answer:
        extra = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return error(self.status, self.message, self.code, **extra, **self.headers)


@dataclass
class LoggedRequest:
    """A request as it came in; ``path`` as sent, without the query. ``authorized``: it had an Authorization header.

    ``status`` is 0 while there is no answer; ``lost`` tells that the client did not get the whole of it.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    started: float = field(default_factory=time.time)
    status: int = 0
    lost: bool = False
    ended: float | None = None
    token: Token | None = None

    @property
    def authorized(self) -> bool:
        return "authorization" in self.headers

    @property
    def json(self) -> dict[str, object]:
        return json.loads(self.body or b"{}")

    def flag(self, name: str) -> bool:
        """Tell whether a parameter is on; the client writes Python's True."""
        return self.query.get(name, [""])[0].lower() in ("true", "1")


@dataclass(frozen=True)
class Entry:
    """A file of a commit. ``oid`` is what git calls it: of an LFS file, the hash of its pointer."""

    oid: str
    sha256: str
    size: int
    lfs: bool


@dataclass(frozen=True)
class Commit:
    """A snapshot. ``added`` are the paths that the commit wrote, new or not; ``deleted`` those it took away."""

    oid: str
    parent: str | None
    title: str
    message: str
    user: str
    time: float
    files: Mapping[str, Entry]
    added: tuple[str, ...]
    deleted: tuple[str, ...]


@dataclass
class Repo:
    """A repository: its commits by name, and the names of its branches' heads."""

    kind: str
    name: str
    private: bool
    created: float = field(default_factory=time.time)
    snapshots: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    @property
    def web(self) -> str:
        return self.name if self.kind == "models" else f"{self.kind}/{self.name}"

    def at(self, revision: str) -> Commit:
        """Return the commit of a branch, or of a commit's name of 7 digits and more."""
        short = (oid for oid in self.snapshots if len(revision) >= 7 and oid.startswith(revision))
        if not (oid := self.branches.get(revision) or next(short, None)):
            raise error(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.snapshots[oid]

    def history(self, commit: Commit | None) -> Iterator[Commit]:
        """Yield the commit and those before it, newest first."""
        while commit:
            yield commit
            commit = self.snapshots.get(commit.parent)

    def commit(self, branch: str, user: str, title: str, message: str, changes: Mapping[str, Entry | None]) -> Commit:
        """Put a commit on a branch; a change of None takes the path away."""
        head = self.snapshots.get(self.branches.get(branch))
        merged = {**(head.files if head else {}), **changes}
        files = {path: entry for path, entry in sorted(merged.items()) if entry}
        added, deleted = (tuple(path for path in changes if (path in files) is kept) for kept in (True, False))
        oid = sha1(f"{self.name} {len(self.snapshots)} {time.time_ns()} {title} {files}".encode()).hexdigest()
        made = Commit(oid, head and head.oid, title, message, user, time.time(), files, added, deleted)
        self.snapshots[oid], self.branches[branch] = made, oid
        return made
