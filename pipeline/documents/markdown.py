"""Markdown: the text as it is, with its headings as sections."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.documents.building import HeadingPath, ReadText
from pipeline.documents.plain import text_of
from pipeline.records import Section

_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
# Lines that neither are a paragraph nor begin one, so that no underline makes a heading of them.
_NOTHING = re.compile(r"[ \t]*| {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*")
_CONTAINER = re.compile(r"[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$))")
_OTHER_BLOCK = re.compile(r" {4}|\t| {0,3}[<|]")
_FENCE = re.compile(r"(?:[ \t]|>|[-+*][ \t]|\d{1,9}[.)][ \t])*(`{3,}(?=[^`]*$)|~{3,})")
_HTML = re.compile(r" {0,3}<(!--|pre|script|style|textarea)(?![\w-])", re.I)
_FRONT_MATTER = re.compile(r"---[ \t]*\n[\w-]+[ \t]*:.*?\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.S)
_EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]{64,}", re.I)
_MAX_TITLE = 500  # characters of a line that are looked at
_MARKUP = (
    (re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])"), r"\1"),
    (re.compile(r"\s*\{#[^}]*\}\s*$"), ""),
    (re.compile(r"<[^>]+>"), ""),
    (re.compile(r"(\*\*|__|~~|`+)(.+?)\1"), r"\2"),
    (re.compile(r"\*(?=\S)(.+?)(?<=\S)\*"), r"\1"),
    (re.compile(r"(?<!\w)_(.+?)_(?!\w)"), r"\1"),
    (re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),
)


def read_markdown(data: bytes, name: str) -> ReadText:
    """Read Markdown. Its text is kept, but for pictures written out in it as base64.

    A section begins at each heading and is labelled with the path to it, such as "Onboarding › Accounts".

    Raises:
        DocumentError: the file is not text.
    """
    text = _EMBEDDED.sub("", text_of(data, name))
    path = HeadingPath()
    sections = tuple(
        Section(start, path.enter(level, _without_markup(title))) for start, level, title in _headings(text)
    )
    return ReadText(text, sections, "text/markdown")


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, level and text of every heading: lines of # and underlined paragraphs, outside code and HTML."""
    front_matter = _FRONT_MATTER.match(text)
    start = front_matter.end() if front_matter else 0
    closing: re.Pattern[str] | None = None
    paragraph: int | None = None  # where the paragraph began that an underline may turn into a heading
    in_container = False  # in the lines of an item or a quote, where an underline makes no heading
    for line in text[start:].split("\n"):
        here, start = start, start + len(line) + 1
        if closing is not None:
            closing = None if closing.search(line) else closing
            continue
        closing = _closing(line)
        atx = _ATX.match(line)
        underline = _UNDERLINE.fullmatch(line) if paragraph is not None else None
        if atx:
            yield here, len(atx[1]), _without_closing(line[atx.end() :])
        elif underline and paragraph is not None:
            yield paragraph, 1 if underline[1][0] == "=" else 2, text[paragraph:here]
        if atx or underline or closing or _NOTHING.fullmatch(line):
            paragraph, in_container = None, False
        elif _CONTAINER.match(line):
            paragraph, in_container = None, True
        elif paragraph is None and not in_container and not _OTHER_BLOCK.match(line):
            paragraph = here


def _closing(line: str) -> re.Pattern[str] | None:
    """What ends the block of code or HTML that ``line`` opens."""
    fence = _FENCE.match(line)
    if fence:
        return re.compile(rf"^[ \t>]*{fence[1][0]}{{{len(fence[1])},}}[ \t]*$")
    html = _HTML.match(line)
    if not html:
        return None
    end = re.compile("-->" if html[1] == "!--" else f"</{html[1]}>", re.I)
    return None if end.search(line, html.end()) else end


def _without_closing(title: str) -> str:
    """ "Setup ##" is the heading "Setup", "C#" is "C#"."""
    title = title.strip(" \t")
    bare = title.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else title


def _without_markup(title: str) -> str:
    title = title[:_MAX_TITLE]
    for pattern, replacement in _MARKUP:
        title = pattern.sub(replacement, title)
    return title
