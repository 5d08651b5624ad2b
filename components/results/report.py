"""The report as one HTML page that needs nothing else: no script, nothing from elsewhere, printable."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from components import _html, drawings
from components._html import esc
from components.results import checks as results_checks
from components.results import leaderboard
from components.results import numbers as results_numbers
from components.results import slices as results_slices
from components.theme import ASSETS
from pipeline.comparison_settings import ComparisonSettings, Kind, RevealPolicy, VoteForm
from pipeline.ranking.verdict import plural
from pipeline.report import Report

KINDS = {
    Kind.PREPARED: "prepared over a list of queries, one stored retrieval per query",
    Kind.LIVE: "live: queries of the voters themselves",
    Kind.IMPORTED: "votes brought from elsewhere",
}
REVEALS = {
    RevealPolicy.END: "when a person opens the results, which ends their voting",
    RevealPolicy.VOTE: "after each vote, which makes it final",
    RevealPolicy.NEVER: "never",
}
METHODS = (
    "Counts are votes. A ranking counts as one vote on each pair of its models. A pair of identical answers is shown to nobody "
    "and counts as an automatic tie, once for each person who judged everything that is shown, and once at least.",
    "The win rate is wins and half of the ties and both bad, over all votes. Its 95 % interval is over queries, since votes on "
    "one query are not independent: Wilson's form with the effective number of votes from the cluster-robust variance, and "
    "Student's t.",
    "The sign test is exact and two-sided, on the majority of each query; it is meant for one look after the last vote. The "
    "anytime-valid p is made of the first decisive vote of each query (beta-binomial mixture, Ville's inequality) and stays "
    "right however often one looks.",
    *leaderboard.EXPLAINED,
    "Annotators have pseudonyms, the same as in the file of votes.",
)


def page(report: Report, colour_of: Mapping[str, str], links: Sequence[str] = ()) -> str:
    """Return the report of a pair. ``links`` lead to the report of each pair, where the page is one of a server's."""
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(report.made_at))
    app = f"Pairloop {report.version}".strip()
    live = (
        _html.note("This page counts the votes anew each time it is opened: reload it to see those since.")
        if links
        else ""
    )
    body = "".join(_sections(report, colour_of, links))
    style = "".join((ASSETS / name).read_text(encoding="utf-8") for name in ("charts.css", "report.css"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex, nofollow">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        f"<title>{esc(report.title)}: results</title><style>{style}</style></head><body><main>"
        f'<header><p class="pl-small">Results of a blind comparison · {made} · {esc(app)}</p><h1>{esc(report.title)}</h1>{live}'
        # Folded parts would be missing in print.
        f"</header>{body.replace('<details class=', '<details open class=')}</main></body></html>"
    )


def _sections(report: Report, colour_of: Mapping[str, str], links: Sequence[str]) -> list[str]:
    verdict = report.verdict
    counts = verdict.counts
    several = len(report.pairs) > 1
    pair = f"<h2>{esc(counts.first)} against {esc(counts.second)}</h2>" if several else ""
    shown = [
        results_numbers.about(report.settings),
        f"<section>{pair}{results_numbers.headline(verdict)}"
        f"{drawings.bar(counts, colour_of) if counts.votes else ''}"
        f"{results_numbers.numbers(verdict, report.automatic_ties)}</section>",
        _part("All pairs", results_numbers.pairs(report.pairs, links)) if several else "",
    ]
    if report.criteria:
        shown.append(f"<section>{results_numbers.criteria(report.criteria, counts.first)}</section>")
    if report.progress.steps:
        shown.append(_part("Over time", drawings.over_time(report.progress, colour_of[counts.first], slider=False)))
    shown.append(f"<section>{results_checks.checks(report.votes, report.names, report.adjusted)}</section>")
    if report.slices:
        parts = "".join(
            f"<h3>By {esc(results_slices.label(key))}</h3>{results_slices.table(found, counts.first, f'slices-{place}')}"
            for place, (key, found) in enumerate(report.slices)
        )
        shown.append(_part("Parts of the votes", parts))
    if len(report.board.ratings) > 1:
        shown.append(_part("Models of this comparison", leaderboard.ratings(report.board)))
        shown.append(_part("Who beats whom", drawings.heat(report.fractions)))
    shown.append(_part("How it was made", _settings(report.settings, report) + _methods()))
    return shown


def _part(title: str, content: str) -> str:
    return f"<section><h2>{esc(title)}</h2>{content}</section>"


def _settings(settings: ComparisonSettings, report: Report) -> str:
    read = f"{settings.min_read_seconds:g} s" if settings.min_read_seconds else "none"
    rows = (
        ("Models", ", ".join(report.models)),
        ("Kind", KINDS[settings.kind]),
        (
            "Vote",
            "a ranking of all answers" if settings.form is VoteForm.RANKING else "pair by pair: A, B, tie, both bad",
        ),
        ("Names are shown", REVEALS[settings.reveal]),
        ("Criteria", ", ".join(settings.criteria) or "none"),
        ("Shortest reading time", read),
        ("Queries that were trained on or read", "included" if settings.include_trained else "barred"),
        ("Votes of this pair", f"{plural(report.verdict.counts.votes, 'vote')}"),
    )
    body = "".join(f"<tr><th scope='row'>{esc(name)}</th><td>{esc(value)}</td></tr>" for name, value in rows)
    table = f"<table class='pl-table'><tbody>{body}</tbody></table>"
    region = f"<div class='pl-scroll' tabindex='0' role='region' aria-label='Settings'>{table}</div>"
    return region + results_numbers.prepared(report.summary, settings)


def _methods() -> str:
    return f"<h3>Methods</h3>{''.join(f'<p>{esc(text)}</p>' for text in METHODS)}"
