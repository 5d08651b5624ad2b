"""The tables of comparisons: sets of them, who saw what on which side, votes, a judge's verdicts, links to results."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint, text

from pipeline.store.columns import id_column, metadata, reference, time_column

comparison_sets = Table(
    "comparison_sets",
    metadata,
    id_column(),
    Column("name", String(200), nullable=False),
    reference("model_1_id", "models"),
    reference("model_2_id", "models"),
    reference("query_set_id", "query_sets"),
    Column("state", String(20), nullable=False),
    Column("error", Text, nullable=False),
    Column("summary", JSON, nullable=False),
    time_column("created_at"),
    # Null where a set was made before there was anything to set: two models, pair by pair.
    Column("settings", JSON(none_as_null=True), nullable=True),
)

comparisons = Table(
    "comparisons",
    metadata,
    id_column(),
    reference("comparison_set_id", "comparison_sets"),
    Column("position", Integer, nullable=False),
    reference("query_id", "queries"),
    reference("retrieval_id", "retrievals"),
    reference("completion_1_id", "completions"),
    reference("completion_2_id", "completions"),
    Column("identical", Boolean, nullable=False),
    # The third and further completions of a ranking.
    Column("more_completion_ids", JSON(none_as_null=True), nullable=True),
)

sides = Table(
    "sides",
    metadata,
    id_column(),
    reference("comparison_id", "comparisons"),
    reference("annotator_id", "members"),
    reference("left_completion_id", "completions", index=False),
    time_column("drawn_at"),
    # All completions of a ranking in the order in which this person sees them.
    Column("shown", JSON(none_as_null=True), nullable=True),
    UniqueConstraint("comparison_id", "annotator_id"),
)

votes = Table(
    "votes",
    metadata,
    id_column(),
    reference("comparison_id", "comparisons"),
    reference("annotator_id", "members"),
    reference("left_completion_id", "completions", index=False),
    reference("right_completion_id", "completions", index=False),
    Column("outcome", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("correction", Text, nullable=False),
    Column("seconds", Float, nullable=True),
    time_column("created_at"),
    time_column("undone_at", nullable=True),
    # A ranking: its completions as shown, and the rank of each; outcome is then that between the first two.
    Column("shown", JSON(none_as_null=True), nullable=True),
    Column("ranks", JSON(none_as_null=True), nullable=True),
    # Outcomes by the name of a criterion.
    Column("criteria", JSON(none_as_null=True), nullable=True),
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
    id_column(),
    reference("comparison_set_id", "comparison_sets"),
    reference("member_id", "members"),
    time_column("at"),
    UniqueConstraint("comparison_set_id", "member_id"),
)

judge_runs = Table(
    "judge_runs",
    metadata,
    id_column(),
    reference("comparison_set_id", "comparison_sets"),
    reference("model_id", "models"),
    Column("state", String(20), nullable=False),
    Column("error", Text, nullable=False),
    Column("instructions", Text, nullable=False),
    time_column("created_at"),
    time_column("finished_at", nullable=True),
)

# What a model said about two completions, in one of the two orders; null where its reply held no verdict.
judgements = Table(
    "judgements",
    metadata,
    id_column(),
    reference("judge_run_id", "judge_runs"),
    reference("comparison_id", "comparisons"),
    reference("left_completion_id", "completions", index=False),
    reference("right_completion_id", "completions", index=False),
    Column("outcome", String(20), nullable=True),
    Column("reply", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("prompt_tokens", Integer, nullable=True),
    Column("completion_tokens", Integer, nullable=True),
    time_column("created_at"),
)

# Who holds the token of a link reads the results of one comparison, and nothing else.
result_links = Table(
    "result_links",
    metadata,
    id_column(),
    reference("comparison_set_id", "comparison_sets"),
    reference("member_id", "members"),
    Column("token_hash", String(64), nullable=False),
    time_column("created_at"),
    time_column("withdrawn_at", nullable=True),
)
