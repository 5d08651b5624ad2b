"""Answer the records of a dataset in a terminal: python annotate.py "My dataset".

Each question is answered by a line of text, or a number for a rating; an empty line keeps what is suggested.
"""

import json
import sys
import time

from pairloop_api import Pairloop, new_token

pairloop, dataset = Pairloop(), sys.argv[1]
while record := pairloop.get(f"/datasets/{dataset}/next")["record"]:
    begun, values = time.monotonic(), dict(record["values"])
    print(f"\nRecord {record['number']} of {record['total']}")
    print(json.dumps(record["fields"], indent=1, ensure_ascii=False))
    for question in record["questions"]:
        typed = input(f"{question.get('title') or question['name']} [{values.get(question['name'], '')}] ")
        if typed:
            values[question["name"]] = int(typed) if question["type"] == "rating" else typed
    response = {"status": "submitted", "values": values, "seconds": time.monotonic() - begun, "token": new_token()}
    done = pairloop.post(f"/records/{record['id']}/response", response)
    print(f"Submitted. {done['progress']['pending']} to go.")
print("Nothing waits for you.")
