"""The text of a file as it is put together piece by piece, with the places where its sections begin."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.records import Section

PATH_SEPARATOR = " › "
_MAX_TITLE = 120  # characters; a paragraph in the style of a heading is no title
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufeff]")
_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\u2028\u2029]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n{3,}")
_SPACES = re.compile(r"[ \t\xa0]+")


@dataclass(frozen=True, slots=True)
class ReadText:
    """What a file says. ``text[section.start:]`` is where a section begins; sections are in order, none is empty."""

    text: str
    sections: tuple[Section, ...]
    media_type: str


def clean(text: str) -> str:
    r"""Return ``text`` with ``\n`` as its only line break, and without control characters and halves of surrogates."""
    text = _CONTROLS.sub("", _BREAKS.sub("\n", text))
    if _SURROGATES.search(text):
        # Some PDF files spell a character outside the basic plane as two; neither half can be stored.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def one_line(text: str) -> str:
    """Return ``text`` with every run of white space as one blank."""
    return " ".join(clean(text).split())


def tidy_lines(text: str) -> str:
    """Return ``text`` cleaned, with single blanks, none at the ends of lines, and one blank line at most."""
    lines = (_SPACES.sub(" ", line).strip() for line in clean(text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


class HeadingPath:
    """The headings above the place that is being read, from the outermost to the nearest."""

    def __init__(self) -> None:
        self._titles: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> str:
        """Go below the heading ``title`` of ``level`` (1 is the outermost) and return the path to it."""
        while self._titles and self._titles[-1][0] >= level:
            self._titles.pop()
        title = one_line(title)
        self._titles.append((level, title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 1].rstrip()}…"))
        return PATH_SEPARATOR.join(title for _, title in self._titles if title)


class TextBuilder:
    """Puts blocks of text one after another and notes where sections begin."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._sections: list[Section] = []
        self._pending: tuple[str, int | None] | None = None
        self._path = HeadingPath()

    def section(self, heading: str = "", page: int | None = None) -> None:
        """Let a section begin with the next block; it is forgotten if there is none before the next section."""
        self._pending = (heading, page)

    def heading(self, level: int, title: str) -> None:
        """Add the heading ``title`` as a block that begins a section, labelled with the path of headings above it."""
        if title.strip():
            self.section(self._path.enter(level, title))
            self.add(title)

    def add(self, block: str, gap: str = "\n\n") -> None:
        """Append ``block``, which must be clean, parted by ``gap`` from what is there; white space alone is left out."""
        block = block.rstrip().lstrip("\n")
        if not block:
            return
        if self._parts:
            self._append(gap)
        if self._pending is not None:
            self._sections.append(Section(self._length, *self._pending))
            self._pending = None
        self._append(block)

    def finish(self, media_type: str) -> ReadText:
        """Return what was built."""
        return ReadText("".join(self._parts), tuple(self._sections), media_type)

    def _append(self, part: str) -> None:
        self._parts.append(part)
        self._length += len(part)
