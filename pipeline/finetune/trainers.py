"""The interface of trainers: what the job runner asks of whoever turns rows into a model.

A trainer keeps nothing in memory that matters: all it knows of a job is the row of the store, whose ``external_id`` leads to
what really runs (a job of a provider, a child process with its folder). So a restart of the app goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol

from pipeline.errors import TrainingError
from pipeline.finetune.rows import Method, TrainingData
from pipeline.records import JobState, Model
from pipeline.store.training import TrainingEvent, TrainingJob

Settings = Mapping[str, object]


class Elsewhere(TrainingError):
    """A job runs on another machine, if it still does: nobody can ask it from here."""


class NotReached(TrainingError):
    """What trains cannot be asked at this moment (network, expired key): it may train on, so it is asked again later."""


@dataclass(frozen=True, slots=True)
class Option:
    """Something to choose before a job begins.

    ``kind`` is "number", "choice" or "text"; an empty number is left to the trainer. ``choices`` are (label, value) pairs;
    ``methods`` names the methods that the option belongs to, none meaning all.
    """

    name: str
    label: str
    kind: str
    default: object = None
    info: str = ""
    choices: Sequence[tuple[str, str]] = ()
    low: float | None = None
    high: float | None = None
    methods: Sequence[Method] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job would take, before it begins.

    ``needs`` says in one sentence what the trainer needs; ``unavailable`` why it cannot begin now, or nothing. ``price`` is
    in US dollars and ``seconds`` the time that it takes, None where nobody can tell; ``price_note`` says how the price comes
    about. ``notes`` are told beside it (a service that closes, rows that will be cut).
    """

    needs: str
    unavailable: str = ""
    rows: int = 0
    validation_rows: int = 0
    tokens: int = 0
    epochs: float | None = None
    price: float | None = None
    price_note: str = ""
    seconds: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tuned:
    """The model that came out: its provider and configuration as the registry keeps them; ``name`` "" lets the runner choose.

    ``metrics`` are stored with the job; ``losses`` among them need not be: they are events.
    """

    provider: str
    config: Mapping[str, object]
    metrics: Mapping[str, object] = field(default_factory=dict)
    name: str = ""
    template: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: its state, what was reported since, the model of a finished one, the error of a failed one.

    An event that was reported before (same ``key``) is stored once, so a trainer may tell everything each time.
    """

    state: JobState
    events: Sequence[TrainingEvent] = ()
    tuned: Tuned | None = None
    error: str = ""


class Trainer(Protocol):
    """One way to tune a model. ``start``, ``find``, ``poll`` and ``cancel`` run on the event loop and must not block it."""

    # The word of the store, never changed; and what people read.
    name: str
    title: str
    about: str
    # The models that it can start from, as in "It starts from …".
    starts_from: str
    methods: Sequence[Method]
    # Whether a job outlives the app: if not, a restart ends it as interrupted.
    outlives: bool
    # Pause between two polls.
    poll_seconds: float

    def options(self, base: Model | None) -> Sequence[Option]:
        """Return what can be chosen, with defaults for this base."""
        ...

    def can_tune(self, base: Model) -> bool:
        """Say whether this trainer could start from a model at all."""
        ...

    def plan(self, data: TrainingData, base: Model, settings: Settings) -> Plan:
        """Return what a job would take. Quick and without network: it is shown whenever a choice changes."""
        ...

    async def start(self, job: TrainingJob, data: TrainingData, base: Model) -> str:
        """Begin and return the external id, which the runner stores before anything else happens.

        ``job.id`` is the idempotency key: a provider that knows it already (an answer was lost) is not given a second job.

        Raises:
            TrainingError: it did not begin; the message has the provider's own words.
        """
        ...

    async def find(self, job: TrainingJob) -> str | None:
        """Return the external id of a job whose start was not answered before the app stopped, or None if there is none."""
        ...

    async def poll(self, job: TrainingJob, base: Model) -> Progress:
        """Return how far the job is. A trainer whose jobs do not outlive the app may train in here.

        Raises:
            NotReached: nobody can tell now; the job is asked for again.
            TrainingError: the job has failed.
        """
        ...

    async def cancel(self, job: TrainingJob) -> None:
        """Ask what trains to stop; the next poll tells whether it did.

        Raises:
            TrainingError: it could not be asked, in the provider's own words.
        """
        ...


def check_options(options: Sequence[Option], settings: Settings, method: Method) -> None:
    """Check the numbers that were chosen against the bounds of their options.

    Raises:
        TrainingError: one is no number, or out of its bounds; the message names it as the form does.
    """
    for option in options:
        if option.kind != "number" or (option.methods and method not in option.methods):
            continue
        try:
            value = number(settings, option.name)
        except TrainingError as error:
            raise TrainingError(f"{option.label} must be a number.") from error
        if value is None:
            continue
        low, high = option.low, option.high
        if not isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            bounds = " ".join(
                [f"from {low:g}" if low is not None else "", f"to {high:g}" if high is not None else ""]
            ).strip()
            raise TrainingError(f"{option.label} must be a number {bounds}".strip() + ".")


def number(settings: Settings, name: str, default: float | None = None) -> float | None:
    """Return a number of the settings, or ``default`` where it was left open.

    Raises:
        TrainingError: it is no number.
    """
    value = settings.get(name)
    if value in (None, "", "auto"):
        return default
    try:
        return float(str(value))
    except ValueError as error:
        raise TrainingError(f"{name.replace('_', ' ').capitalize()} must be a number.") from error
