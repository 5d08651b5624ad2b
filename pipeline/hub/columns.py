"""What a published table is made of, and the columns that several tables share."""

from __future__ import annotations

from dataclasses import dataclass

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


def string(name: str, about: str) -> Column:
    """Return a column of texts."""
    return Column(name, "string", about)


CONTEXTS = Column(
    "contexts",
    (
        string("document_id", "Id in `documents`; a document that was deleted since is not there any more."),
        string("document", "Name of the document."),
        string("heading", "Heading that the passage stands under, or null."),
        Column("page", "int32", "Page of the passage, where the document has pages."),
        Column("start", "int32", "Where the passage begins in the text of the document, in characters."),
        Column("end", "int32", "Where it ends, excluded."),
        string("text", "The passage as it was given to the model."),
        Column("score", "float64", "Score of the retriever."),
    ),
    "The retrieved passages that were given to the model, best first; a citation [1] means the first.",
)
MESSAGE = (string("role", "`system`, `user` or `assistant`."), string("content", "Text of the message."))
ID = string("id", "Id of the row; it never changes.")
QUERY = string("query", "What was asked.")
QUERY_ID = string("query_id", "Id in `queries`; votes on one query are not independent, so group by it.")
SPLIT = string("split", "`train` or `test`: the side of the border that the query is on.")
ANNOTATOR = string("annotator", "Who it is from, the same name in every table.")
CREATED = Column("created_at", TIME, "When it was made.")
CITATIONS = Column("citations", "int32", "Numbers of the contexts that the answer cites, 1 is the first.", listed=True)
REFUSED = Column("refused", "bool", "Whether the answer says that this is not in the documents.")
RETRIEVER = string("retriever", "What fetched the contexts, over which documents.")
RECORD_ID = string("record_id", "Id in `records` of the reviewed record, or null.")
COMPARISON_ID = string("comparison_id", "Id in `comparisons` of the judged pair, or null.")
DATASET = string("dataset", "Name of the dataset that annotators work on.")
VALUES = string("values", "The answers as JSON, by the name of their question.")
TEMPLATE = string(
    "prompt_template",
    "Name of the prompt that the contexts and the query are put into, with its version where the team wrote it; null for "
    "imported answers, whose prompt is not known.",
)
VOTE_ID = string("vote_id", "Id of the vote in `votes`, or null.")
KIND = string(
    "kind",
    "`prepared` over a list, `live` by visitors, or `imported`: collected elsewhere, blind only as far as that file is right.",
)
