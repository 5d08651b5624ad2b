"""What the tables of the store are made of: one metadata object, and the columns that many of them have."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, MetaData, String

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def id_column() -> Column:
    """Return the key of a table."""
    return Column("id", String(64), primary_key=True)


def reference(name: str, target: str, nullable: bool = False, index: bool = True) -> Column:
    """Return a reference to a row of another table."""
    return Column(name, String(64), ForeignKey(f"{target}.id"), nullable=nullable, index=index)


def time_column(name: str, nullable: bool = False) -> Column:
    """Return a time in seconds since the epoch."""
    return Column(name, Float, nullable=nullable)
