"""How a comparison comes into being: both models over the same contexts, what may go wrong, and that it happens once."""

from dataclasses import replace

import pytest

from pipeline import ranking
from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm
from pipeline.errors import ComparisonError
from pipeline.records import JobState, Outcome
from tests.material import TEST, Home, add_manual, add_queries, finished
from tests.openai_server import OpenAIServer
from tests.pipeline.test_generation import until
from tests.workspace import add_comparison, add_model, person


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def home(tmp_path, server):
    home = Home(tmp_path / "home", openai_base_url=server.base_url, openai_model="test-model", concurrency=2)
    add_manual(home.services, tmp_path)
    yield home
    home.services.close()


def both(services):
    return [model.id for model in services.registry.all()]


def ended(services, set_id, seconds=30):
    until(lambda: services.store.comparisons.set(set_id).state != "preparing", seconds)
    return services.store.comparisons.set(set_id)


def test_both_models_answer_the_test_queries_over_the_same_contexts(home):
    services = home.services
    item = ended(services, services.comparisons.create(ComparisonSettings(both(services)), add_queries(services)))
    nothing = dict.fromkeys(("identical", "named", "barred", "failed", "trained"), 0)
    assert (item.state, item.summary) == ("open", {"queries": 3, "pairs": 3, **nothing})
    for comparison in services.store.comparisons.in_set(item.id):
        completions = services.store.runs.by_ids([comparison.completion_1_id, comparison.completion_2_id])
        assert {completion.retrieval_id for completion in completions.values()} == {comparison.retrieval_id}


def test_a_cancelled_preparation_is_no_comparison_and_the_next_one_goes_on(home, server):
    services = home.services
    server.fail(times=None, stall=60, when=TEST[1])
    list_id = add_queries(services)
    set_id = services.comparisons.create(ComparisonSettings(both(services)), list_id)
    until(lambda: len(server.chats) >= 2)
    run = next(run for run in services.store.runs.latest() if run.state is JobState.RUNNING)
    services.generation.cancel(run.id)
    item = ended(services, set_id)
    assert (item.state, services.store.comparisons.in_set(set_id)) == ("failed", [])
    assert item.error == "Its answers were cancelled. Create it again: finished answers are kept."
    server.recover()
    again = ended(services, services.comparisons.create(ComparisonSettings(both(services)), list_id))
    assert (again.state, again.summary["pairs"]) == ("open", 3) and again.id != set_id


def test_documents_that_come_during_the_preparation_do_not_disturb_it(home, server, tmp_path):
    services = home.services
    server.fail(times=1, stall=1.0, when=TEST[0])
    set_id = services.comparisons.create(ComparisonSettings(both(services)), add_queries(services))
    until(lambda: len(server.chats) >= 1)
    add_manual(services, tmp_path, "# Addendum\n\nBoats that moor free of charge have no showers.\n", "more.md")
    item = ended(services, set_id)
    assert (item.state, item.summary["pairs"], item.summary["failed"]) == ("open", 3, 0)


def test_the_same_comparison_is_made_once_until_the_documents_change(home, tmp_path):
    services, list_id = home.services, add_queries(home.services)
    one, two = both(services)
    set_id = services.comparisons.create(ComparisonSettings((one, two)), list_id)
    assert services.comparisons.create(ComparisonSettings((two, one)), list_id) == set_id
    ended(services, set_id)
    assert services.comparisons.create(ComparisonSettings((one, two)), list_id) == set_id
    add_manual(services, tmp_path, "# Addendum\n\nNothing of note.\n", "more.md")
    assert services.comparisons.create(ComparisonSettings((one, two)), list_id) != set_id


def test_a_comparison_that_misses_a_query_can_be_made_again_and_finished_answers_are_kept(home, server):
    services, list_id = home.services, add_queries(home.services)
    server.fail(times=None, status=400, when=TEST[1])
    first = ended(services, services.comparisons.create(ComparisonSettings(both(services)), list_id))
    assert (first.state, first.summary["pairs"], first.summary["failed"]) == ("open", 2, 1)
    server.recover()
    asked = len(server.chats)
    again = ended(services, services.comparisons.create(ComparisonSettings(both(services)), list_id))
    assert again.id != first.id and (again.summary["pairs"], again.summary["failed"]) == (3, 0)
    assert len(server.chats) == asked + 1
    assert services.comparisons.create(ComparisonSettings(both(services)), list_id) == again.id


def test_stopping_the_app_leaves_the_preparation_interrupted(home, server):
    server.fail(times=None, stall=60)
    set_id = home.services.comparisons.create(ComparisonSettings(both(home.services)), add_queries(home.services))
    until(lambda: len(server.chats) >= 1)
    item = home.restart().store.comparisons.set(set_id)
    assert (item.state, item.error.startswith("The app was stopped")) == ("interrupted", True)


def test_results_of_a_comparison_that_never_opened_cannot_be_opened(home, server):
    server.fail(times=None, status=500)
    services = home.restart(timeout=1.0)
    set_id = services.comparisons.create(ComparisonSettings(both(services)), add_queries(services))
    me = person(services, "Ada")
    with pytest.raises(ComparisonError, match="not open for votes"):
        services.comparisons.reveal(set_id, me)
    assert not services.comparisons.is_revealed(set_id, me)


def test_two_runs_at_the_same_time_pay_for_each_answer_once(home, server):
    services, list_id = home.services, add_queries(home.services)
    server.fail(times=None, stall=0.2)
    runs = [services.generation.start_run(both(services)[1], list_id) for _ in range(2)]
    ends = [finished(services, run_id) for run_id in runs]
    assert [(run.state, run.done, run.failed) for run in ends] == [(JobState.DONE, 8, 0)] * 2
    assert len(server.chats) == 8


def test_a_run_goes_on_where_the_other_one_that_asked_was_cancelled(home, server):
    services, list_id = home.services, add_queries(home.services, TEST[:1], ())
    server.fail(times=1, stall=60)
    first = services.generation.start_run(both(services)[1], list_id)
    until(lambda: len(server.chats) == 1)
    second = services.generation.start_run(both(services)[1], list_id)
    services.generation.cancel(first)
    assert finished(services, first).state is JobState.CANCELLED
    assert (finished(services, second).done, len(server.chats)) == (1, 2)


def test_people_who_drop_in_for_one_vote_do_not_move_the_win_rate_by_ties_they_never_gave(services):
    models = add_model(services, "first-model"), add_model(services, "second-model")
    texts = [("Same.", "Same.")] * 10 + [(f"First {n}.", f"Second {n}.") for n in range(10)]
    set_id, desk = add_comparison(services, models, texts), services.comparisons
    lead, *others = [person(services, name) for name in ("Lead", "Ada", "Bo", "Cem", "Dana")]

    def vote(me):
        pair = desk.next_pair(set_id, me)
        better = Outcome.MODEL_A if pair.text_a.startswith("First") else Outcome.MODEL_B
        desk.vote(pair.comparison_id, me, better)

    for _ in range(10):
        vote(lead)
    desk.reveal(set_id, lead)
    alone = desk.results(set_id, lead)
    for other in others:
        vote(other)
    results = desk.results(set_id, lead)
    assert alone.automatic_ties == results.automatic_ties == 10
    rates = [ranking.win_rate(some.votes, "first-model", "second-model").rate for some in (alone, results)]
    assert rates[0] == 0.75 and rates[1] > rates[0]


def test_identical_answers_are_a_tie_of_each_person_who_votes_on_all_others(services):
    models = add_model(services, "first-model"), add_model(services, "second-model")
    set_id = add_comparison(services, models, [("Same.", "Same."), ("This.", "That."), ("One.", "Two.")])
    desk, (ada, bo, lead) = services.comparisons, [person(services, name) for name in ("Ada", "Bo", "Lead")]
    desk.reveal(set_id, lead)
    assert len(desk.results(set_id, lead).votes) == desk.results(set_id, lead).automatic_ties == 1
    for me in (ada, bo):
        while pair := desk.next_pair(set_id, me):
            desk.vote(pair.comparison_id, me, Outcome.MODEL_A)
    results = desk.results(set_id, lead)
    assert (len(results.votes), len(results.stored), results.automatic_ties) == (6, 6, 2)
    assert {vote.query_id: 2 for vote in results.votes} == {
        query: sum(vote.query_id == query for vote in results.votes) for query in {v.query_id for v in results.votes}
    }


def test_names_between_the_pairs_of_a_query_are_refused(home):
    services = home.services
    models = [*both(services), add_model(services, "third").id]
    settings = ComparisonSettings(tuple(models), reveal=RevealPolicy.VOTE)
    list_id = add_queries(services)
    with pytest.raises(ComparisonError, match="would tell who wrote an answer of the next pair"):
        services.comparisons.create(settings, list_id)
    # Neither in a ranking nor with two models is an answer shown again.
    for fits in (replace(settings, form=VoteForm.RANKING), replace(settings, model_ids=tuple(models[:2]))):
        assert ended(services, services.comparisons.create(fits, list_id)).state == "open"
