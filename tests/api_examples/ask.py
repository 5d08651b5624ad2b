"""Ask the documents: python ask.py "What does a rating of 1 mean?"."""

import sys

from pairloop_api import Pairloop

answer = Pairloop().post("/ask", {"query": sys.argv[1]})
print(answer["answer"])
for passage in answer["contexts"]:
    if passage["number"] in answer["citations"]:
        print(f"[{passage['number']}] {passage['document']} {passage['heading']}")
