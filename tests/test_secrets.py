"""Keys and tokens are planted wherever they can get in, and then every byte that has left is searched for them."""

import base64
import gzip
import io
import json
import time
from urllib.parse import quote

import pyarrow.parquet
import pytest

from pipeline.backup import REMOVED, Backup
from pipeline.records import Split
from pipeline.settings import Settings
from pipeline.store import open_store
from tests.hub_server import HubServer
from tests.material import add_manual, reviewable
from tests.openai_server import OpenAIServer
from tests.recorder import Recorder
from tests.servers import QuickApp
from tests.visitor import Refused, Visitor
from tests.workspace import add_comparison, add_model, open_workspace

REPO = "team/feedback"
# With characters that JSON, HTML and addresses write differently. A name has room for 40 characters.
KEY, TOKEN = 'sk-marked-"key"/\\<0123456789', "hf_marked_token_9876543210"
COOKIE = "c00c1e" + "5a" * 29
SECRETS = (KEY, TOKEN, COOKIE)


def forms(secret):
    """Return a secret as it is and as others may write it."""
    html = secret.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    packed = base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]
    found = {secret, json.dumps(secret)[1:-1], html, quote(secret), quote(secret, safe=""), packed, repr(secret)[1:-1]}
    return {form.encode() for form in found}


def assert_clean(what, data):
    for secret in SECRETS:
        for form in forms(secret):
            place = data.find(form)
            assert place < 0, f"{what}: {data[max(0, place - 80) : place + 80]!r}"


@pytest.fixture
def home(tmp_path):
    """A workspace into which somebody has put the key and the token by name, document, query and metadata."""
    services = open_workspace(tmp_path / "home")
    reviewable(services, tmp_path)
    add_manual(services, tmp_path, f"# Zebra\n\nZebras use {KEY} and {TOKEN}.\n", "zebra.md")
    document = services.library.summaries()[-1]
    with services.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE documents SET name = ? WHERE id = ?", (f"{KEY}.md", document.id))
    services.store.queries.add_set(f"List {TOKEN}", [(f"Why is {KEY} no good?", Split.TRAIN, {f"col {KEY}": TOKEN})])
    add_comparison(services, (add_model(services, "one"), add_model(services, "two")), [("A.", f"Use {KEY}.")] * 3)
    services.close()
    return tmp_path / "home"


def ask(visitor, query, model):
    """Ask; return what was shown, whether an answer or a toast."""
    try:
        return json.dumps(visitor.call("ask", query, model))
    except Refused as error:
        return str(error)


def look_around(visitor, endpoint, hub):
    """Open what shows settings, states and errors, while the endpoint and the Hub repeat the secrets in theirs."""
    models = visitor.call("load_models", None)[0]
    chat = next(value for name, value in models["choices"] if name == "test-model")
    shown = [visitor.open(path).read().decode() for path in ("/", "/config", "/backup", "/healthz")]
    shown += [json.dumps(visitor.call(name)) for name in ("show_header", "show_environment", "show_storage")]
    shown.append(json.dumps(visitor.call("show_registry", None, None, None)))
    for fault in ({"status": 401, "message": f"Incorrect API key provided: {KEY}."}, {"status": 400, "message": KEY}):
        endpoint.fail(times=1, **fault)
        shown.append(ask(visitor, "When does the harbour office open?", chat))
    for status in (401, 500):
        hub.fail(times=None, path="/api/", message=f"Invalid token {TOKEN}", status=status)
        shown.append(json.dumps(visitor.call("sync_now")))
        shown += [visitor.open("/backup").read().decode(), json.dumps(visitor.call("show_storage"))]
        hub.heal()
    return "\n".join(shown), chat


def paste(visitor, chat):
    """Put the secrets into every field that a person types into."""
    both = f"I pasted {KEY} and {TOKEN} here"
    visitor.call("rename_person", event={"name": KEY})
    record = visitor.annotate("open")["card"]["id"]
    version = visitor.annotate("draft", record=record, values={"answer": f"{both}, a draft"})["version"]
    rated = {"query_rating": 4, "context_rating": 5, "answer": both}
    ended = visitor.annotate("end", action="submit", record=record, values=rated, version=version)
    visitor.annotate("draft", record=ended["card"]["id"], values={"answer": f"{both}, a draft that stays"})
    set_id = visitor.call("load_comparisons", None)[0]["value"]
    pair = visitor.call("show_next", set_id)[0]
    visitor.call("vote_a", set_id, pair, None, both, f"{both}, corrected", "")
    assert "Zebra" in ask(visitor, f"Do zebras use {KEY}? {both}", chat)


def synced(visitor, seconds=30.0):
    """Have everything sent, the tables too."""
    deadline = time.monotonic() + seconds
    visitor.call("sync_now")
    while (said := json.loads(visitor.open("/backup").read()))["kind"] != "backed_up":
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def readable(data):
    """Return a file's bytes with what is packed in it unpacked."""
    if data[:4] == b"PAR1":
        table = pyarrow.parquet.read_table(io.BytesIO(data))
        return data + repr(table.to_pylist()).encode() + repr(table.schema).encode()
    if data[:2] == b"\x1f\x8b":
        return data + gzip.decompress(data)
    return data


def everything_sent(request):
    """Return a request to the Hub as bytes, without the one header that may hold the token."""
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    body = request.body
    if "/commit/" in request.path:
        lines = [json.loads(line) for line in body.splitlines()]
        files = [line["value"]["content"] for line in lines if line["key"] == "file"]
        body += b"".join(readable(base64.b64decode(content)) for content in files)
    return f"{request.method} {request.path} {request.query} {headers}\n".encode() + readable(body)


def test_no_secret_leaves_in_a_single_byte(home, tmp_path):
    with OpenAIServer(api_key=KEY) as endpoint, HubServer(tokens={TOKEN: "write"}) as hub:
        settings = {"OPENAI_BASE_URL": endpoint.base_url, "OPENAI_API_KEY": KEY, "OPENAI_MODEL": "test-model"}
        settings |= {
            "PAIRLOOP_DATASET_REPO": REPO,
            "HF_TOKEN": TOKEN,
            "HF_ENDPOINT": hub.url,
            "PAIRLOOP_SYNC_SECONDS": "1",
        }
        settings |= {"PAIRLOOP_DATA_DIR": str(tmp_path / "volume"), "PAIRLOOP_EXAMPLE": "0", "PAIRLOOP_TOP_K": "1"}
        settings |= {"PAIRLOOP_PUBLISH_NAMES": "1"}
        with QuickApp(home, **settings) as app, Recorder(app.port) as recorder:
            visitor = Visitor(recorder.url, COOKIE)
            shown, chat = look_around(visitor, endpoint, hub)
            answers = recorder.sent
            paste(visitor, chat)
            synced(Visitor(app.url))
            assert app.stop(timeout=10) == 0
        # What was planted did get there: the endpoint and the Hub were spoken to, and what they said was shown.
        for words in ("Invalid token", "HF_TOKEN", "did not accept the key (401)", "refused the request (400)"):
            assert words in shown
        assert {request.headers["authorization"] for request in hub.requests if request.authorized} == {
            f"Bearer {TOKEN}"
        }
        assert {call.headers.get("authorization") for call in endpoint.chats} == {f"Bearer {KEY}"}
        assert_clean("what the app has answered", answers)
        assert_clean("the log", app.log.read_bytes())
        for request in hub.requests:
            assert_clean(f"{request.method} {request.path}", everything_sent(request))
        check_kept(hub, tmp_path)
    check_file(home, tmp_path)


def check_kept(hub, tmp_path):
    """Search the repo, with its history, and the folder."""
    for blob in hub.blobs.values():
        assert_clean("a file of the repo", readable(blob))
    for commit in hub.commits(REPO):
        assert_clean("a commit", repr(commit).encode())
    files = hub.files(REPO)
    for name in ("documents", "queries", "completions", "responses", "votes", "comparisons", "sft", "preferences"):
        table = readable(files[f"data/{name}/train-00000-of-00001.parquet"])
        assert REMOVED.encode() in table, f"nothing was taken out of {name}: it was not planted there"
    journals = [data for path, data in files.items() if path.startswith("journal/")]
    assert any(REMOVED.encode() in data for data in journals)
    kept = [path for path in (tmp_path / "volume").rglob("*") if path.is_file()]
    assert any(REMOVED.encode() in path.read_bytes() for path in kept)
    for path in kept:
        assert_clean(str(path), path.name.encode() + path.read_bytes())


def check_file(home, tmp_path):
    """Search the workspace file; the store itself keeps what people typed, and never the keys that it was not given."""
    store = open_store(home / "pairloop.db")
    chosen = Settings(home=home, openai_api_key=KEY, hf_token=TOKEN)
    Backup(store, chosen).write_file(tmp_path / "workspace.jsonl.gz")
    store.close()
    data = readable((tmp_path / "workspace.jsonl.gz").read_bytes())
    assert REMOVED.encode() in data
    assert_clean("the workspace file", data)
    assert COOKIE.encode() not in b"".join(path.read_bytes() for path in home.glob("pairloop.db*"))
