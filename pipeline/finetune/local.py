"""The trainer ``local``: LoRA on this machine, by a process of its own that survives the app, from and to GGUF files.

A job is a folder of the workspace. The process holds a lock on it, so whether it still runs is known however the app ended;
what it tells lies in files there. A job whose process has gone without a result is over: it is started again from its rows.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import environment
from pipeline.errors import ModelError, TrainingError
from pipeline.finetune.checks import check_rows, row_tokens
from pipeline.finetune.files import trl_lines
from pipeline.finetune.local_script import EVENTS, JOB, LOCK, READY, RESULT, TRAIN_ROWS, TUNED, VALIDATION_ROWS
from pipeline.finetune.rows import Method, TrainingData
from pipeline.finetune.trainers import Elsewhere, Option, Plan, Progress, Settings, Tuned, number
from pipeline.models.gguf_file import GgufFile, fingerprint
from pipeline.models.local import LocalModels, LocalSpec
from pipeline.records import JobState, Model
from pipeline.store.training import TrainingEvent, TrainingJob

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "gguf")
MISSING = (
    "Training on this machine needs more packages (1.4 GB): run pip install -c constraints.txt -e '.[local,train]' in the "
    "folder of Pairloop and start the app again."
)
FOLDER = "training"
_ROOT = Path(__file__).resolve().parents[2]
# Threads that wait without spinning: on cores that are busy with the app too, that is twice as fast.
_TRAIN = (
    "import os, sys; os.environ.setdefault('OMP_WAIT_POLICY', 'passive'); sys.path.insert(0, sys.argv[1]); "
    "from pipeline.finetune.local_script import main; main()"
)
_GONE = (
    "The folder that this model was trained in is gone, as with the disk of a machine that was set up anew. Start it again: "
    "its rows are kept."
)
_CANCELLED = "cancelled"
_START_SECONDS, _END_SECONDS, _PAUSE = 30.0, 1.0, 0.05
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
# Measured with SmolLM2-135M (134.5 million parameters) on two cores; a job that ended here replaces it.
_MEASURED = {Method.SFT: 98 * 134.5e6, Method.DPO: 67 * 134.5e6}
_READY_SECONDS = 60.0
# Python with its packages, and for each parameter the weight, its copy while loading, and what is computed with it.
_MEMORY, _MEMORY_PER_PARAMETER, _MEMORY_OF_PAIRS = 0.8e9, 8.0, 1.25
_OPTIONS = (
    Option("epochs", "Epochs", "number", 1, "How often each row is learnt from.", low=0.1, high=50),
    Option("learning_rate", "Learning rate", "number", 2e-4, low=1e-7, high=1e-2, methods=(Method.SFT,)),
    Option("learning_rate", "Learning rate", "number", 5e-5, low=1e-7, high=1e-2, methods=(Method.DPO,)),
    Option(
        "beta",
        "Beta",
        "number",
        0.1,
        "How closely the tuned model is held to its base; less lets it go further.",
        low=0.001,
        high=5,
        methods=(Method.DPO,),
    ),
    Option("rank", "LoRA rank", "number", 8, "Size of the matrices that learn.", low=1, high=256),
    Option(
        "layers",
        "Layers that learn",
        "choice",
        "attention",
        choices=(("Attention (faster)", "attention"), ("All linear layers", "all")),
    ),
    Option("max_length", "Longest row", "number", 2048, "In tokens; longer rows are left out.", low=64, high=131_072),
    Option(
        "weights",
        "Full weights (optional)",
        "text",
        "",
        "Folder or Hub id of the same model as Hugging Face publishes it. Empty: the weights of the GGUF file are used.",
    ),
)


class LocalTrainer:
    """Trains on this machine. ``command`` is what trains in a folder, which is given to it: our script, if nothing is said.

    ``token`` is that of the Hub, which a job gets where it loads its weights there.
    """

    name = "local"
    title = "On this machine (LoRA)"
    about = (
        "Learns on this machine's processor and makes a new model file. Nothing leaves the machine. Slow without a "
        "graphics card: for models of up to about one billion parameters."
    )
    methods = (Method.SFT, Method.DPO)
    starts_from = "a model file (GGUF) on this machine"
    outlives = True
    poll_seconds = 1.0

    def __init__(self, home: Path, models: LocalModels, command: Sequence[str] = (), token: str = "") -> None:
        self._token = token
        self._folder = home / FOLDER
        self._home = home
        self._models = models
        self._command = command or (sys.executable, "-P", "-c", _TRAIN, str(_ROOT))
        self._needs_packages = not command
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def options(self, base: Model | None) -> Sequence[Option]:
        """Return what can be chosen."""
        return _OPTIONS

    def can_tune(self, base: Model) -> bool:
        """Say whether a model is a file on this machine."""
        return base.provider == "local"

    def plan(self, data: TrainingData, base: Model, settings: Settings) -> Plan:
        """Return what a job would take."""
        checks = check_rows(data.rows)
        tokens = sum(map(row_tokens, data.train))
        epochs = _chosen(settings, data.method, "epochs")
        longest = int(_chosen(settings, data.method, "max_length"))
        too_long = checks.longer_than(longest)
        notes = [f"{too_long} rows are longer than {longest} tokens and are left out."] if too_long else []
        told, unavailable = self._file(base)
        needed = _memory_needed(told, data.method) if told else 0.0
        return Plan(
            needs="A model in a GGUF file, the packages of the extra [train]"
            + (f", and about {needed / 1e9:.1f} GB of memory." if told else "."),
            unavailable=unavailable or self._unavailable(needed, base),
            rows=len(data.train),
            validation_rows=len(data.validation),
            tokens=tokens,
            epochs=epochs,
            price=0.0,
            price_note="Runs on this machine.",
            seconds=self._seconds(told, tokens * epochs, data.method) if told else None,
            notes=tuple(notes),
        )

    async def start(self, job: TrainingJob, data: TrainingData, base: Model) -> str:
        """Write the rows into the job's folder, start the process, and return the folder's name.

        Raises:
            TrainingError: the base's file cannot be used, or the process did not start.
        """
        return await asyncio.to_thread(self._start, job, data, base)

    async def find(self, job: TrainingJob) -> str | None:
        """Return the folder's name of a job that has begun."""
        return await asyncio.to_thread(self._begun, job.id)

    async def poll(self, job: TrainingJob, base: Model) -> Progress:
        """Return what the process told, and how it ended."""
        return await asyncio.to_thread(self._poll, job, base)

    async def cancel(self, job: TrainingJob) -> None:
        """End the process with all that it started, within two seconds."""
        await asyncio.to_thread(self._cancel, job.id)

    def _start(self, job: TrainingJob, data: TrainingData, base: Model) -> str:
        folder = self._folder / job.id
        if self._runs(folder) or (folder / RESULT).exists():
            return job.id
        try:
            gguf = self._models.file(LocalSpec.from_config(base.config))
        except ModelError as error:
            raise TrainingError(str(error)) from error
        settings = {option.name: _chosen(job.settings or {}, data.method, option.name) for option in _of(data.method)}
        weights = str(settings.pop("weights") or "").strip()
        is_folder = bool(weights) and Path(weights).expanduser().is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        told = {
            "method": data.method.value,
            "gguf": str(gguf),
            "weights": str(Path(weights).expanduser()) if is_folder else weights,
            "hub": bool(weights) and not is_folder,
            "settings": settings,
        }
        for name, rows in ((TRAIN_ROWS, data.train), (VALIDATION_ROWS, data.validation)):
            (folder / name).write_bytes(trl_lines(rows, pairs=data.method is Method.DPO))
        (folder / JOB).write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
        key = {"HF_TOKEN": self._token} if told["hub"] and self._token else {}
        self._launch(job.id, folder, {**environment.for_models(online=bool(told["hub"])), **key})
        return job.id

    def _launch(self, job_id: str, folder: Path, given: Mapping[str, str]) -> None:
        with (folder / "log.txt").open("ab") as log:
            child = subprocess.Popen(
                [*self._command, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=given,
            )
        with self._lock:
            self._children[job_id] = child
        end = time.monotonic() + _START_SECONDS
        while not (folder / READY).exists():
            if child.poll() is not None or time.monotonic() > end:
                # One that is only slow must not train on unseen.
                if child.poll() is None:
                    _signal(child.pid, _KILL)
                self._reap(job_id)
                raise TrainingError(f"The training process did not start: {_last_words(folder)}")
            time.sleep(_PAUSE)

    def _begun(self, job_id: str) -> str | None:
        """Wait a moment for a process that was being started when the app was stopped."""
        folder = self._folder / job_id
        end = time.monotonic() + _START_SECONDS
        while (folder / JOB).exists() and not (folder / READY).exists() and time.monotonic() < end:
            time.sleep(_PAUSE)
        return job_id if (folder / READY).exists() else None

    def _poll(self, job: TrainingJob, base: Model) -> Progress:
        folder = self._folder / job.id
        if not folder.is_dir():
            # Only whoever began a job asks for it; so its folder went with a disk, and its process before that.
            return Progress(JobState.INTERRUPTED, (), error=_GONE)
        # In this order: what a process wrote before it ended is not missed.
        runs = self._runs(folder)
        events = _events(folder)
        if runs:
            return Progress(JobState.RUNNING, events)
        self._reap(job.id)
        result = _read(folder / RESULT)
        if result.get("state") == "done":
            return Progress(JobState.DONE, events, self._tuned(folder, base, result["metrics"]))
        if (folder / _CANCELLED).exists():
            return Progress(JobState.CANCELLED, events)
        if result.get("state") == "failed":
            return Progress(JobState.FAILED, events, error=f"Training failed: {result['error']}")
        return Progress(
            JobState.INTERRUPTED,
            events,
            error="The training process was ended from outside: the machine was restarted or ran out of memory. Start it again.",
        )

    def _tuned(self, folder: Path, base: Model, metrics: Mapping[str, object]) -> Tuned:
        file = folder / TUNED
        kept = {name: value for name, value in base.config.items() if name not in ("repo", "file", "revision")}
        config = {
            **kept,
            "path": file.relative_to(self._home).as_posix(),
            "sha256": fingerprint(file),
            "size": file.stat().st_size,
        }
        return Tuned("local", config, metrics)

    def _cancel(self, job_id: str) -> None:
        folder = self._folder / job_id
        if not folder.is_dir():
            raise Elsewhere("This job runs on another machine: cancel it there.")
        (folder / _CANCELLED).touch()
        if not self._runs(folder):
            # Its number may be that of another process by now.
            return
        pid = _read(folder / READY).get("pid")
        end = time.monotonic() + _END_SECONDS
        _signal(pid, signal.SIGTERM)
        while self._runs(folder):
            if time.monotonic() > end:
                _signal(pid, _KILL)
            time.sleep(_PAUSE)
            if time.monotonic() > end + 10 * _END_SECONDS:
                raise TrainingError(f"The training process {pid} does not end: end it by hand.")
        self._reap(job_id)

    def _reap(self, job_id: str) -> None:
        with self._lock:
            child = self._children.pop(job_id, None)
        if child is not None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_END_SECONDS)

    @staticmethod
    def _runs(folder: Path) -> bool:
        """Say whether a process holds the lock of a job."""
        if not (folder / LOCK).exists():
            return False
        try:
            with FileLock(folder / LOCK, timeout=0):
                return False
        except Timeout:
            return True

    def _file(self, base: Model) -> tuple[GgufFile | None, str]:
        """Return what a base's file says, without reading all of it, or why it cannot be used."""
        try:
            return self._models.read(LocalSpec.from_config(base.config)), ""
        except ModelError as error:
            return None, str(error)

    def _unavailable(self, needed: float, base: Model) -> str:
        if self._needs_packages and any(find_spec(name) is None for name in PACKAGES):
            return MISSING
        running = [folder for folder in self._folder.glob("*") if self._runs(folder)]
        if running:
            return "Another model is being trained on this machine: wait for it, or cancel it."
        there = _machine_memory()
        if there and needed > there:
            return (
                f"{base.name} needs about {needed / 1e9:.1f} GB to be trained, and this machine has {there / 1e9:.1f}: "
                "choose a smaller model."
            )
        return ""

    def _seconds(self, file: GgufFile, tokens: float, method: Method) -> float:
        """Return how long a job takes, by what the last one on this machine did."""
        work = _MEASURED[method] * (os.cpu_count() or 2) / 2
        for folder in sorted(self._folder.glob("*"), reverse=True):
            metrics = _read(folder / RESULT).get("metrics")
            if metrics and _read(folder / JOB).get("method") == method.value:
                work = metrics["tokens"] * metrics["parameters"] / max(metrics["train_seconds"], 1.0)
                break
        return _READY_SECONDS + tokens * file.parameters / work


def _of(method: Method) -> list[Option]:
    return [option for option in _OPTIONS if not option.methods or method in option.methods]


def _chosen(settings: Settings, method: Method, name: str) -> object:
    """Return a setting of a job, its default where nothing was chosen.

    Raises:
        TrainingError: it is no number, or out of its bounds.
    """
    option = next(option for option in _of(method) if option.name == name)
    value = settings.get(name)
    if option.kind != "number":
        return value if value not in (None, "") else option.default
    chosen = number(settings, name, option.default)
    if not option.low <= chosen <= option.high:
        raise TrainingError(f"{option.label} must be from {option.low:g} to {option.high:g}.")
    return chosen


def _events(folder: Path) -> list[TrainingEvent]:
    """Return what the process told so far; a line that is being written is left for the next time."""
    try:
        lines = (folder / EVENTS).read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    told = [json.loads(line) for line in lines if line.endswith("\n")]
    return [
        TrainingEvent(item["kind"], item["text"], str(position), item["at"], item["step"], item["value"])
        for position, item in enumerate(told)
    ]


def _read(path: Path) -> dict[str, object]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}


def _last_words(folder: Path) -> str:
    lines = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing."


def _signal(pid: object, which: int) -> None:
    """Tell a process, and all that are in its session, to end."""
    if not isinstance(pid, int):
        return
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(pid, which)
        else:
            os.kill(pid, which)


def _memory_needed(file: GgufFile, method: Method) -> float:
    needed = _MEMORY + _MEMORY_PER_PARAMETER * file.parameters
    return needed * _MEMORY_OF_PAIRS if method is Method.DPO else needed


def _machine_memory() -> float | None:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None
