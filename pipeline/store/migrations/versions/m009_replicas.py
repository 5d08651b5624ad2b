"""several replicas on one store: versions of tables, who is at work, what runs may spend"""

import sqlalchemy as sa
from alembic import op

revision = "m009"
down_revision = "m008"


def upgrade() -> None:
    op.create_table(
        "table_versions",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_table_versions")),
    )
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replicas")),
    )
    op.create_table(
        "run_limits",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("dollars", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_limits")),
    )
