"""datasets of any fields and questions, suggestions, reservations, adjudications"""

import sqlalchemy as sa
from alembic import op

revision = "m003"
down_revision = "m002"


def _id(name: str = "id", **options) -> sa.Column:
    return sa.Column(name, sa.String(length=64), nullable=False, **options)


def upgrade() -> None:
    with op.batch_alter_table("datasets") as batch:
        batch.add_column(sa.Column("settings", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("state", sa.String(length=20), nullable=True))
    with op.batch_alter_table("records") as batch:
        batch.alter_column("query_id", existing_type=sa.String(length=64), nullable=True)
        batch.alter_column("completion_id", existing_type=sa.String(length=64), nullable=True)
        batch.add_column(sa.Column("external_id", sa.String(length=400), nullable=True))
        batch.add_column(sa.Column("fields", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("metadata", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("created_at", sa.Float(), nullable=True))
        batch.create_index("ix_records_dataset_position", ["dataset_id", "position"])
    with op.batch_alter_table("responses") as batch:
        batch.add_column(sa.Column("marks", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("edits", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("reason", sa.Text(), nullable=True))
        batch.add_column(sa.Column("prefilled", sa.Boolean(), nullable=True))
        batch.add_column(sa.Column("guidelines_version", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("reopened_at", sa.Float(), nullable=True))
        batch.create_index("ix_responses_annotator_status", ["annotator_id", "status", "record_id"])
    with op.batch_alter_table("response_history") as batch:
        batch.add_column(sa.Column("marks", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("reason", sa.Text(), nullable=True))
    _new_tables()


def _new_tables() -> None:
    op.create_table(
        "suggestions",
        _id(),
        _id("record_id"),
        sa.Column("question", sa.String(length=200), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("score", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name=op.f("fk_suggestions_record_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suggestions")),
    )
    op.create_index(op.f("ix_suggestions_record_id"), "suggestions", ["record_id"])
    op.create_table(
        "guideline_versions",
        _id(),
        _id("dataset_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_guideline_versions_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guideline_versions")),
    )
    op.create_index(op.f("ix_guideline_versions_dataset_id"), "guideline_versions", ["dataset_id"])
    op.create_table(
        "adjudications",
        _id(),
        _id("record_id"),
        _id("member_id"),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("withdrawn_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name=op.f("fk_adjudications_record_id")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_adjudications_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjudications")),
    )
    op.create_index(op.f("ix_adjudications_record_id"), "adjudications", ["record_id"])
    op.create_index(op.f("ix_adjudications_member_id"), "adjudications", ["member_id"])
    op.create_table(
        "reservations",
        _id("record_id"),
        _id("annotator_id"),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "annotator_id", name=op.f("pk_reservations")),
    )
