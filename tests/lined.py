"""A workspace whose loop has turned once: reviews and a vote became training rows, and these a tuned model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.annotation.settings import Distribution
from pipeline.records import Model, Outcome, ResponseStatus, new_id
from pipeline.services import Services
from pipeline.store.responses import Given
from pipeline.store.training import TrainingRow
from tests.material import TEST, reviewable
from tests.workspace import add_comparison, add_model, open_workspace

REVIEWED = "It opens at seven. [1]"
BETTER = "Those under five metres, at the east pier. [1]"
REASON = "It names the pier"


@dataclass(frozen=True)
class Lined:
    """What stands at the ends of the walk."""

    base: Model
    other: Model
    tuned: Model
    set_id: str
    vote_id: str
    record_id: str
    job_id: str


def lined(services: Services, folder: Path, member_id: str) -> Lined:
    """Review an answer, judge three pairs of two models, write a better answer, and train on both; the results are closed."""
    dataset = reviewable(services, folder)
    base = services.registry.all()[0]
    other = add_model(services, "quick-one")
    record = services.store.datasets.records(dataset.id)[0]
    values = {"query-rating": 5, "context-rating": 5, dataset.settings.answer_question: REVIEWED}
    given = Given(values, {}, seconds=9.0, prefilled=True, guidelines_version=1)
    distribution = Distribution(min_submitted=3)
    response = services.store.responses.end(record.id, member_id, ResponseStatus.SUBMITTED, given, distribution)
    set_id = add_comparison(services, (base, other), [(f"Base {n}. [1]", f"Quick {n}. [1]") for n in range(3)], TEST)
    vote_id = vote_all(services, set_id, member_id)
    vote = next(vote for vote in services.store.votes.of_set(set_id) if vote.id == vote_id)
    asked = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "Asked"}]
    chat = [*asked, {"role": "assistant", "content": REVIEWED}]
    better = [*asked, {"role": "assistant", "content": BETTER}]
    rows = [
        TrainingRow(response.id, record.query_id, chat),
        TrainingRow(None, vote.query_id, better, vote_id),
        TrainingRow(None, vote.query_id, better, vote_id, "preference", "Base 0. [1]", True),
    ]
    job_id = services.store.training.start("embedded", dataset.id, base.id, rows)
    tuned = Model(new_id(), "tuned-1", base.provider, base.config, base.template, base.id, job_id, time.time())
    services.store.training.finish_with_model(job_id, tuned, {"kept": 3, "not_kept": 2, "losses": [1.0, 0.5]})
    return Lined(base, other, tuned, set_id, vote_id, record.id, job_id)


def vote_all(services: Services, set_id: str, member_id: str) -> str:
    """Prefer the second model on every pair, with a reason and a better answer on the first; return that vote's id."""
    place = {item.id: item.position for item in services.store.comparisons.in_set(set_id)}
    while pair := services.comparisons.next_pair(set_id, member_id):
        outcome = Outcome.MODEL_A if pair.text_a.startswith("Quick") else Outcome.MODEL_B
        first = place[pair.comparison_id] == 0
        told = (REASON, BETTER) if first else ("", "")
        services.comparisons.vote(pair.comparison_id, member_id, outcome, *told, seconds=7)
    return next(vote.id for vote in services.store.votes.of_set(set_id) if vote.correction)


def prepare_lined(folder: Path) -> tuple[Path, Lined]:
    """Make such a workspace of Ada's, whose browser has the cookie of 64 times ``a``; return its folder, and its ends."""
    services = open_workspace(folder / "prepared")
    ada = services.store.members.by_token("a" * 64)
    services.store.members.rename(ada, "Ada")
    found = lined(services, folder, ada)
    services.close()
    return folder / "prepared", found
