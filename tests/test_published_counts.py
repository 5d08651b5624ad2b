"""Votes with the counts that were published for the Argilla Cloud case, through the store to the words and the chart."""

import json

import pytest

from components import charts, results
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
