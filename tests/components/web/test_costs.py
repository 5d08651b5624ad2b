"""What costs something can be asked for so often by one person, on the screens as over the API, and by all browsers together."""

import re

import httpx2
import pytest

from components._guard import cost_of_listener
from components._session import COOKIE
from pipeline.limits import HEAVY
from pipeline.records import Role
from pipeline.settings import SignIn
from tests.people import Served, open_team, team
from tests.test_roles import name_of

# What each counts as. Annotating, voting, looking and changing a form count as nothing.
COSTS = {
    HEAVY: """
        ask.proposals.propose ask.runs.resume_run ask.runs.retry ask.runs.start_run results.judge.start_judge
        settings.retrieval_panel.apply settings.retrieval_panel.compare settings.storage.ask_for_file
        settings.storage.import_file settings.storage.make_file settings.storage.sync_now tune.handlers.start_again
        tune.handlers.start_training
    """,
    1: """
        ask.ask ask.documents.add_example ask.documents.add_files ask.runs.add_list ask.runs.download_run
        ask.runs.send_to_edit compare.ask_live compare.create_comparison edit.new_dataset.create
        edit.new_dataset.create_tutorial edit.record_panel.add_records edit.record_panel.download
        edit.record_panel.look_at_file edit.record_panel.look_at_hub edit.record_panel.look_at_text
        edit.record_panel.make_dataset edit.review.download_csv edit.review.download_jsonl
        edit.setup_handlers.download_json edit.setup_handlers.download_yaml edit.setup_handlers.fill
        results.judge.download_judgements results.leaderboard.download_counted results.leaderboard.download_pairs
        results.leaderboard.download_ratings results.share.download_arena results.share.download_chart
        results.share.download_jsonl results.share.download_numbers results.share.download_report
        results.share.download_votes results.share.make_link results.vote_import.bring results.vote_import.read
        settings.local_panel.register settings.local_panel.test settings.model_panel.list_models
        settings.model_panel.save_model settings.model_panel.test_model settings.retrieval_panel.try_model
        settings.token_panel.make_token start.try_example team.invitations.invite team.people.reset_password
        tune.handlers.download_lineage tune.handlers.download_rows
    """,
}
TOO_OFTEN = re.compile(r"^That is more than 6 costly actions within a minute, .*\. Try again in \d+ s\.$")


def opened(tmp_path_factory, mode):
    folder = tmp_path_factory.mktemp("costs")
    return open_team(folder / "home", mode)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    services = opened(tmp_path_factory, SignIn.ACCOUNTS)
    people = team(services)
    served = Served(services)
    yield served, people
    served.close()


@pytest.fixture(scope="module")
def everybody(tmp_path_factory):
    served = Served(opened(tmp_path_factory, SignIn.OPEN))
    yield served
    served.close()


@pytest.fixture(autouse=True)
def few(monkeypatch, request):
    """Let each person do six costly actions a minute, from now on."""
    for name in ("members", "everybody"):
        if name in request.fixturenames:
            found = request.getfixturevalue(name)
            limits = (found if name == "everybody" else found[0]).services.limits
            monkeypatch.setattr(limits, "_size", 6)
            # Within one moment nothing is filled again.
            monkeypatch.setattr(limits, "_clock", lambda: 1_000.0)
            limits._left.clear()


def listener(served, name):
    return next(number for number, fn in served.screens.fns.items() if fn.fn and name_of(fn) == name)


def press(served, name, cookie):
    number = listener(served, name)
    data = [None] * len(served.screens.fns[number].inputs)
    body = {"data": data, "fn_index": number, "session_hash": f"page-{cookie[-8:]}", "event_data": {}}
    headers = {"Cookie": cookie} if cookie else {}
    return httpx2.post(f"{served.url}/gradio_api/run/predict", json=body, headers=headers, timeout=60).json()


def is_too_often(answer):
    return bool(TOO_OFTEN.match(str(answer.get("error"))))


def test_every_costly_listener_is_one_of_the_table_and_no_other_is(everybody):
    found = {}
    for fn in everybody.screens.fns.values():
        if fn.fn and cost_of_listener(fn.fn):
            found.setdefault(cost_of_listener(fn.fn), set()).add(name_of(fn))
    assert found == {cost: set(names.split()) for cost, names in COSTS.items()}


def test_one_person_is_asked_to_wait_in_a_sentence_and_others_are_not(members):
    served, people = members
    owner, admin = (f"pairloop_sign_in={people[role].cookie}" for role in (Role.OWNER, Role.ADMIN))
    told = [press(served, "settings.token_panel.make_token", owner) for _ in range(8)]
    assert [is_too_often(answer) for answer in told] == [False] * 6 + [True] * 2
    assert not is_too_often(press(served, "settings.token_panel.make_token", admin))
    # What costs nothing goes on.
    assert not is_too_often(press(served, "ask.documents.list_documents", owner))


def test_a_heavy_action_counts_as_several(members):
    served, people = members
    owner = f"pairloop_sign_in={people[Role.OWNER].cookie}"
    told = [press(served, "settings.storage.sync_now", owner) for _ in range(2)]
    assert [is_too_often(answer) for answer in told] == [False, True]
    assert not is_too_often(press(served, "settings.token_panel.make_token", owner))
    assert is_too_often(press(served, "settings.token_panel.make_token", owner))


def test_whoever_may_not_is_refused_before_it_counts(members):
    served, people = members
    vera = f"pairloop_sign_in={people[Role.VIEWER].cookie}"
    for _ in range(20):
        assert "Only an admin" in press(served, "ask.documents.add_example", vera)["error"]
    assert not is_too_often(press(served, "settings.token_panel.make_token", vera))


def test_screens_and_api_share_an_allowance(members):
    served, people = members
    value = served.services.tokens.make(people[Role.ADMIN].id, "program").value
    admin = f"pairloop_sign_in={people[Role.ADMIN].cookie}"
    for _ in range(6):
        press(served, "settings.token_panel.make_token", admin)
    headers = {"Authorization": f"Bearer {value}"}
    for method, path, sent in (
        ("POST", "/ask", {"query": "Why?"}),
        ("POST", "/datasets/none/records", [{"text": "x"}]),
        ("GET", "/datasets/none/export", None),
        ("GET", "/comparisons/none/votes", None),
        ("POST", "/comparisons/none/ask", {"query": "Why?"}),
    ):
        answer = httpx2.request(method, f"{served.url}/api/v1{path}", json=sent, headers=headers)
        assert answer.status_code == 429 and TOO_OFTEN.match(answer.json()["error"]), path
        assert 0 < int(answer.headers["retry-after"]) <= 60
    # Work on tasks is never held up.
    assert httpx2.get(f"{served.url}/api/v1/datasets/none/next", headers=headers).status_code == 404


def test_where_nobody_signs_in_each_browser_has_an_allowance_and_all_have_one_together(everybody):
    def browser(number):
        return f"{COOKIE}={number:064x}"

    told = [press(everybody, "settings.token_panel.make_token", browser(1)) for _ in range(8)]
    assert [is_too_often(answer) for answer in told] == [False] * 6 + [True] * 2
    assert not is_too_often(press(everybody, "settings.token_panel.make_token", browser(2)))
    # A new cookie costs nothing: sixty for all of them, of which seven are used.
    told = [press(everybody, "settings.token_panel.make_token", browser(number)) for number in range(3, 63)]
    assert [is_too_often(answer) for answer in told].index(True) == 53
    assert is_too_often(press(everybody, "settings.token_panel.make_token", ""))


def test_uploads_count_too(members):
    served, people = members
    headers = {"Cookie": f"pairloop_sign_in={people[Role.ADMIN].cookie}"}
    sent = [
        httpx2.post(f"{served.url}/gradio_api/upload", files={"files": ("a.txt", b"x")}, headers=headers)
        for _ in range(8)
    ]
    assert [answer.status_code for answer in sent] == [200] * 6 + [429] * 2
    assert TOO_OFTEN.match(sent[-1].json()["error"])


def test_voting_and_annotating_are_never_held_up(members):
    served, people = members
    anna = f"pairloop_sign_in={people[Role.ANNOTATOR].cookie}"
    for name in ("compare.vote_a", "compare.show_next", "edit.load_datasets"):
        assert not any(is_too_often(press(served, name, anna)) for _ in range(10))
