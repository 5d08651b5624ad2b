"""Votes as CSV: what a spreadsheet and pandas make of the file."""

import csv
import io

import pandas
import pytest

from pipeline.records import Outcome
from pipeline.store.members import AUTOMATIC
from pipeline.store.votes import StoredVote
from pipeline.vote_files import COLUMNS, votes_csv
from tests.workspace import add_comparison, add_model, person

MODELS = {"m1": "first", "m2": "second"}


def vote(number=1, annotator="ada", **changes):
    values = {
        "id": f"v{number}",
        "comparison_id": f"c{number}",
        "query_id": f"q{number}",
        "annotator_id": annotator,
        "left_model_id": "m1",
        "right_model_id": "m2",
        "outcome": Outcome.MODEL_A,
        "reason": "",
        "correction": "",
        "seconds": 2.34,
        "created_at": 0.0,
    }
    return StoredVote(**{**values, **changes})


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def one(query="What is it?", models=MODELS, **changes):
    (row,) = rows(votes_csv([vote(**changes)], models, {"q1": query}))
    return row


def test_a_vote_is_a_row_with_names_and_utc_times():
    row = one(reason="Shorter.", correction="A better answer.", created_at=1_700_000_000.9)
    assert tuple(row) == COLUMNS
    assert list(row.values()) == [
        *("What is it?", "first", "second", "model_a", "annotator-1", "2.3"),
        *("Shorter.", "A better answer.", "2023-11-14T22:13:20+00:00"),
        *("v1", "c1", "", "", ""),
    ]


def test_a_vote_without_a_time_has_an_empty_cell():
    assert one(seconds=None)["seconds"] == ""


@pytest.mark.parametrize(
    "text",
    ['He said "so", then left', "two\nlines", "a,b;c\td", "备份每天几次？ 🙂", "back\\slash", " blanks ", "a\rb", '"'],
)
def test_any_text_comes_back_from_csv_and_pandas_as_it_was(text):
    written = votes_csv([vote(reason=text)], MODELS, {"q1": text})
    (row,) = rows(written)
    assert (row["query"], row["reason"]) == (text, text)
    frame = pandas.read_csv(io.StringIO(written, newline=""), keep_default_na=False, lineterminator=None)
    assert len(frame) == 1 and (text == "a\rb" or frame["reason"][0] == text)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"])
def test_no_cell_begins_as_a_formula(start):
    payload = f"{start}HYPERLINK(A1)"
    row = one(payload, {"m1": payload, "m2": payload}, reason=payload, correction=payload)
    for name in ("query", "model_a", "model_b", "reason", "correction"):
        assert row[name] == f"'{payload}"


def test_a_formula_after_a_quote_or_blanks_is_no_formula_of_its_own():
    assert one(reason="'=1+1")["reason"] == "''=1+1"
    assert one(reason="5 - 3 = 2")["reason"] == "5 - 3 = 2"


def test_people_are_pseudonyms_that_stay_the_same_within_a_file():
    people = ["zoe", "ada", "zoe", "bo"]
    votes = [vote(n, name) for n, name in enumerate(people)]
    text = votes_csv(votes, MODELS, {f"q{n}": "Q?" for n in range(4)})
    assert [row["annotator"] for row in rows(text)] == ["annotator-1", "annotator-2", "annotator-1", "annotator-3"]
    assert not any(name in text for name in people)


def test_automatic_ties_are_called_so_and_count_as_nobody():
    votes = [vote(1, AUTOMATIC, outcome=Outcome.TIE, seconds=None), vote(2, "ada")]
    text = votes_csv(votes, MODELS, {"q1": "Q?", "q2": "R?"})
    assert [row["annotator"] for row in rows(text)] == ["automatic", "annotator-1"]


def test_no_votes_are_a_header():
    assert votes_csv([], {}, {}).splitlines() == [",".join(COLUMNS)]


def test_a_real_comparison_tells_who_stood_on_which_side(services):
    pair = add_model(services, "first"), add_model(services, "second")
    set_id = add_comparison(services, pair, [(f"First {n}.", f"Second {n}.") for n in range(6)] + [("Same.", "Same.")])
    me = person(services, "Ada Lovelace")
    while shown := services.comparisons.next_pair(set_id, me):
        better = Outcome.MODEL_A if shown.text_a.startswith("First") else Outcome.MODEL_B
        services.comparisons.vote(shown.comparison_id, me, better, seconds=1.0)
    votes = services.store.votes.of_set(set_id)
    queries = {query.id: query.text for query in services.store.queries.in_set(services.query_lists.all()[0].id)}
    text = votes_csv(votes, {model.id: model.name for model in pair}, queries)
    found = [row for row in rows(text) if row["annotator"] == "annotator-1"]
    winners = {row["model_a"] if row["outcome"] == "model_a" else row["model_b"] for row in found}
    assert len(found) == 6 and winners == {"first"} and {row["model_a"] for row in found} == {"first", "second"}
    assert sorted(row["query"] for row in rows(text)) == sorted(queries.values())
    assert "Ada" not in text and me not in text
