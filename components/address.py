"""The page's address names the tab that is open, so that a link or a reload leads to it."""

from __future__ import annotations

import gradio as gr

TABS = ("start", "ask", "edit", "tune", "compare", "results", "settings")


def open_tab(request: gr.Request) -> gr.Tabs:
    """Open the tab that the address names, as in ``/?tab=compare``; else leave alone what a quick click has opened."""
    tab = request.query_params.get("tab", "")
    return gr.Tabs(selected=tab) if tab in TABS else gr.skip()
