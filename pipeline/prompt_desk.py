"""Prompt templates: those that there are, new versions, what changed between two, and what a model is really sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.cleaning import clean
from pipeline.errors import NotFoundError, TemplateError
from pipeline.export import chat_tokens
from pipeline.prompts import TEMPLATES, FindTemplate, Template, check_template, own_template, render_messages
from pipeline.records import Context
from pipeline.store import Store

# A place to preview on: how many queries and records of one list or dataset are offered.
MOST_EXAMPLES = 200
_RECORD, _QUERY = "record/", "query/"


@dataclass(frozen=True, slots=True)
class Draft:
    """A template as somebody typed it."""

    title: str
    system: str
    user: str
    refusal: str = ""
    numbered: bool = True


@dataclass(frozen=True, slots=True)
class Preview:
    """What a model is sent: the messages, and how many tokens they are."""

    messages: Sequence[dict[str, str]]
    tokens: int
    contexts: int


class PromptDesk:
    """The templates of a workspace. ``retrieve`` finds the contexts of each of some queries, as Ask does."""

    def __init__(self, store: Store, retrieve: Callable[[Sequence[str]], Sequence[Sequence[Context]]]) -> None:
        self._store = store
        self._retrieve = retrieve

    @property
    def find(self) -> FindTemplate:
        """What finds a template by what models and datasets name it by."""
        return self._store.templates.find

    def all(self) -> list[Template]:
        """Return all versions of all templates: the built-in ones, then the stored ones, each name's oldest version first."""
        return [*TEMPLATES.values(), *self._store.templates.all()]

    def choices(self) -> list[tuple[str, str]]:
        """Return the templates to choose from, as labels and references: each name's newest version before its older ones."""
        stored: dict[str, list[Template]] = {}
        for template in self._store.templates.all():
            stored.setdefault(template.name, []).insert(0, template)
        listed = [*TEMPLATES.values(), *(template for versions in stored.values() for template in versions)]
        return [(template.label, template.reference) for template in listed]

    def newest(self) -> list[tuple[str, str]]:
        """Return the built-in templates and the newest version of each stored one, as labels and references."""
        stored = {template.name: template for template in self._store.templates.all()}
        return [(template.label, template.reference) for template in (*TEMPLATES.values(), *stored.values())]

    def versions(self, reference: str) -> list[Template]:
        """Return the versions of a template, the newest first; of a built-in one there is one."""
        chosen = self.find(reference)
        if not chosen.id:
            return [chosen]
        return [template for template in reversed(self._store.templates.all()) if template.name == chosen.name]

    def used_by(self, reference: str) -> list[str]:
        """Return the names of the models that are told what this version says, oldest first."""
        return [model.name for model in self._store.models.all() if model.template == reference]

    def copy(self, reference: str, draft: Draft) -> Template:
        """Store what was typed as the first version of a new template.

        Raises:
            TemplateError: it cannot be used, or the title is taken.
        """
        made = self._made(draft, "")
        taken = {title.casefold() for title in self._titles()}
        if made.title.casefold() in taken:
            raise TemplateError(f"There is a template called {made.title} already: give the copy another title.")
        self.find(reference)
        names = {template.name for template in self.all()}
        stem = re.sub(r"[^a-z0-9]+", "-", made.title.casefold()).strip("-")[:60] or "prompt"
        name = next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, 10_000))) if name not in names)
        return self._store.templates.add(replace(made, name=name))

    def save(self, reference: str, draft: Draft) -> Template:
        """Store what was typed as the next version of a stored template.

        Raises:
            TemplateError: it cannot be used, is the same as before, or the template is a built-in one.
        """
        before = self.find(reference)
        if not before.id:
            raise TemplateError("A built-in template stays as it is: save yours as a new one.")
        made = self._made(draft, before.name)
        if self._same(made, before):
            raise TemplateError("Nothing has changed, so there is no new version.")
        others = {title.casefold() for name, title in self._named() if name != before.name}
        if made.title.casefold() in others:
            raise TemplateError(f"There is another template called {made.title}: choose another title.")
        return self._store.templates.add(made)

    def preview(self, draft: Draft, example: str) -> Preview:
        """Return what a model would be sent for an example of :meth:`examples`, or for a query that somebody typed.

        Raises:
            NotFoundError: the example is gone.
            TemplateError: the template cannot be used, or no query is given.
        """
        template = self._made(draft, "")
        query, contexts = self._example(example)
        messages = render_messages(template, query, contexts)
        return Preview(messages, chat_tokens(messages), len(contexts))

    def messages(self, reference: str, query: str) -> list[dict[str, str]]:
        """Return what a model is sent for a query under a stored or built-in template, with the contexts that are found.

        Raises:
            NotFoundError: there is no such template.
        """
        return render_messages(self.find(reference), query, self._contexts(query))

    def examples(self) -> list[tuple[str, str]]:
        """Return what a template can be previewed on: records of the newest dataset of a run, and queries of the newest list."""
        found: list[tuple[str, str]] = []
        of_run = [item for item in self._store.datasets.all() if item.run_id]
        if of_run:
            records = self._store.datasets.records(of_run[0].id)[:MOST_EXAMPLES]
            found += [
                (f"Record: {_short(record.query)}", f"{_RECORD}{record.id}") for record in records if record.query
            ]
        lists = self._store.queries.sets()
        if lists:
            queries = self._store.queries.in_set(lists[0].id)[:MOST_EXAMPLES]
            found += [(f"Query: {_short(query.text)}", f"{_QUERY}{query.id}") for query in queries]
        return found

    def _example(self, example: str) -> tuple[str, Sequence[Context]]:
        if example.startswith(_RECORD):
            record = self._store.datasets.record(example.removeprefix(_RECORD))
            return record.query or "", record.contexts
        if example.startswith(_QUERY):
            query_id = example.removeprefix(_QUERY)
            found = self._store.queries.by_ids([query_id])
            if query_id not in found:
                raise NotFoundError("This query is not in the workspace any more. Choose another one.")
            return found[query_id].text, self._contexts(found[query_id].text)
        query = clean(example).strip()
        if not query:
            raise TemplateError("Choose a record or a query to preview on, or type one.")
        return query, self._contexts(query)

    def _contexts(self, query: str) -> Sequence[Context]:
        return self._retrieve([query])[0]

    def _made(self, draft: Draft, name: str) -> Template:
        title, refusal = (" ".join(clean(text or "").split()) for text in (draft.title, draft.refusal))
        system, user = (clean(text or "").replace("\r\n", "\n").strip() for text in (draft.system, draft.user))
        check_template(title, system, user, refusal)
        return own_template("", name, 0, title, system, user, refusal=refusal, numbered=bool(draft.numbered))

    def _same(self, one: Template, other: Template) -> bool:
        names = ("title", "system", "user", "refusal", "numbered")
        return all(getattr(one, name) == getattr(other, name) for name in names)

    def _named(self) -> list[tuple[str, str]]:
        return [(template.name, template.title) for template in self.all()]

    def _titles(self) -> list[str]:
        return [title for _, title in self._named()]


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 90 else f"{words[:89]}…"
