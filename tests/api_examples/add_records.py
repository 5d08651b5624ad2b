"""Add records to a dataset: python add_records.py "My dataset" records.jsonl.

A record is an object with the dataset's fields by name; "id" makes it replace the record that has this id already.
"""

import json
import sys
from pathlib import Path

from pairloop_api import Pairloop

dataset, file = sys.argv[1:]
records = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]
added = Pairloop().post(f"/datasets/{dataset}/records", records)
print(f"{added['new']} new, {added['replaced']} replaced")
