"""New comparison: which models, over what, and how one votes. Its models are loaded only when somebody opens the panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._choices import build_dropdown, dropdown, kept
from pipeline.comparison_settings import MAX_MODELS, ComparisonSettings, Kind, RevealPolicy, VoteForm, checked
from pipeline.errors import ComparisonError
from pipeline.preparation import Preview
from pipeline.ranking.verdict import plural
from pipeline.services import Services

KINDS = (
    ("The test queries of a list", Kind.PREPARED.value),
    ("Live: people type queries of their own", Kind.LIVE.value),
)
FORMS = (
    ("Two answers at a time", VoteForm.PAIRS.value),
    ("All answers to a query, put in order", VoteForm.RANKING.value),
)
REVEALS = (
    ("when somebody opens the results", RevealPolicy.END.value),
    ("after each vote", RevealPolicy.VOTE.value),
    ("never (the published tables still name them)", RevealPolicy.NEVER.value),
)


@dataclass(frozen=True, slots=True)
class NewComparison:
    """Components of the panel."""

    root: gr.Accordion
    kind: gr.Radio
    model_1: gr.Dropdown
    model_2: gr.Dropdown
    more: gr.Dropdown
    query_list: gr.Dropdown
    form: gr.Radio
    reveal: gr.Radio
    criteria: gr.Textbox
    read_seconds: gr.Number
    include: gr.Checkbox
    preview: gr.HTML
    create: gr.Button

    def inputs(self) -> list[gr.components.Component]:
        """Return what the settings are made of, in the order of the handlers' arguments."""
        return [
            self.model_1, self.model_2, self.query_list, self.more, self.kind, self.form, self.reveal, self.criteria,
            self.read_seconds, self.include,
        ]  # fmt: skip


class Chosen(NamedTuple):
    """What somebody has chosen in the panel."""

    model_1: str | None = None
    model_2: str | None = None
    list_id: str | None = None
    more: list[str] | None = None
    kind: str = Kind.PREPARED.value
    form: str = VoteForm.PAIRS.value
    reveal: str = RevealPolicy.END.value
    criteria: str = ""
    read_seconds: float | None = 0.0
    include: bool = False

    def fitting(self) -> Chosen:
        """Return the choice without what a live comparison does not have; it may have been made before the kind was."""
        if self.kind != Kind.LIVE:
            return self
        return self._replace(more=None, form=VoteForm.PAIRS.value, include=False)

    def settings(self) -> ComparisonSettings:
        """Return the settings of the comparison.

        Raises:
            ComparisonError: they cannot be used.
        """
        names = [name.strip() for name in (self.criteria or "").replace("\n", ",").split(",")]
        return checked(
            ComparisonSettings(
                (str(self.model_1), str(self.model_2), *(self.more or ())),
                Kind(self.kind),
                VoteForm(self.form),
                RevealPolicy(self.reveal),
                tuple(name for name in names if name),
                float(self.read_seconds or 0.0),
                bool(self.include),
            )
        )


class NewChoices(NamedTuple):
    """Output order of the panel when it is opened."""

    model_1: gr.Dropdown
    model_2: gr.Dropdown
    query_list: gr.Dropdown
    more: gr.Dropdown
    preview: str


class Opened(NamedTuple):
    """Output order of what Compare is opened with from elsewhere."""

    new: gr.Accordion
    model_1: gr.Dropdown
    model_2: gr.Dropdown
    query_list: gr.Dropdown
    more: gr.Dropdown
    preview: str
    tabs: gr.Tabs


class NewComparisonHandlers:
    """What a new comparison would be, and its creation."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.comparisons

    def open_with(self, model_1: str, model_2: str, list_id: str | None) -> Opened:
        """Open Compare on a new comparison of two models."""
        return Opened(gr.Accordion(open=True), *self.load_new(model_1, model_2, list_id), gr.Tabs(selected="compare"))

    def load_new(
        self, model_1: str | None, model_2: str | None, list_id: str | None, more: list[str] | None = None
    ) -> NewChoices:
        """Return the models and lists for a new comparison: the newest model beside its parent, the newest list."""
        models = self._services.registry.answering()
        newest = models[-1]
        names = [(model.name, model.id) for model in models]
        lists = [(f"{item.name} ({item.size})", item.id) for item in self._services.query_lists.all()]
        # Within a request an update is no component yet and has no value to read.
        first = kept(names, model_1 or newest.id)
        # The same model twice would be no comparison: without a parent, any other one.
        second = kept([name for name in names if name[1] != first] or names, model_2 or newest.parent_id)
        chosen = kept(lists, list_id)
        further = [model for model in more or [] if model in dict(map(reversed, names))]
        boxes = dropdown(names, first), dropdown(names, second), dropdown(lists, chosen)
        return NewChoices(
            *boxes,
            gr.Dropdown(choices=names, value=further, multiselect=True),
            self.preview_new(first, second, chosen, further),
        )

    def fit(self, kind: str) -> tuple[gr.Dropdown, gr.Dropdown, gr.Radio, gr.Checkbox]:
        """Show only what goes with the kind: a live comparison has two models and no list."""
        listed = kind != Kind.LIVE
        return (
            gr.Dropdown(visible=listed),
            gr.Dropdown(visible=listed),
            gr.Radio(visible=listed),
            gr.Checkbox(visible=listed),
        )

    def preview_new(self, *values: object) -> str:
        """Return what the comparison would hold; ``values`` are those of :class:`Chosen`."""
        chosen = Chosen(*values)
        if not (chosen.model_1 and chosen.model_2):
            return _html.note("A comparison needs two models and a list of queries.")
        chosen = chosen.fitting()
        try:
            settings = chosen.settings()
        except ComparisonError as error:
            return _html.note(str(error), "warn")
        if settings.kind is Kind.LIVE:
            text = "Everybody types queries of their own. Both models answer, and both answers come at the same moment."
            return _html.note(text)
        if not chosen.list_id:
            return _html.note("A comparison needs two models and a list of queries.")
        found = self._desk.preview(settings, chosen.list_id)
        return "".join(_html.note(text, kind) for text, kind in told(found, settings))

    def create(self, *values: object) -> str:
        """Begin a comparison, whose answers are made in the background; return its id."""
        chosen = Chosen(*values).fitting()
        if not (chosen.model_1 and chosen.model_2):
            raise ComparisonError("Choose two models and a list of queries first.")
        settings = chosen.settings()
        if settings.kind is Kind.LIVE:
            return self._services.live.create(settings)
        if not chosen.list_id:
            raise ComparisonError("Choose two models and a list of queries first.")
        return self._desk.create(settings, chosen.list_id)


def told(found: Preview, settings: ComparisonSettings) -> list[tuple[str, str]]:
    """Return what a comparison would hold as lines, each with its kind of note."""
    both = "Both" if len(settings.model_ids) == 2 else f"All {len(settings.model_ids)}"
    rows = [
        (
            f"{plural(found.queries, 'test query', 'test queries')}. {both} models answer over the same stored contexts.",
            "" if found.queries else "warn",
        )
    ]
    if len(settings.model_ids) > 2 and found.queries:
        each = "ranking" if settings.form is VoteForm.RANKING else "pair"
        rows.append((f"{plural(found.pairs, each, f'{each}s')} for each person to judge.", ""))
    if found.barred:
        are = "1 more is barred: it is" if found.barred == 1 else f"{found.barred} more are barred: they are"
        trained = f" {found.trained} of them were trained on by a model of this comparison." if found.trained else ""
        rows.append((f"{are} reviewed on Edit, where answers are read in the open.{trained}", ""))
    if settings.include_trained and found.trained:
        rows.append((f"{found.trained} of these a model was trained on: the results will say so.", "warn"))
    if found.queries and found.answered:
        rows.append((f"{found.answered} of {plural(found.answers, 'answer', 'answers')} are there already.", ""))
    if found.identical:
        same = "pair has" if found.identical == 1 else "pairs have"
        rows.append((f"{found.identical} {same} identical answers: a tie that nobody is shown.", ""))
    if found.named:
        names = "answer names its" if found.named == 1 else "answers name their"
        rows.append((f"{found.named} {names} maker: the name is hidden while people vote.", "warn"))
    return rows


def build() -> NewComparison:
    """Lay out the panel."""
    with gr.Accordion("New comparison", open=False, elem_id="compare-new") as root:
        kind = gr.Radio(list(KINDS), value=Kind.PREPARED.value, label="What is compared on", elem_id="compare-kind")
        with gr.Row(equal_height=False):
            model_1 = build_dropdown("One model", "compare-model-1")
            model_2 = build_dropdown("Other model", "compare-model-2")
            query_list = build_dropdown("Query list", "compare-list")
        with gr.Accordion("How people vote", open=False, elem_id="compare-how"):
            more = gr.Dropdown(
                [], label=f"More models (optional, up to {MAX_MODELS} in all)", multiselect=True, elem_id="compare-more"
            )
            more.preprocess = lambda value: value
            form = gr.Radio(list(FORMS), value=VoteForm.PAIRS.value, label="One sees", elem_id="compare-form")
            reveal = gr.Radio(
                list(REVEALS),
                value=RevealPolicy.END.value,
                label="The models' names are shown",
                elem_id="compare-reveal",
            )
            with gr.Row(equal_height=False):
                criteria = gr.Textbox(
                    label="Criteria beside the verdict (optional, with commas between them)",
                    placeholder="correct, complete, easy to read",
                    lines=1,
                    elem_id="compare-criteria-names",
                    scale=2,
                )
                read_seconds = gr.Number(
                    0, label="Seconds to read before one can vote", minimum=0, maximum=120, elem_id="compare-read"
                )
            include = gr.Checkbox(
                False,
                label="Also use test queries that were reviewed on Edit or trained on; the results will say so",
                elem_id="compare-include",
            )
        preview = gr.HTML("", elem_id="compare-preview")
        create = gr.Button("Create the comparison", variant="primary", elem_id="compare-create")
    return NewComparison(
        root, kind, model_1, model_2, more, query_list, form, reveal, criteria, read_seconds, include, preview, create,
    )  # fmt: skip
