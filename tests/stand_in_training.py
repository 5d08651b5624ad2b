"""In place of the training process, for tests of what is around it: it locks, tells and ends like it, without torch.

Its first argument says how it goes: "quick" ends well, "fails" does not, "stubborn" trains for a minute, with a child of its
own, and takes no request to end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from filelock import FileLock


def main() -> None:
    way, folder = sys.argv[1], Path(sys.argv[2])
    with FileLock(folder / "lock"), (folder / "events.jsonl").open("a") as events:
        job = json.loads((folder / "job.json").read_text())
        child = None
        if way == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        write(folder / "process.json", {"pid": os.getpid(), "child": child and child.pid})
        for step in range(1, 4):
            told = {"kind": "loss", "text": "train", "step": step, "value": 2.0 / step, "at": time.time()}
            events.write(json.dumps(told) + "\n")
            events.flush()
        if way == "stubborn":
            time.sleep(60)
        if way == "fails":
            write(folder / "result.json", {"state": "failed", "error": "The weights are those of another model."})
            sys.exit(1)
        shutil.copy(job["gguf"], folder / "tuned.gguf")
        metrics = {"tokens": 1000.0, "parameters": 100_000, "train_seconds": 2.0, "loss": 1.0}
        write(folder / "result.json", {"state": "done", "metrics": metrics})


def write(path: Path, content: dict) -> None:
    path.with_suffix(".part").write_text(json.dumps(content))
    path.with_suffix(".part").replace(path)


if __name__ == "__main__":
    main()
