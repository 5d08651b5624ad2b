"""Every listener and every route as nobody and as each role: the right ones answer, the others refuse and change nothing.

The server is a real one over a socket. A listener or a route that is new and has no role fails here, and so does one whose role
is not the one in the table: the table is what people may do.
"""

import inspect
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import gradio as gr
import httpx2
import pytest
from sqlalchemy import select
from starlette.routing import Mount

from components._guard import allowed, check_listeners, check_routes, needs_of, own_routes, role_of_listener
from components._session import SIGN_IN
from components.web.door import role_for
from pipeline.limits import RateLimit
from pipeline.records import Role
from pipeline.settings import SignIn
from pipeline.store.schema import metadata
from tests.people import Served, add, open_team, team

NOBODY = "nobody"
REFUSED = re.compile(r"^Only (an owner|an admin|an annotator|a member) can do this\. Ask Olga\.$")
# What is public, beside what asks for a token of its own.
PUBLIC = {
    "/healthz", "/readyz", "/metrics", "/results/{token}", "/sign-in", "/sign-in/hub", "/sign-in/callback", "/join",
    "/new-password", "/sign-out", "/sign-in/style.css", "/sign-in/script.js", "/api/v1",
}  # fmt: skip
# What viewers and annotators may do on the screens: all of it. What is not here is for admins or owners, and must say so.
VIEWERS = """
    address.hide_tabs address.open_tab header.rename_person header.show_header results.follow_vote
    results.judge.close_judge results.judge.show_judge results.leaderboard.download_counted
    results.leaderboard.download_pairs results.leaderboard.download_ratings results.leaderboard.draw_heat
    results.leaderboard.show_models results.load_comparisons results.open_comparisons results.reveal_results
    results.share.download_chart results.share.download_numbers results.share.download_report results.share.draw_bar
    results.share.draw_over_time results.show_followed results.show_pair results.show_results results.show_slices
    results.tick results.vote_list.search_votes results.vote_list.show results.vote_list.turn_page
    settings.token_panel.lead settings.token_panel.make_token settings.token_panel.revoke_token
    settings.token_panel.show_tokens start.show_loop viewer.show_place
"""
ANNOTATORS = """
    ask.ask ask.documents.list_documents ask.load_models compare.ask_live compare.come_back compare.load_comparisons
    compare.open_results compare.show_next compare.undo_vote compare.vote_a compare.vote_b compare.vote_both_bad
    compare.vote_rank compare.vote_tie edit.load_datasets start._open_edit
"""
# What sends requests, costs money, or decides for everybody: an owner's alone.
OWNERS = """
    results.judge.cancel_judge results.judge.start_judge settings.environment_panel.show_environment
    settings.local_panel.register settings.local_panel.show settings.local_panel.test settings.model_panel.choose_model
    settings.model_panel.edit_model settings.model_panel.list_models settings.model_panel.retire_model
    settings.model_panel.save_model settings.model_panel.show_registry settings.model_panel.test_model
    settings.prompt_panel.preview_prompt settings.prompt_panel.save_copy settings.prompt_panel.save_version
    settings.prompt_panel.show_prompts settings.retrieval_panel.apply settings.retrieval_panel.compare
    settings.retrieval_panel.open_panel settings.retrieval_panel.try_model settings.storage.ask_for_file
    settings.storage.import_file settings.storage.make_file settings.storage.show_storage settings.storage.sync_now
    team.people.change_role team.people.end_sign_ins team.people.remove team.people.reset_password
    team.workspaces.choose_repo team.workspaces.close team.workspaces.create team.workspaces.manage
    team.workspaces.show_workspaces tune.handlers.cancel_job tune.handlers.start_again tune.handlers.start_training
"""
# The listeners for programs ask for a token beside these roles; with a cookie alone they refuse everybody.
PROGRAMS = "api.client."


class Server(Served):
    """The app over a socket, and one connection for each who asks."""

    def __init__(self, home) -> None:
        # Every costly thing is asked for here as each role, on a quick machine more of them than one person may within a minute.
        super().__init__(replace(open_team(home, SignIn.ACCOUNTS), limits=RateLimit(0)))
        self.people = team(self.services)
        self.clients = {NOBODY: self.client()}
        self.clients |= {role: self.client(person.cookie) for role, person in self.people.items()}

    def client(self, cookie: str = "") -> httpx2.Client:
        headers = {"Cookie": f"{SIGN_IN}={cookie}"} if cookie else {}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, limits=httpx2.Limits(max_connections=4))

    def call(self, who: str, number: int) -> httpx2.Response:
        """Call a listener by its number, with nothing for each of its inputs."""
        data = [None] * len(self.screens.fns[number].inputs)
        body = {"data": data, "fn_index": number, "session_hash": f"page-{who}", "event_data": {}}
        return self.clients[who].post("/gradio_api/run/predict", json=body)

    def ask(self, who: str, method: str, path: str) -> httpx2.Response:
        """Ask at an address of our own, as the page does."""
        sent = {"json": {}, "headers": {"X-Pairloop": "1"}} if method == "post" else {}
        return self.clients[who].request(method.upper(), path, **sent)

    def rows(self) -> dict[str, list]:
        """Return everything that is stored, but when somebody was last here."""
        kept = [table for table in metadata.sorted_tables if table.name != "last_seen"]
        with self.services.store.database.read() as connection:
            return {table.name: sorted(map(repr, connection.execute(select(table)))) for table in kept}

    def close(self) -> None:
        for client in self.clients.values():
            client.close()
        super().close()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("roles") / "home")
    yield running
    running.close()


@pytest.fixture(scope="module")
def listeners(server) -> dict[int, Role]:
    """The listeners that run something on the server, with the role of each; two uses of one handler are two of them."""
    return {number: role_of_listener(fn.fn) for number, fn in server.screens.fns.items() if fn.fn is not None}


def name_of(fn) -> str:
    """Return what a listener is called in the tables above."""
    handler = inspect.unwrap(fn.fn)
    return f"{handler.__module__.removeprefix('components.').removesuffix('.tab')}.{handler.__name__}"


def together(calls):
    """Do several things at the same time, and return what came of each."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda call: call(), calls))


def test_every_listener_and_every_route_has_a_role(server, listeners):
    assert len(listeners) > 200 and None not in listeners.values()
    check_listeners(server.screens)
    check_routes(server.mounted)
    assert {route.path for route in own_routes(server.mounted) if needs_of(route) == [None]} == PUBLIC


def test_roles_are_those_of_the_table(server, listeners):
    found = {role: set() for role in Role}
    for number, role in listeners.items():
        found[role].add(name_of(server.screens.fns[number]))
    on_screens = {role: {name for name in names if not name.startswith(PROGRAMS)} for role, names in found.items()}
    assert on_screens[Role.VIEWER] == set(VIEWERS.split())
    assert on_screens[Role.ANNOTATOR] == set(ANNOTATORS.split())
    assert set(OWNERS.split()) <= on_screens[Role.OWNER]


def test_no_two_handlers_are_called_the_same_in_the_tables(server, listeners):
    handlers = {}
    for number in listeners:
        fn = server.screens.fns[number]
        handlers.setdefault(name_of(fn), set()).add(inspect.unwrap(fn.fn).__qualname__)
    assert {name: found for name, found in handlers.items() if len(found) > 1} == {}


def test_a_listener_without_a_role_is_not_built():
    with gr.Blocks() as screens:
        gr.Button().click(allowed(Role.VIEWER, lambda: None), None, None)
        gr.Button().click(lambda: None, None, None, api_name="forgotten")
        gr.Button().click(None, None, None, js="() => {}")
    with pytest.raises(RuntimeError, match="forgotten$"):
        check_listeners(screens)


def test_those_who_are_not_allowed_are_refused_in_a_sentence_and_change_nothing(server, listeners):
    before = server.rows()
    forbidden = [
        (who, n) for n, role in listeners.items() for who in server.clients if who == NOBODY or not who.covers(role)
    ]
    assert len(forbidden) > 500
    answers = together([lambda who=who, n=n: server.call(who, n) for who, n in forbidden])
    wrong = []
    for (who, number), answer in zip(forbidden, answers, strict=True):
        said, name = answer.json().get("error") or "", name_of(server.screens.fns[number])
        in_words = REFUSED.match(said) or (name.startswith(PROGRAMS) and said)
        if not (answer.status_code == 401 if who == NOBODY else answer.status_code == 500 and in_words):
            wrong.append((who, name, answer.status_code, said))
    assert wrong == []
    assert server.rows() == before


def test_those_who_are_allowed_get_through(server, listeners):
    asked, known = [], set()
    for number, role in listeners.items():
        name = name_of(server.screens.fns[number])
        if name.startswith(PROGRAMS):
            continue
        # Each listener as the lowest role that may use it; the others, who may do what that one may, once for each handler.
        asked += [(who, number) for who in server.people if who is role or (who.covers(role) and name not in known)]
        known.add(name)
    answers = together([lambda who=who, n=n: server.call(who, n) for who, n in asked])
    refused = [
        (who, name_of(server.screens.fns[n]), answer.text[:200])
        for (who, n), answer in zip(asked, answers, strict=True)
        if answer.status_code in (401, 403) or REFUSED.match(str(answer.json().get("error") or ""))
    ]
    assert refused == []


ROUTES = {
    "/backup": ("get", Role.VIEWER),
    **{
        f"/annotate/{name}": ("post", Role.ANNOTATOR)
        for name in ("open", "step", "draft", "end", "undo", "list", "guidelines", "stay", "leave")
    },
    "/team/numbers": ("get", Role.ADMIN),
}


def test_every_route_of_our_own_is_for_those_of_its_role(server):
    asked = [(method, path, who, role) for path, (method, role) in ROUTES.items() for who in server.clients]
    before, forbidden = server.rows(), [one for one in asked if one[2] == NOBODY or not one[2].covers(one[3])]
    for method, path, who, _ in forbidden:
        answer = server.ask(who, method, path)
        if who == NOBODY:
            assert answer.status_code == 401 and "not signed in" in answer.json()["error"], path
        else:
            assert answer.status_code == 403 and REFUSED.match(answer.json()["error"]), (path, who, answer.text)
    assert server.rows() == before
    for method, path, who, _ in [one for one in asked if one not in forbidden]:
        answer = server.ask(who, method, path)
        assert answer.status_code not in (401, 403), (path, who, answer.text)
    others = {route.path for route in own_routes(server.mounted) if needs_of(route) != [None]} - set(ROUTES)
    for path in others - {"/annotate/{path:path}"}:
        assert server.clients[NOBODY].get(path).status_code in (401, 404, 405), path


def gradio_addresses(mounted) -> set[tuple[str, str]]:
    """Return every address that Gradio answers at, with its method, filled with something where it has a blank."""
    gradio = next(route.app for route in mounted.routes if isinstance(route, Mount) and route.path == "")
    found, routes = set(), list(gradio.routes)
    while routes:
        route = routes.pop()
        if (included := getattr(route, "original_router", None)) is not None:
            routes += included.routes
        elif hasattr(route, "methods"):
            path = re.sub(r"\{[^}]+\}", "x", route.path)
            found |= {(method, path) for method in route.methods}
    return found


def test_none_of_gradios_own_addresses_answers_nobody(server):
    asked = sorted(gradio_addresses(server.mounted))
    assert len(asked) > 60 and ("GET", "/config") in asked and ("POST", "/gradio_api/vibe-edit") in asked
    told = {}
    for method, path in asked:
        told[method, path] = server.clients[NOBODY].request(method, path)
    open_ = {pair: answer.status_code for pair, answer in told.items() if answer.status_code not in (401, 404)}
    assert open_ == {("GET", "/"): 303, ("HEAD", "/"): 303, ("GET", "/favicon.ico"): 200}
    assert told["GET", "/"].headers["location"] == "/sign-in"
    assert told["GET", "/config"].json()["error"].startswith("You are not signed in")


NOT_THERE = (
    "/gradio_api/vibe-edit", "/gradio_api/vibe-code", "/gradio_api/component_server", "/gradio_api/deep_link",
    "/gradio_api/token", "/gradio_api/user", "/gradio_api/login_check", "/gradio_api/proxy=http://127.0.0.1",
    "/gradio_api/process_recording",
    "/gradio_api/runs", "/gradio_api/stream/x", "/monitoring", "/monitoring/summary", "/login", "/logout",
    "/gradio_api/dev/reload", "/gradio_api/custom_component/x/x/x/x",
)  # fmt: skip


def test_what_no_page_of_the_app_needs_is_not_there_for_anybody(server):
    for path in NOT_THERE:
        for method in ("GET", "POST"):
            assert server.clients[Role.OWNER].request(method, path).status_code == 404, path
        assert role_for(path) is None


def test_only_admins_bring_files(server):
    sent = {
        role: server.clients[role].post("/gradio_api/upload", files={"files": ("a.txt", b"x")})
        for role in server.people
    }
    assert {role: answer.status_code for role, answer in sent.items()} == {
        Role.VIEWER: 403, Role.ANNOTATOR: 403, Role.ADMIN: 200, Role.OWNER: 200,
    }  # fmt: skip
    assert server.clients[NOBODY].post("/gradio_api/upload", files={"files": ("a.txt", b"x")}).status_code == 401


def test_the_same_guard_stands_behind_every_way_to_a_listener(server):
    number, fn = next(
        (n, fn) for n, fn in server.screens.fns.items() if fn.fn and name_of(fn) == "ask.documents.add_example"
    )
    anna, page = server.clients[Role.ANNOTATOR], "page-annotator"
    before = server.rows()
    body = {"data": [], "fn_index": number, "session_hash": page}
    for path in (f"run/{fn.api_name}", "run/predict", f"api/{fn.api_name}", f"run/{fn.api_name}/"):
        assert REFUSED.match(anna.post(f"/gradio_api/{path}", json=body).json()["error"]), path
    assert anna.post("/gradio_api/queue/join", json=body).status_code == 200
    with anna.stream("GET", f"/gradio_api/queue/data?session_hash={page}") as stream:
        told = [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]
    (done,) = [message for message in told if message["msg"] == "process_completed"]
    assert not done["success"] and REFUSED.match(done["output"]["error"])
    event = anna.post(f"/gradio_api/call/{fn.api_name}", json={"data": []})
    assert event.status_code == 200
    with anna.stream("GET", f"/gradio_api/call/{fn.api_name}/{event.json()['event_id']}") as stream:
        assert "Only an admin can do this" in "".join(stream.iter_lines())
    assert server.rows() == before


def test_the_page_of_somebody_else_can_neither_be_read_nor_used(server, listeners):
    anna, vera = server.clients[Role.ANNOTATOR], server.clients[Role.VIEWER]
    number = next(n for n in listeners if name_of(server.screens.fns[n]) == "header.show_header")
    body = {"data": [], "fn_index": number, "session_hash": "annas-page"}
    assert anna.post("/gradio_api/queue/join", json=body).status_code == 200
    for answer in (
        vera.get("/gradio_api/queue/data?session_hash=annas-page"),
        vera.get("/gradio_api/heartbeat/annas-page"),
        vera.post("/gradio_api/queue/join", json=body),
        vera.post("/gradio_api/run/predict", json=body),
        vera.post("/gradio_api/cancel", json={"session_hash": "annas-page", "fn_index": number, "event_id": "x"}),
    ):
        assert answer.status_code == 403 and answer.json()["error"].startswith("This page was opened by somebody else")
    with anna.stream("GET", "/gradio_api/queue/data?session_hash=annas-page") as stream:
        assert "Anna" in "".join(stream.iter_lines())


def test_nobody_is_somebody_else_by_what_they_write_into_a_request(server, listeners):
    number = next(n for n in listeners if name_of(server.screens.fns[n]) == "settings.storage.show_storage")
    olga = server.people[Role.OWNER]
    forged = {
        "X-Forwarded-User": "Olga", "Remote-User": "Olga", "username": "Olga", "Authorization": "Bearer " + olga.id,
        "Cookie": f"pairloop_person={'a' * 64}; access-token-x={olga.id}; {SIGN_IN}={olga.id}",
    }  # fmt: skip
    body = {"data": [], "fn_index": number, "session_hash": "x", "username": "Olga", "request": {"username": "Olga"}}
    for headers in ({name: value} for name, value in forged.items()):
        assert httpx2.post(f"{server.url}/gradio_api/run/predict", json=body, headers=headers).status_code == 401
    anna = {
        "Cookie": f"{SIGN_IN}={server.people[Role.ANNOTATOR].cookie}",
        "username": "Olga",
        "X-Forwarded-User": "Olga",
    }
    refused = httpx2.post(f"{server.url}/gradio_api/run/predict", json=body | {"session_hash": "y"}, headers=anna)
    assert REFUSED.match(refused.json()["error"])


def test_a_role_that_is_taken_away_and_a_sign_in_that_ends_count_with_the_next_call(server, listeners):
    services, olga = server.services, server.people[Role.OWNER].id
    number = next(n for n in listeners if name_of(server.screens.fns[n]) == "edit.review.go_back")
    late = add(services, "Ada", Role.ADMIN)
    client = server.client(late.cookie)
    body = {
        "data": [None] * len(server.screens.fns[number].inputs),
        "fn_index": number,
        "session_hash": "late",
        "event_data": {},
    }

    def call():
        return client.post("/gradio_api/run/predict", json=body)

    assert not REFUSED.match(str(call().json().get("error") or ""))
    services.people.set_role(olga, late.id, Role.ANNOTATOR)
    assert REFUSED.match(call().json()["error"])
    services.people.remove(olga, late.id)
    assert call().status_code == 401
    client.close()


def test_too_large_a_request_is_not_read_to_its_end(server):
    most = server.services.settings.max_upload_mb * 1_000_000
    body = b'{"data": ["' + b"x" * most + b'"], "session_hash": "large"}'
    answer = server.clients[Role.VIEWER].post(
        "/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
