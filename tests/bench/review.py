"""Review of a large dataset: ``python -m tests.bench.review`` from the top folder.

10,000 records with three answers each to five questions, five marked passages each, and texts of 80 words. Prints seconds of this
machine; the first report is the slow one, and is used until something changes.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.annotation.settings import DatasetSettings, Distribution, Field, FieldKind, Option, Question, QuestionKind
from pipeline.records import Suggestion, id_of
from pipeline.services import Services
from pipeline.store.datasets import NewRecord
from pipeline.store.rows import now, put
from pipeline.store.schema import responses
from pipeline.unified_files import unified_csv
from tests.workspace import open_workspace, person

RECORDS, EACH, PEOPLE, WORDS = 10_000, 3, 10, 80
LETTERS = "abcdefgh"


def options(*values: str | int) -> tuple[Option, ...]:
    """Return options."""
    return tuple(Option(value) for value in values)


SETTINGS = DatasetSettings(
    fields=(Field("text"), Field("contexts", FieldKind.CONTEXTS)),
    questions=(
        Question("rating", QuestionKind.RATING, options=options(1, 2, 3, 4, 5)),
        Question("label", QuestionKind.LABEL, options=options("a", "b", "c")),
        Question("topics", QuestionKind.MULTI_LABEL, options=options(*LETTERS)),
        Question("order", QuestionKind.RANKING, options=options("w", "x", "y", "z")),
        Question("answer", QuestionKind.TEXT),
    ),
    distribution=Distribution(EACH),
    unprefilled=0.3,
    mark_chunks=True,
)


def main() -> None:
    """Print every measurement."""
    with TemporaryDirectory() as folder:
        services = open_workspace(Path(folder) / "home")
        dataset_id, me = fill(services, random.Random(1))
        desk = services.review
        timed("first report", lambda: desk.report(dataset_id))
        timed("report again", lambda: desk.report(dataset_id))
        found = timed("list of disagreements", lambda: desk.disagreements(dataset_id, me))
        record_id = found.lines[0].record.id
        timed("open a record", lambda: desk.item(record_id, me))
        timed("decide", lambda: desk.adjudicate(record_id, me, {"rating": 3}))
        dataset, rows = timed("unified table", lambda: desk.table(dataset_id, me))
        timed("CSV of it", lambda: unified_csv(dataset.settings, rows))
        services.close()


def timed(what: str, act: Callable):
    """Print how long something takes, on the clock and of this process."""
    clock, own = time.perf_counter(), time.process_time()
    result = act()
    print(f"{what:22} {time.perf_counter() - clock:6.2f} s   ({time.process_time() - own:.2f} s of this process)")
    return result


def fill(services: Services, dice: random.Random) -> tuple[str, str]:
    """Make the dataset; return its id and the id of somebody who worked on it."""
    dataset_id = services.datasets.create("Large", SETTINGS).id
    words = [f"word{number}" for number in range(2_000)]
    texts = [dice.choices(words, k=WORDS) for _ in range(RECORDS)]
    passages = [{"text": "A passage."}] * 5
    new = [
        NewRecord({"text": " ".join(text), "contexts": passages}, {}, [Suggestion("answer", " ".join(text))])
        for text in texts
    ]
    services.datasets.add_records(dataset_id, new)
    people = [person(services, f"Person {number}") for number in range(PEOPLE)]
    ids = services.store.datasets.record_ids(dataset_id)
    rows = [
        row(dice, record_id, who, text)
        for record_id, text in zip(ids, texts, strict=True)
        for who in dice.sample(people, EACH)
    ]
    with services.store.database.write() as connection:
        put(connection, responses, rows)
    return dataset_id, people[0]


def row(dice: random.Random, record_id: str, who: str, text: list[str]) -> dict[str, object]:
    """Return a submitted response."""
    changed = list(text)
    changed[dice.randrange(WORDS)] = "changed"
    values = {
        "rating": dice.randint(1, 5),
        "label": dice.choice("abc"),
        "topics": sorted(dice.sample(LETTERS, dice.randint(1, 3))),
        "order": [{"value": option, "rank": dice.randint(1, 4)} for option in "wxyz"],
        "answer": " ".join(changed),
    }
    fixed = {"edits": None, "reason": None, "reopened_at": None, "guidelines_version": 1, "status": "submitted"}
    times = {"seconds": 60 * dice.random(), "updated_at": now(), "created_at": now()}
    marks = {"chunks": {str(number): dice.random() < 0.5 for number in range(5)}}
    key = {"id": id_of("response", record_id, who), "record_id": record_id, "annotator_id": who}
    return {**key, **fixed, **times, "values": values, "marks": marks, "prefilled": dice.random() < 0.7}


if __name__ == "__main__":
    main()
