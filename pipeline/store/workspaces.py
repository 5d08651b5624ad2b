"""The workspaces of a server beside its main one, in whose store they are: which there are, and nothing of what is in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import select

from pipeline.errors import RecordError
from pipeline.records import id_of
from pipeline.store.engine import Database
from pipeline.store.rows import change, now, put
from pipeline.store.schema import workspaces

LONGEST_SLUG = 32
TAKEN = "Another workspace of this server is kept in {}: each needs a repo of its own."
# Below which folder of the main workspace the others have theirs.
FOLDER = "workspaces"
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])")
_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace beside the main one. ``slug`` is its word in addresses, ``closed_at`` is None while it is served."""

    id: str
    slug: str
    name: str
    dataset_repo: str
    example: bool
    member_id: str
    created_at: float
    closed_at: float | None


def is_slug(text: str) -> bool:
    """Say whether a text can be a workspace's word in addresses: 2 to 32 of a-z, 0-9 and hyphens between them."""
    return _SLUG.fullmatch(text) is not None


def schema_of(slug: str) -> str:
    """Return what the name of a workspace's schema ends with, where its store is in the same database as the main one."""
    # Hyphens are in no name that PostgreSQL takes without quotes, and low lines in none of ours.
    return f"w_{slug.replace('-', '_')}"


class WorkspaceStore:
    """Rows of ``workspaces``. One word is one row for ever, whoever makes it: no workspace ever gets another one's address."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, slug: str, name: str, dataset_repo: str, example: bool, member_id: str) -> Workspace:
        """Store a new workspace.

        Raises:
            RecordError: its word was given away before, or another workspace is kept in its dataset repo.
        """
        made = Workspace(_id(slug), slug, name, dataset_repo, example, member_id, now(), None)
        with self._db.write() as connection:
            if connection.scalar(select(workspaces.c.id).where(workspaces.c.id == made.id)) is not None:
                raise RecordError(f"There is, or was, a workspace at {slug}: choose another address.")
            # Two stores in one repo would become one.
            repos = connection.scalars(select(workspaces.c.dataset_repo)).all() if dataset_repo else ()
            if dataset_repo.casefold() in (repo.casefold() for repo in repos):
                raise RecordError(TAKEN.format(dataset_repo))
            put(connection, workspaces, [{field: getattr(made, field) for field in Workspace.__slots__}])
        return made

    def set_closed(self, workspace_id: str, closed: bool) -> None:
        """Store that a workspace is served no more, or again.

        Raises:
            NotFoundError: there is no such workspace.
        """
        with self._db.write() as connection:
            change(connection, workspaces, workspace_id, closed_at=now() if closed else None)

    def all(self) -> list[Workspace]:
        """Return every workspace, in the order in which they were made, also those that are closed."""
        with self._db.read() as connection:
            rows = connection.execute(select(workspaces).order_by(workspaces.c.created_at, workspaces.c.id)).mappings()
            found = [Workspace(**{field: row[field] for field in Workspace.__slots__}) for row in rows]
        return [one for one in found if _is_sound(one)]

    def version(self) -> tuple[int, ...]:
        """Return what differs when something of it was changed."""
        return self._db.version(workspaces)


def _id(slug: str) -> str:
    return id_of("workspace", slug)


def _is_sound(found: Workspace) -> bool:
    """Say whether a row is one of ours: it may come from a dataset repo, and folders are called after its word."""
    repo_fits = not found.dataset_repo or _REPO.fullmatch(found.dataset_repo) is not None
    return is_slug(found.slug) and found.id == _id(found.slug) and repo_fits
