"""Settings: models, storage and back-up, and the environment in force."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import gradio as gr

from components import _html, storage
from components._errors import shows_errors
from pipeline.prompts import TEMPLATES, get_template
from pipeline.records import IMPORTED, Model
from pipeline.services import Services
from pipeline.settings import SETTINGS, Settings


@dataclass(frozen=True, slots=True)
class SettingsTab:
    """Components of the tab."""

    root: gr.Tab
    models: gr.HTML
    name: gr.Textbox
    model_id: gr.Textbox
    template: gr.Dropdown
    temperature: gr.Number
    add: gr.Button
    storage: storage.StorageTab
    environment: gr.HTML


class Shown(NamedTuple):
    """Output order of the tab."""

    models: str
    environment: str


class SettingsHandlers:
    """Shows the workspace's settings and registers chat models."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def show_settings(self) -> Shown:
        """Return the models and the environment in force."""
        registry = self._services.registry
        return Shown(models_html(registry.all(), registry.endpoint), environment_html(self._services.settings))

    def add_model(self, name: str, model_id: str, template: str, temperature: float | None) -> Shown:
        """Register another model of the configured endpoint."""
        model = self._services.registry.add_chat_model(name, model_id, template, temperature)
        gr.Info(f"{_html.esc(model.name)} is registered.")
        return self.show_settings()


def build() -> SettingsTab:
    """Lay out the tab."""
    with gr.Tab("Settings", id="settings") as root, gr.Column(elem_id="settings-screen", elem_classes=["pl-screen"]):
        gr.HTML('<h3 class="pl-title">Models</h3>')
        models = gr.HTML("", elem_id="settings-models")
        with gr.Accordion("Add a model of the endpoint", open=False, elem_id="settings-new"):
            with gr.Row(equal_height=False):
                name = gr.Textbox(label="Name on screen", max_lines=1, elem_id="settings-name")
                model_id = gr.Textbox(label="Model id at the endpoint", max_lines=1, elem_id="settings-model-id")
            with gr.Row(equal_height=False):
                choices = [(template.title, template.name) for template in TEMPLATES.values()]
                template = gr.Dropdown(
                    choices, value=choices[0][1], label="Prompt template", filterable=False, elem_id="settings-template"
                )
                temperature = gr.Number(
                    None, label="Temperature (empty: the endpoint's own)", elem_id="settings-temperature"
                )
                add = gr.Button("Add the model", elem_id="settings-add", min_width=140)
        kept = storage.build()
        gr.HTML('<h3 class="pl-title">Environment</h3>')
        environment = gr.HTML("", elem_id="settings-environment")
    return SettingsTab(root, models, name, model_id, template, temperature, add, kept, environment)


def wire(tab: SettingsTab, handlers: SettingsHandlers) -> None:
    """Attach the listeners."""
    shown = [tab.models, tab.environment]
    # A workspace file may bring models.
    for event in (tab.root.select, tab.storage.imported.change):
        event(shows_errors(handlers.show_settings), None, shown, api_visibility="private", show_progress="hidden")
    tab.add.click(
        shows_errors(handlers.add_model),
        [tab.name, tab.model_id, tab.template, tab.temperature],
        shown,
        api_visibility="private",
    )


def models_html(models: list[Model], endpoint: str) -> str:
    """Return the registry as a table."""
    names = {model.id: model.name for model in models}
    rows = "".join(
        f"<tr><td><b>{_html.esc(model.name)}</b></td><td>{_html.esc(_kind(model))}</td>"
        f"<td>{_html.esc(_prompt(model))}</td><td>{_html.esc(names.get(model.parent_id, ''))}</td>"
        f"<td>{_html.ago(model.created_at)}</td></tr>"
        for model in models
    )
    where = (
        _html.note(f"Endpoint: {endpoint}. Its key comes from OPENAI_API_KEY and is never stored or shown.")
        if endpoint
        else _html.note(
            "No endpoint is configured. Set OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL, then start again."
        )
    )
    return (
        "<div class='pl-scroll' tabindex='0'><table class='pl-table'><thead><tr><th>Model</th><th>What it is</th><th>Prompt</th>"
        f"<th>Parent</th><th>Added</th></tr></thead><tbody>{rows}</tbody></table></div>{where}"
    )


def environment_html(settings: Settings) -> str:
    """Return every setting with its value; a key is only said to be set."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    rows = "".join(
        f"<tr><td><code>{setting.name}</code></td><td>{_html.esc(_value(setting.name, values))}</td>"
        f"<td class='pl-wide'>{_html.esc(setting.help)}</td></tr>"
        for setting in SETTINGS
    )
    return (
        f"<div class='pl-scroll' tabindex='0'><table class='pl-table'><thead><tr><th>Variable</th><th>In force</th>"
        f"<th>What it does</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _value(name: str, values: dict[str, object]) -> str:
    value = values[name.removeprefix("PAIRLOOP_").lower()]
    if name.endswith(("_KEY", "_TOKEN")):
        return "set" if value else "not set"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:g}"
    return "not set" if value in ("", None) else str(value)


def _prompt(model: Model) -> str:
    return get_template(model.template).title if model.template else "not known"


def _kind(model: Model) -> str:
    if model.provider == "extractive":
        return "Embedded: picks sentences of the contexts; not a language model"
    if model.provider == IMPORTED:
        return "Came with imported votes: only its results are here, it answers nothing"
    temperature = model.config.get("temperature")
    suffix = "" if temperature is None else f", temperature {temperature}"
    return f"{model.config['model_id']} at {model.config['endpoint']}{suffix}"
