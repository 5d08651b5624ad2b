"""What the Hub of the tests answers to each request, as huggingface_hub and datasets ask."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

import yaml

from tests.hub_model import Answer, Commit, Entry, LoggedRequest, Repo, error

if TYPE_CHECKING:
    from tests.hub_server import HubServer


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
ROUTES = (
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
