"""Dropdowns whose choices change while the app runs."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr


def dropdown(choices: Sequence[tuple[str, str]], chosen: str | None) -> gr.Dropdown:
    """Return an update with these (label, value) choices; ``chosen`` is kept while it exists, else the first is taken."""
    values = [value for _, value in choices]
    return gr.Dropdown(choices=list(choices), value=chosen if chosen in values else next(iter(values), None))
