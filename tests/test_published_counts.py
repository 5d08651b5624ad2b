"""Votes with the counts that were published for the Argilla Cloud case, through the store to the words and the chart."""

import json
from dataclasses import replace

import pytest
from scipy.special import beta
from scipy.stats import binomtest

from components import charts
from components.results import tab as results
from components.results.numbers import numbers
from pipeline import ranking
from pipeline.records import Outcome
from tests.workspace import add_comparison, add_model, person

pytestmark = pytest.mark.shared_data


@pytest.fixture
def revealed(services, shared_data):
    """The 28 votes, given by one person to pairs whose sides the server drew."""
    published = json.loads((shared_data / "argilla_cloud" / "published_preference_counts.json").read_text("utf-8"))
    counts = published["newer_notebook_version"]["counts"]
    base = add_model(services, "base_model")
    tuned = add_model(services, "ft_model", base.id)
    verdicts = ["base_model"] * counts["base_model"] + ["tie"] * counts["tie"] + ["ft_model"] * counts["ft_model"]
    set_id = add_comparison(services, (base, tuned), [(f"base {n}", f"tuned {n}") for n in range(len(verdicts))])
    me = person(services, "labeller-1")
    for verdict in verdicts:
        pair = services.comparisons.next_pair(set_id, me)
        tuned_is_a = pair.text_a.startswith("tuned")
        if verdict == "tie":
            outcome = Outcome.TIE
        else:
            outcome = Outcome.MODEL_A if (verdict == "ft_model") == tuned_is_a else Outcome.MODEL_B
        services.comparisons.vote(pair.comparison_id, me, outcome)
    services.comparisons.reveal(set_id, me)
    return services.comparisons.results(set_id, me)


def test_the_chart_shows_the_published_shares(revealed):
    counts = ranking.count_outcomes(revealed.votes, "ft_model", "base_model")
    figure = charts.outcomes(counts, charts.colours(["base_model", "ft_model"]))
    assert [bar.text[0] for bar in figure.data] == ["17 · 60.71 %", "5 · 17.86 %", "", "6 · 21.43 %"]
    assert [round(bar.x[0], 2) for bar in figure.data] == [60.71, 17.86, 0, 21.43]


def test_the_tuned_model_comes_first_because_it_is_the_child(revealed):
    assert (revealed.first, revealed.second) == ("ft_model", "base_model")


def test_the_table_gives_the_interval_and_both_p_values(revealed):
    verdict = ranking.verdict(revealed.votes, revealed.first, revealed.second)
    table = results.numbers(verdict, revealed.automatic_ties)
    assert "69.64 %" in table and "[" in table
    assert "0.035" in table
    assert "28, 28, 1" in table


def test_the_words_do_not_call_it_proven(revealed):
    verdict = ranking.verdict(revealed.votes, revealed.first, revealed.second)
    assert verdict.level is ranking.Level.NOT_CONCLUSIVE
    assert "ft_model" in verdict.headline and "Not conclusive" in verdict.headline


def as_ranking_records(shared_data, better):
    """Return the 28 votes as Argilla's tutorial kept them: responses in an order of their own, ranks, models in metadata."""
    folder = shared_data / "argilla_cloud"
    shape = json.loads((folder / "tutorial_settings.json").read_text("utf-8"))["preference_dataset"]
    message, *texts = shape["fields"]
    options = next(item["values"] for item in shape["questions"] if item["type"] == "ranking")
    lines = (folder / "votes_expanded_from_counts.jsonl").read_text("utf-8").splitlines()
    for number, vote in enumerate(map(json.loads, lines)):
        models = [vote["model_a"], vote["model_b"]]
        won = {"a": 0, "b": 1}.get(vote["winner"])
        if number % 2:
            models, won = models[::-1], None if won is None else 1 - won
        ranks = [1, 1] if won is None else [better if side == won else 3 - better for side in (0, 1)]
        value = [{"value": option, "rank": rank} for option, rank in zip(options, ranks, strict=True)]
        yield {
            "fields": {message: f"Question {number}", **{text: f"{text} to {number}" for text in texts}},
            "metadata": dict(zip(shape["metadata"], models, strict=True)),
            "responses": [
                {"user_id": vote["annotator"], "status": "submitted", "values": {"preference": {"value": value}}}
            ],
        }


@pytest.fixture(params=["expanded votes", "ranking records", "ranking records, largest is best"])
def imported(request, services, shared_data, tmp_path):
    """The votes by way of a file and the import."""
    source = shared_data / "argilla_cloud" / "votes_expanded_from_counts.jsonl"
    if request.param != "expanded votes":
        records = list(as_ranking_records(shared_data, 2 if "largest" in request.param else 1))
        source = tmp_path / "finetuned-vs-base-preference.json"
        source.write_text(json.dumps(records), "utf-8")
    desk = services.vote_files
    mapping = replace(desk.propose(source), largest_is_best="largest" in request.param)
    set_id = desk.bring(source, mapping).set_id
    revealed = services.comparisons.results(set_id, person(services, "a stakeholder"))
    if revealed.first != "ft_model":
        tuned, base = sorted(revealed.models, key=lambda model: revealed.models[model] != "ft_model")
        revealed = services.comparisons.results(set_id, person(services, "a stakeholder"), (tuned, base))
    return revealed


def test_the_imported_votes_give_the_published_shares(imported, shared_data):
    published = json.loads((shared_data / "argilla_cloud" / "published_preference_counts.json").read_text("utf-8"))
    percent = published["newer_notebook_version"]["percent"]
    counts = ranking.count_outcomes(imported.votes, "ft_model", "base_model")
    assert (counts.wins, counts.losses, counts.ties, counts.both_bad) == (17, 6, 5, 0)
    assert (counts.votes, counts.queries, counts.annotators) == (28, 28, 1)
    shares = ranking.shares(counts)
    assert [round(share, 2) for share in (shares.wins, shares.losses, shares.ties)] == [
        percent["ft_model"],
        percent["base_model"],
        percent["tie"],
    ]


def test_the_results_say_what_17_to_6_to_5_proves(imported):
    verdict = ranking.verdict(imported.votes, "ft_model", "base_model", imported.in_order)
    exact = binomtest(17, 23)
    assert verdict.sign.p_value == pytest.approx(exact.pvalue) and round(verdict.sign.p_value, 3) == 0.035
    assert (verdict.sign.wins, verdict.sign.losses, verdict.sign.even) == (17, 6, 5)
    assert verdict.rate.rate == pytest.approx(19.5 / 28)
    # The interval leaves 50 % out; what holds for those who watched does not.
    assert 0.5 < verdict.rate.low < verdict.rate.rate < verdict.rate.high < 0.9
    # The file is sorted by who won, and tells no times: by order it would look like 17 wins in a row.
    assert not imported.in_order and imported.timeline == ()
    evidence = 2.0**23 * beta(18, 7)
    assert verdict.anytime.p_value == pytest.approx(1 / evidence) and verdict.anytime.p_value > 0.05
    assert ranking.anytime_p(imported.votes, "ft_model", "base_model").p_value < 0.001
    assert verdict.level is ranking.Level.NOT_CONCLUSIVE and "Not conclusive" in verdict.headline
    table = numbers(verdict, 0)
    assert "69.64 %" in table and "0.035" in table and "28, 28, 1" in table and "final counts alone" in table
