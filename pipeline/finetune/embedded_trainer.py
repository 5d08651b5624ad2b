"""The embedded trainer behind the interface of trainers: learns in seconds, in this process, and costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pipeline.finetune.embedded import FEWEST_EXAMPLES, TrainedWeights, TrainingExample, train
from pipeline.finetune.rows import Method, TrainingData
from pipeline.finetune.trainers import Option, Plan, Progress, Settings, Tuned
from pipeline.models.extractive import ExtractiveWeights
from pipeline.records import JobState, Model
from pipeline.retrieval import LexicalIndex
from pipeline.store.training import TrainingJob


class EmbeddedTrainer:
    """Learns which sentences people keep and how long their answers are; tunes the embedded answerer only."""

    name = "embedded"
    title = "Embedded"
    about = (
        "Learns in seconds, on this machine, which sentences people keep and how long their answers are, and registers a new "
        "model. It tunes the embedded answerer."
    )
    methods: Sequence[Method] = (Method.SFT,)
    starts_from = "the embedded model"
    outlives = False
    poll_seconds = 0.1

    def __init__(self, index: LexicalIndex) -> None:
        self._index = index
        # A job ends with the process, so what it was given may stay in memory.
        self._given: dict[str, TrainingData] = {}

    def options(self, base: Model | None) -> Sequence[Option]:
        """There is nothing to choose."""
        return ()

    def can_tune(self, base: Model) -> bool:
        """Say whether a model is an embedded answerer."""
        return base.provider == "extractive"

    def plan(self, data: TrainingData, base: Model, settings: Settings) -> Plan:
        """Return what a job takes: some milliseconds a row."""
        few = len(data.train) < FEWEST_EXAMPLES
        return Plan(
            needs="Nothing: no key, no network, no further package.",
            unavailable=""
            if data.train
            else "No answer to a train query was submitted yet. Review some records on Edit first.",
            rows=len(data.train),
            price=0.0,
            seconds=1 + len(data.train) / 200,
            notes=(f"It takes at least {FEWEST_EXAMPLES} rows to learn from.",) if few and data.train else (),
        )

    async def start(self, job: TrainingJob, data: TrainingData, base: Model) -> str:
        """Keep what the job was given."""
        self._given[job.id] = data
        return f"embedded:{job.id}"

    async def find(self, job: TrainingJob) -> str | None:
        """A job that has not begun never will."""
        return None

    async def poll(self, job: TrainingJob, base: Model) -> Progress:
        """Train."""
        return await asyncio.to_thread(self._train, self._given.pop(job.id), base)

    async def cancel(self, job: TrainingJob) -> None:
        """Let it end: it takes seconds."""

    def _train(self, data: TrainingData, base: Model) -> Progress:
        examples = [TrainingExample(row.query, row.contexts, row.answer) for row in data.train]
        weights = ExtractiveWeights.from_config(base.config)
        trained = train(examples, weights, self._index.terms, self._index.idf)
        tuned = Tuned(base.provider, trained.weights.to_config(), _metrics(trained))
        return Progress(JobState.DONE, tuned=tuned)


def _metrics(trained: TrainedWeights) -> dict[str, object]:
    names = ("kept", "not_kept", "accuracy", "base_accuracy", "refusals", "skipped")
    return {"losses": list(trained.losses), **{name: getattr(trained, name) for name in names}}
