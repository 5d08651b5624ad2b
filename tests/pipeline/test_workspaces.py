"""Workspaces of a server beside the main one: what may be made, by whom, and what each runs with."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from pipeline import archive
from pipeline.errors import AccessError, RecordError
from pipeline.records import Role
from pipeline.settings import Entry, Settings, SignIn
from pipeline.store.schema import workspaces
from pipeline.store.workspaces import is_slug, schema_of
from pipeline.workspaces import WorkspaceDesk, slug_of
from tests.people import open_team, team
from tests.workspace import open_workspace


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    services = open_team(tmp_path_factory.mktemp("main") / "home")
    yield services, {role: person.id for role, person in team(services).items()}
    services.close()


def desk_of(services, **settings):
    return WorkspaceDesk(services.store, replace(services.settings, **settings), services.people, services.activity)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Support Bot", "support-bot"), ("  Über -- Größe!  ", "uber-groe"), ("支援", ""), ("A", ""), ("../../etc", "etc"),
        ("x" * 200, "x" * 32), ("a" * 31 + " b", "a" * 31), ("2 bots", "2-bots"), ("--", ""),
    ],
)  # fmt: skip
def test_a_name_makes_a_word_for_addresses_where_it_can(name, slug):
    assert slug_of(name) == slug


@pytest.mark.parametrize(
    "text", ["", "a", "A1", "a_b", "..", "a/b", "-a", "a-", "a" * 33, "a b", "é1", "a\n", "%2e%2e", "a.b"]
)
def test_what_is_no_word_for_addresses_is_refused(opened, text):
    services, people = opened
    assert not is_slug(text)
    with pytest.raises(RecordError, match="2 to 32"):
        services.workspaces.create(people[Role.OWNER], "支援", text)


def test_only_owners_make_close_and_open_them(opened):
    services, people = opened
    made = services.workspaces.create(people[Role.OWNER], "Roles")
    for role in (Role.VIEWER, Role.ANNOTATOR, Role.ADMIN):
        for act in (
            lambda me: services.workspaces.create(me, "Mine"),
            lambda me: services.workspaces.close(me, made.id),
            lambda me: services.workspaces.reopen(me, made.id),
            lambda me: services.workspaces.get(me, made.id),
        ):
            with pytest.raises(AccessError, match="Only an owner"):
                act(people[role])
    assert [one.slug for one in services.workspaces.all()] == ["roles"]


def test_what_is_done_is_noted_and_an_address_is_never_given_twice(opened):
    services, people = opened
    me, desk = people[Role.OWNER], services.workspaces
    made = desk.create(me, "Once", "once-only", example=True)
    desk.close(me, made.id)
    desk.close(me, made.id)
    (found,) = [one for one in desk.all() if one.slug == "once-only"]
    assert found.closed_at is not None and found.example and found.member_id == me
    with pytest.raises(RecordError, match="There is, or was, a workspace at once-only"):
        desk.create(me, "Another", "once-only")
    desk.reopen(me, made.id)
    assert next(one for one in desk.all() if one.slug == "once-only").closed_at is None
    told = [(line.did, line.subject, line.detail) for line in services.activity.latest(person=me).lines]
    assert told[:3] == [
        ("opened again the workspace", "Once", ""),
        ("closed the workspace", "Once", ""),
        ("made the workspace", "Once", "at /w/once-only"),
    ]
    with pytest.raises(RecordError, match="no such workspace"):
        desk.close(me, "nothing")


def test_a_server_has_so_many_and_no_more(opened, monkeypatch):
    services, people = opened
    me, desk = people[Role.OWNER], services.workspaces
    last = desk.create(me, "The last one")
    desk.close(me, last.id)
    monkeypatch.setattr("pipeline.workspaces.MOST", sum(one.closed_at is None for one in desk.all()))
    for act in (lambda: desk.create(me, "One too many"), lambda: desk.reopen(me, last.id)):
        with pytest.raises(
            RecordError, match="at most .* open workspaces beside its main one: close one of them first"
        ):
            act()


def test_each_is_backed_up_to_a_repo_of_its_own(opened):
    services, people = opened
    me = people[Role.OWNER]
    desk = desk_of(services, dataset_repo="acme/Main", hf_token="hf_token_of_the_server")
    usual = desk.create(me, "Repo one")
    assert (
        usual.dataset_repo == "acme/Main-repo-one" and desk.create(me, "Repo two", dataset_repo="").dataset_repo == ""
    )
    assert desk.create(me, "Repo three", dataset_repo=" acme/three ").dataset_repo == "acme/three"
    for taken in ("acme/main", "ACME/Three", "acme/Main-repo-one"):
        with pytest.raises(RecordError, match="Another workspace of this server is kept in"):
            desk.create(me, "Repo four", dataset_repo=taken)
    for odd in ("acme", "acme/x/y", "../x y", "acme/" + "x" * 97):
        with pytest.raises(RecordError, match="owner/name"):
            desk.create(me, "Repo four", dataset_repo=odd)
    with pytest.raises(RecordError, match="HF_TOKEN"):
        services.workspaces.create(me, "Repo four", dataset_repo="acme/four")
    # The main one may have been moved to the repo of another since.
    with pytest.raises(RecordError, match="of the main workspace"):
        desk_of(services, dataset_repo="acme/three", hf_token="hf_token_of_the_server").settings_of(
            next(one for one in desk.all() if one.slug == "repo-three")
        )


def test_a_workspace_runs_in_places_of_its_own(opened, tmp_path):
    services, people = opened
    found = services.workspaces.create(people[Role.OWNER], "Places here", example=True)
    main = Settings(
        home=tmp_path / "home",
        data_dir=tmp_path / "data",
        database_url="postgresql://ada:hunter2@db/acme",
        hf_token="hf_token",
        dataset_repo="acme/main",
        metrics_token="m" * 20,
        example=False,
        entry=Entry(SignIn.ACCOUNTS, public_url="https://acme.org/feedback", base="/feedback", client_secret="s3cret"),
    )
    desk = WorkspaceDesk(services.store, main, services.people, services.activity)
    own = desk.settings_of(found)
    assert (
        own.home == tmp_path / "home/workspaces/places-here"
        and own.data_dir == tmp_path / "data/workspaces/places-here"
    )
    assert own.schema == "w_places_here" == schema_of("places-here") and own.database_url == main.database_url
    assert own.example and own.dataset_repo == ""
    assert (own.entry.base, own.entry.workspace) == ("/feedback/w/places-here", "places-here")
    assert own.entry.public_url == "https://acme.org/feedback/w/places-here" and own.entry.mode is SignIn.ACCOUNTS
    # Nothing else is another one, and all that is secret stays so.
    kept = {"home", "data_dir", "schema", "example", "dataset_repo", "entry"}
    assert all(getattr(own, name) == getattr(main, name) for name in Settings.__slots__ if name not in kept)
    assert own.secrets == main.secrets


def test_a_workspace_beside_the_main_one_has_none_of_its_own(opened, tmp_path):
    services, people = opened
    child = open_workspace(tmp_path / "child", entry=Entry(workspace="child", base="/w/child"))
    try:
        assert child.workspaces.all() == [] and not child.workspaces.main
        with pytest.raises(AccessError, match="main workspace"):
            child.workspaces.create(child.store.members.by_token("a" * 64), "Grandchild")
    finally:
        child.close()


def test_what_others_put_into_the_registry_leads_to_no_folder_of_theirs(opened, tmp_path):
    services, people = opened
    made = services.workspaces.create(people[Role.OWNER], "Sound")
    for odd in ({"slug": "../../etc"}, {"slug": "other"}, {"dataset_repo": "x y"}):
        with services.store.database.write() as connection:
            connection.execute(update(workspaces).where(workspaces.c.id == made.id).values(**odd))
        assert made.slug not in [one.slug for one in services.workspaces.all()], odd
        assert odd.get("slug") not in [one.slug for one in services.workspaces.all()]
        with services.store.database.write() as connection:
            back = {"slug": made.slug, "dataset_repo": ""}
            connection.execute(update(workspaces).where(workspaces.c.id == made.id).values(**back))


def test_a_workspace_file_says_nothing_of_the_other_workspaces(opened, tmp_path):
    services, people = opened
    services.workspaces.create(people[Role.OWNER], "Not in files")
    archive.write_archive(services.store, tmp_path / "file.gz")
    other = open_workspace(tmp_path / "other")
    try:
        archive.read_archive(other.store, tmp_path / "file.gz")
        assert other.store.memberships.all() and other.workspaces.all() == []
    finally:
        other.close()
