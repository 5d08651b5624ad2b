"""Models, a panel of Settings: which models there are, new ones, other versions of them, and those offered no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._choices import build_dropdown, dropdown, kept
from components._guard import allowed
from components._noting import noted
from components._session import owner
from components.settings import local_panel, model_form
from components.settings.model_form import Fields
from components.settings.model_table import models_html, probe_html
from pipeline.errors import ModelError, NotFoundError, PipelineError
from pipeline.records import IMPORTED, Model, Role
from pipeline.registry import CHAT
from pipeline.services import Services

GREETING = "Say in one sentence who you are."
# A list may be long as OpenRouter's; a longer one is cut, and the model id can be typed.
_LONGEST_LIST = 2_000
_TO_FORM_JS = "() => document.querySelector('#settings-new')?.scrollIntoView({block: 'nearest'})"


@dataclass(frozen=True, slots=True)
class ModelPanel:
    """Components of the panel."""

    root: gr.Tab
    models: gr.HTML
    chosen: gr.Dropdown
    edit: gr.Button
    retire: gr.Button
    said: gr.HTML
    form: model_form.ModelForm
    local: local_panel.LocalPanel


class Listed(NamedTuple):
    """Output order of the list."""

    models: str
    chosen: gr.Dropdown
    edit: gr.Button
    retire: gr.Button


class Opened(NamedTuple):
    """Output order when the panel is opened: the list, and what can be chosen in the form."""

    models: str
    chosen: gr.Dropdown
    edit: gr.Button
    retire: gr.Button
    key: gr.Dropdown
    template: gr.Dropdown


class Buttons(NamedTuple):
    """Output order of what can be done with the chosen model."""

    edit: gr.Button
    retire: gr.Button


class ModelHandlers:
    """Shows the workspace's models, registers chat models, and changes which are offered."""

    def __init__(self, services: Services) -> None:
        self.services = self._services = services
        self._registry = services.registry

    def show_registry(self, chosen: str | None, key: str | None, template: str | None) -> Opened:
        """Return the models and what a new one can be made of."""
        settings = self._services.settings
        keys = model_form.key_choices(settings)
        usual = "OPENAI_API_KEY" if key == model_form.NO_KEY and "OPENAI_API_KEY" in keys else key
        return Opened(
            *self._listed(chosen),
            gr.Dropdown(choices=keys, value=usual, allow_custom_value=True),
            self._templates(template),
        )

    def choose_model(self, chosen: str | None) -> Buttons:
        """Return what can be done with a model."""
        return Buttons(*self._buttons(self._find(chosen)))

    def edit_model(self, chosen: str | None, request: gr.Request) -> tuple:
        """Fill the form with a model, to make another version of it."""
        owner(self._services, request)
        model = self._find(chosen)
        if model is None or model.provider != CHAT:
            raise ModelError("Choose a model of an endpoint: the others have nothing to change here.")
        values = model_form.filled(self._registry.config_of(model), self._templates(model.template))
        text = (
            f"You change {model.name}. It becomes a new version, and {model.name} is retired; what it answered stays."
        )
        return (
            gr.Accordion(f"Change {model.name}", open=True),
            model.id,
            gr.Textbox(model.name, interactive=False),
            *values,
            gr.Button("Save as a new version"),
            gr.Button(visible=True),
            _html.note(text),
        )

    def close_form(self) -> tuple:
        """Let the form be one for a new model again; what was typed into its other fields stays."""
        return (
            gr.Accordion("Register a model", open=False),
            "",
            gr.Textbox("", interactive=True),
            *(gr.skip() for _ in Fields._fields),
            gr.Button("Register"),
            gr.Button(visible=False),
            "",
        )

    def choose_preset(self, preset: str, endpoint: str, key: str | None) -> tuple:
        """Return what another kind of endpoint puts into the form."""
        return model_form.preset_of(preset, endpoint, key, model_form.key_choices(self._services.settings))

    def list_models(self, request: gr.Request, *typed) -> Iterator[tuple]:
        """Ask the endpoint for its models."""
        yield gr.skip(), _html.note("Asking the endpoint …")
        try:
            owner(self._services, request)
            config, _ = model_form.config_of(*typed)
            found = self._services.background.submit(self._registry.list_endpoint(config)).result()
        except PipelineError as error:
            yield gr.skip(), _html.note(str(error), "bad")
            return
        if not found:
            yield gr.skip(), _html.note("The endpoint has no models, or does not list them: type the model id.", "warn")
            return
        shown = found[:_LONGEST_LIST]
        count = "1 model is" if len(found) == 1 else f"{len(found):,} models are"
        value = config.model_id or (shown[0] if len(shown) == 1 else "")
        said = _html.note(f"{count} at the endpoint: choose one in the list of model ids.", "good")
        yield gr.Dropdown(choices=shown, value=value, allow_custom_value=True), said

    def test_model(self, question: str, request: gr.Request, *typed) -> Iterator[str]:
        """Send one request and show what came back, without registering anything."""
        yield _html.note("Asking the model …")
        try:
            me = owner(self._services, request)
            config, template = model_form.config_of(*typed)
            asked = (question or "").strip()
            # Of no model in particular: the form may be any model's twin.
            self._services.comparisons.refuse_withheld_query(asked, "", me)
            messages = (
                self._services.prompts.messages(template, asked) if asked else [{"role": "user", "content": GREETING}]
            )
            probe = self._services.background.submit(self._registry.test(config, messages)).result()
        except PipelineError as error:
            yield _html.note(str(error), "bad")
            return
        yield probe_html(probe, config)

    def save_model(self, editing: str, name: str, request: gr.Request, *typed) -> tuple:
        """Register what was typed: as a new model, or as the next version of the one that is changed."""
        try:
            owner(self._services, request)
            config, template = model_form.config_of(*typed)
            if editing:
                model = self._registry.change_chat_model(editing, config, template)
                noted(self._services, "model.changed", model.name)
                said = f"{model.name} is registered, and the version before is retired."
            else:
                model = self._registry.add_chat_model(name, config, template)
                noted(self._services, "model.registered", model.name)
                said = f"{model.name} is registered."
        except PipelineError as error:
            unchanged = (gr.skip() for _ in (*Listed._fields, *self.close_form()[:-1]))
            return (*unchanged, gr.skip(), _html.note(str(error), "bad"))
        return (*self._listed(model.id), *self.close_form()[:-1], _html.note(said, "good"), "")

    def retire_model(self, chosen: str | None, request: gr.Request) -> tuple:
        """Offer a model no more, or again."""
        owner(self._services, request)
        model = self._find(chosen)
        if model is None:
            raise ModelError("Choose a model first.")
        if model.retired_at is None:
            model = self._registry.retire(model.id)
            noted(self._services, "model.retired", model.name)
            said = f"{model.name} is offered no more. Its answers, votes and numbers stay as they are."
        else:
            model = self._registry.bring_back(model.id)
            noted(self._services, "model.restored", model.name)
            said = f"{model.name} is offered again."
        return (*self._listed(model.id), _html.note(said, "good"))

    def _listed(self, chosen: str | None) -> Listed:
        models = self._registry.all()
        choices = [
            (model.name + (" (retired)" if model.retired_at is not None else ""), model.id)
            for model in models
            if model.provider != IMPORTED
        ]
        buttons = self._buttons(self._find(kept(choices, chosen)))
        return Listed(models_html(models, self._registry.what_is, self._prompt), dropdown(choices, chosen), *buttons)

    def _buttons(self, model: Model | None) -> tuple[gr.Button, gr.Button]:
        retired = model is not None and model.retired_at is not None
        replaced = model is not None and any(other.replaces_id == model.id for other in self._registry.all())
        editable = model is not None and model.provider == CHAT and not replaced
        return gr.Button(interactive=editable), gr.Button(
            "Bring back" if retired else "Retire", interactive=bool(model)
        )

    def _templates(self, chosen: str | None) -> gr.Dropdown:
        choices = self._services.prompts.newest()
        if chosen and chosen not in {reference for _, reference in choices}:
            # An older version that a model has stays possible for that model.
            choices += [item for item in self._services.prompts.choices() if item[1] == chosen]
        return dropdown(choices, chosen)

    def _prompt(self, model: Model) -> str:
        try:
            return self._services.prompts.find(model.template).label if model.template else "not known"
        except NotFoundError:
            return "not known"

    def _find(self, model_id: str | None) -> Model | None:
        return next((model for model in self._registry.all() if model.id == model_id), None)


def build() -> ModelPanel:
    """Lay out the panel."""
    with gr.Tab("Models", id="models", elem_id="models-panel") as root:
        gr.HTML(
            '<h3 class="pl-title">Models</h3><p class="pl-note">A model never changes: what is changed becomes a new version, '
            "so that every answer and vote stays with the model that it belongs to. Of a key only the name of its environment "
            "variable is kept.</p>"
        )
        models = gr.HTML("", elem_id="settings-models")
        with gr.Row(equal_height=False):
            chosen = build_dropdown("Model", "settings-chosen", scale=5)
            edit = gr.Button("Edit", elem_id="settings-edit", scale=1, min_width=110)
            retire = gr.Button("Retire", elem_id="settings-retire", scale=1, min_width=110)
        said = gr.HTML("", elem_id="settings-said")
        form = model_form.build()
        local = local_panel.build()
    return ModelPanel(root, models, chosen, edit, retire, said, form, local)


def wire(panel: ModelPanel, handlers: ModelHandlers, opened: list[Callable]) -> None:
    """Attach the listeners; ``opened`` are the events that show the panel."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    form, fields = panel.form, list(panel.form.fields)
    listed = [panel.models, panel.chosen, panel.edit, panel.retire]
    for event in opened:
        shown = [*listed, form.fields.key, form.fields.template]
        event(
            allowed(Role.OWNER, handlers.show_registry, quiet=True),
            [panel.chosen, form.fields.key, form.fields.template],
            shown,
            **quiet,
        )
    panel.chosen.input(allowed(Role.OWNER, handlers.choose_model), panel.chosen, [panel.edit, panel.retire], **quiet)
    state = [form.root, form.editing, form.name, *fields, form.save, form.cancel]
    begun = panel.edit.click(allowed(Role.OWNER, handlers.edit_model), panel.chosen, [*state, panel.said], **quiet)
    begun.success(None, js=_TO_FORM_JS, **quiet)
    form.cancel.click(allowed(Role.OWNER, handlers.close_form), None, [*state, panel.said], **quiet)
    panel.retire.click(allowed(Role.OWNER, handlers.retire_model), panel.chosen, [*listed, panel.said], **quiet)
    form.fields.preset.input(
        allowed(Role.OWNER, handlers.choose_preset),
        [form.fields.preset, form.fields.endpoint, form.fields.key],
        [form.help, form.fields.endpoint, form.fields.key, form.fields.api_version],
        **quiet,
    )
    # Each waits for the endpoint: several people may.
    waiting = {**quiet, "concurrency_limit": 4}
    form.list.click(
        allowed(Role.OWNER, handlers.list_models, cost=1), fields, [form.fields.model_id, form.listed], **waiting
    )
    form.test.click(allowed(Role.OWNER, handlers.test_model, cost=1), [form.question, *fields], form.tested, **waiting)
    # What a test brought is not said of another endpoint.
    for box in (form.fields.endpoint, form.fields.key, form.fields.model_id):
        box.input(None, None, form.tested, js="() => ''", **quiet)
    listing = ([panel.chosen, form.fields.key, form.fields.template], [*listed, form.fields.key, form.fields.template])
    files = local_panel.LocalHandlers(handlers.services)
    local_panel.wire(panel.local, files, opened, handlers.show_registry, listing)
    form.save.click(
        allowed(Role.OWNER, handlers.save_model, cost=1),
        [form.editing, form.name, *fields],
        [*listed, *state, panel.said, form.tested],
        **quiet,
    )
