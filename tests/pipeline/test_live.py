"""Live mode over a real endpoint: both answers come together, nothing tells the models apart, and nothing is half kept."""

import threading
import time

import pytest

from pipeline import ranking
from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm
from pipeline.errors import ComparisonError, QueryFileError
from pipeline.records import Outcome
from tests.material import Home, add_manual
from tests.openai_server import OpenAIServer
from tests.workspace import person

QUERY = "Where are the showers?"


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def services(tmp_path, server):
    home = Home(tmp_path / "home", openai_base_url=server.base_url, openai_model="test-model", concurrency=2)
    add_manual(home.services, tmp_path)
    yield home.services
    home.services.close()


@pytest.fixture
def models(services):
    return tuple(model.id for model in services.registry.all())


@pytest.fixture
def live(services, models):
    return services.live.create(ComparisonSettings(models))


def test_a_query_becomes_a_blind_pair_of_the_person_who_asked(services, live, server):
    ada, bo = person(services, "Ada"), person(services, "Bo")
    assert services.comparisons.next_pair(live, ada) is None
    server.answer = lambda messages: "An answer of the endpoint's own."
    assert services.live.ask(live, ada, QUERY)
    pair = services.comparisons.next_pair(live, ada)
    assert pair.query == QUERY and len(set(pair.texts)) == 2 and pair.contexts
    assert services.comparisons.next_pair(live, bo) is None
    assert services.comparisons.progress(live, bo) == (0, 0)
    # While it waits, another query changes nothing: first this one is judged.
    asked = len(server.chats)
    assert services.live.ask(live, ada, "Something else?") and len(server.chats) == asked
    services.comparisons.vote(pair.comparison_id, ada, Outcome.MODEL_A)
    assert services.comparisons.next_pair(live, ada) is None
    services.comparisons.reveal(live, ada)
    assert len(services.comparisons.results(live, ada).votes) == 1
    with pytest.raises(ComparisonError, match="ended your voting"):
        services.live.ask(live, ada, QUERY)


def test_nothing_comes_before_the_slower_model_has_answered(services, live, server):
    server.fail(times=None, stall=1.5)
    begun, me = time.monotonic(), person(services, "Ada")
    asking = threading.Thread(target=services.live.ask, args=(live, me, QUERY))
    asking.start()
    while not server.chats:
        time.sleep(0.01)
    # The embedded model has answered by now, the endpoint has not.
    assert services.comparisons.next_pair(live, me) is None and services.store.comparisons.in_set(live) == []
    asking.join()
    assert time.monotonic() - begun >= 1.5


def test_where_a_model_gives_no_answer_nothing_is_kept_and_no_model_named(services, live, server):
    server.fail(times=None, status=401, message="The key of test-model is wrong.")
    me = person(services, "Ada")
    with pytest.raises(ComparisonError, match="One of the two models gave no answer") as failure:
        services.live.ask(live, me, QUERY)
    assert "test-model" not in str(failure.value) and "extractive" not in str(failure.value)
    assert services.store.comparisons.in_set(live) == []
    server.recover()
    services.live.ask(live, me, QUERY)
    assert len(services.store.comparisons.in_set(live)) == 1


def test_answers_that_are_the_same_are_a_tie_that_nobody_is_shown(services, live, server, models):
    me = person(services, "Ada")
    # Nothing of the documents fits: both models refuse in the same words.
    assert services.live.ask(live, me, "zzz qqq") is False
    assert services.comparisons.next_pair(live, me) is None
    (vote,) = services.store.votes.of_set(live)
    assert vote.outcome is Outcome.TIE and vote.annotator_id == "automatic"


def test_the_same_live_comparison_is_opened_once(services, live, models):
    assert services.live.create(ComparisonSettings(models)) == live
    other = services.live.create(ComparisonSettings(models, reveal=RevealPolicy.VOTE))
    assert other != live
    with pytest.raises(ComparisonError, match="has two models"):
        services.live.create(ComparisonSettings((*models, "another")))
    with pytest.raises(ComparisonError, match="needs a list of queries"):
        services.live.create(ComparisonSettings(models, form=VoteForm.RANKING))


def test_queries_that_cannot_be_asked_are_refused(services, live):
    me = person(services, "Ada")
    for text in ("", "  ", "x" * 100_000):
        with pytest.raises(QueryFileError):
            services.live.ask(live, me, text)
    assert services.store.queries.in_set(services.store.comparisons.set(live).query_set_id) == []


def test_a_live_query_is_withheld_on_ask_until_the_results_are_opened(services, live, models):
    me = person(services, "Ada")
    services.live.ask(live, me, QUERY)
    with pytest.raises(ComparisonError, match="Test query"):
        services.comparisons.refuse_withheld_query(QUERY.upper(), models[0], me)
    assert all(item.name != "Live queries" for item in services.query_lists.all())
    # Nobody else judges it, so nobody else is kept from asking it.
    services.comparisons.refuse_withheld_query(QUERY, models[0], person(services, "Bo"))


def test_one_that_was_cut_off_before_it_was_open_is_not_taken_for_it(services, models):
    settings = ComparisonSettings(models)
    broken = services.live.create(settings)
    services.store.comparisons.fail_set(broken, "interrupted", "The app was stopped.")
    again = services.live.create(settings)
    assert again != broken and services.live.create(settings) == again
    assert services.store.comparisons.set(again).state == "open"


def test_what_several_people_ask_in_the_same_words_is_one_query(services, live, server):
    server.answer = lambda messages: "An answer of the endpoint's own."
    for name in ("Ada", "Bo", "Cem"):
        me = person(services, name)
        assert services.live.ask(live, me, f" {QUERY} ")
        pair = services.comparisons.next_pair(live, me)
        services.comparisons.vote(pair.comparison_id, me, Outcome.MODEL_A)
    found = services.comparisons.results_of(live)
    counts = ranking.count_outcomes(found.votes, found.first, found.second)
    assert (counts.votes, counts.queries, counts.annotators) == (3, 1, 3)
