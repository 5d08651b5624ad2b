"""How many records wait for one person, in a small dataset and in a large one, against a count of everything by hand."""

import random

import pytest

from pipeline.annotation.plain import from_plain
from pipeline.records import ResponseStatus
from pipeline.store.datasets import NewRecord
from pipeline.store.done import COUNTED_EACH_TIME, DoneRecords
from tests.workspace import person

SETTINGS = {"fields": [{"name": "query", "type": "text"}], "questions": [{"name": "answer", "type": "text"}]}
DRAFT, SUBMITTED, DISCARDED = ResponseStatus
LARGE = COUNTED_EACH_TIME + 1


class Clock:
    """A clock that stands until it is put forward."""

    now = 0.0

    def __call__(self):
        return self.now


def make(services, size, quorum=None):
    """A dataset whose records want two responses each, or some discards."""
    distribution = {"min_submitted": 2} | ({"discard_quorum": quorum} if quorum else {})
    made = services.datasets.create(f"Of {size}", from_plain({**SETTINGS, "distribution": distribution}))
    services.datasets.add_records(made.id, [NewRecord({"query": f"Query {number}"}) for number in range(size)])
    return services.datasets.get(made.id)


def counted_by_hand(services, dataset, me):
    own, others, distribution = {}, {}, dataset.settings.distribution
    for response in services.store.responses.of_dataset(dataset.id):
        others.setdefault(response.record_id, []).append(response.status)
        if response.annotator_id == me:
            own[response.record_id] = response.status
    done = [
        record_id
        for record_id, statuses in others.items()
        if record_id not in own and distribution.is_done(statuses.count(SUBMITTED), statuses.count(DISCARDED))
    ]
    return {status: list(own.values()).count(status) for status in ResponseStatus}, len(done)


@pytest.mark.parametrize("quorum", [None, 2], ids=["submits", "discards-too"])
@pytest.mark.parametrize("size", [30, LARGE], ids=["small", "large"])
def test_counts_are_those_of_everything_looked_through(services, size, quorum):
    dataset, desk, dice = make(services, size, quorum), services.annotation, random.Random(7)
    # What is done in another dataset is not counted here.
    elsewhere = make(services, 3)
    people = [person(services, name) for name in ("Ada", "Bo", "Cy")]
    for other in services.store.datasets.record_ids(elsewhere.id):
        for me in people[:2]:
            desk.submit(other, me, {"answer": "Elsewhere."})
    for record_id in services.store.datasets.record_ids(dataset.id)[:25]:
        for me in dice.sample(people, 2):
            act = dice.choice([desk.submit, desk.submit, desk.discard, desk.save_draft])
            act(record_id, me, {"answer": "Something."})
    for me in people:
        own, others = counted_by_hand(services, dataset, me)
        progress = desk.progress(dataset.id, me)
        assert (progress.drafts, progress.submitted, progress.discarded) == (own[DRAFT], own[SUBMITTED], own[DISCARDED])
        assert progress.others == others
        assert progress.pending == size - sum(own.values()) - others


def test_of_a_large_dataset_others_are_counted_once_a_second_and_oneself_at_once(services):
    dataset, desk, clock = make(services, LARGE), services.annotation, Clock()
    done = DoneRecords(services.store.database, clock)
    ada, bo, cy = (person(services, name) for name in ("Ada", "Bo", "Cy"))
    first, second = services.store.datasets.record_ids(dataset.id)[:2]

    def counts(me, anew=False):
        own, others = done.counts(dataset.id, me, dataset.settings.distribution, LARGE, anew)
        return own[SUBMITTED], others

    desk.submit(first, bo, {"answer": "By Bo."})
    assert counts(ada) == (0, 0)
    # Her own answer is the last that the record wants: it is hers, and not one of the others'.
    desk.submit(first, ada, {"answer": "By Ada."})
    assert counts(ada) == (1, 0)
    for me in (bo, cy):
        desk.submit(second, me, {"answer": "By another."})
    assert counts(ada) == (1, 0)
    assert counts(ada, anew=True) == (1, 1)
    desk.discard(second, cy, {})
    assert counts(ada) == (1, 1)
    clock.now += 1.0
    assert counts(ada) == (1, 0)
    assert counts(cy) == (0, 1)
