"""A run as HTML: how far it is, what it took, why some of it failed, and its first rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from components import _html
from pipeline.models.causes import Failures
from pipeline.prices import dollars
from pipeline.records import JobState, Run
from pipeline.run_figures import RunFigures
from pipeline.run_files import ShownRow
from pipeline.run_watch import RunStatus

SHOWN_ROWS = 200
# Asks again for those that failed for one cause.
RETRY_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-retry]');
  if (button) { button.disabled = true; trigger('submit', {cause: button.dataset.retry}); }
});
"""
BEHIND = "Another copy of the app asks this model the same: its answers are taken over as they come, and nothing is paid twice."
_ENDS = {
    JobState.DONE: "done",
    JobState.CANCELLED: "cancelled; resume it, or run it again, to answer the rest",
    JobState.INTERRUPTED: "interrupted when the app stopped; resume it to answer the rest",
    JobState.FAILED: "failed",
}


def progress(run: Run, model: str, query_list: str, status: RunStatus | None = None) -> str:
    """Return how far a run is, in a bar and in words, and what holds it up."""
    left = status.planned - status.answered if status else run.total - run.done - run.failed
    done = run.total - left
    words = [f"{model} on {query_list}: {done} of {run.total}"]
    if run.failed:
        words.append(f"{run.failed} failed")
    if run.state is JobState.RUNNING:
        words += _time_left(run, status, left)
    else:
        words.append("stopped" if run.state is JobState.CANCELLED and run.error else _ENDS[run.state])
    error = _html.note(run.error, "bad" if run.state is JobState.FAILED else "warn") if run.error else ""
    return _html.bar(done, run.total, " · ".join(words)) + _waits(status) + error


def _time_left(run: Run, status: RunStatus | None, left: int) -> list[str]:
    # Answers that were there before took no time, and a run that was resumed stood still in between.
    worked = status.answered if status else run.done + run.failed - run.reused
    seconds = status.seconds if status else time.time() - run.created_at
    return [f"about {max(1, round(seconds / worked * left))} s left"] if worked and left > 0 else []


def _waits(status: RunStatus | None) -> str:
    if status is None or not status.waits:
        return _html.note(BEHIND) if status is not None and status.behind else ""
    longest = max(status.waits.values(), key=lambda wait: wait.until)
    asked = max(len(status.waits), status.asking)
    return _html.note(f"{len(status.waits)} of {asked} requests: {longest.in_words()}", "warn")


def summary(figures: RunFigures, withheld: int = 0) -> str:
    """Return what the answers of a run took in one line; ``withheld`` answers are not in it."""
    if not figures.answers:
        return ""
    words = [f"{figures.answers:,} answers"]
    if figures.priced:
        some = "" if figures.priced == figures.answers else f" for {figures.priced:,} of them"
        words.append(f"{dollars(figures.cost)}{some}")
    if figures.counted:
        words.append(f"{figures.prompt_tokens:,} + {figures.completion_tokens:,} tokens")
    if figures.tokens_per_second and figures.counted:
        words.append(f"{figures.tokens_per_second:,.0f} tokens/s each")
    words.append(f"half within {_seconds(figures.half)}, 95 % within {_seconds(figures.most)}")
    if figures.first_text is not None:
        words.append(f"first text after {_seconds(figures.first_text)}")
    if figures.retried:
        words.append(f"{figures.retried:,} needed more than one attempt")
    if withheld:
        words.append(f"without {withheld:,} that are kept for Compare")
    return f'<p class="pl-note" id="run-summary">{_html.esc(" · ".join(words))}</p>'


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def failures(groups: Sequence[Failures], running: bool) -> str:
    """Return the errors of a run by cause, each with one message, what to do, and a button that asks those again."""
    if not groups:
        return ""
    title = f"{sum(len(group.query_ids) for group in groups):,} failed"
    return (
        f'<h4 class="pl-title">{title}</h4><div class="pl-failed">{"".join(_group(g, running) for g in groups)}</div>'
    )


def _group(group: Failures, running: bool) -> str:
    count, meaning = len(group.query_ids), group.meaning
    again = "Retry this one" if count == 1 else f"Retry these {count:,}"
    button = "" if running else f'<button type="button" class="pl-button" data-retry="{group.cause}">{again}</button>'
    return (
        f'<section class="pl-failures" data-cause="{group.cause}"><div><strong>{count:,} × {_html.esc(meaning.title)}</strong>'
        f'<p class="pl-note">{_html.esc(meaning.advice)}</p><p class="pl-example">{_html.esc(group.example)}</p></div>'
        f"{button}</section>"
    )


def table(rows: Sequence[ShownRow], total: int | None = None, status: RunStatus | None = None) -> str:
    """Return the first rows of a run; where there are more, where all of them are."""
    total = len(rows) if total is None else total
    shown = rows[:SHOWN_ROWS]
    counts = Counter(name for row in shown for name in ("tokens", "cost") if getattr(row, name) is not None)
    waits = status.waits if status else {}
    body = "".join(_row(row, counts, waits[row.query_id].in_words() if row.query_id in waits else "") for row in shown)
    more = f"The first {SHOWN_ROWS} of {total:,} queries. Download the run for all of them."
    extra = "".join(f"<th class='pl-num'>{name.capitalize()}</th>" for name in ("tokens", "cost") if counts[name])
    return (
        "<div class='pl-scroll' tabindex='0'><table class='pl-table'><thead><tr><th class='pl-num'>#</th><th>Query</th>"
        "<th>Answer</th><th>Split</th><th class='pl-num'>Sources</th><th>State</th><th class='pl-num'>Seconds</th>"
        f"{extra}</tr></thead><tbody>{body}</tbody></table></div>{_html.note(more) if total > SHOWN_ROWS else ''}"
    )


def _row(row: ShownRow, counts: Counter[str], wait: str) -> str:
    text = _html.esc(row.answer)
    told = {
        "tokens": "" if row.tokens is None else f"{row.tokens:,}",
        "cost": "" if row.cost is None else dollars(row.cost),
    }
    extra = "".join(f"<td class='pl-num'>{value}</td>" for name, value in told.items() if counts[name])
    return (
        f"<tr><td class='pl-num'>{row.number}</td><td class='pl-wide'>{_html.esc(row.query)}</td>"
        f"<td class='pl-wide'><span class='pl-clip' title='{text}'>{text}</span></td>"
        f"<td>{row.split}</td><td class='pl-num'>{'' if row.sources is None else row.sources}</td>"
        f"<td>{_html.esc(wait or row.state)}{_tries(row)}</td>"
        f"<td class='pl-num'>{f'{row.seconds:.2f}' if row.seconds else ''}</td>{extra}</tr>"
    )


def _tries(row: ShownRow) -> str:
    return f"<br><small>{row.attempts} attempts</small>" if row.attempts and row.attempts > 1 else ""
