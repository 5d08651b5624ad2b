"""Workspaces for tests: the real services over a folder, and comparisons whose completions are known."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

from pipeline.annotation.settings import Distribution
from pipeline.comparison_settings import ComparisonSettings, VoteForm
from pipeline.preparation import comparison
from pipeline.records import Answer, Context, Model, Response, ResponseStatus, Split, new_id
from pipeline.services import Services, open_services
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.comparisons import Comparison
from pipeline.store.responses import Given
from pipeline.store.runs import completion_of
from tests import stores


def open_workspace(home: Path, **settings) -> Services:
    """Open a workspace without the example."""
    return open_services(Settings(home=home, **{"example": False, "database_url": stores.url_of(home), **settings}))


def add_model(
    services: Services, name: str, parent: str | None = None, config: Mapping[str, object] | None = None
) -> Model:
    """Register an embedded model under a name, with the weights of the default one where none are given."""
    config = config or services.registry.all()[0].config
    model = Model(new_id(), name, "extractive", config, "answer-review", parent_id=parent, created_at=time.time())
    services.store.models.add(model)
    return model


def add_comparison(
    services: Services,
    models: Sequence[Model],
    texts: Sequence[Sequence[str]],
    queries: Sequence[str] = (),
    metadata: Mapping[str, Sequence[str]] | None = None,
    **rules: object,
) -> str:
    """Open a comparison of models whose completions for query n are ``texts[n]``; return the set's id.

    ``metadata`` has a value for each query by name; ``rules`` are further settings of the comparison.
    """
    asked = list(queries) or [f"Query number {n}?" for n in range(len(texts))]
    told = [{name: values[n] for name, values in (metadata or {}).items()} for n in range(len(asked))]
    list_id = services.store.queries.add_set(
        "Asked twice", [(text, Split.TEST, given) for text, given in zip(asked, told, strict=True)]
    )
    settings = ComparisonSettings(tuple(model.id for model in models), **rules)
    set_id = services.store.comparisons.add_set("both by name", settings, list_id)
    items: list[Comparison] = []
    for position, query in enumerate(services.store.queries.in_set(list_id)):
        context = Context("c1", "d1", "manual.md", "The passage that both models were given.", 0, 40, 1.5)
        retrieval = services.store.queries.add_retrievals("by hand", {query.id: [context]})[query.id]
        answers = []
        for model, text in zip(models, texts[position], strict=True):
            answers.append(completion_of(Answer(text), None, model.id, query.id, retrieval.id))
            services.store.runs.add_completion(answers[-1])
        size = len(answers) if settings.form is VoteForm.RANKING else 2
        items += [comparison(set_id, len(items), retrieval, some) for some in combinations(answers, size)]
    services.store.comparisons.open_set(set_id, items, {"pairs": len(items)})
    return set_id


def respond(
    store: Store,
    record_id: str,
    annotator_id: str,
    status: ResponseStatus,
    values: Mapping[str, object],
    seconds: float = 0.0,
) -> Response:
    """Store a person's response, as many of them as there are people."""
    given = Given(values, {}, seconds=seconds)
    if status is ResponseStatus.DRAFT:
        return store.responses.save_draft(record_id, annotator_id, given)
    return store.responses.end(record_id, annotator_id, status, given, Distribution(min_submitted=1_000))


def person(services: Services, name: str) -> str:
    """Return the id of a person."""
    member_id = services.store.members.by_token(name)
    services.store.members.rename(member_id, name)
    return member_id


def request_of(letter: str):
    """Return a request from the browser whose cookie is 64 times this letter of 0-9a-f, for calling a handler directly."""
    return SimpleNamespace(cookies={"pairloop_person": letter * 64})
