"""training rows that are made of a correction: they have a vote in the place of a response"""

import sqlalchemy as sa
from alembic import op

revision = "m005"
down_revision = "m004"


def upgrade() -> None:
    with op.batch_alter_table("training_rows") as batch:
        batch.alter_column("response_id", existing_type=sa.String(length=64), nullable=True)
        batch.add_column(sa.Column("vote_id", sa.String(length=64), nullable=True))
        batch.create_foreign_key(op.f("fk_training_rows_vote_id"), "votes", ["vote_id"], ["id"])
        batch.create_index(op.f("ix_training_rows_vote_id"), ["vote_id"])
