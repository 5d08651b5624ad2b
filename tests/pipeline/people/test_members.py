"""Members, their roles and their removal."""

import pytest

from pipeline.errors import AccessError, RecordError
from pipeline.people import PeopleDesk
from pipeline.records import ResponseStatus, Role
from pipeline.settings import Entry, SignIn
from tests.people import team
from tests.workspace import open_workspace, respond


def test_where_nobody_signs_in_everybody_is_an_owner_and_nothing_can_be_changed_about_it(tmp_path):
    services = open_workspace(tmp_path / "home")
    somebody = services.store.members.by_token("a" * 64)
    assert services.people.role_of(somebody) is Role.OWNER
    assert [member.name for member in services.people.members()] == ["Guest 1"]
    for change in (
        lambda: services.people.invite(somebody, Role.VIEWER),
        lambda: services.people.set_role(somebody, somebody, Role.VIEWER),
        lambda: services.people.remove(somebody, somebody),
    ):
        with pytest.raises(RecordError, match="PAIRLOOP_SIGN_IN"):
            change()
    services.close()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANNOTATOR, Role.ADMIN])
def test_only_owners_change_roles_remove_and_reset(services, role):
    people = team(services)
    before = services.people.members()
    actor, other = people[role].id, people[Role.OWNER].id
    for change in (
        lambda: services.people.set_role(actor, actor, Role.OWNER),
        lambda: services.people.remove(actor, other),
        lambda: services.people.reset_password(actor, other),
        lambda: services.people.end_sign_ins(actor, other),
        lambda: services.people.invite(actor, Role.ADMIN),
        lambda: services.people.invite(actor, Role.OWNER),
    ):
        with pytest.raises(AccessError, match="^Only an owner can do this. Ask Olga.$"):
            change()
    assert services.people.members() == before and services.people.invitations() == []


def test_admins_invite_and_withdraw_up_to_annotators_others_nobody(services):
    people = team(services)
    for role in (Role.VIEWER, Role.ANNOTATOR):
        made = services.people.invite(people[Role.ADMIN].id, role)
        services.people.withdraw(people[Role.ADMIN].id, made.id)
        with pytest.raises(AccessError, match="Only an admin"):
            services.people.invite(people[Role.ANNOTATOR].id, role)
    owners = services.people.invite(people[Role.OWNER].id, Role.ADMIN)
    with pytest.raises(AccessError, match="Only an owner"):
        services.people.withdraw(people[Role.ADMIN].id, owners.id)
    assert [found.good for found in services.people.invitations()] == [True, False, False]


def test_there_is_always_an_owner(services):
    people = team(services)
    olga, adam = people[Role.OWNER].id, people[Role.ADMIN].id
    for change in (
        lambda: services.people.set_role(olga, olga, Role.ADMIN),
        lambda: services.people.remove(olga, olga),
    ):
        with pytest.raises(AccessError, match="There has to be an owner"):
            change()
    services.people.set_role(olga, adam, Role.OWNER)
    services.people.remove(adam, olga)
    assert services.people.role_of(olga) is None and services.people.owners() == ["Adam"]


def test_a_new_role_holds_at_once_for_those_who_are_signed_in(services):
    people = team(services)
    services.people.set_role(people[Role.OWNER].id, people[Role.ADMIN].id, Role.VIEWER)
    assert services.entrance.signed_in(people[Role.ADMIN].cookie).role is Role.VIEWER


def test_whoever_is_removed_is_out_at_once_and_their_answers_stay_under_a_pseudonym(services, tmp_path):
    from tests.material import reviewable

    dataset = reviewable(services, tmp_path)
    people = team(services)
    anna = people[Role.ANNOTATOR]
    record = services.store.datasets.records(dataset.id)[0]
    respond(services.store, record.id, anna.id, ResponseStatus.DRAFT, {})
    services.store.passwords.set(anna.id, "hash", False)
    services.people.remove(people[Role.OWNER].id, anna.id)
    assert services.entrance.signed_in(anna.cookie) is None and services.people.role_of(anna.id) is None
    assert services.store.passwords.get(anna.id) is None
    name = services.store.members.name(anna.id)
    assert name.startswith("annotator-") and len(name) == 20
    assert [r.annotator_id for r in services.store.responses.of_record(record.id)] == [anna.id]
    gone = next(member for member in services.people.members() if member.member_id == anna.id)
    assert gone.removed_at and gone.login == "" and gone.name == name
    with pytest.raises(RecordError, match="no member any more"):
        services.people.remove(people[Role.OWNER].id, anna.id)


def test_what_is_done_to_people_is_told_in_the_log_without_codes_and_passwords(services):
    people = team(services)
    olga, anna = people[Role.OWNER].id, people[Role.ANNOTATOR].id
    made = services.people.invite(olga, Role.VIEWER)
    services.people.set_role(olga, anna, Role.ADMIN)
    password = services.people.reset_password(olga, anna)
    services.people.end_sign_ins(olga, anna)
    services.people.withdraw(olga, made.id)
    services.people.remove(olga, anna)
    lines = services.activity.latest().lines
    assert [line.did for line in lines] == [
        "removed", "withdrew the invitation of", "ended the sign-ins of", "reset the password of", "changed the role of",
        "invited",
    ]  # fmt: skip
    assert {line.who for line in lines} == {"Olga"}
    assert not [line for line in lines if made.code in str(line) or password in str(line)]


def test_the_log_calls_who_was_removed_as_their_answers_do_also_where_it_was_written_before(services):
    people = team(services)
    olga, anna = people[Role.OWNER].id, people[Role.ANNOTATOR].id
    services.people.set_role(olga, anna, Role.VIEWER)
    # As an older version wrote it; what has the same name by chance is left alone.
    services.activity.note(olga, "sign_ins.ended", "Anna")
    services.activity.note(olga, "dataset.created", "Anna", {"records": 3})
    services.store.members.rename(anna, "Anna")
    told = {line.did: line.subject for line in services.activity.latest().lines}
    assert told["changed the role of"] == told["ended the sign-ins of"] == "Anna"
    services.people.remove(olga, anna)
    pseudonym = services.store.members.name(anna)
    told = {line.did: line.subject for line in services.activity.latest().lines}
    assert {told[did] for did in ("removed", "changed the role of", "ended the sign-ins of")} == {pseudonym}
    assert told["created the dataset"] == "Anna"
    # Nor does anything of it that goes to the dataset repo say it.
    rows = [
        change.row for piece in services.store.outbox.everything() for change in piece if change.table == "activity"
    ]
    assert [row["subject"] for row in rows if row["action"] != "dataset.created"] == [""] * 3


def test_the_desk_is_made_of_an_entry_alone(services):
    assert PeopleDesk(services.store, Entry(), services.activity).open
    assert services.people.mode is SignIn.ACCOUNTS
