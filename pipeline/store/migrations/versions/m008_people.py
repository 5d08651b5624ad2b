"""what people may do, sign-ins, invitations, tokens, passwords, what was done, sprints"""

import sqlalchemy as sa
from alembic import op

revision = "m008"
down_revision = "m007"

ID = sa.String(length=64)


def upgrade() -> None:
    _table(
        "invitations",
        {"member_id": "members"},
        _text("role", 20),
        _text("code_hash", 64, True),
        _text("hub_name", 200, True),
        _text("organisation", 200, True),
        sa.Column("most", sa.Integer(), nullable=True),
        *_times("created_at", "expires_at?", "withdrawn_at?"),
    )
    _table(
        "memberships",
        {"member_id": "members", "invitation_id?": "invitations", "changed_by?": "members"},
        _text("role", 20),
        _text("login", 200, True),
        *_times("created_at", "changed_at", "removed_at?"),
    )
    _table(
        "sign_ins",
        {"member_id": "members"},
        _text("token_hash", 64),
        _text("kind", 20),
        *_times("created_at", "expires_at", "ended_at?"),
    )
    _table(
        "api_tokens",
        {"member_id": "members"},
        _text("name", 80),
        _text("token_hash", 64),
        *_times("created_at", "expires_at?", "ended_at?"),
    )
    _table(
        "activity",
        {"member_id?": "members"},
        *_times("at"),
        _text("action", 60),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=True),
    )
    _table(
        "sprints",
        {"dataset_id?": "datasets", "comparison_set_id?": "comparison_sets", "member_id": "members"},
        _text("name", 120),
        sa.Column("goal", sa.Integer(), nullable=False),
        sa.Column("leaderboard", sa.Boolean(), nullable=False),
        *_times("created_at", "starts_at", "ends_at", "ended_at?"),
    )
    _make_local_tables()
    for table, name in (("memberships", "login"), ("sign_ins", "token_hash"), ("invitations", "code_hash")):
        op.create_index(op.f(f"ix_{table}_{name}"), table, [name])
    op.create_index(op.f("ix_api_tokens_token_hash"), "api_tokens", ["token_hash"])


def _make_local_tables() -> None:
    op.create_table(
        "passwords",
        sa.Column("member_id", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        *_times("changed_at"),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_passwords")),
    )
    op.create_table(
        "failed_sign_ins",
        _text("key", 200),
        sa.Column("failures", sa.Integer(), nullable=False),
        *_times("first_at", "until"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_failed_sign_ins")),
    )
    op.create_table(
        "last_seen",
        sa.Column("member_id", ID, nullable=False),
        *_times("at"),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_last_seen")),
    )
    op.create_table(
        "token_uses",
        sa.Column("token_id", ID, nullable=False),
        *_times("at"),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_token_uses")),
    )
    op.create_table(
        "done_requests",
        _text("key", 64),
        *_times("at"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_done_requests")),
    )
    op.create_index(op.f("ix_done_requests_at"), "done_requests", ["at"])


def _table(table: str, parents: dict[str, str], *columns: sa.Column) -> None:
    """Make a table of rows that travel; a "?" behind a name lets the column be empty."""
    references = {name.rstrip("?"): parent for name, parent in parents.items()}
    op.create_table(
        table,
        sa.Column("id", ID, nullable=False),
        *[sa.Column(name.rstrip("?"), ID, nullable=name.endswith("?")) for name in parents],
        *columns,
        *[
            sa.ForeignKeyConstraint([name], [f"{parent}.id"], name=op.f(f"fk_{table}_{name}"))
            for name, parent in references.items()
        ],
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )
    for name in references:
        op.create_index(op.f(f"ix_{table}_{name}"), table, [name])


def _text(name: str, length: int, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _times(*names: str) -> list[sa.Column]:
    return [sa.Column(name.rstrip("?"), sa.Float(), nullable=name.endswith("?")) for name in names]
