"""A process that has imported the app and forks it on demand, for tests that need many apps: nine tenths of a start are imports.

As a program it takes one request per line, ``{"start": {...}}`` or ``{"poll": pid}``, and answers each with a line. What it has
forked ends with it, and it ends with the test process that began it. Only the environment variables that ``app.main`` reads may
differ from its own: libraries read theirs when they are imported. The Hub's library is told there not to measure its use, and
to send files in the plain way that the Hub of the tests knows.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Warm:
    """The other side of it: starts that process on first use, and asks it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()

    def start(self, environment: dict[str, str], log: Path) -> Forked:
        """Start an app whose output goes to the end of a file."""
        return Forked(self, self.ask({"start": {"environment": environment, "log": str(log)}}))

    def ask(self, request: object) -> int | None:
        """Send a request and return the answer."""
        with self._lock:
            if self._process is None:
                command = [sys.executable, "-m", "tests.warm"]
                pipe = subprocess.PIPE
                quiet = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
                self._process = subprocess.Popen(command, cwd=ROOT, env=quiet, stdin=pipe, stdout=pipe, text=True)
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


class Forked:
    """An app that was forked, with what :class:`subprocess.Popen` has."""

    def __init__(self, warm: Warm, pid: int) -> None:
        self._warm, self.pid = warm, pid
        self.returncode: int | None = None
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        # One at a time: what has ended can be asked about once.
        with self._asking:
            if self.returncode is None:
                self.returncode = self._warm.ask({"poll": self.pid})
            return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for the exit status."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("app.py", timeout)
            time.sleep(0.02)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to a process that was running a moment ago: until it is polled, its number is nobody else's."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


WARM = Warm()


def serve() -> None:
    """Answer requests until there are no more."""
    import app

    import_what_comes_late()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    running: set[int] = set()
    # Shared with what is forked, as long as nobody counts references to it anew.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            answer = os.fork()
            if answer == 0:
                answers.close()
                run(app.main, **request["start"])
            running.add(answer)
        else:
            done, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if done else None
            running -= {done}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def import_what_comes_late() -> None:
    """Import what the app imports on first use, which is at the start of every app with the example: 1.4 s of work."""
    import alembic.command  # noqa: F401

    from pipeline.documents.chunking import split_document
    from pipeline.records import Document

    # Brings the splitter with the vocabulary that it counts tokens with.
    split_document(Document("d", "late.md", "text/markdown", "", "One sentence. Another one."))


def run(main, environment: dict[str, str], log: str) -> None:
    """Be the app, and end with its exit status."""
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(file, number)
    sys.argv = ["app.py"]
    status = 1
    try:
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    finally:
        # Any other error is told as Python tells it, and never rises into the loop of the process that this one was forked from.
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        # As at the end of every Python: it waits for threads that are at work, and then does what was asked for at the end.
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
