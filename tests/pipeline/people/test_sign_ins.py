"""Sign-ins that last, expire and are ended, and names with a join code."""

import pytest

from pipeline.auth import names
from pipeline.entrance import Guest
from pipeline.errors import AccessError, InvitationError, RecordError, StoreError
from pipeline.records import Role
from pipeline.settings import SignIn
from pipeline.store.sign_ins import DAY, DAYS, MOST_DAYS
from tests import stores
from tests.people import add, open_team, team
from tests.pipeline.people.entering import FRESH, GOOD, HERE, later
from tests.workspace import open_workspace


def test_a_sign_in_survives_a_restart_and_its_token_is_kept_nowhere(tmp_path):
    services = open_team(tmp_path / "home")
    anna = add(services, "Anna", Role.ANNOTATOR)
    services.close()
    kept = stores.content(tmp_path / "home")
    assert b"Anna" in kept and anna.cookie.encode() not in kept
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


def test_whoever_came_by_a_code_that_is_used_up_is_told_by_what_they_come_in_again(by_name):
    services = by_name
    services.entrance.by_name("Olga", services.entrance.owner_code(), HERE, FRESH)
    code = services.people.invite(services.store.memberships.owners()[0], Role.VIEWER, most=1).code
    services.entrance.by_name("Vera", code, Guest("a"), "a" * 64)
    with pytest.raises(InvitationError, match="If you are one of them, use the browser in which you came; else"):
        services.entrance.by_name("Vera", code, Guest("a", "b" * 64), "c" * 64)
    assert services.entrance.signed_in(services.entrance.by_name("Vera", code, Guest("a", "a" * 64), "d" * 64))


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
