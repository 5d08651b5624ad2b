"""The form of a record: one block for each question, filled with what is stored or suggested."""

from __future__ import annotations

import json

from components._html import diff, esc
from pipeline.annotation.settings import Option, Question, QuestionKind
from pipeline.records import Suggestion
from pipeline.tasks import Card

# With more options than this, one looks for them by typing.
MANY_OPTIONS = 20
# With more options than this, ranks are typed: so many buttons for each option would fill the screen.
MANY_RANKS = 12
CLEAR = '<button type="button" class="pl-link-button" data-clear hidden>Clear</button>'
SUGGESTED = '<span class="pl-suggested" title="Suggested">◇<span class="pl-unseen"> suggested</span></span>'


def form_html(card: Card) -> str:
    """Return the questions of a card."""
    return "".join(_question(card, question) for question in card.settings.questions)


def diffs(card: Card, values: dict[str, object]) -> dict[str, str]:
    """Return for each text question that has a suggestion how its text differs from that."""
    texts = {item.name for item in card.settings.questions if item.kind is QuestionKind.TEXT}
    return {
        name: diff(str(item.value), str(values.get(name) or ""))
        for name, item in card.record.suggestions.items()
        if name in texts
    }


def _question(card: Card, question: Question) -> str:
    value, suggestion = card.values.get(question.name), card.record.suggestions.get(question.name)
    data = (
        f'id="edit-question-{esc(question.name)}" class="pl-question" data-question="{esc(question.name)}" '
        f'data-kind="{question.kind.value}" data-title="{esc(question.heading)}"'
        + (" data-required" if question.required else "")
        + (f' data-suggested="{esc(json.dumps(suggestion.value))}"' if suggestion else "")
    )
    about = f'<p class="pl-note">{esc(question.description)}</p>' if question.description else ""
    about += _suggested_by(question, suggestion) if suggestion else ""
    wrong = '<p class="pl-note pl-bad" data-wrong role="alert" hidden></p>'
    if question.kind is QuestionKind.TEXT:
        return f"<div {data}>{_title(question)}{about}{_text(card, question, value)}{wrong}</div>"
    body = _ranking(question, value, suggestion) if question.kind is QuestionKind.RANKING else ""
    body = body or _choices(question, value, suggestion)
    return f"<fieldset {data}>{_title(question)}{about}{body}{wrong}</fieldset>"


def _title(question: Question) -> str:
    required = "" if question.required else ' <span class="pl-optional">optional</span>'
    if question.kind is QuestionKind.TEXT:
        field = f"edit-field-{esc(question.name)}"
        return f'<label class="pl-question-title" for="{field}">{esc(question.heading)}{required}</label>'
    return f'<legend class="pl-question-title">{esc(question.heading)}{required}</legend>'


def _suggested_by(question: Question, suggestion: Suggestion) -> str:
    who = f" by {esc(suggestion.agent)}" if suggestion.agent else ""
    return (
        f'<p class="pl-note pl-from"><span aria-hidden="true">◇</span> Suggested{who}{_score(suggestion)} '
        f'<button type="button" class="pl-link-button" data-use hidden>Use suggestion'
        f'<span class="pl-unseen"> for {esc(question.heading)}</span></button></p>'
    )


def _score(suggestion: Suggestion) -> str:
    if suggestion.score is None:
        return ""
    if isinstance(suggestion.score, list):
        labels = suggestion.value if isinstance(suggestion.value, list) else []
        if len(labels) == len(suggestion.score):
            names = [item["value"] if isinstance(item, dict) else item for item in labels]
            pairs = zip(names, suggestion.score, strict=True)
            return ", scores " + ", ".join(f"{esc(name)} {score:.2f}" for name, score in pairs)
        return ", scores " + ", ".join(f"{score:.2f}" for score in suggestion.score)
    return f", score {suggestion.score:.2f}"


def _text(card: Card, question: Question, value: object) -> str:
    name = esc(question.name)
    changes = diffs(card, dict(card.values)).get(question.name, "")
    # The line break: HTML drops the first one of a text area.
    return (
        f'<textarea id="edit-field-{name}" class="pl-textarea" rows="4" dir="auto" spellcheck="true">\n'
        f"{esc(value if value is not None else '')}</textarea><div data-diff>{changes}</div>"
    )


def _choices(question: Question, value: object, suggestion: Suggestion | None) -> str:
    chosen = value if isinstance(value, list) else [] if value is None else [value]
    proposed = [] if suggestion is None else suggestion.value
    proposed = proposed if isinstance(proposed, list) else [proposed]
    many = len(question.options) > MANY_OPTIONS
    parts = []
    for place, option in enumerate(question.options):
        folded = many and place >= MANY_OPTIONS and option.value not in [*chosen, *proposed]
        parts.append(_choice(question, option, place, option.value in chosen, option.value in proposed, folded))
    shown = f'<div class="pl-choices" data-choices>{"".join(parts)}{CLEAR}</div>'
    return _option_search(question) + shown + _more(question) if many else shown


def _choice(question: Question, option: Option, place: int, chosen: bool, suggested: bool, folded: bool) -> str:
    kind = "checkbox" if question.kind is QuestionKind.MULTI_LABEL else "radio"
    key = "" if question.kind is QuestionKind.RATING or place > 8 else f"<kbd aria-hidden='true'>{place + 1}</kbd>"
    return (
        f'<label class="pl-choice" {"data-folded hidden" if folded else ""}>'
        f'<input type="{kind}" name="answer-{esc(question.name)}" value="{esc(option.value)}" {"checked" if chosen else ""}>'
        f"{key}<span>{esc(option.shown)}</span>{SUGGESTED if suggested else ''}</label>"
    )


def _option_search(question: Question) -> str:
    count = len(question.options)
    return (
        f'<input type="search" class="pl-input" data-option-search placeholder="Search {count} options" '
        f'aria-label="Search the {count} options of {esc(question.heading)}">'
    )


def _more(question: Question) -> str:
    return (
        f'<button type="button" class="pl-link-button" data-show-all>Show all {len(question.options)} options</button>'
        '<p class="pl-note" data-no-option hidden>No option has these words.</p>'
    )


def _ranking(question: Question, value: object, suggestion: Suggestion | None) -> str:
    rank_of = {row["value"]: row["rank"] for row in value} if isinstance(value, list) else {}
    proposed = {row["value"]: row["rank"] for row in suggestion.value} if suggestion else {}
    rows = (
        _rank_row(question, place, option, rank_of.get(option.value), proposed.get(option.value))
        for place, option in enumerate(question.options)
    )
    hint = "1 is best; equal ranks are a tie."
    return f'<p class="pl-note">{hint}</p><div class="pl-ranks" data-ranks>{"".join(rows)}</div>{CLEAR}'


def _rank_row(question: Question, place: int, option: Option, rank: int | None, proposed: int | None) -> str:
    count, group = len(question.options), f"rank-{esc(question.name)}-{place}"
    if count > MANY_RANKS:
        boxes = (
            f'<input type="number" class="pl-input" min="1" max="{count}" step="1" value="{rank or ""}" '
            f'aria-label="Rank of {esc(option.shown)}, 1 to {count}">'
        )
    else:
        boxes = "".join(
            f'<label class="pl-choice"><input type="radio" name="{group}" value="{number}" '
            f"{'checked' if number == rank else ''}><span>{number}</span>{SUGGESTED if number == proposed else ''}</label>"
            for number in range(1, count + 1)
        )
    return (
        f'<div class="pl-rank" data-ranked="{esc(option.value)}" role="radiogroup" aria-label="Rank of {esc(option.shown)}">'
        f'<span class="pl-rank-text" dir="auto">{esc(option.shown)}</span><span class="pl-choices">{boxes}</span></div>'
    )
