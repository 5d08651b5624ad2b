"""The part of Tune that chooses who trains: a card for each trainer with what it takes, and a form of what can be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components import _html
from pipeline.errors import TrainingError
from pipeline.finetune.rows import Method
from pipeline.finetune.trainers import Option, Plan
from pipeline.finetune.tuner import DataCard, Tuner
from pipeline.ranking.verdict import plural

CARDS_JS = """
element.addEventListener('click', (event) => {
  const card = event.target.closest('[data-trainer]');
  if (card) trigger('expand', {trainer: card.dataset.trainer});
});
"""
# Gradio keeps what is typed in a field when it draws another form over this one: the fields are put as they are drawn.
FORM_JS = """
const putAsDrawn = () => {
  element.querySelectorAll('input').forEach((box) => { if (box.value !== box.defaultValue) box.value = box.defaultValue; });
  element.querySelectorAll('option').forEach((option) => { option.selected = option.defaultSelected; });
};
let drawn = '';
new MutationObserver(() => {
  const form = element.querySelector('[data-form]')?.dataset.form ?? '';
  if (form !== drawn) putAsDrawn();
  drawn = form;
}).observe(element, {childList: true, characterData: true, attributes: true, subtree: true});
element.addEventListener('change', (event) => {
  if (!event.target.closest('[data-option]')) return;
  const options = {};
  element.querySelectorAll('[data-option]').forEach((one) => { options[one.dataset.option] = one.value; });
  trigger('input', {options});
});
"""
_LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class Offer:
    """A trainer with its plan for what is chosen now, or without one where it cannot start from that model."""

    name: str
    title: str
    about: str
    plan: Plan | None
    why: str = ""

    @property
    def ready(self) -> bool:
        """Say whether a job could begin."""
        return self.plan is not None and not (self.why or self.plan.unavailable)


def offers(
    tuner: Tuner, card: DataCard, base_id: str | None, options: Mapping[str, Mapping[str, object]]
) -> list[Offer]:
    """Return all trainers; those that can start from the model come first."""
    found = []
    for trainer in tuner.runner.trainers:
        told = (trainer.name, trainer.title, trainer.about)
        if base_id is None:
            found.append(Offer(*told, None, "Choose the model to start from."))
        elif base_id not in {model.id for model in tuner.bases(trainer.name)}:
            found.append(Offer(*told, None, f"It starts from {trainer.starts_from}."))
        else:
            try:
                plan = tuner.plan(
                    trainer.name, card, base_id, settings_of(trainer.name, card.method, options, tuner, base_id)
                )
                found.append(Offer(*told, plan))
            except TrainingError as error:
                found.append(Offer(*told, Plan(needs=""), str(error)))
    return sorted(found, key=lambda offer: offer.plan is None)


def picked(found: Sequence[Offer], wanted: str | None) -> str | None:
    """Return the trainer that stays or becomes chosen: the wanted one while it can start from the model, else the first."""
    able = [offer.name for offer in found if offer.plan is not None]
    return wanted if wanted in able else next(iter(able), None)


def settings_of(
    trainer: str, method: Method, options: Mapping[str, Mapping[str, object]], tuner: Tuner, base_id: str
) -> dict[str, object]:
    """Return what was chosen for a trainer, and the defaults for what was not."""
    given = options.get(trainer, {})
    offered = _for(method, tuner.options(trainer, base_id))
    chosen = {item.name: given.get(item.name, item.default) for item in offered}
    share = given.get("validation_share")
    return {**chosen, "validation_share": _percent(share)} if share not in (None, "") else chosen


def cards(found: Sequence[Offer], chosen: str | None) -> str:
    """Return the cards of all trainers; those that cannot start from the model are told in one line."""
    able = [offer for offer in found if offer.plan is not None]
    others = [offer for offer in found if offer.plan is None]
    shown = "".join(_card(offer, offer.name == chosen) for offer in able)
    told = "".join(f"<li><b>{_html.esc(offer.title)}</b> {_html.esc(offer.why)}</li>" for offer in others)
    rest = f'<ul class="pl-trainers-rest">{told}</ul>' if told else ""
    return f'<div class="pl-trainers">{shown}</div>{rest}'


def form(trainer: str, options: Sequence[Option], method: Method, given: Mapping[str, object], validation: bool) -> str:
    """Return the fields of what can be chosen; ``validation`` adds the share of queries that is held back."""
    offered = list(_for(method, options))
    if validation:
        told = "Share of the queries whose rows only measure the loss. Empty: 10 %, none of fewer than 10 queries."
        offered.append(Option("validation_share", "Held back for validation (%)", "number", None, told, low=0, high=50))
    fields = "".join(_field(option, given.get(option.name, option.default)) for option in offered)
    return f'<div class="pl-options" data-form="{_html.esc(trainer)}-{method}">{fields}</div>' if fields else ""


def cleaned(options: object) -> dict[str, object]:
    """Return what a page sent as chosen: short texts under names, whatever it was."""
    given = options if isinstance(options, dict) else {}
    return {str(name)[:40]: str(value)[:_LONGEST_VALUE] for name, value in list(given.items())[:30]}


def _for(method: Method, options: Sequence[Option]) -> list[Option]:
    return [option for option in options if not option.methods or method in option.methods]


def _percent(value: object) -> float:
    try:
        return float(str(value)) / 100
    except ValueError as error:
        raise TrainingError("The share that is held back must be a number, in per cent.") from error


def _card(offer: Offer, chosen: bool) -> str:
    plan = offer.plan
    why = offer.why or plan.unavailable
    facts = [("Needs", _html.esc(plan.needs)), ("Price", _html.esc(_price(plan))), ("Time", _html.esc(_time(plan)))]
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts if value)
    data = _data(plan)
    notes = "".join(_html.note(text, "warn") for text in plan.notes) if chosen else ""
    state = _html.note(why, "bad") if why else ""
    mark = '<span class="pl-chosen">chosen</span>' if chosen else ""
    return (
        f'<div class="pl-trainer{" pl-is-chosen" if chosen else ""}"><button type="button" class="pl-trainer-name" '
        f'data-trainer="{_html.esc(offer.name)}" aria-pressed="{str(chosen).lower()}"><b>{_html.esc(offer.title)}</b>{mark}'
        f"</button><p>{_html.esc(offer.about)}</p><dl>{rows}</dl>{_html.note(data) if data else ''}{state}{notes}</div>"
    )


def _data(plan: Plan) -> str:
    if not plan.rows:
        return ""
    held = f", {plan.validation_rows} for validation" if plan.validation_rows else ""
    tokens = f", {plan.tokens:,} tokens an epoch" if plan.tokens else ""
    epochs = f", {plan.epochs:g} epochs" if plan.epochs else ""
    return f"{plural(plan.rows, 'row')} to train on{held}{tokens}{epochs}"


def _price(plan: Plan) -> str:
    if plan.price == 0:
        return "nothing"
    if plan.price is None:
        return "not known: the endpoint says"
    amount = f"about US$ {plan.price:.2f}" if plan.price >= 0.01 else "less than US$ 0.01"
    return f"{amount} ({plan.price_note})" if plan.price_note else amount


def _time(plan: Plan) -> str:
    if plan.seconds is None:
        return "not known: minutes to hours, by the queue of the endpoint"
    return f"about {_html.span(plan.seconds)}"


def _field(option: Option, value: object) -> str:
    box = f"tune-option-{option.name}"
    shown = "" if value is None else value if isinstance(value, str) else f"{value:g}"
    label = f'<label for="{box}">{_html.esc(option.label)}</label>'
    info = f'<small id="{box}-info">{_html.esc(option.info)}</small>' if option.info else ""
    named = f'id="{box}" class="pl-input" data-option="{_html.esc(option.name)}"'
    named += f' aria-describedby="{box}-info"' if option.info else ""
    if option.kind == "choice":
        choices = "".join(
            f'<option value="{_html.esc(name)}"{" selected" if name == shown else ""}>{_html.esc(text)}</option>'
            for text, name in option.choices
        )
        return f'<div class="pl-option">{label}<select {named}>{choices}</select>{info}</div>'
    mode = ' inputmode="decimal"' if option.kind == "number" else ""
    return (
        f'<div class="pl-option">{label}<input type="text"{mode} {named} value="{_html.esc(str(shown))}">{info}</div>'
    )
