"""Training on a machine of Hugging Face: a TRL script as a Job with the user's token, through huggingface_hub itself.

The rows and the script go into a private dataset repo, a folder for each job, which the job mounts; the adapter that comes out
is pushed to a private model repo. A job is found again by its label, so that a lost answer makes no second one.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING

from pipeline.errors import HubError, TrainingError
from pipeline.finetune.checks import row_tokens
from pipeline.finetune.files import trl_lines
from pipeline.finetune.hub_script import MARK
from pipeline.finetune.rows import Method, TrainingData
from pipeline.finetune.trainers import NotReached, Option, Plan, Progress, Settings, Tuned, number
from pipeline.hub.repo import hub_api, hub_errors
from pipeline.records import JobState, Model
from pipeline.store.training import TrainingEvent, TrainingJob

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

LABEL = "pairloop_job"
REPO = "pairloop-training"
_IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"
_MOUNT, _SCRIPT = "/job", "hub_script.py"
_STATES = {
    "COMPLETED": JobState.DONE,
    "CANCELED": JobState.CANCELLED,
    "ERROR": JobState.FAILED,
    "DELETED": JobState.FAILED,
}
_HUB_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_BILLIONS = re.compile(r"(\d+(?:\.\d+)?)\s*([bm])(?![a-z])", re.IGNORECASE)
_MOST_LINES, _LONGEST_LINE, _LAST_TRIES = 3000, 1000, 4
# Until uv has installed the packages and the weights are there.
_SETUP_SECONDS = 300.0
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine: its price an hour in US dollars (Hub docs, "Jobs pricing", autumn 2026), and a rough speed.

    ``speed`` is tokens a second in LoRA training of a model of one billion parameters: an order of magnitude, no promise.
    """

    name: str
    label: str
    price: float
    speed: float


HARDWARE = (
    Hardware("cpu-upgrade", "8 CPUs, 32 GB", 0.03, 60),
    Hardware("t4-small", "Nvidia T4, 16 GB", 0.40, 1200),
    Hardware("l4x1", "Nvidia L4, 24 GB", 0.80, 3000),
    Hardware("a10g-small", "Nvidia A10G, 24 GB", 1.00, 3500),
    Hardware("a10g-large", "Nvidia A10G, 24 GB, more memory", 1.50, 3500),
    Hardware("l40sx1", "Nvidia L40S, 48 GB", 1.80, 8000),
    Hardware("a100-large", "Nvidia A100, 80 GB", 2.50, 12000),
)
_DEFAULTS = {
    "epochs": 3,
    "learning_rate": 2e-4,
    "rank": 16,
    "batch_size": 2,
    "max_length": 2048,
    "beta": 0.1,
    "hours": 2,
}
_LIMITS = {
    "epochs": (0.1, 50), "learning_rate": (1e-7, 1e-2), "rank": (1, 256), "batch_size": (1, 256), "max_length": (64, 131_072),
    "beta": (0.001, 5), "hours": (0.1, 72),
}  # fmt: skip


class HubJobsTrainer:
    """Runs TRL (SFT or DPO, LoRA) as a Hugging Face Job and follows it."""

    name = "hf_jobs"
    title = "Hugging Face Jobs"
    about = (
        "Trains open weights with TRL and LoRA on a machine of Hugging Face, paid by the minute. The rows go into a private "
        "dataset repo of yours, the adapter comes back as a private model repo."
    )
    methods: Sequence[Method] = (Method.SFT, Method.DPO)
    starts_from = "a chat model at an endpoint"
    outlives = True

    def __init__(
        self,
        endpoint: str,
        token: str,
        base_of: Callable[[str], Model],
        poll_seconds: float = 10.0,
        patience: float = 60.0,
    ) -> None:
        """Speak to the Hub at ``endpoint`` with the user's token; ``base_of`` returns a model by its id."""
        self._endpoint = endpoint
        self._token = token
        self._base_of = base_of
        self.poll_seconds = poll_seconds
        self._patience = patience

    def options(self, base: Model | None) -> Sequence[Option]:
        """Return weights, hardware, time limit and hyperparameters."""
        machines = tuple((f"{item.label}, US$ {item.price:.2f} an hour", item.name) for item in HARDWARE)
        return (
            Option("weights", "Weights on the Hub", "text", weights_of(base), "Hub id of the model that is tuned."),
            Option("hardware", "Hardware", "choice", "a10g-small", choices=machines),
            _option("hours", "Stop after (hours)", "The job is ended then, and its price with it."),
            _option("epochs", "Epochs"),
            _option("learning_rate", "Learning rate"),
            _option("rank", "LoRA rank"),
            _option("batch_size", "Batch size"),
            _option("max_length", "Longest row", "In tokens; what is longer is cut off at its end."),
            _option("beta", "Beta", "How close to its parent.", methods=(Method.DPO,)),
            Option("namespace", "Account or organisation", "text", "", "Empty: the account of HF_TOKEN."),
        )

    def can_tune(self, base: Model) -> bool:
        """Say whether a model is asked at an endpoint: that is where the tuned one is asked too. Its weights are named."""
        return base.provider == "openai" and bool(base.config.get("endpoint"))

    def plan(self, data: TrainingData, base: Model, settings: Settings) -> Plan:
        """Return price and time, as far as they can be told beforehand."""
        why, chosen = "", dict(_DEFAULTS)
        try:
            chosen = _chosen(settings)
            why = self._missing(base, settings)
        except TrainingError as error:
            why = str(error)
        machine = _machine(settings)
        lengths = [row_tokens(row) for row in data.train]
        tokens, billions = sum(lengths), _size(_weights(base, settings))
        seconds = _SETUP_SECONDS + tokens * chosen["epochs"] * billions / machine.speed
        notes = ["The first minutes install packages and fetch the weights; they are paid for too."]
        if cut := sum(length > chosen["max_length"] for length in lengths):
            notes.append(
                f"{cut} rows are longer than {chosen['max_length']:g} tokens: their end, the answer, is cut off."
            )
        if seconds > chosen["hours"] * 3600:
            notes.append("It may not be done before it is stopped: choose more hours, or a faster machine.")
        notes.append(
            "The tuned model is registered at the endpoint of its parent under the adapter's id: serve it there, for example "
            "by vLLM with --enable-lora and --lora-modules, before it is compared."
        )
        return Plan(
            needs="HF_TOKEN with write access and the right to run Jobs, and a positive credit balance.",
            unavailable=why,
            rows=len(data.train),
            validation_rows=len(data.validation),
            tokens=tokens,
            epochs=chosen["epochs"],
            price=seconds / 3600 * machine.price,
            price_note=f"US$ {machine.price:.2f} an hour, at most US$ {chosen['hours'] * machine.price:.2f} until it is stopped",
            seconds=seconds,
            notes=tuple(notes),
        )

    async def start(self, job: TrainingJob, data: TrainingData, base: Model) -> str:
        """Push the rows and create the job."""
        return await asyncio.to_thread(self._start, job, data, base)

    async def find(self, job: TrainingJob) -> str | None:
        """Look for a job by its label."""
        return await asyncio.to_thread(self._look_for, job)

    async def poll(self, job: TrainingJob, base: Model) -> Progress:
        """Read the state and the log, and at the end look for the adapter."""
        return await asyncio.to_thread(self._poll, job, base)

    async def cancel(self, job: TrainingJob) -> None:
        """Ask the Hub to cancel the job."""
        if job.external_id is None:
            raise TrainingError("The job is being created at this moment. Try again in some seconds.")
        await asyncio.to_thread(self._cancel, job)

    @property
    def _api(self) -> HfApi:
        return hub_api(self._endpoint, self._token, self._patience)

    def _missing(self, base: Model, settings: Settings) -> str:
        if not self._token:
            return "Set HF_TOKEN to a token with write access and the right to run Jobs, and start the app again."
        if not _HUB_ID.fullmatch(_weights(base, settings)):
            return "Name the weights that are tuned by their Hub id, for example Qwen/Qwen3-0.6B."
        if any(item.name == settings.get("hardware") for item in HARDWARE) or not settings.get("hardware"):
            return ""
        return "Choose one of the machines."

    def _start(self, job: TrainingJob, data: TrainingData, base: Model) -> str:
        owner = self._prepare(job, data, base)
        for attempt in range(_ATTEMPTS):
            try:
                with hub_errors(self._endpoint, self._token):
                    return f"{owner}/{self._create(job, owner).id}"
            except HubError as error:
                if _unsent(error):
                    time.sleep(0.5 * (attempt + 1))
                elif error.status in (0, 408) or error.status >= 500:
                    # It may have been created all the same, and a second one would be paid for too.
                    raise NotReached(f"{error} Whether the job was created is not known; it is looked for.") from error
                else:
                    raise TrainingError(f"The Hub began no job: {error}") from error
        raise TrainingError(f"{self._endpoint} cannot be reached: no job was created. Start it again.")

    def _prepare(self, job: TrainingJob, data: TrainingData, base: Model) -> str:
        """Put the rows and the script into the private repo; return who owns it, and the job."""
        from huggingface_hub import CommitOperationAdd

        try:
            with hub_errors(self._endpoint, self._token):
                owner = str((job.settings or {}).get("namespace") or "") or self._api.whoami()["name"]
                repo, folder = f"{owner}/{REPO}", f"jobs/{job.id}"
                self._api.create_repo(repo, repo_type="dataset", visibility="private", exist_ok=True)
                files = _files(_job_file(job, data, base, owner), data)
                operations = [CommitOperationAdd(f"{folder}/{name}", content) for name, content in files.items()]
                self._api.create_commit(repo, operations, commit_message=f"Rows of job {job.id}", repo_type="dataset")
        except HubError as error:
            raise TrainingError(f"The Hub began no job: {error}") from error
        return owner

    def _create(self, job: TrainingJob, owner: str) -> JobInfo:
        from huggingface_hub import Volume

        settings, source = job.settings or {}, f"{owner}/{REPO}"
        return self._api.run_job(
            image=_IMAGE,
            command=["uv", "run", f"{_MOUNT}/{_SCRIPT}", _MOUNT],
            secrets={"HF_TOKEN": self._token},
            flavor=_machine(settings).name,
            timeout=int(_chosen(settings)["hours"] * 3600),
            labels={LABEL: job.id, "name": f"pairloop-{job.id[-8:].lower()}"},
            volumes=[Volume(type="dataset", source=source, mount_path=_MOUNT, path=f"jobs/{job.id}", read_only=True)],
            namespace=owner,
        )

    def _look_for(self, job: TrainingJob) -> str | None:
        with self._refusals("could not be asked for the job"):
            owner = str((job.settings or {}).get("namespace") or "") or self._api.whoami()["name"]
            found = next(iter(self._api.list_jobs(labels={LABEL: job.id}, namespace=owner)), None)
        return f"{owner}/{found.id}" if found is not None and (found.labels or {}).get(LABEL) == job.id else None

    def _poll(self, job: TrainingJob, base: Model) -> Progress:
        owner, _, job_id = str(job.external_id).rpartition("/")
        with self._refusals("could not be asked for the job", follows=True):
            found = self._api.inspect_job(job_id=job_id, namespace=owner)
        stage = str(getattr(found.status.stage, "value", found.status.stage))
        state = _STATES.get(stage, JobState.RUNNING)
        events, told = (
            self._log(job_id, owner, 1 if state is JobState.RUNNING else _LAST_TRIES),
            _state_event(stage, found),
        )
        if state is not JobState.DONE:
            return Progress(state, [*events, told], error=_failure(found, events) if state is JobState.FAILED else "")
        adapter = adapter_of(job, base, owner)
        with self._refusals("could not be asked for the adapter", follows=True):
            there = self._api.file_exists(adapter, "adapter_config.json")
        if not there:
            error = f"The job ended without an error, but its adapter is not in {adapter}: see its log."
            return Progress(JobState.FAILED, [*events, told], error=error)
        return Progress(state, [*events, told], _tuned(base, job, adapter, found))

    def _log(self, job_id: str, owner: str, tries: int) -> list[TrainingEvent]:
        """Return what the job has printed so far, each line under its number; a restart reads the same again.

        A log that cannot be read is read at the next poll: the state counts. The client ends it after 5 s without a word.
        """
        lines: list[str] = []
        while not lines and (tries := tries - 1) >= 0:
            with suppress(HubError), hub_errors(self._endpoint, self._token):
                lines = list(self._api.fetch_job_logs(job_id=job_id, namespace=owner, follow=False))
        return [event for n, line in enumerate(lines[:_MOST_LINES]) if (event := _event(n, line)) is not None]

    def _cancel(self, job: TrainingJob) -> None:
        owner, _, job_id = str(job.external_id).rpartition("/")
        with self._refusals("did not cancel the job"):
            self._api.cancel_job(job_id=job_id, namespace=owner)

    @contextmanager
    def _refusals(self, what: str, follows: bool = False):
        """Turn refusals into sentences with the Hub's own words.

        Those that may pass become :class:`NotReached`: when a job is followed (``follows``), a token that expired too.
        """
        try:
            with hub_errors(self._endpoint, self._token):
                yield
        except HubError as error:
            if error.status == 404 and follows:
                raise TrainingError(f"The Hub does not know this job any more: {error}") from error
            if follows and error.status in (401, 403):
                raise NotReached(
                    f"{error} The job may run on there: set HF_TOKEN to a valid token and start the app again; it will be "
                    "followed."
                ) from error
            if error.status in (0, 408, 429) or error.status >= 500:
                raise NotReached(f"{error} The job is asked for again.") from error
            raise TrainingError(f"The Hub {what}: {error}") from error


def _unsent(error: HubError) -> bool:
    """Say whether there was no connection at all, so that nothing was sent."""
    import httpx2

    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)


def weights_of(base: Model | None) -> str:
    """Return the Hub id of a model's weights as far as its configuration tells it."""
    for name in ("weights", "repo", "model_id"):
        value = str((base.config if base is not None else {}).get(name) or "").partition(":")[0]
        if _HUB_ID.fullmatch(value):
            return value
    return ""


def adapter_of(job: TrainingJob, base: Model, owner: str) -> str:
    """Return the model repo that a job's adapter goes to."""
    name = re.sub(r"[^a-z0-9.-]+", "-", base.name.lower()).strip("-.")[:60] or "model"
    return f"{owner}/pairloop-{name}-{job.id[-8:].lower()}"


def _option(name: str, label: str, info: str = "", methods: Sequence[Method] = ()) -> Option:
    low, high = _LIMITS[name]
    return Option(name, label, "number", _DEFAULTS[name], info, low=low, high=high, methods=methods)


def _weights(base: Model, settings: Settings) -> str:
    return str(settings.get("weights") or "").strip() or weights_of(base)


def _chosen(settings: Settings) -> dict[str, float]:
    chosen = {name: number(settings, name, default) for name, default in _DEFAULTS.items()}
    for name, (low, high) in _LIMITS.items():
        if not low <= chosen[name] <= high:
            raise TrainingError(f"{name.replace('_', ' ').capitalize()} must be between {low:g} and {high:g}.")
    return chosen


def _machine(settings: Settings) -> Hardware:
    wanted = settings.get("hardware") or "a10g-small"
    return next((item for item in HARDWARE if item.name == wanted), replace(HARDWARE[3], name=str(wanted)))


def _size(weights: str) -> float:
    """Return about how many billion parameters a model has, by its name; 1 where that says nothing."""
    found = _BILLIONS.search(weights.partition("/")[2])
    return 1.0 if found is None else float(found[1]) / (1000 if found[2].lower() == "m" else 1)


def _job_file(job: TrainingJob, data: TrainingData, base: Model, owner: str) -> Mapping[str, object]:
    settings = job.settings or {}
    whole = ("rank", "batch_size", "max_length")
    chosen = {
        name: int(value) if name in whole else value for name, value in _chosen(settings).items() if name != "hours"
    }
    return {
        **chosen,
        "base": _weights(base, settings),
        "method": data.method.value,
        "adapter": adapter_of(job, base, owner),
        # A second round goes on with the adapter of the first.
        "from_adapter": base.config.get("adapter") if base.config.get("weights") == _weights(base, settings) else None,
    }


def _files(job_file: Mapping[str, object], data: TrainingData) -> dict[str, bytes]:
    pairs = data.method is Method.DPO
    files = {
        "job.json": json.dumps(job_file, indent=1).encode(),
        _SCRIPT: resources.files("pipeline.finetune").joinpath(_SCRIPT).read_bytes(),
        "train.jsonl": trl_lines(data.train, pairs),
    }
    return files | ({"validation.jsonl": trl_lines(data.validation, pairs)} if data.validation else {})


def _event(position: int, line: str) -> TrainingEvent | None:
    key, text = f"line {position}", line.rstrip()
    if not text.startswith(MARK):
        return TrainingEvent("log", text[:_LONGEST_LINE], key) if text else None
    try:
        told = json.loads(text[len(MARK) :])
        if told["kind"] == "loss":
            return TrainingEvent("loss", str(told["text"]), key, step=int(told["step"]), value=float(told["value"]))
        return TrainingEvent("log", str(told["text"])[:_LONGEST_LINE], key)
    except (ValueError, KeyError, TypeError):
        return TrainingEvent("log", text[:_LONGEST_LINE], key)


def _state_event(stage: str, found: JobInfo) -> TrainingEvent:
    said = f": {found.status.message}" if found.status.message else ""
    return TrainingEvent("state", f"{stage.lower()}{said}", f"stage {stage} {said}")


def _failure(found: JobInfo, events: Sequence[TrainingEvent]) -> str:
    """Return the Hub's words for a failed job, or the last line that it printed."""
    lines = [event.text for event in events if event.kind == "log"]
    said = found.status.message or (lines[-1] if lines else "it gave no reason.")
    return f"The job failed on the Hub: {said} Its log is at {found.url}."


def _tuned(base: Model, job: TrainingJob, adapter: str, found: JobInfo) -> Tuned:
    seconds = found.durations.running_secs if found.durations else None
    weights = _weights(base, job.settings or {})
    # What the tuned model costs where it is served is not known.
    served = {**base.config, "input_price": None, "output_price": None}
    config = {**served, "model_id": adapter, "weights": weights, "adapter": adapter}
    return Tuned("openai", config, {"adapter": adapter, "weights": weights, "running_seconds": seconds})
