"""Local accounts: invitations, passwords and what they are kept as."""

import argon2
import pytest

from pipeline.auth import names, passwords
from pipeline.entrance import NO_INVITATION, OVER, WRONG, MustChangeError
from pipeline.errors import AccessError, RecordError
from pipeline.records import Role
from pipeline.store.members import AUTOMATIC
from pipeline.store.sign_ins import DAY
from tests.people import add
from tests.pipeline.people.entering import GOOD, HERE, STRONG, account, later


def test_the_first_owner_comes_by_a_link_that_works_once(services):
    code = services.entrance.owner_code()
    other = services.entrance.owner_code()
    found = services.entrance.signed_in(services.entrance.join_with_password(code, "Olga", GOOD, HERE))
    assert found.role is Role.OWNER and services.entrance.owner_code() == ""
    for spent in (code, other):
        with pytest.raises(AccessError, match="used up"):
            services.entrance.join_with_password(spent, "Eve", GOOD, HERE)
    assert services.people.invitations() == []


def test_after_the_passwords_were_lost_an_owner_comes_back_by_such_a_link(services):
    services.entrance.join_with_password(services.entrance.owner_code(), "Olga", GOOD, HERE)
    member_id = services.people.members()[0].member_id
    assert services.entrance.owner_code() == ""
    with services.store.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM passwords")
    code = services.entrance.owner_code()
    found = services.entrance.signed_in(services.entrance.join_with_password(code, "olga", GOOD + "!", HERE))
    assert (found.member_id, found.role) == (member_id, Role.OWNER) and len(services.people.members()) == 1
    assert services.entrance.sign_in("Olga", GOOD + "!", HERE)


def test_a_link_by_the_owner_of_a_name_does_not_let_others_take_the_account(services):
    olga = add(services, "Olga", Role.OWNER)
    made = services.people.invite(olga.id, Role.ANNOTATOR)
    services.entrance.join_with_password(made.code, "Anna", GOOD, HERE)
    for name in ("Anna", "anna", " ANNA ", "Ａnna", "Olga"):
        with pytest.raises(RecordError, match="taken"):
            services.entrance.join_with_password(made.code, name, "another few words", HERE)
    assert services.entrance.sign_in("anna", GOOD, HERE)


def test_an_invitation_ends_by_time_by_number_and_by_hand(services, monkeypatch):
    olga = add(services, "Olga", Role.OWNER).id
    one = services.people.invite(olga, Role.VIEWER, most=1)
    two = services.people.invite(olga, Role.VIEWER)
    three = services.people.invite(olga, Role.VIEWER, days=2)
    assert services.entrance.join_with_password(one.code, "Vera", GOOD, HERE)
    services.people.withdraw(olga, two.id)
    refused = {one.code: OVER["used up"], two.code: OVER["withdrawn"]}
    for code in (one.code, two.code, "", "nonsense", one.code[:-1]):
        with pytest.raises(AccessError) as error:
            services.entrance.join_with_password(code, "Eve", GOOD, HERE)
        assert str(error.value) == refused.get(code, NO_INVITATION)
    later(monkeypatch, 2 * DAY + 1)
    with pytest.raises(AccessError, match="has expired"):
        services.entrance.join_with_password(three.code, "Eve", GOOD, HERE)
    assert [(found.used, found.good) for found in services.people.invitations()] == [(0, False), (0, False), (1, False)]


def test_the_name_of_an_account_that_was_removed_lets_nobody_have_its_answers(services):
    entrance, people = services.entrance, services.people
    entrance.join_with_password(entrance.owner_code(), "Olga", GOOD, HERE)
    olga = services.store.memberships.owners()[0]
    anna = entrance.signed_in(account(services, "Anna", role=Role.OWNER)).member_id
    people.remove(olga, anna)
    link = people.invite(olga, Role.ADMIN, most=1)
    printed = names.link_code()
    services.store.invitations.add(Role.OWNER, AUTOMATIC, code=printed, days=1, most=1)
    for code in (link.code, printed):
        for name in ("Anna", " ANNA ", "Ａnna"):
            with pytest.raises(RecordError, match="taken"):
                entrance.join_with_password(code, name, "another few words", HERE)
    assert people.role_of(anna) is None and services.store.passwords.get(anna) is None
    # What was refused has used no place.
    assert entrance.signed_in(entrance.join_with_password(link.code, "Anna B", GOOD, HERE)).member_id != anna


@pytest.mark.parametrize("password", ["short", "x" * 201, "aaaaaaaaaaaa", "qwertyuiop", "Password123", "anna-anna-1"])
def test_a_password_that_is_easily_guessed_is_not_taken(services, password):
    made = services.people.invite(add(services, "Olga", Role.OWNER).id, Role.ANNOTATOR)
    with pytest.raises(RecordError, match="password"):
        services.entrance.join_with_password(made.code, "Anna", password, HERE)
    assert len(services.people.members()) == 1


def test_passwords_are_kept_as_argon2_hashes_of_the_recommended_strength_and_weaker_ones_are_renewed(
    services, monkeypatch
):
    account(services)
    anna = next(member.member_id for member in services.people.members() if member.name == "Anna")
    weak = services.store.passwords.get(anna).hash
    assert weak.startswith("$argon2id$") and GOOD not in weak
    # RFC 9106, the second recommended option.
    assert (STRONG.time_cost, STRONG.memory_cost, STRONG.parallelism) == (3, 65536, 4)
    monkeypatch.setattr(passwords, "_hasher", lambda: STRONG)
    assert services.entrance.sign_in("Anna", GOOD, HERE)
    strong = services.store.passwords.get(anna).hash
    assert strong.startswith("$argon2id$v=19$m=65536,t=3,p=4$") and services.entrance.sign_in("Anna", GOOD, HERE)


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(services):
    account(services)
    said = []
    for name, password in (("Anna", "not the right one"), ("Nobody", GOOD), ("Olga", GOOD), ("Anna", "x" * 5000)):
        with pytest.raises(AccessError) as error:
            services.entrance.sign_in(name, password, HERE)
        said.append(str(error.value))
    assert set(said) == {WRONG}


def test_as_much_is_computed_for_a_name_that_nobody_has(services, monkeypatch):
    account(services)
    compared, hasher = [], passwords._hasher()

    class Noting(argon2.PasswordHasher):
        def verify(self, hash, password):
            compared.append(argon2.extract_parameters(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(
        passwords, "_hasher", lambda: Noting.from_parameters(argon2.extract_parameters(hasher.hash("")))
    )
    for name in ("Anna", "Nobody"):
        with pytest.raises(AccessError):
            services.entrance.sign_in(name, "not the right one", HERE)
    known, nobodys = compared
    assert known == nobodys


def test_a_password_that_an_owner_set_is_good_for_choosing_another_one_and_ends_the_sign_ins(services, monkeypatch):
    before = account(services)
    anna = services.entrance.signed_in(before).member_id
    given = services.people.reset_password(services.store.memberships.owners()[0], anna)
    assert services.entrance.signed_in(before) is None
    with pytest.raises(AccessError, match="not right"):
        services.entrance.sign_in("Anna", GOOD, HERE)
    with pytest.raises(MustChangeError):
        services.entrance.sign_in("Anna", given, HERE)
    with pytest.raises(RecordError, match="choose another"):
        services.entrance.change_password("Anna", given, given, HERE)
    token = services.entrance.change_password("Anna", given, "my very own words", HERE)
    assert services.entrance.signed_in(token) and services.entrance.sign_in("Anna", "my very own words", HERE)
    given = services.people.reset_password(services.store.memberships.owners()[0], anna)
    later(monkeypatch, 8 * DAY)
    with pytest.raises(AccessError, match="not right"):
        services.entrance.sign_in("Anna", given, HERE)


def test_another_password_ends_every_other_sign_in(services):
    tokens = [account(services), services.entrance.sign_in("Anna", GOOD, HERE)]
    new = services.entrance.change_password("Anna", GOOD, "my very own words", HERE)
    assert [services.entrance.signed_in(token) for token in tokens] == [None, None]
    assert services.entrance.signed_in(new)
