"""Files of votes from elsewhere, for tests that take them in."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas

from pipeline.services import Services
from pipeline.vote_import.mapping import VoteMapping


def put(folder: Path, name: str, rows: list[dict]) -> Path:
    """Write rows to a file of the kind that its name tells."""
    path = folder / name
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pandas.DataFrame(rows).to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    else:
        path.write_text(json.dumps(rows), "utf-8")
    return path


def bring(services: Services, path: Path, **changes) -> str:
    """Take in a file as it is proposed, but for some changes; return the id of its comparison."""
    desk = services.vote_files
    mapping = desk.propose(path)
    mapping = VoteMapping(**{name: changes.get(name, getattr(mapping, name)) for name in VoteMapping.__slots__})
    return desk.bring(path, mapping).set_id
