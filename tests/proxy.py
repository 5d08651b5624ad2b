"""A real reverse proxy before replicas of the app: Caddy, with the Caddyfile of the guide."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.servers import ROOT, free_port

GUIDE = ROOT / "space" / "OPERATIONS.md"
# Who the guide's replicas are and where people reach them.
PUBLIC, REPLICAS = "feedback.acme.org {", "10.0.0.11:7860 10.0.0.12:7860 10.0.0.13:7860"


def guides_caddyfile(port: int, replicas: Sequence[str]) -> str:
    """Return the Caddyfile of the guide for a port of this machine and these replicas, each as host:port."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", GUIDE.read_text(encoding="utf-8"), re.M)
    (block,) = [block for block in blocks if PUBLIC in block]
    text = re.sub(r"^    ", "", block, flags=re.M)
    assert text.count(PUBLIC) == 1 and text.count(REPLICAS) == 1
    text = text.replace(PUBLIC, f"http://127.0.0.1:{port} {{").replace(REPLICAS, " ".join(replicas))
    # Of this test alone: no port for its administration, and nothing written down.
    return f"{{\n\tadmin off\n\tpersist_config off\n\tdefault_bind 127.0.0.1\n}}\n{text}"


class Caddy:
    """Caddy as a process of its own; ``replicas`` are the addresses it leads to."""

    def __init__(self, folder: Path, replicas: Sequence[str], port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._file = folder / "Caddyfile"
        self._file.write_text(guides_caddyfile(self.port, replicas), encoding="utf-8")
        self.log = folder / "caddy.log"

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def __enter__(self) -> Caddy:
        program = Path(sysconfig.get_path("scripts")) / "caddy"
        command = [program, "run", "--config", self._file, "--adapter", "caddyfile"]
        environment = {**os.environ, "HOME": str(self._folder), "XDG_DATA_HOME": str(self._folder)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            try:
                urllib.request.urlopen(f"{self.url}/healthz", timeout=5).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"Caddy does not answer: {self.log.read_text()[-3000:]}")

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait(10)
