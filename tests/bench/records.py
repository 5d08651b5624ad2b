"""Import and export of 10,000 records, each with a suggestion and a response, beside what reads and writes the same file plainly.

    python -m tests.bench.records [records]

Printed are seconds and records a second: of reading, of the store, and of pandas and json on the same file in the same run.
Nothing is asserted.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas

from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, Option, Question, QuestionKind
from pipeline.record_files.mapping import convert, propose
from pipeline.record_files.reading import read_bytes
from pipeline.record_files.writing import Form
from tests.workspace import open_workspace

SETTINGS = DatasetSettings(
    fields=(Field("text"), Field("sources", FieldKind.CONTEXTS, required=False)),
    questions=(
        Question("tone", QuestionKind.LABEL, options=(Option("warm"), Option("cold"))),
        Question("answer", QuestionKind.TEXT, required=False),
    ),
)
SENTENCE = "The ferry leaves the north quay at eight, and the south quay at nine, unless the wind is too strong. "


def table(count: int) -> str:
    """Return the records as a CSV file."""
    rows = [
        {
            "id": f"r-{n}",
            "text": f"{n}: {SENTENCE * 4}",
            "sources": json.dumps([SENTENCE * 3, SENTENCE * 2]),
            "tone.suggestion": ("warm", "cold")[n % 2],
            "tone.suggestion.agent": "small model",
            "tone.suggestion.score": n / count,
            "tone.responses": json.dumps(["warm"]),
            "tone.responses.users": json.dumps([f"annotator {n % 7}"]),
            "tone.responses.status": json.dumps(["submitted"]),
        }
        for n in range(count)
    ]
    return pandas.DataFrame(rows).to_csv(index=False)


def timed(label: str, count: int, work: Callable, *arguments):
    """Do the work, print how long it took, and return what it gave. CPU seconds tell what a busy machine hides."""
    start, busy = time.perf_counter(), time.process_time()
    made = work(*arguments)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    print(f"{label:<44} {seconds:6.2f} s {busy:6.2f} s CPU {count / seconds:10,.0f} records/s")
    return made


def taken_in(services, dataset_id: str, data: bytes, count: int) -> None:
    """Import the CSV as the screen does, step by step."""
    source = timed("  read the CSV", count, read_bytes, data, "bench.csv")
    found = timed("  convert and check", count, lambda: convert(SETTINGS, source, propose(SETTINGS, source)))
    timed("  store with suggestions and responses", count, services.records.add, dataset_id, found.records)


def moved(services, text: str) -> None:
    """Import a dataset out of its lossless file."""
    services.records.make_dataset(services.records.read_dump(text, "bench.jsonl"))


def main() -> None:
    """Print the times."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    data = table(count).encode()
    print(
        f"{count:,} records, {len(data) / 1e6:.1f} MB of CSV; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    timed("pandas.read_csv of the same file", count, pandas.read_csv, io.BytesIO(data))
    with tempfile.TemporaryDirectory() as folder:
        services = open_workspace(Path(folder) / "home")
        dataset = services.datasets.create("Bench", SETTINGS)
        timed("import of the CSV, all of it", count, taken_in, services, dataset.id, data, count)
        for form in Form:
            _, content = timed(f"export: {form}", count, services.records.export, dataset.id, form)
            if form is Form.PAIRLOOP:
                text = content.decode()
        lines = text.splitlines()
        parsed = timed("json.loads of the lossless file's lines", count, list, map(json.loads, lines))
        timed("json.dumps of them", count, list, map(json.dumps, parsed))
        timed("import of the lossless file", count, moved, services, text)
        services.close()


if __name__ == "__main__":
    main()
