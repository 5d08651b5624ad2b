"""The tables of the live store, as SQLAlchemy Core. Migrations in ``migrations/`` lead here; a test compares the two.

Rows are never deleted, and travel to the dataset repo. Tables that stay on this machine are in ``local_schema``.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint

from pipeline.store.columns import id_column, metadata, reference, time_column
from pipeline.store.comparison_schema import (
    comparison_sets,
    comparisons,
    judge_runs,
    judgements,
    result_links,
    reveals,
    sides,
    votes,
)
from pipeline.store.people_schema import activity, api_tokens, invitations, memberships, sign_ins, sprints, workspaces
from pipeline.store.tuning_schema import training_events, training_jobs, training_rows

__all__ = (
    "activity",
    "api_tokens",
    "comparison_sets",
    "comparisons",
    "invitations",
    "judge_runs",
    "judgements",
    "memberships",
    "metadata",
    "result_links",
    "reveals",
    "sides",
    "sign_ins",
    "sprints",
    "training_events",
    "training_jobs",
    "training_rows",
    "votes",
    "workspaces",
)

members = Table(
    "members",
    metadata,
    id_column(),
    Column("name", String(80), nullable=False),
    # Only a hash of the browser's cookie is kept, so that a copy of the store lets nobody act as somebody else.
    Column("token_hash", String(64), nullable=True, unique=True),
    time_column("created_at"),
)

documents = Table(
    "documents",
    metadata,
    id_column(),
    Column("name", String(400), nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("sections", JSON, nullable=False),
    time_column("created_at"),
    time_column("deleted_at", nullable=True),
)

chunks = Table(
    "chunks",
    metadata,
    id_column(),
    reference("document_id", "documents"),
    Column("position", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("heading", Text, nullable=False),
    Column("page", Integer, nullable=True),
    # The sizes that the document was cut by: "256/32" for chunks of 256 tokens that share 32, also where it is null.
    Column("chunking", String(20), nullable=True),
)

query_sets = Table(
    "query_sets",
    metadata,
    id_column(),
    Column("name", String(200), nullable=False),
    # "list" was given as a list, "example" is the list of the bundled example; "asked" gathers the queries of Ask, "live"
    # those of visitors, "imported" those of votes from elsewhere.
    Column("kind", String(20), nullable=False),
    time_column("created_at"),
)

queries = Table(
    "queries",
    metadata,
    id_column(),
    reference("query_set_id", "query_sets"),
    Column("position", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("split", String(20), nullable=False),
    Column("metadata", JSON, nullable=False),
)

retrievals = Table(
    "retrievals",
    metadata,
    id_column(),
    reference("query_id", "queries"),
    Column("retriever", String(200), nullable=False),
    Column("contexts", JSON, nullable=False),
    time_column("created_at"),
    UniqueConstraint("query_id", "retriever"),
)

models = Table(
    "models",
    metadata,
    id_column(),
    # Unique by the registry's care, not the database's: two replicas may give one name before they meet.
    Column("name", String(120), nullable=False),
    Column("provider", String(40), nullable=False),
    Column("config", JSON, nullable=False),
    Column("template", String(80), nullable=False),
    reference("parent_id", "models", nullable=True),
    Column("job_id", String(64), nullable=True),
    time_column("created_at"),
    # The version that this one was made of by changing something; a model itself never changes.
    reference("replaces_id", "models", nullable=True),
    # Since when it is not offered any more; what it answered stays.
    time_column("retired_at", nullable=True),
)

# What the model is told around contexts and query. Never changed: a change is another version of the same name.
prompt_templates = Table(
    "prompt_templates",
    metadata,
    id_column(),
    Column("name", String(80), nullable=False),
    Column("version", Integer, nullable=False),
    Column("title", String(120), nullable=False),
    Column("system", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("refusal", Text, nullable=False),
    # Whether the contexts are numbered, so that they can be cited.
    Column("numbered", Boolean, nullable=False),
    time_column("created_at"),
)

runs = Table(
    "runs",
    metadata,
    id_column(),
    reference("model_id", "models"),
    reference("query_set_id", "query_sets"),
    Column("split", String(20), nullable=True),
    Column("retriever", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("total", Integer, nullable=False),
    # Queries of the run that this model had answered before over the same contexts: never paid for twice.
    Column("reused", Integer, nullable=False),
    Column("error", Text, nullable=False),
    time_column("created_at"),
    time_column("finished_at", nullable=True),
)

completions = Table(
    "completions",
    metadata,
    id_column(),
    reference("run_id", "runs", nullable=True),
    reference("model_id", "models"),
    reference("query_id", "queries"),
    reference("retrieval_id", "retrievals"),
    Column("text", Text, nullable=False),
    Column("refused", Boolean, nullable=False),
    Column("citations", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("prompt_tokens", Integer, nullable=True),
    Column("completion_tokens", Integer, nullable=True),
    Column("error", Text, nullable=False),
    time_column("created_at"),
    # Under which errors are grouped: a word of pipeline.models.causes.
    Column("cause", String(40), nullable=True),
    Column("attempts", Integer, nullable=True),
    Column("first_text_seconds", Float, nullable=True),
    # In US dollars, at the price that the model had when it answered.
    Column("cost", Float, nullable=True),
)

# Queries made of passages, by a model or of headings: people decide which of them are asked.
query_proposals = Table(
    "query_proposals",
    metadata,
    id_column(),
    reference("chunk_id", "chunks"),
    Column("text", Text, nullable=False),
    # The model that proposed it; none where it was made of a heading.
    reference("model_id", "models", nullable=True),
    Column("state", String(20), nullable=False),
    # What a person made of it, who decided, and the query that it became.
    Column("edited", Text, nullable=True),
    reference("member_id", "members", nullable=True),
    reference("query_id", "queries", nullable=True),
    time_column("created_at"),
    time_column("decided_at", nullable=True),
)

datasets = Table(
    "datasets",
    metadata,
    id_column(),
    Column("name", String(200), nullable=False),
    # Of the prompt that the answers were made with and training rows are made with; "" where records are from elsewhere.
    Column("template", String(80), nullable=False),
    reference("run_id", "runs", nullable=True),
    time_column("created_at"),
    # Fields, questions and the rest (pipeline.annotation.settings); of the first version's datasets those of the template.
    Column("settings", JSON(none_as_null=True), nullable=True),
    # "draft" while its settings are being made, "published" (or nothing) when people may work on it.
    Column("state", String(20), nullable=True),
)

# Every wording of the guidelines that a response may have been given under.
guideline_versions = Table(
    "guideline_versions",
    metadata,
    id_column(),
    reference("dataset_id", "datasets"),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    time_column("created_at"),
)

records = Table(
    "records",
    metadata,
    id_column(),
    reference("dataset_id", "datasets"),
    Column("position", Integer, nullable=False),
    # Of records that are made of a run; what is shown of them is the query, its contexts and the completion.
    reference("query_id", "queries", nullable=True),
    reference("completion_id", "completions", nullable=True),
    Column("external_id", String(400), nullable=True),
    Column("fields", JSON(none_as_null=True), nullable=True),
    Column("metadata", JSON(none_as_null=True), nullable=True),
    time_column("created_at", nullable=True),
    UniqueConstraint("dataset_id", "query_id"),
)
Index("ix_records_dataset_position", records.c.dataset_id, records.c.position)

# One for each record and question; those of a run's records are its completions.
suggestions = Table(
    "suggestions",
    metadata,
    id_column(),
    reference("record_id", "records"),
    Column("question", String(200), nullable=False),
    Column("value", JSON, nullable=False),
    Column("agent", String(200), nullable=False),
    Column("score", JSON(none_as_null=True), nullable=True),
    time_column("created_at"),
)

responses = Table(
    "responses",
    metadata,
    id_column(),
    reference("record_id", "records"),
    reference("annotator_id", "members"),
    Column("status", String(20), nullable=False),
    Column("values", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
    time_column("created_at"),
    time_column("updated_at"),
    # Which passages are relevant, and spans that the contexts do not support.
    Column("marks", JSON(none_as_null=True), nullable=True),
    # What was typed into a submitted or discarded response since; it stands until it is submitted again.
    Column("edits", JSON(none_as_null=True), nullable=True),
    # Why it was discarded.
    Column("reason", Text, nullable=True),
    # Whether the record was shown with its suggestions, and under which guidelines.
    Column("prefilled", Boolean, nullable=True),
    Column("guidelines_version", Integer, nullable=True),
    # When a submit or discard was taken back: only such a draft takes the place of what was submitted.
    time_column("reopened_at", nullable=True),
    UniqueConstraint("record_id", "annotator_id"),
)
Index("ix_responses_annotator_status", responses.c.annotator_id, responses.c.status, responses.c.record_id)

response_history = Table(
    "response_history",
    metadata,
    id_column(),
    reference("response_id", "responses"),
    Column("status", String(20), nullable=False),
    Column("values", JSON, nullable=False),
    time_column("at"),
    Column("marks", JSON(none_as_null=True), nullable=True),
    Column("reason", Text, nullable=True),
)

# What an admin has decided where annotators disagree: one for each record.
adjudications = Table(
    "adjudications",
    metadata,
    id_column(),
    reference("record_id", "records"),
    reference("member_id", "members"),
    Column("values", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    time_column("created_at"),
    time_column("updated_at"),
    time_column("withdrawn_at", nullable=True),
)

# Values of the whole workspace, for instance what pseudonyms are made with.
workspace_values = Table("workspace_values", metadata, id_column(), Column("value", Text, nullable=False))

TRAVELLING = tuple(metadata.sorted_tables)
