"""HTML of the things Gradio has no component for. Everything that comes from a document, a model or a person is escaped here."""

from __future__ import annotations

import difflib
import functools
import re
import time
from collections.abc import Sequence
from html import escape as _escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML

from pipeline.records import Context

# What pipeline.prompts reads as citations: [1], [1, 3], 【1】, and 【1†manual.md】 as some endpoints write it.
_CITATION = re.compile(r"[\[【]\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*(?:†[^\]】]*)?[\]】]")
_CITED = re.compile(r"\[\d+\]|\d+")


def esc(text: object) -> str:
    """Return ``text`` for use in HTML, attributes included. Braces and dollars are escaped too: Gradio has HTML templates."""
    escaped = _escape(str(text), quote=True)
    return escaped.replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;").replace("`", "&#96;")


def answer(text: str, cited: int = 0) -> str:
    """Return a model's or a person's Markdown as safe HTML; each n of [n] and [n, m] up to ``cited`` becomes a button."""
    return f'<div class="pl-answer" dir="auto">{_markdown().render(text, {"cited": cited})}</div>'


def cited(text: str, count: int) -> str:
    """Return plain text as HTML in which each n of [n] up to ``count`` is a button that shows its source."""
    return _CITATION.sub(lambda match: _citations(match, count), esc(text))


@functools.cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=_SafeRenderer)
    # A list of sources at an answer's end ("[1]: manual.md") would be read as link definitions: they vanish, and [1] with them.
    return markdown.enable("table").disable("reference")


class _SafeRenderer(RendererHTML):
    """Markdown without raw HTML, without anything that loads from elsewhere, and with citations."""

    def text(self, tokens, idx, options, env) -> str:
        """Escape text and turn the numbers of sources into buttons."""
        return _CITATION.sub(lambda match: _citations(match, env.get("cited", 0)), esc(tokens[idx].content))

    def image(self, tokens, idx, options, env) -> str:
        """Show an image's words only: loading it would tell its server who reads."""
        return esc(tokens[idx].content)

    def link_open(self, tokens, idx, options, env) -> str:
        """Show where a link leads without making it one."""
        return f'<span class="pl-link" title="{esc(tokens[idx].attrGet("href") or "")}">'

    def link_close(self, tokens, idx, options, env) -> str:
        """Close what link_open opened."""
        return "</span>"

    def code_inline(self, tokens, idx, options, env) -> str:
        """Escape inline code."""
        return f"<code>{esc(tokens[idx].content)}</code>"

    def fence(self, tokens, idx, options, env) -> str:
        """Escape a code block."""
        return f"<pre><code>{esc(tokens[idx].content)}</code></pre>"

    def code_block(self, tokens, idx, options, env) -> str:
        """Escape an indented code block."""
        return self.fence(tokens, idx, options, env)


def _citations(marker: re.Match[str], cited: int) -> str:
    numbers, dagger, place = marker[0].partition("†")
    return _CITED.sub(lambda number: _citation(number[0], cited), numbers) + dagger + place


def _citation(text: str, cited: int) -> str:
    number = int(text.strip("[]"))
    if not 1 <= number <= cited:
        return text
    label = f"Show source {number}"
    return f'<button type="button" class="pl-cite" data-cite="{number}" aria-label="{label}">{text}</button>'


def sources(contexts: Sequence[Context], scores: bool = True, opened: int = 2, why: Sequence[str] = ()) -> str:
    """Return the contexts as a numbered list; each opens its document at the place of its chunk.

    ``why`` has for each the HTML that says why it was found.
    """
    if not contexts:
        return '<p class="pl-note">No passage of the documents matches this query.</p>'
    because = [*why, *[""] * len(contexts)]
    return "".join(
        source(number, context, scores, number <= opened, because[number - 1])
        for number, context in enumerate(contexts, 1)
    )


def source(number: int, context: Context, scores: bool, opened: bool, why: str = "") -> str:
    """Return one context, folded or open. One that is of no document of ours has no button that leads there."""
    score = _score(context)
    there = f'<button type="button" class="pl-open" data-chunk="{esc(context.chunk_id)}">Open in the document</button>'
    return (
        f'<details class="pl-source" data-source="{number}" {"open" if opened else ""}>'
        f'<summary><span class="pl-number">{number}</span><span class="pl-place">{esc(place(context))}</span>'
        f"{score if scores else ''}</summary>"
        f"{_passage(context)}"
        f"{there if context.chunk_id else ''}{why}</details>"
    )


def _score(context: Context) -> str:
    title, shown = "BM25 score: how well the passage matches the words of the query", f"{context.score:.2f}"
    if context.lexical_rank is None and context.semantic is not None and context.score == context.semantic:
        title = "Similarity: how close the passage is to what the query means, at most 1"
    elif context.lexical_rank is not None or context.semantic_rank is not None:
        title, shown = (
            "Fused score: 1 / (60 + rank), added over the ranks by words and by meaning",
            f"{context.score:.4f}",
        )
    return f'<span class="pl-score" title="{title}">{shown}</span>'


def _passage(context: Context) -> str:
    text = context.text.strip()
    if context.document_name.lower().endswith((".md", ".markdown")):
        return f'<div class="pl-passage pl-markdown" dir="auto">{_markdown().render(text, {"cited": 0})}</div>'
    return f'<div class="pl-passage" dir="auto">{esc(text)}</div>'


def place(context: Context) -> str:
    """Return where a context stands: document, then page or heading."""
    parts = [context.document_name]
    if context.page is not None:
        parts.append(f"page {context.page}")
    if context.heading and context.heading != f"page {context.page}":
        parts.append(context.heading)
    return " › ".join(part for part in parts if part)


# Fires "expand" with the chunk's id when somebody opens a source; the script of the page lights sources by itself.
OPEN_SOURCE_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-chunk]');
  if (button) trigger('expand', {chunk: button.dataset.chunk});
});
"""


# Gradio puts new HTML over old by changing what differs: what somebody typed or chose in a field stays in it, whatever it is
# the field of now.
AS_DRAWN_JS = """
const putAsDrawn = () => {
  element.querySelectorAll('textarea').forEach((area) => { area.value = area.defaultValue; });
  element.querySelectorAll('input').forEach((box) => { box.checked = box.defaultChecked; });
  element.querySelectorAll('option').forEach((option) => { option.selected = option.defaultSelected; });
};
"""


def diff(before: str, after: str) -> str:
    """Return the change of words from ``before`` to ``after``: deletions struck, insertions marked.

    Where the words of two texts repeat so often that comparing them would hold everybody up, lines are compared instead;
    where these do as well, a sentence says so.
    """
    if before.split() == after.split():
        return '<p class="pl-note">The answer is the suggestion, unchanged.</p>'
    for pieces in (_words, _lines):
        changes = _changes(pieces(before), pieces(after))
        if changes is not None:
            shown = "".join(_change(*change) for change in changes)
            return f'<div class="pl-diff" dir="auto"><span class="pl-label">Changes</span>{shown}</div>'
    return note("The texts differ too much to show the changes.")


def _changes(left: list[str], right: list[str]) -> list[tuple[str, str, str]] | None:
    """Return (kind, old text, new text) from start to end, or None where that would take too long."""
    # Most edits are small: between what the texts begin and end with alike, few pieces are left to compare.
    start = _alike(left, right)
    end = _alike(left[start:][::-1], right[start:][::-1])
    middle = left[start : len(left) - end], right[start : len(right) - end]
    matcher = _Matcher(None, *middle, autojunk=False)
    try:
        codes = matcher.get_opcodes()
    except _TooLong:
        return None
    changes = [(kind, "".join(middle[0][a0:a1]), "".join(middle[1][b0:b1])) for kind, a0, a1, b0, b1 in codes]
    head, tail = "".join(right[:start]), "".join(right[len(right) - end :])
    return [("equal", head, head), *changes, ("equal", tail, tail)]


def _alike(left: Sequence[str], right: Sequence[str]) -> int:
    """Return how many pieces two texts begin with alike."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((n for n, (one, other) in pairs if one != other), min(len(left), len(right)))


def _change(kind: str, old: str, new: str) -> str:
    if kind == "equal":
        return esc(new)
    return (f"<del>{esc(old)}</del>" if old.strip() else "") + (f"<ins>{esc(new)}</ins>" if new else "")


class _TooLong(Exception):
    """The comparison of two texts needs more steps than it may."""


class _Matcher(difflib.SequenceMatcher):
    """Compares with an end: for texts whose words repeat, difflib needs time with the cube of their length."""

    # A step is one place of the one text held against one of the other; so many take 0.1 to 0.2 s.
    steps_left = 2_000_000

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None):
        """Find the longest match as difflib does, or raise _TooLong."""
        self.steps_left -= sum(1 + len(self.b2j.get(piece, ())) for piece in self.a[alo:ahi])
        if self.steps_left < 0:
            raise _TooLong
        return super().find_longest_match(alo, ahi, blo, bhi)


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def empty(title: str, text: str) -> str:
    """Return what an empty screen says."""
    return f'<div class="pl-empty"><h3>{esc(title)}</h3><p>{esc(text)}</p></div>'


def note(text: str, kind: str = "") -> str:
    """Return one plain line; ``kind`` is "", "good", "warn" or "bad"."""
    mark = {"good": "✓ ", "warn": "! ", "bad": "× "}.get(kind, "")
    return f'<p class="pl-note {kind and "pl-" + kind}">{mark}{esc(text)}</p>'


def bar(done: int, total: int, label: str) -> str:
    """Return a progress bar with its words."""
    share = 100 * done / total if total else 0
    return (
        f'<div class="pl-progress" role="progressbar" aria-valuemin="0" aria-valuemax="{total}" aria-valuenow="{done}" '
        f'aria-label="{esc(label)}"><span style="width:{share:.1f}%"></span></div><p class="pl-note">{esc(label)}</p>'
    )


def ago(moment: float) -> str:
    """Return a time as words relative to now, with the exact time on hover."""
    exact = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
    return f'<time title="{exact}">{span(time.time() - moment)} ago</time>'


def span(seconds: float) -> str:
    """Return a length of time in its largest whole unit; a clock that jumped back makes none of them negative."""
    passed = max(0.0, seconds)
    steps = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (float("inf"), 86400, "d"))
    size, unit = next((size, unit) for limit, size, unit in steps if passed < limit)
    return f"{int(passed // size)} {unit}"
