"""A Hugging Face Hub on 127.0.0.1, for tests: repositories in memory, faults on demand, a request log.

    with HubServer() as hub:
        api = HfApi(endpoint=hub.url, token="hf_write_token")
        hub.fail(path="/commit/", status=503, times=2)
        ...
        assert hub.files("team/votes")["data/1.jsonl"] == b"..."

It speaks what huggingface_hub and datasets ask for: repositories, commits with a parent check, trees, LFS, downloads.
It knows neither Xet, pull requests nor gated repositories, so clients need HF_HUB_DISABLE_XET=1. huggingface_hub reads
HF_ENDPOINT when it is imported: give ``endpoint=`` to HfApi, and load_dataset a process of its own.
"""

from __future__ import annotations

import base64
import json
import re
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode

import yaml

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


class _Gone(Exception):
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


@dataclass
class HubServer:
    """The Hub. All fields may be changed while it runs; ``requests`` grows as requests come in.

    ``tokens`` maps each token to its role, "write" or "read" of ``user``, or to a :class:`Token`. ``repos`` is keyed
    like "datasets/team/votes". ``page_size`` is the most entries of a page. Files whose name ends in one of
    ``lfs_suffixes``, or longer than ``lfs_from`` bytes, go the way of LFS. ``port`` 0 takes a free one.
    ``stop()`` and ``start()`` are a Hub that is down for a while: same port, same content.
    """

    tokens: dict[str, str | Token] = field(default_factory=lambda: {"hf_write_token": "write", "hf_read_token": "read"})
    user: str = "team"
    page_size: int = 1000
    lfs_suffixes: tuple[str, ...] = (".parquet", ".arrow", ".bin", ".safetensors", ".gz", ".zip")
    lfs_from: int = 10_000_000
    port: int = 0
    repos: dict[str, Repo] = field(default_factory=dict, repr=False)
    requests: list[LoggedRequest] = field(default_factory=list, repr=False)
    # Routes of a double that offers more than this one.
    more_routes = ()

    def __post_init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self._lock = threading.RLock()
        self._faults: list[list[object]] = []
        self._http: _Server | None = None

    def start(self) -> HubServer:
        self._http = _Server(("127.0.0.1", self.port), self)
        self.port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Be down: cut all connections, and change nothing any more."""
        if self._http:
            with self._lock:
                self._http.stopping.set()
            self._http.shutdown()
            self._http.server_close()
            self._http.cut_connections()
            self._thread.join()
            self._http = None

    def __enter__(self) -> HubServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What goes into HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def repo(self, name: str) -> Repo:
        """Return a repository by "models/team/x", a dataset also by "team/votes"."""
        return self.repos.get(name) or self.repos[f"datasets/{name}"]

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """Return the content of all files at a revision."""
        with self._lock:
            return {path: self.blobs[entry.sha256] for path, entry in self.repo(repo).at(revision).files.items()}

    def commits(self, repo: str, revision: str = "main") -> list[Commit]:
        """Return the commits up to a revision as they were made; the first is the repository's creation."""
        with self._lock:
            return list(self.repo(repo).history(self.repo(repo).at(revision)))[::-1]

    def add_repo(self, name: str, private: bool = False, kind: str = "datasets") -> Repo:
        """Make a repository, with the first commit that the Hub makes."""
        rules = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in self.lfs_suffixes)
        with self._lock:
            made = self.repos[f"{kind}/{name}"] = Repo(kind, name, private)
            made.commit("main", name.split("/")[0], "initial commit", "", {".gitattributes": self.keep(rules.encode())})
            return made

    def commit_by_others(self, repo: str, files: Mapping[str, bytes | None], title: str = "By others") -> str:
        """Commit to main as another writer would, None deleting a file, and return the commit's name."""
        with self._lock:
            lfs = {path: self.is_lfs(path, len(data or b"")) for path, data in files.items()}
            kept = {path: None if data is None else self.keep(data, lfs[path]) for path, data in files.items()}
            return self.repo(repo).commit("main", "others", title, "", kept).oid

    def fail(self, times: int | None = 1, **fault: object) -> None:
        """Let the next ``times`` requests that fit (None: all) go wrong as :class:`Fault` says."""
        with self._lock:
            self._faults.append([times, Fault(**fault)])

    def heal(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def next_fault(self, request: LoggedRequest) -> Fault:
        """Log the request and take the first fault that fits it."""
        with self._lock:
            self.requests.append(request)
            for entry in self._faults:
                times, fault = entry
                fits = fault.method in (None, request.method) and re.search(fault.path, request.path)
                if fits and (times is None or times > 0):
                    entry[0] = None if times is None else times - 1
                    return fault
        return Fault()

    def keep(self, data: bytes, lfs: bool = False) -> Entry:
        """Store content by its hash."""
        digest = sha256(data).hexdigest()
        self.blobs[digest] = data
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(data)}\n".encode()
        seen = pointer if lfs else data
        return Entry(sha1(b"blob %d\0%s" % (len(seen), seen)).hexdigest(), digest, len(data), lfs)

    def is_lfs(self, path: str, size: int) -> bool:
        return path.endswith(self.lfs_suffixes) or size > self.lfs_from

    def handle(self, call: LoggedRequest, stopping: threading.Event) -> Answer:
        """Answer a request. One at a time, so that a commit and its check of the parent are one step."""
        with self._lock:
            if stopping.is_set():
                raise _Gone
            try:
                return self._dispatch(call)
            except Answer as refusal:
                return refusal

    def _dispatch(self, call: LoggedRequest) -> Answer:
        if call.authorized:
            found = self.tokens.get(call.headers["authorization"].removeprefix("Bearer "))
            call.token = Token(self.user, found) if isinstance(found, str) else found
            if call.token is None:
                raise error(401)
        for methods, pattern, needs, function in (*self.more_routes, *_ROUTES):
            if call.method in methods.split() and (match := re.fullmatch(pattern, call.path)):
                parts = {name: part and unquote(part) for name, part in match.groupdict().items()}
                if "name" in parts:
                    parts["repo"] = self.open(call, parts.pop("kind") or "models", parts.pop("name"), needs)
                return function(self, call, **parts)
        raise error(404, "Sorry, we can't find the page you are looking for.")

    def open(self, call: LoggedRequest, kind: str, name: str, needs: str) -> Repo:
        """Return the repository if the token may read or write it; a private one does not exist for strangers."""
        repo, token = self.repos.get(f"{kind}/{name}"), call.token
        if repo is None or (repo.private and not (token and token.owns(name))):
            raise error(404 if token else 401, "Repository not found", "RepoNotFound")
        if needs == "write":
            self.check_write(token, name)
        return repo

    def check_write(self, token: Token | None, name: str) -> None:
        if token is None:
            raise error(401, "Invalid username or password.")
        if not token.owns(name):
            raise error(403, f'You don\'t have the rights to write under the namespace "{name.split("/")[0]}"')
        if token.role != "write":
            raise error(403, "you must use a write token to upload to a repository.")


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03}Z"


def page(hub: HubServer, call: LoggedRequest, items: Sequence[object], most: int) -> Answer:
    """Answer with one page, and a link to the next."""
    start = int(call.query.get("cursor", ["0"])[0])
    after = start + min(most, hub.page_size)
    query = urlencode({**call.query, "cursor": after}, doseq=True)
    link = {"Link": f'<{hub.url}{call.path}?{query}>; rel="next"'} if after < len(items) else {}
    return Answer(200, items[start:after], link)


def _whoami(hub: HubServer, call: LoggedRequest) -> Answer:
    if not (token := call.token):
        raise error(401)
    orgs = [{"type": "org", "id": org, "name": org, "fullname": org} for org in token.orgs]
    auth = {"type": "access_token", "accessToken": {"displayName": "tests", "role": token.role}}
    names = dict.fromkeys(("id", "name", "fullname"), token.user)
    return Answer(200, {"type": "user", **names, "orgs": orgs, "auth": auth})


def create_or_delete(hub: HubServer, call: LoggedRequest, verb: str) -> Answer:
    wanted, kind = call.json, f"{call.json.get('type') or 'model'}s"
    name = f"{wanted.get('organization') or getattr(call.token, 'user', '')}/{wanted['name']}"
    if verb == "delete":
        hub.open(call, kind, name, "write")
        del hub.repos[f"{kind}/{name}"]
        return Answer(200, {})
    hub.check_write(call.token, name)
    there = hub.repos.get(f"{kind}/{name}")
    private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
    repo = there or hub.add_repo(name, private, kind)
    made = {"url": f"{hub.url}/{repo.web}", "name": name, "id": name}
    return Answer(409, {**made, "error": "You already created this repo"}) if there else Answer(200, made)


def _settings(hub: HubServer, call: LoggedRequest, repo: Repo) -> Answer:
    repo.private = call.json.get("visibility", "private" if repo.private else "public") == "private"
    return Answer(200, {"private": repo.private})


def _lfs(entry: Entry) -> dict[str, object]:
    about = {"oid": entry.sha256, "sha256": entry.sha256, "size": entry.size, "pointerSize": 130}
    return {"lfs": about} if entry.lfs else {}


def _info(hub: HubServer, call: LoggedRequest, repo: Repo, revision: str | None = None) -> Answer:
    commit, files = repo.at(revision or "main"), []
    for path, entry in commit.files.items():
        blob = {"size": entry.size, "blobId": entry.oid, **_lfs(entry)} if call.flag("blobs") else {}
        files.append({"rfilename": path, **blob})
    about = {"id": repo.name, "author": repo.name.split("/")[0], "sha": commit.oid, "private": repo.private}
    times = {"createdAt": _iso(repo.created), "lastModified": _iso(repo.at("main").time)}
    rest = {"gated": False, "disabled": False, "tags": [], "downloads": 0, "likes": 0, "siblings": files}
    return Answer(200, {**about, **times, **rest})


def _listed(repo: Repo, commit: Commit, path: str, expand: bool) -> dict[str, object]:
    """Describe a file or folder as trees do; ``expand`` asks for the commit that last wrote a file."""
    if not (entry := commit.files.get(path)):
        return {"type": "directory", "path": path, "oid": sha1(f"{commit.oid} {path}".encode()).hexdigest(), "size": 0}
    about = {"type": "file", "path": path, "size": entry.size, "oid": entry.oid, **_lfs(entry)}
    if expand:
        last = next(made for made in repo.history(commit) if path in made.added)
        about["lastCommit"] = {"id": last.oid, "title": last.title, "date": _iso(last.time)}
    return about


def _with_folders(paths: Mapping[str, Entry]) -> list[str]:
    return sorted({*paths, *(path[: slash.start()] for path in paths for slash in re.finditer("/", path))})


def _tree(hub: HubServer, call: LoggedRequest, repo: Repo, revision: str, path: str | None) -> Answer:
    commit, expand = repo.at(revision), call.flag("expand")
    prefix = f"{path}/" if path else ""
    inside = [item for item in _with_folders(commit.files) if item.startswith(prefix)]
    if path and not inside:
        raise error(404, f"{path} does not exist on {revision}", "EntryNotFound", X_Repo_Commit=commit.oid)
    wanted = [item for item in inside if call.flag("recursive") or "/" not in item[len(prefix) :]]
    return page(hub, call, [_listed(repo, commit, item, expand) for item in wanted], 50 if expand else 1000)


def _paths_info(hub: HubServer, call: LoggedRequest, repo: Repo, revision: str) -> Answer:
    commit, form = repo.at(revision), parse_qs(call.body.decode())
    known, expand = _with_folders(commit.files), form.get("expand", [""])[0].lower() == "true"
    return Answer(200, [_listed(repo, commit, path, expand) for path in form.get("paths", []) if path in known])


def _commits(hub: HubServer, call: LoggedRequest, repo: Repo, revision: str) -> Answer:
    about = []
    for made in repo.history(repo.at(revision)):
        said = {"id": made.oid, "title": made.title, "message": made.message, "date": _iso(made.time)}
        about.append({**said, "authors": [{"user": made.user}]})
    return page(hub, call, about, 50)


def _refs(hub: HubServer, call: LoggedRequest, repo: Repo) -> Answer:
    heads = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": oid} for name, oid in repo.branches.items()]
    return Answer(200, {"branches": heads, "tags": [], "converts": [], "pullRequests": []})


def _validate_yaml(hub: HubServer, call: LoggedRequest) -> Answer:
    block = re.match(r"---\r?\n(.*?)\r?\n---", call.json["content"], re.DOTALL)
    if not block:
        return Answer(200, {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]})
    try:
        wrong = None if isinstance(yaml.safe_load(block[1]), dict) else "metadata must be an object"
    except yaml.YAMLError as problem:
        wrong = str(problem)
    return Answer(400 if wrong else 200, {"errors": [{"message": wrong}] if wrong else [], "warnings": []})


def _preupload(hub: HubServer, call: LoggedRequest, repo: Repo, revision: str) -> Answer:
    """Say which way each file goes, and what is there already, so that the client leaves out unchanged files."""
    files, there = [], repo.at(revision).files
    for path, size in ((file["path"], file["size"]) for file in call.json["files"]):
        lfs, present = hub.is_lfs(path, size), there.get(path)
        known = {"oid": present.sha256 if lfs else present.oid} if present else {}
        files.append({"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, **known})
    return Answer(200, {"files": files})


def _lfs_batch(hub: HubServer, call: LoggedRequest, repo: Repo) -> Answer:
    """Say where to put each object; one that is there already gets no actions."""
    objects = call.json["objects"]
    for wanted in objects:
        if wanted["oid"] not in hub.blobs:
            href = f"{hub.url}/lfs/{wanted['oid']}"
            wanted["actions"] = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
    return Answer(200, {"transfer": "basic", "objects": objects})


def _lfs_object(hub: HubServer, call: LoggedRequest, oid: str) -> Answer:
    """Take the content (PUT), or tell whether it is there as the client sent it (verify)."""
    if call.method == "PUT":
        hub.keep(call.body)
    size = len(call.body) if call.method == "PUT" else call.json["size"]
    right = len(hub.blobs.get(oid, b"")) == size
    return Answer(200, {}) if right else error(400, "The content is not what its name says")


def _commit(hub: HubServer, call: LoggedRequest, repo: Repo, revision: str) -> Answer:
    if revision not in repo.branches:
        raise error(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    (_, header), *lines = [(line["key"], line["value"]) for line in map(json.loads, call.body.splitlines())]
    head, changes = repo.at(revision), {}
    if not head.oid.startswith(header.get("parentCommit") or ""):
        raise error(412)
    # Deletions come first: a folder that is deleted and filled in one commit holds the new files only.
    for key, value in sorted(lines, key=lambda line: not line[0].startswith("deleted")):
        changes |= _change(hub, head, key, value)
    made = repo.commit(revision, call.token.user, header["summary"], header.get("description", ""), changes)
    url = f"{hub.url}/{repo.web}/commit/{made.oid}"
    return Answer(200, {"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""})


def _change(hub: HubServer, head: Commit, key: str, value: Mapping[str, str]) -> dict[str, Entry | None]:
    """Turn a line of a commit into paths with their new files, None for those that go."""
    path = value["path"]
    if key == "file":
        return {path: hub.keep(base64.b64decode(value["content"]))}
    if key == "lfsFile":
        if value["oid"] not in hub.blobs:
            raise error(400, f"LFS pointer pointed to a file that does not exist: {path}")
        return {path: hub.keep(hub.blobs[value["oid"]], lfs=True)}
    folder = f"{path.rstrip('/')}/" if key == "deletedFolder" else None
    gone = [file for file in head.files if (file.startswith(folder) if folder else file == path)]
    if not gone:
        raise error(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
    return dict.fromkeys(gone)


def _super_squash(hub: HubServer, call: LoggedRequest, repo: Repo, branch: str) -> Answer:
    """Make the branch one commit; those that no branch reaches any more are gone for good."""
    files = repo.at(branch).files
    del repo.branches[branch]
    repo.commit(branch, call.token.user, call.json["message"], "", files)
    kept = [commit for name in repo.branches for commit in repo.history(repo.at(name))]
    repo.snapshots = {commit.oid: commit for commit in kept}
    return Answer(200, {})


def _resolve(hub: HubServer, call: LoggedRequest, repo: Repo, revision: str, path: str) -> Answer:
    commit = repo.at(revision)
    if not (entry := commit.files.get(path)):
        raise error(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit.oid)
    etag, data = f'"{entry.sha256 if entry.lfs else entry.oid}"', hub.blobs[entry.sha256]
    seen = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", "ETag": etag, "Content-Type": "binary/octet-stream"}
    if entry.lfs:
        seen |= {"X-Linked-ETag": etag, "X-Linked-Size": str(entry.size)}
    if not (asked := re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("range", ""))):
        return Answer(200, data, seen)
    first = int(asked[1]) if asked[1] else max(0, len(data) - int(asked[2]))
    last = min(int(asked[2]), len(data) - 1) if asked[1] and asked[2] else len(data) - 1
    if first > last:
        raise error(416, Content_Range=f"bytes */{len(data)}")
    return Answer(206, data[first : last + 1], {**seen, "Content-Range": f"bytes {first}-{last}/{len(data)}"})


# Raw paths: names and revisions may hold %2F, so that they are unquoted only after the match.
_API = "/api/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)"
_WEB = "/(?:(?P<kind>datasets|spaces)/)?(?P<name>[^/]+/[^/]+?)"
_REVISION = "/(?P<revision>[^/]+)"
_ROUTES = (
    ("GET", "/api/whoami-v2", "", _whoami),
    ("POST", "/api/repos/(?P<verb>create)", "", create_or_delete),
    ("DELETE", "/api/repos/(?P<verb>delete)", "", create_or_delete),
    ("POST", "/api/validate-yaml", "", _validate_yaml),
    ("GET", f"{_API}(?:/revision{_REVISION})?", "read", _info),
    ("GET", f"{_API}/tree{_REVISION}(?:/(?P<path>.*))?", "read", _tree),
    ("POST", f"{_API}/paths-info{_REVISION}", "read", _paths_info),
    ("GET", f"{_API}/commits{_REVISION}", "read", _commits),
    ("GET", f"{_API}/refs", "read", _refs),
    ("GET", f"{_API}/auth-check", "read", lambda *_, **__: Answer(200, {})),
    ("GET", f"{_API}/auth-check/write", "write", lambda *_, **__: Answer(200, {})),
    ("PUT", f"{_API}/settings", "write", _settings),
    ("POST", f"{_API}/preupload{_REVISION}", "write", _preupload),
    ("POST", f"{_API}/commit{_REVISION}", "write", _commit),
    ("POST", f"{_API}/super-squash/(?P<branch>[^/]+)", "write", _super_squash),
    ("POST", rf"{_WEB}\.git/info/lfs/objects/batch", "write", _lfs_batch),
    ("PUT POST", "/lfs/(?P<oid>[0-9a-f]{64})(?:/verify)?", "", _lfs_object),
    ("HEAD GET", f"{_WEB}/resolve{_REVISION}/(?P<path>.+)", "read", _resolve),
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A burst of connections waits in the backlog; the default of 5 would refuse some.
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], hub: HubServer) -> None:
        self.hub, self.stopping = hub, threading.Event()
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: socket.socket, client_address: object) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """Cut what clients keep open; a stopped server would serve on there."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent where the client has left; anything else is a mistake in this file."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            return  # whoever died in the middle of a request has asked for nothing
        call = LoggedRequest(self.command, path, parse_qs(query), headers, body)
        try:
            self._answer(self.server.hub, call)
        except (_Gone, OSError):
            call.lost = self.close_connection = True
            call.ended = time.time()
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self, hub: HubServer, call: LoggedRequest) -> None:
        fault = hub.next_fault(call)
        if fault.drop != "after":
            self._pause(fault.hang)
        if fault.drop == "before":
            raise _Gone
        answer = fault.answer() if fault.status else hub.handle(call, self.server.stopping)
        call.status, call.ended = answer.status, time.time()
        if fault.drop == "after":
            self._pause(fault.hang)
            raise _Gone
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value.encode("ascii", "replace").decode().replace("\n", " "))
        self.end_headers()
        body = b"" if self.command == "HEAD" else answer.body
        self.wfile.write(body[: len(body) // 2] if fault.drop == "cut" else body)
        if fault.drop == "cut":
            raise _Gone

    def _pause(self, seconds: float) -> None:
        """Wait, but no longer than the client does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.server.stopping.wait(min(left, 0.02)):
                raise _Gone
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise _Gone
