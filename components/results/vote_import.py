"""Bring votes from elsewhere: a file, what its columns mean, what comes of it, and the comparison that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from components import _html
from components._guard import allowed
from components._noting import noted
from components.results.vote_import_html import preview
from pipeline.errors import ComparisonError, PipelineError
from pipeline.ranking.verdict import plural
from pipeline.record_files.rows import Source
from pipeline.records import Outcome, Role
from pipeline.services import Services
from pipeline.vote_desk import SUFFIXES
from pipeline.vote_import.conversion import PreparedVotes
from pipeline.vote_import.mapping import MAX_OPTIONS, TARGETS, VoteMapping, options_of, propose_options, values_of
from pipeline.vote_import.meanings import LEFT_OUT

MAIN = ("model_a", "model_b", "outcome", "query", "annotator", "ranking")
MORE = tuple(target for target in TARGETS if target not in MAIN)
ORDER = (*MAIN, *MORE)
# In the place of a column these take the name of a model as well.
_NAMES = ("model_a", "model_b")
MEANINGS: dict[str, str] = {
    Outcome.MODEL_A.value: "A is better",
    Outcome.MODEL_B.value: "B is better",
    Outcome.TIE.value: "Tie",
    Outcome.BOTH_BAD.value: "Both bad",
    LEFT_OUT: "No verdict: leave these rows out",
}
NOTHING = ("–", "")
_HINT = (
    "CSV, JSON, JSONL and Parquet: LMArena's and MT-Bench's battles, AlpacaEval's annotations, rankings out of Argilla, "
    "votes that Pairloop has written, and any table that names two models and who won. The models are listed under their "
    "names and answer nothing here; the results are open to everybody. In the place of a column of models a name can be typed."
)


@dataclass(frozen=True, slots=True)
class VoteImport:
    """Components. ``brought`` is the comparison that came of the file."""

    file: gr.File
    message: gr.HTML
    form: gr.Column
    name: gr.Textbox
    targets: tuple[gr.Dropdown, ...]
    values: gr.Accordion
    meanings: tuple[gr.Dropdown, ...]
    options: tuple[gr.Dropdown, ...]
    kept: gr.Dropdown
    largest: gr.Checkbox
    preview: gr.HTML
    leave_out: gr.Checkbox
    bring: gr.Button
    brought: gr.State
    show: gr.Button

    @property
    def chosen(self) -> list[gr.components.Component]:
        """What is chosen on the form, in the order of :meth:`VoteImportHandlers.look`."""
        return [self.file, *self.targets, *self.meanings, *self.options, self.kept, self.largest, self.leave_out]


class Seen(NamedTuple):
    """Output order of what comes of a file."""

    preview: object
    leave_out: object
    bring: object


class Opened(NamedTuple):
    """Output order of a file that was read."""

    message: object
    form: object
    name: object
    show: object


class VoteImportHandlers:
    """Reads a file of votes and brings them in."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.vote_files

    def read(self, path: str | None) -> tuple:
        """Show what is in a file, its columns as they seem to be; or why it cannot be read."""
        if not path:
            return _hidden("")
        try:
            file = Path(path)
            source, mapping = self._desk.read(file), self._desk.propose(file)
        except PipelineError as error:
            return _hidden(_html.note(str(error), "bad"))
        rows = _html.note(f"{plural(len(source.rows), 'row')} in {_names(source)}.")
        opened = Opened(rows, gr.Column(visible=True), file.stem[:120], gr.Button(visible=False))
        columns = [_column(source, target, mapping.column(target)) for target in ORDER]
        choices = [(column, column) for column in source.columns]
        kept_columns = gr.Dropdown(choices=choices, value=list(mapping.kept), multiselect=True)
        return *opened, *columns, *_explained(source, mapping), kept_columns, *self._seen(file, mapping)

    def choose_columns(self, path: str | None, *chosen: object) -> tuple:
        """Show what the verdicts of the chosen columns may mean, and what comes of it."""
        file, source = self._file(path)
        mapping = self._with_options(path, _mapping(chosen))
        options = propose_options(source, mapping.column("ranking"))
        names = {option: mapping.options.get(option) or options[option] for option in options}
        known = {value.text: value.meaning for value in values_of(source, mapping) if value.meaning is not None}
        mapping = VoteMapping(
            mapping.columns,
            names,
            {**known, **mapping.meanings},
            mapping.kept,
            mapping.largest_is_best,
            mapping.leave_out,
        )
        return *_explained(source, mapping), *self._seen(file, mapping)

    def look(self, path: str | None, *chosen: object) -> Seen:
        """Show what comes of the file."""
        return self._seen(self._file(path)[0], self._with_options(path, _mapping(chosen)))

    def bring(self, path: str | None, name: str, *chosen: object) -> tuple:
        """Store the votes, and offer the way to their results."""
        file, _ = self._file(path)
        brought = self._desk.bring(file, self._with_options(path, _mapping(chosen)), name or "")
        if brought.new:
            item = self._services.store.comparisons.set(brought.set_id)
            noted(
                self._services, "votes.imported", self._services.comparisons.blind_name(item), {"votes": brought.votes}
            )
        are = f"{plural(brought.votes, 'vote')} {'is' if brought.votes == 1 else 'are'}"
        left = f" {plural(brought.left_out, 'row')} left out." if brought.left_out else ""
        text = f"{are} in.{left}" if brought.new else f"These votes were brought in before: the {are} here once."
        return _html.note(text, "good"), gr.Column(visible=False), None, brought.set_id, gr.Button(visible=True)

    def _file(self, path: str | None) -> tuple[Path, Source]:
        if not path:
            raise ComparisonError("Choose a file of votes first.")
        return Path(path), self._desk.read(Path(path))

    def _with_options(self, path: str | None, mapping: VoteMapping) -> VoteMapping:
        """Give the models of a ranking's responses to their names, which the form shows in their order."""
        _, source = self._file(path)
        names = options_of(source, mapping.column("ranking")) if mapping.column("ranking") else []
        given = [mapping.options.get(str(number), "") for number in range(MAX_OPTIONS)]
        options = dict(zip(names, given, strict=False))
        return VoteMapping(
            mapping.columns, options, mapping.meanings, mapping.kept, mapping.largest_is_best, mapping.leave_out
        )

    def _seen(self, file: Path, mapping: VoteMapping) -> Seen:
        try:
            prepared = self._desk.prepare(file, mapping)
        except PipelineError as error:
            off = gr.Checkbox(visible=False), gr.Button(interactive=False)
            return Seen(_html.note(str(error), "warn"), *off)
        return Seen(preview(prepared), _leave_out(prepared, mapping), _button(prepared, mapping))


def build() -> VoteImport:
    """Lay out the panel."""
    with gr.Accordion("Bring votes from elsewhere", open=False, elem_id="votes-bring"):
        gr.HTML(_html.note(_HINT))
        file = gr.File(label="File of votes", file_types=list(SUFFIXES), height=150, elem_id="votes-upload")
        message = gr.HTML("", elem_id="votes-message")
        with gr.Column(visible=False, elem_id="votes-form") as form:
            name = gr.Textbox(label="Name of the comparison", max_lines=1, elem_id="votes-name")
            with gr.Row():
                targets = [_dropdown(target) for target in MAIN]
            with gr.Accordion("More columns", open=False, elem_id="votes-more"):
                with gr.Row():
                    targets += [_dropdown(target) for target in MORE]
                kept_columns = _free(gr.Dropdown([], multiselect=True, label="Keep as metadata of the queries"))
            with gr.Row():
                options = [
                    _free(gr.Dropdown([], allow_custom_value=True, visible=False, min_width=220))
                    for _ in range(MAX_OPTIONS)
                ]
            largest = gr.Checkbox(label="The largest rank is the best", visible=False, elem_id="votes-largest")
            with gr.Accordion("What the verdicts mean", open=False, elem_id="votes-values") as values, gr.Row():
                meanings = [
                    _free(gr.Dropdown([], multiselect=True, label=label, min_width=220)) for label in MEANINGS.values()
                ]
            shown = gr.HTML("", elem_id="votes-preview")
            leave_out = gr.Checkbox(
                label="Leave out the rows that cannot be read", visible=False, elem_id="votes-leave"
            )
            bring = gr.Button("Bring the votes in", variant="primary", interactive=False, elem_id="votes-add")
        show = gr.Button("Show their results", visible=False, variant="primary", elem_id="votes-show")
        brought = gr.State(None)
    parts = (tuple(targets), values, tuple(meanings), tuple(options), kept_columns, largest, shown, leave_out, bring)
    return VoteImport(file, message, form, name, *parts, brought, show)


def wire(panel: VoteImport, handlers: VoteImportHandlers) -> None:
    """Attach the listeners, all but that of :attr:`VoteImport.show`."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    seen = [panel.preview, panel.leave_out, panel.bring]
    explained = [panel.values, *panel.meanings, *panel.options, panel.largest]
    opened = [panel.message, panel.form, panel.name, panel.show]
    read = [*opened, *panel.targets, *explained, panel.kept, *seen]
    # Not "change": the file is taken away when its votes are in, and what is said of them must stay.
    for event in (panel.file.upload, panel.file.clear):
        event(
            allowed(Role.ADMIN, handlers.read, cost=1),
            panel.file,
            read,
            api_visibility="private",
            show_progress_on=panel.message,
        )
    for box in panel.targets:
        box.input(allowed(Role.ADMIN, handlers.choose_columns), panel.chosen, [*explained, *seen], **quiet)
    for part in (*panel.meanings, *panel.options, panel.kept, panel.largest, panel.leave_out):
        part.input(allowed(Role.ADMIN, handlers.look), panel.chosen, seen, **quiet)
    panel.bring.click(
        allowed(Role.ADMIN, handlers.bring, cost=1),
        [panel.file, panel.name, *panel.chosen[1:]],
        [panel.message, panel.form, panel.file, panel.brought, panel.show],
        api_visibility="private",
    )


def _dropdown(target: str) -> gr.Dropdown:
    elem_id = f"votes-{target.replace('_', '-')}"
    return _free(
        gr.Dropdown(
            [NOTHING],
            value="",
            label=TARGETS[target],
            allow_custom_value=target in _NAMES,
            elem_id=elem_id,
            min_width=180,
        )
    )


def _free(box: gr.Dropdown) -> gr.Dropdown:
    # As in _choices.build_dropdown: after a restart Gradio knows no choices, and what is chosen is checked here anyway.
    box.preprocess = lambda value: value
    return box


def _column(source: Source, target: str, value: str) -> gr.Dropdown:
    return gr.Dropdown(choices=[NOTHING, *[(name, name) for name in source.columns]], value=value)


def _explained(source: Source, mapping: VoteMapping) -> tuple:
    """Show the values of the verdict under what they mean, and whose the responses of a ranking are."""
    values = values_of(source, mapping)
    choices = [(f"{value.text[:60]} ({value.rows:,})", value.text) for value in values]
    known = {value.text for value in values}
    meant = {
        key: [text for text, said in mapping.meanings.items() if said == key and text in known] for key in MEANINGS
    }
    meanings = [gr.Dropdown(choices=choices, value=meant[key], multiselect=True) for key in MEANINGS]
    unknown = [value for value in values if value.text not in mapping.meanings]
    names = list(mapping.options)[:MAX_OPTIONS] if mapping.column("ranking") else []
    columns = [(column, column) for column in source.columns]
    options = [
        gr.Dropdown(
            choices=columns,
            value=mapping.options[name],
            label=f"{name[:60]} was written by (column, or a name)",
            visible=True,
            allow_custom_value=True,
        )
        for name in names
    ]
    options += [gr.Dropdown(visible=False, value=None)] * (MAX_OPTIONS - len(options))
    shown = gr.Accordion(visible=bool(values), open=bool(unknown))
    return shown, *meanings, *options, gr.Checkbox(visible=bool(names))


def _mapping(chosen: Sequence[object]) -> VoteMapping:
    """Return what is chosen on the form; the options of a ranking are numbered as they stand there."""
    parts = iter(chosen)
    columns = {target: str(next(parts) or "") for target in ORDER}
    said = {meaning: next(parts) for meaning in MEANINGS}
    meanings: Mapping[str, Outcome | str] = {
        str(value): Outcome(meaning) if meaning else LEFT_OUT
        for meaning, values in said.items()
        for value in values or ()
    }
    if sum(len(values or ()) for values in said.values()) > len(meanings):
        raise ComparisonError("One value of the verdict stands under two meanings. Take it out of one of them.")
    options = {str(number): str(next(parts) or "") for number in range(MAX_OPTIONS)}
    kept_columns, largest, leave_out = parts
    return VoteMapping(
        {target: column for target, column in columns.items() if column},
        options,
        meanings,
        tuple(map(str, kept_columns or ())),
        bool(largest),
        bool(leave_out),
    )


def _leave_out(prepared: PreparedVotes, mapping: VoteMapping) -> gr.Checkbox:
    count = len(prepared.problems)
    label = f"Leave out the {plural(count, 'row')} that cannot be read"
    return gr.Checkbox(label=label, visible=bool(count), value=mapping.leave_out)


def _button(prepared: PreparedVotes, mapping: VoteMapping) -> gr.Button:
    ready = bool(prepared.votes) and (mapping.leave_out or not prepared.problems)
    return gr.Button(
        f"Bring {plural(len(prepared.votes), 'vote')} in" if ready else "Bring the votes in", interactive=ready
    )


def _hidden(message: str) -> tuple:
    opened = Opened(message, gr.Column(visible=False), "", gr.skip())
    return *opened, *[gr.skip()] * (len(ORDER) + 1 + len(MEANINGS) + MAX_OPTIONS + 2 + len(Seen._fields))


def _names(source: Source) -> str:
    return plural(len(source.columns), "column")
