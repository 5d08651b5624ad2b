"""Markdown and plain text as blocks of plain text: headings, paragraphs, list items, table rows.

Text that was taken from PDF or Word files has no marks: there a short line without a full stop, with running text under
it, is a heading, and short lines in a row are items.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

_SHORT_LINE = 60
_FENCE = re.compile(r"\s*(?:```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_UNDERLINE = re.compile(r"\s*(?:=+|-{3,}|\*{3,}|_{3,}|(?:[*-] ?){3,})\s*$")
_DELIMITERS = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*$|\s*\|\s*:?-+:?\s*\|\s*$")
_BULLET = re.compile(r"\s*(?:[-*+•‣◦▪●○–·]|\(?(?:\d{1,2}|[a-zA-Z])[.)])\s+(?=\S)")
# How rows of spreadsheets and Word tables come: "column: value; column: value".
_LABELLED_ROW = re.compile(r"[^:;.!?]{1,60}: [^;]+(?:; [^:;]{1,60}: [^;]+)+$")
_QUOTE = re.compile(r"^(?:\s{0,3}>\s?)+")
_OPEN_END = re.compile(r"[^.!?…:;,؟۔।。！？：；，、]$")
_SENTENCE_END = re.compile(r"[.!?…:؟۔।。！？：][\"'”’»)\]」』）]*$")

# Lengths are limited so that no text of a stranger takes long.
_INLINE = (
    (re.compile(r"<!--.{0,300}?-->|</?[a-zA-Z][^<>]*>"), " "),
    (re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)"), r"\1"),
    (re.compile(r"\[([^\[\]]+)\]\[[^\[\]]*\]"), r"\1"),
    # Numbers in brackets are the document's own footnotes, and would look like citations of contexts.
    (re.compile(r"\s?\[\^?\d{1,3}\]"), ""),
    (re.compile(r"`+([^`]+)`+"), r"\1"),
    (re.compile(r"(\*{1,3})(?=\S)(.{1,300}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<!\w)(_{1,3})(?=\S)(.{1,300}?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"\\([\\`*_{}\[\]()#+\-.!|>~])"), r"\1"),
    (re.compile(r"\s+"), " "),
)


class BlockKind(Enum):
    """What a block is."""

    HEADING = 1
    PROSE = 2
    ITEM = 3
    ROW = 4


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a text, without its markup and on one line."""

    kind: BlockKind
    text: str


def read_blocks(text: str) -> list[Block]:
    """Return the blocks of a text in their order; none is empty."""
    return [block for block in _Reader(text.splitlines()).read() if block.text]


def plain_text(text: str) -> str:
    """Return Markdown within a line as plain text."""
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return text.strip()


class _Reader:
    """Reads lines one after the other. A ``_take_...`` method that knows the line consumes it and returns True."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = [_QUOTE.sub("", line) for line in lines]
        self._at = 0
        self._paragraph: list[str] = []
        self._blocks: list[Block] = []

    def read(self) -> list[Block]:
        kinds = (
            self._take_code,
            self._take_table,
            self._take_labelled_row,
            self._take_heading,
            self._take_underline,
            self._take_item,
        )
        while self._at < len(self._lines):
            if not any(take() for take in kinds):
                self._take_text()
        self._end_paragraph()
        return self._blocks

    def _take_code(self) -> bool:
        if not _FENCE.match(self._lines[self._at]):
            return False
        self._end_paragraph()
        self._at += 1
        while self._at < len(self._lines) and not _FENCE.match(self._lines[self._at]):
            # Code is kept as it is: its asterisks and underscores are no markup.
            self._blocks.append(Block(BlockKind.ITEM, self._lines[self._at].strip()))
            self._at += 1
        self._at += 1
        return True

    def _take_table(self) -> bool:
        start = self._at
        if not _begins_table(self._lines[start : start + 2]):
            return False
        self._end_paragraph()
        while self._at < len(self._lines) and _separator(self._lines[start]) in self._lines[self._at]:
            self._at += 1
        # The header of labelled rows is in each of them already.
        end = self._at - 1 if self._at < len(self._lines) and _LABELLED_ROW.match(self._lines[self._at]) else self._at
        self._blocks += _table(self._lines[start:end])
        return True

    def _take_labelled_row(self) -> bool:
        line = self._lines[self._at]
        if not _LABELLED_ROW.match(line):
            return False
        self._end_paragraph()
        self._blocks.append(Block(BlockKind.ROW, plain_text(line)))
        self._at += 1
        return True

    def _take_heading(self) -> bool:
        found = _HEADING.match(self._lines[self._at])
        if found:
            self._end_paragraph()
            self._blocks.append(Block(BlockKind.HEADING, plain_text(found.group(1))))
            self._at += 1
        return bool(found)

    def _take_underline(self) -> bool:
        if not _UNDERLINE.match(self._lines[self._at]):
            return False
        title = self._paragraph.pop() if self._paragraph else ""
        self._end_paragraph()
        self._blocks.append(Block(BlockKind.HEADING, plain_text(title)))
        self._at += 1
        return True

    def _take_item(self) -> bool:
        found = _BULLET.match(self._lines[self._at])
        if not found:
            return False
        self._end_paragraph()
        parts = [self._lines[self._at][found.end() :]]
        self._at += 1
        while self._at < len(self._lines) and self._continues_item():
            parts.append(self._lines[self._at])
            self._at += 1
        self._blocks.append(Block(BlockKind.ITEM, plain_text(" ".join(parts))))
        return True

    def _continues_item(self) -> bool:
        line = self._lines[self._at]
        return line.startswith((" ", "\t")) and bool(line.strip()) and not _BULLET.match(line)

    def _take_text(self) -> None:
        line = self._lines[self._at].strip()
        self._at += 1
        if line:
            self._paragraph.append(line)
        else:
            self._end_paragraph()

    def _end_paragraph(self) -> None:
        plain = (plain_text(line) for line in self._paragraph)
        self._blocks += _paragraph([line for line in plain if line])
        self._paragraph = []


def _begins_table(lines: Sequence[str]) -> bool:
    first = lines[0].strip()
    return (
        first.startswith("|")
        or " | " in first
        or "\t" in first
        or ("|" in first and len(lines) > 1 and bool(_DELIMITERS.match(lines[1])))
    )


def _separator(line: str) -> str:
    return "|" if "|" in line else "\t"


def _table(lines: Sequence[str]) -> Iterator[Block]:
    """Give each row as a line: ``Base: Records 3 million, Price 10`` where the header is known."""
    header: list[str] = []
    if len(lines) > 1 and _DELIMITERS.match(lines[1]):
        header, lines = _cells(lines[0]), lines[2:]
    for line in lines:
        if _DELIMITERS.match(line):
            continue
        first, *rest = _cells(line) or [""]
        # In a table of two columns the second needs no name.
        names = header[1:] if len(header) > 2 and len(header) == len(rest) + 1 else [""] * len(rest)
        values = ", ".join(f"{name} {cell}".strip() for name, cell in zip(names, rest, strict=True) if cell)
        yield Block(BlockKind.ROW, ": ".join(part for part in (first, values) if part))


def _cells(line: str) -> list[str]:
    separator = _separator(line)
    return [plain_text(cell) for cell in line.strip().strip("|").split(separator)]


def _paragraph(lines: Sequence[str]) -> Iterator[Block]:
    """Join the lines of a paragraph; lines that were not broken for width are headings and items."""
    joined: list[str] = []
    listing = False
    for line, following in itertools.zip_longest(lines, lines[1:]):
        begins = not joined or bool(_SENTENCE_END.search(joined[-1]))
        goes_on = bool(following) and following[0].islower()
        if not begins or goes_on or not _is_short(line):
            joined.append(line)
            listing = False
            continue
        listing = listing or bool(joined and joined[-1].endswith((":", "：")))
        if joined:
            yield Block(BlockKind.PROSE, _joined(joined))
            joined = []
        alone = len(lines) == 1
        heads = not listing and (alone if following is None else not _is_short(following))
        yield Block(BlockKind.HEADING if heads else BlockKind.ITEM, line)
        listing = listing or not heads
    if joined:
        yield Block(BlockKind.PROSE, _joined(joined))


def _is_short(line: str) -> bool:
    return len(line) <= _SHORT_LINE and bool(_OPEN_END.search(line)) and not line[0].islower()


def _joined(lines: Sequence[str]) -> str:
    text = lines[0]
    for line in lines[1:]:
        # Chinese and Japanese lines meet without a blank.
        text += line if text[-1] >= "\u3000" and line[0] >= "\u3000" else f" {line}"
    return text
