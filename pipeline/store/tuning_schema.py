"""The tables of training: jobs, the rows that they were given, and what their trainer reported."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Integer, String, Table, Text

from pipeline.store.columns import id_column, metadata, reference, time_column

training_jobs = Table(
    "training_jobs",
    metadata,
    id_column(),
    Column("trainer", String(40), nullable=False),
    # None where only corrections out of votes are trained on.
    reference("dataset_id", "datasets", nullable=True),
    reference("base_model_id", "models"),
    Column("state", String(20), nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("error", Text, nullable=False),
    Column("model_id", String(64), nullable=True),
    time_column("created_at"),
    time_column("finished_at", nullable=True),
    # What the provider calls the job: stored as soon as it is known, so that a restart finds the job again.
    Column("external_id", Text, nullable=True),
    # What was chosen (epochs, learning rate, hardware ...), and what it was said to take before it began.
    Column("settings", JSON(none_as_null=True), nullable=True),
    Column("plan", JSON(none_as_null=True), nullable=True),
)

# The rows as they were when the job began: a response may be edited later, the lineage of a model may not.
training_rows = Table(
    "training_rows",
    metadata,
    id_column(),
    reference("job_id", "training_jobs"),
    Column("position", Integer, nullable=False),
    # One of the two: the response that was submitted, or the vote that a better answer was written with.
    reference("response_id", "responses", nullable=True),
    reference("query_id", "queries"),
    Column("messages", JSON, nullable=False),
    reference("vote_id", "votes", nullable=True),
    # "sft", or nothing, in the rows of the first version; "preference" rows have messages that end with the chosen answer.
    Column("kind", String(20), nullable=True),
    Column("rejected", Text, nullable=True),
    # Whether an owner let a query be trained on that is kept for comparisons.
    Column("overridden", Boolean, nullable=True),
)

# What the trainer reported, in its own words: states, lines of its log, the loss of a step.
training_events = Table(
    "training_events",
    metadata,
    id_column(),
    reference("job_id", "training_jobs"),
    time_column("at"),
    Column("kind", String(20), nullable=False),
    Column("text", Text, nullable=False),
    Column("step", Integer, nullable=True),
    Column("value", Float, nullable=True),
)
