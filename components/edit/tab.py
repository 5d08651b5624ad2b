"""Edit: a dataset, what people do with it, and what is made of that."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from components._choices import build_dropdown, dropdown, of_datasets
from components._guard import allowed
from components.edit import annotate, dataset_setup, new_dataset, record_panel, review
from components.team import sprints as team_sprints
from pipeline.errors import NotFoundError
from pipeline.records import Role
from pipeline.services import Services

OF_RECORD = "record/"
# What the page's address asks for, once; else the dataset that is chosen.
_WANTED_JS = "(chosen) => [window.pairloopEdit.wanted(chosen)]"


@dataclass(frozen=True, slots=True)
class EditTab:
    """Components of the tab."""

    root: gr.Tab
    dataset: gr.Dropdown
    new: gr.Button
    panels: gr.Tabs
    annotate: annotate.AnnotatePanel
    review: review.ReviewPanel
    records: record_panel.RecordPanel
    setup: dataset_setup.SetupPanel


class EditHandlers:
    """The choice of the dataset that all panels work on."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def load_datasets(self, chosen: str | None) -> gr.Dropdown:
        """Return the datasets to choose from, newest first; a choice that still exists is kept.

        ``record/`` and a record's id choose the dataset that the record is in, as an address does that names a record.
        """
        if chosen and chosen.startswith(OF_RECORD):
            chosen = self._dataset_of(chosen.removeprefix(OF_RECORD))
        return dropdown(of_datasets(self._services.datasets.all()), chosen)

    def _dataset_of(self, record_id: str) -> str | None:
        try:
            return self._services.store.datasets.dataset_of(record_id)
        except NotFoundError:
            return None


def build() -> EditTab:
    """Lay out the tab."""
    with gr.Tab("Edit", id="edit") as root, gr.Column(elem_id="edit-screen", elem_classes=["pl-screen"]):
        team_sprints.banner("edit")
        with gr.Row(equal_height=False):
            dataset = build_dropdown("Dataset", "edit-dataset", scale=5)
            new = gr.Button("New dataset", elem_id="edit-new", scale=1, min_width=140)
        with gr.Tabs(elem_id="edit-panels", selected="annotate") as panels:
            annotate_panel = annotate.build()
            review_panel = review.build()
            records_panel = record_panel.build()
            setup_panel = dataset_setup.build()
    return EditTab(root, dataset, new, panels, annotate_panel, review_panel, records_panel, setup_panel)


def wire(tab: EditTab, handlers: EditHandlers, services: Services) -> None:
    """Attach the listeners."""
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 8}
    loaded = tab.root.select(
        allowed(Role.ANNOTATOR, handlers.load_datasets), tab.dataset, tab.dataset, js=_WANTED_JS, **quiet
    )
    # What tells a panel to show the dataset that is chosen now.
    annotate.wire(
        tab.annotate,
        annotate.AnnotateHandlers(services),
        tab.dataset,
        [loaded.success, tab.dataset.input, tab.annotate.root.select],
        handlers.load_datasets,
    )
    reviewing = review.ReviewHandlers(services)
    review.wire(tab.review, reviewing, tab.dataset, [loaded.success, tab.dataset.input])
    records = [loaded.success, tab.dataset.input, tab.records.root.select]
    record_panel.wire(tab.records, record_panel.RecordHandlers(services), tab.dataset, records)
    setup = dataset_setup.SetupHandlers(services)
    dataset_setup.wire(tab.setup, setup, tab.dataset, [loaded.success, tab.setup.root.select])
    making = new_dataset.NewDatasetHandlers(services)
    dataset_setup.wire_new(tab.setup, setup, making, tab.new, (tab.dataset, tab.panels))
