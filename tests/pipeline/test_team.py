"""The team's numbers, held against a recount of the rows."""

import math
import random
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from pipeline.annotation.settings import DatasetSettings, Distribution, Field, Question, QuestionKind
from pipeline.comparison_settings import RevealPolicy
from pipeline.kept import Kept
from pipeline.records import Outcome, ResponseStatus
from pipeline.store.datasets import NewRecord
from pipeline.store.schema import responses, votes
from pipeline.store.work import STRETCH, Given, Worked
from pipeline.team import HOUR, SPANS, TeamDesk, Wanted, pace, together
from tests.workspace import add_comparison, add_model, open_workspace, person, respond

SETTINGS = DatasetSettings(
    (Field("text"),), (Question("answer", QuestionKind.TEXT),), distribution=Distribution(2, discard_quorum=2)
)
STATUSES = (*ResponseStatus, None)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Four people have worked on two datasets and two comparisons, at random, within the last two weeks."""
    services = open_workspace(tmp_path_factory.mktemp("team") / "home")
    every_time = TeamDesk(services.store, services.comparisons, services.people, Kept(slow=math.inf))
    services = replace(services, team=every_time)
    dice = random.Random(7)
    people = [person(services, name) for name in ("Ada", "Bo", "Cy", "Di")]
    datasets = []
    for number in range(2):
        dataset = services.datasets.create(f"Set {number}", SETTINGS)
        services.datasets.add_records(dataset.id, [NewRecord({"text": f"Text {n}"}) for n in range(12)])
        datasets.append(dataset.id)
        for record_id in services.store.datasets.record_ids(dataset.id):
            for who in people:
                if (status := dice.choice(STATUSES)) is not None:
                    respond(services.store, record_id, who, status, {"answer": "yes"})
    models = add_model(services, "Secret-one"), add_model(services, "Secret-two")
    texts = [(f"One {n}.", f"Two {n}.") for n in range(8)] + [("Same.", "Same.")]
    sets = [add_comparison(services, models, texts, reveal=RevealPolicy.END) for _ in range(2)]
    for set_id in sets:
        for who in people[:3]:
            for _ in range(dice.randrange(8)):
                pair = services.comparisons.next_pair(set_id, who)
                services.comparisons.vote(pair.comparison_id, who, dice.choice(list(Outcome)))
    services.comparisons.undo(sets[0], people[0])
    now = time.time()
    with services.store.database.write() as connection:
        # As all that is given on the screen; what comes with a file is no work here.
        connection.execute(update(responses).values(guidelines_version=1))
        for table, column in ((responses, responses.c.updated_at), (votes, votes.c.created_at)):
            for row_id in connection.scalars(table.select().with_only_columns(table.c.id)).all():
                at = now - dice.choice([0.9 * HOUR, 20 * HOUR, 14 * 24 * HOUR]) * dice.random()
                connection.execute(update(table).where(table.c.id == row_id).values({column.name: at}))
    yield services, people, datasets, sets
    services.close()


def recount(services, dataset_id: str, who: str) -> Given:
    mine = [r.status for r in services.store.responses.of_dataset(dataset_id) if r.annotator_id == who]
    return Given(*(mine.count(s) for s in (ResponseStatus.SUBMITTED, ResponseStatus.DRAFT, ResponseStatus.DISCARDED)))


def test_progress_on_datasets_is_that_of_the_rows(workspace):
    services, people, datasets, _ = workspace
    found = services.team.numbers(people[0])
    assert {d.id for d in found.datasets} == set(datasets)
    for dataset in found.datasets:
        assert {who: recount(services, dataset.id, who) for who in people} == dict(dataset.by_person)
        by_record: dict[str, list[str]] = {i: [] for i in services.store.datasets.record_ids(dataset.id)}
        for response in services.store.responses.of_dataset(dataset.id):
            by_record[response.record_id].append(response.status)
        left = {
            record: 2 - statuses.count("submitted")
            for record, statuses in by_record.items()
            if statuses.count("submitted") < 2 and statuses.count("discarded") < 2
        }
        assert (dataset.left.records, dataset.left.responses) == (len(left), sum(left.values()))


def test_progress_on_comparisons_is_that_of_the_rows(workspace):
    services, people, _, sets = workspace
    found = services.team.numbers(people[0])
    assert {c.id for c in found.comparisons} == set(sets)
    for item in found.comparisons:
        standing = [v for v in services.store.votes.of_set(item.id) if v.annotator_id in people]
        assert dict(item.by_person) == {w: n for w in people if (n := sum(v.annotator_id == w for v in standing))}
        judged = [c.id for c in services.store.comparisons.in_set(item.id) if not c.identical]
        each = [sum(v.comparison_id == comparison for v in standing) for comparison in judged]
        assert (item.pairs.total, item.pairs.votes) == (8, len(standing))
        assert item.pairs.fewest == (min(each), each.count(min(each)))


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("what", ["everything", "dataset", "comparison"])
def test_pace_is_answers_by_stretches_of_five_minutes(workspace, span, what):
    services, people, datasets, sets = workspace
    wanted = Wanted(datasets[0] if what == "dataset" else "", sets[0] if what == "comparison" else "", span)
    found = {one.person.member_id: one for one in services.team.numbers(people[0], wanted).people}
    since = time.time() - SPANS[span]
    times: dict[str, list[float]] = {who: [] for who in people}
    for dataset_id in datasets if what == "everything" else datasets[:1] if what == "dataset" else ():
        for r in services.store.responses.of_dataset(dataset_id):
            if r.status is ResponseStatus.SUBMITTED and r.updated_at >= since:
                times[r.annotator_id].append(r.updated_at)
    for set_id in sets if what == "everything" else sets[:1] if what == "comparison" else ():
        for v in services.store.votes.of_set(set_id):
            if v.annotator_id in times and v.created_at >= since:
                times[v.annotator_id].append(v.created_at)
    for who, moments in times.items():
        stretches = {int(at // 300) for at in moments}
        assert found[who].worked == Worked(len(moments), len(stretches))
        assert pace(found[who].worked) == (pytest.approx(len(moments) / (len(stretches) / 12)) if moments else None)


def test_one_dataset_or_comparison_alone_is_counted_where_it_is_asked_for(workspace):
    services, people, datasets, sets = workspace
    for who in people:
        of = {wanted: next(o for o in services.team.numbers(people[0], wanted).people if o.person.member_id == who)
              for wanted in (Wanted(datasets[1]), Wanted("", sets[1]), Wanted())}  # fmt: skip
        assert of[Wanted(datasets[1])].given == recount(services, datasets[1], who)
        assert of[Wanted(datasets[1])].votes == 0 and of[Wanted("", sets[1])].given == Given()
        assert of[Wanted()].given == together([recount(services, d, who) for d in datasets])
        assert of[Wanted()].votes == sum(v.annotator_id == who for s in sets for v in services.store.votes.of_set(s))


def test_whoever_judges_blind_reads_no_name_of_a_model(workspace):
    services, people, _, sets = workspace
    assert "Secret" not in str(services.team.numbers(people[3]))
    services.comparisons.reveal(sets[0], people[3])
    names = {c.id: c.name for c in services.team.numbers(people[3]).comparisons}
    assert names[sets[0]] == "both by name" and names[sets[1]].startswith("Comparison ")


def test_votes_that_nobody_gave_are_nobodys(workspace):
    services, people, _, _ = workspace
    found = services.team.numbers(people[0])
    assert "automatic" not in {one.person.member_id for one in found.people}
    assert all("automatic" not in item.by_person for item in found.comparisons)


@given(st.integers(1, 10_000), st.integers(1, 500))
def test_a_pace_is_never_more_than_all_answers_at_once_would_make(answers, stretches):
    found = pace(Worked(answers, stretches))
    assert found == pytest.approx(answers / (stretches * STRETCH / 3600))
    assert pace(Worked(0, 0)) is None


def test_a_draft_dataset_is_no_queue(workspace):
    services, people, datasets, _ = workspace
    draft = services.store.datasets.add("Not yet", SETTINGS, published=False)
    assert draft not in {d.id for d in services.team.numbers(people[0]).datasets}
