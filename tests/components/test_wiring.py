"""The app as Gradio has it: which listeners there are, what is open to the outside, and that it can be built again."""

import ast
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import app
from tests.material import TRAIN, open_copy
from tests.openai_server import OpenAIServer
from tests.people import Served
from tests.visitor import Refused, Visitor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def running(prepared, tmp_path_factory):
    """The app, on a real port."""
    running = Served(open_copy(prepared, tmp_path_factory.mktemp("served") / "home"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def built(running):
    return running.screens


@pytest.fixture(scope="module")
def config(built):
    return built.get_config_file()


@pytest.fixture(scope="module")
def listeners(config):
    assert len(config["dependencies"]) > 50
    return config["dependencies"]


@pytest.fixture(scope="module")
def client(running):
    return TestClient(running.mounted, base_url="http://127.0.0.1")


@pytest.fixture(scope="module")
def served(running):
    """The address of the app, and its services."""
    return running.url, running.services


# The listeners that are made for programs, see components/api/client.py.
PUBLIC = {
    "ask_documents", "list_datasets", "import_records", "next_task", "submit_response", "list_comparisons",
    "next_comparison", "ask_comparison", "vote", "take_back_vote", "reveal", "results",
}  # fmt: skip


def test_no_listener_is_public_but_those_for_programs(listeners):
    assert {listener["api_name"] for listener in listeners if listener["api_visibility"] != "private"} == PUBLIC


def test_the_list_of_endpoints_that_is_served_has_no_others(client):
    served = client.get("/gradio_api/info").json()
    assert (set(served["named_endpoints"]), served["unnamed_endpoints"]) == ({f"/{name}" for name in PUBLIC}, {})


def test_no_listener_waits_for_a_change_of_html(built, listeners):
    """Gradio tells of one whenever it draws the part anew, which the listener's own answer may make it do: that never ends."""
    waits = [
        (listener["api_name"], part)
        for listener in listeners
        for part, event in listener["targets"]
        if event == "change"
    ]
    assert waits
    assert [name for name, part in waits if built.blocks[part].get_block_name() == "html"] == []


def test_no_listener_is_followed_by_more_than_two_others(listeners):
    after = {listener["id"]: listener["trigger_after"] for listener in listeners}

    def links(listener_id):
        return 0 if after[listener_id] is None else 1 + links(after[listener_id])

    assert max(map(links, after)) <= 2


def test_what_follows_a_listener_runs_only_when_that_went_well(listeners):
    following = [listener for listener in listeners if listener["trigger_after"] is not None]
    assert following and all(listener["trigger_only_on_success"] for listener in following)


def test_every_listener_reads_and_writes_components_of_this_app(config, listeners):
    ids = {component["id"] for component in config["components"]}
    for listener in listeners:
        assert set(listener["inputs"]) | set(listener["outputs"]) <= ids


def test_handlers_give_as_many_values_as_their_listeners_show(built):
    checked = 0
    for function in built.fns.values():
        if function.fn is None:
            continue
        given = getattr(function.fn, "__annotations__", {}).get("return", "")
        shown = given.removeprefix("Iterator[").removesuffix("]")
        kind = getattr(sys.modules[function.fn.__module__], shown, None)
        if hasattr(kind, "_fields"):
            assert len(kind._fields) == len(function.outputs), function.fn.__name__
            checked += 1
    assert checked > 25


def test_nothing_about_models_queries_or_the_folder_is_in_the_page_before_somebody_acts(client):
    page = client.get("/").text + client.get("/config").text
    services_home = client.app.state.services.settings.home
    assert "extractive-base" not in page and str(services_home) not in page


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/monitoring", "/gradio_api/mcp/sse", "/gradio_api/run_history"])
def test_doors_that_nobody_needs_are_shut(client, path):
    assert client.get(path).status_code in (403, 404)


def test_files_of_the_machine_and_of_the_workspace_are_not_served(client):
    home = client.app.state.services.settings.home
    for path in ("/etc/passwd", str(ROOT / "app.py"), str(home / "pairloop.db"), "../../pairloop.db"):
        answer = client.get(f"/gradio_api/file={path}")
        assert answer.status_code in (403, 404) and "root:" not in answer.text


def test_a_file_over_the_limit_is_refused_while_it_is_uploaded(client):
    limit = client.app.state.services.settings.max_upload_mb * 1_000_000
    answer = client.post("/gradio_api/upload", files={"files": ("large.txt", b"x" * (limit + 1000))})
    assert answer.status_code == 413


def test_two_apps_can_be_built_in_one_process(config, empty):
    configs = config, app.build_app(empty).get_config_file()
    counts = [(len(config["components"]), len(config["dependencies"])) for config in configs]
    assert counts[0] == counts[1]


def test_components_have_ids_of_their_own(config):
    ids = [component["props"].get("elem_id") for component in config["components"]]
    named = [elem_id for elem_id in ids if elem_id]
    assert len(named) > 40 and len(named) == len(set(named))


def test_a_lambda_in_a_listener_only_sets_or_toggles_a_component():
    wired = set()
    for file in sorted((ROOT / "components").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "wire":
                wired.add(file.parent.name)
                lambdas = [found for found in ast.walk(node) if isinstance(found, ast.Lambda)]
                calls = [call for found in lambdas for call in ast.walk(found.body) if isinstance(call, ast.Call)]
                assert all(ast.unparse(call.func).startswith("gr.") for call in calls), file
    assert wired >= {"components", "ask", "compare", "edit", "results", "settings", "team", "tune"}


# What is shown once, by its field, and where one comes back to it.
ONCE = {
    "team-invite-new": {"team", "people"},
    "team-member-said": {"team", "people"},
    "team-workspaces-said": {"team", "workspaces"},
    "token-new": {"settings", "tokens"},
    "token-example": {"settings", "tokens"},
}


@pytest.mark.parametrize("field", ONCE)
def test_what_is_shown_once_is_gone_when_one_comes_back_to_its_panel_or_its_tab(config, listeners, field):
    parts = {part["id"]: part["props"] for part in config["components"]}
    (shown,) = (number for number, props in parts.items() if props.get("elem_id") == field)
    # The page itself empties it, and asks nobody.
    emptying = [entry for entry in listeners if entry["outputs"] == [shown] and not entry["backend_fn"] and entry["js"]]
    assert {entry["js"] for entry in emptying} == {"() => ''"}
    came = [(parts[number]["id"], event) for entry in emptying for number, event in entry["targets"]]
    assert set(came) == {(tab, "select") for tab in ONCE[field]}


# What a page asks for when its tabs are opened, with nothing chosen yet. Within a request Gradio's updates are not the
# components that a direct call of a handler gives back.
OPENED = {
    **dict.fromkeys(("show_header", "show_loop", "list_documents"), ()),
    "show_jobs": (None,),
    **dict.fromkeys(("show_storage", "show_environment"), ()),
    "show_registry": (None, None, None),
    "show_prompts": (None, None),
    **dict.fromkeys(("load_models", "show_run", "load_datasets", "show_next", "show_results"), (None,)),
    "show_data": (None, [], "sft", "", None, None),
    "load_comparisons": (None,),
    "open_comparisons": (None, ""),
    **dict.fromkeys(("load_choices", "load_choices_1"), (None, None)),
    "load_new": (None, None, None, []),
    "preview_new": (None, None, None, [], "prepared", "pairs", "end", "", 0, False),
}


@pytest.mark.parametrize("listener", OPENED)
def test_every_tab_opens_over_http_with_nothing_chosen(served, listener):
    url, _ = served
    assert Visitor(url).call(listener, *OPENED[listener])


def test_a_call_from_outside_is_done_under_the_name_of_its_cookie(served):
    url, services = served
    ada, bo = Visitor(url), Visitor(url)
    dataset = services.datasets.all()[0]
    ada.call("load_datasets", None)
    shown = ada.annotate("open", dataset=dataset.id)
    assert [text for text in TRAIN if text in str(shown)]
    record_id = services.store.datasets.record_ids(dataset.id)[0]
    ada.annotate("draft", record=record_id, values={"answer": "Ada's answer."})
    bo.annotate("draft", record=record_id, values={"answer": "Bo's answer."})
    people = {who: services.store.members.by_token(visitor.token) for who, visitor in (("Ada", ada), ("Bo", bo))}
    for who, member_id in people.items():
        assert services.store.responses.get(record_id, member_id).values["answer"] == f"{who}'s answer."


def test_a_call_without_a_cookie_is_refused_in_words_and_keeps_nothing(served):
    url, services = served
    dataset = services.datasets.all()[0]
    record_id = services.store.datasets.record_ids(dataset.id)[-1]
    for token in ("", "a" * 63):
        with pytest.raises(Refused, match="Allow cookies"):
            Visitor(url, token).annotate("draft", record=record_id, values={"answer": "Nobody's answer."})
    assert "Nobody" not in str(services.store.responses.of_dataset(dataset.id))


def test_an_error_that_nobody_foresaw_tells_nothing_of_the_inside(served):
    url, _ = served
    with pytest.raises(Refused) as refused:
        Visitor(url).call("ask", 5, ["no", "text"])
    assert "Traceback" not in str(refused.value) and "sqlite" not in str(refused.value)


@pytest.mark.parametrize("listener", ["add_files", "add_list"])
def test_a_file_of_the_server_is_not_taken_in_by_its_path(served, listener):
    url, services = served
    secret = services.settings.home / "secret.txt"
    secret.write_text("The secret word is xylophone.", encoding="utf-8")
    file = {"path": str(secret), "orig_name": "secret.txt", "meta": {"_type": "gradio.FileData"}}
    before = services.library.summaries(), services.query_lists.all()
    with pytest.raises(urllib.error.HTTPError) as refused:
        Visitor(url).call(listener, *([[file]] if listener == "add_files" else ["", file, "", True]))
    assert refused.value.code == 422
    assert (services.library.summaries(), services.query_lists.all()) == before


@pytest.mark.parametrize("listener", ["add_files", "add_list"])
def test_an_address_instead_of_a_file_is_not_fetched_by_the_server(served, listener):
    url, services = served
    with OpenAIServer() as inside:
        file = {"path": f"{inside.base_url}/models", "orig_name": "models.json", "meta": {"_type": "gradio.FileData"}}
        before = services.library.summaries(), services.query_lists.all()
        with pytest.raises(urllib.error.HTTPError) as refused:
            Visitor(url).call(listener, *([[file]] if listener == "add_files" else ["", file, "", True]))
        assert refused.value.code == 422 and inside.requests == []
    assert (services.library.summaries(), services.query_lists.all()) == before


def test_an_uploaded_file_is_taken_in(served):
    url, services = served
    boundary = "boundary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="light.txt"\r\n\r\n'
    body = f"{head}The lighthouse is painted white.\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/gradio_api/upload", body, kind)) as answer:
        (path,) = json.load(answer)
    file = {"path": path, "orig_name": "light.txt", "meta": {"_type": "gradio.FileData"}}
    report, table, _ = Visitor(url).call("add_files", [file])
    assert "Added light.txt: 1 passages" in report and "light.txt" in table


def test_a_file_that_the_app_made_is_handed_out(served):
    url, services = served
    # Of its own: on the records of the others somebody is at work.
    dataset = services.datasets.create_of_run(services.store.runs.latest(1)[0].id, "answer-review")
    for record in services.store.datasets.records(dataset.id):
        services.annotation.submit(record.id, services.store.members.by_token("d" * 64), {"answer": record.completion})
    visitor = Visitor(url)
    visitor.call("load_choices_1", None, None)
    (made,) = visitor.call("download_rows", dataset.id, [], "", "openai-chat")
    file = made.get("value", made)
    lines = visitor.open(f"/gradio_api/file={file['path']}").read().decode().splitlines()
    assert len(lines) >= 5 and all(json.loads(line)["messages"] for line in lines)
