"""Review of a dataset: numbers, the list of disagreements, who may see what, decisions, and the files."""

import csv
import io
import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from pipeline.agreement import Level, krippendorff_alpha
from pipeline.annotation.settings import with_new_guidelines
from pipeline.errors import NotFoundError, RecordError
from pipeline.records import ResponseStatus
from pipeline.store.schema import adjudications
from pipeline.unification import State
from pipeline.unified_files import unified_csv, unified_jsonl
from tests.reviewed import AGREED, CLOSE, OTHERS, QUERIES, SETTINGS, SUGGESTED, add_reviewed, new_records, ranks
from tests.workspace import person, respond


@pytest.fixture
def made(services):
    return add_reviewed(services)


@pytest.fixture
def dataset(made):
    return made[0]


@pytest.fixture
def ids(made):
    return made[1]


@pytest.fixture
def people(made):
    return made[2]


@pytest.fixture
def desk(services):
    return services.review


@pytest.fixture
def dora(services, made):
    """Somebody who has answered nothing."""
    return person(services, "Dora")


def listed(found):
    return [line.number for line in found.lines]


def test_agreement_is_that_of_the_submitted_answers(desk, dataset):
    found = {item.question.name: item for item in desk.report(dataset.id).questions}
    levels = {name: item.alpha.level for name, item in found.items() if item.alpha}
    assert levels == {"quality": Level.ORDINAL, "tone": Level.NOMINAL, "topics": Level.SETS, "order": Level.RANKINGS}
    ratings = [(1, "a", 4), (1, "b", 4), (1, "c", 4), (2, "a", 4), (2, "b", 5), (2, "c", 4)]
    ratings += [(3, "a", 4), (3, "b", 5), (3, "c", 1), (4, "a", 4), (4, "b", 1), (4, "c", 1), (5, "a", 4), (5, "b", 1)]
    expected = krippendorff_alpha(ratings, Level.ORDINAL)
    assert found["quality"].alpha.alpha == pytest.approx(expected.alpha)
    assert (found["quality"].records, found["quality"].unanimous) == (5, 1)
    text = found["answer"]
    assert text.alpha is None and 0 < text.similarity.low < text.similarity.mean < text.similarity.high < 1


def test_what_is_undefined_says_why(services, desk):
    dataset = services.datasets.create("Two", replace(SETTINGS, mark_chunks=False))
    services.datasets.add_records(dataset.id, new_records())
    ids, (ada, bo) = services.store.datasets.record_ids(dataset.id), (person(services, name) for name in ("Ada", "Bo"))
    services.annotation.submit(ids[0], ada, {"quality": 4, "tone": "warm"})
    reasons = {item.question.name: item.reason for item in desk.report(dataset.id).questions}
    assert (
        reasons["quality"].startswith("Nobody answered the same record") and "Nobody answered this" in reasons["topics"]
    )
    for record_id, who in ((ids[0], bo), (ids[1], ada), (ids[1], bo)):
        services.annotation.submit(record_id, who, {"quality": 4, "tone": "warm"})
    found = {item.question.name: item for item in desk.report(dataset.id).questions}
    assert found["quality"].alpha.alpha is None and "always answered 4" in found["quality"].reason
    # In the words of the option.
    assert "always answered Warm" in found["tone"].reason


def test_everybodys_numbers(desk, dataset, people):
    found = {item.annotator_id: item for item in desk.report(dataset.id).people}
    ada, bo, cy = (found[who] for who in people)
    assert (ada.submitted, ada.drafts, ada.discarded, ada.pending) == (5, 1, 0, 2)
    assert (bo.submitted, bo.drafts, bo.discarded, bo.pending) == (5, 0, 1, 2)
    assert (cy.submitted, cy.pending) == (4, 4)
    assert (ada.seconds, ada.per_hour, cy.per_hour) == (10, 360, 120)
    # Four closed questions on four records with two others, and on one with one other.
    assert (ada.compared, cy.compared) == (36, 32)
    # Ada and Bo on records 1 and 2 (tone), with Cy on 1 and 2, Bo with Cy on 4, tone of Ada and Bo on 3.
    assert (ada.same, cy.same) == (4 + 4 + 1 + 4 + 1, 4 + 4 + 4 + 1 + 4)


def test_the_least_agreed_come_first(desk, dataset, people):
    ada = people[0]
    found = desk.disagreements(dataset.id, ada)
    scores = [line.found.score for line in found.lines]
    assert found.total == 5 and scores == sorted(scores, reverse=True) and listed(found)[-1] == 1
    assert scores[-1] == 0 and all(0 <= score <= 1 for score in scores)
    by_rating = desk.disagreements(dataset.id, ada, "quality")
    # 4 and 1 are three quarters of the scale apart; 4, 5, 1 on average two thirds.
    assert by_rating.lines[0].found.questions["quality"] == pytest.approx(0.75)
    assert listed(by_rating)[-2:] == [2, 1]
    assert listed(desk.disagreements(dataset.id, ada, "", 1, 2)) == listed(found)[1:3]


def test_answers_of_others_are_hidden_from_whoever_may_still_answer(services, desk, dataset, ids, people, dora):
    # Record 5 has two of three answers, record 6 a discard: both wait for Dora. The first four are done.
    found = desk.disagreements(dataset.id, dora)
    assert sorted(listed(found)) == [1, 2, 3, 4] and found.hidden == 2
    for act in (
        lambda: desk.item(ids[4], dora),
        lambda: desk.adjudicate(ids[4], dora, {"quality": 1}),
        lambda: desk.withdraw(ids[4], dora),
    ):
        with pytest.raises(RecordError, match="still waits for you"):
            act()
    _, rows = desk.table(dataset.id, dora)
    assert [row.hidden for row in rows] == [False] * 4 + [True, True, False, False]
    assert SUGGESTED not in unified_csv(dataset.settings, rows[4:])
    assert OTHERS["answer"] not in unified_jsonl(dataset.settings, rows[4:])
    # A draft of one's own opens nothing; an answer does.
    services.annotation.save_draft(ids[4], dora, {"quality": 2})
    assert desk.disagreements(dataset.id, dora).hidden == 2
    services.annotation.submit(ids[4], dora, AGREED)
    assert desk.disagreements(dataset.id, dora).hidden == 1
    assert len(desk.item(ids[4], dora).submitted) == 3
    # Ada began record 6, and Bo discarded it.
    assert desk.disagreements(dataset.id, people[0]).hidden == 1
    services.annotation.discard(ids[5], people[0], {})
    reasons = {response.reason for response in desk.item(ids[5], people[0]).discarded}
    assert reasons == {"", "The query is cut off."}


def test_an_opened_record_has_answers_with_names_and_no_hidden_metadata(desk, ids, people):
    item = desk.item(ids[2], people[0])
    assert [item.names[response.annotator_id] for response in item.submitted] == ["Ada", "Bo", "Cy"]
    assert [response.values for response in item.submitted] == [AGREED, CLOSE, OTHERS]
    assert item.record.metadata == {"source": "manual"} and item.number == 3
    assert item.unified["tone"].value == "warm" and item.unified["quality"].median == 4
    assert all(response.status is ResponseStatus.SUBMITTED for response in item.submitted)


def test_a_decision_stands_before_the_answers_and_can_be_taken_back(services, desk, dataset, ids, people):
    ada, bo, _ = people
    before = desk.report(dataset.id).states["quality"]
    desk.adjudicate(ids[3], ada, {"quality": 2, "order": ranks(a=2, b=1, c=3), "tone": None}, " The manual says so. ")
    item = desk.item(ids[3], bo)
    assert (item.unified["quality"].state, item.unified["quality"].value) == (State.ADJUDICATED, 2)
    assert item.unified["tone"].state is State.UNIFIED and item.unified["tone"].value == "cold"
    assert (item.adjudication.member_id, item.adjudication.reason) == (ada, "The manual says so.")
    report = desk.report(dataset.id)
    assert report.adjudicated == 1 and report.states["quality"][State.ADJUDICATED] == 1
    assert report.states["quality"][State.UNIFIED] == before[State.UNIFIED] - 1
    # Decided records come last, and what people answered is what it was.
    assert listed(desk.disagreements(dataset.id, ada))[-1] == 4
    assert len(item.submitted) == 3
    desk.adjudicate(ids[3], bo, {"quality": 5})
    assert desk.item(ids[3], ada).unified["quality"].value == 5
    desk.withdraw(ids[3], ada)
    assert desk.item(ids[3], ada).adjudication is None and desk.report(dataset.id).states["quality"] == before
    with pytest.raises(RecordError, match="nothing to withdraw"):
        desk.withdraw(ids[3], ada)
    desk.adjudicate(ids[3], ada, {"quality": 3})
    with services.store.database.read() as connection:
        assert len(connection.execute(select(adjudications)).all()) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"quality": 9}, "answered by one of"),
        ({"colour": "red"}, "no question named colour"),
        ({"order": ranks(a=1)}, "rank B, C too"),
        ({"topics": []}, "Choose an answer"),
        ({"answer": "   "}, "Choose an answer"),
    ],
)
def test_a_decision_that_cannot_stand_is_refused(desk, ids, people, values, message):
    with pytest.raises(RecordError, match=message):
        desk.adjudicate(ids[0], people[0], values)
    with pytest.raises(RecordError, match="at most"):
        desk.adjudicate(ids[0], people[0], {"quality": 3}, "x" * 2_001)
    assert desk.item(ids[0], people[0]).adjudication is None


def test_new_answers_are_in_the_numbers_at_once(services, desk, dataset, ids, people):
    assert desk.report(dataset.id).done == 4
    services.annotation.submit(ids[4], people[2], AGREED)
    report = desk.report(dataset.id)
    assert report.done == 5 and report.versions == {1: 15}
    services.annotation.take_back(ids[4], people[2])
    assert desk.report(dataset.id).done == 4


def test_the_version_of_the_guidelines_is_counted(services, desk, dataset, ids, people):
    services.store.datasets.change(dataset.id, settings=with_new_guidelines(dataset.settings, "Judge kindly."))
    services.annotation.submit(ids[4], people[2], AGREED)
    assert desk.report(dataset.id).versions == {1: 14, 2: 1}


def test_passages_and_suggestions_are_reported(desk, dataset, people):
    report = desk.report(dataset.id)
    found = {item.name: item.value for item in report.retrieval.metrics}
    assert report.retrieval.queries == 4 and found["Precision@1"] == 1 and found["Precision@2"] == 0.5
    # All call the first passage relevant; one of three the second.
    assert (report.passages.units, report.passages.unanimous) == (8, 4)
    line = report.anchoring.overall
    assert line.prefilled.answers + line.plain.answers == 14
    kept = sum(side.unchanged for side in (line.prefilled, line.plain))
    assert kept == 8 and set(report.anchoring.agents) == {"base-model"}
    assert set(report.anchoring.annotators) == set(people)


def test_the_files_hold_every_record(desk, dataset, ids, people):
    ada = people[0]
    desk.adjudicate(ids[3], ada, {"answer": "=2+5 is not run"}, "As in the manual")
    chosen, rows = desk.table(dataset.id, ada)
    table = list(csv.DictReader(io.StringIO(unified_csv(chosen.settings, rows))))
    assert [row["field.query"] for row in table] == list(QUERIES) and table[0]["external_id"] == "q1"
    assert (table[0]["quality"], table[0]["quality.state"], table[0]["quality.mean"]) == ("4", "unified", "4")
    assert json.loads(table[2]["topics"]) == ["fees", "fuel"] and table[2]["answer.state"] == "unresolved"
    assert json.loads(table[2]["answer.given"]) == [AGREED["answer"], CLOSE["answer"], OTHERS["answer"]]
    assert table[3]["answer"] == "'=2+5 is not run" and table[3]["decision_reason"] == "As in the manual"
    assert table[7]["quality.state"] == "unanswered" and table[5]["quality.state"] == "hidden"
    lines = [json.loads(line) for line in unified_jsonl(chosen.settings, rows).splitlines()]
    assert lines[3]["answers"]["answer"] == {
        "value": "=2+5 is not run",
        "state": "adjudicated",
        "n": 3,
        "given": [AGREED["answer"], OTHERS["answer"], OTHERS["answer"]],
    }
    assert lines[0]["answers"]["order"]["value"] == ranks(a=1, b=2, c=3) and lines[5]["hidden"] is True
    assert "gold-7" not in unified_jsonl(chosen.settings, rows)


def test_an_unknown_record_or_dataset_is_named(desk, people):
    for act in (lambda: desk.report("nothing"), lambda: desk.item("nothing", people[0])):
        with pytest.raises(NotFoundError):
            act()


def test_answers_that_a_question_no_longer_allows_are_left_out(services, desk, dataset, ids, people):
    before = desk.report(dataset.id)
    odd = {"quality": "very good", "tone": 3, "topics": ["no such topic"], "order": 1, "gone": "x"}
    eve = person(services, "Eve")
    respond(services.store, ids[0], eve, ResponseStatus.SUBMITTED, odd)
    report = desk.report(dataset.id)
    assert [item.alpha for item in report.questions] == [item.alpha for item in before.questions]
    assert desk.item(ids[0], eve).unified["quality"].state is State.UNIFIED
