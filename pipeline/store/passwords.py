"""Passwords of local accounts as hashes, and sign-ins that failed. Both stay on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, select, update

from pipeline.store.dialects import upsert
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

    def count_try(self, key: str, wait: Callable[[int], float], forgotten_before: float) -> float:
        """Count one more try under a key as failed, unless it is held off; return until when it is, else 0.

        Afterwards it is held off for what ``wait`` says about the number. All of it is one transaction: of tries that are made
        at once, only so many get through as if they came one after the other.
        """
        failed, this, at = failed_sign_ins.c, failed_sign_ins.c.key == key, now()
        with self._db.write() as connection:
            connection.execute(delete(failed_sign_ins).where(failed.first_at < forgotten_before, failed.until < at))
            new = upsert(connection, failed_sign_ins).values(key=key, failures=1, first_at=at, until=0.0)
            more = {"failures": failed.failures + 1}
            counted = new.on_conflict_do_update(index_elements=["key"], set_=more, where=failed.until <= at)
            failures = connection.scalar(counted.returning(failed.failures))
            if failures is None:
                # Where another replica has just begun to count anew, it is gone: the next try will do.
                return connection.scalar(select(failed.until).where(this)) or at + 1
            if (seconds := wait(failures)) > 0:
                connection.execute(update(failed_sign_ins).where(this).values(until=at + seconds))
        return 0.0

    def take_back(self, key: str) -> None:
        """Count one failure less under a key: the try that was counted was none."""
        less = {"failures": failed_sign_ins.c.failures - 1, "until": 0.0}
        with self._db.write() as connection:
            connection.execute(update(failed_sign_ins).where(failed_sign_ins.c.key == key).values(**less))

    def forget_failures(self, key: str) -> None:
        """Begin to count anew under a key."""
        with self._db.write() as connection:
            connection.execute(delete(failed_sign_ins).where(failed_sign_ins.c.key == key))
