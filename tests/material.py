"""A small manual and queries about it, and the first steps of the loop over them, for tests that begin later in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pipeline.records import JobState, Run, Split
from pipeline.services import Services
from pipeline.store.datasets import Dataset
from tests import stores
from tests.workspace import open_workspace

MANUAL = """# Harbour manual

## Office hours

The harbour office opens at seven in the morning. It closes at six in the evening, and stays shut on Sundays.

## Mooring

Every boat pays a mooring fee of twelve euros a night. Boats under five metres moor free of charge at the east pier.

## Fuel

Diesel is sold at the north pier only. The pump takes cards, and it never takes coins.

## Storms

A red lantern on the tower warns of a storm. Nobody may leave the basin while the red lantern is lit.

## Showers

Showers are behind the chandlery. A token for the shower costs two euros at the chandlery.
"""
TRAIN = (
    "When does the harbour office open?",
    "How much is the mooring fee a night?",
    "Where is diesel sold?",
    "What does a red lantern on the tower warn of?",
    "What does a token for the shower cost?",
)
TEST = ("Which boats moor free of charge?", "Does the pump take coins?", "Where are the showers?")


def add_manual(services: Services, folder: Path, text: str = MANUAL, name: str = "harbour.md") -> str:
    """Take in a document and return its id."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    added = services.library.add_file(path, name)
    assert added.chunks > 0
    return services.library.summaries()[-1].id


def add_queries(services: Services, train=TRAIN, test=TEST, name: str = "Harbour") -> str:
    """Add a list of train and then test queries; return its id."""
    items = [(text, Split.TRAIN, {}) for text in train] + [(text, Split.TEST, {}) for text in test]
    return services.store.queries.add_set(name, items)


def finished(services: Services, run_id: str, seconds: float = 60) -> Run:
    """Wait until a run has ended and return it."""
    deadline = time.monotonic() + seconds
    while (run := services.store.runs.get(run_id)).state is JobState.RUNNING:
        assert time.monotonic() < deadline, f"the run still goes on after {seconds} s: {run}"
        time.sleep(0.01)
    return run


def trained(services: Services, job_id: str, seconds: float = 60):
    """Wait until a training job has ended and return it."""
    deadline = time.monotonic() + seconds
    while (job := next(job for job in services.tuner.jobs() if job.id == job_id)).state is JobState.RUNNING:
        assert time.monotonic() < deadline, f"the job still goes on after {seconds} s: {job}"
        time.sleep(0.01)
    return job


def reviewable(services: Services, folder: Path) -> Dataset:
    """Take in the manual, answer its queries with the embedded model and make a dataset of the train queries."""
    add_manual(services, folder)
    run_id = services.generation.start_run(services.registry.all()[0].id, add_queries(services))
    assert finished(services, run_id).state is JobState.DONE
    return services.datasets.create_of_run(run_id, "answer-review")


def prepare(folder: Path) -> Path:
    """Make a workspace with the dataset of :func:`reviewable` and return its folder: a copy opens faster than a new one."""
    services = open_workspace(folder / "prepared")
    reviewable(services, folder)
    services.close()
    return folder / "prepared"


def open_copy(prepared: Path, folder: Path, **settings: object) -> Services:
    """Open a copy of a prepared workspace in ``folder``, which does not exist yet."""
    stores.copy(prepared, folder)
    return open_workspace(folder, **settings)


class Home:
    """A workspace that can be closed and opened again, as a stop and a start of the app do."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self._settings = settings
        self.services = open_workspace(folder, **settings)

    def restart(self, meanwhile: Callable[[Path], None] = lambda folder: None, **settings: object) -> Services:
        """Close the workspace, let ``meanwhile`` do something to its folder, and open it with these settings."""
        self.services.close()
        meanwhile(self.folder)
        self.services = open_workspace(self.folder, **{**self._settings, **settings})
        return self.services
