"""The published tables: what each holds, column by column, and how its rows become a Parquet file.

The declarations are the only place that names a column: the file, the declared features and the card are made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

from pipeline.hub.columns import (
    ANNOTATOR,
    CITATIONS,
    CONTEXTS,
    CREATED,
    DATASET,
    ID,
    KIND,
    QUERY,
    QUERY_ID,
    REFUSED,
    RETRIEVER,
    SPLIT,
    TEMPLATE,
    TIME,
    VALUES,
    Column,
    Table,
    string,
)
from pipeline.hub.training_tables import TRAINING_TABLES

Row = Mapping[str, Any]
# Of uncompressed data: whoever reads one row from a file fetches its whole group.
ROW_GROUP_BYTES = 32_000_000
MAX_ROW_GROUP = 1_000


TABLES: tuple[Table, ...] = (
    Table(
        "documents",
        "The documents that are searched, as text.",
        (
            ID,
            string("name", "Name of the file."),
            string("media_type", "Media type of the file."),
            string("sha256", "SHA-256 of the file."),
            string("text", "Its text; spans of contexts count characters in it."),
            Column("characters", "int32", "Length of the text in characters."),
            Column(
                "sections",
                (
                    Column("start", "int32", "Where the section begins in the text, in characters."),
                    string("heading", "Its heading, or null."),
                    Column("page", "int32", "Its page, where the document has pages."),
                ),
                "Headings and pages, in order; a section ends where the next begins.",
            ),
            Column("chunks", "int32", "How many passages the document was cut into."),
            CREATED,
        ),
    ),
    Table(
        "queries",
        "Everything that was asked, in lists or one by one.",
        (
            ID,
            QUERY,
            SPLIT,
            string("query_set_id", "Id of the list that the query is in."),
            string("query_set", "Name of that list."),
            string(
                "asked_in",
                "`list` for a list of the team, `example` for the bundled one, `asked` for single queries, `live` for those "
                "of visitors, `imported` for those of votes from elsewhere.",
            ),
            Column("position", "int32", "Place in the list, 0 is the first."),
            Column(
                "metadata",
                (string("name", "Name of a property."), string("value", "Its value.")),
                "Further columns of the file that the query came in.",
            ),
        ),
    ),
    Table(
        "completions",
        "Every answer of every model, with the contexts it was given.",
        (
            ID,
            QUERY_ID,
            QUERY,
            SPLIT,
            string("model", "Name of the model in the workspace."),
            string("provider", "`extractive` is the embedded answerer, `openai` an endpoint that speaks OpenAI's API."),
            string("endpoint_model", "Id of the model at its endpoint, or null."),
            string("parent_model", "Name of the model that this one was tuned from, or null."),
            TEMPLATE,
            RETRIEVER,
            CONTEXTS,
            string("answer", "What the model answered, or null where it failed."),
            REFUSED,
            CITATIONS,
            Column("seconds", "float64", "Time to the complete answer."),
            Column("prompt_tokens", "int32", "Tokens of the prompt, where the endpoint counts them."),
            Column("completion_tokens", "int32", "Tokens of the answer, where the endpoint counts them."),
            string("error", "Why there is no answer, or null."),
            string("run_id", "Id of the run that it was made in; null where it was asked by itself."),
            CREATED,
            Column("first_text_seconds", "float64", "Time to the first text of the answer, where it came in pieces."),
            Column(
                "attempts",
                "int32",
                "Requests that it took; 0 where an earlier answer was taken over, null if not known.",
            ),
            Column("cost", "float64", "In US dollars at the model's price at that time, or null."),
            string("cause", "What the error comes from, as `rate_limit` or `timeout`, or null."),
        ),
    ),
    Table(
        "records",
        "What annotators were given: the answers of a run to review, or records of any other fields.",
        (
            ID,
            string("dataset_id", "Id of the dataset that annotators work on."),
            DATASET,
            Column("position", "int32", "Place in the dataset, 0 is the first."),
            QUERY_ID,
            QUERY,
            SPLIT,
            CONTEXTS,
            string("suggestion", "The model's answer, which the form was filled with; null where there is no run."),
            string("model", "Name of the model that the suggestion is from."),
            string("completion_id", "Id of the suggestion in `completions`."),
            TEMPLATE,
            string("external_id", "Id that the record came in with, or null."),
            string("fields", "What is shown, as JSON by name; null for records of a run: see `query` and `contexts`."),
            string("metadata", "What else is known of the record, as JSON by name, hidden properties among it."),
            string("suggestions", "As JSON, a list of `question`, `value`, `agent` (who proposed it) and `score`."),
        ),
    ),
    Table(
        "responses",
        "What annotators made of the records. Drafts are left out.",
        (
            ID,
            string("record_id", "Id in `records`."),
            DATASET,
            QUERY_ID,
            QUERY,
            SPLIT,
            string("suggestion", "The model's answer, which the form was filled with."),
            string("model", "Name of the model that the suggestion is from."),
            string("status", "`submitted`, or `discarded`, which never counts as an answer."),
            Column("query_rating", "int32", "How relevant the query is to the documents, 1 to 5, or null."),
            Column("context_rating", "int32", "How good the contexts are for answering it, 1 to 5, or null."),
            string("answer", "The answer as the annotator left it."),
            Column("edited", "bool", "Whether it differs from the suggestion by more than blanks."),
            ANNOTATOR,
            Column("seconds", "float64", "Working time on the record."),
            CREATED,
            Column("updated_at", TIME, "When it was last submitted or discarded."),
            VALUES,
            string("marks", "Relevant `chunks` by number and unsupported `spans` of the text, as JSON, or null."),
            string("reason", "Why it was discarded, in the annotator's words, or null."),
            Column("prefilled", "bool", "Whether the form was filled with the suggestions; null where not known."),
            Column("guidelines_version", "int32", "Version in `guidelines` that it was given under, or null."),
        ),
    ),
    Table(
        "adjudications",
        "What was decided where annotators disagreed. Decisions that were withdrawn are left out.",
        (
            ID,
            string("record_id", "Id in `records`."),
            DATASET,
            VALUES,
            string("reason", "Why, in the words of who decided, or null."),
            ANNOTATOR,
            CREATED,
            Column("updated_at", TIME, "When it was last changed."),
        ),
    ),
    Table(
        "guidelines",
        "Every wording of every dataset's guidelines: a response says which version it was given under.",
        (
            ID,
            string("dataset_id", "Id of the dataset."),
            DATASET,
            Column("version", "int32", "Number of the wording, 1 is the first."),
            string("text", "The guidelines, in Markdown."),
            CREATED,
        ),
    ),
    Table(
        "comparisons",
        "Answers to one query over the same contexts, to be judged blind: two, or all that are ranked together.",
        (
            ID,
            string("comparison_set_id", "Id of the set that the pair is in."),
            string("comparison_set", "Name of that set."),
            KIND,
            Column("position", "int32", "Place in the set, 0 is the first."),
            QUERY_ID,
            QUERY,
            SPLIT,
            RETRIEVER,
            CONTEXTS,
            Column(
                "completions",
                (
                    string("completion_id", "Id in `completions`."),
                    string("model", "Name of the model."),
                    string("answer", "What it answered."),
                    REFUSED,
                    CITATIONS,
                ),
                "All answers, in the order of the set; what was shown on which side stands in `votes`.",
            ),
            Column(
                "identical", "bool", "Whether the answers are the same but for blanks; such a pair is an automatic tie."
            ),
            CREATED,
        ),
    ),
    Table(
        "votes",
        "Blind verdicts on the comparisons, a row for each pair of answers: a ranking of n is n(n-1)/2 rows with one `vote_id`. "
        "Votes that were taken back are left out.",
        (
            string("id", "Id of the row; of a vote on a pair the id of the vote."),
            string("vote_id", "Id of the vote; the rows of a ranking share it, with its reason and its correction."),
            string("comparison_id", "Id in `comparisons`."),
            string("comparison_set_id", "Id of the set that the comparison is in."),
            KIND,
            QUERY_ID,
            QUERY,
            SPLIT,
            string("model_a", "Name of the model that was shown on the left."),
            string("model_b", "Name of the model that was shown on the right."),
            string("answer_a", "The answer on the left."),
            string("answer_b", "The answer on the right."),
            string("outcome", "`model_a`, `model_b`, `tie` or `both_bad`."),
            Column(
                "rank_a",
                "int32",
                "Rank of the left answer in a ranking, 1 is best and ties share one; null for a pair.",
            ),
            Column("rank_b", "int32", "Rank of the right answer in a ranking; null for a pair."),
            Column(
                "criteria",
                (string("name", "Name of a criterion."), string("outcome", "The outcome on it, as in `outcome`.")),
                "Verdicts on single criteria, where the comparison asks for some and this person gave them.",
            ),
            string("winner", "Name of the model that was found better; null for `tie` and `both_bad`."),
            string(
                "annotator",
                "Who voted, the same name in every table; `automatic` for the tie of identical answers, `unnamed` where an "
                "import names nobody.",
            ),
            Column("seconds", "float64", "Time from showing the pair to the vote; null for an automatic tie."),
            string("reason", "Why, in the annotator's words, or null."),
            string("correction", "A better answer that the annotator wrote, or null."),
            CREATED,
        ),
    ),
    *TRAINING_TABLES,
)


def features(table: Table):
    """Return the features of a table, for ``datasets``."""
    from datasets import Features

    return Features({column.name: _feature(column) for column in table.columns})


def parquet(table: Table, rows: Sequence[Row], scrub: Callable[[str], str] = lambda text: text) -> bytes:
    """Return rows as a Parquet file with exactly the declared columns, sorted by id: the same rows are the same bytes.

    ``scrub`` takes secrets out of each text: in the file it is compressed, and could not be found any more.

    Raises:
        KeyError: a row lacks a column.
    """
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    picked = [_pick(table.columns, row, scrub) for row in sorted(rows, key=lambda row: row["id"])]
    schema = features(table).arrow_schema
    data = pyarrow.Table.from_pylist(picked, schema=schema)
    file = BytesIO()
    # Cut by content and with a page index, as `push_to_hub` writes: an upload then sends only what is new.
    with ParquetWriter(file, schema, use_content_defined_chunking=True, write_page_index=True) as writer:
        # A group of no rows is one that neither `datasets` nor the Hub's viewer can read; a file of no groups is fine.
        if picked:
            writer.write_table(data, row_group_size=_row_group(len(picked), data.nbytes))
    return file.getvalue()


def _feature(column: Column):
    from datasets import List, Value

    if isinstance(column.dtype, tuple):
        # In a List a struct stays a row; a Sequence would turn the rows into parallel lists.
        return List({part.name: _feature(part) for part in column.dtype})
    return List(Value(column.dtype)) if column.listed else Value(column.dtype)


def _pick(columns: Sequence[Column], row: Row, scrub: Callable[[str], str]) -> dict[str, Any]:
    return {
        column.name: [_pick(column.dtype, part, scrub) for part in row[column.name]]
        if isinstance(column.dtype, tuple)
        else _scrubbed(row[column.name], scrub)
        for column in columns
    }


def _scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    return scrub(value) if isinstance(value, str) else value


def _row_group(rows: int, size: int) -> int:
    return max(1, min(MAX_ROW_GROUP, rows * ROW_GROUP_BYTES // max(size, 1)))
