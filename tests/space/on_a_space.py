"""Runs what would be published as a Space does: in a clean folder, under its environment, with a home that cannot be written."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from space.files import space_files
from tests.servers import free_port

PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
TOKEN = "hf_write_token"


class SpaceProcess:
    """A Space. Each start gets a new disk, as a restarted Space does; ``folder`` has the files, for all starts the same."""

    def __init__(self, folder: Path, hub: str, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        self._folder, self._hub, self._more = folder, hub, environment
        self._process: subprocess.Popen | None = None
        self._starts = 0
        if not (folder / "app").exists():
            lay_out(folder / "app", space_files())
            (folder / "home").mkdir(mode=0o555)

    @property
    def pid(self) -> int:
        """The process of the newest start."""
        return self._process.pid

    @property
    def home(self) -> Path:
        """The home of its user, which cannot be written."""
        return self._folder / "home"

    @property
    def disk(self) -> Path:
        """The folder for temporary files of the newest start."""
        return self._folder / f"tmp{self._starts}"

    def start(self, **environment: str) -> SpaceProcess:
        """Start on a new disk and wait until it answers."""
        self._starts += 1
        self.disk.mkdir()
        told = {
            "SYSTEM": "spaces",
            "SPACE_ID": "team/pairloop",
            "SPACE_AUTHOR_NAME": "team",
            "SPACE_REPO_NAME": "pairloop",
            "SPACE_TITLE": "Pairloop",
            "SPACE_HOST": "team-pairloop.hf.space",
            "CPU_CORES": "2",
            "MEMORY": "16Gi",
            "ACCELERATOR": "none",
            "HOME": str(self.home),
            "TMPDIR": str(self.disk),
            "PATH": os.environ["PATH"],
            # Without the project's own folder, which the virtual environment knows of through a .pth file.
            "PYTHONPATH": sysconfig.get_paths()["purelib"],
            "PYTHONUNBUFFERED": "1",
            "HF_TOKEN": TOKEN,
            "HF_ENDPOINT": self._hub,
            "PAIRLOOP_PORT": str(self.port),
            # How people get in has tests of its own.
            "PAIRLOOP_SIGN_IN": "open",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "space_app.py"],
                cwd=self._folder / "app",
                env={**told, **self._more, **environment},
                stdout=log,
                stderr=log,
                preexec_fn=without_privileges,
            )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                    if answer.read() == b"ok":
                        return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.log.read_text()[-3000:])

    def stop(self) -> float:
        """Tell it to stop, as a Space that restarts does; return in how many seconds it ended."""
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(20) == 0
        return time.monotonic() - begun

    def __enter__(self) -> SpaceProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


def lay_out(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder that then nobody can write."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o444)
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        path.chmod(0o555)


def without_privileges() -> None:
    """Take root's privileges from what is started: it cannot write what its permissions forbid, like every other user."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for number in range(64):
            if libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1:
                libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)


class Device:
    """The address that ZeroGPU gives a Space for asking for a device: it notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        device = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                device.asked.append(f"{self.command} {self.path}")
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
