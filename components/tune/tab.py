"""Tune: what people gave to learn from, who trains on it, and the jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import gradio as gr

from components import _download, _html
from components._choices import build_dropdown
from components._guard import allowed
from components.compare import tab as compare_screen
from components.tune import files as tune_files
from components.tune import jobs as tune_jobs
from components.tune import model_pages
from components.tune import trainers as tune_trainers
from components.tune import votes as tune_votes
from components.tune.handlers import TuneHandlers
from pipeline.finetune.rows import Method
from pipeline.limits import HEAVY
from pipeline.records import Role

_OVERRIDE = (
    "Answers to test queries are left out, because a model that has learned them cannot be compared on them. An owner may let "
    "them in and say why. The data card, the job, the model and the results of its comparisons then show it."
)


@dataclass(frozen=True, slots=True)
class TuneTab:
    """Components of the tab."""

    root: gr.Tab
    dataset: gr.Dropdown
    votes: tune_votes.TuneVotes
    method: gr.Radio
    card: gr.HTML
    preview: gr.HTML
    reason: gr.Textbox
    files: tune_files.TuneFiles
    base: gr.Dropdown
    trainers: gr.HTML
    options: gr.HTML
    picked: gr.State
    train: gr.Button
    jobs: gr.HTML
    job: gr.HTML
    chosen_job: gr.State
    loss: gr.Plot
    cancel: gr.Button
    again: gr.Button
    compare: gr.Button
    timer: gr.Timer
    panels: gr.Tabs
    models: model_pages.ModelPages


def build() -> TuneTab:
    """Lay out the tab."""
    with (
        gr.Tab("Tune", id="tune") as root,
        gr.Column(elem_id="tune-screen", elem_classes=["pl-screen"]),
        gr.Tabs(elem_id="tune-panels", selected="train") as panels,
        gr.Tab("Train", id="train"),
    ):
        dataset = build_dropdown("Dataset", "tune-dataset")
        votes = tune_votes.build()
        kinds = [("Answers (SFT)", Method.SFT.value), ("Preference pairs (DPO)", Method.DPO.value)]
        method = gr.Radio(kinds, value=Method.SFT.value, label="Learn from", elem_id="tune-method")
        card = gr.HTML("", elem_id="tune-card")
        with gr.Accordion("One row as the model sees it", open=False, elem_id="tune-preview"):
            row = gr.HTML("")
        with gr.Accordion("Train on test queries too", open=False, elem_id="tune-override"):
            gr.HTML(_html.note(_OVERRIDE, "warn"))
            reason = gr.Textbox(
                label="Reason", max_length=500, elem_id="tune-reason", placeholder="None: they are left out"
            )
        given = tune_files.build()
        gr.HTML('<h3 class="pl-title">Train</h3>')
        base = build_dropdown("Start from", "tune-base")
        trainers = gr.HTML("", elem_id="tune-trainers", js_on_load=tune_trainers.CARDS_JS)
        options = gr.HTML("", elem_id="tune-options", js_on_load=tune_trainers.FORM_JS)
        picked = gr.State({})
        train = gr.Button("Train", variant="primary", interactive=False, elem_id="tune-train")
        gr.HTML('<h3 class="pl-title">Jobs</h3>')
        jobs = gr.HTML("", elem_id="tune-jobs", js_on_load=tune_jobs.JOBS_JS)
        job = gr.HTML("", elem_id="tune-job")
        loss = gr.Plot(show_label=False, visible=False, elem_id="tune-loss")
        with gr.Row():
            cancel = gr.Button("Cancel this job", visible=False, elem_id="tune-cancel")
            again = gr.Button("Start it again", visible=False, elem_id="tune-again")
            compare = gr.Button("Compare it with its parent", visible=False, elem_id="tune-compare")
        chosen_job = gr.State(None)
        timer = gr.Timer(1.0, active=False)
    with panels:
        models = model_pages.build()
    parts = (root, dataset, votes, method, card, row, reason, given, base, trainers, options, picked, train)
    return TuneTab(*parts, jobs, job, chosen_job, loss, cancel, again, compare, timer, panels, models)


def wire(tab: TuneTab, handlers: TuneHandlers, tabs: gr.Tabs, compare_tab: compare_screen.CompareTab) -> None:
    """Attach the listeners. ``compare_tab`` names models only after somebody pressed the button that compares them."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    chosen = [tab.dataset, tab.base]
    given = [tab.dataset, tab.votes.chosen, tab.method, tab.reason, tab.base, tab.picked]
    cards = [tab.trainers, tab.train, tab.picked]
    files = [tab.files.file.button, tab.files.lineage.button]
    data = [tab.card, tab.preview, *files, tab.train, tab.trainers, tab.options, tab.picked]
    opened = tab.root.select(allowed(Role.ADMIN, handlers.load_choices, quiet=True), chosen, chosen, **quiet)
    opened.success(allowed(Role.ADMIN, handlers.show_data, quiet=True), given, data, **quiet)
    tune_votes.wire(tab.votes, handlers.votes, [tab.root.select])
    for event in (
        tab.votes.chosen.input,
        tab.dataset.input,
        tab.method.input,
        tab.reason.blur,
        tab.reason.submit,
        # Another round, begun elsewhere, chooses it too.
        tab.base.change,
    ):
        event(allowed(Role.ADMIN, handlers.show_data, quiet=True), given, data, **quiet)
    tab.trainers.expand(allowed(Role.ADMIN, handlers.pick_trainer), given, data, **quiet)
    tab.options.input(allowed(Role.ADMIN, handlers.set_options), given, cards, **quiet)
    _wire_files(tab, handlers, quiet)
    _wire_jobs(tab, handlers, quiet)
    new = compare_tab.new
    boxes = [new.root, new.model_1, new.model_2, new.query_list, new.more, new.preview, tabs]
    compared = [new.query_list, tab.chosen_job]
    tab.compare.click(allowed(Role.ADMIN, handlers.open_comparison), compared, boxes, api_visibility="private")


def _wire_files(tab: TuneTab, handlers: TuneHandlers, quiet: Mapping[str, object]) -> None:
    part = tab.files
    wanted = [tab.dataset, tab.votes.chosen, tab.reason, part.form]
    part.form.input(allowed(Role.ADMIN, handlers.explain_form), part.form, [part.about, part.lineage.button], **quiet)
    _download.wire(part.file, Role.ADMIN, handlers.download_rows, wanted)
    _download.wire(part.lineage, Role.ADMIN, handlers.download_lineage, wanted)


def _wire_jobs(tab: TuneTab, handlers: TuneHandlers, quiet: Mapping[str, object]) -> None:
    jobs = [tab.jobs, tab.job, tab.loss, tab.cancel, tab.again, tab.compare, tab.timer]
    show: Callable = allowed(Role.ADMIN, handlers.show_jobs, quiet=True)
    tab.root.select(show, tab.chosen_job, jobs, **quiet)
    started = [tab.dataset, tab.base, tab.votes.chosen, tab.method, tab.reason, tab.picked]
    # A new job is the one that is shown, whichever was pressed before.
    tab.train.click(
        allowed(Role.OWNER, handlers.start_training, cost=HEAVY), started, jobs, api_visibility="private"
    ).success(allowed(Role.ADMIN, lambda: None), None, tab.chosen_job, **quiet)
    pressed = tab.jobs.expand(allowed(Role.ADMIN, handlers.pick_job), None, tab.chosen_job, **quiet)
    pressed.success(show, tab.chosen_job, jobs, **quiet)
    tab.cancel.click(allowed(Role.OWNER, handlers.cancel_job), tab.chosen_job, jobs, api_visibility="private")
    begun = tab.again.click(
        allowed(Role.OWNER, handlers.start_again, cost=HEAVY), tab.chosen_job, jobs, api_visibility="private"
    )
    begun.success(allowed(Role.ADMIN, lambda: None), None, tab.chosen_job, **quiet)
    ticked = tab.timer.tick(show, tab.chosen_job, jobs, **quiet)
    ticked.success(
        allowed(Role.ADMIN, handlers.load_choices, quiet=True),
        [tab.dataset, tab.base],
        [tab.dataset, tab.base],
        **quiet,
    )
