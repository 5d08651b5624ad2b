"""Cold start to the first HTTP 200, beside a bare Gradio app with three components: ``python -m tests.bench.start``.

Also as a Space starts: the published files, nothing compiled before, a new disk, everything from the dataset repo on a loopback
Hub; and beside that the bare app in the same environment.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tests.hub_server import HubServer
from tests.servers import AppProcess, free_port
from tests.space.on_a_space import SpaceProcess

ROUNDS = 5
BARE = """
import gradio as gr, sys
with gr.Blocks() as demo:
    text, button, out = gr.Textbox(), gr.Button(), gr.Markdown()
    button.click(lambda value: value, text, out)
demo.launch(server_port=int(sys.argv[1]), quiet=True)
"""


class Start(NamedTuple):
    """A start: seconds by the clock, and seconds that a processor worked."""

    seconds: float
    work: float


def middle(starts: list[Start]) -> Start:
    """Return the medians."""
    return Start(*(statistics.median(values) for values in zip(*starts, strict=True)))


def first_page(url: str) -> None:
    """Wait until the page itself is answered."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.02)


def worked(pid: int) -> float:
    """Return how many seconds of a processor a process has used, where the system tells: other work does not change that."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return float("nan")
    return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def bare(**environment: str) -> Start:
    """Start the bare app once."""
    port = free_port()
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", BARE, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    first_page(f"http://127.0.0.1:{port}/")
    found = Start(time.perf_counter() - begun, worked(process.pid))
    process.kill()
    process.wait()
    return found


def pairloop(home: Path) -> Start:
    """Start Pairloop once over a folder."""
    app = AppProcess(home)
    begun = time.perf_counter()
    with app:
        first_page(app.url + "/")
        return Start(time.perf_counter() - begun, worked(app.pid))


def on_a_space(space: SpaceProcess) -> Start:
    """Start the app as a Space does, once, to its own first page, after the one that tells of the restore."""
    begun = time.perf_counter()
    space.start()
    first_page(space.url + "/")
    found = Start(time.perf_counter() - begun, worked(space.pid))
    space.stop()
    return found


INDEXING = """
import sys, time
from pathlib import Path
from tests.workspace import open_workspace
services = open_workspace(Path(sys.argv[1]))
begun = time.perf_counter()
services.example.add()
print(time.perf_counter() - begun)
services.close()
"""


def indexing(home: Path) -> float:
    """Take in the example in a process of its own; return seconds, imports included."""
    command = [sys.executable, "-c", INDEXING, str(home)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print medians and ratios of alternating runs."""
    names = ("bare gradio", "first start, with the example", "later start", "first start of a Space", "restarted Space")
    rows: dict[str, list[Start]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        bare()
        for number in range(ROUNDS):
            rows["bare gradio"].append(bare())
            home = Path(folder) / f"home{number}"
            rows["first start, with the example"].append(pairloop(home))
            rows["later start"].append(pairloop(home))
            (place := Path(folder) / f"space{number}").mkdir()
            with HubServer() as hub, SpaceProcess(place, hub.url) as space:
                rows["first start of a Space"].append(on_a_space(space))
                rows["restarted Space"].append(on_a_space(space))
    base = middle(rows["bare gradio"])
    for name, starts in rows.items():
        here, seconds = middle(starts), [start.seconds for start in starts]
        print(
            f"{name:32} {here.seconds:5.2f} s  {here.seconds / base.seconds:4.2f} x  ({min(seconds):.2f} to {max(seconds):.2f})"
            f"  processor {here.work:5.2f} s  {here.work / base.work:4.2f} x"
        )
    with tempfile.TemporaryDirectory() as folder:
        taken = [indexing(Path(folder) / f"home{number}") for number in range(ROUNDS)]
    print(f"taking in the example            {statistics.median(taken):5.2f} s  ({min(taken):.2f} to {max(taken):.2f})")


if __name__ == "__main__":
    main()
