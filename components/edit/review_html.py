"""What the Review panel shows of a dataset: agreement, people, disagreements, what suggestions do, how good passages are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from components import _html
from components._html import esc
from components.edit.record_html import first_words
from pipeline.agreement import Agreement
from pipeline.anchoring import AnchoringReport, Line, Side
from pipeline.ranking.verdict import plural
from pipeline.retrieval_metrics import RetrievalReport
from pipeline.review import Disagreements, Listed, Report
from pipeline.review_numbers import PersonNumbers, QuestionAgreement
from pipeline.unification import State

# K. Krippendorff, Content Analysis (2004), page 241: rely on 0.8 and above; from 0.667 draw tentative conclusions.
GOOD, TENTATIVE = 0.8, 0.667
_MEASURES = {
    "nominal": "α, same or other",
    "ordinal": "α, further apart in rank",
    "sets": "α, shared labels (MASI)",
    "rankings": "α, order of pairs (Kemeny)",
}
_AGREEMENT_MEANS = (
    "α is Krippendorff's alpha: 1 is always the same answer, 0 is what chance gives, below 0 is less than that. He relies on "
    "0.8 and above, and draws tentative conclusions from 0.667. In brackets stands the 95 % interval, over records (bootstrap). "
    "n counts the records that two people or more answered; unanimous ones got the same answer from everybody. Texts have no α, "
    "since no two people write the same by chance: what stands there is how many of their words are alike, 0 to 100 % "
    "(1 − word edit distance). Drafts and discards never count."
)
_PEOPLE_MEANS = (
    "Pace is responses per hour of work on records, breaks left out; seconds are the median per record. Same as others: of the "
    "times that somebody else answered the same closed question on the same record, how often the answers are equal. "
    "Suggestions kept: of the answers that began as a suggestion, how many were submitted unchanged."
)
_ANCHORING_MEANS = (
    "Kept unchanged: how many answers equal the suggestion, with a 95 % interval (Wilson). Words changed: the mean word edit "
    "distance between suggestion and submitted text. The difference (Newcombe's interval) is what showing the suggestion does: "
    "which records are shown without it is drawn at random. Answers are taken as independent of each other."
)
_RETRIEVAL_MEANS = (
    "Precision@k: relevant passages among the first k. nDCG@k: the same with more weight on top, over the best order that these "
    "passages could have. MRR: 1 / rank of the first relevant one. A passage is relevant when more people marked it so than "
    "not; unmarked and split ones count as not relevant. In brackets the 95 % interval, over queries. What was not retrieved "
    "was not marked, so nothing is said about what is missing."
)


class Row(NamedTuple):
    """Cells of a table as HTML, and a line below them, as text."""

    cells: Sequence[str]
    reason: str = ""


def headline(report: Report) -> str:
    """Return in one sentence how far people agree, and below it what that rests on."""
    if not report.answered:
        return _html.empty("Nothing to review yet", "When answers are submitted, how far people agree stands here.")
    return f'<p class="pl-headline">{esc(_sentence(report))}<small>{esc(_basis(report))}</small></p>'


def _sentence(report: Report) -> str:
    known = [item for item in report.questions if item.alpha and item.alpha.alpha is not None]
    if not report.twice:
        return "No record was answered by two people yet, so nothing can be said about agreement."
    bands = [(words, [item for item in known if low <= item.alpha.alpha < high]) for words, low, high in _BANDS]
    parts = [f"{words} on {_named(found)}" for words, found in bands if found]
    alike = [item for item in report.questions if item.similarity and item.similarity.mean is not None]
    texts = [f"“{item.question.heading}” are {100 * item.similarity.mean:.0f} % alike" for item in alike]
    if parts:
        return f"Annotators agree {', and '.join(parts)}."
    return f"Answers to {_listed(texts)}." if texts else "Agreement cannot be told yet: see why below."


def _named(items: Sequence[QuestionAgreement]) -> str:
    """Return questions with their numbers; of more than two, what these range over."""
    if len(items) <= 2:
        return _listed([f"“{item.question.heading}” ({_alpha_words(item.alpha)})" for item in items])
    alphas, records = [item.alpha.alpha for item in items], [item.records for item in items]
    some = f"{min(records):,}" if min(records) == max(records) else f"{min(records):,} to {max(records):,}"
    return f"{len(items)} questions (α {number(min(alphas))} to {number(max(alphas))}, n = {some} records)"


_BANDS = (
    ("well", GOOD, 2.0),
    ("fairly", TENTATIVE, GOOD),
    ("little", 0.1, TENTATIVE),
    ("hardly more than by chance", -2.0, 0.1),
)


def _alpha_words(found: Agreement) -> str:
    return f"α {number(found.alpha)}{interval(found.low, found.high)}, n = {plural(found.units, 'record', 'records')}"


def number(value: float, digits: int = 2) -> str:
    """Return a number with a real minus sign; what rounds to zero has none."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def interval(low: float | None, high: float | None, scale: float = 1, digits: int = 2) -> str:
    """Return an interval in brackets, or "" where there is none."""
    return "" if low is None else f" [{number(scale * low, digits)} to {number(scale * high, digits)}]"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _basis(report: Report) -> str:
    size = report.dataset.size
    words = (
        f"{report.answered:,} of {plural(size, 'record', 'records')} answered, {report.twice:,} by two people or more, "
    )
    words += f"{report.done:,} with all answers they need. "
    words += f"{report.adjudicated:,} decided. " if report.adjudicated else ""
    if list(report.versions) in ([], [1]):
        return words
    counts = [
        f"{count:,} under {'version ' + str(key) if key else 'an unknown version'}"
        for key, count in report.versions.items()
    ]
    return f"{words}Guidelines: {plural(sum(report.versions.values()), 'answer', 'answers')}, {_listed(counts)}."


def questions(report: Report) -> str:
    """Return the table of questions with their agreement."""
    rows = [_question_row(item, report.states.get(item.question.name, {})) for item in report.questions]
    if report.passages is not None:
        found = report.passages
        counts = (_alpha_cell(found), f"{found.units:,}", _unanimous(found.unanimous, found.units), "–")
        rows.append(Row(("<b>Passages relevant or not</b>", _MEASURES["nominal"], *counts), found.reason))
    head = ("Question", "Measure", "Agreement", "n", "Unanimous", "Unresolved")
    return _table(head, rows, "Agreement") + _means(_AGREEMENT_MEANS)


def _question_row(item: QuestionAgreement, states: Mapping[State, int]) -> Row:
    measure = "words alike" if item.similarity else _MEASURES[item.alpha.level.value]
    shown = _similarity_cell(item) if item.similarity else _alpha_cell(item.alpha)
    counts = (f"{item.records:,}", _unanimous(item.unanimous, item.records), f"{states.get(State.UNRESOLVED, 0):,}")
    return Row((f"<b>{esc(item.question.heading)}</b>", measure, shown, *counts), item.reason)


def _alpha_cell(found: Agreement) -> str:
    if found.alpha is None:
        return "–"
    word = "good" if found.alpha >= GOOD else "fair" if found.alpha >= TENTATIVE else "low"
    grade = f'<span class="pl-grade" data-grade="{word}">{word}</span>'
    return f"<b>{number(found.alpha)}</b>{interval(found.low, found.high)} {grade}"


def _similarity_cell(item: QuestionAgreement) -> str:
    found = item.similarity
    return "–" if found.mean is None else f"<b>{100 * found.mean:.0f} %</b>{interval(found.low, found.high, 100, 0)}"


def _unanimous(unanimous: int, records: int) -> str:
    return f"{unanimous:,} ({100 * unanimous / records:.0f} %)" if records else "–"


def people(report: Report) -> str:
    """Return the table of annotators."""
    if not report.people:
        return ""
    kept = report.anchoring.annotators if report.anchoring else {}
    by_name = sorted(report.people, key=lambda item: report.names.get(item.annotator_id, ""))
    rows = [_person_row(report, item, kept.get(item.annotator_id)) for item in by_name]
    head = ("Annotator", "Progress", "Pace", "Same as others", "Suggestions kept")
    return '<h3 class="pl-title">Annotators</h3>' + _table(head, rows, "Annotators") + _means(_PEOPLE_MEANS)


def _person_row(report: Report, item: PersonNumbers, kept: Line | None) -> Row:
    own = item.submitted + item.discarded
    drafts = plural(item.drafts, "draft", "drafts")
    words = f"{item.submitted:,} submitted · {drafts} · {item.discarded:,} discarded · {item.pending:,} pending"
    bar = _html.bar(own, own + item.drafts + item.pending, words)
    pace = "–"
    if item.seconds is not None:
        pace = f"{item.per_hour:,.0f} an hour<br><span class='pl-small'>{item.seconds:.0f} s each, n = {item.timed:,}</span>"
    same = "–"
    if item.compared:
        same = f"{100 * item.same / item.compared:.0f} %<br><span class='pl-small'>n = {item.compared:,}</span>"
    name = esc(report.names.get(item.annotator_id) or "Somebody")
    kept_share = _kept(kept.prefilled if kept else None)
    return Row((f"<b>{name}</b>", f'<div class="pl-person">{bar}</div>', pace, same, kept_share))


def _kept(side: Side | None) -> str:
    if side is None or side.share is None:
        return "–"
    inside = interval(side.low, side.high, 100, 0)
    return f"{100 * side.share:.0f} %{inside}<br><span class='pl-small'>n = {side.answers:,}</span>"


def disagreements(found: Disagreements, question: str) -> str:
    """Return the list of records that people disagree on, least agreed first."""
    hidden = ""
    if found.hidden:
        words = "is" if found.hidden == 1 else "are"
        hidden = _html.note(
            f"{plural(found.hidden, 'record', 'records')} with answers of others {words} not shown: they still wait for you, and "
            "seeing those answers would sway yours. Answer them, or wait until they have all the answers they need."
        )
    if not found.total:
        return hidden + _html.note("No record that you may see was answered by two people or more.")
    lines = "".join(_line(item, question) for item in found.lines)
    more = ""
    if len(found.lines) < found.total:
        more = f'<button type="button" class="pl-plain-button" data-review-more="{len(found.lines) + 20}">Show more</button>'
    shown = _html.note(
        f"{len(found.lines):,} of {plural(found.total, 'record', 'records')}, the least agreed first, decided ones last."
    )
    return f'{hidden}{shown}<ol class="pl-review-list">{lines}</ol>{more}'


def _line(item: Listed, question: str) -> str:
    score = item.found.questions[question] if question else item.found.score
    decided = '<span class="pl-grade" data-grade="good">decided</span>' if item.adjudicated else ""
    about = f"Record {item.number} · {plural(item.found.people, 'person', 'people')}"
    return (
        f'<li><button type="button" class="pl-review-open" data-review-open="{esc(item.record.id)}">'
        f'<span class="pl-review-score" title="0 % all the same, 100 % as far apart as answers can be">'
        f"<b>{100 * score:.0f} %</b> apart</span>"
        f'<span class="pl-review-words" dir="auto">{esc(first_words(item.record.fields))}</span>'
        f'<span class="pl-small">{about} {decided}</span></button></li>'
    )


def unified(report: Report) -> str:
    """Return how the unified answers come about."""
    rules = {
        "rating": "median (the mean is in the file)",
        "label": "most votes; a tie stays unresolved",
        "multi_label": "labels that more than half chose",
        "ranking": "mean rank; equal means share a rank",
        "text": "kept as they are; one stands where all wrote the same",
    }
    rows = []
    for item in report.questions:
        states = report.states[item.question.name]
        counts = [f"{states.get(state, 0):,}" for state in (State.UNIFIED, State.ADJUDICATED, State.UNRESOLVED)]
        rows.append(Row((f"<b>{esc(item.question.heading)}</b>", rules[item.question.kind.value], *counts)))
    note = _html.note("One answer for each record and question. A decision comes first; nothing is ever drawn by lot.")
    return note + _table(("Question", "Rule", "Unified", "Decided", "Unresolved"), rows, "Unified answers")


def anchoring(report: AnchoringReport | None, names: Mapping[str, str], titles: Mapping[str, str]) -> str:
    """Return what showing suggestions does to answers."""
    if report is None:
        return _html.note("No submitted answer had a suggestion yet.")
    line = report.overall
    words = "Answers were given with the suggestion in the form only: set a share of records without it to see what it does."
    if line.difference is not None:
        words = (
            f"With the suggestion in the form, {100 * line.prefilled.share:.0f} % of answers equal it; without, "
            f"{100 * line.plain.share:.0f} %. {_points(100 * line.difference)}"
            f"{interval(line.low, line.high, 100, 0)}, n = {line.prefilled.answers:,} and {line.plain.answers:,}."
        )
    elif not line.prefilled.answers:
        words = "No answer with the suggestion in the form yet."
    rows = _anchoring_rows("All answers", line)
    if len(report.questions) > 1:
        rows += [
            row for name, item in report.questions.items() for row in _anchoring_rows(titles.get(name, name), item)
        ]
    rows += [row for name, item in report.agents.items() if name for row in _anchoring_rows(f"Model {name}", item)]
    rows += [
        row for who, item in report.annotators.items() for row in _anchoring_rows(names.get(who) or "Somebody", item)
    ]
    unknown = _html.note(f"{report.unknown:,} older answers do not say how they began.") if report.unknown else ""
    head = ("Answers", "Form", "Kept unchanged", "Words changed", "Seconds")
    return f"<p>{esc(words)}</p>" + _table(head, rows, "Suggestions") + unknown + _means(_ANCHORING_MEANS)


def _points(difference: float) -> str:
    return f"Difference {'+' if difference > 0 else ''}{number(difference, 0)} points"


def _anchoring_rows(name: str, line: Line) -> list[Row]:
    sides = [("with suggestion", line.prefilled), ("without", line.plain)]
    rows = []
    for form, side in sides:
        if not side.answers:
            continue
        texts = (
            "–"
            if side.distance is None
            else f"{100 * side.distance:.0f} % <span class='pl-small'>n = {side.texts:,}</span>"
        )
        seconds = (
            "–" if side.seconds is None else f"{side.seconds:.0f} s <span class='pl-small'>n = {side.timed:,}</span>"
        )
        rows.append(Row((f"<b>{esc(name)}</b>", form, _kept(side).replace("<br>", " "), texts, seconds)))
    return rows


def retrieval(report: RetrievalReport | None) -> str:
    """Return the retrieval metrics."""
    if report is None or not report.queries:
        return _html.note("No passage was marked in a submitted answer yet.")
    cards = "".join(
        f'<div class="pl-card"><b>{item.value:.2f}</b><span>{esc(item.name)}<br>{interval(item.low, item.high)}</span></div>'
        for item in report.metrics
    )
    passages = plural(report.passages, "passage", "passages")
    basis = f"{plural(report.queries, 'query', 'queries')}, {report.marked:,} of {passages} marked"
    basis += f", {report.split:,} split" if report.split else ""
    return f'<div class="pl-cards">{cards}</div>' + _html.note(f"{basis}.") + _means(_RETRIEVAL_MEANS)


def _table(head: Sequence[str], rows: Sequence[Row], label: str) -> str:
    cells = "".join(f"<th scope='col'>{esc(title)}</th>" for title in head)
    body = "".join(_row(head, row) for row in rows)
    return (
        f"<div class='pl-scroll' tabindex='0' role='region' aria-label='{esc(label)}'><table class='pl-table pl-review-table'>"
        f"<thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(head: Sequence[str], row: Row) -> str:
    # On a phone each cell stands below the other with its column's name.
    cells = zip(head, row.cells, strict=True)
    shown = "".join(f'<td data-head="{esc(title)}"><div>{cell}</div></td>' for title, cell in cells)
    reason = f'<tr class="pl-review-reason"><td colspan="{len(head)}">{esc(row.reason)}</td></tr>' if row.reason else ""
    return f"<tr>{shown}</tr>{reason}"


def _means(text: str) -> str:
    return f'<details class="pl-more"><summary>What these numbers mean</summary><p>{esc(text)}</p></details>'
