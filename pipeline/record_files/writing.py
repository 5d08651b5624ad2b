"""A dataset as a file, in each of the forms that can be asked for."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from enum import StrEnum

from pipeline.dump import Dump
from pipeline.errors import RecordError
from pipeline.record_files import argilla, flat, label_studio_tasks, pairloop

# A ZIP of the same content is the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


class Form(StrEnum):
    """The forms that a dataset can be written in."""

    PAIRLOOP = "pairloop"
    ARGILLA = "argilla"
    LABEL_STUDIO = "label_studio"
    CSV_RECORDS = "csv_records"
    CSV_RESPONSES = "csv_responses"
    PARQUET_RECORDS = "parquet_records"
    PARQUET_RESPONSES = "parquet_responses"


ABOUT = {
    Form.PAIRLOOP: (
        "Pairloop, lossless (.jsonl)",
        "Everything: settings, records, suggestions, responses and their history.",
    ),
    Form.ARGILLA: (
        "Argilla 2 (.zip)",
        "Settings, records, suggestions and submitted responses, as Dataset.to_disk writes.",
    ),
    Form.LABEL_STUDIO: (
        "Label Studio (.zip)",
        "Tasks with annotations, drafts and predictions, and the labelling config.",
    ),
    Form.CSV_RECORDS: ("CSV, one row per record", "With suggestions and everybody's answers, lists as JSON."),
    Form.CSV_RESPONSES: (
        "CSV, one row per response",
        "With who answered, when, and in how many seconds; without suggestions, and without records nobody answered.",
    ),
    Form.PARQUET_RECORDS: ("Parquet, one row per record", "With suggestions and everybody's answers, lists as JSON."),
    Form.PARQUET_RESPONSES: (
        "Parquet, one row per response",
        "With who answered, when, and in how many seconds; without suggestions, and without records nobody answered.",
    ),
}


def write(dump: Dump, form: Form) -> tuple[str, bytes]:
    """Return the file's name and its content.

    Raises:
        RecordError: a table would have no row.
    """
    stem = re.sub(r"[^\w-]+", "-", dump.name).strip("-")[:80] or "dataset"
    if form is Form.PAIRLOOP:
        return f"{stem}.pairloop.jsonl", pairloop.write(dump).encode()
    if form is Form.ARGILLA:
        return f"{stem}-argilla.zip", _zip(argilla.write(dump))
    if form is Form.LABEL_STUDIO:
        return f"{stem}-label-studio.zip", _zip(label_studio_tasks.write(dump))
    of_responses = form in (Form.CSV_RESPONSES, Form.PARQUET_RESPONSES)
    rows = flat.response_rows(dump) if of_responses else flat.record_rows(dump)
    if not rows:
        raise RecordError(f"{dump.name} has no {'responses' if of_responses else 'records'} yet.")
    name = f"{stem}-responses" if of_responses else f"{stem}-records"
    if form in (Form.PARQUET_RECORDS, Form.PARQUET_RESPONSES):
        return f"{name}.parquet", flat.parquet(rows)
    return f"{name}.csv", flat.csv_text(rows).encode()


def _zip(files: Mapping[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), text.encode(), zipfile.ZIP_DEFLATED)
    return file.getvalue()
