"""What is told of what people did, and what is not."""

import ast
import re
from pathlib import Path

import pytest

from pipeline.activity import ACTIONS, GROUPS
from pipeline.records import new_id
from pipeline.store.rows import put
from pipeline.store.schema import activity
from tests.workspace import open_workspace, person

ROOT = Path(__file__).resolve().parents[2]
NOTES = {"note", "note_about", "_note", "noted", "_noted"}


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    workspace = open_workspace(tmp_path_factory.mktemp("activity") / "home")
    yield workspace
    workspace.close()


def write(services, **row) -> None:
    shared = {"id": new_id(), "at": 1.0, "member_id": None, "subject": "x", "detail": None}
    with services.store.database.write() as connection:
        put(connection, activity, [{**shared, **row}])


def test_it_is_told_who_did_what_to_what_newest_first(services):
    ada = person(services, "Ada")
    services.activity.note(ada, "document.added", "guide.md")
    services.activity.note(ada, "records.added", "Support", {"records": 40})
    services.activity.note(None, "job.ended", "Tuned-1", {"state": "done"})
    told = [(line.who, line.did, line.subject, line.detail) for line in services.activity.latest(most=3).lines]
    assert told == [
        ("", "ended the training of", "Tuned-1", "done"),
        ("Ada", "added records to", "Support", "40 records"),
        ("Ada", "added a document", "guide.md", ""),
    ]


def test_only_what_the_words_need_is_kept_of_a_detail(services):
    services.activity.note(None, "records.added", "Support", {"records": 2, "answers": ["what somebody wrote"]})
    assert services.store.activity.latest(None, [], None, 1)[0].detail == {"records": 2}


def test_a_long_or_broken_subject_is_storable(services):
    services.activity.note(None, "document.added", "a\n\0b \ud800 " + "c" * 500)
    subject = services.activity.latest(most=1).lines[0].subject
    assert subject.startswith("a b � ccc") and len(subject) == 200


def test_an_action_of_a_newer_version_is_told_by_its_name(services):
    write(services, at=9e9, action="moon.landed_on", detail={"by": "rocket"})
    write(services, at=9e9 + 1, action="records.added", detail=None)
    lines = services.activity.latest(most=2).lines
    assert [(line.did, line.detail) for line in lines] == [("added records to", ""), ("moon landed on", "")]


def test_pages_hold_every_entry_once_also_those_of_one_moment(services):
    bo = person(services, "Bo")
    for number in range(23):
        write(services, at=500.0 + number // 7, member_id=bo, action="document.added", subject=str(number))
    seen, older = [], ""
    while True:
        page = services.activity.latest(person=bo, older=older, most=5)
        seen += [line.subject for line in page.lines]
        older = page.older
        if not older:
            break
    assert sorted(seen, key=int) == [str(n) for n in range(23)]
    assert [int(s) // 7 for s in seen] == sorted((int(s) // 7 for s in seen), reverse=True)


def test_a_place_that_no_page_gave_begins_at_the_newest(services):
    first = services.activity.latest(most=1).lines
    for older in ("nonsense", "nan/", "1e999/x", "/", "x/y"):
        assert services.activity.latest(older=older, most=1).lines == first


def test_it_is_filtered_by_person_and_kind(services):
    cy = person(services, "Cy")
    services.activity.note(cy, "model.registered", "m")
    services.activity.note(cy, "document.removed", "d")
    assert [line.subject for line in services.activity.latest(person=cy).lines] == ["d", "m"]
    assert [line.subject for line in services.activity.latest(person=cy, group="Models").lines] == ["m"]
    assert ("Cy", cy) in services.activity.people()
    assert {words.group for words in ACTIONS.values()} == set(GROUPS)


def noted() -> dict[str, str]:
    """Return every action that the code notes, with the file it is in."""
    found = {}
    for file in [*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("components/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in NOTES:
                words = [a.value for a in node.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                found |= {action: file.name for action in words if re.fullmatch(r"[a-z_]+\.[a-z_]+", action)}
    return found


def test_there_are_words_for_everything_that_is_noted_and_nothing_else():
    actions = noted()
    assert not {action: file for action, file in actions.items() if action not in ACTIONS}
    assert not ACTIONS.keys() - actions.keys()
