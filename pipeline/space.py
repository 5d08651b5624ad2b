"""What a Hugging Face Space tells a process about itself, and the defaults that follow from it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path


def space_name(environment: Mapping[str, str]) -> str:
    """Return ``owner/name`` of the Space that this environment is of, or "" elsewhere.

    The name alone may stand in anybody's environment; a Space also has an address, or says that it is one.
    """
    there = environment.get("SYSTEM") == "spaces" or environment.get("SPACE_HOST", "")
    return environment.get("SPACE_ID", "").strip() if there else ""


def space_defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what settings are on a Space where nobody set them; nothing elsewhere."""
    name = space_name(environment)
    if not name:
        return {}
    # The disk of a Space is lost with every restart, and its home may not be writable: a folder that always is. Not a mounted
    # volume: SQLite must not live there.
    found = {"PAIRLOOP_HOST": "0.0.0.0", "PAIRLOOP_HOME": str(Path(tempfile.gettempdir()) / "pairloop")}
    # Somebody who duplicates the Space sets a token and nothing else. The name follows from that of their Space, and never
    # leads to the repo of the one that was duplicated.
    if environment.get("HF_TOKEN", "").strip():
        owner, _, called = name.partition("/")
        owner = environment.get("SPACE_AUTHOR_NAME", "").strip() or owner
        called = environment.get("SPACE_REPO_NAME", "").strip() or called
        found["PAIRLOOP_DATASET_REPO"] = f"{owner}/{called}-data"
    return found
