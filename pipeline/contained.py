"""Work on files that strangers made, in a process of its own: with an end to its time and its memory, whatever the file does.

It is a wall against a file that never ends or fills the memory of the app, none against a reader that somebody takes over.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import errors
from pipeline.errors import PipelineError

_ROOT = Path(__file__).resolve().parents[1]
_BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from pipeline.contained import main; main(sys.argv[2:])"
# Of an own process that has no memory left, or too much to say.
_TOO_MUCH = 3
# Each may take as much memory as it is allowed.
_ROOM = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many seconds the work may take, how many bytes of memory, and how many bytes of answer."""

    seconds: float = 180.0
    memory: int = 2_000_000_000
    answer: int = 400_000_000


BOUNDS = Bounds()


class OutOfBoundsError(Exception):
    """The work was ended; ``why`` completes the sentence "it …"."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def contained(work: str, *arguments: str, bounds: Bounds = BOUNDS) -> object:
    """Return what ``work``, a function as ``module:name``, makes of texts, in a process of its own.

    Raises:
        PipelineError: the work raised it.
        OutOfBoundsError: it took too long or too much, or broke down.
    """
    told = [str(_ROOT), work, str(int(bounds.seconds) + 1), str(bounds.memory), str(bounds.answer)]
    with _ROOM:
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", _BEGIN, *told],
                # Names of files may be what no argument of a process can be.
                input=json.dumps(arguments).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=bounds.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OutOfBoundsError(f"takes longer than {bounds.seconds:g} s to read") from error
    if done.returncode < 0 or done.returncode == _TOO_MUCH:
        raise OutOfBoundsError(f"takes more than {bounds.memory / 1e6:,.0f} MB of memory, or too long, to read")
    if done.returncode:
        raise OutOfBoundsError("cannot be read: its reader broke down over it")
    kind, *said = pickle.loads(done.stdout)
    if kind:
        raise getattr(errors, kind)(*said)
    return said[0]


def main(told: list[str]) -> None:
    """Do the work of this process, write what came of it, and end."""
    work, seconds, memory, most = told
    arguments = json.load(sys.stdin)
    _limit(int(seconds), int(memory))
    # What a library prints is no part of the answer.
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        module, _, name = work.partition(":")
        try:
            try:
                said = ("", getattr(importlib.import_module(module), name)(*arguments))
            except PipelineError as error:
                said = (type(error).__name__, str(error))
            written = pickle.dumps(said)
        except MemoryError:
            os._exit(_TOO_MUCH)
        if len(written) > int(most):
            os._exit(_TOO_MUCH)
        answer.write(written)


def _limit(seconds: int, memory: int) -> None:
    """Set an end to what this process may take, as far as the system knows one."""
    with suppress(ImportError):
        import resource

        # Allocators reserve addresses that they never use.
        bounds = {resource.RLIMIT_CPU: seconds, resource.RLIMIT_DATA: memory, resource.RLIMIT_AS: 4 * memory}
        for kind, most in {**bounds, resource.RLIMIT_CORE: 0}.items():
            with suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most))
