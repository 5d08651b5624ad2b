"""The workspaces of a server: the main one, and those beside it that its owners make.

Each has a store, people, sign-ins, tokens, documents, models and a dataset repo of its own, as if it had a server of its own.
What they share is the process and the keys of its environment. Nothing here reaches into another workspace.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Protocol

from pipeline.activity import ActivityLog
from pipeline.cleaning import clean
from pipeline.errors import AccessError, RecordError
from pipeline.people import PeopleDesk
from pipeline.records import Role
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.workspaces import FOLDER, LONGEST_SLUG, TAKEN, Workspace, is_slug, schema_of

MAX_NAME = 60
# A repo of the Hub is called so at most, without its owner.
MAX_REPO = 96
# Below which addresses of a server its other workspaces are.
PREFIX = "/w/"
UNNAMED = "Main workspace"
# Each takes memory and threads of the process, whether anybody is in it or not.
MOST = 50


@dataclass(frozen=True, slots=True)
class Standing:
    """How a workspace stands: "open", "opening", "closed" or "failed", with the reason; how many people it has, where known."""

    word: str
    problem: str = ""
    people: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace that a browser may go to. ``here`` says that it is the one that was asked."""

    name: str
    address: str
    here: bool


class Host(Protocol):
    """What serves the workspaces."""

    def standing(self, workspace: Workspace) -> Standing:
        """Say how a workspace stands at this moment."""

    def owner_code(self, workspace: Workspace) -> str:
        """Return the code for the first owner of a workspace, once it is open; "" where it needs none, or has an owner.

        Raises:
            RecordError: it cannot be opened, or not yet.
        """

    def again(self, workspace: Workspace) -> None:
        """Try once more to open a workspace that could not be."""

    def places(self, cookies: str, secure: bool, here: str) -> list[Place]:
        """Return the workspaces that a browser with these cookies is signed in to."""


class WorkspaceDesk:
    """Makes, closes and lists workspaces for owners of the main one. In the others it does nothing of that."""

    def __init__(self, store: Store, settings: Settings, people: PeopleDesk, activity: ActivityLog) -> None:
        self._store = store
        self._settings = settings
        self._people = people
        self._activity = activity
        # Whatever serves this workspace says so; nothing does where only the pipeline is used.
        self.host: Host | None = None

    @property
    def main(self) -> bool:
        """Whether this is the main workspace."""
        return not self._settings.entry.workspace

    def all(self) -> list[Workspace]:
        """Return the workspaces beside the main one, also those that are closed."""
        return self._store.workspaces.all() if self.main else []

    def version(self) -> tuple[int, ...]:
        """Return what differs when one was made, closed or opened again."""
        return self._store.workspaces.version()

    def create(
        self, actor: str, name: str, slug: str = "", dataset_repo: str | None = None, example: bool = False
    ) -> Workspace:
        """Make a workspace. Without a ``slug`` it is made of the name; without a repo it gets the usual one, "" is none.

        Raises:
            AccessError: the actor is no owner of the main workspace.
            RecordError: the name, the address or the repo cannot be used, or there are as many as a server may have.
        """
        self._check(actor)
        self._check_room()
        name = " ".join(clean(str(name or "")).split())
        if not 1 <= len(name) <= MAX_NAME:
            raise RecordError(f"A name has 1 to {MAX_NAME} characters.")
        slug = str(slug or "").strip() or slug_of(name)
        if not is_slug(slug):
            raise RecordError(
                f"An address has 2 to {LONGEST_SLUG} of a to z, 0 to 9 and hyphens between them, as in support-bot: type one."
            )
        repo = self._repo(self.usual_repo(slug) if dataset_repo is None else dataset_repo.strip())
        made = self._store.workspaces.add(slug, name, repo, bool(example), actor)
        self._activity.note(actor, "workspace.made", name, {"address": f"{PREFIX}{slug}"})
        return made

    def close(self, actor: str, workspace_id: str) -> None:
        """Serve a workspace no more; what is in it is kept.

        Raises:
            AccessError: the actor is no owner of the main workspace.
            RecordError: there is no such workspace.
        """
        found = self.get(actor, workspace_id)
        if found.closed_at is None:
            self._store.workspaces.set_closed(found.id, True)
            self._activity.note(actor, "workspace.closed", found.name)

    def reopen(self, actor: str, workspace_id: str) -> None:
        """Serve a workspace again.

        Raises:
            AccessError: the actor is no owner of the main workspace.
            RecordError: there is no such workspace, or as many are open as a server may have.
        """
        found = self.get(actor, workspace_id)
        if found.closed_at is not None:
            self._check_room()
            self._store.workspaces.set_closed(found.id, False)
            self._activity.note(actor, "workspace.reopened", found.name)

    def get(self, actor: str, workspace_id: str) -> Workspace:
        """Return a workspace for an owner.

        Raises:
            AccessError: the actor is no owner of the main workspace.
            RecordError: there is no such workspace.
        """
        self._check(actor)
        found = next((one for one in self.all() if one.id == workspace_id), None)
        if found is None:
            raise RecordError("There is no such workspace. Reload the page.")
        return found

    def usual_repo(self, slug: str) -> str:
        """Return the dataset repo that a workspace has where nobody says another; "" where the main one has none."""
        return f"{self._settings.dataset_repo}-{slug}" if self._settings.dataset_repo else ""

    def settings_of(self, workspace: Workspace) -> Settings:
        """Return what a workspace runs with: as the main one, in places of its own.

        Raises:
            RecordError: its dataset repo is the main one's.
        """
        main, slug = self._settings, workspace.slug
        repo = workspace.dataset_repo if main.hf_token else ""
        if repo and repo.casefold() == main.dataset_repo.casefold():
            raise RecordError(f"{repo} is the dataset repo of the main workspace: each needs one of its own.")
        path = f"{PREFIX}{slug}"
        url = f"{main.entry.public_url}{path}" if main.entry.public_url else ""
        return replace(
            main,
            home=main.home / FOLDER / slug,
            schema=schema_of(slug) if main.database_url else "",
            dataset_repo=repo,
            data_dir=main.data_dir / FOLDER / slug if main.data_dir else None,
            example=workspace.example,
            entry=replace(main.entry, public_url=url, base=f"{main.entry.base}{path}", workspace=slug),
        )

    def _check(self, actor: str) -> None:
        if not self.main:
            raise AccessError("Only owners of the main workspace of this server can do this.")
        self._people.needs(actor, Role.OWNER)

    def _check_room(self) -> None:
        if sum(one.closed_at is None for one in self.all()) >= MOST:
            raise RecordError(
                f"A server has at most {MOST} open workspaces beside its main one: close one of them first."
            )

    def _repo(self, repo: str) -> str:
        if not repo:
            return ""
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo, re.ASCII) or len(repo.partition("/")[2]) > MAX_REPO:
            raise RecordError("A dataset repo is written as owner/name, for example acme/support-feedback.")
        if not self._settings.hf_token:
            raise RecordError(
                "A dataset repo needs HF_TOKEN, set where the app is started: leave it empty, or set that."
            )
        if repo.casefold() == self._settings.dataset_repo.casefold():
            raise RecordError(TAKEN.format(repo))
        return repo


def slug_of(name: str) -> str:
    """Return the word in addresses that a name makes, as ``support-bot`` of "Support Bot!"; "" where it makes none."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    made = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_SLUG].rstrip("-")
    return made if is_slug(made) else ""
