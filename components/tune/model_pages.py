"""Models, a panel of Tune: the rounds as a tree, a page for each model, and the rows that it was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import gradio as gr

from components import _html
from components._guard import allowed
from components._session import person
from components.compare import new_comparison
from components.compare.new_comparison import NewComparison
from components.tune import model_html
from pipeline.errors import NotFoundError, TrainingError
from pipeline.lineage import ModelPage
from pipeline.records import Model, Role
from pipeline.services import Services

# Presses within the HTML, and links from elsewhere while the panel is open already.
_DOOR_JS = """
window.pairloopPlaces.door('model', (given) => trigger('expand', given));
"""
_ROWS_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-page]');
  if (button) trigger('expand', {page: Number(button.dataset.page)});
});
"""
# A place is "model", or "model/row": what a link leads to, else what was open before.
_PLACE_JS = "(chosen) => [window.pairloopPlaces.now('model', chosen)]"


@dataclass(frozen=True, slots=True)
class ModelPages:
    """Components of the panel."""

    root: gr.Tab
    chosen: gr.Textbox
    tree: gr.HTML
    page: gr.HTML
    compare: gr.Button
    again: gr.Button
    rows: gr.Column
    search: gr.Textbox
    list: gr.HTML
    row: gr.HTML


class Screen(NamedTuple):
    """Output order of the panel."""

    chosen: str
    tree: str
    page: str
    compare: gr.Button
    again: gr.Button
    rows: gr.Column
    search: str
    list: str
    row: str


class Round(NamedTuple):
    """Output order of what another round is started with."""

    base: gr.Dropdown
    panels: gr.Tabs


class Tune(Protocol):
    """What the panel needs of the tab around it: what a round starts from, and its panels."""

    base: gr.Dropdown
    panels: gr.Tabs


class ModelPageHandlers:
    """Pages of models as one person may see them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.lineage
        self._compare = new_comparison.NewComparisonHandlers(services)

    def show(self, place: str | None, request: gr.Request) -> Screen:
        """Show a place, "model" or "model/row"; where there is none, the newest model."""
        nodes = self._desk.tree()
        if not nodes:
            empty = _html.empty(
                "No model yet", "Models that you add on Settings, and those that you train, stand here."
            )
            hidden = gr.Button(visible=False)
            return Screen("", "", empty, hidden, hidden, gr.Column(visible=False), "", "", "")
        me = person(self._services, request)
        model_id, _, row_id = (place or "").partition("/")
        known = {node.model.id for node in nodes}
        gone = model_id and model_id not in known
        if model_id not in known:
            model_id, row_id = max(nodes, key=lambda node: node.model.created_at).model.id, ""
        found = self._desk.page(model_id, me)
        said = (
            _html.note("That model is not in the workspace any more; here is the newest one.", "warn") if gone else ""
        )
        rows = self._desk.rows(found.job.id, me) if found.job else None
        return Screen(
            chosen=f"{model_id}/{row_id}" if row_id else model_id,
            tree=model_html.tree(nodes, model_id),
            page=said + model_html.page(found),
            compare=gr.Button(visible=bool(found.parent and self._among(self._services.registry.answering(), found))),
            again=gr.Button(visible=self._among(self._services.tuner.bases(), found)),
            rows=gr.Column(visible=rows is not None and rows.total > 0),
            search="",
            list=model_html.rows(rows, model_id) if rows else "",
            row=self._row(row_id, model_id, me) if row_id else "",
        )

    def open(self, event: gr.EventData, request: gr.Request) -> Screen:
        """Show the place that a link leads to."""
        return self.show(str(event._data.get("place", "")), request)

    def search_rows(self, place: str | None, search: str, request: gr.Request) -> str:
        """Return the first page of the rows whose query has these words."""
        return self._page_of_rows(place, search, 0, request)

    def turn_page(self, place: str | None, search: str, event: gr.EventData, request: gr.Request) -> str:
        """Return another page of rows."""
        number = event._data.get("page", 0)
        return self._page_of_rows(place, search, number if isinstance(number, int) else 0, request)

    def compare_with_parent(self, place: str | None, list_id: str | None) -> new_comparison.Opened:
        """Open Compare on a new comparison of a model with its parent.

        Raises:
            TrainingError: it has none.
        """
        model = self._model(place)
        if not model.parent_id:
            raise TrainingError("This model was not trained here: choose the models to compare on Compare.")
        return self._compare.open_with(model.id, model.parent_id, list_id)

    def start_another_round(self, place: str | None) -> Round:
        """Open the training panel with this model as the one to start from."""
        return Round(gr.Dropdown(value=self._model(place).id), gr.Tabs(selected="train"))

    def _model(self, place: str | None) -> Model:
        return self._services.store.models.get((place or "").partition("/")[0])

    def _page_of_rows(self, place: str | None, search: str, number: int, request: gr.Request) -> str:
        model = self._model(place)
        if not model.job_id:
            return ""
        found = self._desk.rows(model.job_id, person(self._services, request), search or "", number)
        return model_html.rows(found, model.id)

    def _row(self, row_id: str, model_id: str, me: str) -> str:
        try:
            return model_html.row(self._desk.row(row_id, me), model_id)
        except NotFoundError as error:
            return _html.note(str(error), "warn")

    def _among(self, models: Iterable[Model], found: ModelPage) -> bool:
        return any(model.id == found.model.id for model in models)


def build() -> ModelPages:
    """Lay out the panel."""
    with gr.Tab("Models", id="models") as root:
        chosen = gr.Textbox("", visible=False, elem_id="models-chosen")
        with gr.Row(equal_height=False, elem_classes=["pl-models"]):
            with gr.Column(scale=2, min_width=280):
                tree = gr.HTML("", js_on_load=_DOOR_JS, elem_id="models-tree")
            with gr.Column(scale=5, min_width=320):
                page = gr.HTML("", elem_id="models-page")
                with gr.Row(elem_classes=["pl-files"]):
                    compare = gr.Button("Compare with its parent", visible=False, elem_id="models-compare")
                    again = gr.Button("Start another round from here", visible=False, elem_id="models-again")
                row = gr.HTML("", js_on_load=_html.OPEN_SOURCE_JS, elem_id="models-row")
                with gr.Column(visible=False, elem_id="models-rows") as rows:
                    gr.HTML('<h3 class="pl-title">Training rows</h3>')
                    search = gr.Textbox(
                        label="Search their queries",
                        max_lines=1,
                        elem_id="models-search",
                        placeholder="Words of a query",
                    )
                    listed = gr.HTML("", js_on_load=_ROWS_JS, elem_id="models-row-list")
    return ModelPages(root, chosen, tree, page, compare, again, rows, search, listed, row)


def wire(panel: ModelPages, handlers: ModelPageHandlers, tune: Tune, tabs: gr.Tabs, new: NewComparison) -> None:
    """Attach the listeners. ``tune`` is where another round is started, ``new`` where a comparison is made."""
    screen = [
        panel.chosen, panel.tree, panel.page, panel.compare, panel.again, panel.rows, panel.search, panel.list, panel.row,
    ]  # fmt: skip
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    panel.root.select(allowed(Role.ADMIN, handlers.show, quiet=True), panel.chosen, screen, js=_PLACE_JS, **quiet)
    panel.tree.expand(allowed(Role.ADMIN, handlers.open), None, screen, **quiet)
    searched = [panel.chosen, panel.search]
    panel.search.change(
        allowed(Role.ADMIN, handlers.search_rows), searched, panel.list, **quiet, trigger_mode="always_last"
    )
    panel.list.expand(allowed(Role.ADMIN, handlers.turn_page), searched, panel.list, **quiet)
    boxes = [new.root, new.model_1, new.model_2, new.query_list, new.more, new.preview, tabs]
    compared = [panel.chosen, new.query_list]
    panel.compare.click(allowed(Role.ADMIN, handlers.compare_with_parent), compared, boxes, api_visibility="private")
    started = [tune.base, tune.panels]
    panel.again.click(
        allowed(Role.ADMIN, handlers.start_another_round), panel.chosen, started, api_visibility="private"
    )
