"""Starts the real app as a process of its own, as a person would."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.warm import WARM, Forked

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class AppProcess:
    """The app over a folder. ``stop()`` ends it as a server is ended, ``kill()`` as a power cut does."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PAIRLOOP_", "OPENAI_", "DATABASE_URL"))
        }
        self._environment = {
            **kept,
            "PAIRLOOP_HOME": str(home),
            "PAIRLOOP_PORT": str(self.port),
            "GRADIO_ANALYTICS_ENABLED": "False",
            **environment,
        }
        self.log = home.parent / f"{home.name}.log"
        self._process: subprocess.Popen | Forked | None = None

    @property
    def pid(self) -> int:
        """The process of the newest start."""
        return self._process.pid

    def start(self, timeout: float = 90) -> AppProcess:
        """Start and wait until the app answers."""
        self._process = self._begin()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"the app ended: {self.log.read_text()[-3000:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the app did not answer in {timeout} s: {self.log.read_text()[-3000:]}")

    def _begin(self) -> subprocess.Popen:
        with self.log.open("ab") as log:
            command = [sys.executable, "app.py"]
            return subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)

    def second(self, home: Path, port: int) -> subprocess.CompletedProcess:
        """Start another app over a folder and a port, and wait for its end."""
        environment = {**self._environment, "PAIRLOOP_HOME": str(home), "PAIRLOOP_PORT": str(port)}
        command = [sys.executable, "app.py"]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def stop(self, timeout: float = 15) -> int:
        """Send SIGTERM and return the exit status."""
        if self._process is None or self._process.poll() is not None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()
        self._process.wait(10)

    def __enter__(self) -> AppProcess:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


class QuickApp(AppProcess):
    """The same, forked from a process that has imported the app: takes the variables that the app reads, and no others."""

    def __init__(self, home: Path, **environment: str) -> None:
        own = ("PAIRLOOP_", "OPENAI_", "HF_TOKEN", "HF_ENDPOINT", "DATABASE_URL")
        assert all(name.startswith(own) for name in environment), environment
        super().__init__(home, **environment)

    def _begin(self) -> subprocess.Popen | Forked:
        return WARM.start(self._environment, self.log) if hasattr(os, "fork") else super()._begin()

    def second(self, home: Path, port: int) -> subprocess.CompletedProcess:
        """Start another app over a folder and a port, and wait for its end; what it writes is in one piece."""
        environment = {name: value for name, value in self._environment.items() if name.startswith("PAIRLOOP_")}
        other = QuickApp(home, **{**environment, "PAIRLOOP_HOME": str(home), "PAIRLOOP_PORT": str(port)})
        other.log = self.log.with_suffix(".second.log")
        other._process = other._begin()
        status = other._process.wait(60)
        return subprocess.CompletedProcess("app.py", status, stderr=other.log.read_text())
