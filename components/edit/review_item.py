"""One record under review: what everybody answered side by side, and the form of the decision."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace

from components import _html
from components._html import esc
from components.edit.record_html import record_html
from pipeline.annotation.settings import Question, QuestionKind
from pipeline.annotation.values import is_answered
from pipeline.differences import comparable, difference
from pipeline.records import Response
from pipeline.review import Item
from pipeline.review_numbers import shown
from pipeline.tasks import Card
from pipeline.unification import State

# What the page does with the form; the server checks all of it again.
ITEM_JS = (
    _html.OPEN_SOURCE_JS
    + _html.AS_DRAWN_JS
    + """
const chosen = (block) => block.querySelector('input:checked');
const READ = {
  text: (block) => block.querySelector('textarea').value,
  rating: (block) => { const box = chosen(block); return box && box.value !== '' ? Number(box.value) : null; },
  label: (block) => { const box = chosen(block); return box && box.value !== '' ? box.value : null; },
  multi_label: (block) => [...block.querySelectorAll('input:checked')].map((box) => box.value),
  ranking: (block) => [...block.querySelectorAll('select')].filter((box) => box.value !== '')
    .map((box) => ({value: box.dataset.option, rank: Number(box.value)})),
};
const WRITE = {
  text: (block, value) => { block.querySelector('textarea').value = value; },
  rating: (block, value) => block.querySelectorAll('input').forEach((box) => {
    box.checked = box.value === String(value ?? '');
  }),
  multi_label: (block, value) => block.querySelectorAll('input').forEach((box) => { box.checked = value.includes(box.value); }),
  ranking: (block, value) => block.querySelectorAll('select').forEach((box) => {
    box.value = value.find((row) => row.value === box.dataset.option)?.rank ?? '';
  }),
};
WRITE.label = WRITE.rating;
const blocks = (form) => [...form.querySelectorAll('[data-decides]')];
const given = (form) => ({
  values: Object.fromEntries(blocks(form).map((block) => [block.dataset.decides, READ[block.dataset.kind](block)])),
  reason: form.querySelector('[data-reason]').value,
});
// What is not saved yet is kept by record, in this window: whoever looks at another record or panel finds it when they are back.
const kept = (() => { try { return window.sessionStorage; } catch { return null; } })();
const keyOf = (record) => 'pairloop-decision:' + record;
let saving = {};
const remember = () => {
  const form = element.querySelector('[data-reviewed]');
  try { kept?.setItem(keyOf(form.dataset.reviewed), JSON.stringify(given(form))); } catch { /* It is full. */ }
};
element.addEventListener('input', remember);
let before = '';
const restore = () => {
  const form = element.querySelector('[data-reviewed]');
  const shown = form ? form.dataset.reviewed + ' ' + form.dataset.decided : '';
  if (shown === before) return;
  before = shown;
  if (!form) return;
  putAsDrawn();
  form.querySelector('[data-unsaved]').hidden = true;
  const key = keyOf(form.dataset.reviewed);
  // A decision that was refused is still the one that was there before.
  if (saving.record === form.dataset.reviewed && saving.decided !== form.dataset.decided) kept?.removeItem(key);
  saving = {};
  const found = JSON.parse(kept?.getItem(key) ?? 'null');
  if (!found || JSON.stringify(found) === JSON.stringify(given(form))) return;
  blocks(form).forEach((block) => {
    if (block.dataset.decides in found.values) WRITE[block.dataset.kind](block, found.values[block.dataset.decides]);
  });
  form.querySelector('[data-reason]').value = found.reason;
  form.querySelector('[data-unsaved]').hidden = false;
};
new MutationObserver(restore)
  .observe(element, {childList: true, subtree: true, attributeFilter: ['data-reviewed', 'data-decided']});
restore();
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-review]');
  if (!button) return;
  const form = element.querySelector('[data-reviewed]');
  const record = form.dataset.reviewed;
  if (button.dataset.review === 'use') {
    const area = button.closest('[data-decides]').querySelector('textarea');
    area.value = button.dataset.text;
    remember();
    area.focus();
  } else if (button.dataset.review === 'save') {
    saving = {record, decided: form.dataset.decided};
    trigger('submit', {record, ...given(form)});
  } else {
    if (button.dataset.review === 'withdraw') saving = {record, decided: form.dataset.decided};
    trigger(button.dataset.review === 'withdraw' ? 'delete' : 'select', {record});
  }
});
"""
)


def item_html(item: Item) -> str:
    """Return the record, all answers and the form."""
    plain = replace(item.settings, mark_chunks=False, mark_spans="")
    card = Card(item.record, plain, None, item.number, item.number, False, True)
    # The ids of the Annotate panel, which may be on the page as well, stay with it.
    fields = record_html(card).replace(' id="edit-sources"', "")
    blocks = "".join(_question(item, question) for question in item.settings.questions)
    decided = item.adjudication.updated_at if item.adjudication else ""
    return (
        f'<div class="pl-review-item" data-reviewed="{esc(item.record.id)}" data-decided="{decided}">'
        '<section aria-label="Record">'
        f'<p class="pl-label">Record {item.number}{_apart(item)}</p>{fields}</section>'
        f'<section aria-label="Answers and decision">{_discards(item)}{blocks}{_marks(item)}{_end(item)}</section></div>'
    )


def _marks(item: Item) -> str:
    """Return who marked what: relevant passages, and spans that nothing supports."""
    rows = []
    passages = item.record.fields.get(item.settings.contexts_field) if item.settings.mark_chunks else None
    for number in range(len(passages or ())):
        given = [(response, (response.marks.get("chunks") or {}).get(str(number))) for response in item.submitted]
        words = [
            f"{_name(item, response)}: {'relevant' if mark else 'not relevant'}"
            for response, mark in given
            if mark is not None
        ]
        rows.append(f"<li><b>Passage {number + 1}</b> {esc(' · '.join(words) or 'not marked')}</li>")
    for response in item.submitted:
        for span in response.marks.get("spans") or []:
            rows.append(f"<li><b>{esc(_name(item, response))}</b> marked as unsupported: “{esc(span['text'])}”</li>")
    if not rows:
        return ""
    title = '<h4 class="pl-question-title">Marks</h4>'
    return f'<div class="pl-review-question">{title}<ul class="pl-list">{"".join(rows)}</ul></div>'


def _apart(item: Item) -> str:
    return f" · answers {100 * item.found.score:.0f} % apart" if item.found else ""


def _discards(item: Item) -> str:
    return "".join(
        _html.note(
            f"{_name(item, response)} discarded this record{': ' + response.reason if response.reason else ' without a reason'}."
        )
        for response in item.discarded
    )


def _name(item: Item, response: Response) -> str:
    return item.names.get(response.annotator_id) or "Somebody"


def _question(item: Item, question: Question) -> str:
    given = [response for response in item.submitted if is_answered(response.values.get(question.name))]
    apart = item.found.questions.get(question.name) if item.found else None
    about = (
        ""
        if apart is None
        else f' <span class="pl-small">{"all the same" if apart == 0 else f"{100 * apart:.0f} % apart"}</span>'
    )
    answers = _texts(item, question, given) if question.kind is QuestionKind.TEXT else _choices(item, question, given)
    title = f'<h4 class="pl-question-title">{esc(question.heading)}{about}</h4>'
    data = f'data-decides="{esc(question.name)}" data-kind="{question.kind.value}"'
    return f'<div class="pl-review-question" {data}>{title}{answers}{_decision(item, question)}</div>'


def _answer(item: Item, response: Response, body: str, mark: str = "") -> str:
    version = ""
    if response.guidelines_version not in (None, item.settings.guidelines_version):
        version = f' <span class="pl-small">guidelines version {response.guidelines_version}</span>'
    return (
        f'<div class="pl-review-answer" {"data-differs" if mark else ""}>'
        f'<p class="pl-label">{esc(_name(item, response))}{version}'
        f"{mark}</p>{body}</div>"
    )


def _choices(item: Item, question: Question, given: Sequence[Response]) -> str:
    if not given:
        return _html.note("Nobody answered this question.")
    values = [comparable(question, response.values[question.name]) for response in given]
    common = _most_common(values)
    parts = []
    for response, value in zip(given, values, strict=True):
        mark = (
            ' <span class="pl-grade" data-grade="low">differs</span>' if common is not None and value != common else ""
        )
        parts.append(
            _answer(item, response, f'<p dir="auto">{esc(shown(question, response.values[question.name]))}</p>', mark)
        )
    return f'<div class="pl-review-answers">{"".join(parts)}</div>'


def _most_common(values: Sequence[Hashable]) -> Hashable | None:
    """Return the value that more people gave than any other, or None; where it is alone on top, others differ from it."""
    (first, most), *others = Counter(values).most_common(2)
    return None if others and others[0][1] == most else first


def _texts(item: Item, question: Question, given: Sequence[Response]) -> str:
    """Return texts side by side: the one that is nearest to the others, and how each of these departs from it."""
    if not given:
        return _html.note("Nobody answered this question.")
    texts = [str(response.values[question.name]) for response in given]
    words = [comparable(question, text) for text in texts]
    far = Counter()
    for (one, left), (other, right) in itertools.combinations(enumerate(words), 2):
        far.update({one: difference(question, left, right), other: difference(question, left, right)})
    middle = min(range(len(texts)), key=lambda number: far[number])
    parts = []
    for number, (response, text) in enumerate(zip(given, texts, strict=True)):
        same = words[number] == words[middle]
        body = f'<div class="pl-review-text" dir="auto">{esc(text)}</div>' if same else _html.diff(texts[middle], text)
        mark = "" if same else ' <span class="pl-grade" data-grade="low">differs</span>'
        use = (
            f'<button type="button" class="pl-link-button" data-review="use" data-text="{esc(text)}">Use this'
            f'<span class="pl-unseen"> answer of {esc(_name(item, response))}</span></button>'
        )
        parts.append(_answer(item, response, body + use, mark))
    note = ""
    if len(set(words)) > 1:
        note = _html.note(
            f"Changes are shown against the answer of {_name(item, given[middle])}, which is nearest to the others."
        )
    return f'<div class="pl-review-answers pl-review-texts">{"".join(parts)}</div>{note}'


def _decision(item: Item, question: Question) -> str:
    found = item.unified[question.name]
    words = {
        State.UNRESOLVED: "Unresolved",
        State.UNANSWERED: "No answer",
        State.UNIFIED: "As the answers come out",
        State.ADJUDICATED: "Decided",
    }[found.state]
    if question.kind is QuestionKind.RATING and found.mean is not None:
        words += f" (mean {found.mean:.2g}, median {found.median:g})"
    value = None if found.state in (State.UNRESOLVED, State.UNANSWERED) else found.value
    label = f"Decision on {question.heading}"
    fields = {
        QuestionKind.TEXT: _text_field,
        QuestionKind.RANKING: _rank_fields,
        QuestionKind.MULTI_LABEL: _boxes,
    }.get(question.kind, _radios)(question, value, label)
    return f'<div class="pl-review-decision"><p class="pl-label">Decision · {esc(words)}</p>{fields}</div>'


def _text_field(question: Question, value: object, label: str) -> str:
    text = esc(value if value is not None else "")
    return f'<textarea class="pl-textarea" rows="4" dir="auto" aria-label="{esc(label)}">\n{text}</textarea>'


def _radios(question: Question, value: object, label: str) -> str:
    name = f"decide-{esc(question.name)}"
    options = [(str(option.value), option.shown, option.value == value) for option in question.options]
    options.append(("", "No decision", value not in question.values))
    boxes = "".join(
        f'<label class="pl-choice"><input type="radio" name="{name}" value="{esc(key)}" {"checked" if on else ""}>'
        f"<span>{esc(words)}</span></label>"
        for key, words, on in options
    )
    return f'<div class="pl-choices" role="radiogroup" aria-label="{esc(label)}">{boxes}</div>'


def _boxes(question: Question, value: object, label: str) -> str:
    chosen = value if isinstance(value, list) else []
    boxes = "".join(
        f'<label class="pl-choice"><input type="checkbox" value="{esc(option.value)}" '
        f"{'checked' if option.value in chosen else ''}><span>{esc(option.shown)}</span></label>"
        for option in question.options
    )
    return f'<div class="pl-choices" role="group" aria-label="{esc(label)}">{boxes}</div>'


def _rank_fields(question: Question, value: object, label: str) -> str:
    ranks = {row["value"]: row["rank"] for row in value} if isinstance(value, list) else {}
    rows = []
    for option in question.options:
        numbers = "".join(
            f'<option value="{n}" {"selected" if ranks.get(option.value) == n else ""}>{n}</option>'
            for n in range(1, len(question.options) + 1)
        )
        rows.append(
            f'<label class="pl-review-rank"><span dir="auto">{esc(option.shown)}</span><select data-option="{esc(option.value)}" '
            f'aria-label="Rank of {esc(option.shown)}"><option value="">–</option>{numbers}</select></label>'
        )
    return f'<div class="pl-review-ranks" role="group" aria-label="{esc(label)}">{"".join(rows)}</div>'


def _end(item: Item) -> str:
    decided, withdraw, state = item.adjudication, "", ""
    if decided:
        who = esc(item.names.get(decided.member_id) or "Somebody")
        state = f'<p class="pl-note pl-good">✓ Decided by {who} {_html.ago(decided.updated_at)}</p>'
        withdraw = '<button type="button" class="pl-plain-button" data-review="withdraw">Undo decision</button>'
    reason = esc(decided.reason if decided else "")
    return (
        f'{state}<label class="pl-label" for="review-reason">Why (optional)</label>'
        f'<textarea id="review-reason" class="pl-textarea" data-reason rows="2" dir="auto">\n{reason}</textarea>'
        '<p class="pl-note pl-warn" data-unsaved role="status" hidden>! Not saved yet: this is what you entered before.</p>'
        '<div class="pl-review-bar"><button type="button" class="pl-review-save" data-review="save">Save decision</button>'
        f'{withdraw}<button type="button" class="pl-plain-button" data-review="next">Next disagreement</button></div>'
    )
