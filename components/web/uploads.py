"""Where the files of one workspace are that Gradio takes in and hands out: apart from those of every other one.

Gradio has one folder for all apps of a process, and of all processes of a machine: whoever knows the path of a file in it could
have it from any of them.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from pipeline.settings import Settings


def folder_of(settings: Settings) -> Path:
    """Return the folder of a workspace's files, below Gradio's: it takes in none from elsewhere."""
    mark = hashlib.sha256(str(settings.home.resolve()).encode()).hexdigest()[:16]
    return Path(os.path.realpath(get_upload_folder())) / f"pairloop-{mark}"


def keep_apart(screens: gr.Blocks, mounted: object, folder: Path) -> None:
    """Let screens, and Gradio's app that serves them, keep files in a folder of their own."""
    mounted.uploaded_file_dir = str(folder)
    for block in (screens, *screens.blocks.values()):
        block.GRADIO_CACHE = str(folder)


def is_within(path: str, folder: Path) -> bool:
    """Say whether a path is one of this folder, wherever links lead."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(folder)
    except (OSError, ValueError):
        return False
