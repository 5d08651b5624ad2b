"""What goes out as a file of votes comes in again, with the same counts and verdicts."""

import csv
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import ranking
from pipeline.ranking import leaderboard
from pipeline.records import Outcome, Vote
from pipeline.vote_files import arena_jsonl, votes_csv, votes_jsonl
from pipeline.vote_import.conversion import convert
from pipeline.vote_import.mapping import propose
from tests.brought import bring, put
from tests.ranked import MODELS, add_league
from tests.workspace import person


@pytest.fixture
def me(services):
    return person(services, "Ada")


class TestThereAndBack:
    @pytest.mark.parametrize("form", ["csv", "jsonl", "arena"])
    def test_what_is_exported_is_imported_with_the_same_counts(self, services, tmp_path, form):
        people = [person(services, name) for name in ("Ada", "Bo", "Cy")]
        for set_id in add_league(services, people):
            services.comparisons.reveal(set_id, people[0])
        before = services.standings.standings(people[0])
        stored = services.standings._stored(services.standings._sets(people[0])[0], people[0])
        names = {model.id: model.name for model in services.registry.all()}
        texts = services.standings._texts(stored)
        write = {"csv": votes_csv, "jsonl": votes_jsonl, "arena": arena_jsonl}[form]
        path = tmp_path / f"votes.{'csv' if form == 'csv' else 'jsonl'}"
        path.write_text(write(stored, names, texts), "utf-8", newline="")
        set_id = bring(services, path)
        # The names are taken in this workspace, by other models.
        votes = [
            Vote(texts_of(services, vote), *sides(services, vote), vote.outcome, vote.annotator_id)
            for vote in services.comparisons.results(set_id, people[0]).stored
        ]
        for first, second in ((0, 1), (0, 2), (1, 2)):
            one, two = MODELS[first], MODELS[second]
            was = [
                Vote(texts[v.query_id], names[v.left_model_id], names[v.right_model_id], v.outcome, v.annotator_id)
                for v in stored
            ]
            assert ranking.count_outcomes(votes, one, two) == ranking.count_outcomes(was, one, two)
        assert leaderboard(votes).ratings == before.board.ratings

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
                st.sampled_from(["m-1", "m-2", "m-3"]),
                st.sampled_from(["m-1", "m-2", "m-3"]),
                st.sampled_from(list(Outcome)),
            ).filter(lambda row: row[1] != row[2] and row[0].strip()),
            min_size=1,
            max_size=25,
        )
    )
    def test_no_verdict_changes_on_its_way_through_a_csv_file(self, tmp_path, rows):
        from pipeline.record_files.reading import read_bytes
        from pipeline.spreadsheets import to_csv

        text = to_csv(("query", "model_a", "model_b", "outcome"), [(q, a, b, o.value) for q, a, b, o in rows])
        source = read_bytes(text.encode(), "votes.csv")
        found = convert(source, propose(source))
        assert not found.problems
        assert [(vote.models, vote.outcome) for vote in found.votes] == [((a, b), o) for _, a, b, o in rows]


def sides(services, vote):
    names = {model.id: model.name.removesuffix(" (imported)") for model in services.registry.all()}
    return names[vote.left_model_id], names[vote.right_model_id]


def texts_of(services, vote):
    return services.store.queries.by_ids([vote.query_id])[vote.query_id].text


class TestExports:
    def test_a_ranking_is_written_pair_by_pair_with_its_ranks(self, services, me, tmp_path):
        records = [
            {"fields": {"prompt": "Q", "one": "1", "two": "2", "three": "3"}, "metadata": {},
             "responses": [{"user_id": "u", "status": "submitted", "values": {"order": {"value": [
                 {"value": name, "rank": rank} for name, rank in (("one", 2), ("two", 1), ("three", 2))]}}}]}
        ]  # fmt: skip
        set_id = bring(services, put(tmp_path, "records.json", records))
        revealed = services.comparisons.results(set_id, me)
        texts = {vote.query_id: "Q" for vote in revealed.stored}
        names = {vote.comparison_id: "A set" for vote in revealed.stored}
        rows = list(csv.DictReader(io.StringIO(votes_csv(revealed.stored, revealed.models, texts, names), newline="")))
        assert (
            len(rows) == 3 and len({row["vote_id"] for row in rows}) == 1 and {row["set"] for row in rows} == {"A set"}
        )
        told = {(row["model_a"], row["model_b"]): (row["rank_a"], row["rank_b"], row["outcome"]) for row in rows}
        assert told == {
            ("one", "two"): ("2", "1", "model_b"),
            ("one", "three"): ("2", "2", "tie"),
            ("two", "three"): ("1", "2", "model_a"),
        }
        lines = [json.loads(line) for line in votes_jsonl(revealed.stored, revealed.models, texts).splitlines()]
        assert [(line["rank_a"], line["rank_b"]) for line in lines] == [(2, 1), (2, 2), (1, 2)]
