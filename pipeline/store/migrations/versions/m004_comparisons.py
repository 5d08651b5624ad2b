"""comparisons of any number of models, their settings, rankings, criteria, an LLM judge, links to results"""

import sqlalchemy as sa
from alembic import op

revision = "m004"
down_revision = "m003"


def _id(name: str = "id", **options) -> sa.Column:
    return sa.Column(name, sa.String(length=64), nullable=False, **options)


def upgrade() -> None:
    with op.batch_alter_table("comparison_sets") as batch:
        batch.add_column(sa.Column("settings", sa.JSON(), nullable=True))
    with op.batch_alter_table("comparisons") as batch:
        # Three models are three pairs of one query.
        batch.drop_constraint("uq_comparisons_comparison_set_id_query_id", type_="unique")
        batch.add_column(sa.Column("more_completion_ids", sa.JSON(), nullable=True))
    with op.batch_alter_table("sides") as batch:
        batch.add_column(sa.Column("shown", sa.JSON(), nullable=True))
    with op.batch_alter_table("votes") as batch:
        batch.add_column(sa.Column("shown", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("ranks", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("criteria", sa.JSON(), nullable=True))
    _new_tables()


def _new_tables() -> None:
    op.create_table(
        "judge_runs",
        _id(),
        _id("comparison_set_id"),
        _id("model_id"),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["comparison_set_id"], ["comparison_sets.id"], name=op.f("fk_judge_runs_comparison_set_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_judge_runs_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judge_runs")),
    )
    op.create_index(op.f("ix_judge_runs_comparison_set_id"), "judge_runs", ["comparison_set_id"])
    op.create_index(op.f("ix_judge_runs_model_id"), "judge_runs", ["model_id"])
    op.create_table(
        "judgements",
        _id(),
        _id("judge_run_id"),
        _id("comparison_id"),
        _id("left_completion_id"),
        _id("right_completion_id"),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["judge_run_id"], ["judge_runs.id"], name=op.f("fk_judgements_judge_run_id")),
        sa.ForeignKeyConstraint(["comparison_id"], ["comparisons.id"], name=op.f("fk_judgements_comparison_id")),
        sa.ForeignKeyConstraint(
            ["left_completion_id"], ["completions.id"], name=op.f("fk_judgements_left_completion_id")
        ),
        sa.ForeignKeyConstraint(
            ["right_completion_id"], ["completions.id"], name=op.f("fk_judgements_right_completion_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgements")),
    )
    op.create_index(op.f("ix_judgements_judge_run_id"), "judgements", ["judge_run_id"])
    op.create_index(op.f("ix_judgements_comparison_id"), "judgements", ["comparison_id"])
    op.create_table(
        "result_links",
        _id(),
        _id("comparison_set_id"),
        _id("member_id"),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("withdrawn_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["comparison_set_id"], ["comparison_sets.id"], name=op.f("fk_result_links_comparison_set_id")
        ),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_result_links_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_result_links")),
    )
    op.create_index(op.f("ix_result_links_comparison_set_id"), "result_links", ["comparison_set_id"])
    op.create_index(op.f("ix_result_links_member_id"), "result_links", ["member_id"])
