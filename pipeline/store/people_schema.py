"""The tables of people: what they may do, their sign-ins, invitations, tokens, what they did, sprints, and other workspaces.

Nothing in them lets anybody in: of cookies, codes and tokens there are hashes of 256 random bits. Passwords, whose hashes could
be guessed at, are in ``local_schema`` and travel nowhere.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Integer, String, Table, Text

from pipeline.store.columns import id_column, metadata, reference, time_column

# One for each person who may do something. Apart from the person's row, so that a new name and a new role do not meet in one.
memberships = Table(
    "memberships",
    metadata,
    # Made of whom the sign-in knows: two replicas that let in one person make the same membership.
    id_column(),
    reference("member_id", "members"),
    Column("role", String(20), nullable=False),
    # Under which name they sign in: "hub:", "account:" or "name:" and the name; none once they were removed.
    Column("login", String(200), nullable=True, index=True),
    # How they came: it counts how many came by an invitation.
    reference("invitation_id", "invitations", nullable=True),
    reference("changed_by", "members", nullable=True),
    time_column("created_at"),
    time_column("changed_at"),
    time_column("removed_at", nullable=True),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    id_column(),
    reference("member_id", "members"),
    Column("token_hash", String(64), nullable=False, index=True),
    # How: "name", "account" or "hub".
    Column("kind", String(20), nullable=False),
    time_column("created_at"),
    time_column("expires_at"),
    time_column("ended_at", nullable=True),
)

invitations = Table(
    "invitations",
    metadata,
    id_column(),
    Column("role", String(20), nullable=False),
    # Whom it is for, one of three: whoever has the link, one person of the Hub, every member of an organisation of the Hub.
    Column("code_hash", String(64), nullable=True, index=True),
    Column("hub_name", String(200), nullable=True),
    Column("organisation", String(200), nullable=True),
    # How many may come by it; none sets no limit.
    Column("most", Integer, nullable=True),
    reference("member_id", "members"),
    time_column("created_at"),
    time_column("expires_at", nullable=True),
    time_column("withdrawn_at", nullable=True),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    id_column(),
    reference("member_id", "members"),
    Column("name", String(80), nullable=False),
    Column("token_hash", String(64), nullable=False, index=True),
    time_column("created_at"),
    time_column("expires_at", nullable=True),
    time_column("ended_at", nullable=True),
)

# Who did what when: what changes the workspace for others. Answers and votes are rows of their own and are not told here.
activity = Table(
    "activity",
    metadata,
    id_column(),
    time_column("at"),
    reference("member_id", "members", nullable=True),
    # A verb of pipeline.activity, for instance "role.changed", and whom or what it was done to, in words.
    Column("action", String(60), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON(none_as_null=True), nullable=True),
)

sprints = Table(
    "sprints",
    metadata,
    id_column(),
    Column("name", String(120), nullable=False),
    # What is worked on, one of the two.
    reference("dataset_id", "datasets", nullable=True),
    reference("comparison_set_id", "comparison_sets", nullable=True),
    # How many submitted answers or votes are wanted.
    Column("goal", Integer, nullable=False),
    Column("leaderboard", Boolean, nullable=False),
    reference("member_id", "members"),
    time_column("created_at"),
    time_column("starts_at"),
    time_column("ends_at"),
    # When it was ended before its time.
    time_column("ended_at", nullable=True),
)

# The workspaces of the server beside its main one, in whose store this has rows. Each has a store, people and a dataset repo of
# its own; none is ever removed, so that no other one comes to its address.
workspaces = Table(
    "workspaces",
    metadata,
    # Made of the slug.
    id_column(),
    Column("slug", String(32), nullable=False),
    Column("name", String(60), nullable=False),
    # Where it is backed up, as owner/name; "" for nowhere.
    Column("dataset_repo", String(200), nullable=False),
    # Whether it begins with the bundled example.
    Column("example", Boolean, nullable=False),
    reference("member_id", "members"),
    time_column("created_at"),
    # Since when it is not served; what is in it stays.
    time_column("closed_at", nullable=True),
)
