"""Votes from elsewhere: forms that are known, what is refused and how, and what comes of them."""

import json
from collections import Counter

import pandas
import pytest
from sqlalchemy.exc import IntegrityError

from pipeline import ranking
from pipeline.comparison_settings import ComparisonSettings, Kind, VoteForm
from pipeline.errors import ComparisonError, ModelError
from pipeline.judge_report import people_votes
from pipeline.records import NO_QUERY, Outcome, Split
from pipeline.store.members import UNNAMED
from pipeline.vote_import.mapping import VoteMapping, propose, ranks_in, values_of
from pipeline.vote_import.meanings import NEARER_FIRST, NEARER_SECOND
from tests import stores
from tests.brought import bring, put
from tests.workspace import add_model, open_workspace, person

A, B, TIE, BAD = Outcome.MODEL_A, Outcome.MODEL_B, Outcome.TIE, Outcome.BOTH_BAD


@pytest.fixture
def me(services):
    return person(services, "Ada")


def counts(services, set_id, me, first, second):
    revealed = services.comparisons.results(set_id, me)
    ids = {name: model_id for model_id, name in revealed.models.items()}
    votes = services.comparisons.results(set_id, me, (ids[first], ids[second])).votes
    found = ranking.count_outcomes(votes, first, second)
    return found.wins, found.losses, found.ties, found.both_bad


ARENA = [
    {
        "question_id": f"q{n}",
        "model_a": "vicuna-13b" if n % 2 else "koala-13b",
        "model_b": "koala-13b" if n % 2 else "vicuna-13b",
        "winner": ("model_a", "model_b", "tie", "tie (bothbad)", "model_a")[n % 5],
        "judge": f"arena_user_{n % 4}",
        "conversation_a": [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": f"Yes {n}"}],
        "conversation_b": [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": f"No {n}"}],
        "turn": 1,
        "language": "English" if n % 3 else "German",
        "tstamp": 1_682_351_591.1322 + n,
    }
    for n in range(30)
]


class TestForms:
    @pytest.mark.parametrize("name", ["battles.json", "battles.jsonl", "battles.parquet"])
    def test_battles_of_lmarena(self, services, me, tmp_path, name):
        path = put(tmp_path, name, ARENA)
        set_id = bring(services, path)
        frame = pandas.DataFrame(ARENA)
        won = {"model_a": frame.model_a, "model_b": frame.model_b}
        winner = frame.winner.map({k: k for k in won}).combine(
            frame.index.to_series(), lambda k, n: won[k][n] if k in won else ""
        )
        expected = (
            int((winner == "vicuna-13b").sum()),
            int((winner == "koala-13b").sum()),
            int((frame.winner == "tie").sum()),
            int((frame.winner == "tie (bothbad)").sum()),
        )
        assert counts(services, set_id, me, "vicuna-13b", "koala-13b") == expected and sum(expected) == 30
        revealed = services.comparisons.results(set_id, me)
        queries = services.store.queries.by_ids([vote.query_id for vote in revealed.stored])
        assert {query.text for query in queries.values()} == {f"What is {n}?" for n in range(30)}
        assert Counter(query.metadata["language"] for query in queries.values()) == {"English": 20, "German": 10}
        assert [vote.created_at for vote in revealed.stored] == sorted(row["tstamp"] for row in ARENA)
        item = services.store.comparisons.in_set(set_id)[0]
        texts = {answer.text for answer in services.store.runs.by_ids(item.completion_ids).values()}
        assert texts == {"Yes 0", "No 0"}

    def test_one_column_for_each_outcome(self, services, me, tmp_path):
        names = ("winner_model_a", "winner_model_b", "winner_tie")
        rows = [
            {"id": n, "model_a": "x1", "model_b": "y1", "prompt": json.dumps([f"Hello {n}", None]), "response_a": '["Hi"]',
             "response_b": '["Ho"]', **{name: int(n % 3 == place) for place, name in enumerate(names)}}
            for n in range(9)
        ]  # fmt: skip
        set_id = bring(services, put(tmp_path, "kaggle.csv", rows))
        assert counts(services, set_id, me, "x1", "y1") == (3, 3, 3, 0)
        rows[4]["winner_tie"] = 1
        path = put(tmp_path, "twice.csv", rows)
        (problem,) = services.vote_files.prepare(path, services.vote_files.propose(path)).problems
        assert str(problem).startswith(
            "row 6: exactly one of winner_model_a, winner_model_b, winner_tie must be 1; 2 are"
        )

    def test_annotations_of_alpaca_eval_are_counted_as_alpaca_eval_counts_them(self, services, me, tmp_path):
        preferences = [1, 2, 1.5, 0, 1.0, 1.93, 1.02, 2.0, 1.4999, 2]
        rows = [
            {"instruction": f"Do {n}.", "output_1": f"One {n}", "generator_1": "gpt4_1106", "output_2": f"Two {n}",
             "generator_2": "tulu-2", "annotator": "weighted_alpaca_eval_gpt4_turbo", "preference": preference}
            for n, preference in enumerate(preferences)
        ]  # fmt: skip
        path = put(tmp_path, "annotations.json", rows)
        set_id = bring(services, path)
        # alpaca_eval.metrics: a win of the second is a preference over 1.5, of the first one under it; 0 and 1.5 are draws.
        kept = [1.5 if p == 0 else p for p in preferences]
        expected = (sum(p < 1.5 for p in kept), sum(p > 1.5 for p in kept), sum(p == 1.5 for p in kept), 0)
        assert counts(services, set_id, me, "gpt4_1106", "tulu-2") == expected
        values = {
            value.text: value.meaning
            for value in values_of(services.vote_files.read(path), propose(services.vote_files.read(path)))
        }
        assert values[NEARER_FIRST] is A and values[NEARER_SECOND] is B

    def test_numbers_in_another_column_mean_nothing_by_themselves(self, services, tmp_path):
        path = put(tmp_path, "votes.csv", [{"model_a": "x", "model_b": "y", "winner": n} for n in (0, 1, 2)])
        desk = services.vote_files
        prepared = desk.prepare(path, desk.propose(path))
        assert not prepared.votes and "row 2: winner '0' is not a known verdict" in str(prepared.problems[0])

    def test_rankings_of_three_out_of_argilla(self, services, me, tmp_path):
        def record(n, *responses):
            fields = {"prompt": f"Say {n}", **{f"response-{k}": f"{k} says {n}" for k in (1, 2, 3)}}
            metadata = {
                f"response-{k}-model": name for k, name in zip((1, 2, 3), ("base", "short", "long"), strict=True)
            }
            given = [
                {"user_id": who, "status": status, "values": {"ranking": {"value": [
                    {"value": f"response-{k}", "rank": rank} for k, rank in zip((1, 2, 3), ranks, strict=True)]},
                    "better": {"value": f"A better answer to {n}."}}}
                for who, status, ranks in responses
            ]  # fmt: skip
            return {"fields": fields, "metadata": metadata, "responses": given}

        submitted = [record(0, ("u1", "submitted", (1, 2, 2)), ("u2", "submitted", (3, 1, 2)))]
        records = [*submitted, record(1, ("u1", "submitted", (1, 1, 1)), ("u2", "draft", (1, 2, 3)))]
        path = put(tmp_path, "records.json", records)
        mapping = services.vote_files.propose(path)
        assert mapping.column("query") == "prompt" and mapping.column("correction") == "better.responses"
        assert mapping.options == {f"response-{k}": f"metadata.response-{k}-model" for k in (1, 2, 3)}
        set_id = bring(services, path)
        assert services.store.comparisons.set(set_id).settings.form is VoteForm.RANKING
        assert counts(services, set_id, me, "base", "short") == (1, 1, 1, 0)
        assert counts(services, set_id, me, "short", "long") == (1, 0, 2, 0)
        votes = services.store.votes.of_set(set_id)
        assert sorted(vote.ranks for vote in votes) == [(1, 1, 1), (1, 2, 2), (3, 1, 2)]
        assert votes[0].correction == "A better answer to 0."
        flipped = bring(services, path, largest_is_best=True)
        assert counts(services, flipped, me, "base", "short") == (1, 1, 1, 0)
        assert counts(services, flipped, me, "short", "long") == (0, 1, 2, 0)

    @pytest.mark.parametrize(
        "value",
        [
            [{"value": "x", "rank": 2}, {"value": "y", "rank": 1}],
            {"value": ["x", "y"], "rank": [2, 1]},
            ["y", "x"],
            '[{"value": "x", "rank": 2}, {"value": "y", "rank": 1}]',
        ],
    )
    def test_a_ranking_is_read_in_every_form(self, value):
        assert ranks_in(value) == {"x": 2, "y": 1}

    @pytest.mark.parametrize(
        "value", [None, "", "x", ["x", "x"], [{"value": "x", "rank": "1"}], {"value": ["x"], "rank": []}, 3]
    )
    def test_what_is_no_ranking_is_none(self, value):
        assert ranks_in(value) == {}

    def test_a_winner_may_be_named(self, services, me, tmp_path):
        rows = [{"model_a": "x", "model_b": "y", "winner": who} for who in ("x", "y", "x", "tie")]
        set_id = bring(services, put(tmp_path, "named.csv", rows))
        assert counts(services, set_id, me, "x", "y") == (2, 1, 1, 0)

    def test_models_can_be_typed_where_the_file_has_no_column_of_them(self, services, me, tmp_path):
        path = put(tmp_path, "two.csv", [{"winner": who} for who in ("a", "b", "a")])
        columns = {"model_a": "Old", "model_b": "New", "outcome": "winner"}
        set_id = bring(services, path, columns=columns)
        assert counts(services, set_id, me, "Old", "New") == (2, 1, 0, 0)


class TestRefusals:
    ROWS = [{"model_a": "x", "model_b": "y", "winner": w} for w in ["model_a"] * 15 + ["model_c", "model_b", "model_c"]]

    def test_an_unknown_outcome_is_refused_by_name_and_row_and_nothing_is_stored(self, services, tmp_path):
        path = put(tmp_path, "votes.csv", self.ROWS)
        before = services.store.outbox.newest()
        with pytest.raises(ComparisonError, match=r"^row 17: winner 'model_c' is not a known verdict") as refused:
            bring(services, path)
        assert "row 19: winner 'model_c'" in str(refused.value)
        assert services.store.outbox.newest() == before and services.comparisons.sets() == []

    @pytest.mark.parametrize(("meaning", "expected"), [(B, (15, 3, 0, 0)), (TIE, (15, 1, 2, 0)), ("", (15, 1, 0, 0))])
    def test_it_gets_the_meaning_that_somebody_gives_it(self, services, me, tmp_path, meaning, expected):
        path = put(tmp_path, "votes.csv", self.ROWS)
        set_id = bring(services, path, meanings={"model_a": A, "model_b": B, "model_c": meaning})
        assert counts(services, set_id, me, "x", "y") == expected

    def test_such_rows_are_left_out_only_where_somebody_says_so(self, services, me, tmp_path):
        path = put(tmp_path, "votes.csv", self.ROWS)
        desk = services.vote_files
        mapping = desk.propose(path)
        brought = desk.bring(path, VoteMapping(mapping.columns, meanings=mapping.meanings, leave_out=True))
        assert (brought.votes, brought.left_out) == (16, 2)

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ({"model_b": "x"}, "it compares 'x' with itself"),
            ({"model_a": " "}, "it names no model in 'model_a'"),
            ({"model_a": "x" * 121}, "121 characters"),
            ({"winner": ""}, r"winner '\(empty\)' is not a known verdict"),
            ({"seconds": "soon"}, "seconds 'soon' is not a number of seconds"),
            ({"seconds": "-1"}, "seconds '-1' is not a number"),
            ({"time": "yesterday"}, "time 'yesterday' is not a time"),
            ({"time": "1e300"}, "is not a time"),
        ],
    )
    def test_rows_that_cannot_be_read_say_why(self, services, tmp_path, row, reason):
        good = {"model_a": "x", "model_b": "y", "winner": "tie", "seconds": "2", "time": "2024-01-02T03:04:05"}
        path = put(tmp_path, "votes.csv", [good, good | row])
        with pytest.raises(ComparisonError, match=f"row 3: .*{reason}"):
            bring(services, path)

    @pytest.mark.parametrize(
        ("columns", "reason"),
        [
            ({"model_a": "model_a", "model_b": "model_b"}, "Choose the column of the verdict"),
            ({"model_a": "model_a", "outcome": "winner"}, "Choose the column of Model B"),
            ({"model_a": "model_a", "model_b": "model_a", "outcome": "winner"}, "the same"),
            (
                {"model_a": "model_a", "model_b": "model_b", "outcome": "winner", "won_tie": "winner"},
                "one of the three",
            ),
            ({"ranking": "winner"}, "holds none such"),
        ],
    )
    def test_a_mapping_that_cannot_be_used_says_what_to_choose(self, services, tmp_path, columns, reason):
        with pytest.raises(ComparisonError, match=reason):
            bring(services, put(tmp_path, "votes.csv", self.ROWS), columns=columns)

    def test_a_file_that_is_too_large_or_of_another_kind_is_refused(self, services, tmp_path):
        (tmp_path / "votes.xlsx").write_bytes(b"PK")
        with pytest.raises(ComparisonError, match="not a file of votes"):
            services.vote_files.read(tmp_path / "votes.xlsx")
        services.vote_files._most_bytes = 10
        with pytest.raises(ComparisonError, match="larger than"):
            services.vote_files.read(put(tmp_path, "votes.csv", self.ROWS))


class TestWhatComesOfIt:
    def test_it_is_one_comparison_open_to_everybody_and_to_nobodys_vote(self, services, me, tmp_path):
        set_id = bring(services, put(tmp_path, "battles.json", ARENA))
        item = services.store.comparisons.set(set_id)
        assert (item.settings.kind, item.state, item.name) == (Kind.IMPORTED, "open", "battles")
        assert services.comparisons.is_revealed(set_id, me) and services.comparisons.next_pair(set_id, me) is None
        assert services.comparisons.progress(set_id, me) == (0, 30)
        assert services.query_lists.all() == []
        names = services.store.members.names()
        assert {f"arena_user_{n}" for n in range(4)} <= set(names.values())

    def test_its_models_answer_nothing_and_are_not_offered(self, services, tmp_path):
        bring(services, put(tmp_path, "battles.json", ARENA))
        imported = [model for model in services.registry.all() if model.provider == "imported"]
        assert {model.name for model in imported} == {"vicuna-13b", "koala-13b"}
        assert [model.name for model in services.registry.answering()] == ["extractive-base"]
        assert [model.name for model in services.tuner.bases()] == ["extractive-base"]
        with pytest.raises(ModelError, match="came with imported votes"):
            services.registry.answerer(imported[0].id)
        queries = services.store.queries.add_set("List", [("What?", Split.TEST, {})])
        with pytest.raises(ComparisonError, match="came with imported votes"):
            services.comparisons.create(ComparisonSettings(tuple(model.id for model in imported)), queries)

    def test_the_same_file_comes_in_once_and_another_one_adds_to_the_same_models(self, services, me, tmp_path):
        path = put(tmp_path, "battles.json", ARENA)
        assert bring(services, path) == bring(services, path)
        bring(services, put(tmp_path, "more.json", ARENA[:10]))
        imported = [model for model in services.registry.all() if model.provider == "imported"]
        assert len(imported) == 2 and len(services.comparisons.sets()) == 2
        assert services.standings.standings(me).votes == 40

    def test_a_model_of_the_workspace_is_another_one(self, services, tmp_path):
        own = add_model(services, "vicuna-13b")
        bring(services, put(tmp_path, "battles.json", ARENA))
        names = {model.name: model.id for model in services.registry.all()}
        assert names["vicuna-13b"] == own.id and "vicuna-13b (imported)" in names

    def test_a_file_without_queries_and_annotators_says_so(self, services, me, tmp_path):
        path = put(tmp_path, "votes.csv", [{"model_a": "x", "model_b": "y", "winner": "tie"}] * 4)
        desk = services.vote_files
        notes = " ".join(desk.prepare(path, desk.propose(path)).notes)
        assert "without a query" in notes and "without an annotator" in notes and "no answers" in notes
        revealed = services.comparisons.results(bring(services, path), me)
        found = ranking.count_outcomes(revealed.votes, revealed.first, revealed.second)
        assert (found.votes, found.queries, found.annotators) == (4, 4, 0)
        assert {vote.annotator_id for vote in revealed.stored} == {UNNAMED}
        texts = services.store.queries.by_ids([vote.query_id for vote in revealed.stored])
        assert all(query.text.startswith(NO_QUERY) and query.split is Split.TRAIN for query in texts.values())
        adjusted = services.result_details.adjusted(services.comparisons.sets()[0].id, revealed)
        assert adjusted.rate is None and adjusted.left_out == 4

    def test_somebody_who_judged_the_same_answers_twice_is_counted_twice(self, services, me, tmp_path):
        row = {"question": "Q?", "model_a": "x", "model_b": "y", "judge": "bo"}
        rows = [row | {"winner": winner} for winner in ("model_a", "model_a", "model_b")]
        rows.append({**row, "model_a": "y", "model_b": "x", "winner": "model_a", "judge": "cy"})
        set_id = bring(services, put(tmp_path, "votes.csv", rows))
        assert counts(services, set_id, me, "x", "y") == (2, 2, 0, 0)
        items = services.store.comparisons.in_set(set_id)
        assert len(items) == 3 and len({item.query_id for item in items}) == 1

    def test_a_query_that_is_held_out_here_stays_so(self, services, tmp_path):
        services.store.queries.add_set("List", [("What is 3?", Split.TEST, {})])
        bring(services, put(tmp_path, "battles.json", ARENA))
        (item,) = services.comparisons.sets()
        tests = services.store.queries.in_set(item.query_set_id, Split.TEST)
        assert [query.text for query in tests] == ["What is 3?"]

    def test_all_of_it_comes_in_or_nothing(self, services, tmp_path):
        path = put(tmp_path, "battles.json", ARENA)
        before = (services.store.outbox.newest(), len(services.registry.all()))
        database = services.store.database
        at_last = stores.refusing(database, "INSERT ON votes", "(SELECT count(*) FROM votes) = 20")
        with at_last, pytest.raises(IntegrityError, match="refused"):
            bring(services, path)
        assert (services.store.outbox.newest(), len(services.registry.all())) == before
        assert services.comparisons.sets() == []
        assert bring(services, path)


@pytest.mark.shared_data
class TestRealFiles:
    def test_the_votes_of_llmfao_come_in_as_they_are(self, services, me, shared_data):
        path = shared_data / "preferences_llmfao" / "votes.jsonl"
        set_id = bring(services, path)
        revealed = services.comparisons.results(set_id, me)
        assert len(revealed.stored) == 8931 and len(revealed.models) == 59
        assert Counter(vote.outcome.value for vote in revealed.stored) == {
            "model_a": 2911,
            "model_b": 2549,
            "tie": 3471,
        }
        texts = {vote.query_id for vote in revealed.stored}
        assert len(texts) == 13 and len({vote.annotator_id for vote in revealed.stored}) == 124
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        said = Counter((line["model_a"], line["model_b"], line["winner"]) for line in lines)
        short = {A: "a", B: "b", TIE: "tie"}
        names = revealed.models
        assert said == Counter(
            (names[v.left_model_id], names[v.right_model_id], short[v.outcome]) for v in revealed.stored
        )

    @pytest.mark.parametrize(("name", "votes"), [("simple", 16), ("food", 30)])
    def test_the_small_sets_come_in_as_they_are(self, services, me, shared_data, name, votes):
        set_id = bring(services, shared_data / "preferences_small" / f"{name}_votes.jsonl")
        assert len(services.comparisons.results(set_id, me).stored) == votes


def test_days_in_the_place_of_times_do_not_make_a_sorted_file_a_run_of_wins(services, tmp_path, me):
    verdicts = ["model_a"] * 60 + ["model_b"] * 60
    rows = [
        {"query": f"Query {n}?", "model_a": "x", "model_b": "y", "winner": winner, "voted_at": f"2024-01-0{1 + n % 2}"}
        for n, winner in enumerate(verdicts)
    ]
    found = services.comparisons.results(bring(services, put(tmp_path, "days.csv", rows)), me)
    # The days are kept in order; within a day the order tells nothing of who won.
    days = [int(vote.query_id in _asked_on_odd_rows(services, found)) for vote in found.votes]
    assert days == sorted(days)
    assert ranking.anytime_p(found.votes, found.first, found.second).p_value > 0.05
    assert ranking.anytime_p(sorted(found.votes, key=lambda vote: vote.outcome), "x", "y").p_value < 1e-6


def _asked_on_odd_rows(services, found):
    queries = services.store.queries.by_ids([vote.query_id for vote in found.votes]).values()
    return {query.id for query in queries if int(query.text.split()[1][:-1]) % 2}


@pytest.mark.parametrize("timed", [False, True])
def test_the_table_of_pairs_in_the_report_says_what_the_verdict_says(services, tmp_path, timed):
    verdicts = ["model_a"] * 17 + ["tie"] * 6 + ["model_b"] * 11
    rows = [
        {
            "query": f"Query {n}?",
            "model_a": "x",
            "model_b": "y",
            "winner": winner,
            **({"tstamp": 1e9 + n} if timed else {}),
        }
        for n, winner in enumerate(verdicts)
    ]
    report = services.reports.report(bring(services, put(tmp_path, "sorted.csv", rows)))
    assert report.verdict.anytime.in_order is timed and report.verdict.counts.annotators == 0
    assert [pair.verdict for pair in report.pairs] == [report.verdict]


def test_whoever_is_not_named_is_no_annotator_that_a_judge_is_held_against(services, tmp_path, me):
    rows = [
        {"query": "One query?", "model_a": "x", "model_b": "y", "answer_a": "Yes.", "answer_b": "No.", "winner": winner}
        for winner in ("model_a", "model_a", "model_b")
    ]
    found = services.comparisons.results(bring(services, put(tmp_path, "nobody.csv", rows)), me)
    people = people_votes(found)
    assert [vote.annotator for _, vote in people] == ["", "", ""]
    assert ranking.dissent([vote for _, vote in people]) == ()


def test_a_query_that_a_model_answered_in_two_ways_has_no_length_to_adjust_for(services, tmp_path, me):
    rows = [
        {
            "query": f"Query {n}?",
            "model_a": "x",
            "model_b": "y",
            "answer_a": text,
            "answer_b": "No.",
            "winner": "model_a",
        }
        for n, text in [(0, "Short."), (0, "A good deal longer."), (1, "Short.")]
    ]
    set_id = bring(services, put(tmp_path, "twice.csv", rows))
    adjusted = services.result_details.adjusted(set_id, services.comparisons.results(set_id, me))
    assert (adjusted.votes, adjusted.left_out) == (1, 2)


@pytest.mark.parametrize("seconds", [10**400, 1e300, -1])
def test_seconds_that_are_none_are_refused_by_row(services, tmp_path, seconds):
    path = tmp_path / "long.jsonl"
    row = {"query": "One?", "model_a": "x", "model_b": "y", "winner": "model_a", "seconds": seconds}
    path.write_text(json.dumps(row) + "\n", "utf-8")
    prepared = services.vote_files.prepare(path, services.vote_files.propose(path))
    assert prepared.votes == () and "is not a number of seconds" in str(prepared.problems[0])


def test_a_file_that_two_replicas_took_in_before_they_met_counts_once_in_the_standings(services, tmp_path, me):
    rows = [{"query": f"Query {n}?", "model_a": "x", "model_b": "y", "winner": "model_a"} for n in range(4)]
    path = put(tmp_path, "votes.csv", rows)
    other = open_workspace(tmp_path / "other")
    try:
        sets = {bring(services, path), bring(other, path)}
        services.store.merging.merge(other.store.outbox.batch("repo", 10_000), "repo")
    finally:
        other.close()
    assert {item.id for item in services.comparisons.sets()} == sets and len(sets) == 2
    found = services.standings.standings(me)
    assert (found.votes, found.opened, found.closed) == (4, 1, 0)
