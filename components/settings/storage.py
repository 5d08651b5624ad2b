"""Storage and back-up, a part of Settings: where everything is kept, Sync now, and the workspace as one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import NamedTuple

import gradio as gr

from components import _download, _html
from components._guard import allowed
from components._noting import noted
from components._session import person
from components.backup_words import words
from pipeline.archive import Imported
from pipeline.errors import BackupError, ComparisonError, PipelineError
from pipeline.hub.state import BackupState
from pipeline.limits import HEAVY
from pipeline.ranking.verdict import plural
from pipeline.records import Role
from pipeline.services import Services
from pipeline.settings import Settings
from pipeline.store.comparisons import ComparisonSet

FILE_NAME = "pairloop-workspace.jsonl.gz"
ROLES_NOT_TAKEN = (
    "People's roles and sign-ins, invitations and API tokens were not taken from it: whoever is a member here stays one, and "
    "nobody else has become one."
)
ROLES_TAKEN = (
    "Nobody had a role here, so people have those of the file. Sign-ins, invitations and API tokens were not taken from it: "
    "everybody signs in anew."
)
# Lets the page's script (backup.js) ask for this part anew when the state has changed and somebody looks at it.
_REFRESH_JS = "window.pairloopStorage = () => { if (element.offsetParent) trigger('refresh'); };"


@dataclass(frozen=True, slots=True)
class StorageTab:
    """Components of the section."""

    state: gr.HTML
    sync: gr.Button
    synced: gr.HTML
    places: gr.HTML
    download: _download.Download
    made: gr.HTML
    confirm: gr.Column
    confirm_text: gr.HTML
    confirmed: gr.State
    go_on: gr.Button
    cancel: gr.Button
    upload: gr.File
    imported: gr.HTML


class Shown(NamedTuple):
    """Output order of the section when it is opened."""

    state: str
    sync: gr.Button
    synced: str
    places: str


class Synced(NamedTuple):
    """Output order of a synchronisation."""

    state: str
    sync: gr.Button
    synced: str


class Asked(NamedTuple):
    """Output order of the workspace file: ``confirmed`` are the comparisons that the question on the screen speaks of."""

    file: str | None
    made: str
    confirm: gr.Column
    confirm_text: str
    confirmed: tuple[str, ...]


class Taken(NamedTuple):
    """Output order of an import."""

    state: str
    upload: None
    imported: str


class StorageHandlers:
    """Shows the back-up, hurries it, and takes the workspace out and in as a file."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._backup = services.backup
        self._desk = services.comparisons

    def show_storage(self) -> Shown:
        """Return how the back-up stands and where everything is kept."""
        chosen = self._services.settings
        button = gr.Button("Sync now", interactive=bool(chosen.dataset_repo))
        # What the last synchronisation said stays.
        said = gr.skip() if chosen.dataset_repo else _html.note("There is no dataset repo to sync with yet.")
        return Shown(self._state(), button, said, places_html(chosen))

    def sync_now(self) -> Iterator[Synced]:
        """Send what waits, and say what became of it."""
        waiting = self._backup.state().repo
        sending = f"Sending {plural(waiting.waiting, 'change')} …" if waiting and waiting.waiting else "Looking …"
        yield Synced(self._state(), gr.Button("Syncing …", interactive=False), _html.note(sending))
        try:
            # Before it: what is noted afterwards would be one more change that waits.
            noted(self._services, "storage.synced")
            self._backup.sync_now()
        except PipelineError as error:
            said = _html.note(str(error), "bad")
        else:
            said = self._sent()
        yield Synced(self._state(), gr.Button("Sync now", interactive=True), said)

    def ask_for_file(self, request: gr.Request) -> Iterator[Asked]:
        """Make the workspace file, or ask first where that would end this person's voting."""
        yield from self._file((), person(self._services, request))

    def make_file(self, confirmed: tuple[str, ...], request: gr.Request) -> Iterator[Asked]:
        """Make the workspace file after the question was answered with yes."""
        yield from self._file(tuple(confirmed or ()), person(self._services, request))

    def import_file(self, path: str | None) -> Iterator[Taken]:
        """Merge an uploaded workspace file into the workspace."""
        yield Taken(self._state(), None, _html.note("Reading the file …"))
        try:
            if not path:
                raise BackupError("Choose a workspace file first.")
            imported = self._backup.read_file(Path(path))
            noted(self._services, "workspace.imported", Path(path).name, {"rows": imported.applied})
            said = import_html(imported)
        except PipelineError as error:
            said = _html.note(str(error), "bad")
        yield Taken(self._state(), None, said)

    def _file(self, confirmed: tuple[str, ...], me: str) -> Iterator[Asked]:
        closed = gr.Column(visible=False)
        try:
            judging = self._judged_blind(me)
            if {item.id for item in judging} - set(confirmed):
                ids = tuple(item.id for item in judging)
                yield Asked(None, "", gr.Column(visible=True), self._question(judging, me), ids)
                return
            yield Asked(None, _html.note("Making the file …"), closed, "", ())
            for item in judging:
                self._desk.reveal(item.id, me)
            path = self._written()
            noted(self._services, "workspace.exported")
        except PipelineError as error:
            yield Asked(None, _html.note(str(error), "bad"), closed, "", ())
            return
        size = f"{max(1, round(path.stat().st_size / 1000)):,} kB"
        yield Asked(str(path), _html.note(f"{path.name} is made: {size}.", "good"), closed, "", ())

    def _written(self) -> Path:
        path = _download.place(FILE_NAME)
        try:
            self._backup.write_file(path)
        except OSError as error:
            raise BackupError(
                f"The file could not be written ({error.strerror or error}): make room for it."
            ) from error
        return path

    def _judged_blind(self, me: str) -> list[ComparisonSet]:
        """Return the open comparisons whose results this person has not opened."""
        unknown = [item for item in self._desk.sets() if not self._desk.is_revealed(item.id, me)]
        for item in unknown:
            # It would be judged with the file at hand, and its results cannot be opened yet.
            if item.state == "preparing":
                raise ComparisonError(
                    f"{self._desk.blind_name(item)} is being prepared, and the file would say which model wrote what. "
                    "Try again when it is open for votes."
                )
        return [item for item in unknown if item.state == "open"]

    def _question(self, judging: list[ComparisonSet], me: str) -> str:
        done, total = (sum(counts) for counts in zip(*(self._desk.progress(s.id, me) for s in judging), strict=True))
        names = "".join(f"<li>{_html.esc(self._desk.blind_name(item))}</li>" for item in judging)
        one = len(judging) == 1
        return (
            "<p class='pl-note pl-warn'>! The file says which model wrote which answer. Making it opens the results of "
            f"{plural(len(judging), 'comparison')} to you, and so ends your voting on {'it' if one else 'them'}, of which "
            f"you have judged {done} of {plural(total, 'pair')}. Your votes are final then.</p><ul class='pl-list'>{names}</ul>"
        )

    def _sent(self) -> str:
        state = self._backup.state()
        if state.repo and state.repo.waiting:
            more = plural(state.repo.waiting, "change")
            return _html.note(f"Sent. {more} came in meanwhile, and will go with the next commit.", "good")
        return _html.note("Everything is in the dataset repo, and its tables are fresh.", "good")

    def _state(self) -> str:
        return state_html(self._backup.state(), time())


def build() -> StorageTab:
    """Lay out the section."""
    gr.HTML('<h3 class="pl-title" id="storage-title" tabindex="-1">Storage and back-up</h3>')
    state = gr.HTML("", js_on_load=_REFRESH_JS, elem_id="storage-state")
    with gr.Row(elem_classes=["pl-beside"]):
        sync = gr.Button("Sync now", variant="primary", interactive=False, elem_id="storage-sync")
        synced = gr.HTML("", elem_id="storage-synced")
    places = gr.HTML("", elem_id="storage-places")
    gr.HTML(
        '<h4 class="pl-label">The workspace as one file</h4><p class="pl-note">Everything in one compressed file: a back-up '
        "without the Hub, and the way to another machine. It holds people's names, roles and answers, but no "
        "keys, sign-ins, invitations or API tokens.</p>"
    )
    with gr.Row(elem_classes=["pl-beside"]):
        download = _download.build("Download the workspace file", "storage-download")
        made = gr.HTML("", elem_id="storage-made")
    with gr.Column(visible=False, elem_id="storage-confirm") as confirm:
        confirm_text = gr.HTML("")
        with gr.Row(elem_classes=["pl-beside"]):
            go_on = gr.Button("End my voting and download", variant="stop", elem_id="storage-go-on")
            cancel = gr.Button("Cancel", elem_id="storage-cancel")
    confirmed = gr.State(())
    upload = gr.File(label="Import a workspace file", height=130, elem_id="storage-import")
    imported = gr.HTML("", elem_id="storage-imported")
    return StorageTab(
        state, sync, synced, places, download, made, confirm, confirm_text, confirmed, go_on, cancel, upload, imported
    )


def wire(tab: StorageTab, handlers: StorageHandlers, opened: list[Callable]) -> Callable:
    """Attach the listeners; ``opened`` are the events that show the section. Return the event of a file that was taken in."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    for event in (*opened, tab.state.refresh):
        event(
            allowed(Role.OWNER, handlers.show_storage, quiet=True),
            None,
            [tab.state, tab.sync, tab.synced, tab.places],
            **quiet,
        )
    tab.sync.click(allowed(Role.OWNER, handlers.sync_now, cost=HEAVY), None, [tab.state, tab.sync, tab.synced], **quiet)
    asked = [tab.download.file, tab.made, tab.confirm, tab.confirm_text, tab.confirmed]
    for made in (
        tab.download.button.click(allowed(Role.OWNER, handlers.ask_for_file, cost=HEAVY), None, asked, **quiet),
        tab.go_on.click(allowed(Role.OWNER, handlers.make_file, cost=HEAVY), tab.confirmed, asked, **quiet),
    ):
        _download.hand_out(made, tab.download.file)
    tab.cancel.click(allowed(Role.OWNER, lambda: gr.Column(visible=False)), None, tab.confirm, **quiet)
    taken = [tab.state, tab.upload, tab.imported]
    took = tab.upload.upload(allowed(Role.OWNER, handlers.import_file, cost=HEAVY), tab.upload, taken, **quiet)
    # Not a change of what it says: Gradio tells of one whenever it draws the panels anew, as what comes of it does, without end.
    return took.success


def state_html(state: BackupState, now: float) -> str:
    """Return the state in sentences, and what people should know of beside it."""
    said = words(state, now)
    warnings = "".join(f"<li>! {_html.esc(warning)}</li>" for warning in state.warnings)
    listed = f"<ul class='pl-list pl-warn'>{warnings}</ul>" if warnings else ""
    return f'<p class="pl-backup" data-backup="{said.kind}" data-backup-title>{_html.esc(said.title)}</p>{listed}'


def places_html(settings: Settings) -> str:
    """Return where everything is kept, or how to have it kept there."""
    rows = [("Store and index", str(settings.home), "Every change is written here before the screen confirms it.")]
    if settings.dataset_repo:
        where = f"{settings.hf_endpoint}/datasets/{settings.dataset_repo}"
        every = (
            f"Changes are sent about every {settings.sync_seconds:g} s while there are any. HF_TOKEN is never shown."
        )
        rows.append(("Dataset repo", where, every))
    else:
        how = (
            "To have one, set PAIRLOOP_DATASET_REPO to owner/name and HF_TOKEN to a token that may write there, and start "
            "again: everything that is here is sent there then."
        )
        if settings.entry.workspace:
            how = "This workspace was made without one: what is in it is on this server alone. Workspace files keep it elsewhere."
        rows.append(("Dataset repo", "not configured", how))
    if settings.data_dir:
        rows.append(("Data folder", str(settings.data_dir), "Every change is appended to a journal here too."))
    body = "".join(
        f"<tr><td><b>{name}</b></td><td class='pl-wide'>{_html.esc(where)}</td><td class='pl-wide'>{_html.esc(text)}</td></tr>"
        for name, where, text in rows
    )
    return f"<div class='pl-scroll' tabindex='0'><table class='pl-table'><tbody>{body}</tbody></table></div>"


def import_html(imported: Imported) -> str:
    """Return what an import did."""
    rows = f"The file has {plural(imported.rows, 'row')}"
    if not imported.applied:
        lines = [_html.note(f"{rows}, and all of them were here already: nothing has changed.", "good")]
    else:
        are = "is" if imported.applied == 1 else "are"
        lines = [_html.note(f"{rows}: {imported.applied:,} {are} new or newer here now.", "good")]
    if imported.parked:
        aside = f"{plural(imported.parked, 'row')} {'is' if imported.parked == 1 else 'are'} put aside"
        lines.append(
            _html.note(f"{aside}: what they belong to is not here. They are kept, and used when it comes.", "warn")
        )
    lines.append(_html.note(ROLES_TAKEN if imported.roles else ROLES_NOT_TAKEN))
    return "".join(lines)
