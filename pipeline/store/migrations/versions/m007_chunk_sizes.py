"""by which sizes a document was cut into a chunk"""

import sqlalchemy as sa
from alembic import op

revision = "m007"
down_revision = "m006"


def upgrade() -> None:
    with op.batch_alter_table("chunks") as batch:
        # Nothing for those of 256 tokens with 32 shared, which is how the first versions cut.
        batch.add_column(sa.Column("chunking", sa.String(length=20), nullable=True))
