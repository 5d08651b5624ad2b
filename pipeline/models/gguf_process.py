"""A process that holds one model file and serves it on the loopback address, for as long as the app runs."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from pipeline import environment
from pipeline.errors import ModelError

MISSING = (
    "Models in GGUF files need one more package: run pip install -c constraints.txt -e '.[local]' in the folder of "
    "Pairloop and start the app again."
)
STOPPING = "The app is stopping."
_END_SECONDS = 2.0
_ROOT = Path(__file__).resolve().parents[2]
_SERVE = "import sys; sys.path.insert(0, sys.argv[1]); from pipeline.models.local_server import main; main()"
_REASON = re.compile(r"error loading model: (.+)|(failed to allocate.*|.*out of memory.*)", re.IGNORECASE)


def installed() -> bool:
    """Say whether the extra package that loads model files is there."""
    return find_spec("xllamacpp") is not None


def threads() -> int:
    """Return how many threads a model may take: all cores but one, since its threads spin and the app needs a core."""
    return max(1, (os.cpu_count() or 2) - 1)


class ModelProcess:
    """A process that holds a model file; ``address`` is empty until it is loaded."""

    def __init__(self, file: str) -> None:
        self.file = self.name = file
        self.address = ""
        self.key = secrets.token_urlsafe(24)
        self.seconds = 0.0
        self.memory: int | None = None
        self.users = 0
        self.asked = 0
        self._process: subprocess.Popen[str] | None = None
        self._ended = False
        self._lock = threading.Lock()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process; gone with the object)

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def last_words(self) -> str:
        """Why it ended, in llama.cpp's own words where it left some."""
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, size - 20_000))
        found = _REASON.findall(self._words.read().decode("utf-8", "replace"))
        if found:
            return next(word for word in found[0] if word)[:300].strip()
        code = self._process.poll() if self._process else None
        return f"signal {-code}" if code is not None and code < 0 else f"status {code}"

    def start(self, path: Path, n_ctx: int) -> None:
        """Start the process and wait until the model is loaded.

        Raises:
            ModelError: the package is missing, or the file cannot be loaded.
        """
        if not installed():
            raise ModelError(MISSING)
        begun = time.perf_counter()
        with self._lock:
            if self._ended:
                raise ModelError(STOPPING)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _SERVE, str(_ROOT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                text=True,
                env=environment.for_models(online=False),
            )
        wanted = {"path": str(path), "name": "local", "key": self.key, "n_ctx": n_ctx, "threads": threads()}
        try:
            self._process.stdin.write(json.dumps(wanted) + "\n")
            self._process.stdin.flush()
            told = json.loads(self._process.stdout.readline() or "{}")
        except (OSError, ValueError):
            told = {}
        if "address" not in told:
            self.end()
            raise ModelError(f"{path.name} could not be loaded: {self.last_words}.")
        self.seconds, self.memory = time.perf_counter() - begun, told["memory"]
        self.address = told["address"]

    def end(self) -> None:
        """End the process: it goes when its standard input ends, and is killed if it does not within 2 s."""
        with self._lock:
            self._ended = True
        process = self._process
        if process is None:
            return
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
