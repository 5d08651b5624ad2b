"""The Team tab's numbers: ``python -m tests.bench.team [answers of each record]`` from the top folder.

100 people, 10,000 records with three answers each by default (100: everybody has answered everything, a million), a comparison of
10,000 pairs with as many votes, and 5,000 lines of activity. Prints seconds of this machine.
"""

import random
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import insert

from pipeline.annotation.settings import DatasetSettings, Distribution, Field, Question, QuestionKind
from pipeline.records import id_of
from pipeline.services import Services
from pipeline.store.datasets import NewRecord
from pipeline.store.schema import comparisons, responses, votes
from pipeline.store.sprints import Plan
from pipeline.team import Wanted
from tests.bench.review import timed
from tests.workspace import add_comparison, add_model, open_workspace, person

PEOPLE, RECORDS, LINES = 100, 10_000, 5_000
WEEK = 7 * 24 * 3600.0


def main() -> None:
    """Print every measurement."""
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with TemporaryDirectory() as folder:
        services = open_workspace(Path(folder) / "home")
        me, dataset_id, set_id = fill(services, each, random.Random(1))
        print(f"{PEOPLE} people, {RECORDS:,} records and pairs, {each * RECORDS:,} answers and as many votes")
        for span in ("hour", "day", "week"):
            timed(f"numbers, pace of a {span}", lambda span=span: services.team.numbers(me, Wanted(span=span)))
        timed("numbers of one dataset", lambda: services.team.numbers(me, Wanted(dataset_id=dataset_id)))
        now = time.time()
        services.sprints.start(me, Plan("Hour", dataset_id, None, 500, True, now - 3600, now + 3600))
        services.sprints.start(me, Plan("Week", None, set_id, 500, True, now - WEEK, now + WEEK))
        timed("both sprints", lambda: services.sprints.current(me))
        timed("activity", services.activity.latest)
        services.close()


def fill(services: Services, each: int, dice: random.Random) -> tuple[str, str, str]:
    """Make the workspace; return somebody, the dataset and the comparison."""
    settings = DatasetSettings(
        fields=(Field("text"),),
        questions=(Question("answer", QuestionKind.TEXT),),
        distribution=Distribution(each),
    )
    dataset_id = services.datasets.create("Large", settings).id
    services.datasets.add_records(dataset_id, [NewRecord({"text": f"Text {n}"}) for n in range(RECORDS)])
    people = [person(services, f"Person {number}") for number in range(PEOPLE)]
    record_ids = services.store.datasets.record_ids(dataset_id)
    models = add_model(services, "One"), add_model(services, "Two")
    set_id = add_comparison(services, models, [(f"One {n}.", f"Two {n}.") for n in range(20)])
    first = services.store.comparisons.in_set(set_id)[0]
    now = time.time()
    with services.store.database.write() as connection:
        shared = {
            "comparison_set_id": set_id, "query_id": first.query_id, "retrieval_id": first.retrieval_id, "identical": False,
            "completion_1_id": first.completion_1_id, "completion_2_id": first.completion_2_id, "position": 0,
        }  # fmt: skip
        pairs = [{**shared, "id": id_of("pair", str(number))} for number in range(RECORDS)]
        connection.execute(insert(comparisons), pairs)
        for start in range(0, RECORDS, 500):
            some = [(number, dice.sample(people, each)) for number in range(start, start + 500)]
            rows = [
                _response(record_ids[number], who, now - WEEK * dice.random()) for number, whom in some for who in whom
            ]
            connection.execute(insert(responses), rows)
            rows = [_vote(pairs[number], who, now - WEEK * dice.random()) for number, whom in some for who in whom]
            connection.execute(insert(votes), rows)
    for number in range(LINES):
        services.activity.note(dice.choice(people), "document.added", f"manual {number}.md")
    return people[0], dataset_id, set_id


def _response(record_id: str, who: str, at: float) -> dict[str, object]:
    key = {"id": id_of("response", record_id, who), "record_id": record_id, "annotator_id": who}
    values = {"answer": "An answer of some words that stand for what people write into such a field."}
    return {**key, "status": "submitted", "values": values, "seconds": 20.0, "created_at": at, "updated_at": at}


def _vote(pair: dict[str, object], who: str, at: float) -> dict[str, object]:
    key = {"id": id_of("vote", str(pair["id"]), who), "comparison_id": pair["id"], "annotator_id": who}
    sides = {"left_completion_id": pair["completion_1_id"], "right_completion_id": pair["completion_2_id"]}
    return {**key, **sides, "outcome": "tie", "reason": "", "correction": "", "created_at": at}


if __name__ == "__main__":
    main()
