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

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from urllib.parse import unquote

from tests.hub_model import Answer, Commit, Entry, Fault, Gone, LoggedRequest, Repo, Token, error
from tests.hub_routes import ROUTES
from tests.hub_socket import HubSocket


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
        self._http: HubSocket | None = None

    def start(self) -> HubServer:
        self._http = HubSocket(("127.0.0.1", self.port), self)
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
                raise Gone
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
        for methods, pattern, needs, function in (*self.more_routes, *ROUTES):
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
