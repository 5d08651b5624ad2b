"""The HTML of votes, one by one: the list, and a vote with all that it is about and that came of it."""

from __future__ import annotations

from components import _html, places
from pipeline.ranking.verdict import plural
from pipeline.vote_list import JudgedAnswer, VoteLine, VotePage, WholeVote

NAMELESS = "Answers are not shown here: this comparison never tells which model is which."


def page(found: VotePage) -> str:
    """Return a page of votes."""
    left = ""
    if found.blind:
        words = f"{plural(found.blind, 'vote')} left out: you still judge these queries blind in another comparison."
        left = _html.note(words)
    if not found.lines:
        return _html.note("No vote is like this.") + left
    body = "".join(map(_line, found.lines))
    return (
        "<div class='pl-scroll' tabindex='0' role='region' aria-label='Votes'><table class='pl-table'><thead><tr>"
        "<th class='pl-num'>Pair</th><th>Query</th><th>Preferred</th><th>Why, and better answers</th><th>By</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div>{places.pager(found.page, found.pages, found.total, 'vote')}{left}"
    )


def _line(line: VoteLine) -> str:
    told = [_html.esc(line.reason)] if line.reason else []
    if line.correction:
        told.append(f"<small>Better answer:</small> {_html.esc(line.correction)}")
    why = f"<span class='pl-clip'>{'<br>'.join(told)}</span>" if told else ""
    used = f" <small>{plural(line.uses, 'training row')}</small>" if line.uses else ""
    return (
        f"<tr><td class='pl-num'>{line.pair}</td><td class='pl-wide'>{places.vote(line.id, line.query)}</td>"
        f"<td>{_html.esc(verdict(line))}</td><td class='pl-wide'>{why}{used}</td>"
        f"<td>{_html.esc(line.person)}<br><small>{_html.ago(line.created_at)}</small></td></tr>"
    )


def verdict(line: VoteLine) -> str:
    """Return who won, in words."""
    if line.winners:
        return " and ".join(line.winners)
    return {"both_bad": "both bad"}.get(line.outcome, "tie")


def whole(found: WholeVote) -> str:
    """Return a vote with all that it is about."""
    line = found.line
    timed = f" after {line.seconds:.0f} s" if line.seconds is not None else ""
    about = f"{found.set_name} · pair {line.pair} · {line.person}{timed} · "
    facts = f"<dt>Preferred</dt><dd><b>{_html.esc(verdict(line))}</b></dd>"
    facts += "".join(f"<dt>{_html.esc(name)}</dt><dd>{_html.esc(said)}</dd>" for name, said in found.criteria.items())
    facts += f"<dt>Reason</dt><dd dir='auto'>{_html.esc(line.reason)}</dd>" if line.reason else ""
    answers = "".join(_answer(answer, number, len(found.contexts)) for number, answer in enumerate(found.answers))
    begins = f'<section class="pl-vote-open" data-opened="{_html.esc(line.id)}" aria-label="Vote">'
    back = places.link("?tab=results&vote=", "All votes")
    return (
        f'{begins}<p class="pl-steps">{back}</p><h3 class="pl-title" dir="auto">{_html.esc(line.query)}</h3>'
        f'<p class="pl-note">{_html.esc(about)}{_html.ago(line.created_at)}</p><dl class="pl-facts">{facts}</dl>'
        f'<div class="pl-answers">{answers}</div>{_correction(found)}'
        f"<p class='pl-label'>The passages that both were written from</p>"
        f"{_html.sources(found.contexts, scores=False, opened=1)}</section>"
    )


def _answer(answer: JudgedAnswer, number: int, cited: int) -> str:
    name = places.model(answer.model_id, answer.model) if answer.model_id else _html.esc(answer.model)
    place = f"place {answer.rank}" if answer.rank is not None else "preferred" if answer.won else ""
    mark = f"<small>{place}</small>" if place else ""
    text = _html.answer(answer.text, cited) if answer.text is not None else _html.note(NAMELESS)
    won = " pl-won" if answer.won else ""
    return f'<article class="pl-judged{won}"><header><span>{chr(65 + number)}</span> {name} {mark}</header>{text}</article>'


def _correction(found: WholeVote) -> str:
    written = ""
    if found.line.correction:
        written = f'<p class="pl-label">The better answer that was written</p>{_html.answer(found.line.correction)}'
    if not found.uses:
        none = "No model was trained on it yet." if found.line.correction else ""
        return written + (_html.note(none) if none else "")
    rows = "".join(f"<li>{_use(use, name)}</li>" for use, name in found.uses)
    return f'{written}<p class="pl-label">What was trained on it</p><ul class="pl-uses">{rows}</ul>'


def _use(use, name: str) -> str:
    kind = "as a preference" if use.kind == "preference" else "as an answer to learn"
    if use.model_id and name:
        row = places.row(use.model_id, use.row_id, f"row {use.position + 1}")
        return f"{row} of {places.model(use.model_id, name)}, {kind}"
    return f"row {use.position + 1} of a training job that has made no model"
