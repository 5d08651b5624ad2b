"""Fine-tuning at any endpoint that speaks OpenAI's files and fine_tuning.jobs, through the openai client itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.errors import ModelError, TrainingError
from pipeline.finetune.checks import row_tokens
from pipeline.finetune.files import openai_file
from pipeline.finetune.rows import Method, Row, TrainingData
from pipeline.finetune.trainers import NotReached, Option, Plan, Progress, Settings, Tuned, number
from pipeline.models.clients import client_of
from pipeline.models.endpoint_errors import own_words
from pipeline.models.openai_chat import ChatModel
from pipeline.records import JobState, Model
from pipeline.registry import Registry
from pipeline.store.training import TrainingEvent, TrainingJob

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

# OpenAI takes no new jobs from this day on (2027-01-06), and none before from organisations that had not used it lately.
_CLOSES = 1_799_193_600
CLOSING = (
    "OpenAI itself closes fine-tuning: it takes no new job from 2027-01-06, and none before that from organisations that had "
    "not used it lately. Azure OpenAI offers the same calls, and gateways such as LiteLLM or Portkey pass them on to others. "
    "Together, Fireworks and Mistral take the downloaded file through calls of their own."
)
_OFFICIAL = "api.openai.com"
_FEWEST = 10
_LONGEST = 65_536
# Of organisations with standard access, in US dollars for a million tokens, as OpenAI published them in 2025.
_PRICES = {"gpt-4.1-nano": 1.5, "gpt-4.1-mini": 5.0, "gpt-4.1": 25.0, "gpt-4o-mini": 3.0, "gpt-4o": 25.0}
_ANSWER, _UPLOAD = 60.0, 600.0
_FILE_SECONDS = 60.0
_ATTEMPTS = 2
_WORDS = 500
_STATES = {"succeeded": JobState.DONE, "failed": JobState.FAILED, "cancelled": JobState.CANCELLED}
_LOSSES = (("train_loss", "train"), ("valid_loss", "validation"), ("full_valid_loss", "validation, all rows"))


@dataclass(frozen=True)
class Connection:
    """Where a model is asked, and with which key; ``key_name`` is the environment variable that holds it."""

    base_url: str
    api_key: str = field(repr=False, default="")
    key_name: str = "OPENAI_API_KEY"
    api_version: str = ""

    @property
    def host(self) -> str:
        """The endpoint as people read it, without what may stand before an @ in it."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]


def registered(registry: Registry) -> Callable[[Model], Connection]:
    """Return what tells where a registered model is asked, and with which key: as it is when it answers."""

    def connect(model: Model) -> Connection:
        try:
            asked = registry.answerer(model.id)
        except ModelError as error:
            raise TrainingError(str(error)) from error
        if not isinstance(asked, ChatModel):
            raise TrainingError(f"{model.name} is not a model of an endpoint.")
        return Connection(asked.base_url, asked.api_key, asked.key_name or "OPENAI_API_KEY", asked.api_version)

    return connect


class OpenAITrainer:
    """Uploads the rows and creates a job, supervised or with preference pairs, at the endpoint of a chat model."""

    name = "openai"
    title = "OpenAI-compatible fine-tuning"
    about = (
        "Uploads the training file to the endpoint of a registered chat model and creates a fine-tuning job there. The model "
        "that comes out is registered at the same endpoint."
    )
    methods: Sequence[Method] = (Method.SFT, Method.DPO)
    starts_from = "a chat model at an endpoint"
    outlives = True

    def __init__(
        self,
        connect: Callable[[Model], Connection],
        base_of: Callable[[str], Model],
        *,
        poll_seconds: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Use ``connect`` to learn where a model is asked; ``base_of`` returns a model by its id."""
        self._connect = connect
        self._base_of = base_of
        self.poll_seconds = poll_seconds
        self._clock = clock
        # The events that are stored, so that a poll reads no further back, and those that were handed over last. A restart
        # reads them all again.
        self._told: dict[str, set[str]] = {}
        self._given: dict[str, set[str]] = {}

    def options(self, base: Model | None) -> Sequence[Option]:
        """Return hyperparameters, the suffix and the price."""
        price = _price(str(base.config.get("model_id", ""))) if base is not None else None
        empty = "Empty: the endpoint's."
        return (
            Option("epochs", "Epochs", "number", None, "Empty leaves it to the endpoint.", low=1, high=50),
            Option("learning_rate_multiplier", "Learning rate multiplier", "number", None, empty, low=0.001),
            Option("batch_size", "Batch size", "number", None, empty, low=1, high=256),
            Option("beta", "Beta", "number", None, "How close to its parent.", low=0, high=2, methods=(Method.DPO,)),
            Option("suffix", "Suffix of the model's name", "text", "pairloop", "Up to 18 letters, digits and dashes."),
            Option(
                "price_per_million",
                "US$ for a million training tokens",
                "number",
                price,
                "As your endpoint says.",
                low=0,
            ),
        )

    def can_tune(self, base: Model) -> bool:
        """Say whether a model is a chat model of an endpoint."""
        return base.provider == "openai" and bool(base.config.get("model_id"))

    def plan(self, data: TrainingData, base: Model, settings: Settings) -> Plan:
        """Return tokens, price and what the endpoint wants."""
        connection, why = self._connection_or_reason(base)
        official = connection is not None and connection.host == _OFFICIAL
        rows, epochs = data.rows, number(settings, "epochs") or default_epochs(len(data.train))
        tokens = sum(map(row_tokens, data.train))
        price = number(settings, "price_per_million")
        notes = [CLOSING] if official else []
        if official and self._clock() >= _CLOSES:
            why = why or CLOSING
        if official and len(data.train) < _FEWEST:
            why = why or f"OpenAI takes at least {_FEWEST} rows to train on; there are {len(data.train)}."
        if long := sum(row_tokens(row) > _LONGEST for row in rows):
            notes.append(f"{long} rows have more than {_LONGEST:,} tokens: they may be cut or refused.")
        if connection is not None and not official:
            notes.append("Whether this endpoint offers fine-tuning shows when the job begins; many do not.")
        return Plan(
            needs="A key of the endpoint that may create fine-tuning jobs; the rows are uploaded there.",
            unavailable=why,
            rows=len(data.train),
            validation_rows=len(data.validation),
            tokens=tokens,
            epochs=epochs,
            price=tokens * epochs * price / 1e6 if price is not None else None,
            price_note="" if price is None else f"{tokens:,} tokens × {epochs:g} epochs × US$ {price:g} for a million",
            notes=tuple(notes),
        )

    async def start(self, job: TrainingJob, data: TrainingData, base: Model) -> str:
        """Upload the files and create the job; where its answer is lost, it is looked for and no other is created."""
        from openai import APIConnectionError, APIStatusError

        connection = self._connect(base)
        client = self._client(connection)
        request = _request(job, base, data.method, await self._uploaded(client, connection, job, data))
        for attempt in range(_ATTEMPTS):
            try:
                return (await client.fine_tuning.jobs.create(**request)).id
            except APIStatusError as error:
                if error.status_code < 500:
                    raise TrainingError(_refused(connection, error)) from error
                raise NotReached(f"{_refused(connection, error)} The job is looked for there.") from error
            except APIConnectionError as error:
                if not _unsent(error):
                    said = f"{connection.host} did not answer when the job was created; it is looked for there."
                    raise NotReached(said) from error
            await asyncio.sleep(0.5 * (attempt + 1))
        raise TrainingError(f"{connection.host} cannot be reached: no job was created. Start it again.")

    async def find(self, job: TrainingJob) -> str | None:
        """Look for a job by what was written into it."""
        connection = self._still_known(self._base_of(job.base_model_id))
        return await self._find(self._client(connection), connection, job)

    async def poll(self, job: TrainingJob, base: Model) -> Progress:
        """Read state, events and, at the end, checkpoints."""
        connection = self._still_known(base)
        client = self._client(connection, retries=1)
        async with _asking(connection):
            found = await client.fine_tuning.jobs.retrieve(str(job.external_id))
        state = _STATES.get(found.status, JobState.RUNNING)
        events = [*await self._events(client, job), _state_event(found)]
        if state is JobState.DONE:
            return Progress(state, events, _tuned(base, found, await _checkpoints(client, found.id)))
        return Progress(state, events, error=_failure(connection, found) if state is JobState.FAILED else "")

    async def cancel(self, job: TrainingJob) -> None:
        """Ask the endpoint to cancel the job."""
        from openai import APIConnectionError, APIStatusError

        if job.external_id is None:
            raise TrainingError("The job is being created at this moment. Try again in some seconds.")
        connection = self._connect(self._base_of(job.base_model_id))
        try:
            await self._client(connection, retries=1).fine_tuning.jobs.cancel(job.external_id)
        except APIStatusError as error:
            raise TrainingError(_refused(connection, error)) from error
        except APIConnectionError as error:
            raise TrainingError(f"{connection.host} could not be reached. Try again.") from error

    def _still_known(self, base: Model) -> Connection:
        """Return where a job runs; that the endpoint is not configured any more says nothing about the job."""
        try:
            return self._connect(base)
        except TrainingError as error:
            raise NotReached(f"{error} The job may run on there: it is followed again when that is mended.") from error

    def _connection_or_reason(self, base: Model) -> tuple[Connection | None, str]:
        try:
            return self._connect(base), ""
        except TrainingError as error:
            return None, str(error)

    def _client(self, connection: Connection, retries: int = 0) -> AsyncOpenAI:
        """Return a client; a job that is created twice is paid twice, so what may be repeated says so itself."""
        from openai import Omit

        try:
            client = client_of(connection.base_url, connection.api_key, _ANSWER, connection.api_version)
        except ValueError as error:
            raise TrainingError(f"{error}: correct the address of the model on Settings.") from error
        if not connection.api_key:
            client = client.with_options(default_headers={"Authorization": Omit()})
        return client.with_options(max_retries=retries)

    async def _uploaded(
        self, client: AsyncOpenAI, connection: Connection, job: TrainingJob, data: TrainingData
    ) -> dict[str, str]:
        from openai import APIConnectionError, APIStatusError

        try:
            files = {"training_file": await self._upload(client, job, data.train, data.method, "train")}
            if data.validation:
                held = await self._upload(client, job, data.validation, data.method, "validation")
                files["validation_file"] = held
        except APIStatusError as error:
            raise TrainingError(_refused(connection, error)) from error
        except APIConnectionError as error:
            raise TrainingError(f"{connection.host} could not be reached: nothing was created. Try again.") from error
        return files

    async def _upload(
        self, client: AsyncOpenAI, job: TrainingJob, rows: Sequence[Row], method: Method, what: str
    ) -> str:
        content = await asyncio.to_thread(openai_file, rows, method is Method.DPO)
        safe = client.with_options(max_retries=2, timeout=_UPLOAD)
        made = await safe.files.create(file=(f"pairloop-{job.id}-{what}.jsonl", content), purpose="fine-tune")
        end = time.monotonic() + _FILE_SECONDS
        while made.status not in ("processed", "error") and time.monotonic() < end:
            await asyncio.sleep(min(self.poll_seconds, 1.0))
            made = await safe.files.retrieve(made.id)
        if made.status == "error":
            raise TrainingError(f"The endpoint rejected the {what} file: {made.status_details or 'it gave no reason.'}")
        return made.id

    async def _find(self, client: AsyncOpenAI, connection: Connection, job: TrainingJob) -> str | None:
        mark = suffix_of(job)
        async with _asking(connection):
            seen = 0
            async for found in client.with_options(max_retries=1).fine_tuning.jobs.list(limit=50):
                metadata = found.metadata or {}
                if metadata.get("pairloop_job") == job.id or getattr(found, "user_provided_suffix", None) == mark:
                    return found.id
                seen += 1
                if found.created_at < job.created_at - 86_400 or seen >= 500:
                    return None
        return None

    async def _events(self, client: AsyncOpenAI, job: TrainingJob) -> list[TrainingEvent]:
        """Return the events that were not handed over yet; the endpoint lists the newest first.

        Not every endpoint keeps any, and what cannot be read now is read at the next poll: the state counts.
        """
        from openai import APIConnectionError, APIStatusError

        told, fresh = self._told.setdefault(job.id, set()), []
        # Whoever polls again has stored what it was given before.
        told |= self._given.pop(job.id, set())
        try:
            async for event in client.fine_tuning.jobs.list_events(str(job.external_id), limit=100):
                if event.id in told:
                    break
                fresh.append(event)
        except (APIStatusError, APIConnectionError):
            return []
        self._given[job.id] = {event.id for event in fresh}
        # Their times are whole seconds: those of one second stay in their order.
        numbered = enumerate(reversed(fresh), len(told))
        return [made for n, event in numbered for made in _events_of(event, event.created_at + n * 1e-6)]


def default_epochs(rows: int) -> int:
    """Return the cookbook's default: 3, raised so that rows times epochs reach 100, at most 25."""
    return max(3, min(25, -(-100 // max(rows, 1))))


def suffix_of(job: TrainingJob) -> str:
    """Return the suffix that marks a job's model; its end is the job's own, so that it is found again."""
    wanted = str((job.settings or {}).get("suffix") or "pairloop")
    chosen = "".join(sign for sign in wanted if sign.isalnum() or sign == "-")
    return f"{chosen[:18].strip('-').lower() or 'pairloop'}-{job.id[-12:].lower()}"


def _request(job: TrainingJob, base: Model, method: Method, files: dict[str, str]) -> dict[str, object]:
    settings = job.settings or {}
    chosen = {name: number(settings, name) for name in ("batch_size", "learning_rate_multiplier")}
    chosen["n_epochs"] = number(settings, "epochs")
    if method is Method.DPO:
        chosen["beta"] = number(settings, "beta")
    whole = {"batch_size", "n_epochs"}
    hyperparameters = {name: int(v) if name in whole else v for name, v in chosen.items() if v is not None}
    kind = "dpo" if method is Method.DPO else "supervised"
    return {
        "model": str(base.config["model_id"]),
        **files,
        "method": {"type": kind, kind: {"hyperparameters": hyperparameters}},
        "suffix": suffix_of(job),
        "metadata": {"pairloop_job": job.id},
    }


@asynccontextmanager
async def _asking(connection: Connection):
    """Turn what goes wrong between here and the endpoint into :class:`NotReached`: the job itself may be well."""
    from openai import APIConnectionError, APIStatusError

    try:
        yield
    except APIStatusError as error:
        if error.status_code == 404:
            said = f"{connection.host} does not know this job (404): {_words(connection, error)}"
            raise TrainingError(said) from error
        if error.status_code in (401, 403):
            raise NotReached(
                f"{_refused(connection, error)} The job may run on there: set {connection.key_name} to a valid key and start "
                "the app again; it will be followed."
            ) from error
        raise NotReached(f"{_refused(connection, error)} It is asked again.") from error
    except APIConnectionError as error:
        raise NotReached(f"{connection.host} cannot be reached at this moment; it is asked again.") from error


def _unsent(error: BaseException) -> bool:
    """Say whether there was no connection at all: its causes tell, as the client calls a lost answer a time-out too."""
    from aiohttp import ClientConnectorError

    cause = error.__cause__
    return cause is not None and (isinstance(cause, ConnectionRefusedError | ClientConnectorError) or _unsent(cause))


def _refused(connection: Connection, error) -> str:
    words = _words(connection, error)
    if error.status_code == 404:
        return f"{connection.host} offers no fine-tuning under this address, or not for this model (404): {words}"
    return f"{connection.host} refused ({error.status_code}): {words}"


def _words(connection: Connection, error) -> str:
    return own_words(error.body, connection.api_key, _WORDS)


def _events_of(event: FineTuningJobEvent, at: float) -> list[TrainingEvent]:
    data = event.data if isinstance(event.data, dict) else {}
    losses = [
        TrainingEvent("loss", name, f"{event.id} {name}", at, int(data["step"]), float(data[key]))
        for key, name in _LOSSES
        if isinstance(data.get(key), int | float) and isinstance(data.get("step"), int | float)
    ]
    if losses:
        return losses
    mark = "" if event.level == "info" else f"{event.level}: "
    return [TrainingEvent("log", f"{mark}{event.message}"[:2000], event.id, at)]


def _state_event(found: FineTuningJob) -> TrainingEvent:
    return TrainingEvent("state", str(found.status), f"status {found.status}")


def _failure(connection: Connection, found: FineTuningJob) -> str:
    error = found.error
    said = " ".join(part for part in (error.message, f"({error.code})" if error.code else "") if part) if error else ""
    return f"{connection.host}: {said or 'the job failed, and no reason was given.'}"


async def _checkpoints(client: AsyncOpenAI, job_id: str) -> list[dict[str, object]]:
    from openai import APIConnectionError, APIStatusError

    try:
        page = await client.fine_tuning.jobs.checkpoints.list(job_id, limit=10)
    except (APIStatusError, APIConnectionError):
        # Not every endpoint keeps any.
        return []
    return [{"model_id": item.fine_tuned_model_checkpoint, "step": item.step_number} for item in page.data or ()]


def _tuned(base: Model, found: FineTuningJob, checkpoints: Sequence[dict[str, object]]) -> Tuned:
    if not found.fine_tuned_model:
        raise TrainingError("The endpoint says that the job succeeded, but names no model.")
    metrics = {"trained_tokens": found.trained_tokens, "checkpoints": list(checkpoints)}
    # A tuned model is mostly dearer than its parent: its price is not known.
    config = {**base.config, "input_price": None, "output_price": None, "model_id": found.fine_tuned_model}
    return Tuned(base.provider, {name: value for name, value in config.items() if name in base.config}, metrics)


def _price(model_id: str) -> float | None:
    names = sorted(_PRICES, key=len, reverse=True)
    return next((_PRICES[name] for name in names if model_id.removeprefix("ft:").startswith(name)), None)
