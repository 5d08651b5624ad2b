"""What one more workspace costs a server: memory and seconds, ``python -m tests.bench.workspaces [how many]``.

Each is made over an empty folder, with its page loaded, as by its first visitor.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import psutil

from tests.sites import ServedSite
from tests.workspace import open_workspace

MANY = 24
MB = 1_000_000


def memory() -> float:
    """Return the megabytes that this process has to itself."""
    gc.collect()
    return psutil.Process().memory_full_info().uss / MB


def visit(url: str, slug: str) -> float:
    """Load the page of a workspace, as its first visitor does; return the seconds until it was there."""
    with httpx2.Client(base_url=f"{url}/w/{slug}", timeout=60, headers={"Accept": "text/html"}) as client:
        begun = time.perf_counter()
        page = client.get("/")
        seconds = time.perf_counter() - begun
        assert page.status_code == 200, page.text[:300]
        client.get("/config")
        client.get("/backup")
    return seconds


def main() -> None:
    """Open so many workspaces one after another, and tell what each took."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with tempfile.TemporaryDirectory() as folder:
        site = ServedSite(open_workspace(Path(folder) / "home"))
        me = site.services.store.members.by_token("a" * 64)
        with httpx2.Client(base_url=site.url, timeout=60) as client:
            client.get("/")
        at, first = memory(), memory()
        rows = []
        for number in range(1, many + 1):
            begun, worked = time.perf_counter(), time.process_time()
            site.make(me, f"Workspace {number}")
            opened, worked = time.perf_counter() - begun, time.process_time() - worked
            page = visit(site.url, f"workspace-{number}")
            now = memory()
            rows.append((now - at, opened, worked, page))
            at = now
        threads = psutil.Process().num_threads()
        begun = time.perf_counter()
        site.close()
        closed = time.perf_counter() - begun
    grown, opened, worked, page = (statistics.median(values) for values in zip(*rows, strict=True))
    print(f"processors {os.cpu_count()} · main workspace alone {first:.0f} MB")
    print(
        f"one more workspace: {grown:.1f} MB, open in {opened:.2f} s ({worked:.2f} s of a processor), first page in "
        f"{1000 * page:.0f} ms; medians of {many}"
    )
    print(f"{many} workspaces: {at:.0f} MB, {threads} threads, all closed in {closed:.1f} s")


if __name__ == "__main__":
    main()
