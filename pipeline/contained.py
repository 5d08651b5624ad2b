"""Work on files that strangers made, in a process of its own: with an end to its time and its memory, whatever the file does.

It is a wall against a file that never ends or fills the memory of the app, none against a reader that somebody takes over.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import environment, errors
from pipeline.errors import PipelineError

_ROOT = Path(__file__).resolve().parents[1]
_BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from pipeline.contained import main; main(sys.argv[2:])"
# Of an own process that has no memory left, or too much to say.
_TOO_MUCH = 3
# Each may take as much memory as it is allowed.
_ROOM = threading.BoundedSemaphore(2)
# So many pieces of work has a process; then whoever waits for room has a turn.
_AT_MOST = 20
# Before each answer stands how many bytes it has.
_SIZE = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many seconds a piece of work may take, how many bytes of memory, and how many bytes of answer."""

    seconds: float = 180.0
    memory: int = 2_000_000_000
    answer: int = 400_000_000


BOUNDS = Bounds()


class OutOfBoundsError(Exception):
    """The work was ended, ``late`` where it took too long; ``why`` completes the sentence "it …"."""

    def __init__(self, why: str, late: bool = False) -> None:
        super().__init__(why)
        self.why, self.late = why, late


def contained(work: str, *arguments: str, bounds: Bounds = BOUNDS) -> object:
    """Return what ``work``, a function as ``module:name``, makes of texts, in a process of its own.

    Raises:
        PipelineError: the work raised it.
        OutOfBoundsError: it took too long or too much, or broke down.
    """
    with Worker(bounds) as worker:
        return worker.do(work, *arguments)


class Worker:
    """A process of its own for several pieces of work, one after another: to begin one takes longer than most of them.

    It begins with the first of them, and ends with the block, or with the app, however that ends. For one thread.
    """

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._process: subprocess.Popen[bytes] | None = None
        self._done = 0

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_) -> None:
        self._end()

    def do(self, work: str, *arguments: str) -> object:
        """Return what a piece of work makes of texts, as :func:`contained` does."""
        if self._done >= _AT_MOST:
            self._end()
        alone = self._process is None
        try:
            written = self._asked(work, arguments)
        except OutOfBoundsError as error:
            self._end()
            if alone or error.late:
                raise
            # It may be what was done before that has left no room for this.
            return self.do(work, *arguments)
        kind, *said = pickle.loads(written)
        if kind:
            raise getattr(errors, kind, PipelineError)(*said)
        return said[0]

    def _asked(self, work: str, arguments: Sequence[str]) -> bytes:
        if self._process is None:
            self._begin()
        process, late = self._process, threading.Event()
        self._done += 1

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._bounds.seconds, end)
        timer.daemon = True
        timer.start()
        try:
            # Names of files may be what no argument of a process can be. Where it has ended, the answer says so.
            with suppress(OSError):
                process.stdin.write(json.dumps([work, *arguments]).encode() + b"\n")
                process.stdin.flush()
            size = process.stdout.read(_SIZE)
            wanted = int.from_bytes(size, "big")
            written = process.stdout.read(wanted) if len(size) == _SIZE and wanted <= self._bounds.answer else b""
        finally:
            timer.cancel()
        if not written or len(written) < wanted:
            raise self._why(process, late.is_set())
        return written

    def _why(self, process: subprocess.Popen[bytes], late: bool) -> OutOfBoundsError:
        bounds = self._bounds
        if late:
            return OutOfBoundsError(f"takes longer than {bounds.seconds:g} s to read", late=True)
        # Its output has ended, so that it ends in a moment.
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.returncode == _TOO_MUCH or (process.returncode or -1) < 0:
            return OutOfBoundsError(f"takes more than {bounds.memory / 1e6:,.0f} MB of memory, or too long, to read")
        return OutOfBoundsError("cannot be read: its reader broke down over it")

    def _begin(self) -> None:
        bounds = self._bounds
        told = [str(_ROOT), str(int(bounds.seconds) + 1), str(bounds.memory), str(bounds.answer)]
        _ROOM.acquire()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BEGIN, *told],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment.for_files(),
            )
            self._done = 0
        finally:
            if self._process is None:
                _ROOM.release()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.kill()
            with suppress(OSError):
                process.stdin.close()
            process.stdout.close()
            process.wait()
        finally:
            _ROOM.release()


def main(told: list[str]) -> None:
    """Do the work of this process, piece by piece, and write what comes of each, until nobody asks any more."""
    seconds, memory, most = map(int, told)
    asked = _asked_for()
    _limit_memory(memory)
    # What a library prints is no part of the answer.
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        try:
            while True:
                _limit_time(int(time.process_time()) + seconds)
                work, *arguments = json.loads(asked.get())
                written = pickle.dumps(_done(work, arguments))
                if len(written) > most:
                    os._exit(_TOO_MUCH)
                answer.write(len(written).to_bytes(_SIZE, "big") + written)
                answer.flush()
        except MemoryError:
            os._exit(_TOO_MUCH)
        finally:
            # Python would wait for the thread that listens.
            os._exit(1)


def _asked_for() -> queue.SimpleQueue[bytes]:
    """Return what is asked of this process; it ends as soon as nobody is there any more who could ask."""
    asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            asked.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return asked


def _done(work: str, arguments: Sequence[str]) -> tuple[str, object]:
    module, _, name = work.partition(":")
    try:
        return "", getattr(importlib.import_module(module), name)(*arguments)
    except PipelineError as error:
        return type(error).__name__, str(error)


def _limit_memory(memory: int) -> None:
    """Set an end to the memory that this process may take, as far as the system knows one."""
    with suppress(ImportError):
        import resource

        # Allocators reserve addresses that they never use.
        for kind, most in (
            (resource.RLIMIT_DATA, memory), (resource.RLIMIT_AS, 4 * memory), (resource.RLIMIT_CORE, 0)
        ):  # fmt: skip
            with suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most))


def _limit_time(seconds: int) -> None:
    """Set an end to the time that this process may work, in all: it is moved on with each piece of work."""
    with suppress(ImportError):
        import resource

        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
