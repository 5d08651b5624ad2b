"""Writes ``space/requirements.txt`` from what is installed and locked: ``python -m space.requirements``.

A Space installs it first, and then ``gradio[oauth]==sdk_version spaces`` (some builds: ``gradio[oauth,mcp]``) in a second step,
which may change what the first installed. So these are in it with versions that the second step leaves as they are.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "space" / "requirements.txt"
# What a Space's build installs beside the requirements.
OF_SPACE = ("gradio[oauth]", "spaces")
# gradio's extra "mcp" takes no newer one, and the app runs with it as well. Everything else is as in constraints.txt.
OLDER = {"pydantic": "2.12.5", "pydantic-core": "2.41.5"}
# pip freeze does not name it; every Python has one, and pip takes care of it where it has not.
UNLOCKED = {"setuptools"}
HEAD = """\
# What the app needs, as locked in constraints.txt, and what a Space's build adds. Made by: python -m space.requirements
# pydantic is older than there: gradio[mcp], which some builds ask for, takes no newer one.
"""


def requirements(root: Path = ROOT) -> str:
    """Return the content of the file: everything that the app's dependencies need, each with its locked version."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = versions((root / "constraints.txt").read_text(encoding="utf-8"))
    wanted = [Requirement(line) for line in (*project["dependencies"], *OF_SPACE)]
    names = sorted(_all(wanted) - UNLOCKED)
    return HEAD + "".join(f"{name}=={OLDER.get(name) or locked[name]}\n" for name in names)


def versions(constraints: str) -> dict[str, str]:
    """Return the locked versions by name, as names are compared."""
    found = re.findall(r"^([\w.-]+)==(\S+)$", constraints, re.M)
    return {canonicalize_name(name): version for name, version in found}


def _all(wanted: list[Requirement]) -> set[str]:
    """Return the names of these packages and of all that they need here, extras included."""
    seen: set[tuple[str, str]] = set()
    left = [(canonicalize_name(one.name), extra) for one in wanted for extra in ("", *one.extras)]
    while left:
        one = left.pop()
        if one not in seen:
            seen.add(one)
            left += _needs(*one)
    return {name for name, _ in seen}


def _needs(name: str, extra: str) -> Iterator[tuple[str, str]]:
    for line in metadata.requires(name) or ():
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            yield from ((canonicalize_name(needed.name), each) for each in ("", *needed.extras))


if __name__ == "__main__":
    FILE.write_text(requirements(), encoding="utf-8")
