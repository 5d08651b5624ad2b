"""Settings: what the workspace works with, a panel for each."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from components._guard import allowed
from components.settings import environment_panel, model_panel, prompt_panel, retrieval_panel, storage, token_panel
from pipeline.records import Role
from pipeline.services import Services


@dataclass(frozen=True, slots=True)
class SettingsTab:
    """Components of the tab; its panels in the order of the screen."""

    root: gr.Tab
    panels: gr.Tabs
    models: model_panel.ModelPanel
    prompts: prompt_panel.PromptPanel
    retrieval: retrieval_panel.RetrievalPanel
    storage_root: gr.Tab
    storage: storage.StorageTab
    tokens: token_panel.TokenPanel
    environment: environment_panel.EnvironmentPanel

    def of_owners(self) -> list[gr.Tab]:
        """Return the panels that are an owner's alone."""
        return [self.models.root, self.prompts.root, self.retrieval.root, self.storage_root, self.environment.root]


def build() -> SettingsTab:
    """Lay out the tab."""
    with (
        gr.Tab("Settings", id="settings") as root,
        gr.Column(elem_id="settings-screen", elem_classes=["pl-screen"]),
        gr.Tabs(elem_id="settings-panels", selected="models", overflow_behavior="wrap") as panels,
    ):
        models = model_panel.build()
        prompts = prompt_panel.build()
        retrieval = retrieval_panel.build()
        with gr.Tab("Storage", id="storage", elem_id="storage-panel") as storage_root:
            kept = storage.build()
        tokens = token_panel.build()
        environment = environment_panel.build()
    return SettingsTab(root, panels, models, prompts, retrieval, storage_root, kept, tokens, environment)


def wire(tab: SettingsTab, services: Services) -> None:
    """Attach the listeners of all panels."""
    kept = storage.wire(tab.storage, storage.StorageHandlers(services), [tab.root.select, tab.storage_root.select])
    # A workspace file may bring models.
    opened = [tab.root.select, tab.models.root.select, kept]
    model_panel.wire(tab.models, model_panel.ModelHandlers(services), opened)
    prompt_panel.wire(tab.prompts, prompt_panel.PromptHandlers(services), [tab.prompts.root.select])
    retrieval_panel.wire(tab.retrieval, retrieval_panel.RetrievalHandlers(services), [tab.retrieval.root.select])
    tokens = token_panel.TokenHandlers(services)
    token_panel.wire(tab.tokens, tokens, [tab.tokens.root.select, tab.root.select])
    # The first panel is an owner's: who sees none of those is led to the one there is.
    tab.root.select(
        allowed(Role.VIEWER, tokens.lead), None, tab.panels, api_visibility="private", show_progress="hidden"
    )
    environment_panel.wire(tab.environment, environment_panel.EnvironmentHandlers(services), tab.root)
