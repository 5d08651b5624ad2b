"""Rankings that come from another replica: what points at answers that are not here waits, and what fits no answers stays out."""

from dataclasses import replace

import pytest

from pipeline.comparison_settings import VoteForm
from tests.workspace import add_comparison, add_model, open_workspace, person


@pytest.fixture
def services(tmp_path):
    services = open_workspace(tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def other(tmp_path):
    services = open_workspace(tmp_path / "other")
    yield services
    services.close()


@pytest.fixture
def models(services):
    return [add_model(services, name) for name in ("one", "two", "three")]


@pytest.fixture
def set_id(services, models):
    set_id = add_comparison(services, models, [("a", "b", "c")], form=VoteForm.RANKING)
    me = person(services, "Ada")
    shown = services.comparisons.next_pair(set_id, me)
    services.comparisons.rank(shown.comparison_id, me, [1, 2, 3])
    return set_id


def changes_of(services):
    return services.store.outbox.batch("repo", 10_000)


@pytest.mark.parametrize("missing", ["completion", "model"])
def test_a_ranking_waits_for_the_third_answer_and_its_model(services, other, models, set_id, missing):
    (item,) = services.store.comparisons.in_set(set_id)
    late = {"completion": item.completion_ids[2], "model": models[2].id}[missing]
    changes = changes_of(services)
    other.store.merging.merge([change for change in changes if change.row_id != late], "repo")
    waiting = {parked.table for parked in other.store.merging.parked()}
    assert {"comparisons", "sides", "votes"} <= waiting
    # Nothing stumbles over what is not there.
    assert other.store.votes.of_set(set_id) == [] and other.store.comparisons.in_set(set_id) == []
    other.store.comparisons.sets()
    other.store.merging.merge([change for change in changes if change.row_id == late], "repo")
    while other.store.merging.parked():
        assert other.store.merging.retry_parked().applied
    assert other.comparisons.results_of(set_id).stored == services.comparisons.results_of(set_id).stored


@pytest.mark.parametrize(
    "wrong", [{"ranks": [1, 2, 3, 4]}, {"ranks": None}, {"shown": None}, {"shown": ["x", "y", "z"]}]
)
def test_a_ranking_that_fits_no_answers_is_put_aside(services, other, set_id, wrong):
    changes = changes_of(services)
    broken = [replace(one, row={**one.row, **wrong}) if one.table == "votes" else one for one in changes]
    other.store.merging.merge(broken, "repo")
    (parked,) = other.store.merging.parked()
    assert (parked.table, parked.reason) == ("votes", "holds something else than it should in ranks")
    assert other.comparisons.results_of(set_id).stored == ()
