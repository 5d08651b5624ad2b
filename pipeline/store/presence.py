"""Who is at work on a store that several replicas share: said once a second, and held by locks that end with the process."""

from __future__ import annotations

from sqlalchemy import Connection, delete, extract, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pipeline.errors import StoreError
from pipeline.store.dialects import upsert
from pipeline.store.local_schema import replicas
from pipeline.store.shared import SharedDatabase, lock_of

# The server frees the locks of a process at once when it ends. It may also have been the server that was away, and then they
# come back by themselves: nobody is gone who has said within this time that they are here.
SILENT_SECONDS = 4.0
_NOW = extract("epoch", func.clock_timestamp())
_LEADING = "leading"


class Presence:
    """One connection that stays open, and the locks that it holds. Used by one thread at a time."""

    def __init__(self, database: SharedDatabase) -> None:
        self._db = database
        self._connection: Connection | None = None
        self._leads = False
        # What the connection holds: the server counts how often a lock was taken, and wants it given back as often.
        self._held: set[str] = set()

    @property
    def leads(self) -> bool:
        """Whether this replica was the first to ask, and its connection has held since."""
        return self._leads

    @property
    def is_open(self) -> bool:
        """Whether the connection has held, as far as is known."""
        return self._connection is not None

    def enter(self) -> bool:
        """Say that this replica is at work; False where another process that lives says so under the same id.

        Raises:
            StoreError: the database cannot be reached.
        """
        if self._connection is None:
            try:
                self._connection = self._db.at_once.connect()
            except (DBAPIError, PoolTimeout) as error:
                raise StoreError("The database cannot be reached.") from error
        if not self._try(f"replica {self._db.writer.replica}"):
            self.leave()
            return False
        self.beat()
        return True

    def beat(self) -> None:
        """Say that this replica is still at work.

        Raises:
            StoreError: the connection is lost, and with it all that it held.
        """
        row = {"id": self._db.writer.replica, "started_at": _NOW, "seen_at": _NOW}
        statement = upsert(self._open(), replicas).values(row)
        self._run(statement.on_conflict_do_update(index_elements=["id"], set_={"seen_at": _NOW}))

    def elect(self) -> bool:
        """Become the one replica that does what only one may do, where nobody else is; say whether this one is.

        Raises:
            StoreError: the connection is lost.
        """
        self._leads = self._leads or self._try(_LEADING)
        return self._leads

    def gone(self) -> list[str]:
        """Return the replicas that have ended without a word; each is this one's to see to, until :meth:`let_go`.

        Raises:
            StoreError: the connection is lost.
        """
        silent = (replicas.c.seen_at < _NOW - SILENT_SECONDS) & (replicas.c.id != self._db.writer.replica)
        found = self._run(select(replicas.c.id).where(silent)).scalars().all()
        return [replica for replica in found if self._try(f"replica {replica}")]

    def buried(self, replica: str) -> None:
        """Forget a replica whose work was taken over.

        Raises:
            StoreError: the connection is lost.
        """
        self._run(delete(replicas).where(replicas.c.id == replica))
        self.let_go(replica)

    def let_go(self, *gone: str) -> None:
        """Leave these replicas to whoever sees to them next, or to themselves: while they are held here none can come back.

        Raises:
            StoreError: the connection is lost, which lets all of them go.
        """
        for replica in gone:
            self._free(f"replica {replica}")

    def leave(self, for_good: bool = False) -> None:
        """Close the connection, which gives back all that it held; ``for_good`` says that nothing was left behind."""
        connection, self._connection, self._leads = self._connection, None, False
        self._held.clear()
        if connection is None:
            return
        try:
            if for_good:
                connection.execute(delete(replicas).where(replicas.c.id == self._db.writer.replica))
        except DBAPIError:
            pass  # noqa: S110
        finally:
            # Not back among the others: its locks belong to the connection itself.
            connection.invalidate()
            connection.close()

    def _open(self) -> Connection:
        if self._connection is None:
            raise StoreError("The database cannot be reached.")
        return self._connection

    def _run(self, statement):
        try:
            return self._open().execute(statement)
        except DBAPIError as error:
            self.leave()
            raise StoreError("The connection to the database was lost.") from error

    def _try(self, what: str) -> bool:
        if what not in self._held and self._run(text(f"SELECT pg_try_advisory_lock({lock_of(what)})")).scalar_one():
            self._held.add(what)
        return what in self._held

    def _free(self, what: str) -> None:
        if what in self._held:
            self._run(text(f"SELECT pg_advisory_unlock({lock_of(what)})"))
            self._held.discard(what)
