"""Dropdowns whose choices change while the app runs."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from pipeline.store.datasets import Dataset


def build_dropdown(label: str, elem_id: str, scale: int | None = None) -> gr.Dropdown:
    """Lay out a dropdown, empty until :func:`dropdown` gives it choices."""
    box = gr.Dropdown([], label=label, filterable=False, elem_id=elem_id, scale=scale)
    # Gradio keeps the choices of each open page in memory. After a restart it knows none and would refuse every vote from
    # a page that was open meanwhile; the handlers check the ids that they are given.
    box.preprocess = lambda value: value
    return box


def remember(box: gr.Dropdown, key: str) -> str:
    """Let this browser tab remember what is chosen; return the script with which a listener asks for it after a reload.

    What it remembers comes from the page, as any choice does: the handlers check it.
    """
    key = f"pairloop-{key}"
    keep = f"(chosen) => {{ try {{ if (chosen) sessionStorage.setItem('{key}', chosen); }} catch {{ }} }}"
    box.change(None, box, None, js=keep, api_visibility="private", show_progress="hidden")
    return f"(chosen) => {{ try {{ return chosen || sessionStorage.getItem('{key}'); }} catch {{ return chosen; }} }}"


def kept(choices: Sequence[tuple[str, str]], chosen: str | None) -> str | None:
    """Return ``chosen`` while it is among the (label, value) choices, else the first value, or None without any."""
    values = [value for _, value in choices]
    return chosen if chosen in values else next(iter(values), None)


def dropdown(choices: Sequence[tuple[str, str]], chosen: str | None) -> gr.Dropdown:
    """Return an update with these choices and the value that :func:`kept` picks."""
    return gr.Dropdown(choices=list(choices), value=kept(choices, chosen))


def of_datasets(datasets: Sequence[Dataset]) -> list[tuple[str, str]]:
    """Return datasets as choices: each with its number of records, or as the draft that it is."""
    return [(f"{item.name} ({item.size if item.published else 'draft'})", item.id) for item in datasets]
