"""Tokens: whose they are, when they open nothing any more, and what is kept of them."""

import re
import time

import pytest

from pipeline.errors import AccessError, NotFoundError, RecordError, SignedOutError
from pipeline.records import Role
from pipeline.store.schema import api_tokens
from pipeline.store.tokens import USE_SECONDS
from pipeline.tokens import MOST
from tests import stores
from tests.people import add, open_team
from tests.workspace import open_workspace, person


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    services = open_team(tmp_path_factory.mktemp("tokens") / "home")
    yield services
    services.close()


@pytest.fixture(scope="module")
def owner(services):
    return add(services, "Olga", Role.OWNER).id


@pytest.fixture
def ada(services):
    return add(services, f"Ada {len(services.store.memberships.all())}", Role.ANNOTATOR).id


def whose(services, value):
    return services.tokens.person(f"Bearer {value}")


def opens(services, value):
    try:
        whose(services, value)
    except SignedOutError:
        return False
    return True


def test_a_token_is_its_owner_until_it_is_revoked(services, ada):
    made = services.tokens.make(ada, "  nightly \n import ")
    assert re.fullmatch(r"pl_[\w-]{43}", made.value) and whose(services, made.value) == ada
    assert services.tokens.person(f"bearer   {made.value}  ") == ada
    (listed,) = services.tokens.of(ada)
    assert (listed.name, listed.id, listed.expires_at) == ("nightly import", made.id, None)
    services.tokens.revoke(ada, made.id)
    assert not opens(services, made.value) and services.tokens.of(ada) == []
    with pytest.raises(NotFoundError, match="revoked already"):
        services.tokens.revoke(ada, made.id)


def test_two_tokens_are_never_the_same_and_end_each_by_itself(services, ada):
    made = [services.tokens.make(ada, "same name") for _ in range(3)]
    assert len({item.value for item in made} | {item.id for item in made}) == 6
    services.tokens.revoke(ada, made[1].id)
    assert [opens(services, item.value) for item in made] == [True, False, True]


def test_nothing_that_is_kept_or_sent_holds_a_token(services, ada):
    value = services.tokens.make(ada, "secret").value
    with services.store.database.read() as connection:
        rows = [dict(row) for row in connection.execute(api_tokens.select()).mappings()]
    files = stores.content(services.settings.home)
    for kept in (str(rows).encode(), files, str(services.activity.latest()).encode()):
        assert value.encode() not in kept and value[3:].encode() not in kept
    assert b"secret" in files


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer", "Bearer ", "pl_x", "Basic YTpi", "Bearer pl_", "Bearer " + "a" * 46, "Bearer pl_" + "a" * 43,
        "Bearer pl_" + "a" * 42 + "\0", "Bearer pl_" + "é" * 43, "Bearer " + "pl_" + "a" * 200_000, "Bearer pl_%s OR 1=1",
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_token_is_nobody(services, header):
    with pytest.raises(SignedOutError, match="Settings, API tokens"):
        services.tokens.person(header)


def test_an_expired_token_opens_nothing(services, ada):
    made = services.tokens.make(ada, "a week", days=7)
    assert services.tokens.of(ada)[0].expires_at == pytest.approx(time.time() + 7 * 86400, abs=60)
    with services.store.database.write() as connection:
        connection.execute(api_tokens.update().where(api_tokens.c.id == made.id).values(expires_at=time.time() - 1))
    assert not opens(services, made.value) and services.tokens.of(ada) == []


@pytest.mark.parametrize("name", ["", "  \n", "x" * 81, "\0"], ids=["none", "blank", "long", "nul"])
def test_a_token_needs_a_name(services, ada, name):
    with pytest.raises(RecordError, match="Name the token"):
        services.tokens.make(ada, name)


@pytest.mark.parametrize("days", [0, -1, 366])
def test_a_token_is_good_for_at_most_a_year_or_without_an_end(services, ada, days):
    with pytest.raises(RecordError, match="1 to 365 days"):
        services.tokens.make(ada, "x", days=days)


def test_nobody_hoards_tokens(services, ada):
    first = [services.tokens.make(ada, "x") for _ in range(MOST)][0]
    with pytest.raises(RecordError, match="revoke one first"):
        services.tokens.make(ada, "x")
    services.tokens.revoke(ada, first.id)
    services.tokens.make(ada, "x")


def test_an_owner_sees_and_revokes_what_others_made_and_nobody_else_does(services, owner, ada):
    bo = add(services, f"Bo of {ada}", Role.ADMIN).id
    made = services.tokens.make(ada, "of Ada")
    assert services.tokens.of_others(bo) == [] and services.tokens.of_others(ada) == []
    assert made.id in {token.id for token, _ in services.tokens.of_others(owner)}
    with pytest.raises(AccessError, match="somebody else's"):
        services.tokens.revoke(bo, made.id)
    assert opens(services, made.value)
    services.tokens.revoke(owner, made.id)
    assert not opens(services, made.value)
    said = services.activity.latest(owner).lines[0]
    assert (said.did, said.subject) == ("revoked the API token", f"of Ada of {services.store.members.name(ada)}")


def test_the_tokens_of_who_is_removed_are_dead_also_when_they_come_back(services, owner, ada):
    made = services.tokens.make(ada, "of Ada")
    with pytest.raises(AccessError):
        services.people.remove(ada, ada)
    assert opens(services, made.value)
    services.people.remove(owner, ada)
    assert not opens(services, made.value)
    with pytest.raises(AccessError):
        services.tokens.make(ada, "again")
    with services.store.database.read() as connection:
        (row,) = connection.execute(api_tokens.select().where(api_tokens.c.id == made.id)).all()
    assert row.ended_at is not None


def test_the_last_use_is_known_to_the_quarter_of_an_hour_and_never_travels(services, ada):
    made = services.tokens.make(ada, "used")
    assert services.tokens.of(ada)[0].used_at is None
    newest = services.store.outbox.newest()
    for _ in range(3):
        whose(services, made.value)
    used = services.tokens.of(ada)[0].used_at
    assert used % USE_SECONDS == 0 and 0 <= time.time() - used < USE_SECONDS + 60
    assert services.store.outbox.newest() == newest


def test_where_nobody_signs_in_a_token_is_a_browsers_member_and_others_are_not_looked_at(tmp_path):
    services = open_workspace(tmp_path / "home")
    ada, bo = person(services, "a" * 64), person(services, "b" * 64)
    made = services.tokens.make(ada, "laptop")
    assert whose(services, made.value) == ada and services.tokens.of_others(bo) == []
    with pytest.raises(AccessError):
        services.tokens.revoke(bo, made.id)
    services.close()


def test_a_request_that_is_done_is_known_by_who_sent_what(services):
    requests = services.store.requests
    assert not requests.is_done("vote", "ada", "pair", "t1")
    requests.done("vote", "ada", "pair", "t1")
    requests.done("vote", "ada", "pair", "t1")
    assert requests.is_done("vote", "ada", "pair", "t1")
    for other in (("vote", "bo", "pair", "t1"), ("undo", "ada", "pair", "t1"), ("vote", "ada", "pairt1", "")):
        assert not requests.is_done(*other)
