"""A workspace in which everything that somebody may name or write is a text that tries to act."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.annotation.settings import (
    DatasetSettings,
    Field,
    FieldKind,
    MetadataProperty,
    Option,
    Question,
    QuestionKind,
)
from pipeline.cleaning import clean
from pipeline.prompt_desk import Draft
from pipeline.prompts import get_template
from pipeline.records import ResponseStatus, Role, Suggestion
from pipeline.services import Services
from pipeline.store.datasets import NewRecord
from pipeline.store.sprints import Plan
from tests.payloads import PAYLOADS, joined, short
from tests.people import Person, add, open_team, team
from tests.workspace import add_comparison, add_model, respond

TEXT = clean("The lighthouse is white.\n\n" + joined())
# One plain word beside them: what a blind comparison shows of the other side must not change with them.
OTHER = "The other answer, plainly.\n\nIt says so twice."
PLAIN = "The quay is 420 m long.\n\nIt was built in 1931."


@dataclass(frozen=True, slots=True)
class Hostile:
    """The workspace with its people, its comparison of hostile answers, and the link to results of another one."""

    services: Services
    people: Mapping[Role, Person]
    blind: str
    link: str


def open_hostile(home: Path) -> Hostile:
    """Open a workspace that people sign in to, and fill it."""
    services = open_team(home)
    people = team(services)
    names = short(80)
    for number, name in enumerate(names):
        add(services, f"{name} {number}", Role.ANNOTATOR)
    _documents(services, home.parent)
    models = [add_model(services, name) for name in names[:40]]
    opened = add_comparison(
        services, models[:2], [(TEXT, PLAIN)] * 2, [names[0], names[1]], criteria=tuple(short(60)[:8])
    )
    owner = people[Role.OWNER].id
    for _ in range(2):
        pair = services.comparisons.next_pair(opened, owner)
        services.comparisons.vote(pair.comparison_id, owner, "model_a", TEXT[:1_000], "", 1.0)
    services.comparisons.reveal(opened, owner)
    link = services.shared_results.make(opened, owner)
    texts = [(PLAIN, "The other answer, plainly.\n\nIt says so twice.")] * 3 + [
        (TEXT, "The other answer, plainly.\n\nIt says so twice.")
    ] * 3
    blind = add_comparison(
        services, (models[2], models[3]), texts, [f"How long is the quay, part {n}?" for n in range(6)]
    )
    _dataset(services, names, people[Role.ANNOTATOR].id)
    _desk(services, names, owner, opened)
    return Hostile(services, people, blind, link)


def _documents(services: Services, folder: Path) -> None:
    for number, (kind, text) in enumerate(PAYLOADS.items()):
        path = folder / f"document{number}.md"
        path.write_bytes(f"# {kind}\n\nThe lighthouse. {text}".encode("utf-8", "replace"))
        services.library.add_file(path, clean(f"{text[:80]} {number}.md"))


def _dataset(services: Services, names: list[str], annotator: str) -> None:
    shown = [clean(text) for text in names]
    settings = DatasetSettings(
        (Field("plain", title=shown[0]), Field("marked", FieldKind.MARKDOWN, title=shown[1])),
        (
            Question("note", QuestionKind.TEXT, shown[2], TEXT[:2_000]),
            Question("kind", QuestionKind.LABEL, shown[3], shown[4], options=(Option("a", shown[5]), Option("b", shown[6]))),
        ),
        guidelines=TEXT,
        metadata=(MetadataProperty("origin", title=shown[7]),),
    )  # fmt: skip
    dataset = services.datasets.create(shown[8][:80], settings)
    records = [
        NewRecord(
            {"plain": TEXT, "marked": TEXT},
            {"origin": shown[number]},
            (Suggestion("note", TEXT, agent=shown[number]),),
        )
        for number in range(3)
    ]
    services.datasets.add_records(dataset.id, records)
    record = services.store.datasets.record_ids(dataset.id)[0]
    respond(services.store, record, annotator, ResponseStatus.SUBMITTED, {"note": TEXT, "kind": "a"})


def _desk(services: Services, names: list[str], owner: str, opened: str) -> None:
    built_in = get_template("answer-review")
    for name in names[:20]:
        services.tokens.make(owner, name)
        services.activity.note(owner, "document.added", name)
        services.store.queries.add_set(name, [])
    for name in names[:10]:
        services.prompts.copy("answer-review", Draft(name, f"{built_in.system} {name}", built_in.user))
    now = time.time()
    for number, name in enumerate(names[:5]):
        begin = now + 4_000 * number
        services.sprints.start(owner, Plan(name[:60], None, opened, 5, True, begin, begin + 3_600))
    services.store.values.set_workspace_name(names[1])
