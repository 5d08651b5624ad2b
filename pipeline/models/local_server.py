"""The process that holds a model file: xllamacpp's OpenAI-compatible server on the loopback address.

A process of its own, because xllamacpp loads a model without letting any other thread of Python run (1.4 s for 98 MB on two
cores; the app would stand still for as long), because llama.cpp ends the whole process where a file breaks one of its
assumptions, and because all memory comes back when the process ends.

It reads one line of JSON from standard input, answers with one on standard output, and ends when standard input ends:
so it never outlives the app, however that ended.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """Load the model that standard input names and serve it until standard input ends."""
    wanted = json.loads(sys.stdin.readline())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever the library prints goes where its messages go, not between our lines.
    os.dup2(2, 1)
    start = time.perf_counter()
    try:
        server = _load(wanted)
    except RuntimeError as error:
        answers.write(json.dumps({"error": str(error)}) + "\n")
        answers.flush()
        sys.exit(1)
    told = {"address": server.listening_address, "seconds": time.perf_counter() - start, "memory": _memory()}
    answers.write(json.dumps(told) + "\n")
    answers.flush()
    sys.stdin.read()
    # Without a wait for answers that are still being written: nobody is there to read them.
    os._exit(0)


def _load(wanted: dict[str, object]) -> object:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(wanted["path"])
    params.model_alias = {str(wanted["name"])}
    params.api_keys = [str(wanted["key"])]
    params.n_ctx = int(wanted["n_ctx"])
    # One answer at a time has all of the context; on a few cores several at once would only be slower each.
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(wanted["threads"])
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.offline = True
    params.verbosity = 1
    return xllamacpp.Server(params)


def _memory() -> int | None:
    """Return how many bytes this process takes, or None where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024
    except (OSError, StopIteration):
        return None
