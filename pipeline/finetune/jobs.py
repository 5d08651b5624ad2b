"""The job runner: stores what trainers report, follows jobs over restarts of the app, registers the models they give."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace

from pipeline.activity import ActivityLog
from pipeline.cleaning import clean
from pipeline.errors import NotFoundError, PipelineError, StoreError, TrainingError
from pipeline.finetune.rows import Row, TrainingData
from pipeline.finetune.trainers import Elsewhere, NotReached, Plan, Progress, Settings, Trainer, Tuned
from pipeline.naming import free_name
from pipeline.records import JobState, Model, id_of
from pipeline.store import Store
from pipeline.store.rows import now
from pipeline.store.training import INTERRUPTED, TrainingEvent, TrainingJob, TrainingRow

log = logging.getLogger(__name__)
_UNEXPECTED = "An unexpected error ended this job; the log of the app says which."
_NOT_BEGUN = (
    "Whether this job began is not known: no answer came when it was created, and its trainer does not list it. Look there "
    "before you start it again."
)
# A job that was created and whose answer was lost may be listed late: it is looked for that long.
_LISTED_SECONDS = 600.0
# What cannot be reached is asked again, less and less often, up to this many seconds apart.
_LONGEST_PAUSE = 60.0
_CANCEL_SECONDS = 30.0
# A job of another machine that was silent for so long can be given up from here.
SILENT_SECONDS = 15 * 60.0
_GIVEN_UP = (
    "Given up here, since nothing was heard of the machine that trained it. Start it again; should that machine still be at "
    "it, its model comes all the same."
)
_LONGEST_NAME = 80
# Its trainer knows better than a replica that saw nothing of a job and took it for interrupted.
_NOT_DONE = (JobState.RUNNING, JobState.INTERRUPTED)


class JobRunner:
    """Runs the jobs of all trainers on the event loop of the process."""

    def __init__(
        self,
        store: Store,
        trainers: Sequence[Trainer],
        background: Callable[[Coroutine[object, object, object]], Future],
        clock: Callable[[], float] = time.monotonic,
        activity: ActivityLog | None = None,
    ) -> None:
        self._store = store
        self._trainers = {trainer.name: trainer for trainer in trainers}
        self._background = background
        self._clock = clock
        self._activity = activity
        # Held from the look at what runs until it is followed, so that nobody follows a job twice.
        self._lock = threading.RLock()
        self._naming = threading.Lock()
        # When each job was last begun to be followed, its task, and what wakes it from its pause.
        self._followed: dict[str, float] = {}
        self._tasks: dict[str, Future] = {}
        self._wake: dict[str, asyncio.Event] = {}
        # How jobs ended where that could not be stored, with what is told of them meanwhile, and the name of their base.
        self._unsaved: dict[str, tuple[JobState, str, str]] = {}

    @property
    def trainers(self) -> list[Trainer]:
        """All trainers, as they are offered."""
        return list(self._trainers.values())

    def trainer(self, name: str) -> Trainer:
        """Return a trainer.

        Raises:
            NotFoundError: there is no such trainer.
        """
        if name not in self._trainers:
            raise NotFoundError("There is no such trainer. Reload the page.")
        return self._trainers[name]

    def start(self, name: str, data: TrainingData, base: Model, settings: Settings, dataset_id: str | None) -> str:
        """Store a job with its rows and what it is said to take, begin it in the background, and return its id.

        Raises:
            TrainingError: there is nothing to train on, or the trainer cannot begin now.
        """
        trainer = self.trainer(name)
        if not data.train:
            raise TrainingError("No answer to a train query was submitted yet. Review some records on Edit first.")
        if not trainer.can_tune(base):
            raise TrainingError(f'The trainer "{trainer.title}" cannot start from {base.name}.')
        plan = trainer.plan(data, base, settings)
        if plan.unavailable:
            raise TrainingError(plan.unavailable)
        chosen = {**settings, "method": data.method.value, **({"override": data.override} if data.override else {})}
        rows = [_stored(row) for row in data.rows]
        with self._lock:
            job_id = self._store.training.start(name, dataset_id, base.id, rows, chosen, _plain(plan))
            self._run(job_id, self._begin(job_id, trainer, data, base))
        return job_id

    def follow_left(self) -> None:
        """Follow the jobs that run on at their trainers and that nobody follows here: after a restart, or a crash of that."""
        with self._lock:
            for job_id, end in list(self._unsaved.items()):
                self._end(job_id, *end)
            # Those that others took for left behind when this replica was away run on here, where their folder is.
            for job in (*self._store.training.running(), *self._store.training.left()):
                trainer = self._trainers.get(job.trainer)
                if trainer is None or not trainer.outlives:
                    continue
                task, since = self._tasks.get(job.id), self._followed.get(job.id)
                rests = since is not None and self._clock() - since < _LONGEST_PAUSE
                if (task is None or task.done()) and not rests:
                    base = self._store.models.get(job.base_model_id)
                    self._run(job.id, self._follow(job.id, trainer, base))

    def cancel(self, job_id: str) -> None:
        """Ask the trainer of a job to stop; the job says itself when it has.

        Raises:
            TrainingError: the job has ended, or the trainer could not be asked; the message has its own words.
        """
        job = self.job(job_id)
        if job.state is not JobState.RUNNING:
            raise TrainingError(f"This job is {job.state} already.")
        trainer = self.trainer(job.trainer)
        try:
            self._background(self._cancel(job, trainer)).result(_CANCEL_SECONDS)
        except Elsewhere:
            if not silent(job, self.events(job_id)):
                raise
            self._store.training.finish(job_id, JobState.INTERRUPTED, error=_GIVEN_UP)
        except TimeoutError as error:
            raise TrainingError(f"{trainer.title} did not answer. Try again.") from error

    def jobs(self) -> list[TrainingJob]:
        """Return all jobs, newest first."""
        return [self._as_ended(job) for job in self._store.training.jobs()]

    def job(self, job_id: str) -> TrainingJob:
        """Return one job."""
        return self._as_ended(self._store.training.job(job_id))

    def events(self, job_id: str) -> list[TrainingEvent]:
        """Return what was reported of a job, oldest first."""
        return self._store.training.events(job_id)

    def _run(self, job_id: str, work: Coroutine[object, object, object]) -> None:
        with self._lock:
            self._followed[job_id] = self._clock()
            self._tasks[job_id] = self._background(work)

    async def _cancel(self, job: TrainingJob, trainer: Trainer) -> None:
        await trainer.cancel(job)
        if job.id in self._wake:
            self._wake[job.id].set()

    async def _begin(self, job_id: str, trainer: Trainer, data: TrainingData, base: Model) -> None:
        job = await asyncio.to_thread(self._store.training.job, job_id)
        error = "" if trainer.outlives else _UNEXPECTED
        try:
            external_id = await trainer.start(job, data, base)
            await asyncio.to_thread(self._store.training.began, job_id, external_id)
            error = ""
        except NotReached as failure:
            # It may have begun all the same: _follow looks for it.
            error = ""
            await self._note(job_id, str(failure))
        except StoreError as failure:
            # It has begun, only its id is not stored: _follow looks for it.
            error = "" if trainer.outlives else str(failure)
        except PipelineError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            if not trainer.outlives:
                self._store.training.finish(job_id, JobState.INTERRUPTED, error=INTERRUPTED)
                error = ""
            raise
        finally:
            if error:
                self._end(job_id, JobState.FAILED, error, base.name)
        if not error:
            await self._follow(job_id, trainer, base)

    async def _follow(self, job_id: str, trainer: Trainer, base: Model) -> None:
        """Poll until the job has ended. A job that outlives the app stays as it is when the app stops."""
        state, error = JobState.FAILED, "" if trainer.outlives else _UNEXPECTED
        self._wake[job_id] = asyncio.Event()
        try:
            progress = await self._ended(job_id, trainer, base)
            if progress is not None:
                await asyncio.to_thread(self._finish, job_id, base, progress)
            error = ""
        except StoreError as failure:
            # What could not be saved says nothing about the job: follow_left takes it up again.
            error = "" if trainer.outlives else str(failure)
            raise
        except PipelineError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            state, error = JobState.INTERRUPTED, "" if trainer.outlives else INTERRUPTED
            raise
        finally:
            self._wake.pop(job_id, None)
            if error:
                self._end(job_id, state, error, base.name)

    def _end(self, job_id: str, state: JobState, error: str, base: str) -> None:
        """Store how a job ended, and note it; where that cannot be stored it is told all the same, and tried again later."""
        try:
            ended = self._store.training.finish(job_id, state, error=error)
        except StoreError:
            if job_id not in self._unsaved:
                log.warning("That job %s ended (%s) could not be stored", job_id, state.value, exc_info=True)
            self._unsaved[job_id] = state, error, base
            return
        self._unsaved.pop(job_id, None)
        # What is interrupted has not come to an end of its own: the app has.
        if ended and state is not JobState.INTERRUPTED:
            self._tell_end(base, state)

    def _as_ended(self, job: TrainingJob) -> TrainingJob:
        state, error, _ = self._unsaved.get(job.id) or (job.state, job.error, "")
        return replace(job, state=state, error=error) if job.state is JobState.RUNNING else job

    async def _ended(self, job_id: str, trainer: Trainer, base: Model) -> Progress | None:
        """Return how a job ended, or None where somebody else followed it to its end."""
        pause, progress = trainer.poll_seconds, None
        while True:
            try:
                # What was told and could not be saved is saved before anything else is asked.
                progress = progress or await self._told(job_id, trainer, base)
                if progress is None:
                    return None
                await asyncio.to_thread(self._store.training.add_events, job_id, progress.events)
            except NotReached as failure:
                await self._note(job_id, str(failure))
                pause = min(pause * 2, _LONGEST_PAUSE)
            except StoreError:
                log.warning("What job %s told could not be saved; it is tried again.", job_id, exc_info=True)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                if progress.state is not JobState.RUNNING:
                    return progress
                pause, progress = trainer.poll_seconds, None
            await self._sleep(job_id, pause)

    async def _told(self, job_id: str, trainer: Trainer, base: Model) -> Progress | None:
        """Ask how far a job is; None where its end is stored already."""
        job = await self._known(job_id, trainer)
        if job.state is JobState.INTERRUPTED and trainer.outlives:
            # Another replica that did not see the process may have said so: where the job runs, it goes on.
            over = await trainer.find(job) is None
            if not over:
                await asyncio.to_thread(self._store.training.go_on, job_id)
        else:
            over = job.state is not JobState.RUNNING
        return None if over else await trainer.poll(job, base)

    async def _known(self, job_id: str, trainer: Trainer) -> TrainingJob:
        """Return a job with its external id, which is looked for where the app was stopped before it came."""
        job = await asyncio.to_thread(self._store.training.job, job_id)
        if job.external_id is None and job.state is JobState.RUNNING:
            external_id = await trainer.find(job)
            if external_id is None:
                if now() - job.created_at < _LISTED_SECONDS:
                    raise NotReached(f"{trainer.title} does not list this job yet; it is looked for again.")
                raise TrainingError(_NOT_BEGUN)
            await asyncio.to_thread(self._store.training.began, job_id, external_id)
            job = await asyncio.to_thread(self._store.training.job, job_id)
        return job

    async def _sleep(self, job_id: str, seconds: float) -> None:
        wake = self._wake[job_id]
        try:
            await asyncio.wait_for(wake.wait(), seconds)
        except TimeoutError:
            return
        wake.clear()

    async def _note(self, job_id: str, text: str) -> None:
        """Store that a trainer cannot be asked: once for as long as it says the same."""
        try:
            states = [event for event in await asyncio.to_thread(self.events, job_id) if event.kind == "state"]
            if not states or states[-1].text != text:
                event = TrainingEvent("state", text, f"note {len(states)}", now())
                await asyncio.to_thread(self._store.training.add_events, job_id, [event])
        except StoreError:
            # A job does not end because of what is said about it.
            log.warning("Of job %s it could not be noted: %s", job_id, text, exc_info=True)

    def _finish(self, job_id: str, base: Model, progress: Progress) -> None:
        if progress.state is not JobState.DONE or progress.tuned is None:
            error = progress.error or ("" if progress.state is JobState.CANCELLED else _UNEXPECTED)
            if self._store.training.finish(job_id, progress.state, _NOT_DONE, error=error):
                self._tell_end(base.name, progress.state)
            return
        tuned = progress.tuned
        # Two jobs that end at the same time must not take the same name.
        with self._naming, self._store.database.alone("models"):
            model = Model(
                # Two replicas that follow one job of a provider register one model.
                id=id_of("tuned", job_id),
                name=self._name(base, tuned),
                provider=tuned.provider,
                config=tuned.config,
                template=tuned.template or base.template,
                parent_id=base.id,
                job_id=job_id,
                created_at=now(),
            )
            ended = self._store.training.finish_with_model(job_id, model, tuned.metrics)
        if ended:
            self._tell_end(model.name, JobState.DONE)

    def _tell_end(self, name: str, state: JobState) -> None:
        if self._activity is None:
            return
        try:
            self._activity.note(None, "job.ended", name, {"state": state.value})
        except StoreError:
            # The end itself is stored, and is not to be taken for a failure because of this.
            log.warning("That a job ended could not be noted (%s, %s)", name, state.value, exc_info=True)

    def _name(self, base: Model, tuned: Tuned) -> str:
        taken = {model.name for model in self._store.models.all()}
        root = re.sub(r"-(base|tuned-\d+)$", "", base.name)[: _LONGEST_NAME - 12]
        if tuned.name:
            return free_name(clean(tuned.name)[:_LONGEST_NAME], taken)
        return free_name(f"{root}-tuned-1", taken, f"{root.replace('{', '').replace('}', '')}-tuned-{{n}}")


def silent(job: TrainingJob, events: Sequence[TrainingEvent]) -> bool:
    """Say whether nothing was heard of a running job for long."""
    heard = max([job.created_at, *(event.at for event in events)])
    return job.state is JobState.RUNNING and now() - heard > SILENT_SECONDS


def _stored(row: Row) -> TrainingRow:
    told = (row.response_id, row.query_id, row.messages, row.vote_id)
    return TrainingRow(*told, kind=row.kind, rejected=row.rejected, overridden=row.overridden)


def _plain(plan: Plan) -> Mapping[str, object]:
    return {**asdict(plan), "notes": list(plan.notes)}
