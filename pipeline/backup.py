"""The back-up of a workspace: its places together, from the restore at the start to the last words at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline import archive
from pipeline.archive import Imported
from pipeline.errors import BackupError, HubError, SettingsError
from pipeline.hub.folder import FolderJournal
from pipeline.hub.publish import published_files
from pipeline.hub.repo import HubRepo
from pipeline.hub.state import BackupState
from pipeline.hub.sync import HubSync, Pace
from pipeline.records import new_id
from pipeline.settings import Settings
from pipeline.store import Store

RESTORING = "restoring"
REMOVED = "[secret removed]"
# What is shorter is no secret but a word that endpoints without keys are given, such as "none", "test" or "EMPTY". Taken
# out of every line of the journal it would take the words of the journal itself with it.
SHORTEST_SECRET = 8
Report = Callable[[str], None]
# Values that the replicas of a shared store leave for each other: a request to send now, its answer, and how sending goes.
_ASKED, _DONE, _SAID = "backup-asked", "backup-done", "backup-state"
_ASKED_SECONDS = 60.0


class Backup:
    """Where a workspace is kept beside its store: a dataset repo, a folder, both, or nowhere."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._scrub = scrubber(settings.secrets)
        self._fleeting = bool(settings.space) and not settings.database_url
        self._make_places()
        self._on_documents: Callable[[], None] = lambda: None
        # Where several replicas share the store, one of them sends, and says to the others how that goes.
        self._sends = not store.database.shared
        self._said = ""

    def _make_places(self) -> None:
        store, settings = self._store, self._settings
        self._folder = FolderJournal(store, settings.data_dir, self._scrub) if settings.data_dir else None
        self._hub = hub_sync(store, settings, self._scrub) if settings.dataset_repo else None
        self._places = [place for place in (self._folder, self._hub) if place]

    def restore(self, report: Report) -> bool:
        """Fill an empty store from its places; return whether there was something.

        A store that has something catches up later, beside its work, unless an earlier restore of it was cut off.

        Raises:
            SettingsError: the data folder cannot be read.
        """
        database = self._store.database
        if not self._places or not (self._store.outbox.empty or database.local(RESTORING)):
            return False
        database.set_local(RESTORING, "yes")
        try:
            applied = [place.restore(report) for place in self._places]
        except OSError as error:
            reason = error.strerror or error
            raise SettingsError(f"PAIRLOOP_DATA_DIR cannot be read ({reason}): set it to another folder.") from error
        database.set_local(RESTORING, "")
        return any(applied)

    def start(self, on_documents: Callable[[], None]) -> None:
        """Begin to send changes. ``on_documents`` is called after documents of other replicas came or went."""
        self._on_documents, self._sends = on_documents, True
        if self._hub:
            self._hub.on_documents = on_documents
            # Made now, so that the first refresh of the tables is not followed by a commit for this alone.
            self._store.values.pseudonym_salt()
        for place in self._places:
            place.start()

    def hurry(self) -> None:
        """Send what waits at once, without waiting for it: the app is about to stop."""
        if self._hub:
            self._hub.hurry()

    def stop(self, seconds: float) -> None:
        """Send what waits and end, in at most so many seconds for all places together."""
        deadline = time.monotonic() + seconds
        self.hurry()
        for place in self._places:
            place.stop(max(0.1, deadline - time.monotonic()))

    def leave_to_others(self, seconds: float) -> None:
        """Send no more: another replica does, or will."""
        self.stop(seconds)
        self._sends = False
        self._make_places()

    def look_around(self) -> None:
        """Do what other replicas have asked the one that sends for, and tell them how it goes."""
        database = self._store.database
        asked = database.local(_ASKED)
        if asked and asked != database.local(_DONE).partition(" ")[0]:
            try:
                self.sync_now()
                problem = ""
            except (HubError, BackupError) as error:
                problem = str(error)
            database.set_local(_DONE, f"{asked} {problem}")
        said = _to_text(self.state())
        if said != self._said:
            database.set_local(_SAID, said)
            self._said = said

    def _ask(self) -> None:
        """Ask the replica that sends to do so now, and wait until it has."""
        database, asked = self._store.database, new_id()
        database.set_local(_ASKED, asked)
        deadline = time.monotonic() + _ASKED_SECONDS
        while time.monotonic() < deadline:
            done, _, problem = database.local(_DONE).partition(" ")
            # Whoever asked later has taken the place of this request: what is sent for them is what was to be sent here.
            # Which of two ids is the later one is not to be seen in them: the clocks of two machines differ.
            if done in (asked, database.local(_ASKED)):
                if problem:
                    raise BackupError(problem)
                return
            time.sleep(0.2)
        raise BackupError("No replica has sent it yet. It is sent as soon as one can.")

    def sync_now(self) -> None:
        """Send what waits to every place now.

        Raises:
            HubError: the repo did not take it, or its tables could not be refreshed.
            BackupError: no place is configured, or the folder cannot be written.
        """
        if not self._places:
            raise BackupError("No dataset repo is configured: set PAIRLOOP_DATASET_REPO and HF_TOKEN, and start again.")
        if not self._sends:
            self._ask()
            return
        if self._folder:
            try:
                self._folder.write_now()
            except OSError as error:
                raise BackupError(f"PAIRLOOP_DATA_DIR cannot be written ({error.strerror or error}).") from error
        if self._hub:
            self._hub.sync_now()

    def heard(self) -> tuple[tuple[float | None, str], ...]:
        """Return what differs once something has arrived or failed here; it is in memory, for those who ask all the time."""
        return tuple(place.heard for place in self._places)

    def state(self) -> BackupState:
        """Return what has arrived where at this moment."""
        warnings = [warning for place in self._places for warning in place.warnings()]
        if parked := self._store.merging.parked():
            why = "; ".join(sorted({item.reason for item in parked})[:3])
            warnings.append(f"{len(parked)} changes of other replicas cannot be shown yet, and are kept: {why}.")
        found = BackupState(
            repo=self._hub.state() if self._hub else None,
            folder=self._folder.state() if self._folder else None,
            warnings=tuple(warnings),
            fleeting=self._fleeting,
        )
        return found if self._sends else _as_told(found, self._store.database.local(_SAID))

    def write_file(self, path: Path) -> None:
        """Write the whole workspace into one file."""
        archive.write_archive(self._store, path, self._scrub)

    def read_file(self, path: Path) -> Imported:
        """Merge a workspace file into this workspace.

        Raises:
            BackupError: it is no workspace file, or it is damaged; nothing of it was taken in.
        """
        imported = archive.read_archive(self._store, path)
        self._on_documents()
        return imported


def _to_text(state: BackupState) -> str:
    """Return what only the replica that sends knows of a state."""
    places = {name: place for name, place in (("repo", state.repo), ("folder", state.folder)) if place}
    told = {name: {"last": place.last, "problem": place.problem} for name, place in places.items()}
    return json.dumps({**told, "warnings": state.warnings})


def _as_told(state: BackupState, text: str) -> BackupState:
    """Return a state with what the replica that sends has told of it."""
    told = json.loads(text or "{}")
    repo, folder = state.repo, state.folder
    return replace(
        state,
        repo=replace(repo, **told.get("repo", {})) if repo else None,
        folder=replace(folder, **told.get("folder", {})) if folder else None,
        warnings=tuple(told.get("warnings", state.warnings)),
    )


def hub_sync(
    store: Store, settings: Settings, scrub: Callable[[bytes], bytes], clock: Callable[[], float] = time.monotonic
) -> HubSync:
    """Return the synchronisation with the dataset repo of the settings."""
    repo = HubRepo(settings.dataset_repo, settings.hf_endpoint, settings.hf_token)
    pace = Pace(settings.sync_seconds, 60.0 * settings.publish_minutes, settings.squash_history)

    def tables() -> dict[str, bytes]:
        return published_files(
            store,
            settings.dataset_repo,
            salt=store.values.pseudonym_salt(),
            licence=settings.license,
            show_names=settings.publish_names,
            scrub=text_scrubber(settings.secrets),
        )

    return HubSync(store, repo, pace, tables, scrub, clock)


def scrubber(secrets: tuple[str, ...]) -> Callable[[bytes], bytes]:
    """Return what takes secrets out of bytes, as they are and as JSON writes them: somebody may paste a key into a field."""
    kept = _real(secrets)
    forms = {secret.encode() for secret in kept}
    for ascii_only in (True, False):
        forms |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1].encode() for secret in kept}
    longest_first = sorted(forms, key=len, reverse=True)

    def scrub(data: bytes) -> bytes:
        for form in longest_first:
            data = data.replace(form, REMOVED.encode())
        return data

    return scrub


def text_scrubber(secrets: tuple[str, ...]) -> Callable[[str], str]:
    """Return what takes secrets out of a text, also where they stand in it as JSON writes them: answers are published so."""
    kept = _real(secrets)
    written = {json.dumps(secret, ensure_ascii=plain)[1:-1] for secret in kept for plain in (True, False)}
    longest_first = sorted({*kept, *written}, key=len, reverse=True)

    def scrub(text: str) -> str:
        for secret in longest_first:
            text = text.replace(secret, REMOVED)
        return text

    return scrub


def _real(secrets: tuple[str, ...]) -> list[str]:
    return [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
