"""Members by their account on the Hub: who owns a Space, who is invited, and who comes back."""

import pytest

from pipeline.auth.hub import HubPerson
from pipeline.entrance import NotMemberError
from pipeline.errors import AccessError, RecordError
from pipeline.records import Role
from pipeline.settings import SignIn
from tests.people import add, open_team
from tests.pipeline.people.entering import come, hub


def test_the_space_belongs_to_its_author_its_maker_and_admins_of_its_organisation(on_hub):
    owners = (hub("acme"), hub("somebody", id_="u-1"), hub("boss", "acme", admin_of=("acme",)))
    assert [come(on_hub, person).role for person in owners] == [Role.OWNER] * 3
    for person in (hub("eve"), hub("worker", "acme"), hub("other", "emca", admin_of=("emca",))):
        with pytest.raises(NotMemberError, match="Ask acme on the Hub"):
            come(on_hub, person)


def test_off_a_space_nobody_owns_it_by_name_and_the_terminal_has_a_link(tmp_path):
    services = open_team(tmp_path / "home", SignIn.HUGGINGFACE)
    with pytest.raises(NotMemberError):
        come(services, hub("", id_="u-0"))
    code = services.entrance.owner_code()
    assert code and come(services, hub("olga"), code).role is Role.OWNER
    assert services.entrance.owner_code() == ""
    services.close()


def test_others_come_by_name_by_organisation_or_by_link(on_hub):
    owner = come(on_hub, hub("acme")).member_id
    on_hub.people.invite(owner, Role.VIEWER, organisation="Team")
    on_hub.people.invite(owner, Role.ADMIN, hub_name="@Adam")
    link = on_hub.people.invite(owner, Role.ANNOTATOR, most=1)
    assert come(on_hub, hub("vera", "team")).role is Role.VIEWER
    assert come(on_hub, hub("adam", "team")).role is Role.ADMIN
    assert come(on_hub, hub("anna"), link.code).role is Role.ANNOTATOR
    with pytest.raises(AccessError, match="used up"):
        come(on_hub, hub("eve"), link.code)
    assert len(on_hub.people.members()) == 4


def test_a_name_on_the_hub_that_goes_to_somebody_else_takes_no_membership_along(on_hub):
    owner = come(on_hub, hub("acme"))
    again = come(on_hub, hub("renamed", id_="u-acme"))
    assert again.member_id == owner.member_id
    with pytest.raises(NotMemberError):
        come(on_hub, HubPerson("u-other", "anna", "Acme"))


def test_whoever_was_removed_comes_back_only_when_invited_anew(on_hub):
    owner = come(on_hub, hub("acme")).member_id
    on_hub.people.invite(owner, Role.ADMIN, organisation="team")
    anna = come(on_hub, hub("anna", "team"))
    on_hub.people.remove(owner, anna.member_id)
    with pytest.raises(NotMemberError):
        come(on_hub, hub("anna", "team"))
    on_hub.people.invite(owner, Role.VIEWER, hub_name="anna")
    back = come(on_hub, hub("anna", "team"))
    assert (back.member_id, back.role, on_hub.store.members.name(back.member_id)) == (
        anna.member_id,
        Role.VIEWER,
        "Anna",
    )


def test_the_name_on_the_hub_of_whoever_was_removed_is_nowhere_and_their_pseudonym_lets_nobody_in(on_hub):
    owner = come(on_hub, hub("acme")).member_id
    on_hub.people.invite(owner, Role.ANNOTATOR, hub_name="Anna-Of-Old")
    anna = come(on_hub, hub("anna-of-old", id_="u-anna"))
    # She is called otherwise on the Hub by now, and was invited once more by that name, in other letters.
    come(on_hub, hub("annanew", id_="u-anna"))
    on_hub.people.invite(owner, Role.VIEWER, hub_name="AnnaNew")
    with on_hub.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE memberships SET login = 'hub:annanew' WHERE login = 'hub:anna-of-old'")
    on_hub.people.invite(owner, Role.VIEWER, hub_name="bo")
    on_hub.people.remove(owner, anna.member_id)
    pseudonym = on_hub.store.members.name(anna.member_id)
    told = {one.hub_name: one.good for one in on_hub.people.invitations()}
    assert told == {"bo": True, pseudonym: False}
    with pytest.raises(NotMemberError):
        come(on_hub, hub(pseudonym, id_="u-eve"))
    # Nor is it in what goes to the dataset repo from now on.
    rows = [change.row for piece in on_hub.store.outbox.everything() for change in piece]
    assert rows and "anna" not in str(rows).lower()
    on_hub.people.invite(owner, Role.VIEWER, hub_name="annanew")
    assert come(on_hub, hub("annanew", id_="u-anna")).member_id == anna.member_id


def test_whoever_was_removed_comes_back_by_a_link_that_was_made_afterwards_only(on_hub):
    owner = come(on_hub, hub("acme")).member_id
    link = on_hub.people.invite(owner, Role.ADMIN)
    anna = come(on_hub, hub("anna"), link.code).member_id
    on_hub.people.remove(owner, anna)
    with pytest.raises(NotMemberError):
        come(on_hub, hub("anna"), link.code)
    assert come(on_hub, hub("bo"), link.code).role is Role.ADMIN
    new = on_hub.people.invite(owner, Role.VIEWER)
    back = come(on_hub, hub("anna"), new.code)
    assert (back.member_id, back.role) == (anna, Role.VIEWER)
    on_hub.people.remove(owner, anna)
    on_hub.people.invite(owner, Role.ANNOTATOR, hub_name="anna")
    # An old link in the address does not stand in the way of a new invitation by name.
    assert come(on_hub, hub("anna"), link.code).role is Role.ANNOTATOR


def test_a_link_that_is_used_up_stays_so_when_its_person_comes_back_by_another_one(on_hub):
    owner = come(on_hub, hub("acme")).member_id
    first = on_hub.people.invite(owner, Role.ADMIN, most=1)
    anna = come(on_hub, hub("anna"), first.code).member_id
    on_hub.people.remove(owner, anna)
    second, third = on_hub.people.invite(owner, Role.VIEWER, most=1), on_hub.people.invite(owner, Role.VIEWER, most=2)
    assert come(on_hub, hub("anna"), second.code).member_id == anna
    told = {one.id: (one.used, one.good, one.withdrawn_at) for one in on_hub.people.invitations()}
    assert told[first.id] == (1, False, None) and not told[second.id][1]
    for spent in (first, second):
        with pytest.raises(AccessError, match="used up"):
            come(on_hub, hub("eve"), spent.code)
    # A place that somebody took who is counted elsewhere is taken all the same.
    on_hub.people.remove(owner, anna)
    fourth = on_hub.people.invite(owner, Role.VIEWER, most=2)
    come(on_hub, hub("anna"), fourth.code)
    come(on_hub, hub("bo"), fourth.code)
    with pytest.raises(AccessError, match="used up"):
        come(on_hub, hub("eve"), fourth.code)
    assert come(on_hub, hub("cy"), third.code) and come(on_hub, hub("di"), third.code)
    # After a merge a membership may tell of another invitation: what was used up is not good again.
    with on_hub.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE memberships SET invitation_id = NULL")
    assert not any(one.good for one in on_hub.people.invitations())


def test_two_people_of_one_name_are_told_apart(on_hub):
    come(on_hub, hub("acme"))
    boss = come(on_hub, HubPerson("u-9", "boss", "Acme", frozenset(("acme",)), frozenset(("acme",))))
    assert on_hub.store.members.name(boss.member_id) == "boss"


def test_an_invitation_says_whom_it_is_for_and_no_more_than_fits(services, on_hub):
    olga, owner = add(services, "Olga", Role.OWNER).id, come(on_hub, hub("acme")).member_id
    for wrong in ({"days": 0}, {"days": 400}, {"most": 0}, {"hub_name": "anna"}):
        with pytest.raises(RecordError):
            services.people.invite(olga, Role.VIEWER, **wrong)
    with pytest.raises(RecordError, match="not for both"):
        on_hub.people.invite(owner, Role.VIEWER, hub_name="anna", organisation="team")
