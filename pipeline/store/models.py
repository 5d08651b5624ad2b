"""The model registry."""

from __future__ import annotations

from sqlalchemy import select

from pipeline.records import Model
from pipeline.store.engine import Database
from pipeline.store.rows import found, put
from pipeline.store.schema import models


class ModelStore:
    """Rows of ``models``. A model is never changed: another configuration is another model."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, model: Model) -> None:
        """Store a model."""
        row = {name: getattr(model, name) for name in Model.__slots__}
        with self._db.write() as connection:
            put(connection, models, [{**row, "config": dict(model.config)}])

    def all(self) -> list[Model]:
        """Return all models, oldest first."""
        query = select(models).order_by(models.c.created_at, models.c.id)
        with self._db.read() as connection:
            return [Model(**row) for row in connection.execute(query).mappings()]

    def get(self, model_id: str) -> Model:
        """Return one model.

        Raises:
            NotFoundError: there is no such model.
        """
        with self._db.read() as connection:
            row = connection.execute(select(models).where(models.c.id == model_id)).mappings().first()
        return Model(**found(row, "model"))
