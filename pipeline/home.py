"""The folder of a workspace belongs to one process at a time."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import SettingsError
from pipeline.ulid import fresh, is_ulid


def claim(folder: Path) -> FileLock:
    """Claim ``folder``, made as needed, until the lock is released or the process ends, however it ends.

    Raises:
        SettingsError: the folder cannot be used, or another process has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Whoever releases it may be another thread than the one that opened the workspace.
        lock = FileLock(folder / "pairloop.lock", thread_local=False)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise SettingsError(
            f"Another Pairloop is using {folder}: stop it, or set PAIRLOOP_HOME to another folder."
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be used ({error.strerror}): set PAIRLOOP_HOME to another folder."
        ) from error
    return lock


def replica_of(folder: Path) -> str:
    """Return the id of whoever works in this folder, which nobody else has at the same time; made at first sight."""
    file = folder / "replica"
    known = file.read_text("utf-8").strip() if file.is_file() else ""
    if not is_ulid(known):
        known = fresh()
        keep_replica(folder, known)
    return known


def keep_replica(folder: Path, replica: str) -> None:
    """Let whoever works in this folder have an id from now on."""
    (folder / "replica").write_text(replica, "utf-8")
