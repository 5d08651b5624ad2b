"""What a file of records holds, and where its columns go: HTML of the Records panel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from components import _html
from pipeline.annotation.settings import DatasetSettings
from pipeline.dump import Dump
from pipeline.ranking.verdict import plural
from pipeline.record_files.mapping import NOTHING, Prepared, targets
from pipeline.record_files.rows import Answer, Proposal, Source, is_empty
from pipeline.store.exchange import TakenIn

SHOWN_ROWS = 5
SHOWN_PROBLEMS = 10
_CUT = 90

# Says where all columns go as soon as one of them goes elsewhere.
MAP_JS = (
    _html.AS_DRAWN_JS
    + """
new MutationObserver(putAsDrawn).observe(element, {childList: true, characterData: true, attributes: true, subtree: true});
element.addEventListener('change', (event) => {
  if (!event.target.matches('select')) return;
  const mapping = {};
  element.querySelectorAll('select').forEach((box) => { mapping[box.dataset.column] = box.value; });
  trigger('input', {mapping});
});
"""
)


def columns(settings: DatasetSettings, source: Source, mapped: Mapping[str, str]) -> str:
    """Return the columns of a file with their first rows, and a list to choose from where each goes."""
    first = source.rows[:SHOWN_ROWS]
    head = f"{plural(len(source.rows), 'row')}, {plural(len(source.columns), 'column')} in {_html.esc(source.name)}"
    cards = "".join(
        _column(settings, column, mapped.get(column, NOTHING), first, n) for n, column in enumerate(source.columns)
    )
    return (
        f'<h4 class="pl-columns-head">{head}</h4><p class="pl-note">Say where each column goes. Beside it: the first '
        f'{plural(len(first), "row")}.</p><div class="pl-columns" role="list">{cards}</div>'
    )


def _column(settings: DatasetSettings, column: str, target: str, first: Sequence, number: int) -> str:
    choices = targets(settings, column)
    options = "".join(
        f'<option value="{_html.esc(value)}"{" selected" if value == target else ""}>{_html.esc(label)}</option>'
        for label, value in choices
    )
    cells = "".join(f'<div dir="auto">{_html.esc(_cut(row.cells.get(column))) or "&nbsp;"}</div>' for row in first)
    box, name = f"records-column-{number}", _html.esc(column)
    return (
        f'<div class="pl-column" role="listitem"><label class="pl-column-name" for="{box}" dir="auto">{name}</label>'
        f'<select id="{box}" class="pl-input" data-column="{name}">{options}</select>'
        f'<div class="pl-cells">{cells}</div></div>'
    )


def _cut(cell: object) -> str:
    if is_empty(cell):
        return ""
    if isinstance(cell, Proposal):
        said = ", ".join(part for part in (cell.agent, "" if cell.score is None else f"{cell.score}") if part)
        text = f"{_plain(cell.value)} ({said})" if said else _plain(cell.value)
    elif isinstance(cell, list) and all(isinstance(item, Answer) for item in cell):
        text = "; ".join(f"{item.person}: {_plain(item.value)}" for item in cell)
    else:
        text = _plain(cell)
    text = " ".join(text[: _CUT * 4].split())
    return f"{text[:_CUT]} …" if len(text) > _CUT else text


def _plain(value: object) -> str:
    if value is None:
        return "discarded"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def report(prepared: Prepared, replaced: int) -> str:
    """Return what will become of the rows of a file."""
    records = prepared.records
    suggestions = sum(len(item.record.suggestions) for item in records)
    people = {response.person for item in records for response in item.responses}
    responses = sum(len(item.responses) for item in records)
    lines = [_html.note(f"{plural(len(records) - replaced, 'record')} will be new.")] if len(records) > replaced else []
    if replaced:
        verb = "takes the place of the record" if replaced == 1 else "take the place of the records"
        lines.append(_html.note(f"{plural(replaced, 'record')} {verb} with the same id. Responses to it stay."))
    if suggestions:
        lines.append(_html.note(f"{plural(suggestions, 'suggestion')} will come with them."))
    if responses:
        said = f"{plural(responses, 'response')} of {plural(len(people), 'person', 'people')} will come with them."
        lines.append(_html.note(said))
    lines += [_html.note(text) for text in prepared.notes]
    return "".join(lines) + problems(prepared)


def problems(prepared: Prepared) -> str:
    """Return the rows that cannot be taken in, and why."""
    found = prepared.problems
    if not found:
        return ""
    listed = "".join(
        f"<li><b>{_html.esc(item.place)}</b>: {_html.esc(item.reason)}</li>" for item in found[:SHOWN_PROBLEMS]
    )
    more = f"<li>and {plural(len(found) - SHOWN_PROBLEMS, 'more row')}</li>" if len(found) > SHOWN_PROBLEMS else ""
    said = _html.note(f"{plural(len(found), 'row')} cannot be read:", "bad")
    return f'{said}<ul class="pl-list pl-problems">{listed}{more}</ul>'


def whole(dump: Dump) -> str:
    """Return what is in a file that holds a whole dataset."""
    people = {person for record in dump.records for person in record.people}
    parts = [
        plural(len(dump.records), "record"),
        plural(sum(len(record.suggestions) for record in dump.records), "suggestion"),
        plural(sum(len(record.responses) for record in dump.records), "response"),
        plural(len(people), "person", "people"),
    ]
    said = f"This file holds a whole dataset, {dump.name}: {', '.join(parts)}. It becomes a new dataset."
    return _html.note(said)


def added(taken: TakenIn, left_out: int) -> str:
    """Return what has become of the records."""
    parts = [f"{plural(taken.new, 'record')} added"] if taken.new or not taken.replaced else []
    parts += [f"{plural(taken.replaced, 'record')} replaced"] if taken.replaced else []
    parts += [f"{plural(taken.responses, 'response')} added"] if taken.responses else []
    lines = [_html.note(", ".join(parts) + ".", "good")]
    if left_out:
        lines.append(_html.note(f"{plural(left_out, 'row')} left out, as you chose."))
    if taken.left:
        said = f"{plural(taken.left, 'response')} left out: these people have responses to these records here, which stand."
        lines.append(_html.note(said))
    return "".join(lines)
