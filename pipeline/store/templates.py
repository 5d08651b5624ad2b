"""Prompt templates: the built-in ones and those that people wrote, found by one name."""

from __future__ import annotations

from sqlalchemy import func, select

from pipeline.prompts import TEMPLATES, Template, get_template, own_template
from pipeline.records import new_id
from pipeline.store.engine import Database
from pipeline.store.rows import now, put
from pipeline.store.schema import prompt_templates


class TemplateStore:
    """Rows of ``prompt_templates``. A template is never changed: a change is another version under its name."""

    def __init__(self, database: Database) -> None:
        self._db = database
        # They never change, so what was read once is known.
        self._known: dict[str, Template] = {}

    def find(self, reference: str) -> Template:
        """Return the template that models and datasets name so: a built-in one, or a stored one by its id.

        Raises:
            NotFoundError: there is none.
        """
        if reference in TEMPLATES:
            return TEMPLATES[reference]
        if reference not in self._known:
            with self._db.read() as connection:
                query = select(prompt_templates).where(prompt_templates.c.id == reference)
                row = connection.execute(query).mappings().first()
            # Where it is not stored either, the built-in ones say so.
            self._known[reference] = _template(row) if row else get_template(reference)
        return self._known[reference]

    def all(self) -> list[Template]:
        """Return the stored templates, oldest version of each name first, names in the order of their first version."""
        query = select(prompt_templates).order_by(prompt_templates.c.version, prompt_templates.c.created_at)
        with self._db.read() as connection:
            found = [_template(row) for row in connection.execute(query).mappings()]
        names = list(dict.fromkeys(template.name for template in found))
        return sorted(found, key=lambda template: names.index(template.name))

    def add(self, template: Template) -> Template:
        """Store a template as the newest version of its name, and return it with its id and version."""
        stored_id = new_id()
        names = ("name", "title", "system", "user", "refusal", "numbered")
        with self._db.write() as connection:
            newest = select(func.max(prompt_templates.c.version)).where(prompt_templates.c.name == template.name)
            version = (connection.scalar(newest) or 0) + 1
            row = {name: getattr(template, name) for name in names}
            put(connection, prompt_templates, [{**row, "id": stored_id, "version": version, "created_at": now()}])
        return self.find(stored_id)


def _template(row) -> Template:
    told = (row["id"], row["name"], row["version"], row["title"], row["system"], row["user"])
    return own_template(*told, refusal=row["refusal"], numbered=bool(row["numbered"]))
