"""A chart as a PNG file: drawn by the server as SVG, turned into a PNG by the browser, which needs no further program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gradio as gr

from components._guard import allowed
from pipeline.records import Role


@dataclass(frozen=True, slots=True)
class Picture:
    """Components of a picture; ``name`` is that of the file."""

    button: gr.Button
    drawing: gr.Textbox
    name: str


def build(label: str, elem_id: str, name: str) -> Picture:
    """Lay out the button of a picture."""
    button = gr.Button(label, elem_id=elem_id)
    # Hidden by the style: a column that is shown again would show a hidden text box with it.
    drawing = gr.Textbox(show_label=False, elem_id=f"{elem_id}-svg", elem_classes=["pl-kept"])
    return Picture(button, drawing, name)


def wire(picture: Picture, role: Role, handler: Callable[..., str], inputs: Sequence[gr.components.Component]) -> None:
    """Let the button hand out what ``handler`` draws, to those who have ``role``."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    drawn = picture.button.click(allowed(role, handler), list(inputs), picture.drawing, **quiet)
    save = f"(drawing) => window.pairloopPicture(drawing, '{picture.name}')"
    drawn.success(None, picture.drawing, None, js=save, api_visibility="private")
