"""Values of the whole workspace, which every replica shares."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, select

from pipeline.records import new_id
from pipeline.retrieval_settings import RetrievalSettings, from_text, to_text
from pipeline.store.engine import Database
from pipeline.store.rows import put
from pipeline.store.schema import workspace_values

SALT = "pseudonym-salt"
# Values are never changed: settings have a row for each time that they were, under ids that sort by time.
RETRIEVAL = "retrieval:"
NAME = "name:"


class ValueStore:
    """Rows of ``workspace_values``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def pseudonym_salt(self) -> str:
        """Return what the pseudonyms of this workspace are made with; made at first sight, the same ever after."""
        query = select(workspace_values.c.value).where(workspace_values.c.id == SALT)
        with self._db.read() as connection:
            salt = connection.scalar(query)
        if salt is not None:
            return salt
        with self._db.write() as connection:
            salt = connection.scalar(query)
            if salt is None:
                salt = secrets.token_hex(16)
                put(connection, workspace_values, [{"id": SALT, "value": salt}])
        return salt

    def workspace_name(self) -> str:
        """Return what the workspace is called, or ""."""
        query = select(workspace_values.c.value).where(workspace_values.c.id.startswith(NAME, autoescape=True))
        with self._db.read() as connection:
            return connection.scalar(query.order_by(workspace_values.c.id.desc()).limit(1)) or ""

    def was_named(self) -> bool:
        """Say whether the workspace was ever called by a name, or by none."""
        query = select(workspace_values.c.id).where(workspace_values.c.id.startswith(NAME, autoescape=True))
        with self._db.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def set_workspace_name(self, name: str) -> None:
        """Call the workspace by another name; "" for none."""
        with self._db.write() as connection:
            put(connection, workspace_values, [{"id": f"{NAME}{new_id()}", "value": name}])

    def retrieval(self) -> RetrievalSettings:
        """Return the retrieval settings in force."""
        with self._db.read() as connection:
            return retrieval_settings(connection)

    def set_retrieval(self, settings: RetrievalSettings) -> None:
        """Put retrieval settings into force."""
        with self._db.write() as connection:
            put(connection, workspace_values, [{"id": f"{RETRIEVAL}{new_id()}", "value": to_text(settings)}])


def retrieval_settings(connection: Connection) -> RetrievalSettings:
    """Return the retrieval settings in force, within a transaction."""
    query = select(workspace_values.c.value).where(workspace_values.c.id.startswith(RETRIEVAL, autoescape=True))
    return from_text(connection.scalar(query.order_by(workspace_values.c.id.desc()).limit(1)))
