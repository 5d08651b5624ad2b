"""Domain values: frozen, without behaviour that touches the outside. The words are those of the field.

Times are seconds since the epoch (UTC). Ids are sortable text made by :func:`new_id`. Spans are offsets in characters
(Python string indices), start included, end excluded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline import ulid
from pipeline.errors import ComparisonError

# Provider of models that came with votes from elsewhere: they answer nothing here. Also the kind of their queries.
IMPORTED = "imported"
# The text of an imported query that its file does not give; where the vote stands follows.
NO_QUERY = "(no query given)"


def new_id() -> str:
    """Return a new ULID: 48 bits of milliseconds and 80 random bits as 26 characters, so that ids sort by time."""
    return ulid.fresh()


def id_of(*parts: str) -> str:
    """Return the one id that belongs to ``parts``, of the form of :func:`new_id`, but without its order.

    For rows that two replicas may make independently of each other: they must be the same row when they meet.
    """
    digest = hashlib.sha256("\x00".join(parts).encode()).digest()
    return ulid.text(int.from_bytes(digest[:16], "big"))


class Split(StrEnum):
    """Which side of the train/test border a query is on."""

    TRAIN = "train"
    TEST = "test"


class ResponseStatus(StrEnum):
    """State of one person's response to a record; no response at all is *pending*."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    DISCARDED = "discarded"


class Outcome(StrEnum):
    """Verdict on a comparison; ``model_a`` is what was shown on side A (left)."""

    MODEL_A = "model_a"
    MODEL_B = "model_b"
    TIE = "tie"
    BOTH_BAD = "both_bad"


def outcome_from_ranks(rank_a: int, rank_b: int) -> Outcome:
    """Return the outcome that two ranks stand for: 1 is best, so the smaller rank wins; equal ranks are a tie.

    Raises:
        ComparisonError: a rank is not a whole number from 1 up.
    """
    for rank in (rank_a, rank_b):
        if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
            raise ComparisonError(f"{rank!r} is not a rank: ranks are whole numbers, and 1 is the best.")
    if rank_a == rank_b:
        return Outcome.TIE
    return Outcome.MODEL_A if rank_a < rank_b else Outcome.MODEL_B


class JobState(StrEnum):
    """State of a run or a training job."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Role(StrEnum):
    """What a person may do in a workspace; each may do what the ones before it may."""

    VIEWER = "viewer"
    ANNOTATOR = "annotator"
    ADMIN = "admin"
    OWNER = "owner"

    def covers(self, needed: Role) -> bool:
        """Say whether this role may do what ``needed`` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Section:
    """A named place in a document: from ``start`` to the start of the next section."""

    start: int
    heading: str = ""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its sections. ``text[section.start:]`` is where a section begins."""

    id: str
    name: str
    media_type: str
    sha256: str
    text: str
    sections: tuple[Section, ...] = ()
    created_at: float = 0.0
    deleted_at: float | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document: ``document.text[start:end] == text``."""

    id: str
    document_id: str
    document_name: str
    position: int
    text: str
    start: int
    end: int
    heading: str = ""
    page: int | None = None
    chunking: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """A chunk as it was given to a model: frozen with its score, so that it outlives changes of the index.

    ``score`` is the one that contexts are ordered by. Where more than the words of a query were searched, ``lexical`` (BM25)
    and ``semantic`` (cosine) and the ranks by them say what it comes from; None where that search did not find the chunk.
    """

    chunk_id: str
    document_id: str
    document_name: str
    text: str
    start: int
    end: int
    score: float
    heading: str = ""
    page: int | None = None
    lexical: float | None = None
    lexical_rank: int | None = None
    semantic: float | None = None
    semantic_rank: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What a user asks the RAG system."""

    id: str
    query_set_id: str
    position: int
    text: str
    split: Split
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QuerySet:
    """A named list of queries."""

    id: str
    name: str
    created_at: float
    size: int = 0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The contexts of one query, stored once and given to every model that answers it."""

    id: str
    query_id: str
    retriever: str
    contexts: tuple[Context, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A registry entry. ``config`` never holds a secret: a key is named by its environment variable."""

    id: str
    name: str
    provider: str
    config: Mapping[str, object]
    template: str
    parent_id: str | None = None
    job_id: str | None = None
    created_at: float = 0.0
    # The version that this one was made of by changing something, and since when it is not offered any more.
    replaces_id: str | None = None
    retired_at: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model returned for one query. Citations are numbers of contexts, 1 is the first.

    ``seconds`` is the time of the request that succeeded, ``first_text_seconds`` until its first text, ``attempts`` how many
    requests it took. Tokens and ``cost`` (US dollars) are None where the endpoint or the registry does not tell them.
    """

    text: str
    refused: bool = False
    citations: tuple[int, ...] = ()
    seconds: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    first_text_seconds: float | None = None
    attempts: int = 1
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer as it is stored, or the error that stands in its place, which is grouped under ``cause``."""

    id: str
    run_id: str | None
    model_id: str
    query_id: str
    retrieval_id: str
    text: str
    refused: bool = False
    citations: tuple[int, ...] = ()
    seconds: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str = ""
    created_at: float = 0.0
    cause: str | None = None
    attempts: int | None = None
    first_text_seconds: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One model answering one set of queries, or one split of it. ``reused`` of the ``done`` were answered before."""

    id: str
    model_id: str
    query_set_id: str
    split: Split | None
    retriever: str
    state: JobState
    total: int
    done: int
    failed: int
    created_at: float
    error: str = ""
    reused: int = 0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposed value for a question: from ``agent``, with a score or one for each label."""

    question: str
    value: object
    agent: str = ""
    score: float | list[float] | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One item of a dataset to annotate: ``fields`` are shown, ``suggestions`` prefill, ``metadata`` say what is known of it.

    A record that was made of a run has the query, its contexts and the completion behind it; others have none of these.
    """

    id: str
    dataset_id: str
    position: int
    fields: Mapping[str, object]
    metadata: Mapping[str, object] = field(default_factory=dict)
    suggestions: Mapping[str, Suggestion] = field(default_factory=dict)
    external_id: str | None = None
    query_id: str | None = None
    completion_id: str | None = None
    query: str = ""
    contexts: tuple[Context, ...] = ()
    completion: str = ""
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One person's answers to a record; ``values`` maps question names to values.

    ``marks`` are relevant passages and unsupported spans, ``reason`` says why it was discarded. ``edits`` were typed into a
    submitted or discarded response since, and stand only when they are submitted. ``prefilled`` and ``guidelines_version`` say
    what it was given under; None where that is not known.
    """

    id: str
    record_id: str
    annotator_id: str
    status: ResponseStatus
    values: Mapping[str, object]
    seconds: float = 0.0
    updated_at: float = 0.0
    created_at: float = 0.0
    marks: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""
    edits: Mapping[str, object] | None = None
    prefilled: bool | None = None
    guidelines_version: int | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """One annotator's verdict, self-describing: which model stood on which side, and what was said.

    ``query_id`` is the cluster that intervals are computed over.
    """

    query_id: str
    model_a: str
    model_b: str
    outcome: Outcome
    annotator: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The newest state of one row of the store, as it travels: to the dataset repo, a folder, a file, another replica.

    ``stamp`` is a ULID of the writer's clock: of two changes of one row the one with the greater stamp stands.
    """

    table: str
    row_id: str
    stamp: str
    replica: str
    row: Mapping[str, object]
