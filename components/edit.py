"""Edit: a dataset, what people do with it, and what is made of that."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from components import annotate
from components._choices import build_dropdown, dropdown
from components._errors import shows_errors
from pipeline.services import Services


@dataclass(frozen=True, slots=True)
class EditTab:
    """Components of the tab."""

    root: gr.Tab
    dataset: gr.Dropdown
    panels: gr.Tabs
    annotate: annotate.AnnotatePanel


class EditHandlers:
    """The choice of the dataset that all panels work on."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def load_datasets(self, chosen: str | None) -> gr.Dropdown:
        """Return the datasets to choose from, newest first; a choice that still exists is kept."""
        choices = [(f"{dataset.name} ({dataset.size})", dataset.id) for dataset in self._services.datasets.all()]
        return dropdown(choices, chosen)


def build() -> EditTab:
    """Lay out the tab."""
    with gr.Tab("Edit", id="edit") as root, gr.Column(elem_id="edit-screen", elem_classes=["pl-screen"]):
        dataset = build_dropdown("Dataset", "edit-dataset")
        with gr.Tabs(elem_id="edit-panels", selected="annotate") as panels:
            annotate_panel = annotate.build()
    return EditTab(root, dataset, panels, annotate_panel)


def wire(tab: EditTab, handlers: EditHandlers, services: Services) -> None:
    """Attach the listeners."""
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 8}
    loaded = tab.root.select(shows_errors(handlers.load_datasets), tab.dataset, tab.dataset, **quiet)
    # What tells a panel to show the dataset that is chosen now.
    annotate.wire(
        tab.annotate,
        annotate.AnnotateHandlers(services),
        tab.dataset,
        [loaded.success, tab.dataset.input, tab.annotate.root.select],
    )
