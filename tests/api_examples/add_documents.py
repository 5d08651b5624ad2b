"""Add documents: python add_documents.py manual.pdf notes.md."""

import sys
from pathlib import Path

from pairloop_api import Pairloop

files = [(Path(name).name, Path(name).read_bytes()) for name in sys.argv[1:]]
for document in Pairloop().upload("/documents", files)["documents"]:
    print(document["name"], document["problem"] or f"{document['passages']} passages")
