"""What one replica at a time does among those that share a store, for as long as it takes: held by locks that end with it."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipeline.errors import StoreError
from pipeline.store.engine import Database
from pipeline.store.shared import lock_of

_TAKE = "SELECT pg_try_advisory_lock({})"


class Claims:
    """Names that this replica holds, on a connection of their own. Its methods may be called from any thread.

    Where no others share the store everything is held that is asked for.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._held: Counter[str] = Counter()

    @property
    def needed(self) -> bool:
        """Whether there can be others."""
        return self._db.shared

    def take(self, name: str) -> bool:
        """Hold a name, once more where it is held here already; False where another replica holds it.

        Raises:
            StoreError: the database cannot be reached.
        """
        if not self.needed:
            return True
        with self._lock:
            if self._held[name] or self._taken(name):
                self._held[name] += 1
            return self._held[name] > 0

    def give_back(self, names: Iterable[str]) -> None:
        """Hold these no more, or each once less; what went with a lost connection is given back already."""
        with self._lock:
            for name in names:
                if self._held[name] == 1 and self._connection is not None:
                    try:
                        self._ask(f"SELECT pg_advisory_unlock({_place(name)})")
                    except StoreError:
                        # The server takes back what a connection held.
                        return
                self._held[name] = max(0, self._held[name] - 1)

    def rest(self) -> None:
        """Close the connection where nothing is held."""
        with self._lock:
            if not +self._held:
                self._held.clear()
                self._close()

    def _taken(self, name: str) -> bool:
        held, used = +self._held, self._connection is not None
        try:
            return self._ask(_TAKE.format(_place(name)))
        except StoreError:
            if not used:
                raise
        # One that rests for minutes may be cut off on the way. What it held is held anew, unless somebody was quicker.
        for other, count in held.items():
            if self._ask(_TAKE.format(_place(other))):
                self._held[other] = count
        return self._ask(_TAKE.format(_place(name)))

    def _ask(self, statement: str) -> bool:
        try:
            if self._connection is None:
                self._connection = self._db.at_once.connect()
            return bool(self._connection.execute(text(statement)).scalar_one())
        except (DBAPIError, PoolTimeout) as error:
            self._held.clear()
            self._close()
            raise StoreError("The connection to the database was lost.") from error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Its locks belong to the connection: should one be left, it does not go back among the others with it.
            connection.invalidate()
            connection.close()


def _place(name: str) -> str:
    # Names hold ids, which may have come with somebody's file: nothing of them stands in a statement.
    return lock_of(f"claim {hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}")
