"""A workspace with something in every table that is published: reviewed, annotated, voted on, and with odd texts all over."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from pipeline.annotation.settings import (
    DatasetSettings,
    Distribution,
    Field,
    FieldKind,
    MetadataKind,
    MetadataProperty,
    Option,
    Question,
    QuestionKind,
)
from pipeline.annotation.templates import TUTORIAL_CONTEXT_RATING as CONTEXT_RATING
from pipeline.annotation.templates import TUTORIAL_QUERY_RATING as QUERY_RATING
from pipeline.records import Outcome, Split, Suggestion
from pipeline.store.datasets import NewRecord
from pipeline.store.rows import put
from pipeline.store.schema import adjudications
from tests.material import MANUAL, TRAIN, add_manual, add_queries, finished
from tests.workspace import add_comparison, add_model, open_workspace, person

ANSWER = "response"  # as the dataset of Argilla's tutorial calls it
SALT = "a secret of the workspace"
REPO = "team/harbour"
ODD = "<script>alert('1')</script> | 北码头。 مرحبا 🙂 \"q\" \\ \u2028 {query}\r\n=1+1"
PEOPLE = ("Zqada Lovelace", "Zqbo Härjedal")


def review(services, dataset, ada, bo):
    """Ada edits, Bo submits as it is; a discard, and two drafts that nobody may see."""
    records = services.store.datasets.records(dataset.id)
    services.annotation.submit(records[0].id, ada, {ANSWER: ODD, QUERY_RATING: 5}, 12.5)
    services.annotation.submit(records[1].id, bo, {ANSWER: records[1].completion, CONTEXT_RATING: 2})
    services.annotation.discard(records[2].id, ada, {ANSWER: "Thrown away."})
    services.annotation.save_draft(records[3].id, ada, {ANSWER: "A draft."})
    services.annotation.save_draft(records[0].id, bo, {ANSWER: "Another draft."})
    return records


def annotate(services, ada, bo):
    """A dataset of other fields and questions: answered by both, marked, discarded, decided, and a decision withdrawn."""
    settings = DatasetSettings(
        fields=(Field("text"), Field("passages", FieldKind.CONTEXTS, required=False)),
        questions=(
            Question("tone", QuestionKind.LABEL, options=(Option("warm"), Option("cold"))),
            Question("answer", QuestionKind.LABEL, required=False, options=(Option("yes"), Option("no"))),
        ),
        metadata=(MetadataProperty("price", MetadataKind.FLOAT, visible=False),),
        guidelines="Read twice.",
        distribution=Distribution(min_submitted=2),
        mark_chunks=True,
    )
    dataset = services.datasets.create("Tone", settings)
    proposed = [Suggestion("tone", "warm", "small model", 0.75)]
    first = NewRecord({"text": ODD, "passages": ["One.", "Two."]}, {"price": 1.5}, proposed, "e-1")
    services.datasets.add_records(dataset.id, [first, NewRecord({"text": "Short."})])
    one, two = services.store.datasets.record_ids(dataset.id)
    services.annotation.submit(one, ada, {"tone": "cold", "answer": "no"}, 4.0, {"chunks": {"1": True}})
    services.annotation.discard(one, bo, {}, reason="Not mine.")
    row = {"member_id": ada, "values": {"tone": "warm"}, "reason": "", "created_at": 1.0, "updated_at": 2.0}
    with services.store.database.write() as connection:
        stands = {**row, "id": "j-1", "record_id": one, "withdrawn_at": None}
        put(connection, adjudications, [stands, {**row, "id": "j-2", "record_id": two, "withdrawn_at": 3.0}])
    return dataset


def vote(services, set_id, who, verdicts):
    """Vote on all pairs in turn; return the shown pairs."""
    shown = []
    for outcome, reason, correction in verdicts:
        shown.append(services.comparisons.next_pair(set_id, who))
        services.comparisons.vote(shown[-1].comparison_id, who, outcome, reason, correction, 3.5)
    return shown


def open_published(folder: Path) -> SimpleNamespace:
    """Open a workspace with something in every table; ``services`` of it are to be closed."""
    services = open_workspace(folder / "home")
    add_manual(services, folder, MANUAL + "\n## 北码头\n\n柴油只在北码头出售。\n\n## مرحبا\n\nمرحبا بكم في الميناء.\n")
    gone = add_manual(services, folder, "# Secret\n\nA document that was taken out again.", "gone.md")
    services.library.delete(gone)
    model = services.registry.all()[0]
    run_id = services.generation.start_run(model.id, add_queries(services, train=(*TRAIN, f"What? {ODD}")))
    finished(services, run_id)
    services.store.queries.add_set("File", [("Plain?", Split.TRAIN, {"topic": ODD, "week": "3"})])
    dataset = services.datasets.create_of_run(run_id, "customer-assistant")
    ada, bo = (person(services, name) for name in PEOPLE)
    records = review(services, dataset, ada, bo)
    other = annotate(services, ada, bo)
    models = add_model(services, "base"), add_model(services, "tuned", model.id)
    texts = [(f"First {n}. {ODD}", f"Second {n}.") for n in range(4)] + [("Same.", "Same.")]
    set_id = add_comparison(services, models, texts)
    better = (Outcome.MODEL_A, ODD, "A better answer.")
    verdicts = [better, (Outcome.BOTH_BAD, "", "Right."), (Outcome.TIE, "", ""), (Outcome.MODEL_B, "", "")]
    shown = vote(services, set_id, ada, verdicts)
    vote(services, set_id, bo, [(Outcome.MODEL_A, "Taken back.", "Taken back too.")])
    services.comparisons.undo(set_id, bo)
    return SimpleNamespace(
        services=services, dataset=dataset, other=other, records=records, people=(ada, bo), shown=shown, folder=folder
    )
