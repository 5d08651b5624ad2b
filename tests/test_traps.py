"""The traps of the workflow that Pairloop replaces, one test each."""

import pytest

from components.compare import tab as compare
from pipeline import ranking
from pipeline.annotation.templates import ANSWER, review_settings
from pipeline.records import Outcome, ResponseStatus, Split, Vote, outcome_from_ranks
from tests.material import finished
from tests.workspace import add_comparison, add_model, person


def test_rank_1_is_best_so_the_smaller_rank_wins():
    assert outcome_from_ranks(1, 2) is Outcome.MODEL_A
    assert outcome_from_ranks(2, 1) is Outcome.MODEL_B
    assert outcome_from_ranks(1, 1) is Outcome.TIE


def test_drafts_and_discards_never_count(services):
    services.example.add()
    dataset, me = services.example.review(), person(services, "Ada")
    ids = services.store.datasets.record_ids(dataset.id)
    services.annotation.save_draft(ids[0], me, {ANSWER: "A draft."})
    services.annotation.discard(ids[1], me, {ANSWER: "Thrown away."})
    services.annotation.submit(ids[2], me, {ANSWER: "Submitted."})
    rows = services.tuner.data_card(dataset.id).rows
    assert [row.answer for row in rows] == ["Submitted."]
    given = {response.id: response.status for response in services.store.responses.of_dataset(dataset.id)}
    assert [given[row.response_id] for row in rows] == [ResponseStatus.SUBMITTED]
    assert "A draft." not in services.tuner.chat_jsonl(dataset.id)


def test_two_identical_completions_are_neither_lost_nor_merged_into_one_model(services):
    base, tuned = add_model(services, "base"), add_model(services, "tuned")
    set_id = add_comparison(services, (base, tuned), [("Same.", "Same."), ("Left.", "Right.")])
    me = person(services, "Ada")
    pair = services.comparisons.next_pair(set_id, me)
    services.comparisons.vote(pair.comparison_id, me, Outcome.TIE)
    services.comparisons.reveal(set_id, me)
    counts = ranking.count_outcomes(services.comparisons.results(set_id, me).votes, "base", "tuned")
    assert (counts.votes, counts.queries, counts.ties, counts.annotators) == (2, 2, 2, 1)
    same = next(item for item in services.store.comparisons.in_set(set_id) if item.identical)
    assert same.completion_1_id != same.completion_2_id
    completions = services.store.runs.by_ids([same.completion_1_id, same.completion_2_id])
    assert {completion.model_id for completion in completions.values()} == {base.id, tuned.id}


def test_options_are_matched_by_name_not_by_position():
    votes = [
        Vote("q1", "tuned", "base", Outcome.MODEL_A),
        Vote("q2", "base", "tuned", Outcome.MODEL_B),
        Vote("q3", "base", "tuned", Outcome.MODEL_A),
    ]
    counts = ranking.count_outcomes(votes, "tuned", "base")
    assert (counts.wins, counts.losses) == (2, 1)
    mirrored = ranking.count_outcomes(votes, "base", "tuned")
    assert (mirrored.wins, mirrored.losses) == (1, 2)


def test_contexts_are_visible_while_comparing(services):
    set_id = add_comparison(services, (add_model(services, "m1"), add_model(services, "m2")), [("One.", "Two.")])
    handlers = compare.CompareHandlers(services)
    request = type("Request", (), {"cookies": {"pairloop_person": "a" * 64}})()
    assert "The passage that both models were given." in handlers.show_next(set_id, request).sources


def test_the_model_of_a_side_is_in_nothing_that_a_handler_returns(services):
    models = add_model(services, "zq-marked-one"), add_model(services, "zq-marked-two")
    set_id = add_comparison(services, models, [("One.", "Two."), ("Three.", "Four.")])
    handlers = compare.CompareHandlers(services)
    request = type("Request", (), {"cookies": {"pairloop_person": "b" * 64}})()
    screen = handlers.show_next(set_id, request)
    sent = repr([getattr(value, "value", value) for value in screen]) + repr(handlers.load_comparisons(set_id).choices)
    hidden = [model.name for model in models] + [model.id for model in models]
    for item in services.store.comparisons.in_set(set_id):
        hidden += [item.completion_1_id, item.completion_2_id]
    assert [name for name in hidden if name in sent] == []


@pytest.mark.parametrize("split", list(Split))
def test_test_queries_never_become_training_rows(services, split):
    list_id = services.store.queries.add_set("list", [("How?", split, {})])
    model = services.registry.all()[0]
    run_id = services.generation.start_run(model.id, list_id)
    finished(services, run_id)
    rows = [(row.query.id, row.completion.id) for row in services.generation.rows(services.store.runs.get(run_id))]
    dataset = services.store.datasets.add_of_run("d", review_settings("answer-review"), "answer-review", run_id, rows)
    record = services.store.datasets.record_ids(dataset)[0]
    services.annotation.submit(record, person(services, "Ada"), {ANSWER: "So."})
    assert len(services.tuner.data_card(dataset).rows) == (1 if split is Split.TRAIN else 0)
