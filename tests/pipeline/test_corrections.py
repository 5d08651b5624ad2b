"""Better answers that were written in votes: training rows with their lineage, preferences, and which queries they bar."""

import json

import pytest

from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm
from pipeline.errors import TrainingError
from pipeline.export import validate_chat_jsonl
from pipeline.hub.publish import annotators, published_rows
from pipeline.preparation import comparison
from pipeline.records import Answer, Context, Outcome, Split
from pipeline.store.runs import completion_of
from tests.material import open_copy, prepare, trained
from tests.workspace import add_comparison, add_model, person

A, B, TIE, BAD = Outcome.MODEL_A, Outcome.MODEL_B, Outcome.TIE, Outcome.BOTH_BAD
QUERIES = tuple(f"Which berth takes boat {n}?" for n in range(5))
WRITTEN = ("Berth one.", "", "Berth three.", "Berth four.", "First 4.")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("corrections"))


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def ada(services):
    return person(services, "Ada")


@pytest.fixture
def judged(services, ada):
    """Five pairs: the first wins, the second wins, a tie, both bad, and the first again with its own text as correction."""
    return judge(services, ada)


def judge(services, ada, **rules):
    models = add_model(services, "one"), add_model(services, "two")
    texts = [(f"First {n}.", f"Second {n}.") for n in range(5)]
    set_id = add_comparison(services, models, texts, QUERIES, **rules)
    place = {item.id: item.position for item in services.store.comparisons.in_set(set_id)}
    while pair := services.comparisons.next_pair(set_id, ada):
        n, first = place[pair.comparison_id], pair.text_a.startswith("First")
        outcome = {0: A if first else B, 1: B if first else A, 2: TIE, 3: BAD, 4: A if first else B}[n]
        services.comparisons.vote(pair.comparison_id, ada, outcome, correction=WRITTEN[n])
    return set_id


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def said(row, name):
    return row[name][-1]["content"]


def test_only_those_who_opened_the_results_may_train_on_the_votes(services, ada, judged):
    bo = person(services, "Bo")
    assert services.corrections.sets(ada) == []
    for act in ("corrections", "corrections_jsonl", "preferences_jsonl", "unpaired_jsonl"):
        with pytest.raises(TrainingError, match="Open the results"):
            getattr(services.corrections, act)([judged], ada)
    services.comparisons.reveal(judged, ada)
    (found,) = services.corrections.sets(ada)
    assert (found.id, found.votes, found.corrections) == (judged, 5, 4)
    assert services.corrections.sets(bo) == []
    with pytest.raises(TrainingError):
        services.corrections.corrections([judged], bo)


def test_where_names_are_never_shown_nothing_is_handed_out(services, ada):
    judged = judge(services, ada, reveal=RevealPolicy.NEVER)
    services.comparisons.reveal(judged, ada)
    assert services.corrections.sets(ada) == []
    with pytest.raises(TrainingError):
        services.corrections.preferences_jsonl([judged], ada)


def test_preferences_hold_winners_and_corrections_over_what_was_not_the_only_best(services, ada, judged):
    services.comparisons.reveal(judged, ada)
    rows = lines(services.corrections.preferences_jsonl([judged], ada))
    told = {(row["source"], row["query"], said(row, "chosen"), said(row, "rejected")) for row in rows}
    assert told == {
        ("vote", QUERIES[0], "First 0.", "Second 0."),
        ("vote", QUERIES[1], "Second 1.", "First 1."),
        ("vote", QUERIES[4], "First 4.", "Second 4."),
        ("correction", QUERIES[0], "Berth one.", "Second 0."),
        ("correction", QUERIES[2], "Berth three.", "First 2."),
        ("correction", QUERIES[2], "Berth three.", "Second 2."),
        ("correction", QUERIES[3], "Berth four.", "First 3."),
        ("correction", QUERIES[3], "Berth four.", "Second 3."),
        ("correction", QUERIES[4], "First 4.", "Second 4."),
    }
    assert len(rows) == len(told) == len({row["id"] for row in rows})


def test_every_row_leads_back_to_its_vote(services, ada, judged):
    services.comparisons.reveal(judged, ada)
    votes = {vote.id: vote for vote in services.store.votes.of_set(judged)}
    names = {model.name: model.id for model in services.registry.all()}
    pseudonym = annotators(services.store, services.store.values.pseudonym_salt())[ada]
    desk = services.corrections
    for text in (desk.corrections_jsonl, desk.preferences_jsonl, desk.unpaired_jsonl):
        for row in lines(text([judged], ada)):
            vote = votes[row["vote_id"]]
            assert (row["comparison_id"], row["query_id"]) == (vote.comparison_id, vote.query_id)
            assert row["annotator"] == pseudonym and row["split"] == "test" and row["comparison_set_id"] == judged
            for model in ("model", "chosen_model", "rejected_model"):
                if row.get(model):
                    assert row[f"{model}_id"] == names[row[model]]
    assert validate_chat_jsonl(desk.corrections_jsonl([judged], ada).splitlines()) == []
    assert "Ada" not in desk.preferences_jsonl([judged], ada)


def test_both_bad_gives_two_unwanted_answers_and_a_tie_none(services, ada, judged):
    services.comparisons.reveal(judged, ada)
    rows = lines(services.corrections.unpaired_jsonl([judged], ada))
    told = {(row["query"], said(row, "completion")): row["label"] for row in rows}
    assert told == {
        (QUERIES[0], "First 0."): True,
        (QUERIES[0], "Second 0."): False,
        (QUERIES[0], "Berth one."): True,
        (QUERIES[1], "First 1."): False,
        (QUERIES[1], "Second 1."): True,
        (QUERIES[2], "Berth three."): True,
        (QUERIES[3], "First 3."): False,
        (QUERIES[3], "Second 3."): False,
        (QUERIES[3], "Berth four."): True,
        (QUERIES[4], "First 4."): True,
        (QUERIES[4], "Second 4."): False,
    }


def test_a_model_that_learned_from_a_correction_is_not_compared_on_its_query_again(services, ada, judged):
    services.comparisons.reveal(judged, ada)
    corrections = services.corrections.corrections([judged], ada)
    dataset = services.datasets.all()[0]
    records = services.store.datasets.records(dataset.id)
    for record in records:
        answer = record.completion.partition(". ")[0].rstrip(".") + "."
        services.annotation.submit(record.id, ada, {dataset.settings.answer_question: answer})
    card = services.tuner.data_card(dataset.id, corrections)
    assert (card.corrections, card.barred, len(card.rows)) == (4, 4, 4 + len(records))
    assert services.tuner.data_card(dataset.id).corrections == 0
    base = services.registry.all()[0]
    job = trained(services, services.tuner.start(dataset.id, base.id, corrections))
    stored = services.store.training.rows(job.id)
    from_votes = [row for row in stored if row.vote_id]
    assert {row.vote_id for row in from_votes} == {correction.vote_id for correction in corrections}
    assert all(row.response_id is None for row in from_votes)
    assert all(row.response_id and row.vote_id is None for row in stored if row not in from_votes)
    again = services.store.queries.add_set("Again", [(query.upper(), Split.TEST, {}) for query in QUERIES])
    tuned = services.comparisons.preview(ComparisonSettings((base.id, job.model_id)), again)
    assert (tuned.queries, tuned.barred, tuned.trained) == (1, 4, 4)
    other = services.comparisons.preview(ComparisonSettings((base.id, add_model(services, "three").id)), again)
    assert (other.queries, other.barred) == (5, 0)
    allowed = ComparisonSettings((base.id, job.model_id), include_trained=True)
    assert services.comparisons.preview(allowed, again).queries == 5


def add_ranking(services, texts):
    """Open a ranking of three models whose answers are ``texts``."""
    models = [add_model(services, name) for name in ("one", "two", "three")]
    list_id = services.store.queries.add_set("Ranked", [("Which of them?", Split.TEST, {})])
    (query,) = services.store.queries.in_set(list_id)
    context = Context("c1", "d1", "manual.md", "A passage.", 0, 10, 1.5)
    retrieval = services.store.queries.add_retrievals("by hand", {query.id: [context]})[query.id]
    answers = [
        completion_of(Answer(text), None, model.id, query.id, retrieval.id)
        for text, model in zip(texts, models, strict=True)
    ]
    for answer in answers:
        services.store.runs.add_completion(answer)
    kind = ComparisonSettings(tuple(model.id for model in models), form=VoteForm.RANKING)
    set_id = services.store.comparisons.add_set("three", kind, list_id)
    services.store.comparisons.open_set(set_id, [comparison(set_id, 0, retrieval, answers)], {"pairs": 1})
    return set_id


@pytest.mark.parametrize(
    ("ranks", "won", "beaten", "wanted", "unwanted"),
    [
        ({"x": 1, "y": 2, "z": 3}, {("x", "y"), ("x", "z"), ("y", "z")}, {"y", "z"}, {"x"}, {"z"}),
        ({"x": 1, "y": 1, "z": 3}, {("x", "z"), ("y", "z")}, {"x", "y", "z"}, {"x", "y"}, {"z"}),
        ({"x": 1, "y": 1, "z": 1}, set(), {"x", "y", "z"}, set(), set()),
    ],
)
def test_a_ranking_gives_its_pairs_and_one_correction(services, ada, ranks, won, beaten, wanted, unwanted):
    set_id = add_ranking(services, ("x", "y", "z"))
    shown = services.comparisons.next_pair(set_id, ada)
    places = [ranks[text] for text in shown.texts]
    services.comparisons.rank(shown.comparison_id, ada, places, correction="Better.")
    services.comparisons.reveal(set_id, ada)
    desk = services.corrections
    assert len(desk.corrections([set_id], ada)) == 1
    rows = lines(desk.preferences_jsonl([set_id], ada))
    assert {(said(r, "chosen"), said(r, "rejected")) for r in rows if r["source"] == "vote"} == won
    assert {said(r, "rejected") for r in rows if r["source"] == "correction"} == beaten
    assert len({row["id"] for row in rows}) == len(rows) == len(won) + len(beaten)
    single = lines(desk.unpaired_jsonl([set_id], ada))
    found = {(said(row, "completion"), row["label"]) for row in single}
    assert found == {(t, True) for t in wanted} | {(t, False) for t in unwanted} | {("Better.", True)}
    published = published_rows(services.store, "salt")
    votes = [row for row in published["votes"] if row["comparison_set_id"] == set_id]
    assert len(votes) == 3 and len({row["id"] for row in votes}) == 3 and len({row["vote_id"] for row in votes}) == 1
    for row in votes:
        assert (row["rank_a"], row["rank_b"]) == (ranks[row["answer_a"]], ranks[row["answer_b"]])
    (compared,) = [row for row in published["comparisons"] if row["comparison_set_id"] == set_id]
    assert [side["answer"] for side in compared["completions"]] == ["x", "y", "z"]
    assert [side["model"] for side in compared["completions"]] == ["one", "two", "three"]
