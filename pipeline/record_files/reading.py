"""A file of records, whatever its form, as rows."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.annotation.files import from_text
from pipeline.annotation.settings import DatasetSettings
from pipeline.documents.packages import BROKEN
from pipeline.errors import RecordError
from pipeline.record_files import argilla, label_config, label_studio, pairloop, tables
from pipeline.record_files.rows import Row, Source, flat

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".json", ".parquet", ".zip")
MAX_UNPACKED = 500_000_000
MAX_OPTIONS = 100
# Under what name the rows stand where a file is one object.
_LISTS = ("records", "data", "rows", "items", "examples", "tasks")


def read_file(path: Path, name: str = "") -> Source:
    """Return the rows of a file; its form is told by what is in it.

    Raises:
        RecordError: it cannot be read; the message says what to do.
    """
    return read_bytes(path.read_bytes(), name or path.name)


def read_bytes(data: bytes, name: str) -> Source:
    """Return the rows of a file's content.

    Raises:
        RecordError: it cannot be read; the message says what to do.
    """
    if data.startswith(b"PAR1"):
        return _checked(Source(name, flat(tables.parquet_rows(data, name))))
    if data.startswith(b"PK\x03\x04"):
        packed = unpacked(data, name)
        if packed:
            return _checked(_of_folder(packed, name))
    return _checked(read_text(tables.text_of(data, name), name))


def read_text(text: str, name: str, people: Mapping[str, str] | None = None) -> Source:
    """Return the rows of the text of a file, or of what somebody pasted."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise RecordError(f"{name} is empty.")
    if text.lstrip()[:1] not in ("[", "{") or tables.suffix_of(name) in (".csv", ".tsv"):
        return Source(name, flat(tables.table_rows(text, name), people))
    values = tables.json_values(text, name)
    if len(values) == 1 and isinstance(values[0][1], dict):
        inside = next((values[0][1][key] for key in _LISTS if isinstance(values[0][1].get(key), list)), None)
        if inside is not None:
            values = [(f"entry {number:,}", value) for number, value in enumerate(inside, 1)]
    return read_values(values, name, people)


def read_values(values: list[tuple[str, object]], name: str, people: Mapping[str, str] | None = None) -> Source:
    """Return the rows of values of JSON, each with its place, whatever tool they come from."""
    known = [value for _, value in values[:100]]
    if any(map(argilla.is_nested, known)):
        rows, notes = argilla.nested_rows(values, people or {})
        return Source(name, rows, tuple(notes))
    if any(map(label_studio.is_task, known)):
        rows, notes = label_studio.task_rows(values)
        return Source(name, rows, tuple(notes))
    return Source(name, flat(tables.object_rows(values, name), people))


def _checked(source: Source) -> Source:
    if not source.rows:
        raise RecordError(f"{source.name} holds no records.")
    return source


def unpacked(data: bytes, name: str) -> dict[str, bytes]:
    """Return the files of a ZIP that may hold records or settings, by their name in it; none of an Excel workbook.

    Raises:
        RecordError: it is damaged, or too large when it is unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [info for info in archive.infolist() if not info.is_dir()]
            if any(info.filename == "[Content_Types].xml" for info in names):
                return {}
            wanted = [info for info in names if info.filename.endswith((".json", ".jsonl", ".xml", ".yaml"))]
            if sum(info.file_size for info in wanted) > MAX_UNPACKED:
                raise RecordError(f"{name} is larger than {MAX_UNPACKED / 1e6:.0f} MB when it is unpacked.")
            return {info.filename: archive.read(info) for info in wanted}
    except BROKEN as error:
        raise RecordError(f"{name} is a damaged or an encrypted ZIP file.") from error


def _of_folder(files: Mapping[str, bytes], name: str) -> Source:
    """Return the rows of a dataset that Argilla or Label Studio, or Pairloop for them, has written as a folder."""
    ends = {path.rpartition("/")[2]: path for path in files}
    path = next((ends[end] for end in ("records.json", "tasks.json") if end in ends), None)
    if path is None:
        raise RecordError(
            f"{name} holds neither records.json nor tasks.json: unpack it, and take the file of the records."
        )
    people = {}
    if "people.json" in ends:
        found = tables.parsed(tables.text_of(files[ends["people.json"]], "people.json"), "people.json")
        people = {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
    source = read_text(tables.text_of(files[path], path), path, people)
    settings, notes = None, []
    for end in ("settings.json", "argilla.yaml", "label_config.xml"):
        if end in ends:
            settings, notes = read_settings(tables.text_of(files[ends[end]], end), end, source.rows)
    return Source(name, source.rows, (*source.notes, *notes), settings)


def read_settings(text: str, name: str, rows: tuple[Row, ...] = ()) -> tuple[DatasetSettings, list[str]]:
    """Return the settings in a file of Pairloop, Argilla or Label Studio, and in sentences what was left out.

    Raises:
        RecordError: it holds no settings.
    """
    if label_config.is_config(text):
        return label_config.read(text, _options(rows))
    if pairloop.is_dump(text):
        return pairloop.read(text, name).settings, []
    loaded = from_text(text)
    return loaded.settings, list(loaded.notes)


def _options(rows: tuple[Row, ...]) -> dict[str, list[str]]:
    """Return the ids of the lists in tasks, where they are the same in all of them."""
    found: dict[str, list[str]] = {}
    for row in rows[:1_000]:
        for column, cell in row.cells.items():
            if isinstance(cell, list) and cell and all(isinstance(item, dict) and "id" in item for item in cell):
                ids = found.setdefault(column, [])
                ids += [str(item["id"]) for item in cell if str(item["id"]) not in ids]
    return {column: ids for column, ids in found.items() if len(ids) <= MAX_OPTIONS}
