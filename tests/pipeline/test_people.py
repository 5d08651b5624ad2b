"""Members, roles, invitations, passwords, names and sign-ins."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import argon2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.auth import names, passwords, throttle
from pipeline.auth.hub import HubPerson, HubSignIn
from pipeline.entrance import NO_INVITATION, WRONG, Guest, MustChangeError, NotMemberError
from pipeline.errors import AccessError, RecordError, StoreError
from pipeline.people import PeopleDesk
from pipeline.records import ResponseStatus, Role
from pipeline.settings import Entry, SignIn
from pipeline.store import invitations, memberships, sign_ins
from pipeline.store.members import AUTOMATIC
from pipeline.store.sign_ins import DAY, DAYS, MOST_DAYS
from tests.people import add, open_team, team
from tests.workspace import open_workspace, respond

HERE = Guest("203.0.113.7")
GOOD = "four words nobody expects"
FRESH = "f" * 64
CLOCK = time.time
STRONG = passwords._hasher()


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch):
    """Hash with argon2 as always, and with less work than it takes to guess: there are dozens of passwords here."""
    monkeypatch.setattr(passwords, "_hasher", lambda: argon2.PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
    passwords._nobodys.cache_clear()
    yield
    passwords._nobodys.cache_clear()


@pytest.fixture
def services(tmp_path):
    workspace = open_team(tmp_path / "home")
    yield workspace
    workspace.close()


@pytest.fixture
def by_name(tmp_path):
    workspace = open_team(tmp_path / "names", SignIn.NAME)
    yield workspace
    workspace.close()


@pytest.fixture
def on_hub(tmp_path):
    entry = {"space_id": "acme/pairloop", "space_author": "acme", "space_creator": "u-1"}
    workspace = open_team(tmp_path / "hub", SignIn.HUGGINGFACE, **entry)
    yield workspace
    workspace.close()


def hub(name, *orgs, admin_of=(), id_=""):
    return HubPerson(id_ or f"u-{name}", name, name.title(), frozenset(orgs), frozenset(admin_of))


def come(services, person, code=""):
    return services.entrance.signed_in(services.entrance.by_hub(person, code, HERE))


def later(monkeypatch, seconds):
    """Let it be later, for everything that asks the clock."""
    real = CLOCK()
    for module in (sign_ins, invitations, memberships, throttle):
        if hasattr(module, "now"):
            monkeypatch.setattr(module, "now", lambda: real + seconds)
    monkeypatch.setattr(time, "time", lambda: real + seconds)


# Roles


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


# Local accounts


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
    for spent in (one.code, two.code, "", "nonsense", one.code[:-1]):
        with pytest.raises(AccessError) as error:
            services.entrance.join_with_password(spent, "Eve", GOOD, HERE)
        assert str(error.value) == NO_INVITATION
    later(monkeypatch, 2 * DAY + 1)
    with pytest.raises(AccessError, match="withdrawn"):
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


def account(services, name="Anna", password=GOOD, role=Role.ANNOTATOR):
    """Make a local account as people do."""
    olga = services.store.memberships.owners() or [add(services, "Olga", Role.OWNER).id]
    made = services.people.invite(olga[0], role)
    return services.entrance.join_with_password(made.code, name, password, HERE)


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


def test_after_five_failures_an_account_waits_also_on_another_replica_and_after_a_restart(monkeypatch, tmp_path):
    services = open_team(tmp_path / "home")
    account(services)
    for _ in range(5):
        with pytest.raises(AccessError, match="not right"):
            services.entrance.sign_in("Anna", "wrong words here", HERE)
    elsewhere = Guest("198.51.100.1")
    with pytest.raises(AccessError, match=r"^Too many tries have failed. Try again in (30|29|2\d) seconds.$"):
        services.entrance.sign_in("ANNA", GOOD, elsewhere)
    services.close()
    again = open_team(tmp_path / "home")
    try:
        with pytest.raises(AccessError, match="Too many"):
            again.entrance.sign_in("Anna", GOOD, elsewhere)
        later(monkeypatch, 31)
        assert again.entrance.sign_in("Anna", GOOD, elsewhere)
        # Whoever got in begins anew.
        assert again.entrance.sign_in("Anna", GOOD, HERE)
    finally:
        again.close()


def test_names_that_nobody_has_are_held_off_just_the_same(services):
    for _ in range(5):
        with pytest.raises(AccessError, match="not right"):
            services.entrance.sign_in("Nobody", GOOD, HERE)
    with pytest.raises(AccessError, match="Too many"):
        services.entrance.sign_in("Nobody", GOOD, HERE)


def test_one_address_cannot_try_codes_and_names_for_ever(services):
    address, code = Guest("2001:db8:0:1::7"), services.entrance.owner_code()
    for number in range(throttle.FREE_FOR_ADDRESS):
        with pytest.raises(AccessError, match="used up"):
            services.entrance.invitation(f"guess-{number}", address)
    with pytest.raises(AccessError, match="Try again in"):
        services.entrance.invitation(code, Guest("2001:db8:0:1:ffff::1"))
    assert services.entrance.invitation(code, Guest("2001:db8:0:2::7")).role is Role.OWNER


def test_each_further_failure_waits_twice_as_long_up_to_a_quarter_of_an_hour(services, monkeypatch):
    guard, waits, gone = throttle.Throttle(services.store.passwords), [], 0.0
    for _ in range(14):
        guard.try_account("Anna")
        found = services.store.passwords.failed(throttle._key("account", "Anna"))
        waits.append(round(max(0.0, found.until - time.time())))
        gone += waits[-1] + 1
        later(monkeypatch, gone)
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900, 900, 900]
    later(monkeypatch, throttle.FORGOTTEN_AFTER + 1000)
    guard.try_account("Anna")
    assert services.store.passwords.failed(throttle._key("account", "Anna")).failures == 1


def at_once(calls):
    """Run calls in threads that begin together, and return what each said."""
    gate = threading.Barrier(len(calls))

    def run(call):
        gate.wait()
        try:
            return call()
        except AccessError as error:
            return str(error)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_of_many_guesses_at_once_no_more_are_compared_than_of_those_one_by_one(services, monkeypatch):
    account(services)
    compared, is_right = [], passwords.is_right
    monkeypatch.setattr(passwords, "is_right", lambda *which: compared.append(1) or is_right(*which))
    guesses = [lambda n=n: services.entrance.sign_in("Anna", f"wrong words {n}", HERE) for n in range(40)]
    said = at_once(guesses)
    assert (len(compared), said.count(WRONG)) == (throttle.FREE_FOR_ACCOUNT,) * 2
    assert all("Too many" in words for words in said if words != WRONG)
    codes = [lambda n=n: services.entrance.invitation(f"guess-{n}", HERE) for n in range(40)]
    assert at_once(codes).count(NO_INVITATION) == throttle.FREE_FOR_ADDRESS


def test_who_knows_their_password_gets_in_from_an_address_that_others_guess_from(services):
    account(services)
    made = services.people.invite(services.store.memberships.owners()[0], Role.VIEWER)
    for number in range(throttle.FREE_FOR_ADDRESS):
        with pytest.raises(AccessError, match="not right"):
            services.entrance.sign_in(f"Nobody {number}", GOOD, HERE)
    for name in ("Anna", "Nobody else"):
        with pytest.raises(AccessError, match="Too many"):
            services.entrance.sign_in(name, "wrong words here", HERE)
    assert services.entrance.sign_in("Anna", GOOD, HERE)
    # Codes are counted apart from passwords, and right ones not at all.
    for _ in range(throttle.FREE_FOR_ADDRESS + 5):
        assert services.entrance.invitation(made.code, HERE)
    # An account that is held off is so also for the right password, whatever was tried from where.
    for number in range(throttle.FREE_FOR_ACCOUNT):
        with pytest.raises(AccessError, match="not right"):
            services.entrance.sign_in(" anna ", "wrong words here", Guest(f"198.51.100.{number}"))
    with pytest.raises(AccessError, match="Too many"):
        services.entrance.sign_in("Anna", GOOD, HERE)


def test_right_passwords_and_codes_before_wrong_ones_cost_nothing(services):
    account(services)
    for _ in range(3):
        for _ in range(throttle.FREE_FOR_ACCOUNT - 1):
            with pytest.raises(AccessError, match="not right"):
                services.entrance.sign_in("Anna", "wrong words here", Guest())
        assert services.entrance.sign_in("Anna", GOOD, Guest())
    assert len({throttle.nobodys(f"name {number}") for number in range(70_000)}) < 65_536


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


# Sign-ins


def test_a_sign_in_survives_a_restart_and_its_token_is_kept_nowhere(tmp_path):
    services = open_team(tmp_path / "home")
    anna = add(services, "Anna", Role.ANNOTATOR)
    services.close()
    for file in (tmp_path / "home").glob("pairloop.db*"):
        assert anna.cookie.encode() not in file.read_bytes()
    again = open_team(tmp_path / "home")
    assert again.entrance.signed_in(anna.cookie).member_id == anna.id
    again.close()


def test_a_sign_in_expires_when_it_is_not_used_and_goes_on_when_it_is(services, monkeypatch):
    anna, bo = add(services, "Anna", Role.ANNOTATOR), add(services, "Bo", Role.ANNOTATOR)
    expires = services.entrance.signed_in(anna.cookie).expires_at
    later(monkeypatch, DAY / 2)
    services.entrance.signed_in(anna.cookie)
    assert services.store.sign_ins.find(anna.cookie).expires_at == expires
    later(monkeypatch, (DAYS - 1) * DAY)
    assert services.entrance.signed_in(anna.cookie)
    later(monkeypatch, DAYS * DAY)
    assert services.entrance.signed_in(anna.cookie) and services.entrance.signed_in(bo.cookie) is None


def test_a_sign_in_that_is_used_every_day_ends_half_a_year_after_it_began(services, monkeypatch):
    anna, extended = add(services, "Anna", Role.ANNOTATOR), []
    extend = services.store.sign_ins.extend
    monkeypatch.setattr(services.store.sign_ins, "extend", lambda found: extended.append(extend(found)))
    for day in range(MOST_DAYS):
        later(monkeypatch, day * DAY)
        assert services.entrance.signed_in(anna.cookie), day
    # Towards its end there is nothing to write any more.
    assert extended[-29:] == [False] * 29 and extended[1:150] == [True] * 149
    later(monkeypatch, MOST_DAYS * DAY + 1)
    with services.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE sign_ins SET expires_at = expires_at + 1e9")
    assert services.entrance.signed_in(anna.cookie) is None


def test_a_full_disk_keeps_nobody_out_who_is_signed_in(services, monkeypatch, caplog):
    anna = add(services, "Anna", Role.ANNOTATOR)

    def full(*_):
        raise StoreError("This could not be saved (database or disk is full).")

    for store, name in ((services.store.sign_ins, "extend"), (services.store.memberships, "seen")):
        monkeypatch.setattr(store, name, full)
    assert services.entrance.signed_in(anna.cookie).member_id == anna.id
    assert "could not be made to last longer" in caplog.text


def test_a_sign_in_is_ended_by_its_person_and_by_an_owner(services):
    people = team(services)
    anna = people[Role.ANNOTATOR]
    other = services.store.sign_ins.begin(anna.id, "account")
    services.entrance.sign_out(anna.cookie)
    assert services.entrance.signed_in(anna.cookie) is None and services.entrance.signed_in(other)
    services.people.end_sign_ins(people[Role.OWNER].id, anna.id)
    assert services.entrance.signed_in(other) is None
    assert services.entrance.signed_in(people[Role.ADMIN].cookie)


# Names


def test_a_join_code_lets_in_by_a_name_and_from_then_on_the_browser_does(by_name):
    services = by_name
    services.entrance.by_name("Olga", services.entrance.owner_code(), HERE, FRESH)
    olga = services.people.members()[0].member_id
    code = services.people.invite(olga, Role.ANNOTATOR).code
    assert len(code) == 19 and code == names.code_as_made(code.lower().replace("-", " "))
    token = services.entrance.by_name("Anna", code.lower(), Guest("a", "1" * 64), "a" * 64)
    anna = services.entrance.signed_in(token)
    assert anna.role is Role.ANNOTATOR
    again = services.entrance.by_name("anna", "", Guest("a", "a" * 64), "b" * 64)
    assert services.entrance.signed_in(again).member_id == anna.member_id
    # Not the cookie that the browser came with: somebody else may have put it there.
    for cookie in ("1" * 64, "", "c" * 64):
        with pytest.raises(RecordError, match="taken"):
            services.entrance.by_name("Anna", code, Guest("b", cookie), "d" * 64)
    with pytest.raises(AccessError):
        services.entrance.by_name("Bo", "", Guest("b", "c" * 64), "d" * 64)


def test_two_people_may_share_a_browser_and_a_name_is_nobody_elses_after_its_person_was_removed(by_name):
    services = by_name
    services.entrance.by_name("Olga", services.entrance.owner_code(), HERE, FRESH)
    olga = services.people.members()[0].member_id
    code = services.people.invite(olga, Role.ANNOTATOR).code
    anna = services.entrance.signed_in(services.entrance.by_name("Anna", code, Guest("a"), "a" * 64))
    bo = services.entrance.signed_in(services.entrance.by_name("Bo", code, Guest("a", "a" * 64), "b" * 64))
    assert anna.member_id != bo.member_id
    services.people.remove(olga, anna.member_id)
    for guest in (Guest("a", "a" * 64), Guest("z", "9" * 64)):
        with pytest.raises(RecordError, match="taken"):
            services.entrance.by_name("Anna", code, guest, "e" * 64)


def test_nobody_takes_the_name_of_a_member_by_another_name(by_name):
    services = by_name
    services.entrance.by_name("Olga", services.entrance.owner_code(), HERE, FRESH)
    olga = services.people.members()[0].member_id
    for name in ("olga", "OLGA", "Ol\u200bga", "Ｏlga", "automatic", "unnamed"):
        with pytest.raises(RecordError, match="taken"):
            services.people.check_free(names.person_name(name), "another")
    services.people.check_free("olga", olga)
    for nothing in ("", "   ", "\u200b", "x" * 41):
        with pytest.raises(RecordError, match="1 to 40"):
            names.person_name(nothing)


def test_whoever_was_a_guest_before_keeps_their_answers(tmp_path):
    home = tmp_path / "home"
    open_ = open_workspace(home)
    guest = open_.store.members.by_token("a" * 64)
    open_.close()
    services = open_team(home, SignIn.ACCOUNTS)
    token = services.entrance.join_with_password(services.entrance.owner_code(), "Olga", GOOD, Guest("x", "a" * 64))
    assert services.entrance.signed_in(token).member_id == guest and services.store.members.name(guest) == "Olga"
    made = services.people.invite(guest, Role.ANNOTATOR)
    # The browser is Olga's now: the next one who comes with it is somebody else.
    other = services.entrance.join_with_password(made.code, "Anna", GOOD, Guest("x", "a" * 64))
    assert services.entrance.signed_in(other).member_id != guest
    services.close()


# The Hub


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


def test_the_hub_is_asked_what_it_says_of_itself_once_an_hour_and_by_one_at_a_time(monkeypatch):
    asked, clock = [], [1000.0]
    provider = "https://hub.example"
    told = {"issuer": provider, "jwks_uri": f"{provider}/keys"}
    told |= {f"{name}_endpoint": f"{provider}/{name}" for name in ("authorization", "token", "userinfo")}

    def ask(self, method, address, **more):
        asked.append(address)
        time.sleep(0.02)
        return told

    monkeypatch.setattr(HubSignIn, "_ask", ask)
    monkeypatch.setattr("pipeline.auth.hub.time.monotonic", lambda: clock[0])
    sign_in = HubSignIn(Entry(client_id="app", client_secret="secret", provider=provider))
    assert len(set(at_once([lambda: sign_in.begin("https://app.example/back")[0]] * 8))) == 8 and len(asked) == 1
    clock[0] += 3599
    sign_in.begin("https://app.example/back")
    assert len(asked) == 1
    clock[0] += 2
    sign_in.begin("https://app.example/back")
    assert len(asked) == 2


def test_the_keys_of_the_hub_are_asked_for_again_for_a_key_that_is_not_known_once_a_minute(monkeypatch):
    asked, clock, provider = [], [1000.0], "https://hub.example"
    keys = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("one", "two")}
    public = {kid: json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) for kid, key in keys.items()}
    served = ["one"]

    def ask(self, method, address, **more):
        asked.append(address)
        return {"keys": [{**public[kid], "kid": kid, "use": "sig", "alg": "RS256"} for kid in served]}

    monkeypatch.setattr(HubSignIn, "_ask", ask)
    monkeypatch.setattr("pipeline.auth.hub.time.monotonic", lambda: clock[0])
    sign_in = HubSignIn(Entry(client_id="app", client_secret="secret", provider=provider))
    places = {"issuer": provider, "jwks_uri": f"{provider}/keys"}
    monkeypatch.setattr(sign_in._places, "get", lambda: places)
    now = int(CLOCK())
    claims = {"iss": provider, "aud": "app", "sub": "u", "iat": now, "exp": now + 600, "nonce": "n"}

    def token(kid):
        return jwt.encode(claims, keys[kid], "RS256", headers={"kid": kid})

    for _ in range(3):
        assert sign_in._claims(token("one"), places, "n")["sub"] == "u"
    assert len(asked) == 1
    for _ in range(3):
        with pytest.raises(AccessError, match="could not be trusted"):
            sign_in._claims(token("two"), places, "n")
    assert len(asked) == 1
    served[:] = ["two"]
    clock[0] += 61
    assert sign_in._claims(token("two"), places, "n")["sub"] == "u" and len(asked) == 2
    with pytest.raises(AccessError, match="could not be trusted"):
        sign_in._claims(token("one"), places, "n")
    served.clear()
    clock[0] += 3601
    for _ in range(2):
        # What are no keys is not kept.
        with pytest.raises(AccessError):
            sign_in._claims(token("two"), places, "n")
    assert len(asked) == 4


def test_a_hub_that_is_asked_too_much_is_told_as_one_that_cannot_be_reached(monkeypatch):
    import httpx2

    asked = []

    def busy(self, method, address, **more):
        asked.append(address)
        time.sleep(0.1)
        return httpx2.Response(429)

    monkeypatch.setattr(httpx2.Client, "request", busy)
    sign_in = HubSignIn(Entry(client_id="app", client_secret="secret", provider="https://hub.example"))
    said = at_once([lambda: sign_in.begin("https://app.example/back")] * 6)
    assert set(said) == {"The Hub cannot be reached for sign-in at the moment. Try again in a minute."}
    # Those who waited for the first one do not ask again one after the other.
    assert len(asked) < 3


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


def test_the_desk_is_made_of_an_entry_alone(services):
    assert PeopleDesk(services.store, Entry(), services.activity).open
    assert services.people.mode is SignIn.ACCOUNTS
