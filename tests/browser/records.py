"""Edit and Compare on a page that goes from test to test: a dataset or a comparison of its own for each, and what is stored."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from pipeline.records import Response
from pipeline.store import open_store
from pipeline.store.datasets import Dataset
from tests.browser.person import Person


class Records:
    """The datasets of a running app, named "kind 1", "kind 2" …, and the responses to their records."""

    def __init__(self, home: Path) -> None:
        self._store = open_store(home / "pairloop.db")
        self._free = {dataset.name: dataset for dataset in self._store.datasets.all()}

    @property
    def store(self):
        """The store of the app, read beside it."""
        return self._store

    def take(self, kind: str) -> Dataset:
        """Return a dataset that no test has worked on."""
        name = next((name for name in self._free if re.fullmatch(rf"{re.escape(kind)} \d+", name)), None)
        assert name, f"The tests need more datasets of the kind {kind}."
        return self._free.pop(name)

    def begin(self, person: Person, kind: str) -> Dataset:
        """Open such a dataset on a page that others may have used before, in the window that a person has at first."""
        dataset = self.take(kind)
        person.page.set_viewport_size({"width": 1440, "height": 1000})
        if not person.find("#edit-screen").is_visible():
            person.go("Edit")
        person.choose("edit-dataset", re.compile(rf"^{re.escape(dataset.name)} \("))
        # The address follows the record that is shown.
        expect(person.page).to_have_url(re.compile(f"dataset={dataset.id}"))
        person.sees("#edit-record", re.compile(rf"Record \d+ of {dataset.size}"))
        person.looks()
        return dataset

    def response(self, record_id: str) -> Response | None:
        """Return what one person gave to a record."""
        return next(iter(self._store.responses.of_record(record_id)), None)

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def record_of(person: Person) -> str:
    """Return the record that is shown."""
    return person.find("#edit-record [data-shows]").get_attribute("data-shows")


def shows(person: Person, record: str) -> None:
    """Wait until a record is shown."""
    expect(person.find("#edit-record [data-shows]")).to_have_attribute("data-shows", record)


def has_left(person: Person, record: str) -> None:
    """Wait until another record is shown."""
    expect(person.find("#edit-record [data-shows]")).not_to_have_attribute("data-shows", record)


def judge(person: Person, label: str) -> None:
    """Choose the comparison whose name begins so on Compare, and wait until nothing of the one before is left."""
    if not person.find("#compare-screen").is_visible():
        person.go("Compare")
    before = person.page.locator("#compare-pair [data-shows]")
    left = before.first.get_attribute("data-shows") if before.count() else None
    chosen = person.find("#compare-chosen input")
    if chosen.input_value().startswith(label):
        return
    person.choose("compare-chosen", re.compile(f"^{re.escape(label)}"))
    expect(chosen).to_have_value(re.compile(f"^{re.escape(label)}"))
    if left:
        expect(person.page.locator(f"#compare-pair [data-shows='{left}']")).to_have_count(0)
    person.settles()
    person.looks()
