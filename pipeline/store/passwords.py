"""Passwords of local accounts as hashes, and sign-ins that failed. Both stay on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select, update

from pipeline.store.engine import Database
from pipeline.store.local_schema import failed_sign_ins, passwords
from pipeline.store.rows import now


@dataclass(frozen=True, slots=True)
class Password:
    """The hash of a password. ``must_change`` says that an owner set it, for one sign-in."""

    hash: str
    must_change: bool
    changed_at: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Sign-ins that failed under one key: how many since when, and until when no other is tried."""

    failures: int
    first_at: float
    until: float


class PasswordStore:
    """Rows of ``passwords`` and ``failed_sign_ins``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, member_id: str) -> Password | None:
        """Return a person's password, or None where they have none."""
        query = select(passwords.c.hash, passwords.c.must_change, passwords.c.changed_at)
        with self._db.read() as connection:
            row = connection.execute(query.where(passwords.c.member_id == member_id)).first()
        return Password(*row) if row else None

    def set(self, member_id: str, hash_: str, must_change: bool) -> None:
        """Give a person another password."""
        value = {"member_id": member_id, "hash": hash_, "must_change": must_change, "changed_at": now()}
        with self._db.write() as connection:
            connection.execute(delete(passwords).where(passwords.c.member_id == member_id))
            connection.execute(passwords.insert().values(**value))

    def known(self) -> set[str]:
        """Return the ids of those who have a password."""
        with self._db.read() as connection:
            return set(connection.scalars(select(passwords.c.member_id)))

    def failed(self, key: str) -> Failed | None:
        """Return the sign-ins that failed under a key."""
        query = select(failed_sign_ins.c.failures, failed_sign_ins.c.first_at, failed_sign_ins.c.until)
        with self._db.read() as connection:
            row = connection.execute(query.where(failed_sign_ins.c.key == key)).first()
        return Failed(*row) if row else None

    def count_failure(self, key: str, forgotten_before: float) -> int:
        """Count one more failure under a key and return how many there are; those of long ago are forgotten."""
        this = failed_sign_ins.c.key == key
        with self._db.write() as connection:
            connection.execute(
                delete(failed_sign_ins).where(
                    failed_sign_ins.c.first_at < forgotten_before, failed_sign_ins.c.until < now()
                )
            )
            more = update(failed_sign_ins).where(this).values(failures=failed_sign_ins.c.failures + 1)
            if connection.execute(more).rowcount == 0:
                value = {"key": key, "failures": 1, "first_at": now(), "until": 0.0}
                connection.execute(failed_sign_ins.insert().values(**value))
            return connection.scalar(select(failed_sign_ins.c.failures).where(this))

    def hold_off(self, key: str, until: float) -> None:
        """Let nothing be tried under a key until a time."""
        with self._db.write() as connection:
            connection.execute(update(failed_sign_ins).where(failed_sign_ins.c.key == key).values(until=until))

    def forget_failures(self, key: str) -> None:
        """Begin to count anew under a key."""
        with self._db.write() as connection:
            connection.execute(delete(failed_sign_ins).where(failed_sign_ins.c.key == key))
