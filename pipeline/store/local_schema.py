"""The tables that stay on this machine: what is on its way, what was read, and who works on what."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text

from pipeline.store.schema import metadata

# One line per row of every table that travels: its newest stamp, and where that state has arrived. It is the outbox, and
# what decides which of two changes of one row is the newer one.
changes = Table(
    "changes",
    metadata,
    Column("table_name", String(40), primary_key=True),
    Column("row_id", String(64), primary_key=True),
    Column("stamp", String(26), nullable=False, index=True),
    Column("replica", String(26), nullable=False),
    Column("in_repo", Boolean, nullable=False),
    Column("in_folder", Boolean, nullable=False),
)
for _place in (changes.c.in_repo, changes.c.in_folder):
    Index(
        f"ix_changes_not_{_place.name}",
        changes.c.stamp,
        sqlite_where=_place.is_(False),
        postgresql_where=_place.is_(False),
    )

# Who works on which record, and until when it is kept for them, in seconds since the epoch.
reservations = Table(
    "reservations",
    metadata,
    Column("record_id", String(64), primary_key=True),
    Column("annotator_id", String(64), primary_key=True),
    Column("until", Float, nullable=False),
)

# Values of this store alone: its replica id, and which repo it is in step with.
local_values = Table(
    "local_values",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

# Journal files that were read, by place ("repo" or "folder").
journal_files = Table(
    "journal_files",
    metadata,
    Column("place", String(10), primary_key=True),
    Column("name", String(200), primary_key=True),
    # How far a growing file was read, in bytes.
    Column("size", Integer, nullable=False),
    Column("problem", Text, nullable=False),
)

# Changes that cannot be put in yet: made by a newer version, or pointing at a row that is in a damaged file.
parked_changes = Table(
    "parked_changes",
    metadata,
    Column("table_name", String(40), primary_key=True),
    Column("row_id", String(64), primary_key=True),
    Column("stamp", String(26), nullable=False),
    Column("replica", String(26), nullable=False),
    Column("row", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("in_repo", Boolean, nullable=False),
    Column("in_folder", Boolean, nullable=False),
)

# Passwords of local accounts, as argon2 writes their hashes.
passwords = Table(
    "passwords",
    metadata,
    Column("member_id", String(64), primary_key=True),
    Column("hash", Text, nullable=False),
    # Set by an owner: good for one sign-in, at which another is chosen.
    Column("must_change", Boolean, nullable=False),
    Column("changed_at", Float, nullable=False),
)

# Sign-ins that failed, by account and by address: how many since when, and until when no other is tried.
failed_sign_ins = Table(
    "failed_sign_ins",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("first_at", Float, nullable=False),
    Column("until", Float, nullable=False),
)

# When somebody was last here.
last_seen = Table(
    "last_seen",
    metadata,
    Column("member_id", String(64), primary_key=True),
    Column("at", Float, nullable=False),
)

# When a token of the API was last used, to the quarter of an hour.
token_uses = Table(
    "token_uses",
    metadata,
    Column("token_id", String(64), primary_key=True),
    Column("at", Float, nullable=False),
)

# Requests of the API that were carried out, by the hash of who sent them and the token that they were sent under.
done_requests = Table(
    "done_requests",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("at", Float, nullable=False, index=True),
)

# Of a store that several replicas share: a number for each table that grows with every commit that changed a row of it.
table_versions = Table(
    "table_versions",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
)

# The replicas of such a store, and when they last said that they are at work, by the clock of the database.
replicas = Table(
    "replicas",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

# What a run that is under way may spend, in US dollars: whoever goes on with it keeps to that.
run_limits = Table(
    "run_limits",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("dollars", Float, nullable=False),
)

# Whole numbers have 64 bits in SQLite, and in the rows that come from there.
for _table in metadata.tables.values():
    for _column in _table.columns:
        if type(_column.type) is Integer:
            _column.type = Integer().with_variant(BigInteger(), "postgresql")
