"""The tables of the live store, as SQLAlchemy Core. Migrations in ``migrations/`` lead here; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column:
    return Column("id", String(64), primary_key=True)


def _ref(name: str, target: str, nullable: bool = False, index: bool = True) -> Column:
    return Column(name, String(64), ForeignKey(f"{target}.id"), nullable=nullable, index=index)


def _time(name: str, nullable: bool = False) -> Column:
    return Column(name, Float, nullable=nullable)


members = Table(
    "members",
    metadata,
    _id(),
    Column("name", String(80), nullable=False),
    # Only a hash of the browser's cookie is kept, so that a copy of the store lets nobody act as somebody else.
    Column("token_hash", String(64), nullable=True, unique=True),
    _time("created_at"),
)

documents = Table(
    "documents",
    metadata,
    _id(),
    Column("name", String(400), nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("sections", JSON, nullable=False),
    _time("created_at"),
    _time("deleted_at", nullable=True),
)

chunks = Table(
    "chunks",
    metadata,
    _id(),
    _ref("document_id", "documents"),
    Column("position", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("heading", Text, nullable=False),
    Column("page", Integer, nullable=True),
)

query_sets = Table(
    "query_sets",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    # "list" was given as a list, "example" is the list of the bundled example; "asked" gathers the queries of Ask.
    Column("kind", String(20), nullable=False),
    _time("created_at"),
)

queries = Table(
    "queries",
    metadata,
    _id(),
    _ref("query_set_id", "query_sets"),
    Column("position", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("split", String(20), nullable=False),
    Column("metadata", JSON, nullable=False),
)

retrievals = Table(
    "retrievals",
    metadata,
    _id(),
    _ref("query_id", "queries"),
    Column("retriever", String(200), nullable=False),
    Column("contexts", JSON, nullable=False),
    _time("created_at"),
    UniqueConstraint("query_id", "retriever"),
)

models = Table(
    "models",
    metadata,
    _id(),
    Column("name", String(120), nullable=False, unique=True),
    Column("provider", String(40), nullable=False),
    Column("config", JSON, nullable=False),
    Column("template", String(80), nullable=False),
    _ref("parent_id", "models", nullable=True),
    Column("job_id", String(64), nullable=True),
    _time("created_at"),
)

runs = Table(
    "runs",
    metadata,
    _id(),
    _ref("model_id", "models"),
    _ref("query_set_id", "query_sets"),
    Column("split", String(20), nullable=True),
    Column("retriever", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("total", Integer, nullable=False),
    # Queries of the run that this model had answered before over the same contexts: never paid for twice.
    Column("reused", Integer, nullable=False),
    Column("error", Text, nullable=False),
    _time("created_at"),
    _time("finished_at", nullable=True),
)

completions = Table(
    "completions",
    metadata,
    _id(),
    _ref("run_id", "runs", nullable=True),
    _ref("model_id", "models"),
    _ref("query_id", "queries"),
    _ref("retrieval_id", "retrievals"),
    Column("text", Text, nullable=False),
    Column("refused", Boolean, nullable=False),
    Column("citations", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("prompt_tokens", Integer, nullable=True),
    Column("completion_tokens", Integer, nullable=True),
    Column("error", Text, nullable=False),
    _time("created_at"),
)

datasets = Table(
    "datasets",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    Column("template", String(80), nullable=False),
    _ref("run_id", "runs", nullable=True),
    _time("created_at"),
)

records = Table(
    "records",
    metadata,
    _id(),
    _ref("dataset_id", "datasets"),
    Column("position", Integer, nullable=False),
    _ref("query_id", "queries"),
    _ref("completion_id", "completions"),
    UniqueConstraint("dataset_id", "query_id"),
)

responses = Table(
    "responses",
    metadata,
    _id(),
    _ref("record_id", "records"),
    _ref("annotator_id", "members"),
    Column("status", String(20), nullable=False),
    Column("values", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    UniqueConstraint("record_id", "annotator_id"),
)

response_history = Table(
    "response_history",
    metadata,
    _id(),
    _ref("response_id", "responses"),
    Column("status", String(20), nullable=False),
    Column("values", JSON, nullable=False),
    _time("at"),
)

training_jobs = Table(
    "training_jobs",
    metadata,
    _id(),
    Column("trainer", String(40), nullable=False),
    _ref("dataset_id", "datasets"),
    _ref("base_model_id", "models"),
    Column("state", String(20), nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("error", Text, nullable=False),
    Column("model_id", String(64), nullable=True),
    _time("created_at"),
    _time("finished_at", nullable=True),
)

# The rows as they were when the job began: a response may be edited later, the lineage of a model may not.
training_rows = Table(
    "training_rows",
    metadata,
    _id(),
    _ref("job_id", "training_jobs"),
    Column("position", Integer, nullable=False),
    _ref("response_id", "responses"),
    _ref("query_id", "queries"),
    Column("messages", JSON, nullable=False),
)

comparison_sets = Table(
    "comparison_sets",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    _ref("model_1_id", "models"),
    _ref("model_2_id", "models"),
    _ref("query_set_id", "query_sets"),
    Column("state", String(20), nullable=False),
    Column("error", Text, nullable=False),
    Column("summary", JSON, nullable=False),
    _time("created_at"),
)

comparisons = Table(
    "comparisons",
    metadata,
    _id(),
    _ref("comparison_set_id", "comparison_sets"),
    Column("position", Integer, nullable=False),
    _ref("query_id", "queries"),
    _ref("retrieval_id", "retrievals"),
    _ref("completion_1_id", "completions"),
    _ref("completion_2_id", "completions"),
    Column("identical", Boolean, nullable=False),
    UniqueConstraint("comparison_set_id", "query_id"),
)

sides = Table(
    "sides",
    metadata,
    _id(),
    _ref("comparison_id", "comparisons"),
    _ref("annotator_id", "members"),
    _ref("left_completion_id", "completions", index=False),
    _time("drawn_at"),
    UniqueConstraint("comparison_id", "annotator_id"),
)

votes = Table(
    "votes",
    metadata,
    _id(),
    _ref("comparison_id", "comparisons"),
    _ref("annotator_id", "members"),
    _ref("left_completion_id", "completions", index=False),
    _ref("right_completion_id", "completions", index=False),
    Column("outcome", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("correction", Text, nullable=False),
    Column("seconds", Float, nullable=True),
    _time("created_at"),
    _time("undone_at", nullable=True),
)
# One standing vote per person and comparison; votes that were taken back stay as history.
Index(
    "uq_votes_standing",
    votes.c.comparison_id,
    votes.c.annotator_id,
    unique=True,
    sqlite_where=text("undone_at IS NULL"),
    postgresql_where=text("undone_at IS NULL"),
)

reveals = Table(
    "reveals",
    metadata,
    _id(),
    _ref("comparison_set_id", "comparison_sets"),
    _ref("member_id", "members"),
    _time("at"),
    UniqueConstraint("comparison_set_id", "member_id"),
)
