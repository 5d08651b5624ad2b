"""All models together: only what a person has opened counts, and the numbers are those of the exported votes."""

import csv
import io

import pytest

from pipeline.errors import ComparisonError
from pipeline.ranking import TieModel, adjusted_win_rate, leaderboard, slices, win_fractions
from pipeline.ranking.adjusted import Traits
from pipeline.records import Outcome, Vote
from pipeline.result_details import ANNOTATOR, METADATA
from pipeline.spreadsheets import unescaped
from pipeline.standings import distinct_names, pairs_csv, standings_csv
from tests.material import open_copy
from tests.ranked import MODELS, QUERIES, add_league, judge
from tests.workspace import add_comparison, add_model, open_workspace, person


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Folder of a workspace in which three people have judged three comparisons, with the ids of these."""
    folder = tmp_path_factory.mktemp("judged") / "home"
    services = open_workspace(folder)
    sets = add_league(services, [person(services, name) for name in ("Ada", "Bo", "Cy")])
    services.close()
    return folder, sets


@pytest.fixture
def services(request, tmp_path):
    """A copy of it for whoever asks for its comparisons, otherwise an empty workspace."""
    home = tmp_path / "home"
    with_sets = "sets" in request.fixturenames
    opened = open_copy(request.getfixturevalue("judged")[0], home) if with_sets else open_workspace(home)
    yield opened
    opened.close()


@pytest.fixture
def people(services):
    return [person(services, name) for name in ("Ada", "Bo", "Cy")]


@pytest.fixture
def sets(judged):
    return list(judged[1])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_back(text: str) -> list[Vote]:
    """Return votes as somebody makes them of the file."""
    return [
        Vote(unescaped(row["query"]), unescaped(row["model_a"]), unescaped(row["model_b"]), Outcome(row["outcome"]))
        for row in rows_of(text)
    ]


class TestStandings:
    def test_nothing_counts_before_somebody_opens_it(self, services, people, sets):
        found = services.standings.standings(people[0])
        assert (found.opened, found.closed, found.votes, found.board.ratings) == (0, 3, 0, ())
        with pytest.raises(ComparisonError, match="Open the results"):
            services.standings.votes_csv(people[0])

    def test_it_grows_with_what_one_person_opens_and_not_for_another(self, services, people, sets):
        services.comparisons.reveal(sets[0], people[0])
        found = services.standings.standings(people[0])
        assert (found.opened, found.closed, found.votes) == (1, 2, 3 * QUERIES)
        assert {rating.model for rating in found.board.ratings} == {MODELS[0], MODELS[1]}
        services.comparisons.reveal(sets[1], people[0])
        found = services.standings.standings(people[0])
        assert (found.opened, found.closed, len(found.board.ratings)) == (2, 1, 3)
        assert services.standings.standings(people[1]).votes == 0

    @pytest.mark.parametrize("tie_model", TieModel)
    def test_the_numbers_are_those_of_the_library_on_the_exported_votes(self, services, people, sets, tie_model):
        for set_id in sets:
            services.comparisons.reveal(set_id, people[0])
        found = services.standings.standings(people[0], tie_model)
        votes = read_back(services.standings.votes_csv(people[0]))
        assert found.board == leaderboard(votes, tie_model)
        assert found.fractions == win_fractions(votes, [rating.model for rating in found.board.ratings])
        # Three lists hold the same twelve queries: these are twelve clusters, not 36.
        assert (found.votes, found.queries, found.board.groups[0].queries) == (len(votes), QUERIES, QUERIES)

    def test_identical_answers_count_as_in_the_results_of_their_comparison(self, services, people):
        models = add_model(services, "one"), add_model(services, "two")
        set_id = add_comparison(services, models, [("same", "same"), ("a", "b")])
        pair = services.comparisons.next_pair(set_id, people[0])
        services.comparisons.vote(pair.comparison_id, people[0], Outcome.MODEL_A)
        services.comparisons.reveal(set_id, people[0])
        found = services.standings.standings(people[0])
        assert (found.votes, found.automatic) == (2, 1)
        assert len(services.comparisons.results(set_id, people[0]).votes) == found.votes
        assert found.board == leaderboard(read_back(services.standings.votes_csv(people[0])))

    def test_it_is_computed_again_only_where_its_votes_changed(self, services, people, sets):
        first, second, third = people
        for set_id in sets[:2]:
            services.comparisons.reveal(set_id, first)
            services.comparisons.reveal(set_id, second)
        before = services.standings.standings(first)
        assert services.standings.standings(second).board is before.board, "the same votes are counted once"
        services.comparisons.undo(sets[2], third)
        assert services.standings.standings(first).board is before.board, "that comparison does not count"
        services.comparisons.undo(sets[0], third)
        after = services.standings.standings(first)
        assert after.votes == before.votes - 1
        judge(services, sets[0], third, "t" * QUERIES, 1)
        again = services.standings.standings(first)
        assert again.votes == before.votes and again.board is not before.board

    def test_the_files_hold_what_is_shown(self, services, people, sets):
        for set_id in sets:
            services.comparisons.reveal(set_id, people[0])
        found = services.standings.standings(people[0])
        rows = rows_of(standings_csv(found))
        assert [row["model"] for row in rows] == [rating.model for rating in found.board.ratings]
        for row, rating in zip(rows, found.board.ratings, strict=True):
            shown = [float(row[name]) for name in ("rating", "low", "high")]
            assert shown == [rating.rating, rating.low, rating.high]
            assert int(row["votes"]) == sum(int(row[name]) for name in ("wins", "ties_and_both_bad", "losses"))
        pairs = {
            (row["model"], row["against"]): float(row["win_fraction"]) for row in rows_of(pairs_csv(found.fractions))
        }
        assert len(pairs) == 6
        assert all(pairs[one, other] + pairs[other, one] == pytest.approx(1) for one, other in pairs)

    def test_two_models_of_one_name_stay_two(self, services, people):
        models = add_model(services, "tuned"), add_model(services, "base"), add_model(services, "tuned")
        for pair in (models[:2], models[1:]):
            set_id = add_comparison(services, pair, [("a", "b")])
            shown = services.comparisons.next_pair(set_id, people[0])
            services.comparisons.vote(shown.comparison_id, people[0], Outcome.TIE)
            services.comparisons.reveal(set_id, people[0])
        names = {rating.model for rating in services.standings.standings(people[0]).board.ratings}
        assert len(names) == 3 and "base" in names
        assert distinct_names([("abcdef", "x"), ("ghijkl", "x"), ("m", "y")]) == {
            "abcdef": "x (cdef)",
            "ghijkl": "x (ijkl)",
            "m": "y",
        }


class TestDetails:
    @pytest.fixture
    def revealed(self, services, people, sets):
        services.comparisons.reveal(sets[1], people[0])
        return services.comparisons.results(sets[1], people[0])

    def test_votes_are_parted_by_annotator_and_by_metadata_that_queries_share(self, services, people, revealed):
        details = services.result_details
        assert details.keys(revealed) == [ANNOTATOR, f"{METADATA}topic"]
        by_topic = details.slices(revealed, f"{METADATA}topic")
        assert {part.name: part.verdict.counts.queries for part in by_topic.parts} == {"mooring": 8, "fuel": 4}
        topics = {query.id: query.metadata["topic"] for query in services.store.queries.by_ids(
            [vote.query_id for vote in revealed.votes]).values()}  # fmt: skip
        assert by_topic == slices(revealed.votes, revealed.first, revealed.second, lambda vote: topics[vote.query_id])
        by_person = details.slices(revealed, ANNOTATOR)
        assert {part.name for part in by_person.parts} == {"Ada", "Bo", "Cy"}
        assert all(part.verdict.counts.votes == QUERIES for part in by_person.parts)

    def test_what_parts_nothing_is_not_offered_and_refused(self, services, people):
        models = add_model(services, "one"), add_model(services, "two")
        texts = [(f"a{n}", f"b{n}") for n in range(4)]
        told = {"number": [str(n) for n in range(4)], "same": ["x"] * 4, "half": ["x", "x", "", "x"]}
        set_id = add_comparison(services, models, texts, metadata=told)
        while pair := services.comparisons.next_pair(set_id, people[0]):
            services.comparisons.vote(pair.comparison_id, people[0], Outcome.TIE)
        services.comparisons.reveal(set_id, people[0])
        revealed = services.comparisons.results(set_id, people[0])
        assert services.result_details.keys(revealed) == [f"{METADATA}half"]
        assert services.result_details.slices(revealed, f"{METADATA}half").unknown == 1
        for key in (ANNOTATOR, f"{METADATA}number", "nonsense"):
            with pytest.raises(ComparisonError, match="cannot be parted"):
                services.result_details.slices(revealed, key)

    def test_length_is_counted_in_words_of_the_answers(self, services, people, sets, revealed):
        traits = {}
        for item in services.store.comparisons.in_set(sets[1]):
            for answer in services.store.runs.by_ids([item.completion_1_id, item.completion_2_id]).values():
                name = services.store.models.get(answer.model_id).name
                traits[answer.query_id, name] = Traits(len(answer.text.split()), 0)
        found = services.result_details.adjusted(sets[1], revealed)
        assert found == adjusted_win_rate(revealed.votes, revealed.first, revealed.second, traits)
        assert found.rate is not None and [effect.trait for effect in found.effects] == ["length"]
