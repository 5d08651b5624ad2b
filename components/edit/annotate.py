"""Annotate: one record at a time. The screen is drawn by the page's script (edit.js) with what annotate_routes answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from components import _html
from components._guard import allowed
from components._noting import noted
from pipeline.records import Role
from pipeline.services import Services

_HOST = '<div id="edit-host"></div>'
# Passages open their documents as on Ask; the button of an empty workspace fills it.
_EVENTS_JS = (
    _html.OPEN_SOURCE_JS
    + """
element.addEventListener('click', (event) => {
  if (event.target.closest('#edit-example')) trigger('prepare');
});
"""
)
_OPEN_JS = "(dataset) => { window.pairloopEdit.open(dataset); }"


@dataclass(frozen=True, slots=True)
class AnnotatePanel:
    """Components of the panel. ``sources`` is the whole screen: passages stand in it."""

    root: gr.Tab
    sources: gr.HTML


class AnnotateHandlers:
    """What of this panel is not the script's."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def prepare_example(self) -> str:
        """Answer the example's queries with the embedded model; return the id of their dataset."""
        known = {dataset.id for dataset in self._services.datasets.all()}
        made = self._services.example.review()
        if made.id not in known:
            noted(self._services, "dataset.created", made.name, {"records": made.size})
        return made.id


def build() -> AnnotatePanel:
    """Lay out the panel."""
    with gr.Tab("Annotate", id="annotate") as root:
        screen = gr.HTML(_HOST, js_on_load=_EVENTS_JS, elem_id="edit-annotate")
    return AnnotatePanel(root, screen)


def wire(
    panel: AnnotatePanel,
    handlers: AnnotateHandlers,
    dataset: gr.Dropdown,
    opened: list[Callable],
    load_datasets: Callable[[str | None], gr.Dropdown],
) -> None:
    """Attach the listeners. ``load_datasets`` gives the dropdown the datasets there are, and the one to choose."""

    def prepare() -> gr.Dropdown:
        return load_datasets(handlers.prepare_example())

    shown = {"api_visibility": "private", "show_progress": "hidden"}
    for event in opened:
        event(None, dataset, None, js=_OPEN_JS, **shown)
    prepared = panel.sources.prepare(allowed(Role.ADMIN, prepare), None, dataset, **shown)
    prepared.success(None, dataset, None, js=_OPEN_JS, **shown)
