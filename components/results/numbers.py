"""The words and numbers of one comparison's results as HTML, for the Results tab and for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components import _html
from components.explained import explained, heads
from pipeline.comparison_settings import ComparisonSettings, Kind, RevealPolicy, VoteForm
from pipeline.ranking.verdict import RULE, Verdict, p_text, percent, plural
from pipeline.report import PairResult
from pipeline.result_details import Criterion

NEVER = (
    "Which model is which is never shown in this comparison: that was chosen when it was made. Model 1, Model 2 and so on "
    "stand in an order that tells nothing, and keep their numbers."
)
_CRITERIA_HEADS = (
    ("Criterion", "", "What people were asked beside the vote; they may leave it out"),
    (
        "Win rate",
        "pl-num",
        "Wins and half of the ties and both bad, over the votes on this criterion, with its 95 % interval over queries",
    ),
    ("Queries", "pl-num", "Different queries with a vote on this criterion; the interval is over these"),
    ("Votes", "pl-num", "Votes in which this criterion was judged"),
    ("Wins, ties, both bad, losses", "pl-num", "Seen from the model whose win rate this is"),
)
_PAIR_HEADS = (
    ("Pair", "", "The model whose win rate this is, against the other one"),
    ("Win rate", "pl-num", "Wins and half of the ties and both bad, over all votes of the two, with its 95 % interval"),
    ("Queries", "pl-num", "Different queries that both models were judged on; the interval is over these"),
    (
        "Votes",
        "pl-num",
        "Votes on the two, automatic ties of identical answers included; a ranking is a vote on each pair",
    ),
    ("Wins, ties, both bad, losses", "pl-num", "Seen from the model whose win rate this is"),
    ("Anytime-valid p", "pl-num", "Stays valid however often one looks; not corrected for the number of pairs"),
    ("Conclusive", "", RULE),
)


def headline(verdict: Verdict) -> str:
    """Return what may be concluded, in words."""
    counted = "".join(f"<small>{_html.esc(sentence)}</small>" for sentence in verdict.details[:1])
    rest = "".join(f"<p>{_html.esc(sentence)}</p>" for sentence in verdict.details[1:])
    more = f'<details class="pl-more"><summary>How this is concluded</summary>{rest}</details>' if rest else ""
    return f'<p class="pl-headline">{_html.esc(verdict.headline)}{counted}</p>{more}'


def numbers(verdict: Verdict, automatic_ties: int) -> str:
    """Return the table of numbers, each with what it means."""
    counts, rate, sign, anytime = verdict.counts, verdict.rate, verdict.sign, verdict.anytime
    interval = f" [{100 * rate.low:.1f} – {100 * rate.high:.1f}]" if rate.low is not None else ""
    rows = (
        (
            f"Win rate of {counts.first}",
            "–" if rate.rate is None else f"{100 * rate.rate:.2f} %{interval}",
            "Wins and half of the ties and both bad, over all votes, with its 95 % interval over queries. "
            f"50 % means that neither is preferred. {rate.note}",
        ),
        (
            "Queries, votes, annotators",
            f"{counts.queries}, {counts.votes}, {counts.annotators}",
            _given_by(counts.votes, automatic_ties),
        ),
        (
            "Sign test",
            f"p {p_text(sign.p_value)}",
            f"Exact and two-sided, over queries: {sign.wins} won by {counts.first}, {sign.losses} by {counts.second}, "
            f"{sign.even} even. Meant for one look after the last vote.",
        ),
        (
            "Anytime-valid p",
            f"p {p_text(anytime.p_value)}",
            f"Stays valid however often you look while votes come in. {RULE}"
            if anytime.in_order
            else f"Taken from the final counts alone, as the file does not tell in which order the votes were given. {RULE}",
        ),
    )
    body = "".join(
        f"<tr><td><b>{_html.esc(name)}</b></td><td class='pl-num'>{_html.esc(value)}</td><td>{_html.esc(text)}</td></tr>"
        for name, value, text in rows
    )
    return (
        "<div class='pl-scroll pl-numbers' tabindex='0' role='region' aria-label='Numbers'><table class='pl-table'>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _given_by(votes: int, automatic: int) -> str:
    if automatic:
        are = "is an automatic tie" if automatic == 1 else "are automatic ties"
        return (
            f"{automatic} of the votes {are}: both answers were identical, which counts once for each person who judged "
            "every pair that is shown, and once at least."
        )
    return "None of the votes is an automatic tie." if votes else "Nobody has voted yet."


def prepared(summary: Mapping[str, int], settings: ComparisonSettings | None = None) -> str:
    """Return what became of the test queries when the comparison was made; what did not happen is left out."""
    pairs, identical, failed, barred = (summary.get(name, 0) for name in ("pairs", "identical", "failed", "barred"))
    queries = summary.get("queries", pairs)
    same = f", {identical} of them with identical answers" if identical else ""
    several = f" ({plural(pairs, 'pair')}{same})" if pairs != queries else same
    parts = [
        f"{plural(queries, 'query', 'queries')} compared{several}" if queries else "",
        f"{failed} without an answer" if failed else "",
        f"{barred} barred because {'it is' if barred == 1 else 'they are'} reviewed on Edit" if barred else "",
    ]
    said = "; ".join(filter(None, parts))
    marks = _included(summary, settings) + _overridden(summary.get("overridden", 0)) + _masked(summary.get("named", 0))
    return (_html.note(f"{said}.") if said else "") + marks


def _included(summary: Mapping[str, int], settings: ComparisonSettings | None) -> str:
    trained = summary.get("trained", 0)
    if trained:
        was, them, had = ("was", "it", "it had") if trained == 1 else ("were", "them", "they had")
        return _html.note(
            f"{plural(trained, 'query', 'queries')} {was} included although a model was trained on {them}, or {had} been read "
            "on Edit: the votes there may favour that model, or be less blind.",
            "warn",
        )
    if settings is not None and settings.include_trained:
        return _html.note("Queries that were trained on or read on Edit would have been included here; there are none.")
    return ""


def _overridden(rows: int) -> str:
    if not rows:
        return ""
    which = "1 row" if rows == 1 else f"{rows} rows"
    return _html.note(
        f"An owner let {which} of test queries into the training of a model here; the reason stands with its job on Tune.",
        "warn",
    )


def _masked(named: int) -> str:
    if not named:
        return ""
    return _html.note(
        f"{plural(named, 'answer')} named {'its' if named == 1 else 'their'} maker; people saw the name masked when they voted."
    )


def about(settings: ComparisonSettings) -> str:
    """Return what is special about a comparison."""
    notes = []
    if settings.reveal is RevealPolicy.NEVER:
        notes.append(_html.note(NEVER))
    if settings.kind is Kind.IMPORTED:
        notes.append(_html.note("These votes were brought from elsewhere; they were not given blind here."))
    if settings.form is VoteForm.RANKING:
        notes.append(
            _html.note("People ranked all answers to a query; a ranking counts as one vote on each pair of models.")
        )
    return "".join(notes)


def criteria(found: Sequence[Criterion], first: str) -> str:
    """Return a line for each criterion, with its n; one that nobody judged has no rate."""
    if not found:
        return ""
    named = tuple(
        (f"{name} of {first}" if name == "Win rate" else name, kind, text) for name, kind, text in _CRITERIA_HEADS
    )
    rows = "".join(
        f"<tr><th scope='row'>{_html.esc(one.name)}</th>{_cells(rate_text(one.rate), one.counts)}</tr>" for one in found
    )
    title = explained(
        "Criteria", "Judged beside the vote, each by itself: a vote need not follow from them.", "criteria"
    )
    return (
        f"<h3 class='pl-title'>{title}</h3><div class='pl-scroll' tabindex='0' role='region' aria-label='Criteria'>"
        f"<table class='pl-table'><thead><tr>{heads(named, 'criterion')}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def pairs(found: Sequence[PairResult], links: Sequence[str] = ()) -> str:
    """Return a line for each pair of models; with ``links``, where each pair is told in full."""
    rows = []
    for place, pair in enumerate(found):
        name = _html.esc(f"{pair.first} against {pair.second}")
        shown = f'<a href="{_html.esc(links[place])}">{name}</a>' if links else name
        verdict = pair.verdict
        if verdict is None:
            rows.append(f"<tr><th scope='row'>{shown}</th><td colspan='6'>see this pair by itself</td></tr>")
            continue
        conclusive = "yes" if verdict.level == "conclusive" else "not yet" if verdict.counts.votes else "no votes"
        p_value = p_text(verdict.anytime.p_value).removeprefix("= ")
        rows.append(
            f"<tr><th scope='row'>{shown}</th>{_cells(rate_text(verdict.rate), verdict.counts)}"
            f"<td class='pl-num'>{_html.esc(p_value)}</td><td>{conclusive}</td></tr>"
        )
    return (
        "<div class='pl-scroll' tabindex='0' role='region' aria-label='All pairs'><table class='pl-table'><thead><tr>"
        f"{heads(_PAIR_HEADS, 'pair')}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def rate_text(rate) -> str:
    """Return a win rate with its interval."""
    interval = "" if rate.low is None else f" [{100 * rate.low:.0f} – {100 * rate.high:.0f}]"
    return "–" if rate.rate is None else percent(rate.rate) + interval


def _cells(rate: str, counts) -> str:
    outcomes = f"{counts.wins:,}, {counts.ties:,}, {counts.both_bad:,}, {counts.losses:,}"
    shown = (rate, f"{counts.queries:,}", f"{counts.votes:,}", outcomes)
    return "".join(f"<td class='pl-num'>{_html.esc(text)}</td>" for text in shown)
