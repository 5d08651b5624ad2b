"""Cold start to the first HTTP 200, beside a bare Gradio app with three components: ``python -m tests.bench.start``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.servers import AppProcess, free_port

ROUNDS = 5
BARE = """
import gradio as gr, sys
with gr.Blocks() as demo:
    text, button, out = gr.Textbox(), gr.Button(), gr.Markdown()
    button.click(lambda value: value, text, out)
demo.launch(server_port=int(sys.argv[1]), quiet=True)
"""


def first_page(url: str) -> None:
    """Wait until the page itself is answered."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.02)


def bare() -> float:
    """Start the bare app once; return seconds."""
    port = free_port()
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", BARE, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    first_page(f"http://127.0.0.1:{port}/")
    seconds = time.perf_counter() - begun
    process.kill()
    process.wait()
    return seconds


def pairloop(home: Path) -> float:
    """Start Pairloop once over a folder; return seconds."""
    app = AppProcess(home)
    begun = time.perf_counter()
    with app:
        first_page(app.url + "/")
        return time.perf_counter() - begun


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
    rows: dict[str, list[float]] = {"bare gradio": [], "first start, with the example": [], "later start": []}
    with tempfile.TemporaryDirectory() as folder:
        bare()
        for number in range(ROUNDS):
            rows["bare gradio"].append(bare())
            home = Path(folder) / f"home{number}"
            rows["first start, with the example"].append(pairloop(home))
            rows["later start"].append(pairloop(home))
    base = statistics.median(rows["bare gradio"])
    for name, seconds in rows.items():
        middle = statistics.median(seconds)
        print(f"{name:32} {middle:5.2f} s  {middle / base:4.2f} x  ({min(seconds):.2f} to {max(seconds):.2f})")
    with tempfile.TemporaryDirectory() as folder:
        taken = [indexing(Path(folder) / f"home{number}") for number in range(ROUNDS)]
    print(f"taking in the example            {statistics.median(taken):5.2f} s  ({min(taken):.2f} to {max(taken):.2f})")


if __name__ == "__main__":
    main()
