"""The model registry."""

from __future__ import annotations

from sqlalchemy import select

from pipeline.records import Model
from pipeline.store.engine import Database
from pipeline.store.rows import change, found, now, put
from pipeline.store.schema import models


class ModelStore:
    """Rows of ``models``. A model is never changed, but for whether it is offered: another configuration is another model."""

    def __init__(self, database: Database) -> None:
        self._db = database
        # All models as they were read last, with the state of the table that they were read at.
        self._read: tuple[tuple[int, ...], list[Model]] = ((), [])

    def add(self, model: Model) -> None:
        """Store a model."""
        row = {name: getattr(model, name) for name in Model.__slots__}
        with self._db.write() as connection:
            put(connection, models, [{**row, "config": dict(model.config)}])

    def all(self) -> list[Model]:
        """Return all models, oldest first."""
        version = self._db.version(models)
        if self._read[0] != version:
            query = select(models).order_by(models.c.created_at, models.c.id)
            with self._db.read() as connection:
                self._read = (version, [Model(**row) for row in connection.execute(query).mappings()])
        return list(self._read[1])

    def get(self, model_id: str) -> Model:
        """Return one model.

        Raises:
            NotFoundError: there is no such model.
        """
        with self._db.read() as connection:
            row = connection.execute(select(models).where(models.c.id == model_id)).mappings().first()
        return Model(**found(row, "model"))

    def retire(self, model_id: str, retired: bool = True) -> None:
        """Offer a model no more, or again. What it answered stays.

        Raises:
            NotFoundError: there is no such model.
        """
        with self._db.write() as connection:
            change(connection, models, model_id, retired_at=now() if retired else None)

    def replace(self, model: Model) -> None:
        """Store the next version of the model that it names in ``replaces_id``, and offer that one no more, in one step."""
        row = {name: getattr(model, name) for name in Model.__slots__}
        with self._db.write() as connection:
            put(connection, models, [{**row, "config": dict(model.config)}])
            change(connection, models, model.replaces_id, retired_at=model.created_at)
