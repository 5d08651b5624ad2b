"""The form of a chat model on Settings: its fields, and what they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from pipeline.chat_configs import PRESETS, ChatConfig, read_extra
from pipeline.errors import ModelError
from pipeline.settings import Settings

NO_KEY = "(no key)"
# What a field is called in a message, where its own name would not be found on the form.
_NAMES = {
    "input_price": "The price of tokens read",
    "output_price": "The price of tokens written",
    "max_tokens": "The most tokens of an answer",
}
_NUMBERS = {
    "temperature": float,
    "top_p": float,
    "max_tokens": int,
    "seed": int,
    "input_price": float,
    "output_price": float,
}


class Fields(NamedTuple):
    """What is typed of a model, in the order in which the handlers are given it."""

    preset: gr.Dropdown
    endpoint: gr.Textbox
    key: gr.Dropdown
    model_id: gr.Dropdown
    api_version: gr.Textbox
    template: gr.Dropdown
    temperature: gr.Textbox
    top_p: gr.Textbox
    max_tokens: gr.Textbox
    seed: gr.Textbox
    stop: gr.Textbox
    extra: gr.Textbox
    input_price: gr.Textbox
    output_price: gr.Textbox


@dataclass(frozen=True, slots=True)
class ModelForm:
    """Components of the form. ``editing`` has the id of the model that is changed, or "" for a new one."""

    root: gr.Accordion
    editing: gr.Textbox
    name: gr.Textbox
    help: gr.HTML
    fields: Fields
    list: gr.Button
    listed: gr.HTML
    question: gr.Textbox
    test: gr.Button
    tested: gr.HTML
    save: gr.Button
    cancel: gr.Button


def build() -> ModelForm:
    """Lay out the form."""
    with gr.Accordion("Register a model", open=False, elem_id="settings-new") as root:
        editing = gr.Textbox("", visible=False, elem_id="settings-editing")
        with gr.Row(equal_height=False):
            preset = gr.Dropdown(
                _presets(), value="openai", label="Kind of endpoint",
                filterable=False, elem_id="settings-preset",
            )  # fmt: skip
            name = gr.Textbox(label="Name on screen", max_lines=1, elem_id="settings-name")
        about = gr.HTML(_help("openai"), elem_id="settings-help")
        with gr.Row(equal_height=False):
            endpoint = gr.Textbox(
                PRESETS["openai"].endpoint, label="Address of the endpoint", max_lines=1, elem_id="settings-endpoint"
            )
            key = _typed_or_chosen("Environment variable with its key", "settings-key", NO_KEY)
        with gr.Row(equal_height=False):
            model_id = _typed_or_chosen("Model id at the endpoint", "settings-model-id", "", scale=5)
            listing = gr.Button("List its models", elem_id="settings-list", scale=1, min_width=140)
        listed = gr.HTML("", elem_id="settings-listed")
        template = gr.Dropdown([], label="Prompt template", filterable=False, elem_id="settings-template")
        template.preprocess = lambda value: value
        more = _build_more()
        with gr.Row(equal_height=False):
            question = gr.Textbox(
                label="Ask it something", placeholder="Empty: one plain sentence, without the documents", max_lines=3,
                elem_id="settings-question", scale=5,
            )  # fmt: skip
            test = gr.Button("Test", elem_id="settings-test", scale=1, min_width=140)
        tested = gr.HTML("", elem_id="settings-tested")
        with gr.Row(elem_classes=["pl-beside"]):
            save = gr.Button("Register", variant="primary", elem_id="settings-add", min_width=140)
            cancel = gr.Button("Cancel", visible=False, elem_id="settings-cancel", min_width=100)
    fields = Fields(preset, endpoint, key, model_id, more[0], template, *more[1:])
    return ModelForm(root, editing, name, about, fields, listing, listed, question, test, tested, save, cancel)


def _build_more() -> tuple:
    with gr.Accordion("Sampling, limits and price", open=False, elem_id="settings-more"):
        gr.HTML('<p class="pl-note">What is left empty is not sent, and the endpoint\'s own holds.</p>')
        with gr.Row(equal_height=False):
            temperature = _number("Temperature, 0 to 2", "settings-temperature")
            top_p = _number("Top p, 0 to 1", "settings-top-p")
            tokens = _number("Most tokens of an answer", "settings-max-tokens")
            seed = _number("Seed", "settings-seed")
        with gr.Row(equal_height=False):
            stop = gr.Textbox(label="Stop at (one text a line)", lines=2, max_lines=4, elem_id="settings-stop")
            extra = gr.Textbox(
                label="Further parameters, as JSON", placeholder='{"reasoning_effort": "low"}', lines=2, max_lines=8,
                elem_id="settings-extra",
            )  # fmt: skip
        with gr.Row(equal_height=False):
            input_price = _number("US dollars per million tokens read", "settings-input-price", "not known")
            output_price = _number("US dollars per million tokens written", "settings-output-price", "not known")
            version = gr.Textbox(
                label="API version (Azure only)", placeholder="2024-10-21", max_lines=1, visible=False,
                elem_id="settings-api-version",
            )  # fmt: skip
    return version, temperature, top_p, tokens, seed, stop, extra, input_price, output_price


def _number(label: str, elem_id: str, empty: str = "the endpoint's own") -> gr.Textbox:
    # Not Gradio's field for numbers: it shows an empty one as 0, and sends that.
    return gr.Textbox(label=label, placeholder=empty, max_lines=1, elem_id=elem_id, min_width=140)


def _presets() -> list[tuple[str, str]]:
    return [(item.title, item.name) for item in PRESETS.values()]


def _choice(value: str) -> gr.Dropdown:
    """Return an update of a list into which one may type too."""
    return gr.Dropdown(value=value, allow_custom_value=True)


def _typed_or_chosen(label: str, elem_id: str, value: str, scale: int | None = None) -> gr.Dropdown:
    return gr.Dropdown([], value=value, label=label, allow_custom_value=True, elem_id=elem_id, scale=scale)


def config_of(*typed) -> tuple[ChatConfig, str]:
    """Return the configuration that was typed, not checked yet, and the prompt template.

    Raises:
        ModelError: the further parameters are no JSON.
    """
    values = dict(zip(Fields._fields, typed, strict=True))
    template = values.pop("template")
    key = str(values["key"] or "")
    config = ChatConfig(
        **{
            **values,
            **{name: str(values[name] or "") for name in ("preset", "endpoint", "model_id", "api_version")},
            "key": "" if key == NO_KEY else key,
            "api_version": str(values["api_version"] or "") if values["preset"] == "azure" else "",
            "stop": tuple(line for line in str(values["stop"] or "").splitlines() if line.strip()),
            "extra": read_extra(str(values["extra"] or "")),
            **{name: _read(str(values[name] or ""), name, kind) for name, kind in _NUMBERS.items()},
        }
    )
    return config, str(template or "")


def _read(text: str, name: str, kind: type) -> float | int | None:
    text = text.strip()
    try:
        return kind(text) if text else None
    except ValueError as error:
        example = "a whole number such as 512" if kind is int else "a number such as 0.2"
        named = _NAMES.get(name) or name.replace("_", " ").capitalize()
        raise ModelError(f"{named} is {example}, and not {text[:40]!r}.") from error


def filled(config: Mapping[str, object], template: gr.Dropdown) -> Fields:
    """Return updates that fill the form with a stored configuration; ``template`` is the update of its list."""
    known = ChatConfig.from_config(config)
    sampling = ("temperature", "top_p", "max_tokens", "seed")

    def number(name: str) -> gr.Textbox:
        value = getattr(known, name)
        return gr.Textbox("" if value is None else str(value))

    return Fields(
        gr.Dropdown(_presets(), value=known.preset),
        gr.Textbox(known.endpoint),
        _choice(known.key or NO_KEY),
        _choice(known.model_id),
        gr.Textbox(known.api_version, visible=known.preset == "azure"),
        template,
        *map(number, sampling),
        gr.Textbox("\n".join(known.stop)),
        gr.Textbox(json.dumps(dict(known.extra), ensure_ascii=False, indent=2) if known.extra else ""),
        number("input_price"),
        number("output_price"),
    )


def key_choices(settings: Settings) -> list[str]:
    """Return the names of the variables that hold a key; never what they hold."""
    return [NO_KEY, *sorted({*settings.keys, *(name for name in ("OPENAI_API_KEY", "HF_TOKEN") if settings.key(name))})]


def preset_of(name: str | None, endpoint: str, key: str | None, known: list[str]) -> tuple:
    """Return what another kind of endpoint changes: help, address, key and the field of Azure's API version.

    What somebody typed stays; what an earlier kind had put there goes.
    """
    preset = PRESETS.get(name or "", PRESETS["other"])
    put = {item.endpoint for item in PRESETS.values()} | {""}
    usual = preset.key if preset.key in known else NO_KEY
    address = preset.endpoint if (endpoint or "").strip() in put else gr.skip()
    ours = {item.key for item in PRESETS.values()} | {"", NO_KEY, None}
    return (
        _help(preset.name),
        address,
        _choice(usual) if key in ours else gr.skip(),
        gr.Textbox(visible=preset.name == "azure"),
    )


def _help(name: str) -> str:
    preset = PRESETS[name]
    said = preset.help
    if preset.key:
        said += f" Its key is usually in {preset.key}."
    return f'<p class="pl-note">{said.replace("<", "&lt;")}</p>'
