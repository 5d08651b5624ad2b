"""The tables of the live store, as SQLAlchemy Core. Migrations in ``migrations/`` lead here; a test compares the two.

Rows are never deleted. Tables marked as local stay on this machine; the rows of all others travel to the dataset repo.
"""

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
    # Unique by the registry's care, not the database's: two replicas may give one name before they meet.
    Column("name", String(120), nullable=False),
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

# Values of the whole workspace, for instance what pseudonyms are made with.
workspace_values = Table("workspace_values", metadata, _id(), Column("value", Text, nullable=False))

LOCAL = {"local": True}

# One line per row of every table that travels: its newest stamp, and where that state has arrived. It is the outbox, and
# what decides which of two changes of one row is the newer one.
changes = Table(
    "changes",
    metadata,
    Column("table_name", String(40), primary_key=True),
    Column("row_id", String(64), primary_key=True),
    Column("stamp", String(26), nullable=False, index=True),
    Column("replica", String(26), nullable=False),
    Column("in_repo", Boolean, nullable=False),
    Column("in_folder", Boolean, nullable=False),
    info=LOCAL,
)
for _place in (changes.c.in_repo, changes.c.in_folder):
    Index(
        f"ix_changes_not_{_place.name}",
        changes.c.stamp,
        sqlite_where=_place.is_(False),
        postgresql_where=_place.is_(False),
    )

# Values of this store alone: its replica id, and which repo it is in step with.
local_values = Table(
    "local_values",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
    info=LOCAL,
)

# Journal files that were read, by place ("repo" or "folder").
journal_files = Table(
    "journal_files",
    metadata,
    Column("place", String(10), primary_key=True),
    Column("name", String(200), primary_key=True),
    # How far a growing file was read, in bytes.
    Column("size", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    info=LOCAL,
)

# Changes that cannot be put in yet: made by a newer version, or pointing at a row that is in a damaged file.
parked_changes = Table(
    "parked_changes",
    metadata,
    Column("table_name", String(40), primary_key=True),
    Column("row_id", String(64), primary_key=True),
    Column("stamp", String(26), nullable=False),
    Column("replica", String(26), nullable=False),
    Column("row", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("in_repo", Boolean, nullable=False),
    Column("in_folder", Boolean, nullable=False),
    info=LOCAL,
)

TRAVELLING = tuple(table for table in metadata.sorted_tables if not table.info.get("local"))
