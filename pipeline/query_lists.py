"""Lists of queries: brought as text or as a file, and divided into a train and a test part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.cleaning import clean
from pipeline.errors import QueryFileError
from pipeline.naming import free_name
from pipeline.query_files import ImportedQueries, read_queries
from pipeline.records import QuerySet, Split
from pipeline.store import Store

# Every third query without a split is held out: enough for a comparison, without starving the training data.
HELD_OUT_EVERY = 3


@dataclass(frozen=True, slots=True)
class AddedList:
    """A list that was taken in, and how its queries were divided."""

    id: str
    name: str
    train: int
    test: int
    duplicates: int


class QueryLists:
    """The query lists of a workspace."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[QuerySet]:
        """Return the lists, newest first."""
        return self._store.queries.sets()

    def add_text(self, text: str, name: str, hold_out: bool) -> AddedList:
        """Take in queries typed one a line."""
        return self._add(read_queries(text, "the typed list"), name.strip() or "Typed queries", hold_out)

    def add_file(self, path: Path, file_name: str, name: str, hold_out: bool) -> AddedList:
        """Take in a file of queries.

        Raises:
            QueryFileError: the file cannot be read as queries.
        """
        return self._add(read_queries(path, file_name), name.strip() or Path(file_name).stem, hold_out)

    def _add(self, found: ImportedQueries, name: str, hold_out: bool) -> AddedList:
        name = clean(name)
        if len(name) > 120:
            raise QueryFileError("The name of a list takes at most 120 characters.")
        splits = divide([query.split for query in found], hold_out)
        items = [
            (clean(query.text), split, _cleaned(query.metadata)) for query, split in zip(found, splits, strict=True)
        ]
        name = free_name(name, {query_set.name for query_set in self.all()})
        list_id = self._store.queries.add_set(name, items)
        test = splits.count(Split.TEST)
        return AddedList(list_id, name, len(splits) - test, test, found.duplicates)


def _cleaned(metadata: Mapping[str, str]) -> dict[str, str]:
    return {clean(name): clean(value) for name, value in metadata.items()}


def divide(given: Sequence[Split | None], hold_out: bool) -> list[Split]:
    """Return a split for each query: the given one, else train with every third of the others held out as test."""
    splits, free = [], 0
    for split in given:
        if split is None:
            free += 1
            split = Split.TEST if hold_out and free % HELD_OUT_EVERY == 0 else Split.TRAIN
        splits.append(split)
    return splits
