"""Rows of a run as a person may see them, in the table and in the file."""

import csv
import io

from pipeline.comparisons import WITHHELD
from pipeline.generation import Row
from pipeline.records import Completion, Context, Query, Retrieval, Split
from pipeline.run_files import COLUMNS, run_csv, shown_rows

CONTEXT = Context("c1", "d1", "manual.md", "A passage.", 0, 10, 1.5)


def row(name, text="It is 5.", split=Split.TRAIN, **completion):
    query = Query(name, "l", 0, f"What is {name}?", split)
    retrieval = Retrieval(f"r-{name}", name, "by hand", (CONTEXT,))
    return Row(
        query, retrieval, Completion(f"c-{name}", "r", "m", name, retrieval.id, text, seconds=0.25, **completion)
    )


def written(rows, model="extractive-base"):
    return list(csv.DictReader(io.StringIO(run_csv(rows, model), newline="")))


def test_a_query_is_a_row_whatever_became_of_it():
    waiting = Row(Query("w", "l", 0, "What is w?", Split.TEST), None, None)
    a = row("a", first_text_seconds=0.1, prompt_tokens=900, completion_tokens=7, cost=0.000125, attempts=2)
    c = row("c", "", error="No answer came.", cause="rate_limit", attempts=3)
    rows, said = written(shown_rows([a, row("b", refused=True), c, waiting])), ["extractive-base"]
    assert tuple(rows[0]) == COLUMNS
    assert [tuple(cells.values()) for cells in rows] == [
        (
            "1",
            "What is a?",
            "train",
            *said,
            "answered",
            "It is 5.",
            "1",
            "0.25",
            "0.10",
            "900",
            "7",
            "0.00012500",
            "2",
            "",
        ),
        ("2", "What is b?", "train", *said, "not in the documents", "It is 5.", "1", "0.25", *[""] * 6),
        ("3", "What is c?", "train", *said, "failed", "No answer came.", "1", *[""] * 5, "3", "rate_limit"),
        ("4", "What is w?", "test", *said, "waiting", *[""] * 9),
    ]


def test_a_withheld_answer_is_in_neither_and_nothing_tells_what_it_was():
    taken = {"first_text_seconds": 0.1, "prompt_tokens": 900, "completion_tokens": 7, "cost": 0.01, "attempts": 2}
    secret = row("s", "A secret.", Split.TEST, refused=True, **taken)
    (shown,) = shown_rows([secret], {"s"})
    assert (shown.answer, shown.state, shown.seconds) == (WITHHELD, "answered", None)
    assert [getattr(shown, name) for name in taken] == [None] * 5 and shown.tokens is None
    assert "secret" not in run_csv([shown], "m")
    (failed,) = shown_rows([row("s", "", error="No answer came.")], {"s"})
    assert failed.answer == "No answer came."


def test_no_cell_begins_as_a_formula():
    for start in "=+-@":
        (cells,) = written(shown_rows([row("a", f"{start}1+1")]), f"{start}model")
        assert (cells["answer"], cells["model"]) == (f"'{start}1+1", f"'{start}model")
