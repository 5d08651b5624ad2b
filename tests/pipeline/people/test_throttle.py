"""How often somebody may try a password, a name or a code."""

import time

import pytest

from pipeline.auth import passwords, throttle
from pipeline.entrance import NO_INVITATION, WRONG, Guest
from pipeline.errors import AccessError
from pipeline.records import Role
from tests.people import open_team
from tests.pipeline.people.entering import GOOD, HERE, account, at_once, later


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
