"""Answers: one query on Ask, or a run over a list. Contexts are retrieved once per query and stored before a model sees them."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from pipeline.background import Background
from pipeline.batch import run_batch
from pipeline.cleaning import clean
from pipeline.errors import ModelError, PipelineError, QueryFileError
from pipeline.library import Library
from pipeline.models import Answerer
from pipeline.models.causes import Failures, grouped
from pipeline.models.waits import Wait, heard_by, latest
from pipeline.prices import price
from pipeline.prompts import REFUSAL
from pipeline.query_files import MAX_QUERY_CHARACTERS
from pipeline.records import Answer, Completion, JobState, Query, Retrieval, Run, Split
from pipeline.retriever import Retriever
from pipeline.run_figures import RunFigures, figures
from pipeline.run_watch import LimitReached, RunStatus, RunWatch, Spending
from pipeline.store import Store
from pipeline.store.runs import NewRun, answer_of, completion_of
from pipeline.turns import Turn, Turns


@dataclass(frozen=True, slots=True)
class Asked:
    """A query typed on Ask with its contexts, and the completion once it is there.

    Until then ``seconds`` have gone by since the model was asked, and ``wait`` says what holds it up, if anything does.
    """

    query: Query
    retrieval: Retrieval
    model_name: str
    text: str = ""
    completion: Completion | None = None
    seconds: float = 0.0
    wait: Wait | None = None


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
        self._turns = Turns(store)
        self._watches: dict[str, RunWatch] = {}
        self._resuming = threading.Lock()
        # Models never change, so what was read of them once holds.
        self._configs: dict[str, Mapping[str, object]] = {}
        # What runs are asking for at this moment, and what they were answered while any of them goes on, by model and
        # retrieval; touched on the event loop only.
        self._asking: dict[tuple[str, str], asyncio.Future[Answer]] = {}
        self._given: dict[tuple[str, str], Answer] = {}
        self._under_way = 0

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
        begun = time.monotonic()
        news: queue.SimpleQueue[str | Wait | None] = queue.SimpleQueue()
        future = self._background.submit(self._answer_aloud(model_id, Task(query, retrieval), news))
        future.add_done_callback(lambda _: news.put(None))
        try:
            for text, wait in latest(news):
                yield Asked(query, retrieval, asked.model_name, text, None, time.monotonic() - begun, wait)
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
        """Return the name of the retriever together with the state of what it searches."""
        return f"{self._retriever.name} documents={self._library.searched()}"

    def start_run(
        self, model_id: str, query_set_id: str, split: Split | None = None, limit: float | None = None
    ) -> str:
        """Begin to answer the queries of a list (or of one split) in the background; return the run's id.

        ``limit`` is what it may spend, in US dollars: it stops before it would spend more, and can be resumed.

        Raises:
            ModelError: a limit is given, and the model has no price.
            NotFoundError: there is no such model.
            QueryFileError: there is nothing to answer.
        """
        self._check_limit(model_id, limit)
        planned = self.plan_run(model_id, query_set_id, split, self.plan(query_set_id, split), limit)
        self.background(self.execute(planned, limit))
        return planned.run_id

    def resume(self, run_id: str, limit: float | None = None, only: Collection[str] | None = None) -> bool:
        """Go on with a run that has ended, over the contexts that it began with: ask for all that has no answer yet.

        With ``only`` these queries alone are asked, by id. Nothing happens, and False is returned, where it is under way or
        nothing is left to ask.

        Raises:
            ModelError: a limit is given, and the model has no price.
            NotFoundError: there is no such run.
        """
        with self._resuming:
            run = self._store.runs.get(run_id)
            self._check_limit(run.model_id, limit)
            waiting = [
                Task(row.query, row.retrieval)
                for row in self.rows(run)
                if row.retrieval and _is_open(row, run) and (only is None or row.query.id in only)
            ]
            if run_id in self._watches or not waiting or not self._store.runs.reopen(run_id, limit, only is not None):
                return False
            self._watches[run_id] = RunWatch()
        self.background(self.execute(PlannedRun(run_id, run.model_id, tuple(waiting)), limit))
        return True

    def take_over(self, replica: str) -> None:
        """Go on with the runs of a replica that is gone, within what each may spend; what has failed is not asked again."""
        for run_id in self._store.runs.left_by(replica):
            run = self._store.runs.get(run_id)
            rows = [row for row in self.rows(run) if row.retrieval and _is_open(row, run)]
            waiting = [Task(row.query, row.retrieval) for row in rows if not (row.completion and row.completion.error)]
            # Only now: what cannot be read at this moment stays the other's, and is taken over at the next look.
            goes_on, limit = self._store.runs.take_over(run_id, replica)
            if goes_on:
                self._watches[run_id] = RunWatch()
                self.background(self.execute(PlannedRun(run_id, run.model_id, tuple(waiting)), limit))

    def plan(self, query_set_id: str, split: Split | None, left_out: Collection[str] = ()) -> list[Task]:
        """Return the queries of a list with their contexts, without those whose id is in ``left_out``.

        Raises:
            QueryFileError: there is nothing to answer.
        """
        queries = [query for query in self._store.queries.in_set(query_set_id, split) if query.id not in left_out]
        if not queries:
            raise QueryFileError("This list has no queries to answer.")
        return self._retrieved(queries)

    def plan_run(
        self, model_id: str, query_set_id: str, split: Split | None, tasks: Sequence[Task], limit: float | None = None
    ) -> PlannedRun:
        """Store a new run over ``tasks`` and return it with those that this model has not answered over their contexts."""
        answered = self._store.runs.answered(model_id, [task.retrieval.id for task in tasks])
        waiting = [task for task in tasks if task.retrieval.id not in answered]
        retriever = tasks[0].retrieval.retriever
        new = NewRun(model_id, query_set_id, split, retriever, len(tasks), len(tasks) - len(waiting))
        run_id = self._store.runs.start(new, limit)
        self._watches[run_id] = RunWatch()
        return PlannedRun(run_id, model_id, tuple(waiting))

    async def execute(self, planned: PlannedRun, limit: float | None = None) -> JobState:
        """Answer the waiting queries of a run and store how it ended; every answer is stored as soon as it is there."""
        run_id, model_id = planned.run_id, planned.model_id
        watch = self._watches[run_id]
        watch.begin(len(planned.waiting), limit)

        def keep(results: Sequence[tuple[Task, Answer | ModelError]]) -> None:
            if not self._store.runs.add_completions([_completed(run_id, model_id, *result) for result in results]):
                watch.cancelled.set()
            turn.stored([task.retrieval.id for task, _ in results])
            watch.count(len(results))

        state, error = JobState.FAILED, "An unexpected error ended this run; the log of the app says which."
        self._under_way += 1
        try:
            async with self._turns.of(model_id, [task.retrieval.id for task in planned.waiting], watch) as turn:
                answer_one = await self._answering(planned, watch, turn)
                state = await run_batch(planned.waiting, answer_one, keep, self._concurrency, watch.cancelled)
            error = ""
        except LimitReached as reached:
            state, error = JobState.CANCELLED, str(reached)
        except PipelineError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            state, error = JobState.INTERRUPTED, ""
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._given.clear()
            try:
                self._store.runs.finish(run_id, state, error)
            finally:  # Where that could not be stored, to cancel it ends it.
                self._watches.pop(run_id, None)
        return state

    async def _answering(self, planned: PlannedRun, watch: RunWatch, turn: Turn) -> Callable[[Task], Awaitable[Answer]]:
        """Return what answers a query of a run; what its model has answered since it was planned is not asked again."""
        spending = await asyncio.to_thread(self._spending, planned.run_id, watch.limit)

        async def answer_one(task: Task) -> Answer:
            if earlier := await turn.earlier(task.retrieval.id):
                return answer_of(earlier)

            async def ask() -> Answer:
                with watch.asking(task.query.id):
                    return await self._answer_once(planned.model_id, task)

            return await spending.pay_for(ask)

        return answer_one

    def _spending(self, run_id: str, limit: float | None) -> Spending:
        """Return what a run may spend, with what it was charged for before it was resumed."""
        if limit is None:
            return Spending(None)
        runs = self._store.runs
        costs = [item.cost for item in runs.spent(run_id) if item.attempts]
        return Spending(limit, costs, [item.cause for item in runs.failed(runs.get(run_id))])

    def cancel(self, run_id: str) -> None:
        """Stop a run; what is answered stays. Nothing happens where it has ended."""
        if watch := self._watches.get(run_id):
            watch.cancelled.set()
        else:
            self._store.runs.end_elsewhere(run_id)

    def status(self, run_id: str) -> RunStatus | None:
        """Return what a run does at this moment, or None where it is not under way in this process."""
        return watch.status() if (watch := self._watches.get(run_id)) else None

    def failures(self, run: Run) -> list[Failures]:
        """Return the queries of a run that failed, by cause."""
        return grouped(self._store.runs.failed(run))

    def figures(self, run: Run, left_out: Collection[str] = ()) -> RunFigures:
        """Return what the answers of a run took, without those to the queries in ``left_out``."""
        return figures(self._store.runs.spent(run.id), left_out)

    def rows(self, run: Run, first: int | None = None) -> list[Row]:
        """Return a row per query of a run, in the order of the list; only the ``first`` ones where that is given."""
        queries = self._store.queries.in_set(run.query_set_id, run.split)[:first]
        retrievals = self._store.queries.retrievals_of([query.id for query in queries], run.retriever)
        failed = {item.query_id: item for item in self._store.runs.failed(run)}
        answered = self._store.runs.answered(run.model_id, [item.id for item in retrievals.values()])
        return [_row(query, retrievals.get(query.id), answered, failed) for query in queries]

    def _check_limit(self, model_id: str, limit: float | None) -> None:
        model = self._store.models.get(model_id)
        if limit is None:
            return
        if not 0 < limit < float("inf"):
            raise ModelError("A spending limit is an amount of US dollars above 0.")
        if price(model.config, 1, 1) is None:
            raise ModelError(
                f"{model.name} has no price, so a spending limit cannot be kept: register it with its price per token, or "
                "clear the limit."
            )

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
            found = self._retriever.contexts([query.text for query in missing]) if missing else []
            contexts = {query.id: given for query, given in zip(missing, found, strict=True)}
            # A document that came or went meanwhile would be in some of the contexts and not in others.
            if not missing or self.retriever_name() == name:
                break
        stored.update(self._store.queries.add_retrievals(name, contexts))
        return [Task(query, stored[query.id]) for query in queries]

    async def _answer_once(self, model_id: str, task: Task) -> Answer:
        """Answer a query of a run; what another run is asking for, or has got since this one began, is taken over."""
        key = (model_id, task.retrieval.id)
        while (other := self._asking.get(key)) is not None:
            await asyncio.wait({other})
        if given := self._given.get(key):
            return replace(given, prompt_tokens=None, completion_tokens=None, cost=None, attempts=0)
        request = self._asking[key] = asyncio.ensure_future(self._answer(model_id, task))
        try:
            answer = self._given[key] = await request
        finally:
            del self._asking[key]
        return answer

    async def _answer_aloud(self, model_id: str, task: Task, news: queue.SimpleQueue[str | Wait | None]) -> Answer:
        with heard_by(lambda wait: news.put(wait or "")):
            return await self._answer(model_id, task, news.put)

    async def _answer(self, model_id: str, task: Task, on_text: Callable[[str], None] | None = None) -> Answer:
        if not task.retrieval.contexts:
            # Without a single context a language model would answer from memory, which is not what it is asked for.
            return Answer(REFUSAL, refused=True, attempts=0)
        answer = await self._answerer_of(model_id).answer(task.query.text, task.retrieval.contexts, on_text)
        if model_id not in self._configs:
            self._configs[model_id] = self._store.models.get(model_id).config
        return replace(answer, cost=price(self._configs[model_id], answer.prompt_tokens, answer.completion_tokens))


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


def _completed(run_id: str, model_id: str, task: Task, result: Answer | ModelError) -> Completion:
    """Return a result as it is stored: the error stands where there is no answer."""
    failed = isinstance(result, ModelError)
    answer = Answer(text="", attempts=result.attempts) if failed else result
    completion = completion_of(answer, run_id, model_id, task.query.id, task.retrieval.id)
    return replace(completion, error=str(result), cause=str(result.cause)) if failed else completion


def _is_open(row: Row, run: Run) -> bool:
    """Say whether a row of a run waits for an answer, its own or one that was given elsewhere since the run began."""
    done = row.completion
    if done is None or done.error:
        return True
    return done.run_id != run.id and done.created_at > run.created_at


def _row(query, retrieval, answered, failed) -> Row:
    completion = answered.get(retrieval.id) if retrieval else None
    return Row(query, retrieval, completion or failed.get(query.id))
