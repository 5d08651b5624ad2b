"""Blind comparison: sides, votes, undo, reveal, and what bars a query."""

import hashlib
import threading
from collections import Counter

import pytest

from pipeline.comparison_settings import ComparisonSettings, RevealPolicy
from pipeline.errors import ComparisonError
from pipeline.records import Outcome, Split
from pipeline.store.members import AUTOMATIC
from tests.material import finished
from tests.pipeline.test_generation import until
from tests.workspace import add_comparison, add_model, person

TEXTS = [(f"Answer {n} in few words.", f"Answer {n}, and it goes on for longer.") for n in range(12)]


@pytest.fixture
def pair(services):
    return add_model(services, "first-model"), add_model(services, "second-model")


@pytest.fixture
def set_id(services, pair):
    return add_comparison(services, pair, TEXTS)


def left_counts(services, set_id, me):
    votes = [vote for vote in services.store.votes.of_set(set_id) if vote.annotator_id == me]
    return Counter(vote.left_model_id for vote in votes)


def test_sides_differ_by_at_most_one_at_every_moment_with_undo(services, set_id, pair):
    desk = services.comparisons
    for name in ("Ada", "Bo", "Cem", "Dana", "Eve"):
        me, undone = person(services, name), 0
        while shown := desk.next_pair(set_id, me):
            desk.vote(shown.comparison_id, me, Outcome.MODEL_A)
            counts = left_counts(services, set_id, me)
            assert abs(counts[pair[0].id] - counts[pair[1].id]) <= 1
            if undone < 4 and shown.number % 3 == 0:
                undone += 1
                desk.undo(set_id, me)
                counts = left_counts(services, set_id, me)
                assert abs(counts[pair[0].id] - counts[pair[1].id]) <= 1
        assert left_counts(services, set_id, me) == {pair[0].id: 6, pair[1].id: 6}


def test_sides_are_drawn_by_chance_for_the_first_pair(services, set_id, pair):
    lefts = set()
    for number in range(24):
        me = person(services, f"P{number}")
        shown = services.comparisons.next_pair(set_id, me)
        lefts.add(services.store.votes.drawn(shown.comparison_id, me)[0] in _completions(services, pair[0]))
    assert lefts == {True, False}


def _completions(services, model):
    comparisons = services.store.comparisons.in_set(services.comparisons.sets()[0].id)
    return {c.completion_1_id for c in comparisons} if model.name == "first-model" else set()


def test_a_reload_shows_the_same_pair_with_the_same_sides(services, set_id):
    me = person(services, "Ada")
    assert services.comparisons.next_pair(set_id, me) == services.comparisons.next_pair(set_id, me)


def test_undo_brings_the_pair_back_with_the_same_sides(services, set_id):
    me = person(services, "Ada")
    first = services.comparisons.next_pair(set_id, me)
    services.comparisons.vote(first.comparison_id, me, Outcome.TIE, "because", "A better answer.")
    services.comparisons.next_pair(set_id, me)
    undone = services.comparisons.undo(set_id, me)
    assert (undone.reason, undone.correction) == ("because", "A better answer.")
    assert services.comparisons.next_pair(set_id, me) == first


def test_the_second_vote_on_a_pair_changes_nothing(services, set_id):
    me = person(services, "Ada")
    shown = services.comparisons.next_pair(set_id, me)
    assert services.comparisons.vote(shown.comparison_id, me, Outcome.MODEL_A) is True
    assert services.comparisons.vote(shown.comparison_id, me, Outcome.MODEL_B) is False
    assert [vote.outcome for vote in services.store.votes.of_set(set_id)] == [Outcome.MODEL_A]


def test_many_windows_of_one_person_give_one_vote(services, set_id):
    me = person(services, "Ada")
    shown = services.comparisons.next_pair(set_id, me)
    taken, gate = [], threading.Barrier(8)

    def vote():
        gate.wait()
        taken.append(services.comparisons.vote(shown.comparison_id, me, Outcome.MODEL_A))

    threads = [threading.Thread(target=vote) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(taken) == [False] * 7 + [True]


def test_a_pair_that_was_never_shown_cannot_be_voted_on(services, set_id):
    ada, bo = person(services, "Ada"), person(services, "Bo")
    shown = services.comparisons.next_pair(set_id, ada)
    with pytest.raises(ComparisonError, match="not shown"):
        services.comparisons.vote(shown.comparison_id, bo, Outcome.MODEL_A)


def test_an_unknown_outcome_raises(services, set_id):
    me = person(services, "Ada")
    shown = services.comparisons.next_pair(set_id, me)
    with pytest.raises(ValueError, match="leftvote"):
        services.comparisons.vote(shown.comparison_id, me, "leftvote")
    assert services.store.votes.of_set(set_id) == []


def test_opening_the_results_ends_voting_and_undo(services, set_id):
    me = person(services, "Ada")
    shown = services.comparisons.next_pair(set_id, me)
    services.comparisons.vote(shown.comparison_id, me, Outcome.MODEL_A)
    waiting = services.comparisons.next_pair(set_id, me)
    with pytest.raises(ComparisonError, match="Open the results first"):
        services.comparisons.results(set_id, me)
    services.comparisons.reveal(set_id, me)
    assert services.comparisons.next_pair(set_id, me) is None
    with pytest.raises(ComparisonError, match="final"):
        services.comparisons.undo(set_id, me)
    with pytest.raises(ComparisonError, match="ended your voting"):
        services.comparisons.vote(waiting.comparison_id, me, Outcome.MODEL_A)
    assert len(services.comparisons.results(set_id, me).votes) == 1


def test_votes_name_the_model_that_was_on_the_side(services, set_id, pair):
    me = person(services, "Ada")
    while shown := services.comparisons.next_pair(set_id, me):
        short_is_a = len(shown.text_a) < len(shown.text_b)
        services.comparisons.vote(shown.comparison_id, me, Outcome.MODEL_A if short_is_a else Outcome.MODEL_B)
    services.comparisons.reveal(set_id, me)
    votes = services.comparisons.results(set_id, me).votes
    winners = [vote.model_a if vote.outcome is Outcome.MODEL_A else vote.model_b for vote in votes]
    assert winners == ["first-model"] * 12
    assert {vote.model_a for vote in votes} == {"first-model", "second-model"}


def test_queries_with_fewest_votes_come_first(services, set_id):
    for name in ("Ada", "Bo", "Cem"):
        for _ in range(4):
            shown = services.comparisons.next_pair(set_id, person(services, name))
            services.comparisons.vote(shown.comparison_id, person(services, name), Outcome.TIE)
    counts = Counter(vote.comparison_id for vote in services.store.votes.of_set(set_id))
    assert set(counts.values()) == {1} and len(counts) == 12


def test_identical_completions_are_one_tie_that_nobody_is_shown(services, pair):
    set_id = add_comparison(services, pair, [("Same words.", "Same words."), ("One.", "Two.")])
    me = person(services, "Ada")
    shown = services.comparisons.next_pair(set_id, me)
    assert {shown.text_a, shown.text_b} == {"One.", "Two."} and shown.total == 1
    votes = services.store.votes.of_set(set_id)
    assert [(vote.annotator_id, vote.outcome) for vote in votes] == [(AUTOMATIC, Outcome.TIE)]


def test_what_is_reviewed_on_edit_and_so_all_training_data_is_barred_in_any_spelling(services, pair):
    base = services.registry.all()[0]
    train = services.store.queries.add_set("train", [("How much is it?", Split.TRAIN, {})])
    run_id = services.generation.start_run(base.id, train)
    finished(services, run_id)
    # Edit shows the suggestion beside the name of the model that wrote it.
    dataset = services.datasets.create_of_run(run_id, "answer-review")
    assert services.store.datasets.records(dataset.id)[0].suggestions["answer"].agent == base.name
    items = [("how  much is IT", Split.TEST, {}), ("Who?", Split.TEST, {})]
    test = services.store.queries.add_set("test", items)
    preview = services.comparisons.preview(ComparisonSettings((pair[0].id, pair[1].id)), test)
    assert (preview.pairs, preview.barred) == (1, 1)
    set_id = services.comparisons.create(ComparisonSettings((pair[0].id, pair[1].id)), test)
    until(lambda: services.store.comparisons.set(set_id).state != "preparing")
    compared = {item.query_id for item in services.store.comparisons.in_set(set_id)}
    assert compared == {query.id for query in services.store.queries.in_set(test) if query.text == "Who?"}
    only = services.store.queries.add_set("only", items[:1])
    with pytest.raises(ComparisonError, match="reviewed on Edit"):
        services.comparisons.create(ComparisonSettings((pair[0].id, pair[1].id)), only)


def test_two_times_the_same_model_is_refused(services):
    model = services.registry.all()[0]
    with pytest.raises(ComparisonError, match="different models"):
        services.comparisons.create(ComparisonSettings((model.id, model.id)), "any")


def test_a_list_without_test_queries_is_refused_with_what_to_do(services, pair):
    only_train = services.store.queries.add_set("train", [("How?", Split.TRAIN, {})])
    with pytest.raises(ComparisonError, match="no test queries"):
        services.comparisons.create(ComparisonSettings((pair[0].id, pair[1].id)), only_train)


def test_the_name_shown_before_the_reveal_names_no_model(services, set_id):
    item = services.comparisons.sets()[0]
    assert "model" not in services.comparisons.blind_name(
        item
    ) and "both by name" not in services.comparisons.blind_name(item)


def test_test_queries_are_withheld_in_every_list_and_spelling_until_the_results_are_opened(services, set_id, pair):
    desk, ada, bo = services.comparisons, person(services, "Ada"), person(services, "Bo")
    items = [
        (" query NUMBER 0? ", Split.TRAIN, {}),
        ("Query number 1?", Split.TEST, {}),
        ("Not compared?", Split.TEST, {}),
        ("Not compared?", Split.TRAIN, {}),
        ("Never tested?", Split.TRAIN, {}),
    ]
    other = services.store.queries.in_set(services.store.queries.add_set("other", items))

    def withheld(me, model=pair[0]):
        """Return for each query whether its answer is withheld; on Ask the same ones are refused."""
        refused = []
        for query in other:
            try:
                desk.refuse_withheld_query(f" {query.text.rstrip('?')}  ", model.id, me)
                refused.append(False)
            except ComparisonError as error:
                assert "kept for Compare" in str(error)
                refused.append(True)
        assert refused == [query.id in desk.withheld(other, model.id, me) for query in other]
        return refused

    assert withheld(ada) == withheld(bo) == [True, True, True, True, False]
    desk.reveal(set_id, ada)
    assert (withheld(ada), withheld(bo)) == ([False, False, True, True, False], [True, True, True, True, False])


def test_answers_of_a_model_that_takes_part_in_no_opened_comparison_stay_withheld(services, set_id, pair):
    desk, ada, new = services.comparisons, person(services, "Ada"), add_model(services, "the-next-one")
    queries = services.store.queries.in_set(desk.sets()[0].query_set_id)
    desk.reveal(set_id, ada)
    assert [len(desk.withheld(queries, model.id, ada)) for model in (*pair, new)] == [0, 0, len(queries)]
    with pytest.raises(ComparisonError, match="kept for Compare"):
        desk.refuse_withheld_query(queries[0].text, new.id, ada)
    second = add_comparison(services, (pair[1], new), TEXTS, [query.text for query in queries])
    assert all(len(desk.withheld(queries, model.id, ada)) == len(queries) for model in (*pair, new))
    desk.reveal(second, ada)
    assert [len(desk.withheld(queries, model.id, ada)) for model in (*pair, new)] == [0, 0, 0]


def test_the_error_of_a_set_names_no_model(services, pair, set_id):
    services.store.comparisons.fail_set(set_id, "failed", "first-model needs an endpoint; second-model too.")
    assert services.comparisons.blind_error(services.comparisons.sets()[0]) == "a model needs an endpoint; a model too."


def test_answers_are_withheld_elsewhere_from_those_who_still_judge_them(services, pair, set_id):
    from components.ask import runs
    from tests.workspace import request_of

    list_id = services.comparisons.sets()[0].query_set_id
    run_id = services.generation.start_run(pair[0].id, list_id)
    finished(services, run_id)
    handlers = runs.RunsHandlers(services)
    ada, bo = request_of("a"), request_of("b")
    assert handlers.show_run(run_id, ada).rows.count("kept for Compare") == 12 * 2  # the cell and its hover text
    services.comparisons.reveal(set_id, services.store.members.by_token("a" * 64))
    assert "kept for Compare" not in handlers.show_run(run_id, ada).rows
    assert "kept for Compare" in handlers.show_run(run_id, bo).rows


def test_where_names_are_never_shown_ids_do_not_tell_who_is_model_1(services, pair):
    """Ids of sets and models reach every browser: no hash of them may give the numbers."""
    told = 0
    for _ in range(20):
        set_id = add_comparison(services, pair, TEXTS[:1], reveal=RevealPolicy.NEVER)
        names = services.comparisons.results_of(set_id).models
        assert names == services.comparisons.results_of(set_id).models
        guess = sorted(names, key=lambda model: hashlib.sha256(f"{set_id}{model}".encode()).digest())  # noqa: B023
        told += list(names) == guess
    assert 0 < told < 20


def test_results_without_names_open_no_answer_beside_a_name(services, pair):
    set_id = add_comparison(services, pair, TEXTS[:1], reveal=RevealPolicy.NEVER)
    item, me = services.store.comparisons.set(set_id), person(services, "Ada")
    queries = services.store.queries.in_set(item.query_set_id)
    services.comparisons.reveal(set_id, me)
    assert services.comparisons.withheld(queries, pair[0].id, me) == {query.id for query in queries}
    with pytest.raises(ComparisonError, match="kept for Compare"):
        services.comparisons.refuse_withheld_query(queries[0].text, pair[0].id, me)
