"""versions of models and prompts, costs and causes, proposed queries, jobs of any trainer"""

import sqlalchemy as sa
from alembic import op

revision = "m006"
down_revision = "m005"

ID = sa.String(length=64)


def upgrade() -> None:
    with op.batch_alter_table("models") as batch:
        batch.add_column(sa.Column("replaces_id", ID, nullable=True))
        batch.add_column(sa.Column("retired_at", sa.Float(), nullable=True))
        batch.create_foreign_key(op.f("fk_models_replaces_id"), "models", ["replaces_id"], ["id"])
        batch.create_index(op.f("ix_models_replaces_id"), ["replaces_id"])
    with op.batch_alter_table("completions") as batch:
        batch.add_column(sa.Column("cause", sa.String(length=40), nullable=True))
        batch.add_column(sa.Column("attempts", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("first_text_seconds", sa.Float(), nullable=True))
        batch.add_column(sa.Column("cost", sa.Float(), nullable=True))
    _make_tables()
    with op.batch_alter_table("training_jobs") as batch:
        batch.alter_column("dataset_id", existing_type=ID, nullable=True)
        batch.add_column(sa.Column("external_id", sa.Text(), nullable=True))
        batch.add_column(sa.Column("settings", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("plan", sa.JSON(), nullable=True))
    with op.batch_alter_table("training_rows") as batch:
        batch.add_column(sa.Column("kind", sa.String(length=20), nullable=True))
        batch.add_column(sa.Column("rejected", sa.Text(), nullable=True))
        batch.add_column(sa.Column("overridden", sa.Boolean(), nullable=True))


def _make_tables() -> None:
    op.create_table(
        "prompt_templates",
        *_columns("name:80", "title:120", "system", "user", "refusal"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("numbered", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_templates")),
    )
    parents = {"chunk_id": "chunks", "model_id": "models", "member_id": "members", "query_id": "queries"}
    op.create_table(
        "query_proposals",
        *_columns("text", "state:20"),
        sa.Column("edited", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("decided_at", sa.Float(), nullable=True),
        *[sa.Column(name, ID, nullable=name != "chunk_id") for name in parents],
        *_references("query_proposals", parents),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_query_proposals")),
    )
    op.create_table(
        "training_events",
        *_columns("kind:20", "text"),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        *_references("training_events", {"job_id": "training_jobs"}),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_events")),
    )
    for table, names in (("query_proposals", parents), ("training_events", ("job_id",))):
        for name in names:
            op.create_index(op.f(f"ix_{table}_{name}"), table, [name])


def _columns(*names: str) -> list[sa.Column]:
    """Return the id and columns of text, of a length where one is named behind a colon."""
    parts = [name.partition(":") for name in names]
    kinds = [(name, sa.String(length=int(length)) if length else sa.Text()) for name, _, length in parts]
    return [sa.Column("id", ID, nullable=False), *[sa.Column(name, kind, nullable=False) for name, kind in kinds]]


def _references(table: str, parents: dict[str, str]) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([name], [f"{parent}.id"], name=op.f(f"fk_{table}_{name}"))
        for name, parent in parents.items()
    ]
