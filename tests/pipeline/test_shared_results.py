"""Links to results: who may make one, what is stored of it, and where it leads."""

import hashlib

import pytest
from sqlalchemy import select

from pipeline.errors import ComparisonError
from pipeline.store.schema import result_links
from tests.workspace import add_comparison, add_model, open_workspace, person


@pytest.fixture
def services(tmp_path):
    services = open_workspace(tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def sets(services):
    models = add_model(services, "one"), add_model(services, "two")
    return [add_comparison(services, models, [("a", "b")], [f"Query {n}?"]) for n in range(2)]


def test_only_whoever_opened_the_results_makes_sees_and_withdraws_links(services, sets):
    ada, bo = person(services, "Ada"), person(services, "Bo")
    services.comparisons.reveal(sets[0], ada)
    token = services.shared_results.make(sets[0], ada)
    link, name = services.shared_results.links(sets[0], ada)[0]
    assert (name, link.withdrawn_at) == ("Ada", None)
    for act in (
        lambda: services.shared_results.make(sets[0], bo),
        lambda: services.shared_results.links(sets[0], bo),
        lambda: services.shared_results.withdraw(sets[0], link.id, bo),
        lambda: services.shared_results.make(sets[1], ada),
    ):
        with pytest.raises(ComparisonError, match="Open the results first"):
            act()
    assert services.shared_results.set_of(token) == sets[0]
    services.comparisons.reveal(sets[1], ada)
    with pytest.raises(ComparisonError, match="leads nowhere"):
        services.shared_results.withdraw(sets[1], link.id, ada)
    services.comparisons.reveal(sets[0], bo)
    services.shared_results.withdraw(sets[0], link.id, bo)
    assert services.shared_results.set_of(token) is None
    assert services.shared_results.links(sets[0], ada)[0][0].withdrawn_at is not None
    with pytest.raises(ComparisonError, match="leads nowhere"):
        services.shared_results.withdraw(sets[0], link.id, bo)


def test_of_a_token_only_the_hash_is_stored_and_no_two_are_alike(services, sets):
    ada = person(services, "Ada")
    services.comparisons.reveal(sets[0], ada)
    tokens = {services.shared_results.make(sets[0], ada) for _ in range(5)}
    assert len(tokens) == 5 and min(map(len, tokens)) >= 43
    with services.store.database.read() as connection:
        rows = connection.execute(select(result_links)).mappings().all()
    assert {row["token_hash"] for row in rows} == {hashlib.sha256(token.encode()).hexdigest() for token in tokens}
    assert not [token for token in tokens if token in repr(rows)]
    for wrong in ("", "x" * 43, next(iter(tokens))[:-1], "\ud800", rows[0]["token_hash"]):
        assert services.shared_results.set_of(wrong) is None
