"""A download that is made when it is asked for.

Gradio's DownloadButton hands out the file that it held before the click; so a plain button makes the file, puts it into a
hidden DownloadButton, and presses that.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from components._guard import allowed
from pipeline.records import Role


@dataclass(frozen=True, slots=True)
class Download:
    """Components of a download."""

    button: gr.Button
    file: gr.DownloadButton


def build(label: str, elem_id: str, interactive: bool = True, visible: bool = True) -> Download:
    """Lay out a download."""
    button = gr.Button(label, elem_id=elem_id, interactive=interactive, visible=visible)
    return Download(button, gr.DownloadButton(visible="hidden", elem_id=f"{elem_id}-file"))


def wire(
    download: Download, role: Role, handler: Callable[..., str], inputs: Sequence[gr.components.Component]
) -> None:
    """Let the button hand out the file whose path ``handler`` returns, to those who have ``role``."""
    made = download.button.click(allowed(role, handler, cost=1), list(inputs), download.file, api_visibility="private")
    hand_out(made, download.file)


def hand_out(made: gr.events.Dependency, file: gr.DownloadButton) -> None:
    """Let the browser take what a listener has put into a hidden DownloadButton, where it has put something there."""
    # The hidden button needs a moment to take over the new file.
    press = f"(file) => file && setTimeout(() => document.querySelector('#{file.elem_id}').click(), 150)"
    made.success(None, file, None, js=press, api_visibility="private")


def write(name: str, text: str) -> str:
    """Write a file of this name into a folder of its own and return its path. Line ends stay as they are."""
    path = place(name)
    path.write_text(text, encoding="utf-8", newline="")
    return str(path)


def place(name: str) -> Path:
    """Return the path for a file of this name in a folder of its own."""
    # Somebody may have tidied the temporary files of a process that runs for weeks.
    os.makedirs(_folder(), mode=0o700, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=_folder())) / name


def remove_all() -> None:
    """Remove what was made for downloads; the process is about to end."""
    if _folder.cache_info().currsize:
        shutil.rmtree(_folder(), ignore_errors=True)


@functools.cache
def _folder() -> str:
    """Return the folder of this process, where Gradio may take files from; it is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="pairloop-downloads-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
