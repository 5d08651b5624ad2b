"""The loopback Hub behaves as the real one, seen through the real huggingface_hub and datasets over a socket."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    constants,
)
from huggingface_hub import errors as hub_errors
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils import set_client_factory
from huggingface_hub.utils._http import default_client_factory

from tests.hub_server import HubServer, Token

VOTES = "team/votes"


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """Xet and the once-a-day look-up would leave the loopback; the package read its environment long ago."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)


@pytest.fixture
def impatient():
    """A client that gives up after half a second; the package's own waits for ever."""
    set_client_factory(lambda: httpx2.Client(timeout=0.5, follow_redirects=True))
    yield
    set_client_factory(default_client_factory)


@pytest.fixture
def hub():
    tokens = {"hf_write": "write", "hf_read": "read", "hf_other": Token("other", orgs=("club",))}
    with HubServer(tokens=tokens) as server:
        server.add_repo(VOTES, private=True)
        yield server


@pytest.fixture
def api(hub):
    return client(hub)


def client(hub, token="hf_write"):
    return HfApi(endpoint=hub.url, token=token)


def add(path, content):
    return CommitOperationAdd(path, content)


def commit(api, *operations, title="Votes", **options):
    return api.create_commit(VOTES, operations, commit_message=title, repo_type="dataset", **options)


def status_of(call, *args, **options):
    with pytest.raises(hub_errors.HfHubHTTPError) as caught:
        call(*args, **options)
    return caught.value.response.status_code


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_tokens_have_a_name_and_a_role(hub, api):
    assert (api.whoami()["name"], api.whoami()["auth"]["accessToken"]["role"]) == ("team", "write")
    assert client(hub, "hf_read").whoami()["auth"]["accessToken"]["role"] == "read"
    assert [org["name"] for org in client(hub, "hf_other").whoami()["orgs"]] == ["club"]
    assert status_of(client(hub, "hf_wrong").whoami) == 401
    assert status_of(client(hub, "hf_wrong").dataset_info, VOTES) == 401


def test_only_a_write_token_of_the_namespace_writes(hub, api):
    assert status_of(commit, client(hub, "hf_read"), add("a.jsonl", b"1")) == 403
    assert status_of(client(hub, "hf_read").create_repo, "team/new", repo_type="dataset") == 403
    assert status_of(api.create_repo, "club/new", repo_type="dataset") == 403
    client(hub, "hf_other").create_repo("club/new", repo_type="dataset")
    assert (
        status_of(api.upload_file, path_or_fileobj=b"1", path_in_repo="a", repo_id="club/new", repo_type="dataset")
        == 403
    )
    assert sorted(hub.repos) == ["datasets/club/new", "datasets/team/votes"]
    assert list(hub.files(VOTES)) == [".gitattributes"]


def test_a_private_repository_is_hidden_from_strangers_until_it_is_public(hub, api):
    for stranger in (client(hub, "hf_other"), client(hub, False)):
        with pytest.raises(hub_errors.RepositoryNotFoundError):
            stranger.dataset_info(VOTES)
        with pytest.raises(hub_errors.RepositoryNotFoundError):
            commit(stranger, add("a.jsonl", b"1"))
        assert not stranger.repo_exists(VOTES, repo_type="dataset")
    assert client(hub, "hf_read").dataset_info(VOTES).private
    api.update_repo_settings(VOTES, repo_type="dataset", private=False)
    assert client(hub, False).dataset_info(VOTES).private is False
    assert status_of(commit, client(hub, "hf_other"), add("a.jsonl", b"1")) == 403
    assert status_of(commit, client(hub, False), add("a.jsonl", b"1")) == 401


def test_auth_check_tells_reading_from_writing(hub, api):
    api.auth_check(VOTES, repo_type="dataset", write=True)
    client(hub, "hf_read").auth_check(VOTES, repo_type="dataset")
    assert status_of(client(hub, "hf_read").auth_check, VOTES, repo_type="dataset", write=True) == 403
    with pytest.raises(hub_errors.RepositoryNotFoundError):
        client(hub, "hf_other").auth_check(VOTES, repo_type="dataset")


def test_repositories_are_made_once_and_deleted(hub, api):
    made = api.create_repo("team/pairs", repo_type="dataset", private=True)
    assert (made.repo_id, made.repo_type, hub.repo("team/pairs").private) == ("team/pairs", "dataset", True)
    assert status_of(api.create_repo, "team/pairs", repo_type="dataset") == 409
    assert api.create_repo("team/pairs", repo_type="dataset", exist_ok=True) == made
    assert api.create_repo("pairs").repo_id == "team/pairs"
    assert api.model_info("team/pairs").private is False
    api.delete_repo("team/pairs", repo_type="dataset")
    api.delete_repo("team/pairs", repo_type="dataset", missing_ok=True)
    with pytest.raises(hub_errors.RepositoryNotFoundError):
        api.delete_repo("team/pairs", repo_type="dataset")
    assert sorted(hub.repos) == ["datasets/team/votes", "models/team/pairs"]


def test_one_commit_adds_copies_and_deletes(hub, api, tmp_path):
    big = tmp_path / "big.parquet"
    big.write_bytes(b"PAR1" * 5000)
    commit(api, add("old/a.jsonl", b"a"), add("old/b.jsonl", b"b"), add("gone.txt", b"g"), add("big.parquet", str(big)))
    made = commit(
        api,
        add("votes/ü 1.jsonl", b'{"v": 1}\n'),
        add("votes/2.parquet", io.BytesIO(b"two")),
        CommitOperationCopy("big.parquet", "copy.parquet"),
        CommitOperationDelete("gone.txt"),
        CommitOperationDelete("old/"),
        title="Many",
        commit_description="At once",
    )
    files = {"big.parquet": big.read_bytes(), "copy.parquet": big.read_bytes(), "votes/2.parquet": b"two"}
    files["votes/ü 1.jsonl"] = b'{"v": 1}\n'
    assert {path: data for path, data in hub.files(VOTES).items() if path != ".gitattributes"} == files
    last = hub.commits(VOTES)[-1]
    assert (last.oid, last.title, last.message, last.user) == (made.oid, "Many", "At once", "team")
    assert sorted(last.added) == ["copy.parquet", "votes/2.parquet", "votes/ü 1.jsonl"]
    assert sorted(last.deleted) == ["gone.txt", "old/a.jsonl", "old/b.jsonl"]
    assert last.parent == hub.commits(VOTES)[-2].oid and time.time() - 60 < last.time <= time.time()
    puts = [request for request in hub.requests if request.method == "PUT"]
    assert [(len(put.body), put.authorized) for put in puts] == [(20000, False), (3, False)]


def test_an_unchanged_file_makes_no_commit(hub, api):
    first = commit(api, add("a.jsonl", b"1"), add("b.parquet", b"2"))
    hub.requests.clear()
    assert commit(api, add("a.jsonl", b"1"), add("b.parquet", b"2")).oid == first.oid
    assert not [request for request in hub.requests if "/commit/" in request.path or request.method == "PUT"]
    commit(api, add("a.jsonl", b"1"), add("b.parquet", b"3"))
    assert hub.commits(VOTES)[-1].added == ("b.parquet",)


def test_a_stale_parent_is_refused(hub, api):
    seen = api.dataset_info(VOTES).sha
    theirs = hub.commit_by_others(VOTES, {"theirs.jsonl": b"1", "theirs.parquet": b"2"})
    assert status_of(commit, api, add("mine.jsonl", b"1"), parent_commit=seen) == 412
    commit(api, add("mine.jsonl", b"1"), parent_commit=theirs[:8])
    assert set(hub.files(VOTES)) == {".gitattributes", "mine.jsonl", "theirs.jsonl", "theirs.parquet"}
    hub.commit_by_others(VOTES, {"theirs.jsonl": None})
    assert [one.user for one in hub.commits(VOTES)] == ["team", "others", "team", "others"]


def test_wrong_commits_are_refused(hub, api):
    with pytest.raises(hub_errors.RemoteEntryNotFoundError, match="trailing '/'"):
        commit(api, CommitOperationDelete("missing.jsonl"))
    with pytest.raises(ValueError, match="Invalid metadata"):
        commit(api, add("README.md", b"---\nconfigs: [\n---\n"))
    with pytest.warns(UserWarning, match="empty or missing yaml"):
        commit(api, add("README.md", b"# Votes"))
    with pytest.raises(hub_errors.RevisionNotFoundError):
        commit(api, add("a.jsonl", b"1"), revision="nowhere")
    assert len(hub.commits(VOTES)) == 2


def test_eight_writers_who_start_again_lose_nothing(hub, api):
    ready = threading.Barrier(8)

    def write(number):
        for tries in range(1, 100):
            head = api.dataset_info(VOTES).sha
            if tries == 1:
                ready.wait(10)  # all have seen the same head, so that seven must be refused
            log = hub.files(VOTES, head).get("log.txt", b"")
            try:
                mine = [add(f"votes/{number}.jsonl", b"%d" % number), add("log.txt", log + b"%d\n" % number)]
                commit(api, *mine, title=str(number), parent_commit=head)
            except hub_errors.HfHubHTTPError as refused:
                assert refused.response.status_code == 412
            else:
                return tries
        raise AssertionError("never got through")

    with ThreadPoolExecutor(8) as pool:
        tries = list(pool.map(write, range(8)))
    assert sum(tries) >= 8 + 7
    assert sorted(hub.files(VOTES)["log.txt"].split()) == sorted(b"%d" % number for number in range(8))
    assert [one.title for one in hub.commits(VOTES)[1:]] == hub.files(VOTES)["log.txt"].decode().split()


def test_trees_and_commits_come_in_pages(hub, api):
    hub.commit_by_others(VOTES, {f"data/{number:02}/{part}.jsonl": b"1" for number in range(6) for part in "ab"})
    for number in range(4):
        hub.commit_by_others(VOTES, {"data/00/a.jsonl": b"%d" % number}, title=str(number))
    hub.page_size = 5
    paths = [item.path for item in api.list_repo_tree(VOTES, repo_type="dataset", recursive=True)]
    assert len(paths) == len(set(paths)) == 1 + 1 + 6 + 12
    assert len([request for request in hub.requests if "/tree/" in request.path]) == 4
    below = api.list_repo_tree(VOTES, "data/05", repo_type="dataset")
    assert [item.path for item in below] == ["data/05/a.jsonl", "data/05/b.jsonl"]
    top = list(api.list_repo_tree(VOTES, repo_type="dataset"))
    assert [(type(item), item.path) for item in top] == [(RepoFile, ".gitattributes"), (RepoFolder, "data")]
    file = next(iter(api.list_repo_tree(VOTES, "data/00", repo_type="dataset", expand=True)))
    assert (file.size, file.last_commit.title) == (1, "3")
    titles = [one.title for one in api.list_repo_commits(VOTES, repo_type="dataset")]
    assert titles == ["3", "2", "1", "0", "By others", "initial commit"]
    with pytest.raises(hub_errors.RemoteEntryNotFoundError):
        list(api.list_repo_tree(VOTES, "missing", repo_type="dataset"))


def test_a_revision_is_read_as_it_was(hub, api, tmp_path):
    before = hub.commit_by_others(VOTES, {"a b/1.jsonl": b"old", "x.parquet": b"0123456789"})
    after = hub.commit_by_others(VOTES, {"a b/1.jsonl": b"new"})
    hub.repo(VOTES).branches["refs/pr/1"] = before

    def read(path, revision=None):
        found = api.hf_hub_download(VOTES, path, repo_type="dataset", revision=revision, cache_dir=tmp_path)
        assert (before if revision else after) in found
        return Path(found).read_bytes()

    assert [read("a b/1.jsonl"), read("a b/1.jsonl", before), read("a b/1.jsonl", "refs/pr/1")] == [
        b"new",
        b"old",
        b"old",
    ]
    assert read("x.parquet") == b"0123456789"
    assert [item.path for item in api.list_repo_tree(VOTES, "a b", revision="refs/pr/1", repo_type="dataset")] == [
        "a b/1.jsonl"
    ]
    assert [ref.name for ref in api.list_repo_refs(VOTES, repo_type="dataset").branches] == ["main", "refs/pr/1"]
    assert api.dataset_info(VOTES, revision=before, files_metadata=True).siblings[-1].lfs.size == 10
    assert api.revision_exists(VOTES, before, repo_type="dataset")
    assert not api.revision_exists(VOTES, "nowhere", repo_type="dataset")
    assert api.file_exists(VOTES, "x.parquet", repo_type="dataset")
    assert not api.file_exists(VOTES, "y.parquet", repo_type="dataset")
    known = api.get_paths_info(VOTES, ["x.parquet", "a b", "missing"], repo_type="dataset")
    assert [item.path for item in known] == ["x.parquet", "a b"]
    with pytest.raises(hub_errors.RemoteEntryNotFoundError):
        read("missing")
    folder = api.snapshot_download(VOTES, repo_type="dataset", local_dir=tmp_path / "all", allow_patterns="*.jsonl")
    assert os.listdir(f"{folder}/a b") == ["1.jsonl"]


def test_ranges_are_served(hub):
    hub.repo(VOTES).private = False
    hub.commit_by_others(VOTES, {"x.parquet": b"0123456789"})
    url = f"{hub.url}/datasets/{VOTES}/resolve/main/x.parquet"
    for asked, content in (("2-4", b"234"), ("7-", b"789"), ("-2", b"89"), ("8-99", b"89")):
        answer = httpx2.get(url, headers={"Range": f"bytes={asked}"})
        assert (answer.status_code, answer.content) == (206, content)
    assert httpx2.get(url, headers={"Range": "bytes=10-"}).status_code == 416
    head = httpx2.head(url)
    assert (head.headers["Content-Length"], head.headers["X-Linked-Size"], head.content) == ("10", "10", b"")
    assert len(head.headers["X-Repo-Commit"]) == 40 and len(head.headers["ETag"]) == 66


def test_folders_and_the_file_system_work(hub, api, tmp_path):
    for name in ("a.jsonl", "b.jsonl", "c.tmp"):
        (tmp_path / name).write_text(name)
    hub.commit_by_others(VOTES, {"votes/old.jsonl": b"1", "votes/old.parquet": b"2"})
    patterns = {"ignore_patterns": "*.tmp", "delete_patterns": "*.jsonl"}
    api.upload_folder(repo_id=VOTES, repo_type="dataset", folder_path=tmp_path, path_in_repo="votes", **patterns)
    expected = ["votes/a.jsonl", "votes/b.jsonl", "votes/old.parquet"]
    assert sorted(hub.files(VOTES))[1:] == expected
    files = HfFileSystem(endpoint=hub.url, token="hf_write", skip_instance_cache=True)
    place = f"datasets/{VOTES}/votes"
    assert files.ls(place, detail=False) == [f"datasets/{VOTES}/{path}" for path in expected]
    assert files.glob(f"{place}/*.jsonl") == [f"{place}/a.jsonl", f"{place}/b.jsonl"]
    assert files.cat_file(f"{place}/a.jsonl", start=2, end=4) == b"js"
    with files.open(f"{place}/d.jsonl", "wb") as file:
        file.write(b"new")
    assert hub.files(VOTES)["votes/d.jsonl"] == b"new"


def test_super_squash_keeps_the_files_and_forgets_the_past(hub, api):
    before = hub.commit_by_others(VOTES, {"a.jsonl": b"1"})
    files = hub.files(VOTES)
    api.super_squash_history(VOTES, repo_type="dataset", commit_message="Squashed")
    assert hub.files(VOTES) == files
    assert [one.title for one in hub.commits(VOTES)] == ["Squashed"]
    assert not api.revision_exists(VOTES, before, repo_type="dataset")


@pytest.mark.parametrize("status", [401, 403, 404, 409, 412, 429, 500, 503])
def test_an_error_on_the_commit_is_raised_at_once(hub, api, status):
    hub.fail(path="/commit/", method="POST", status=status, retry_after=7, message="Not now")
    with pytest.raises(hub_errors.HfHubHTTPError) as caught:
        commit(api, add("a.jsonl", b"1"))
    response = caught.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (status, "7")
    assert response.headers["X-Error-Message"] == "Not now"
    assert len(hub.commits(VOTES)) == 1
    commit(api, add("a.jsonl", b"1"))
    assert [request.status for request in hub.requests if "/commit/" in request.path] == [status, 200]


@pytest.mark.parametrize(("drop", "commits"), [("before", 1), ("after", 2), ("cut", 2)])
def test_a_dropped_commit_was_made_only_if_it_was_handled(hub, api, drop, commits):
    hub.fail(path="/commit/", drop=drop)
    with pytest.raises(httpx2.RemoteProtocolError):
        commit(api, add("a.jsonl", b"1"))
    assert len(hub.commits(VOTES)) == commits
    assert hub.requests[-1].lost and hub.requests[-1].ended


@pytest.mark.parametrize(("drop", "commits"), [("", 1), ("after", 2)])
def test_a_commit_whose_client_gave_up_was_made_only_if_it_was_handled(hub, api, impatient, drop, commits):
    hub.fail(times=None, path="/commit/", hang=5, drop=drop)
    with pytest.raises(httpx2.ReadTimeout):
        commit(api, add("a.jsonl", b"1"))
    until(lambda: hub.requests[-1].lost)
    assert len(hub.commits(VOTES)) == commits
    hub.heal()
    commit(api, add("b.jsonl", b"1"))


def test_a_short_hang_only_delays(hub, api):
    hub.fail(path="/commit/", hang=0.3)
    started = time.monotonic()
    commit(api, add("a.jsonl", b"1"))
    assert 0.3 <= time.monotonic() - started < 5


def test_the_client_itself_retries_what_comes_before_the_commit(hub, api):
    hub.fail(path="/preupload/", status=503)
    hub.fail(path="objects/batch", drop="cut")
    commit(api, add("a.parquet", b"1"))
    assert [request.status for request in hub.requests if "/preupload/" in request.path] == [503, 200]
    assert [request.lost for request in hub.requests if "objects/batch" in request.path] == [True, False]


def test_a_download_that_is_cut_is_started_again(hub, api, tmp_path):
    content = bytes(range(256)) * 400
    hub.commit_by_others(VOTES, {"a.bin": content})
    hub.fail(method="GET", path="/resolve/", drop="cut")
    found = api.hf_hub_download(VOTES, "a.bin", repo_type="dataset", cache_dir=tmp_path)
    assert Path(found).read_bytes() == content
    gets = [request for request in hub.requests if request.method == "GET" and "/resolve/" in request.path]
    assert [(get.status, get.lost) for get in gets] == [(200, True), (200, False)]


def test_a_hub_that_was_down_comes_back_with_its_content(hub, api):
    commit(api, add("a.jsonl", b"1"))
    url = hub.url
    hub.stop()
    with pytest.raises(httpx2.TransportError):
        api.whoami()
    hub.start()
    assert (hub.url, hub.files(VOTES)["a.jsonl"]) == (url, b"1")
    commit(api, add("b.jsonl", b"1"))
    hub.stop()
    hub.start()
    # The client keeps a connection of the stopped server, and this call, which it never retries, sees that it is cut.
    assert api.whoami()["name"] == "team"
    assert len(hub.commits(VOTES)) == 3


def test_half_a_request_does_nothing(hub, api):
    head = f"POST /api/datasets/{VOTES}/commit/main HTTP/1.1\r\nAuthorization: Bearer hf_write\r\nContent-Length: 999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", hub.port)) as connection:
        connection.sendall(head.encode() + b'{"key": "header", "value": {"summary": "half"}}\n')
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert len(hub.commits(VOTES)) == 1


def test_stopping_does_not_wait_for_those_who_hang(hub, api):
    hub.fail(path="/commit/", hang=20)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(commit, api, add("a.jsonl", b"1"))
        until(lambda: any("/commit/" in request.path for request in hub.requests))
        started = time.monotonic()
        hub.stop()
        with pytest.raises(httpx2.TransportError):
            waiting.result(5)
    assert time.monotonic() - started < 5
    assert len(hub.commits(VOTES)) == 1


DATASETS = """
import json
from datasets import Dataset, load_dataset
from datasets.exceptions import DatasetNotFoundError
first = Dataset.from_dict({"vote": [1, 2, 3], "text": ["a", "b", "ü"]})
sha = first.push_to_hub("team/pushed", private=True).oid
first.push_to_hub("team/pushed", split="test", num_shards=2)
Dataset.from_dict({"vote": [4], "text": ["d"]}).push_to_hub("team/pushed")
first.push_to_hub("team/pushed", config_name="other")
said = {"old": load_dataset("team/pushed", revision=sha)["train"].to_list()}
said["new"] = {split: part.num_rows for split, part in load_dataset("team/pushed").items()}
said["other"] = load_dataset("team/pushed", "other", split="train").num_rows
jsonl = load_dataset("team/votes")
said["jsonl"] = jsonl["train"].to_list()
said["streamed"] = list(load_dataset("team/votes", split="train", streaming=True))
try:
    load_dataset("team/missing")
except DatasetNotFoundError:
    said["missing"] = True
print(json.dumps(said))
"""


def test_datasets_pushes_and_loads(hub, tmp_path):
    rows = [{"id": number, "winner": "ab"[number % 2]} for number in range(4)]
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    parts = {"votes/0.jsonl": b"".join(lines[:2]), "votes/1.jsonl": b"".join(lines[2:])}
    card = b"---\nconfigs:\n- config_name: default\n  data_files: votes/*.jsonl\n---\n"
    hub.commit_by_others(VOTES, {**parts, "README.md": card})
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    places = {"HF_HOME": str(tmp_path / "home"), "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    switches = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    environment = {**kept, **places, **switches, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_write"}
    command = [sys.executable, "-c", DATASETS]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["old"] == [{"vote": vote, "text": text} for vote, text in ((1, "a"), (2, "b"), (3, "ü"))]
    assert (said["jsonl"], said["streamed"], said["missing"]) == (rows, rows, True)
    assert (said["new"], said["other"]) == ({"train": 1, "test": 3}, 3)
    assert hub.repo("team/pushed").private
    pushed = [path for path in hub.files("team/pushed") if path.endswith(".parquet")]
    shards = ("test-00000-of-00002", "test-00001-of-00002", "train-00000-of-00001")
    assert sorted(pushed) == [*(f"data/{shard}.parquet" for shard in shards), "other/train-00000-of-00001.parquet"]
    assert not [request for request in hub.requests if "xet" in request.path]
