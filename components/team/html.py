"""The team in HTML: what is left, what each person did, sprints, activity. Names of people and things are hostile text."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from components import _html
from components.backup_words import words
from pipeline.activity import Line, Page
from pipeline.hub.state import BackupState
from pipeline.people import SEEN_SECONDS
from pipeline.ranking.verdict import plural
from pipeline.sprints import SprintView
from pipeline.team import ComparisonNumbers, DatasetNumbers, Numbers, PersonNumbers, Wanted, pace, together

SPAN_WORDS = {"hour": "last hour", "day": "last 24 hours", "week": "last 7 days"}
PACE = (
    "Pace: submitted answers and votes per active hour. A person was active in every stretch of five minutes of the clock in "
    "which at least one of theirs came; an answer that was submitted again counts at its last time."
)


def table(label: str, head: Sequence[str], rows: Sequence[str]) -> str:
    """Return a table that a phone shows as a list; ``rows`` come from :func:`row`."""
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    return (
        f'<div class="pl-scroll" tabindex="0" role="region" aria-label="{_html.esc(label)}">'
        f'<table class="pl-table pl-stack pl-listed"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def row(name: str, cells: Sequence[tuple[str, str]]) -> str:
    """Return a row: the HTML that names it, and (head, HTML) for the others."""
    rest = "".join(f'<td data-label="{_html.esc(head)}">{html}</td>' for head, html in cells)
    return f'<tr><th scope="row">{name}</th>{rest}</tr>'


def live(address: str, every: int, inner: str = "") -> str:
    """Return a part of the screen that the page's script (live.js) keeps true."""
    return f'<div data-live="{_html.esc(address)}" data-every="{every}">{inner}</div>'


def progress(numbers: Numbers, backup: BackupState, wanted: Wanted) -> str:
    """Return the Progress panel."""
    said = words(backup, numbers.at)
    datasets = [_dataset(item) for item in numbers.datasets if not wanted.set_id and wanted.dataset_id in ("", item.id)]
    sets = [
        _comparison(item) for item in numbers.comparisons if not wanted.dataset_id and wanted.set_id in ("", item.id)
    ]
    parts = [f'<p class="pl-backup" data-backup="{said.kind}">{_html.esc(said.text)}</p>']
    if datasets:
        head = ("Dataset", "Records done", "Still needed", "Submitted", "Drafts open", "Discarded", "People")
        parts.append(f'<h3 class="pl-label">Datasets</h3>{table("Datasets", head, datasets)}')
    if sets:
        head = ("Comparison", "Pairs with a vote", "Fewest votes", "Votes", "People")
        parts.append(f'<h3 class="pl-label">Comparisons</h3>{table("Comparisons", head, sets)}')
    if not datasets and not sets:
        text = (
            "Datasets that are published in Edit and comparisons that are open in Compare stand here with what is left."
        )
        parts.append(_html.empty("Nothing to work on yet", text))
    parts.append(_people(numbers.people, wanted.span))
    return "".join(parts)


def _dataset(item: DatasetNumbers) -> str:
    total, done = item.total, item.records - item.left.records
    needed = plural(item.left.responses, "answer") if item.left.responses else "nothing"
    return row(
        _html.esc(item.name),
        [
            ("Records done", _bar(done, item.records)),
            ("Still needed", needed),
            ("Submitted", f"{total.submitted:,}"),
            ("Drafts open", f"{total.drafts:,}"),
            ("Discarded", f"{total.discarded:,}"),
            ("People", f"{len(item.by_person):,}"),
        ],
    )


def _comparison(item: ComparisonNumbers) -> str:
    pairs = item.pairs
    fewest, count = pairs.fewest
    voted = pairs.total - pairs.by_votes.get(0, 0)
    few = f"{plural(fewest, 'vote')} on {plural(count, 'pair')}" if pairs.total else "no pairs yet"
    return row(
        _html.esc(item.name),
        [
            ("Pairs with a vote", _bar(voted, pairs.total)),
            ("Fewest votes", few),
            ("Votes", f"{pairs.votes:,}"),
            ("People", f"{len(item.by_person):,}"),
        ],
    )


def _bar(done: int, total: int) -> str:
    share = 100 * done / total if total else 0
    # Beside its words it says nothing new to a screen reader.
    return (
        f'<span class="pl-meter" aria-hidden="true"><span style="width:{share:.1f}%"></span></span>'
        f"{done:,} of {total:,}"
    )


def _people(people: Sequence[PersonNumbers], span: str) -> str:
    pace_head = f"Pace, {SPAN_WORDS.get(span, SPAN_WORDS['day'])}"
    # Where everybody may do everything, it says nothing.
    roles = len({one.person.role for one in people}) > 1
    rows = [
        row(
            f"{_html.esc(one.person.name or 'Somebody')}{_role(one) if roles else ''}",
            [
                ("Submitted", f"{one.given.submitted:,}"),
                ("Drafts", f"{one.given.drafts:,}"),
                ("Discarded", f"{one.given.discarded:,}"),
                ("Votes", f"{one.votes:,}"),
                (pace_head, _pace(one)),
                ("Last seen", "removed" if one.person.role is None else last_seen(one.person.last_seen)),
            ],
        )
        for one in people
    ]
    all_ = together(one.given for one in people)
    total = f"{plural(all_.submitted, 'answer')} and {plural(sum(one.votes for one in people), 'vote')} by {_many(len(people))}"
    head = ("Person", "Submitted", "Drafts", "Discarded", "Votes", pace_head, "Last seen")
    return (
        f'<h3 class="pl-label">People</h3><p class="pl-note">{total}.</p>{table("People", head, rows)}'
        f'<p class="pl-note">{PACE}</p>'
    )


def last_seen(moment: float | None) -> str:
    """Say when somebody was last here: it is kept every few minutes only, so whoever works now was here in the last ones."""
    if not moment:
        return "not yet"
    lately = time.time() - moment < SEEN_SECONDS
    return f"in the last {SEEN_SECONDS / 60:.0f} min" if lately else _html.ago(moment)


def _many(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"


def _role(one: PersonNumbers) -> str:
    if one.person.role is None:
        return ' <span class="pl-quiet">no member any more</span>'
    return f' <span class="pl-quiet">{_html.esc(one.person.role)}</span>'


def _pace(one: PersonNumbers) -> str:
    rate = pace(one.worked)
    if rate is None:
        return "none"
    return (
        f"{rate:,.0f} an hour <span class='pl-quiet'>{one.worked.answers:,} in {one.worked.stretches * 5:,} min</span>"
    )


def sprint(view: SprintView, buttons: bool = False) -> str:
    """Return a sprint as a card: how far it is, what is left of its time, what it takes, and who did how much."""
    name, goal = _html.esc(view.sprint.name), view.sprint.goal
    heading = f'<h4 class="pl-sprint-name">{name}</h4><p class="pl-quiet">{_html.esc(view.about)}</p>'
    label = f"{view.done:,} of {plural(goal, view.unit)}"
    facts = [f"by {_many(view.people)}", f"{view.mine:,} by you"] if view.done else []
    lines = [_html.bar(min(view.done, goal), goal, label), f'<p class="pl-note">{_time(view)}{_joined(facts)}</p>']
    if view.state != "planned":
        lines.append(f'<p class="pl-note">{_html.esc(outlook(view))}</p>')
    board = _board(view) if view.state != "planned" else ""
    acts = _buttons(view) if buttons else ""
    return f'<section class="pl-sprint" data-state="{view.state}">{heading}{"".join(lines)}{board}{acts}</section>'


def line(view: SprintView) -> str:
    """Return a sprint as one quiet line, for the screens where people work."""
    told = f"{view.done:,} of {plural(view.sprint.goal, view.unit)} · {view.mine:,} by you"
    return (
        f'<p class="pl-sprint-line"><b>{_html.esc(view.sprint.name)}</b> <span>{told} · {_time(view)}</span>'
        f'<span class="pl-meter" aria-hidden="true"><span style="width:{_share(view):.1f}%"></span></span></p>'
    )


def outlook(view: SprintView) -> str:
    """Say how fast it goes and how fast it would have to, in one sentence."""
    rate, goal = view.rate, view.sprint.goal
    if view.state == "ended":
        reached = (
            "The goal was reached" if view.done >= goal else f"{plural(goal - view.done, view.unit)} short of the goal"
        )
        return f"{reached}, at {_rate(rate.lately, view.unit)}." if rate.lately is not None else f"{reached}."
    if view.done >= goal:
        return f"The goal is reached. Going on counts too: {_rate(rate.lately, view.unit)} now."
    now = "" if rate.lately is None else f"{_rate(rate.lately, view.unit)} in the last {_minutes(rate.window)}"
    if rate.needed is None:
        return f"{now}." if now else ""
    needed = f"{_rate(rate.needed, view.unit)} needed to reach the goal"
    if rate.expected is None:
        return f"{needed}."
    will = (
        "at this pace it is reached" if rate.expected >= goal else f"at this pace it ends at about {rate.expected:,.0f}"
    )
    return f"{now}, {needed}: {will}."


def _rate(rate: float | None, unit: str) -> str:
    shown = "0" if not rate else f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
    return f"{shown} {unit if shown == '1' else unit + 's'} an hour"


def _minutes(seconds: float) -> str:
    if seconds < 60:
        return plural(max(1, round(seconds)), "second")
    return plural(round(seconds / 60), "minute") if seconds < 7200 else plural(round(seconds / 3600), "hour")


def _share(view: SprintView) -> float:
    return min(100.0, 100 * view.done / view.sprint.goal)


def _joined(facts: Sequence[str]) -> str:
    return "".join(f" · {fact}" for fact in facts)


def _time(view: SprintView) -> str:
    if view.state == "ended":
        early = view.sprint.ended_at is not None and view.sprint.ended_at < view.sprint.ends_at
        return f"ended {'early, ' if early else ''}{_html.ago(view.sprint.end)}"
    # The page's script counts down from here.
    clock = f'<span data-left="{view.left:.0f}">{left_words(view.left)}</span>'
    return f"begins in {clock}" if view.state == "planned" else f"{clock} left"


def left_words(seconds: float) -> str:
    """Return what is left of a time, as the page's script counts it down."""
    s = max(0, round(seconds))
    if s < 3600:
        return f"{s // 60}:{s % 60:02d}"
    if s < 86400:
        return f"{s // 3600} h {s % 3600 // 60:02d} min"
    return f"{s // 86400} d {s % 86400 // 3600} h"


def _board(view: SprintView) -> str:
    if not view.sprint.leaderboard:
        return '<p class="pl-quiet">There is no leaderboard: everybody sees their own count and the sum.</p>'
    if not view.board:
        return ""
    rows = "".join(
        f'<li{" class=pl-mine" if score.mine else ""}><span class="pl-nth">{score.place}</span>'
        f'<span class="pl-who">{_html.esc(score.name)}{" (you)" if score.mine else ""}</span>'
        f"<b>{score.count:,}</b></li>"
        for score in view.board
    )
    return f'<ol class="pl-board" aria-label="Leaderboard of {_html.esc(view.sprint.name)}">{rows}</ol>'


def _buttons(view: SprintView) -> str:
    known, name = _html.esc(view.sprint.id), _html.esc(view.sprint.name)
    turn = "off" if view.sprint.leaderboard else "on"
    board = (
        f'<button type="button" class="pl-plain-button" data-board="{known}" data-shown="{turn}" '
        f'aria-label="Leaderboard {turn}, sprint {name}">Leaderboard {turn}</button>'
    )
    end = (
        f'<button type="button" class="pl-plain-button" data-end="{known}" '
        f'aria-label="End it now, sprint {name}">End it now</button>'
        if view.state != "ended"
        else ""
    )
    return f'<p class="pl-sprint-buttons">{board}{end}</p>'


def sprints(views: Sequence[SprintView], show: Callable[[SprintView], str]) -> str:
    """Return several sprints, or nothing where there is none."""
    return f'<div class="pl-sprints">{"".join(map(show, views))}</div>' if views else ""


def activity(page: Page, first: bool) -> str:
    """Return a page of the activity log."""
    if not page.lines:
        return _html.empty(
            "Nothing here yet",
            "Who adds or removes documents, starts runs, changes datasets, models or people stands here, newest first. "
            "Answers and votes are not told.",
        )
    rows = [row(_html.ago(line.at), _told(line)) for line in page.lines]
    newest = '<button type="button" class="pl-plain-button" data-older="">Newest</button>' if not first else ""
    older = (
        f'<button type="button" class="pl-plain-button" data-older="{_html.esc(page.older)}">Older</button>'
        if page.older
        else ""
    )
    pages = f'<p class="pl-pages">{newest}{older}</p>' if newest or older else ""
    return table("Activity", ("When", "Who", "What"), rows) + pages


def _told(line: Line) -> list[tuple[str, str]]:
    detail = f" <span class='pl-quiet'>{_html.esc(line.detail)}</span>" if line.detail else ""
    who = _html.esc(line.who) if line.who else "<span class='pl-quiet'>Pairloop</span>"
    subject = f" <b>{_html.esc(line.subject)}</b>" if line.subject else ""
    return [("Who", who), ("What", f"{_html.esc(line.did)}{subject}{detail}")]


def numbers_address(wanted: Wanted) -> str:
    """Return where the numbers that are asked for come from."""
    return f"team/numbers?{urlencode({'of': of(wanted), 'span': wanted.span})}"


def of(wanted: Wanted) -> str:
    """Return what is asked for as the choice of a dropdown."""
    return f"dataset/{wanted.dataset_id}" if wanted.dataset_id else f"set/{wanted.set_id}" if wanted.set_id else ""


def wanted_of(choice: str | None, span: str | None) -> Wanted:
    """Return what a choice asks for; what it cannot be asks for everything."""
    kind, _, known = str(choice or "").partition("/")
    known_span = span if span in SPAN_WORDS else "day"
    return Wanted(known if kind == "dataset" else "", known if kind == "set" else "", known_span)


def at_moment(moment: float) -> str:
    """Return a time to come as a date of UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
