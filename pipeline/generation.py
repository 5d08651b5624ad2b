"""Answers: one query on Ask, or a run over a list. Contexts are retrieved once per query and stored before a model sees them."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from pipeline.background import Background
from pipeline.batch import run_batch
from pipeline.cleaning import clean
from pipeline.errors import ModelError, PipelineError, QueryFileError
from pipeline.library import Library
from pipeline.models import Answerer
from pipeline.prompts import REFUSAL
from pipeline.query_files import MAX_QUERY_CHARACTERS
from pipeline.records import Answer, Completion, JobState, Query, Retrieval, Run, Split
from pipeline.retrieval import Retriever
from pipeline.store import Store
from pipeline.store.runs import NewRun, answer_of, completion_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A query typed on Ask with its contexts, and the completion once it is there."""

    query: Query
    retrieval: Retrieval
    model_name: str
    text: str = ""
    completion: Completion | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One query of a run: its completion, or None while it waits."""

    query: Query
    retrieval: Retrieval | None
    completion: Completion | None


@dataclass(frozen=True, slots=True)
class Task:
    """A query to answer, with the contexts that every model gets."""

    query: Query
    retrieval: Retrieval


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A stored run and the tasks that its model has still to answer."""

    run_id: str
    model_id: str
    waiting: tuple[Task, ...]


class Generation:
    """Asks models. Everything that waits runs on the one event loop of the process."""

    def __init__(
        self,
        store: Store,
        library: Library,
        retriever: Retriever,
        answerer_of: Callable[[str], Answerer],
        background: Background,
        concurrency: int,
    ) -> None:
        self._store = store
        self._library = library
        self._retriever = retriever
        self._answerer_of = answerer_of
        self._background = background
        self._concurrency = concurrency
        self._cancels: dict[str, threading.Event] = {}
        # What runs are asking for at this moment, by model and retrieval; touched on the event loop only.
        self._asking: dict[tuple[str, str], asyncio.Future[Answer]] = {}

    def ask(self, text: str, model_id: str) -> Iterator[Asked]:
        """Answer one query: yields it with its contexts, then with the text as it grows, at last with the completion.

        Raises:
            ModelError: the model gave no answer.
            NotFoundError: there is no such model.
            QueryFileError: the query is empty or too long.
        """
        model = self._store.models.get(model_id)
        query = self._store.queries.add_asked(_checked(text))
        retrieval = self._retrieved([query])[0].retrieval
        asked = Asked(query, retrieval, model.name)
        yield asked
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        future = self._background.submit(self._answer(model_id, Task(query, retrieval), pieces.put))
        future.add_done_callback(lambda _: pieces.put(None))
        try:
            for piece in iter(pieces.get, None):
                yield Asked(query, retrieval, asked.model_name, piece)
        finally:
            # The reader may leave in the middle; a finished future ignores this.
            future.cancel()
        completion = completion_of(future.result(), None, model_id, query.id, retrieval.id)
        self._store.runs.add_completion(completion)
        yield Asked(query, retrieval, asked.model_name, completion.text, completion)

    def add_query(self, query_set_id: str, text: str, split: Split) -> Query:
        """Store one more query in a set, or return the one that was asked there in the same words.

        Raises:
            QueryFileError: the query is empty or too long.
        """
        return self._store.queries.add_to(query_set_id, _checked(text), split)

    def answers(self, query: Query, model_ids: Sequence[str]) -> tuple[Task, list[Completion]]:
        """Have several models answer one query over the same contexts, at the same time; return when all have.

        Raises:
            ModelError: one of them gave no answer; no answer is kept then.
            NotFoundError: there is no such model.
        """
        task = self._retrieved([query])[0]

        async def all_of_them() -> list[Answer]:
            return await asyncio.gather(*(self._answer(model_id, task) for model_id in model_ids))

        given = self._background.submit(all_of_them()).result()
        completions = [
            completion_of(answer, None, model_id, query.id, task.retrieval.id)
            for model_id, answer in zip(model_ids, given, strict=True)
        ]
        for completion in completions:
            self._store.runs.add_completion(completion)
        return task, completions

    def retriever_name(self) -> str:
        """Return the name of the retriever together with the state of the documents."""
        return f"{self._retriever.name} documents={self._library.fingerprint()}"

    def start_run(self, model_id: str, query_set_id: str, split: Split | None = None) -> str:
        """Begin to answer the queries of a list (or of one split) in the background; return the run's id.

        Raises:
            NotFoundError: there is no such model.
            QueryFileError: there is nothing to answer.
        """
        self._store.models.get(model_id)
        planned = self.plan_run(model_id, query_set_id, split, self.plan(query_set_id, split))
        self.background(self.execute(planned))
        return planned.run_id

    def plan(self, query_set_id: str, split: Split | None, left_out: Collection[str] = ()) -> list[Task]:
        """Return the queries of a list with their contexts, without those whose id is in ``left_out``.

        Raises:
            QueryFileError: there is nothing to answer.
        """
        queries = [query for query in self._store.queries.in_set(query_set_id, split) if query.id not in left_out]
        if not queries:
            raise QueryFileError("This list has no queries to answer.")
        return self._retrieved(queries)

    def plan_run(self, model_id: str, query_set_id: str, split: Split | None, tasks: Sequence[Task]) -> PlannedRun:
        """Store a new run over ``tasks`` and return it with those that this model has not answered over their contexts."""
        answered = self._store.runs.answered(model_id, [task.retrieval.id for task in tasks])
        waiting = [task for task in tasks if task.retrieval.id not in answered]
        retriever = tasks[0].retrieval.retriever
        new = NewRun(model_id, query_set_id, split, retriever, len(tasks), len(tasks) - len(waiting))
        run_id = self._store.runs.start(new)
        self._cancels[run_id] = threading.Event()
        return PlannedRun(run_id, model_id, tuple(waiting))

    async def execute(self, planned: PlannedRun) -> JobState:
        """Answer the waiting queries of a run and store how it ended; every answer is stored as soon as it is there."""
        run_id, model_id = planned.run_id, planned.model_id
        cancelled = self._cancels[run_id]

        def keep(task: Task, result: Answer | ModelError) -> None:
            failed = isinstance(result, ModelError)
            answer = Answer(text="") if failed else result
            completion = completion_of(answer, run_id, model_id, task.query.id, task.retrieval.id)
            self._store.runs.add_completion(replace(completion, error=str(result)) if failed else completion)

        state, error = JobState.FAILED, "An unexpected error ended this run; the log of the app says which."
        try:
            state = await run_batch(
                planned.waiting, lambda task: self._answer_once(model_id, task), keep, self._concurrency, cancelled
            )
            error = ""
        except PipelineError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            state, error = JobState.INTERRUPTED, ""
            raise
        finally:
            self._cancels.pop(run_id, None)
            self._store.runs.finish(run_id, state, error)
        return state

    def cancel(self, run_id: str) -> None:
        """Stop a run; what is answered stays. Nothing happens where it has ended."""
        if event := self._cancels.get(run_id):
            event.set()

    def rows(self, run: Run) -> list[Row]:
        """Return a row per query of a run, in the order of the list."""
        queries = self._store.queries.in_set(run.query_set_id, run.split)
        retrievals = self._store.queries.retrievals_of([query.id for query in queries], run.retriever)
        failed = {item.query_id: item for item in self._store.runs.of_run(run.id) if item.error}
        answered = self._store.runs.answered(run.model_id, [item.id for item in retrievals.values()])
        return [_row(query, retrievals.get(query.id), answered, failed) for query in queries]

    def background(self, coroutine) -> Future:
        """Run a coroutine on the event loop of the process; an error that nobody waits for goes to the log."""
        future = self._background.submit(coroutine)
        future.add_done_callback(_log_error)
        return future

    def _retrieved(self, queries: Sequence[Query]) -> list[Task]:
        """Return queries with their contexts, retrieved now where the documents have changed since or never were."""
        while True:
            name = self.retriever_name()
            stored = self._store.queries.retrievals_of([query.id for query in queries], name)
            missing = [query for query in queries if query.id not in stored]
            contexts = {query.id: self._retriever.contexts(query.text) for query in missing}
            # A document that came or went meanwhile would be in some of the contexts and not in others.
            if not missing or self.retriever_name() == name:
                break
        stored.update(self._store.queries.add_retrievals(name, contexts))
        return [Task(query, stored[query.id]) for query in queries]

    async def _answer_once(self, model_id: str, task: Task) -> Answer:
        """Answer a query of a run; what another run is asking for, or has got since this one was planned, is taken over."""
        key = (model_id, task.retrieval.id)
        while (other := self._asking.get(key)) is not None:
            await asyncio.wait({other})
            if not other.cancelled() and other.exception() is None:
                return other.result()
        request = self._asking[key] = asyncio.ensure_future(self._answer_or_reuse(model_id, task))
        try:
            return await request
        finally:
            del self._asking[key]

    async def _answer_or_reuse(self, model_id: str, task: Task) -> Answer:
        ids = [task.retrieval.id]
        stored = (await asyncio.to_thread(self._store.runs.answered, model_id, ids)).get(task.retrieval.id)
        return answer_of(stored) if stored else await self._answer(model_id, task)

    async def _answer(self, model_id: str, task: Task, on_text: Callable[[str], None] | None = None) -> Answer:
        if not task.retrieval.contexts:
            # Without a single context a language model would answer from memory, which is not what it is asked for.
            return Answer(REFUSAL, refused=True)
        return await self._answerer_of(model_id).answer(task.query.text, task.retrieval.contexts, on_text)


def _log_error(future: Future) -> None:
    if not future.cancelled() and (error := future.exception()):
        logging.getLogger(__name__).error("A task in the background failed", exc_info=error)


def _checked(text: str) -> str:
    text = clean(text).strip()
    if not text:
        raise QueryFileError("Type a query first.")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise QueryFileError(f"This query has {len(text):,} characters; {MAX_QUERY_CHARACTERS:,} are the limit.")
    return text


def _row(query, retrieval, answered, failed) -> Row:
    completion = answered.get(retrieval.id) if retrieval else None
    return Row(query, retrieval, completion or failed.get(query.id))
