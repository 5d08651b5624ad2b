"""The Team tab: what it shows, to whom, and that names of people and things stay text."""

import math
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

import app
from components._guard import ASKER, Asker
from components.compare.tab import CompareHandlers
from components.edit.annotate_answers import AnnotateAnswers, View
from components.header import HeaderHandlers
from components.results.tab import ResultsHandlers
from components.start import StartHandlers
from components.team import html as team_html
from components.team.activity import ActivityHandlers
from components.team.invitations import HUB_NAME, LINK, InvitationHandlers, invitations_html
from components.team.people import PeopleHandlers, members_html
from components.team.progress import ProgressHandlers
from components.team.sprints import HOUR, SprintHandlers, quiet_html
from components.team.workspace import WorkspaceHandlers
from pipeline.entrance import Guest
from pipeline.errors import AccessError, PipelineError, RecordError
from pipeline.kept import Kept
from pipeline.people import Invitation, Member
from pipeline.records import Role
from pipeline.sprints import Rate, SprintDesk, SprintView
from pipeline.store.sprints import Sprint
from pipeline.team import TeamDesk
from tests import people
from tests.components.screens import ADA, BO, event, value
from tests.material import open_copy, prepare
from tests.people import open_team
from tests.workspace import add_comparison, add_model

EVIL = "<img src=x onerror=alert(1)>\"'${1}"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A workspace that nobody signs in to, with a dataset and a comparison; Ada and Bo have been here."""
    folder = tmp_path_factory.mktemp("team")
    services = open_copy(prepare(folder), folder / "copy")
    models = add_model(services, "Secret-one"), add_model(services, "Secret-two")
    add_comparison(services, models, [("One.", "Two.")] * 3)
    for request, name in ((ADA, EVIL), (BO, "Bo")):
        services.store.members.rename(services.store.members.by_token(request.cookies["pairloop_person"]), name)
    yield counting(services)
    services.close()


def counting(services):
    """Let every look at a sprint count: a hundred people who look share a count for a second."""
    every_time, desks = Kept(slow=math.inf), (services.store, services.comparisons)
    team = TeamDesk(*desks, services.people, every_time)
    return replace(services, team=team, sprints=SprintDesk(*desks, services.activity, every_time))


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """A workspace with accounts: Olga owns it, Adam is an admin, Anna an annotator, Vera a viewer; Rita came by invitation."""
    services = open_team(tmp_path_factory.mktemp("accounts") / "home")
    known = people.team(services)
    tokens = {
        "Olga": known[Role.OWNER],
        "Adam": known[Role.ADMIN],
        "Anna": known[Role.ANNOTATOR],
        "Vera": known[Role.VIEWER],
    }
    tokens = {name: found.cookie for name, found in tokens.items()}
    code = services.people.invite(known[Role.OWNER].id, Role.VIEWER, most=1).code
    tokens["Rita"] = services.entrance.join_with_password(code, "Rita", PASSWORD, Guest("127.0.0.1"))
    yield counting(services), tokens
    services.close()


def asks(team, name: str) -> SimpleNamespace:
    services, tokens = team
    scope = {ASKER: Asker(services, tokens[name])}
    return SimpleNamespace(request=SimpleNamespace(scope=scope), headers={"origin": "https://team.example"})


def member_id(team, name: str) -> str:
    services, _ = team
    return next(member.member_id for member in services.people.members() if member.name == name)


def test_progress_shows_what_is_left_and_stays_true(opened):
    shown = ProgressHandlers(opened).show_progress("", "week", ADA)
    dataset = opened.datasets.all()[0]
    assert [choice[0] for choice in shown.of.choices] == ["Everything", dataset.name, "Comparison 1 · Asked twice"]
    assert (
        f'data-live="{team_html.numbers_address(team_html.Wanted(span="week")).replace("&", "&amp;")}"' in shown.numbers
    )
    assert f"0 of {dataset.size}" in shown.numbers and "0 votes on 3 pairs" in shown.numbers
    assert "Kept on this machine only" in shown.numbers and "Pace, last 7 days" in shown.numbers


def test_progress_of_one_thing_shows_that_alone(opened):
    handlers, dataset = ProgressHandlers(opened), opened.datasets.all()[0]
    alone = handlers.show_numbers(f"dataset/{dataset.id}", "day", ADA)
    assert dataset.name in alone and "Comparison 1" not in alone
    unknown = handlers.show_progress("dataset/nowhere", "never", ADA)
    assert value(unknown.of) == "" and "Pace, last 24 hours" in unknown.numbers


def test_no_name_of_a_person_is_markup_anywhere_and_no_model_is_named(opened):
    sprints = SprintHandlers(opened)
    about = f"set/{opened.comparisons.sets()[0].id}"
    sprints.start_sprint(EVIL, about, 5, 0, HOUR, True, ADA)
    pair = opened.comparisons.next_pair(about.removeprefix("set/"), opened.store.members.by_token("a" * 64))
    opened.comparisons.vote(pair.comparison_id, opened.store.members.by_token("a" * 64), "tie")
    opened.activity.note(opened.store.members.by_token("a" * 64), "document.added", EVIL)
    shown = [
        ProgressHandlers(opened).show_numbers("", "day", BO),
        sprints.list_sprints(BO),
        *(quiet_html(opened, opened.store.members.by_token("b" * 64), place) for place in ("start", "compare")),
        PeopleHandlers(opened).show_people(BO),
        ActivityHandlers(opened).show_activity("", "").listed,
    ]
    for html in shown:
        assert "&lt;img" in html and "<img" not in html and "Secret" not in html
    assert quiet_html(opened, "nobody", "edit") == ""


def test_without_sign_in_it_says_so_and_shows_browsers_and_no_passwords(opened):
    html = PeopleHandlers(opened).show_people(BO)
    assert "PAIRLOOP_SIGN_IN" in html and "Browsers that have been here" in html and "data-manage" not in html
    assert not InvitationHandlers(opened).show_invitations(BO).root.visible
    with pytest.raises(RecordError, match="Nobody signs in here"):
        InvitationHandlers(opened).invite(LINK, "", "viewer", 7, None, BO)
    assert "PAIRLOOP_SIGN_IN is open" in WorkspaceHandlers(opened).show_workspace().facts


def test_the_workspace_has_a_name_that_the_header_shows(opened):
    handlers = WorkspaceHandlers(opened)
    handlers.rename(f"  {EVIL} ", ADA)
    header = HeaderHandlers(opened).show_header(BO)
    assert "data-workspace=" in header and "<img" not in header
    with pytest.raises(RecordError, match="at most 60"):
        handlers.rename("x" * 61, ADA)
    handlers.rename("", ADA)
    assert "data-workspace" not in HeaderHandlers(opened).show_header(BO)
    told = [line.did for line in opened.activity.latest(group="Workspace", most=2).lines]
    assert told == ["named the workspace"] * 2


def test_a_sprint_is_ended_only_after_a_question(opened):
    handlers, dataset = SprintHandlers(opened), opened.datasets.all()[0]
    assert "still needed" in handlers.show_left(f"dataset/{dataset.id}")
    handlers.start_sprint("Short", f"dataset/{dataset.id}", 5.0, 0, HOUR, False, ADA)
    sprint = opened.store.sprints.all()[0]
    asked = handlers.ask_end(ADA, event(sprint=sprint.id))
    assert asked.confirm.visible and "Short" in asked.confirm_text
    assert "Leaderboard on" in handlers.turn_board(ADA, event(sprint=sprint.id, shown="off"))
    closed, ending, listed = handlers.end_sprint(sprint.id, ADA)
    assert not closed.visible and ending == "" and "ended early" in listed
    with pytest.raises(RecordError, match="ended already"):
        handlers.ask_end(ADA, event(sprint=sprint.id))
    for goal in (None, 0, 2.5, float("nan"), float("inf"), "many"):
        with pytest.raises(RecordError, match="A goal is"):
            handlers.start_sprint("Goal", f"dataset/{dataset.id}", goal, 0, HOUR, True, ADA)


def test_activity_is_paged_and_filtered(opened):
    for number in range(120):
        opened.activity.note(opened.store.members.by_token("b" * 64), "model.registered", f"m{number}")
    handlers = ActivityHandlers(opened)
    bo = opened.store.members.by_token("b" * 64)
    first = handlers.list_activity(bo, "Models")
    assert "m119" in first and "m69" not in first and 'data-older=""' not in first
    older = first.rpartition('data-older="')[2].partition('"')[0]
    second = handlers.turn_page(bo, "Models", event(older=older))
    assert "m69" in second and "m119" not in second and 'data-older=""' in second
    assert "Nothing here yet" in handlers.list_activity(bo, "Documents")


def test_an_owner_changes_roles_resets_passwords_and_removes_people(team):
    services, tokens = team
    handlers, olga = PeopleHandlers(services), asks(team, "Olga")
    rita = member_id(team, "Rita")
    form = handlers.manage(olga, event(member=rita))
    assert form.form.visible and "Rita" in form.heading and value(form.role) == "viewer" and form.reset.visible
    assert "Rita is an annotator from now on." in handlers.change_role(rita, "annotator", olga).said
    said = handlers.reset_password(rita, olga).said
    password = said.partition('value="')[2].partition('"')[0]
    with pytest.raises(AccessError, match="Choose one of your own"):
        services.entrance.sign_in("Rita", password, Guest("127.0.0.1"))
    assert password not in str(services.store.activity.latest(None, [], None, 50))
    assert "signed out everywhere" in handlers.end_sign_ins(rita, olga).said
    question, text = handlers.ask_remove(rita)
    assert question.visible and "pseudonym" in text and "Rita" in text
    listed, form, confirm = handlers.remove(rita, olga)
    assert "Rita" not in listed and "1 person was removed" in listed and not form.visible and not confirm.visible
    for act in (lambda: handlers.manage(olga, event(member=rita)), lambda: handlers.change_role(rita, "king", olga)):
        with pytest.raises(RecordError):
            act()


def test_an_admin_sees_members_but_manages_none_and_invites_no_admin(team):
    services, _ = team
    handlers, adam = PeopleHandlers(services), asks(team, "Adam")
    assert "Olga" in handlers.show_people(adam) and "data-manage" not in handlers.show_people(adam)
    anna = member_id(team, "Anna")
    for act in (
        lambda: handlers.change_role(anna, "owner", adam),
        lambda: handlers.reset_password(anna, adam),
        lambda: handlers.end_sign_ins(anna, adam),
        lambda: handlers.remove(anna, adam),
        lambda: InvitationHandlers(services).invite(LINK, "", "owner", 7, None, adam),
    ):
        with pytest.raises(AccessError, match="Ask Olga"):
            act()
    assert [name for name, _ in InvitationHandlers(services).show_invitations(adam).role.choices] == [
        "Annotator",
        "Viewer",
    ]


def test_words_lead_nobody_to_what_they_may_not_do(team):
    services, _ = team
    edit, compare, results = AnnotateAnswers(services), CompareHandlers(services), ResultsHandlers(services)
    for name, makes in (("Olga", True), ("Adam", True), ("Anna", False), ("Vera", False)):
        who = asks(team, name)
        assert ("edit-example" in edit.open(member_id(team, name), "", "", View(), False)["empty"]) is makes
        assert ("Make one below" in value(compare.show_next(None, who).nothing)) is makes
        assert ("Make one on Compare" in results.show_results(None, who).gate_text) is makes


def test_whoever_only_reads_is_told_of_no_pairs_to_judge(team):
    services, _ = team
    models = add_model(services, "Gated-one"), add_model(services, "Gated-two")
    set_id = add_comparison(services, models, [("One.", "Two.")] * 3)
    results, counts = ResultsHandlers(services), StartHandlers(services)
    for name, works in (("Anna", True), ("Vera", False)):
        assert ("left to judge" in results.show_results(set_id, asks(team, name)).gate_text) is works
        assert ("pairs for you" in counts.show_loop(asks(team, name)).loop) is works


def test_when_somebody_was_here_is_told_no_closer_than_it_is_kept(team):
    services, _ = team
    assert "in the last 5 min" in PeopleHandlers(services).show_people(asks(team, "Olga"))
    assert team_html.last_seen(None) == "not yet" and "11 min ago" in team_html.last_seen(time.time() - 700)


def test_an_invitation_is_shown_once_listed_and_withdrawn(team):
    services, _ = team
    handlers, olga = InvitationHandlers(services), asks(team, "Olga")
    made = handlers.invite(LINK, "", "annotator", 3, 2, olga)
    code = made.new.partition("https://team.example/join?code=")[2].partition('"')[0]
    assert services.entrance.invitation(code, Guest("127.0.0.1")).role is Role.ANNOTATOR
    assert "It lets in 2 people, as annotator." in made.new
    assert code not in made.listed and "0 of 2" in made.listed and "By" in made.listed
    invitation = made.listed.partition('data-withdraw="')[2].partition('"')[0]
    assert "withdrawn" in handlers.withdraw(olga, event(invitation=invitation)).listed
    with pytest.raises(AccessError):
        services.entrance.invitation(code, Guest("127.0.0.1"))
    for days, most in ((0, 1), (None, 1), (7, -1), (7, 2.5), (float("nan"), 1), (7, 1e12)):
        with pytest.raises(RecordError, match="good for 1 to"):
            handlers.invite(LINK, "", "viewer", days, most, olga)
    with pytest.raises(RecordError, match="without the Hub"):
        handlers.invite(HUB_NAME, "ada", "viewer", 7, None, olga)
    with pytest.raises(RecordError, match="Type the name"):
        handlers.invite(HUB_NAME, " ", "viewer", 7, None, olga)


@pytest.fixture(scope="module")
def client(team):
    with TestClient(app.build_server(team[0]), base_url="http://127.0.0.1") as client:
        yield client


@pytest.mark.parametrize(
    ("address", "role"),
    [("/team/numbers", Role.ADMIN), ("/team/sprints/all", Role.ADMIN), ("/team/sprints", Role.ANNOTATOR)],
)
def test_a_route_answers_those_with_its_role_and_nobody_else(team, client, address, role):
    for name, held in (("Olga", Role.OWNER), ("Adam", Role.ADMIN), ("Anna", Role.ANNOTATOR), ("Vera", Role.VIEWER)):
        answer = client.get(address, headers={"cookie": f"pairloop_sign_in={team[1][name]}"})
        assert (answer.status_code == 200) is held.covers(role), name
        if held.covers(role):
            assert answer.headers["cache-control"] == "no-store"
    client.cookies.clear()
    answer = client.get(address)
    assert answer.status_code in (401, 403) and "Olga" not in answer.text


def test_what_others_did_is_not_sent_where_the_leaderboard_is_off(team, client):
    services, tokens = team
    models = add_model(services, "One"), add_model(services, "Two")
    set_id = add_comparison(services, models, [("One.", "Two.")] * 3)
    SprintHandlers(services).start_sprint("Quiet", f"set/{set_id}", 5, 0, HOUR, False, asks(team, "Adam"))
    anna, vera = member_id(team, "Anna"), tokens["Olga"]
    services.comparisons.vote(services.comparisons.next_pair(set_id, anna).comparison_id, anna, "tie")
    for address in ("/team/sprints?place=start", "/team/sprints?place=compare", "/team/sprints/all"):
        told = client.get(address, headers={"cookie": f"pairloop_sign_in={vera}"}).text
        assert "1 of 5 votes" in told and "0 by you" in told and "Anna" not in told
    client.cookies.clear()
    sprint = services.store.sprints.all()[0]
    services.sprints.set_leaderboard(member_id(team, "Adam"), sprint.id, True)
    told = client.get("/team/sprints?place=start", headers={"cookie": f"pairloop_sign_in={vera}"}).text
    assert "Anna" in told


def view(state="running", done=3, goal=10, lately=12.0, needed=20.0, expected=6.0, **changed) -> SprintView:
    now = 1_000_000.0
    sprint = Sprint(
        "s", "Friday", "d", None, goal, True, "m", now, now - 600, now + 3000, changed.pop("ended_at", None)
    )
    return SprintView(sprint, state, "Support", now, done, 1, 2, Rate(needed, lately, 600.0, expected), ())


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (view(), "12 answers an hour in the last 10 minutes, 20 answers an hour needed to reach the goal: at this pace it ends "
                 "at about 6."),
        (view(expected=11.0, lately=30.0), "at this pace it is reached."),
        (view(lately=None, expected=None), "20 answers an hour needed to reach the goal."),
        (view(done=10, needed=None), "The goal is reached. Going on counts too: 12 answers an hour now."),
        (view("ended"), "7 answers short of the goal, at 12 answers an hour."),
        (view("ended", done=12, lately=1.0), "The goal was reached, at 1.0 answers an hour."),
    ],
)  # fmt: skip
def test_it_is_said_how_fast_it_goes_and_how_fast_it_would_have_to(shown, said):
    assert said in team_html.outlook(shown)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3600, "1 h 00 min"), (86399, "23 h 59 min"), (90000, "1 d 1 h")],
)
def test_what_is_left_of_a_time_is_said_in_words(seconds, words):
    assert team_html.left_words(seconds) == words


def test_members_and_invitations_are_text(opened):
    member = Member("m", EVIL, Role.OWNER, EVIL, 0.0, None, None)
    invitation = Invitation("i", Role.VIEWER, EVIL, "", None, 0, EVIL, 0.0, None, None, True)
    for html in (members_html([member], 0, "m", True), invitations_html([invitation])):
        assert "<img" not in html and "&lt;img" in html and "${" not in html


def test_a_browser_without_a_cookie_is_refused_in_words(opened):
    with pytest.raises(PipelineError, match="cookie"):
        PeopleHandlers(opened).show_people(SimpleNamespace(cookies={}))
