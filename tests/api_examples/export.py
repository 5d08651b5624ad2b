"""Save a dataset or votes as a file: python export.py "My dataset" csv_records out.csv, or votes <id> jsonl out.jsonl.

Forms of a dataset: pairloop, argilla, label_studio, csv_records, csv_responses, parquet_records, parquet_responses.
Forms of votes: csv, jsonl, arena.
"""

import sys
from pathlib import Path

from pairloop_api import Pairloop

*votes, name, form, file = sys.argv[1:]
path = f"/comparisons/{name}/votes" if votes == ["votes"] else f"/datasets/{name}/export"
Path(file).write_bytes(Pairloop().download(path, form=form))
print(f"{file}: {Path(file).stat().st_size:,} bytes")
