"""How a comparison comes to be: what it would hold, the answers it needs, and the comparisons that are opened for votes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from pipeline.cleaning import normal
from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm, checked
from pipeline.errors import ComparisonError, PipelineError
from pipeline.generation import Generation, Task
from pipeline.makers import names_its_maker
from pipeline.records import IMPORTED, Completion, JobState, Model, Query, Record, Retrieval, Split, new_id
from pipeline.store import Store
from pipeline.store.comparisons import INTERRUPTED, Comparison, ComparisonSet


@dataclass(frozen=True, slots=True)
class Preview:
    """What a comparison would hold.

    Of ``queries`` come ``pairs`` to judge (rankings, where all answers to a query are ranked together). ``barred`` queries
    are left out: they were read on Edit, ``trained`` of them also trained on by one of the models. ``answered`` of the
    ``answers`` that are needed exist; among those, ``identical`` pairs have the same text, and ``named`` answers name their
    maker.
    """

    queries: int
    pairs: int
    barred: int
    trained: int = 0
    answers: int = 0
    answered: int = 0
    identical: int = 0
    named: int = 0


class Preparation:
    """Makes comparisons."""

    def __init__(self, store: Store, generation: Generation) -> None:
        self._store = store
        self._generation = generation
        self._creating = threading.Lock()

    def preview(self, settings: ComparisonSettings, query_set_id: str) -> Preview:
        """Count what a comparison over the test queries of a list would hold; models are not asked anything."""
        queries, barred = self._usable(settings, query_set_id)
        trained = self._trained_on(settings.model_ids)
        found = self._store.queries.retrievals_of([query.id for query in queries], self._generation.retriever_name())
        ids = [item.id for item in found.values()]
        answers = [self._store.runs.answered(model, ids) for model in settings.model_ids]
        items = [pair for item in found.values() for pair in _comparisons("", 0, item, answers, settings)]
        texts = [completion.text for some in answers for completion in some.values()]
        names = maker_names(self._store.models.all())
        per_query = 1 if settings.form is VoteForm.RANKING else len(list(combinations(settings.model_ids, 2)))
        return Preview(
            queries=len(queries),
            pairs=len(queries) * per_query,
            barred=len(barred),
            trained=sum(normal(query.text) in trained for query in (queries if settings.include_trained else barred)),
            answers=len(queries) * len(settings.model_ids),
            answered=sum(map(len, answers)),
            identical=sum(item.identical for item in items),
            named=sum(names_its_maker(text, names) for text in texts),
        )

    def create(self, settings: ComparisonSettings, query_set_id: str) -> str:
        """Store a comparison and begin to prepare it in the background; return its id.

        Where the same is compared on the same list already, every query was answered, and no document came or went since,
        that comparison's id is returned: a second click is no second comparison.

        Raises:
            ComparisonError: the settings cannot be used, or no test query is left.
        """
        settings = checked(settings)
        _refuse_names_between_pairs(settings)
        self._refuse_imported(settings.model_ids)
        queries, barred = self._usable(settings, query_set_id)
        if not queries:
            raise ComparisonError(_no_queries(len(barred)))
        with self._creating, self._store.database.alone("comparisons"):
            if (twin := self._twin(settings, query_set_id)) is not None:
                return twin.id
            label = f"{self.label(settings.model_ids)}, {self._store.queries.set_name(query_set_id)}"
            set_id = self._store.comparisons.add_set(label[:200], settings, query_set_id)
        self._generation.background(self._prepare(set_id, {query.id for query in queries}, len(barred)))
        return set_id

    def _refuse_imported(self, model_ids: Sequence[str]) -> None:
        for model in map(self._store.models.get, model_ids):
            if model.provider == IMPORTED:
                raise ComparisonError(
                    f"{model.name} came with imported votes: it can answer nothing. Choose another model."
                )

    def label(self, model_ids: Sequence[str]) -> str:
        """Return the names of models as one says them.

        Raises:
            NotFoundError: there is no such model.
        """
        *names, last = [self._store.models.get(model).name for model in model_ids]
        return f"{', '.join(names)} and {last}"

    def lineage(self, model_id: str | None) -> Iterator[Model]:
        """Yield a model, the version that it replaced, its parent, and so on: all that it may have learned from."""
        left, seen = [model_id], set()
        while left:
            one = left.pop(0)
            if one is None or one in seen:
                continue
            seen.add(one)
            model = self._store.models.get(one)
            yield model
            left += [model.replaces_id, model.parent_id]

    def _usable(self, settings: ComparisonSettings, query_set_id: str) -> tuple[list[Query], list[Query]]:
        """Return the test queries that can be judged blind and in fairness, and those that cannot.

        What is reviewed on Edit is read there beside the name of the model that wrote it; what a model was trained on it
        may know by heart.
        """
        queries = self._store.queries.in_set(query_set_id, Split.TEST)
        if settings.include_trained:
            return queries, []
        barred = self._reviewed() | self._trained_on(settings.model_ids)
        usable = [query for query in queries if normal(query.text) not in barred]
        return usable, [query for query in queries if normal(query.text) in barred]

    def _reviewed(self) -> set[str]:
        datasets = self._store.datasets
        return {
            normal(text)
            for dataset in datasets.all()
            for record in datasets.records(dataset.id)
            for text in _texts_shown(record)
        }

    def _trained_on(self, model_ids: Iterable[str]) -> set[str]:
        """Return the texts of the queries that these models or those they came from were trained on."""
        ids = self._store.training.queries_of(self._jobs_of(model_ids))
        return {normal(query.text) for query in self._store.queries.by_ids(list(ids)).values()}

    def _jobs_of(self, model_ids: Iterable[str]) -> list[str]:
        return list({model.job_id for model_id in model_ids for model in self.lineage(model_id) if model.job_id})

    def _overridden(self, model_ids: Iterable[str]) -> int:
        """Count the rows that an owner let into the training of these models although their queries are kept for this."""
        counts = self._store.training.row_counts()
        return sum(counts.get(job, (0, 0))[1] for job in self._jobs_of(model_ids))

    def _twin(self, settings: ComparisonSettings, query_set_id: str) -> ComparisonSet | None:
        wanted = _without_order(settings)
        same = (
            item
            for item in self._store.comparisons.sets()
            if item.query_set_id == query_set_id and _without_order(item.settings) == wanted
        )
        return next((item for item in same if item.state == "preparing" or self._is_current(item)), None)

    def _is_current(self, item: ComparisonSet) -> bool:
        """Say whether a set is open, misses no query, and its contexts are those that would be retrieved today."""
        first = next(iter(self._store.comparisons.in_set(item.id)), None)
        if item.state != "open" or first is None or item.summary.get("failed"):
            return False
        stored = self._store.queries.retrievals_by_id([first.retrieval_id])[first.retrieval_id]
        return stored.retriever == self._generation.retriever_name()

    async def _prepare(self, set_id: str, query_ids: set[str], barred: int) -> None:
        item = self._store.comparisons.set(set_id)
        state, error = "failed", "An unexpected error ended the preparation; the log of the app says which."
        try:
            # Planning retrieves and writes; on the event loop it would hold up everybody's streams.
            tasks = await asyncio.to_thread(self._plan, item, query_ids)
            for model_id in item.model_ids:
                plan = self._generation.plan_run
                run = await asyncio.to_thread(plan, model_id, item.query_set_id, Split.TEST, tasks)
                if await self._generation.execute(run) is JobState.CANCELLED:
                    raise ComparisonError("Its answers were cancelled. Create it again: finished answers are kept.")
            await asyncio.to_thread(self._open, item, tasks, barred)
            error = ""
        except PipelineError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            state, error = "interrupted", INTERRUPTED
            raise
        finally:
            if error:
                self._store.comparisons.fail_set(set_id, state, error)

    def _plan(self, item: ComparisonSet, query_ids: set[str]) -> list[Task]:
        """Return the queries with the contexts that all models get, whatever becomes of the documents meanwhile."""
        barred = {query.id for query in self._store.queries.in_set(item.query_set_id, Split.TEST)} - query_ids
        return self._generation.plan(item.query_set_id, Split.TEST, left_out=barred)

    def _open(self, item: ComparisonSet, tasks: Sequence[Task], barred: int) -> None:
        ids = [task.retrieval.id for task in tasks]
        answers = [self._store.runs.answered(model, ids) for model in item.model_ids]
        items: list[Comparison] = []
        for task in tasks:
            items += _comparisons(item.id, len(items), task.retrieval, answers, item.settings)
        if not items:
            raise ComparisonError("No query was answered by all models: see the errors of their runs on Ask.")
        names = maker_names(self._store.models.all())
        used = {completion for comparison in items for completion in comparison.completion_ids}
        summary = {
            "queries": len({comparison.query_id for comparison in items}),
            "pairs": len(items),
            "identical": sum(comparison.identical for comparison in items),
            "named": sum(
                names_its_maker(answer.text, names) for some in answers for answer in some.values() if answer.id in used
            ),
            "barred": barred,
            "failed": len(tasks) - len({comparison.query_id for comparison in items}),
            "trained": self._trained_among(item) if item.settings.include_trained else 0,
        }
        if overridden := self._overridden(item.model_ids):
            summary["overridden"] = overridden
        self._store.comparisons.open_set(item.id, items, summary)

    def _trained_among(self, item: ComparisonSet) -> int:
        """Count the queries of a set that its models were trained on, or that were read on Edit."""
        barred = self._reviewed() | self._trained_on(item.model_ids)
        return sum(normal(query.text) in barred for query in self._store.queries.in_set(item.query_set_id, Split.TEST))


def comparison(set_id: str, position: int, retrieval: Retrieval, completions: Sequence[Completion]) -> Comparison:
    """Return a new comparison of the answers to one query."""
    one, two, *more = completions
    identical = len({tuple(completion.text.split()) for completion in completions}) == 1
    ids = (one.id, two.id)
    more_ids = tuple(completion.id for completion in more)
    return Comparison(new_id(), set_id, position, retrieval.query_id, retrieval.id, *ids, identical, more_ids)


def maker_names(models: Iterable[Model]) -> frozenset[str]:
    """Return what models may be called in an answer: their names, and the ids that their endpoints give them."""
    # What came with imported votes wrote no answer that is judged here, and may be called like a word.
    own = [model for model in models if model.provider != IMPORTED]
    names = {name for model in own for name in (model.name, str(model.config.get("model_id") or ""))}
    return frozenset(names - {""})


def _comparisons(
    set_id: str,
    position: int,
    retrieval: Retrieval,
    answers: Sequence[Mapping[str, Completion]],
    settings: ComparisonSettings,
) -> list[Comparison]:
    """Return the comparisons of one query that all models have answered, the first of them at ``position``."""
    found = [some[retrieval.id] for some in answers if retrieval.id in some]
    if len(found) < len(answers):
        return []
    groups = [tuple(found)] if settings.form is VoteForm.RANKING else list(combinations(found, 2))
    return [comparison(set_id, position + n, retrieval, group) for n, group in enumerate(groups)]


def _without_order(settings: ComparisonSettings) -> ComparisonSettings:
    return replace(settings, model_ids=tuple(sorted(settings.model_ids)))


def _refuse_names_between_pairs(settings: ComparisonSettings) -> None:
    # The answer that was named after the first pair of a query stands in the next one too.
    if settings.reveal is RevealPolicy.VOTE and settings.form is VoteForm.PAIRS and len(settings.model_ids) > 2:
        raise ComparisonError(
            "With more than two models, names after each vote would tell who wrote an answer of the next pair. "
            "Have all answers put in order, or show the names when somebody opens the results."
        )


def _no_queries(barred: int) -> str:
    if barred:
        return "Every test query of this list is reviewed on Edit, where its answers are read in the open. Bring other queries."
    return "This list has no test queries. Bring a list with a split column, or tick the box that holds a third out."


def _texts_shown(record: Record) -> Iterator[str]:
    """Return the texts of a record that may be queries: texts, and the messages of a chat, but no passages."""
    for value in record.fields.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (item["content"] for item in value if isinstance(item, Mapping) and "content" in item)
