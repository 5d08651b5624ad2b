"""What is typed behind the name of the app in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipeline.version import VERSION

START, MOVE_STORE = "", "move-store"
USAGE = """\
pairloop             starts the app; its settings are environment variables, which README.md lists
pairloop move-store  moves the workspace from its SQLite file to the PostgreSQL of DATABASE_URL, while no app runs
pairloop --version   says which version this is"""


def command(words: Sequence[str]) -> str:
    """Return which command was typed, or end the process: with what was asked for, or since there is no such command."""
    typed = " ".join(words)
    if typed in ("--help", "-h", "--version"):
        print(VERSION if typed == "--version" else USAGE)
        sys.exit()
    if list(words) not in ([], [MOVE_STORE]):
        # A command that was mistyped must not begin to write into a folder.
        sys.exit(f"There is no command {typed!r}.\n{USAGE}")
    return typed
