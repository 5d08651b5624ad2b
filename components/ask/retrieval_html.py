"""HTML of retrieval: what is in force, why a passage was found, and two settings side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components._html import bar, esc, note, span
from components.explained import heads
from pipeline.embedding_index import Progress
from pipeline.records import Context
from pipeline.retrieval import Match
from pipeline.retrieval_bench import Comparison, Difference, Line, Moved
from pipeline.retrieval_desk import State, Trial
from pipeline.retrieval_gold import DOCUMENT_COLUMNS, PASSAGE_COLUMNS
from pipeline.retrieval_metrics import Metric
from pipeline.retrieval_settings import Method, RetrievalSettings
from pipeline.retriever import DEPTH, FUSION, label

METHODS = {
    Method.BM25: "By words (BM25)",
    Method.DENSE: "By meaning (embeddings)",
    Method.FUSED: "By both, ranks fused",
}
_STEPS = {
    "cutting": "Documents are being cut anew",
    "opening": "The embedding model is being opened",
    "embedding": "Passages are being embedded",
    "": "Working",
}
_SHOWN = 50
_MEASURES = {
    "hit@1": "Queries whose first passage is a right one.",
    "hit@5": "Queries with a right passage among the first five.",
    "in the contexts": "Queries with a right passage among those that a model is given: as many as each setting says.",
    "MRR@10": "The mean of 1 / rank of the first right passage, 0 where none is among the first ten.",
    "nDCG@10": "Right passages among the first ten, those further down counting less; 1 is the best possible order.",
}
_KINDS = {
    "passage": "by the passage that a column of the list quotes",
    "marks": "by passages that people marked relevant on Edit",
    "document": "by the document that a column of the list names",
}


def state_html(state: State) -> str:
    """Return what is in force, and how far a change is."""
    settings = state.settings
    parts = [METHODS[settings.method], _times(state.top_k, "passage") + " for each query", _sizes(settings)]
    if settings.uses_vectors:
        parts.append(f"vectors by {label(settings.embedding)}")
    total = f"{_times(state.chunks, 'passage')} of {_times(state.documents, 'document')} are searched."
    said = f'<p class="pl-in-force"><b>In force:</b> {esc(", ".join(parts))}. {esc(total)}</p>'
    return said + _work(state)


def _work(state: State) -> str:
    work = state.work
    if work.error:
        return note(work.error, "bad")
    if not work.running:
        return ""
    words = f"{_STEPS[state.step]} …"
    if work.total:
        words = f"{_STEPS[state.step]}: {work.done:,} of {work.total:,}{left(work)}"
    waits = " Until it is done, what is in force stays so." if state.wanted else ""
    return bar(work.done, work.total or 1, words + "." + waits)


def left(progress: Progress) -> str:
    """Return how long something still takes, or ""."""
    seconds = progress.seconds_left
    return "" if seconds is None else f", about {span(max(1.0, seconds))} left"


def trial_html(trial: Trial) -> str:
    """Return what an embedding model gave in a trial."""
    verdict = "good" if trial.alike > trial.unlike + 0.1 else "warn"
    told = (
        f"It works: {trial.dimensions:,} numbers a vector, {1000 * trial.seconds:,.0f} ms a sentence. "
        f"To “{trial.query}” a sentence that says the same in other words has a similarity of {trial.alike:.2f}, one about "
        f"something else {trial.unlike:.2f}."
    )
    hint = " The two are close together: this model finds little of what is meant." if verdict == "warn" else ""
    return note(told + hint, verdict)


def why_html(context: Context, number: int, matches: Sequence[Match]) -> str:
    """Return why a passage was found, folded: its ranks and scores, and the words that it shares with the query."""
    rows = "".join(map(_match, matches))
    words = note("No word of the query is in it, nor in its heading.")
    if rows:
        words = (
            note("Words of the query in it, and what each adds to its BM25 score:")
            + f'<ul class="pl-matches">{rows}</ul>'
        )
    return (
        f'<details class="pl-because-found"><summary>Why this passage</summary>{note(found_in_words(context, number))}'
        f"{words}</details>"
    )


def _match(match: Match) -> str:
    factors = f"rarity {match.idf:.2f} × frequency {match.frequency:.2f}"
    return f"<li><b>{esc(match.word)}</b> {match.score:.2f} <small>{factors}</small></li>"


def found_in_words(context: Context, number: int) -> str:
    """Return the ranks and scores of a context in a sentence; ``number`` is its place."""
    by_words, by_meaning = context.lexical_rank, context.semantic_rank
    if by_words is None and by_meaning is None:
        return f"{_nth(number)} by words: BM25 score {context.score:.2f}."
    if by_words is None and context.score == context.semantic:
        return f"{_nth(number)} by meaning: similarity {context.score:.2f}, where 1 is the same direction."
    said = [
        f"{_nth(by_words)} by words (BM25 score {context.lexical:.2f})"
        if by_words
        else f"not among the first {DEPTH} by words",
        f"{_nth(by_meaning)} by meaning (similarity {context.semantic:.2f})"
        if by_meaning
        else f"not similar enough, or not among the first {DEPTH} by meaning",
    ]
    sum_of = " + ".join(f"1/({FUSION} + {rank})" for rank in (by_words, by_meaning) if rank)
    sentence = f"{said[0]}, {said[1]}"
    return f"{sentence[0].upper()}{sentence[1:]}. Together {sum_of} = {context.score:.4f}, which is {_nth(number)}."


def comparison_html(found: Comparison, state: State) -> str:
    """Return two settings side by side, with the queries where they differ."""
    top_k = state.top_k
    columns = (
        ("Measure", "", ""),
        ("In force", "pl-num", _told(found.first, top_k)),
        ("Tried", "pl-num", _told(found.second, top_k)),
        (
            "Difference",
            "pl-num",
            "Tried minus in force, over the same queries; an interval without 0 is more than chance.",
        ),
    )
    rows = "".join(map(_row, found.lines))
    kinds = "; ".join(f"{count:,} {_KINDS[kind]}" for kind, count in found.kinds.items())
    told = (
        f"{_times(found.queries, 'query', 'queries')} whose right passages are known: {kinds}."
        + (f" Left out, because theirs are not: {found.without:,}." if found.without else "")
        + f" In brackets 95 % intervals over queries. A query takes {1000 * found.seconds[0]:,.1f} ms in force, "
        f"{1000 * found.seconds[1]:,.1f} ms with the settings that were tried."
    )
    warning = ""
    if found.first != state.settings:
        warning = note(f"Compared before the last change. In force was then: {_told(found.first, top_k)}.", "warn")
    if found.kinds.get("marks"):
        words = "Passages were marked among those that a setting had found: another that finds others cannot score for them."
        warning += note(words, "warn")
    return (
        "<div class='pl-scroll' tabindex='0'><table class='pl-table pl-stack pl-measures'><thead>"
        f"<tr>{heads(columns, 'retrieval')}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{note(told)}{warning}{_moved(found.moved, found.queries)}"
    )


def no_gold_html(without: int) -> str:
    """Return what to do where nobody said which passages are right."""
    return (
        note(
            f"Of none of {_times(without, 'query', 'queries')} it is known which passages are right, so nothing can be compared.",
            "warn",
        )
        + "<ul class='pl-ways'><li>Bring a list of queries whose file has a column "
        + f"<code>{PASSAGE_COLUMNS[0]}</code> with words of the passage that answers each, or <code>{DOCUMENT_COLUMNS[0]}</code> "
        "with the name of its document.</li><li>Or run a list, send it to Edit, and mark passages there: R is relevant, N is "
        "not.</li></ul>"
    )


def _told(settings: RetrievalSettings, top_k: int) -> str:
    parts = [METHODS[settings.method], f"{settings.top_k or top_k} passages", _sizes(settings)]
    if settings.uses_vectors:
        parts += [label(settings.embedding), f"least similarity {settings.least_similarity:g}"]
    return ", ".join(parts)


def _sizes(settings: RetrievalSettings) -> str:
    return f"of up to {settings.chunking.size:,} tokens with {settings.chunking.overlap} shared"


def _row(line: Line) -> str:
    name = f"<b>{esc(line.name)}</b><br><small>{esc(_MEASURES[line.name])}</small>"
    cells = "".join(
        f"<td class='pl-num' data-label='{label}'><span>{cell}</span></td>"
        for label, cell in (
            ("In force", _metric(line.first)),
            ("Tried", _metric(line.second)),
            ("Difference", _apart(line.difference)),
        )
    )
    return f"<tr><td class='pl-wide'><span>{name}</span></td>{cells}</tr>"


def _metric(metric: Metric) -> str:
    interval = "" if metric.low is None else f"<br><small>[{metric.low:.2f} – {metric.high:.2f}]</small>"
    return f"{metric.value:.3f}{interval}"


def _apart(difference: Difference) -> str:
    interval = "" if difference.low is None else f"<br><small>[{difference.low:+.2f} – {difference.high:+.2f}]</small>"
    value = "0" if not difference.value and not interval else f"{difference.value:+.3f}"
    return f"{value}{interval}".replace("-", "−")


def _moved(moved: Sequence[Moved], queries: int) -> str:
    if not moved:
        return note(
            f"The first right passage stands at the same rank for all {_times(queries, 'query', 'queries')}.", "good"
        )
    rows = "".join(
        f"<tr><td class='pl-wide' dir='auto'>{esc(item.query)}</td><td class='pl-num'>{_rank(item.first)}</td>"
        f"<td class='pl-num'>{_rank(item.second)}</td></tr>"
        for item in moved[:_SHOWN]
    )
    more = f" The {_SHOWN} largest changes are shown." if len(moved) > _SHOWN else ""
    head = f"{len(moved):,} of {_times(queries, 'query', 'queries')} change: the rank of the first right passage.{more}"
    return (
        f'<p class="pl-note">{esc(head)}</p><div class="pl-scroll" tabindex="0"><table class="pl-table"><thead><tr><th>Query</th>'
        f"<th class='pl-num'>In force</th><th class='pl-num'>Tried</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _rank(rank: int | None) -> str:
    return "not in 10" if rank is None else str(rank)


def _nth(number: int) -> str:
    ending: Mapping[int, str] = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if 10 < number % 100 < 14 else ending.get(number % 10, 'th')}"


def _times(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
