"""The published tables: what each holds, column by column, and how its rows become a Parquet file.

The declarations are the only place that names a column: the file, the declared features and the card are made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

Row = Mapping[str, Any]
# Of uncompressed data: whoever reads one row from a file fetches its whole group.
ROW_GROUP_BYTES = 32_000_000
MAX_ROW_GROUP = 1_000
TIME = "timestamp[us, tz=UTC]"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its Arrow type, or the columns of what it lists, and a sentence on what it holds."""

    name: str
    dtype: str | tuple[Column, ...]
    about: str
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A config of the dataset repo. Its rows have an ``id``, which they are sorted by."""

    name: str
    about: str
    columns: tuple[Column, ...]

    @property
    def path(self) -> str:
        """Where its file lies in the repo."""
        return f"data/{self.name}/train-00000-of-00001.parquet"


def _string(name: str, about: str) -> Column:
    return Column(name, "string", about)


CONTEXTS = Column(
    "contexts",
    (
        _string("document_id", "Id in `documents`; a document that was deleted since is not there any more."),
        _string("document", "Name of the document."),
        _string("heading", "Heading that the passage stands under, or null."),
        Column("page", "int32", "Page of the passage, where the document has pages."),
        Column("start", "int32", "Where the passage begins in the text of the document, in characters."),
        Column("end", "int32", "Where it ends, excluded."),
        _string("text", "The passage as it was given to the model."),
        Column("score", "float64", "Score of the retriever."),
    ),
    "The retrieved passages that were given to the model, best first; a citation [1] means the first.",
)
_MESSAGE = (_string("role", "`system`, `user` or `assistant`."), _string("content", "Text of the message."))
ID = _string("id", "Id of the row; it never changes.")
QUERY = _string("query", "What was asked.")
QUERY_ID = _string("query_id", "Id in `queries`; votes on one query are not independent, so group by it.")
SPLIT = _string("split", "`train` or `test`: the side of the border that the query is on.")
ANNOTATOR = _string("annotator", "Who it is from, the same name in every table.")
CREATED = Column("created_at", TIME, "When it was made.")
_CITATIONS = Column("citations", "int32", "Numbers of the contexts that the answer cites, 1 is the first.", listed=True)
_REFUSED = Column("refused", "bool", "Whether the answer says that this is not in the documents.")
_RETRIEVER = _string("retriever", "What fetched the contexts, over which documents.")
_RECORD_ID = _string("record_id", "Id in `records` of the reviewed record, or null.")
_COMPARISON_ID = _string("comparison_id", "Id in `comparisons` of the judged pair, or null.")
_DATASET = _string("dataset", "Name of the dataset that annotators work on.")
_VALUES = _string("values", "The answers as JSON, by the name of their question.")
_TEMPLATE = _string("prompt_template", "Name of the prompt that the contexts and the query are put into.")

TABLES: tuple[Table, ...] = (
    Table(
        "documents",
        "The documents that are searched, as text.",
        (
            ID,
            _string("name", "Name of the file."),
            _string("media_type", "Media type of the file."),
            _string("sha256", "SHA-256 of the file."),
            _string("text", "Its text; spans of contexts count characters in it."),
            Column("characters", "int32", "Length of the text in characters."),
            Column(
                "sections",
                (
                    Column("start", "int32", "Where the section begins in the text, in characters."),
                    _string("heading", "Its heading, or null."),
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
            _string("query_set_id", "Id of the list that the query is in."),
            _string("query_set", "Name of that list."),
            _string(
                "asked_in", "`list` for a list of the team, `example` for the bundled one, `asked` for single queries."
            ),
            Column("position", "int32", "Place in the list, 0 is the first."),
            Column(
                "metadata",
                (_string("name", "Name of a property."), _string("value", "Its value.")),
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
            _string("model", "Name of the model in the workspace."),
            _string(
                "provider", "`extractive` is the embedded answerer, `openai` an endpoint that speaks OpenAI's API."
            ),
            _string("endpoint_model", "Id of the model at its endpoint, or null."),
            _string("parent_model", "Name of the model that this one was tuned from, or null."),
            _TEMPLATE,
            _RETRIEVER,
            CONTEXTS,
            _string("answer", "What the model answered, or null where it failed."),
            _REFUSED,
            _CITATIONS,
            Column("seconds", "float64", "Time to the complete answer."),
            Column("prompt_tokens", "int32", "Tokens of the prompt, where the endpoint counts them."),
            Column("completion_tokens", "int32", "Tokens of the answer, where the endpoint counts them."),
            _string("error", "Why there is no answer, or null."),
            _string("run_id", "Id of the run that it was made in; null where it was asked by itself."),
            CREATED,
        ),
    ),
    Table(
        "records",
        "What annotators were given: the answers of a run to review, or records of any other fields.",
        (
            ID,
            _string("dataset_id", "Id of the dataset that annotators work on."),
            _DATASET,
            Column("position", "int32", "Place in the dataset, 0 is the first."),
            QUERY_ID,
            QUERY,
            SPLIT,
            CONTEXTS,
            _string("suggestion", "The model's answer, which the form was filled with; null where there is no run."),
            _string("model", "Name of the model that the suggestion is from."),
            _string("completion_id", "Id of the suggestion in `completions`."),
            _TEMPLATE,
            _string("external_id", "Id that the record came in with, or null."),
            _string("fields", "What is shown, as JSON by name; null for records of a run: see `query` and `contexts`."),
            _string("metadata", "What else is known of the record, as JSON by name, hidden properties among it."),
            _string("suggestions", "As JSON, a list of `question`, `value`, `agent` (who proposed it) and `score`."),
        ),
    ),
    Table(
        "responses",
        "What annotators made of the records. Drafts are left out.",
        (
            ID,
            _string("record_id", "Id in `records`."),
            _DATASET,
            QUERY_ID,
            QUERY,
            SPLIT,
            _string("suggestion", "The model's answer, which the form was filled with."),
            _string("model", "Name of the model that the suggestion is from."),
            _string("status", "`submitted`, or `discarded`, which never counts as an answer."),
            Column("query_rating", "int32", "How relevant the query is to the documents, 1 to 5, or null."),
            Column("context_rating", "int32", "How good the contexts are for answering it, 1 to 5, or null."),
            _string("answer", "The answer as the annotator left it."),
            Column("edited", "bool", "Whether it differs from the suggestion by more than blanks."),
            ANNOTATOR,
            Column("seconds", "float64", "Working time on the record."),
            CREATED,
            Column("updated_at", TIME, "When it was last submitted or discarded."),
            _VALUES,
            _string("marks", "Relevant `chunks` by number and unsupported `spans` of the text, as JSON, or null."),
            _string("reason", "Why it was discarded, in the annotator's words, or null."),
            Column("prefilled", "bool", "Whether the form was filled with the suggestions; null where not known."),
            Column("guidelines_version", "int32", "Version in `guidelines` that it was given under, or null."),
        ),
    ),
    Table(
        "adjudications",
        "What was decided where annotators disagreed. Decisions that were withdrawn are left out.",
        (
            ID,
            _string("record_id", "Id in `records`."),
            _DATASET,
            _VALUES,
            _string("reason", "Why, in the words of who decided, or null."),
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
            _string("dataset_id", "Id of the dataset."),
            _DATASET,
            Column("version", "int32", "Number of the wording, 1 is the first."),
            _string("text", "The guidelines, in Markdown."),
            CREATED,
        ),
    ),
    Table(
        "comparisons",
        "Pairs of answers to one query over the same contexts, to be judged blind.",
        (
            ID,
            _string("comparison_set_id", "Id of the set that the pair is in."),
            _string("comparison_set", "Name of that set."),
            Column("position", "int32", "Place in the set, 0 is the first."),
            QUERY_ID,
            QUERY,
            SPLIT,
            _RETRIEVER,
            CONTEXTS,
            Column(
                "completions",
                (
                    _string("completion_id", "Id in `completions`."),
                    _string("model", "Name of the model."),
                    _string("answer", "What it answered."),
                    _REFUSED,
                    _CITATIONS,
                ),
                "Both answers, in the order of the set; what was shown on which side stands in `votes`.",
            ),
            Column(
                "identical", "bool", "Whether the answers are the same but for blanks; such a pair is an automatic tie."
            ),
            CREATED,
        ),
    ),
    Table(
        "votes",
        "Blind verdicts on the comparisons. Votes that were taken back are left out.",
        (
            ID,
            _string("comparison_id", "Id in `comparisons`."),
            _string("comparison_set_id", "Id of the set that the comparison is in."),
            QUERY_ID,
            QUERY,
            SPLIT,
            _string("model_a", "Name of the model that was shown on the left."),
            _string("model_b", "Name of the model that was shown on the right."),
            _string("answer_a", "The answer on the left."),
            _string("answer_b", "The answer on the right."),
            _string("outcome", "`model_a`, `model_b`, `tie` or `both_bad`."),
            _string("winner", "Name of the model that was found better; null for `tie` and `both_bad`."),
            _string(
                "annotator", "Who voted, the same name in every table; `automatic` for the tie of identical answers."
            ),
            Column("seconds", "float64", "Time from showing the pair to the vote; null for an automatic tie."),
            _string("reason", "Why, in the annotator's words, or null."),
            _string("correction", "A better answer that the annotator wrote, or null."),
            CREATED,
        ),
    ),
    Table(
        "sft",
        "Supervised fine-tuning: prompts with the answer that a person stands for. Filter by `split` before training.",
        (
            _string("id", "Id of the response or the vote that the row is made of."),
            Column("messages", _MESSAGE, "System and user message as a model gets them, and the answer as assistant."),
            _string("source", "`review` for a submitted response, `correction` for a better answer written in a vote."),
            SPLIT,
            QUERY_ID,
            QUERY,
            CONTEXTS,
            _TEMPLATE,
            _string("model", "Name of the model whose answer was reviewed; null for a correction, written beside two."),
            _RECORD_ID,
            _COMPARISON_ID,
            ANNOTATOR,
            CREATED,
        ),
    ),
    Table(
        "preferences",
        "Preference pairs as TRL reads them: of two answers, the one that a person prefers. Filter by `split` before training.",
        (
            _string("id", "Id of the response or the vote that the row is made of, and what was preferred in it."),
            Column("prompt", _MESSAGE, "System and user message as a model gets them."),
            Column("chosen", _MESSAGE, "The preferred answer, as one assistant message."),
            Column("rejected", _MESSAGE, "The other answer, as one assistant message."),
            _string(
                "source",
                "`vote` for the winner over the loser, `correction` for a better answer written in a vote over each "
                "answer that did not win, `review` for a submitted response over the suggestion that it changed.",
            ),
            SPLIT,
            QUERY_ID,
            QUERY,
            CONTEXTS,
            _TEMPLATE,
            _string(
                "chosen_model", "Name of the model that the preferred answer is from; null where a person wrote it."
            ),
            _string("rejected_model", "Name of the model that the other answer is from; its prompt is the one given."),
            _RECORD_ID,
            _COMPARISON_ID,
            ANNOTATOR,
            CREATED,
        ),
    ),
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
