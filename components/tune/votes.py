"""The part of Tune that takes votes: corrections and preferences to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gradio as gr

from components import _html
from components._guard import allowed
from components._session import person
from pipeline.ranking.verdict import plural
from pipeline.records import Role
from pipeline.services import Services

_NOTE = (
    "A better answer that somebody wrote in a vote becomes a training row, and is preferred over each answer that was not the "
    "only best one. Here are the comparisons whose results you have opened. Their queries are then left out when the tuned "
    "model is compared: it may know the answers by heart."
)
# What is chosen where only votes are trained on.
NO_DATASET = "No dataset: votes only"


@dataclass(frozen=True, slots=True)
class TuneVotes:
    """Components of the part."""

    root: gr.Accordion
    chosen: gr.Dropdown


class TuneVotesHandlers:
    """Comparisons to train on."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.corrections

    def load(self, chosen: Sequence[str] | None, request: gr.Request) -> tuple[gr.Accordion, gr.Dropdown]:
        """Return the comparisons whose results this person has opened; what is still among them stays chosen."""
        found = self._desk.sets(person(self._services, request))
        choices = [(_label(item.name, item.votes, item.corrections), item.id) for item in found]
        ids = {item.id for item in found}
        kept = [set_id for set_id in chosen or () if set_id in ids]
        return gr.Accordion(visible=bool(found)), gr.Dropdown(choices=choices, value=kept, multiselect=True)


def build() -> TuneVotes:
    """Lay out the part; it is shown once there is something in it."""
    with gr.Accordion("Learn from votes too", open=False, visible=False, elem_id="tune-votes") as root:
        gr.HTML(_html.note(_NOTE))
        chosen = gr.Dropdown(
            [],
            multiselect=True,
            label="Also train on the votes of",
            elem_id="tune-votes-chosen",
            filterable=False,
        )
        # As in _choices.build_dropdown: after a restart Gradio knows no choices; the desk checks what is chosen.
        chosen.preprocess = lambda value: value
    return TuneVotes(root, chosen)


def wire(part: TuneVotes, handlers: TuneVotesHandlers, opened: Sequence[Callable]) -> None:
    """Attach the listeners; each of ``opened`` registers for an event after which the comparisons are listed anew."""
    for event in opened:
        outputs = [part.root, part.chosen]
        event(
            allowed(Role.ADMIN, handlers.load, quiet=True),
            part.chosen,
            outputs,
            api_visibility="private",
            show_progress="hidden",
        )


def _label(name: str, votes: int, corrections: int) -> str:
    return f"{name} ({plural(corrections, 'correction')}, {plural(votes, 'vote')})"
