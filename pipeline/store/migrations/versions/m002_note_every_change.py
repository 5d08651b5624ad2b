"""note every change of a row that travels"""

import sqlalchemy as sa
from alembic import op

from pipeline.records import new_id

revision = "m002"
down_revision = "m001"

# The tables of m001, all of which travel.
TABLES = (
    "members", "documents", "chunks", "query_sets", "queries", "retrievals", "models", "runs", "completions", "datasets",
    "records", "responses", "response_history", "training_jobs", "training_rows", "comparison_sets", "comparisons", "sides",
    "votes", "reveals",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "workspace_values",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspace_values")),
    )
    _local_tables()
    with op.batch_alter_table("models") as batch:
        batch.drop_constraint("uq_models_name", type_="unique")
    # What the first version wrote waits for a repo like everything that is written from now on.
    replica, stamp = new_id(), new_id()
    op.execute(sa.text("INSERT INTO local_values (name, value) VALUES ('replica', :r)").bindparams(r=replica))
    for table in TABLES:
        statement = (
            "INSERT INTO changes (table_name, row_id, stamp, replica, in_repo, in_folder) "
            f"SELECT '{table}', id, :stamp, :replica, FALSE, FALSE FROM {table}"
        )
        op.execute(sa.text(statement).bindparams(stamp=stamp, replica=replica))


def _local_tables() -> None:
    op.create_table(
        "changes",
        sa.Column("table_name", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.String(length=64), nullable=False),
        sa.Column("stamp", sa.String(length=26), nullable=False),
        sa.Column("replica", sa.String(length=26), nullable=False),
        sa.Column("in_repo", sa.Boolean(), nullable=False),
        sa.Column("in_folder", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "row_id", name=op.f("pk_changes")),
    )
    op.create_index(op.f("ix_changes_stamp"), "changes", ["stamp"])
    for place in ("in_repo", "in_folder"):
        waiting = {"sqlite_where": sa.text(f"{place} IS 0"), "postgresql_where": sa.text(f"{place} IS FALSE")}
        op.create_index(f"ix_changes_not_{place}", "changes", ["stamp"], **waiting)
    op.create_table(
        "local_values",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_local_values")),
    )
    op.create_table(
        "journal_files",
        sa.Column("place", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("place", "name", name=op.f("pk_journal_files")),
    )
    op.create_table(
        "parked_changes",
        sa.Column("table_name", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.String(length=64), nullable=False),
        sa.Column("stamp", sa.String(length=26), nullable=False),
        sa.Column("replica", sa.String(length=26), nullable=False),
        sa.Column("row", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("in_repo", sa.Boolean(), nullable=False),
        sa.Column("in_folder", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "row_id", name=op.f("pk_parked_changes")),
    )
