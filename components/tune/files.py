"""The part of Tune that hands out training files: one choice of form, what it is for, and its lineage where that lies apart."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from components import _download, _html
from pipeline.finetune.files import FORMS, PAIRS, SINGLES, form_of

_MADE_OF = {
    PAIRS: "It is made of preference pairs: changed suggestions, and the votes that are chosen above.",
    SINGLES: "It is made of submitted answers, and of single answers out of the votes that are chosen above.",
}


@dataclass(frozen=True, slots=True)
class TuneFiles:
    """Components of the part."""

    root: gr.Accordion
    form: gr.Dropdown
    about: gr.HTML
    file: _download.Download
    lineage: _download.Download


def build() -> TuneFiles:
    """Lay out the part."""
    with gr.Accordion("Download a training file", open=True, elem_id="tune-files") as root:
        choices = [(form.title, form.name) for form in FORMS]
        form = gr.Dropdown(choices, value=FORMS[0].name, label="Form", elem_id="tune-form", filterable=False)
        form.preprocess = lambda value: value
        about = gr.HTML(_about(FORMS[0].name), elem_id="tune-form-about")
        with gr.Row():
            # Each beside its hidden file, so that both are of one width.
            with gr.Column(min_width=200):
                file = _download.build("Download", "tune-download", interactive=False)
            with gr.Column(min_width=200):
                lineage = _download.build("Download where its rows came from (CSV)", "tune-lineage", interactive=False)
    return TuneFiles(root, form, about, file, lineage)


def explain(name: str) -> tuple[str, gr.Button]:
    """Return what a form is for, and whether its lineage is a file of its own."""
    return _about(name), gr.Button(visible=form_of(name).beside)


def _about(name: str) -> str:
    form = form_of(name)
    return _html.note(f"{form.about} {_MADE_OF.get(form.rows, '')}".strip())
