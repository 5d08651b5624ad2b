"""What comes of a file of votes, before it is brought in."""

from __future__ import annotations

from components import _html
from pipeline.ranking.verdict import plural
from pipeline.records import Outcome
from pipeline.vote_import.conversion import ImportedVote, PreparedVotes

FIRST = 5
PROBLEMS = 8
_CUT = 140


def preview(prepared: PreparedVotes) -> str:
    """Return how many votes come of a file, the first of them, what cannot be read and why, and what is to be known."""
    return _summary(prepared) + _problems(prepared) + _table(prepared) + "".join(map(_html.note, prepared.notes))


def _summary(prepared: PreparedVotes) -> str:
    votes = prepared.votes
    if not votes:
        return _html.note("No vote comes of this file yet.", "warn")
    models = len({model for vote in votes for model in vote.models})
    people = len({vote.annotator for vote in votes if vote.annotator})
    asked = {vote.query or vote.place for vote in votes}
    by = f" by {plural(people, 'annotator')}" if people else ""
    text = f"{plural(len(votes), 'vote')}{by} on {plural(len(asked), 'query', 'queries')}, between {plural(models, 'model')}."
    left = f" {plural(prepared.left_out, 'row')} left out, as chosen." if prepared.left_out else ""
    return _html.note(text + left, "good")


def _problems(prepared: PreparedVotes) -> str:
    problems = prepared.problems
    if not problems:
        return ""
    lines = "".join(f"<li>{_html.esc(_cut(str(problem), 300))}</li>" for problem in problems[:PROBLEMS])
    more = f"<li>and {len(problems) - PROBLEMS:,} more</li>" if len(problems) > PROBLEMS else ""
    head = _html.note(f"{plural(len(problems), 'row')} cannot be read:", "bad")
    return f"{head}<ul class='pl-problems'>{lines}{more}</ul>"


def _table(prepared: PreparedVotes) -> str:
    if not prepared.votes:
        return ""
    rows = "".join(map(_row, prepared.votes[:FIRST]))
    heads = "".join(f"<th scope='col'>{head}</th>" for head in ("Where", "Query", "Shown", "Verdict", "By"))
    return (
        f"<div class='pl-scroll' tabindex='0' role='region' aria-label='The first votes'><table class='pl-table'>"
        f"<caption class='pl-unseen'>The first votes of the file</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(vote: ImportedVote) -> str:
    cells = (
        vote.place,
        vote.query or "not given",
        ", ".join(vote.models),
        verdict(vote),
        vote.annotator or "not given",
    )
    return f"<tr>{''.join(f'<td dir=auto>{_html.esc(_cut(cell, _CUT))}</td>' for cell in cells)}</tr>"


def verdict(vote: ImportedVote) -> str:
    """Return a verdict in words, with the names of the models."""
    if vote.ranks:
        ordered = sorted(zip(vote.ranks, vote.models, strict=True))
        return ", ".join(f"{rank} {model}" for rank, model in ordered)
    words = {Outcome.TIE: "tie", Outcome.BOTH_BAD: "both bad"}
    better = vote.models[0 if vote.outcome is Outcome.MODEL_A else 1]
    return words.get(vote.outcome) or f"{better} is better"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
