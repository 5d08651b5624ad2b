"""Values of the whole workspace, which every replica shares."""

from __future__ import annotations

import secrets

from sqlalchemy import select

from pipeline.store.engine import Database
from pipeline.store.rows import put
from pipeline.store.schema import workspace_values

SALT = "pseudonym-salt"


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
