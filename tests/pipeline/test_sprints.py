"""Sprints: what counts, how fast it goes, who sees what, and when they end."""

import math
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from pipeline.annotation.settings import DatasetSettings, Distribution, Field, Question, QuestionKind
from pipeline.dump import DumpResponse
from pipeline.errors import NotFoundError, RecordError
from pipeline.kept import Kept
from pipeline.record_files import pairloop
from pipeline.records import Outcome, ResponseStatus
from pipeline.sprints import LONGEST, SHORTEST, SprintDesk, rate, window_of
from pipeline.store.datasets import NewRecord
from pipeline.store.schema import responses, sprints
from pipeline.store.sprints import Plan
from tests.workspace import add_comparison, add_model, open_workspace, person

SETTINGS = DatasetSettings((Field("text"),), (Question("answer", QuestionKind.TEXT),), distribution=Distribution(3))
HOUR = 3600.0
EVERY_TIME = Kept(slow=math.inf)


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    services = open_workspace(tmp_path_factory.mktemp("sprints") / "home")
    # A hundred people who look at a sprint share a count for a second; here every look counts.
    services = replace(
        services, sprints=SprintDesk(services.store, services.comparisons, services.activity, EVERY_TIME)
    )
    people = [person(services, name) for name in ("Ada", "Bo", "<b>Cy</b>")]
    models = add_model(services, "Secret-one"), add_model(services, "Secret-two")
    yield services, people, models
    services.close()


@pytest.fixture
def dataset(team):
    """A dataset of twelve records of its own for each test."""
    services, *_ = team
    found = services.datasets.create("Support", SETTINGS)
    services.datasets.add_records(found.id, [NewRecord({"text": f"Text {n}"}) for n in range(12)])
    return found.id


def plan(dataset_id=None, set_id=None, start=0.0, hours=1.0, goal=6, board=True, name="Friday") -> Plan:
    now = time.time()
    return Plan(name, dataset_id, set_id, goal, board, now + start, now + start + hours * HOUR)


def view(services, sprint, reader):
    return next(item for item in services.sprints.all(reader) if item.sprint.id == sprint.id)


def submit(services, dataset_id, who, *numbers, text="yes"):
    ids = services.store.datasets.record_ids(dataset_id)
    for number in numbers:
        services.annotation.submit(ids[number], who, {"answer": text})


def move(services, dataset_id, by: float):
    """Let everything submitted to a dataset have happened earlier."""
    ids = services.store.datasets.record_ids(dataset_id)
    with services.store.database.write() as connection:
        earlier = update(responses).where(responses.c.record_id.in_(ids))
        connection.execute(earlier.values(updated_at=responses.c.updated_at - by))


def test_what_is_first_submitted_in_its_time_counts_once(team, dataset):
    services, (ada, bo, cy), _ = team
    submit(services, dataset, ada, 0, 1)
    move(services, dataset, 2 * HOUR)
    sprint = services.sprints.start(ada, plan(dataset, start=-60))
    submit(services, dataset, ada, 2, 3, 4)
    submit(services, dataset, bo, 2)
    # Once more, with another answer: neither what is older nor what counts already counts again.
    submit(services, dataset, ada, 0, 2, text="no")
    ids = services.store.datasets.record_ids(dataset)
    services.annotation.save_draft(ids[7], bo, {"answer": "hm"})
    services.annotation.discard(ids[8], bo, {})
    services.annotation.take_back(ids[4], ada)
    found = view(services, sprint, ada)
    assert (found.done, found.mine, found.people, found.state, found.unit) == (3, 2, 2, "running", "answer")
    services.annotation.submit(ids[4], ada, {"answer": "yes"})
    assert view(services, sprint, ada).done == 4
    assert [(s.place, s.name, s.count, s.mine) for s in view(services, sprint, bo).board] == [
        (1, "Ada", 3, False), (2, "Bo", 1, True),
    ]  # fmt: skip


def test_what_came_with_a_file_of_records_is_nobodys_work_here(team, dataset):
    services, (ada, *_), _ = team
    sprint = services.sprints.start(ada, plan(dataset, start=-60))
    before = services.store.work.worked(time.time() - 60, dataset)
    moment = time.time()
    given = DumpResponse("Ada", ResponseStatus.SUBMITTED, {"answer": "yes"}, moment, moment)
    services.store.exchange.add(dataset, [(NewRecord({"text": "From a file"}), [given])], {"Ada": ada})
    assert view(services, sprint, ada).done == 0
    assert services.store.work.worked(moment - 60, dataset) == before == {}
    # Nor is what comes with a file of Pairloop's own, though it says under which guidelines it was given, and when: tomorrow.
    late = replace(given, updated_at=moment + 86_400, guidelines_version=1, prefilled=False)
    dump = services.records.dump(dataset)
    whole = replace(dump, records=tuple(replace(record, responses=(late,)) for record in dump.records[:1]))
    made = services.records.make_dataset(services.records.read_dump(pairloop.write(whole), "x.jsonl")).id
    other = services.sprints.start(ada, plan(made, hours=72))
    assert view(services, other, ada).done == 0 and services.store.work.new_answers(made, moment, moment + 60) != {}
    # What she changes of it here is.
    submit(services, dataset, ada, 12, text="no")
    assert services.store.work.worked(moment - 60, dataset)[ada].answers == 1


def test_standing_votes_of_its_time_count(team):
    services, (ada, bo, _), models = team
    set_id = add_comparison(services, models, [(f"One {n}.", f"Two {n}.") for n in range(5)] + [("Same.", "Same.")])
    early = services.comparisons.next_pair(set_id, bo)
    services.comparisons.vote(early.comparison_id, bo, Outcome.TIE)
    sprint = services.sprints.start(ada, plan(set_id=set_id))
    for who in (ada, ada, bo, bo):
        services.comparisons.vote(services.comparisons.next_pair(set_id, who).comparison_id, who, Outcome.TIE)
    services.comparisons.undo(set_id, bo)
    found = view(services, sprint, bo)
    assert (found.done, found.mine, found.unit) == (3, 1, "vote")
    assert "Secret" not in str(found) and found.about.startswith("Comparison ")


def test_without_a_leaderboard_nobody_is_told_what_others_did(team, dataset):
    services, (ada, bo, _), _ = team
    sprint = services.sprints.start(ada, plan(dataset, board=False))
    submit(services, dataset, ada, 0, 1)
    found = view(services, sprint, bo)
    assert found.board == () and (found.done, found.mine) == (2, 0) and "Ada" not in str(found)
    services.sprints.set_leaderboard(ada, sprint.id, True)
    assert [s.name for s in view(services, sprint, bo).board] == ["Ada"]


def test_it_is_planned_runs_and_is_ended_early_or_by_time(team, dataset):
    services, (ada, *_), _ = team
    sprint = services.sprints.start(ada, plan(dataset, start=600))
    found = view(services, sprint, ada)
    assert found.state == "planned" and 590 < found.left <= 600
    submit(services, dataset, ada, 0)
    assert view(services, sprint, ada).done == 0
    services.sprints.end(ada, sprint.id)
    assert view(services, sprint, ada).state == "ended"
    with pytest.raises(RecordError, match="ended already"):
        services.sprints.end(ada, sprint.id)
    running = services.sprints.start(ada, plan(dataset, start=-60))
    submit(services, dataset, ada, 1)
    services.sprints.end(ada, running.id)
    submit(services, dataset, ada, 2)
    # What was given before its end stands, what came after is not its own.
    assert (view(services, running, ada).done, view(services, running, ada).state) == (2, "ended")
    with services.store.database.write() as connection:
        over = update(sprints).where(sprints.c.id == running.id)
        connection.execute(over.values(ended_at=None, ends_at=time.time() - 0.01))
    assert view(services, running, ada).state == "ended"


def test_it_stands_where_people_work_until_a_day_after_its_end(team, dataset):
    services, (ada, *_), _ = team
    sprint = services.sprints.start(ada, plan(dataset))
    assert sprint.id in {item.sprint.id for item in services.sprints.current(ada)}
    for hours, there in ((23, True), (25, False)):
        with services.store.database.write() as connection:
            end = time.time() - hours * HOUR
            connection.execute(update(sprints).where(sprints.c.id == sprint.id).values(starts_at=end - 60, ends_at=end))
        assert (sprint.id in {item.sprint.id for item in services.sprints.current(ada)}) is there


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "  "}, "name of 1 to"),
        ({"goal": 0}, "A goal is"),
        ({"goal": 2.5}, "A goal is"),
        ({"hours": 0.001}, "from one minute"),
        ({"start": -8000.0, "hours": 1}, "ends later than now"),
        ({"set_id": "x"}, "one dataset or one comparison"),
        ({"dataset_id": None}, "one dataset or one comparison"),
    ],
)
def test_what_cannot_be_is_refused_in_words(team, dataset, change, said):
    services, (ada, *_), _ = team
    with pytest.raises(RecordError, match=said):
        services.sprints.start(ada, plan(**{"dataset_id": dataset, **change}))


def test_it_is_about_something_that_is_there_and_open(team, dataset):
    services, (ada, *_), _ = team
    with pytest.raises(NotFoundError):
        services.sprints.start(ada, plan("nowhere"))
    draft = services.store.datasets.add("Not yet", SETTINGS, published=False)
    with pytest.raises(RecordError, match="not published"):
        services.sprints.start(ada, plan(draft))
    services.sprints.start(ada, plan(dataset, name="First"))
    with pytest.raises(RecordError, match="First"):
        services.sprints.start(ada, plan(dataset, start=1800))
    services.sprints.start(ada, plan(dataset, start=2 * HOUR))


def test_what_is_done_to_a_sprint_is_noted(team, dataset):
    services, (ada, *_), _ = team
    sprint = services.sprints.start(ada, plan(dataset, name="Noted"))
    services.sprints.set_leaderboard(ada, sprint.id, False)
    services.sprints.end(ada, sprint.id)
    told = [(line.did, line.subject, line.detail) for line in services.activity.latest(most=3).lines]
    assert told == [
        ("ended the sprint", "Noted", "0 of 6"),
        ("changed the sprint", "Noted", "leaderboard off"),
        ("started the sprint", "Noted", "goal 6"),
    ]


counts, seconds = st.integers(0, 100_000), st.floats(0, 1e7)


@given(st.integers(1, 100_000), counts, counts, seconds, seconds)
def test_rates_are_what_they_say(goal, done, recent, window, left):
    found = rate(goal, done, recent, window, left)
    if found.needed is None:
        assert done >= goal or left < 1
    else:
        # Going on at the rate that is needed reaches the goal at the end, not more and not less.
        assert done + found.needed * left / 3600 == pytest.approx(goal)
    if found.lately is None:
        assert window < 1 and found.expected is None
    else:
        assert found.lately * window / 3600 == pytest.approx(recent)
        assert found.expected >= done
    if found.needed is not None and found.lately is not None:
        gap = found.lately - found.needed
        if abs(gap) > 1e-6 * max(found.lately, found.needed):
            assert (gap > 0) == (found.expected > goal)


@given(st.floats(-1e6, 1e8), st.floats(60, 1e7))
def test_the_pace_of_now_is_that_of_a_time_that_has_passed(elapsed, length):
    found = window_of(elapsed, length)
    assert 0 <= found <= max(elapsed, 0)
    assert found <= LONGEST and (found >= min(elapsed, SHORTEST) or elapsed < 0)
