"""Checks, slices and all models on the Results tab: what they say, with what n, and to whom."""

import csv
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from components import charts, drawings
from components.results import checks as results_checks
from components.results import leaderboard
from components.results import slices as results_slices
from components.results import tab as results
from pipeline import ranking
from pipeline.errors import ComparisonError, PipelineError
from pipeline.ranking import TieModel
from pipeline.ranking.adjusted import Traits
from pipeline.ranking.verdict import percent
from pipeline.records import Outcome, Vote
from tests.components.screens import ADA, BO, NOBODY, choices, member, value
from tests.material import open_copy
from tests.ranked import MODELS, QUERIES, add_league
from tests.workspace import add_comparison, add_model, person

A, B, TIE = Outcome.MODEL_A, Outcome.MODEL_B, Outcome.TIE


def votes_of(who: str, outcomes, seconds: float = 5.0) -> list[Vote]:
    return [Vote(f"q{n}", "one", "two", outcome, who, seconds) for n, outcome in enumerate(outcomes)]


@pytest.fixture(scope="module")
def judged(prepared, tmp_path_factory):
    """Folder of the prepared workspace with three comparisons that Ada, Bo and Cy have judged, and their ids."""
    folder = tmp_path_factory.mktemp("judged") / "home"
    services = open_copy(prepared, folder)
    sets = add_league(services, [member(services), person(services, "Bo"), person(services, "Cy")])
    services.close()
    return folder, sets


@pytest.fixture
def services(request, prepared, tmp_path):
    """A copy of it for whoever asks for its comparisons, otherwise of the prepared workspace."""
    with_sets = "sets" in request.fixturenames
    services = open_copy(request.getfixturevalue("judged")[0] if with_sets else prepared, tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def sets(judged):
    return list(judged[1])


def test_names_are_text_in_the_interactive_bar_too():
    """Plotly reads tags and %{...} in the texts that it draws."""
    one, two = "<a href='x'>one</a>", "%{x} & two"
    votes = [Vote("q1", one, two, A, "a"), Vote("q2", one, two, B, "a")]
    counts = ranking.count_outcomes(votes, one, two)
    figure = charts.outcomes(counts, charts.colours((one, two)))
    for trace in figure.data:
        assert "<a" not in trace.name + trace.hovertemplate and "%{" not in trace.name + trace.hovertemplate
    assert figure.data[0].name.startswith("&lt;a href='x'&gt;one&lt;/a&gt; better: 1")


class TestChecks:
    def test_unanimity_is_said_with_its_n_and_interval(self):
        people = votes_of("a", [A] * 8) + votes_of("b", [A] * 6 + [B] * 2) + votes_of("c", [A])
        found = ranking.unanimity(people)
        shown = results_checks.checks(people)
        assert "6 of 8 pairs judged by two people or more are unanimous: 75 %" in shown
        assert f"[{100 * found.low:.0f} – {100 * found.high:.0f}]" in shown
        assert "No pair was judged by two people" in results_checks.checks(votes_of("a", [A]))

    def test_whoever_disagrees_with_everyone_is_named_and_what_it_rests_on(self):
        people = [vote for who in ("x1", "x2", "x3") for vote in votes_of(who, [A] * 12)] + votes_of("x4", [B] * 12)
        shown = results_checks.checks(people, {"x4": "Dee & Co"})
        assert "Dee &amp; Co agrees with the majority of the others on 0 of 12 pairs (0 %)" in shown
        assert "corrected for 4 people" in shown
        alike = results_checks.checks([vote for who in ("x1", "x2") for vote in votes_of(who, [A] * 12)])
        assert "Nobody of 2 people disagrees with everyone" in alike
        assert "Too few pairs have a majority" in results_checks.checks(votes_of("x1", [A]))

    def test_fast_votes_are_counted_with_whose_they_are(self):
        people = votes_of("a", [A] * 4, 1.0) + votes_of("b", [A] * 4) + votes_of("c", [A, B], 1.9)
        shown = results_checks.checks(people, {"a": "Ada", "c": "Cy"})
        assert "6 of 10 votes took under 2 s (Ada 4 of 4, Cy 2 of 2). They count all the same." in shown
        assert ranking.fast_votes(people).fast == 6

    def test_the_adjusted_rate_is_said_in_words_with_effects_or_why_it_cannot_be_told(self):
        people = votes_of("a", [A, A, B, A, TIE, A, B, A, A, B, A, A, B, A, A, B] * 2)
        people = [replace(vote, query_id=f"{vote.query_id}-{n // 16}") for n, vote in enumerate(people)]
        traits = {}
        for n, vote in enumerate(people):
            traits[vote.query_id, "one"] = Traits(100 + 40 * (n % 5))
            traits[vote.query_id, "two"] = Traits(100)
        found = ranking.adjusted_win_rate(people, "one", "two", traits)
        shown = results_checks.checks(people, {}, found)
        assert f"one would have a win rate of {percent(found.rate)}" in shown and "(32 votes on 32 queries)" in shown
        assert "Answers of one are typically" in shown and "% longer; the longer answer won" in shown
        assert f"odds × {found.effects[0].odds:.2g}" in shown
        few = ranking.adjusted_win_rate(people[:3], "one", "two", traits)
        assert "Too few votes to adjust" in results_checks.checks(people[:3], {}, few)
        alike = ranking.adjusted_win_rate(people, "one", "two", dict.fromkeys(traits, Traits(9, 1)))
        assert "do not differ in length or citations" in results_checks.checks(people, {}, alike)

    def test_every_check_is_explained(self):
        shown = results_checks.checks(votes_of("a", [A]))
        assert all(f"<b>{name}.</b>" in shown for name, _ in results_checks.EXPLAINED)


class TestSlices:
    @pytest.fixture
    def handlers(self, services):
        return results.ResultsHandlers(services)

    def test_parts_are_offered_and_shown_with_every_n_and_the_warning(self, handlers, sets):
        shown = handlers.reveal_results(sets[1], ADA)
        assert choices(shown.slice_by) == ["All votes together", "By annotator", "By topic"]
        assert (value(shown.slice_by), shown.slices) == ("", "")
        part = handlers.show_slices(sets[1], "0", "metadata: topic", ADA)
        assert "mooring" in part and "fuel" in part and "2 parts were looked at" in part
        assert "<td class='pl-num'>8</td><td class='pl-num'>24</td>" in part
        assert f"Win rate of {MODELS[2]}" in part
        by_person = handlers.show_slices(sets[1], None, "annotator", ADA)
        assert "Bo" in by_person and "Cy" in by_person and "3 parts were looked at" in by_person

    def test_before_the_results_are_opened_no_part_is_told(self, handlers, sets):
        with pytest.raises(ComparisonError, match="Open the results first"):
            handlers.show_slices(sets[1], None, "annotator", ADA)
        assert handlers.show_slices(sets[1], "0", "", ADA) == ""
        handlers.reveal_results(sets[1], ADA)
        with pytest.raises(ComparisonError, match="cannot be parted"):
            handlers.show_slices(sets[1], "0", "metadata: nonsense", ADA)

    def test_names_of_parts_are_text(self):
        found = ranking.slices(votes_of("a", [A, B]), "one", "two", lambda vote: f"<b>{vote.query_id}")
        assert "<b>q0" not in results_slices.table(found, "o<i>ne") and "&lt;b&gt;q0" in results_slices.table(
            found, "one"
        )


class TestAllModels:
    @pytest.fixture
    def handlers(self, services):
        return leaderboard.LeaderboardHandlers(services)

    def open_all(self, services, sets):
        for set_id in sets:
            services.comparisons.reveal(set_id, member(services))

    def test_without_an_opened_comparison_it_says_so_and_names_nothing(self, handlers, sets):
        shown = handlers.show_models(None, ADA)
        assert not shown.content.visible and "you have opened none yet" in shown.summary
        assert "3 more comparisons are left out until you open their results" in shown.summary
        assert not [name for name in MODELS if name in repr(shown)]

    def test_an_opened_comparison_without_votes_ranks_nobody(self, services, handlers):
        set_id = add_comparison(services, (add_model(services, "one"), add_model(services, "two")), [("a", "b")])
        services.comparisons.reveal(set_id, member(services))
        shown = handlers.show_models(None, ADA)
        assert not shown.content.visible and "the one that you have opened has none" in shown.summary

    def test_one_comparison_names_its_two_models_and_says_what_is_left_out(self, services, handlers, sets):
        services.comparisons.reveal(sets[0], member(services))
        shown = handlers.show_models(None, ADA)
        assert shown.content.visible and MODELS[2] not in repr(shown)
        assert "2 models, 36 votes on 12 queries, from 1 comparison" in shown.summary
        assert "2 more comparisons are left out" in shown.summary
        assert not handlers.show_models(None, BO).content.visible

    def test_the_table_has_rating_interval_rank_and_n_of_the_library(self, services, handlers, sets):
        self.open_all(services, sets)
        for ties in (TieModel.HALF_WINS, TieModel.DAVIDSON):
            shown = handlers.show_models(ties.value, ADA)
            for rating in services.standings.standings(member(services), ties).board.ratings:
                cells = shown.table.split(f"<th scope='row'>{rating.model}</th>")
                assert cells[0].endswith(f"<td class='pl-num'>{rating.rank}</td>")
                assert f"<b>{rating.rating:.0f}</b>" in cells[1].split("</tr>")[0]
                assert f"{rating.low:.0f} – {rating.high:.0f}" in cells[1].split("</tr>")[0]
                assert f"{rating.wins}, {rating.ties}, {rating.losses}" in cells[1].split("</tr>")[0]
            assert ("Two models of equal strength tie" in shown.table) == (ties is TieModel.DAVIDSON)
        assert handlers.show_models("nonsense", ADA).table == handlers.show_models(None, ADA).table

    def test_who_beats_whom_is_a_picture_and_a_table_with_n(self, services, handlers, sets):
        self.open_all(services, sets)
        shown = handlers.show_models(None, ADA)
        fractions = services.standings.standings(member(services)).fractions
        assert f"{percent(fractions.rates[0][1])}<br><small>36 votes, 12 queries</small>" in shown.heat
        assert f"win fraction {percent(fractions.rates[0][1])}, 36 votes on 12 queries" in shown.heat
        assert f"background:{drawings.shade(fractions.rates[0][1])}" in shown.heat
        drawing = ElementTree.fromstring(handlers.draw_heat(None, ADA))
        words = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
        assert words.count("n = 36") == 6 and percent(fractions.rates[0][1]) in words

    def test_groups_that_never_met_and_a_prior_are_said(self, services, handlers, sets):
        pair = add_model(services, "apart-one"), add_model(services, "apart-two")
        apart = add_comparison(services, pair, [("a", "b")])
        shown = services.comparisons.next_pair(apart, member(services))
        services.comparisons.vote(shown.comparison_id, member(services), A)
        self.open_all(services, [*sets, apart])
        board = handlers.show_models(None, ADA)
        assert "fall into 2 groups that never met" in board.table and "Group 2: 1 vote on 1 query" in board.table
        assert "given one more tie" in board.table and "One query gives no interval" in board.table
        assert "–" in board.heat

    def test_the_table_of_many_models_ends_somewhere_and_says_so(self):
        votes = [Vote(f"q{n}", f"<m{n % 40:02}>", f"<m{(n + 1) % 40:02}>", A) for n in range(200)]
        fractions = ranking.win_fractions(votes)
        shown = drawings.heat(fractions)
        assert "The 30 models with the highest ratings; the file has 10 more." in shown and "<m" not in shown
        assert shown.count("<tr>") == 31

    def test_files_hold_ratings_pairs_and_the_votes_behind_them(self, services, handlers, sets):
        for act in (handlers.download_ratings, handlers.download_pairs):
            with pytest.raises(ComparisonError, match="No vote counts yet"):
                act(None, ADA)
        with pytest.raises(ComparisonError, match="No vote counts yet"):
            handlers.download_counted(ADA)
        self.open_all(services, sets)
        paths = (
            handlers.download_ratings(None, ADA),
            handlers.download_pairs(None, ADA),
            handlers.download_counted(ADA),
        )
        lengths = []
        for path in paths:
            with open(path, encoding="utf-8", newline="") as file:
                lengths.append(len(list(csv.DictReader(file))))
        assert lengths == [3, 6, 3 * 3 * QUERIES]
        assert len({Path(path).name for path in paths}) == 3

    def test_without_a_cookie_nothing_is_told(self, handlers, sets):
        for act in (lambda: handlers.show_models(None, NOBODY), lambda: handlers.download_counted(NOBODY)):
            with pytest.raises(PipelineError, match="cookie"):
                act()
