"""Documents to chunks: pieces of about the same number of tokens that end with a sentence and stay in their section."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.documents.building import PATH_SEPARATOR
from pipeline.records import Chunk, Document, Section, id_of

if TYPE_CHECKING:
    from llama_index.core.node_parser import SentenceSplitter

CHUNK_TOKENS = 256
OVERLAP_TOKENS = 32
MIN_TOKENS = 16  # one character may take 4 tokens
_TINY_SHARE = 8  # a section under an eighth of a chunk does not stand alone

# Where one unit ends and the next begins. Every alternative begins with what cannot repeat and gives nothing back
# (``*+``), so that long runs of white space cost no more than others. No small letter may follow a line or a sentence:
# that is a line that was wrapped, or an abbreviation.
_SMALL = "a-zß-öø-ÿα-ωа-яё"
_LINE_END = re.compile(rf"(?<=\S)[^\S\n]*+\n\s*+(?![{_SMALL}])")
_SENTENCE_END = re.compile(rf"""[.!?…؟۔।]["'”’»)\]]*+\s++(?![{_SMALL}])|[。！？｡]["'”’」』）)]*+\s*+""")
_CLAUSE_END = re.compile(r"[,;:]\s++|[،؛，、；：]\s*+|\n\s*+")
# What is left are words, cut where they are longer than any word: base64, or Thai.
_WORDS = r"\s{0,32}\S{1,32}|\s{1,32}"


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of the text that is cut into chunks by itself."""

    start: int
    end: int
    heading: str
    tokens: int  # at most the size of a chunk is counted


def split_document(document: Document, size: int = CHUNK_TOKENS, overlap: int = OVERLAP_TOKENS) -> list[Chunk]:
    """Return the chunks of ``document`` in order, of at most ``size`` tokens (those of GPT-3.5 and GPT-4).

    Neighbours within a section share up to ``overlap`` tokens. A chunk keeps to its section; sections of under an
    eighth of ``size``, such as a heading with nothing below it, are put together with a neighbour, the one that is
    closer by its path of headings. Heading and page are those of the place where the chunk begins. For every chunk
    ``document.text[chunk.start:chunk.end] == chunk.text``, and every character that is not white space is in a chunk.

    Raises:
        ValueError: ``size`` is under 16, or ``overlap`` is negative or over half of ``size``.
    """
    if size < MIN_TOKENS or not 0 <= overlap <= size // 2:
        raise ValueError(f"chunks of {size} tokens with {overlap} shared are not possible")
    splitter, count = _splitter(size, overlap)
    spans = [
        span for part in _joined(_parts(document, size, count), size) for span in _spans(document.text, part, splitter)
    ]
    starts = [section.start for section in document.sections]
    return [
        _chunk(document, position, span, _section_at(document.sections, starts, span[0]), f"{size}/{overlap}")
        for position, span in enumerate(spans)
    ]


def _splitter(size: int, overlap: int) -> tuple[SentenceSplitter, Callable[[str], int]]:
    from llama_index.core.node_parser import SentenceSplitter  # 1.4 s
    from llama_index.core.utils import get_tokenizer  # its vocabulary lies in the package: nothing is fetched

    tokenizer = get_tokenizer()
    splitter = SentenceSplitter(
        chunk_size=size,
        chunk_overlap=overlap,
        tokenizer=tokenizer,
        paragraph_separator="\n\n",
        # Its own sentences come from NLTK (1.1 s), know neither Chinese nor Arabic, and lose white space.
        chunking_tokenizer_fn=_units,
        secondary_chunking_regex=_WORDS,
    )
    return splitter, lambda text: len(tokenizer(text))


def _units(text: str) -> list[str]:
    """Cut ``text`` into lines, or if it is but one into sentences, or into clauses; nothing is lost.

    Lines come first because a row of a table or an item of a list may have a full stop in it. A unit that is longer
    than a chunk comes here again.
    """
    return _cut(text, _LINE_END) or _cut(text, _SENTENCE_END) or _cut(text, _CLAUSE_END) or [text]


def _cut(text: str, end: re.Pattern[str]) -> list[str]:
    cuts = [0, *(match.end() for match in end.finditer(text) if 0 < match.end() < len(text)), len(text)]
    return [text[a:b] for a, b in zip(cuts, cuts[1:], strict=False)] if len(cuts) > 2 else []


def _parts(document: Document, size: int, count: Callable[[str], int]) -> Iterator[_Part]:
    """The sections without the white space around them; blank ones are left out."""
    text, sections = document.text, document.sections
    if not sections or sections[0].start > 0:
        sections = (Section(0), *sections)
    ends = [section.start for section in sections[1:]] + [len(text)]
    for section, end in zip(sections, ends, strict=True):
        piece = text[section.start : end]
        start = section.start + len(piece) - len(piece.lstrip())
        piece = piece.strip()
        if piece:
            # Only short sections are counted: a tiny one has no more than 8 characters a token.
            tokens = count(piece) if len(piece) < size * 8 // _TINY_SHARE else size
            yield _Part(start, start + len(piece), section.heading, tokens)


def _joined(parts: Iterator[_Part], size: int) -> list[_Part]:
    """Put tiny parts together with the one after, or the one before where that shares more of the headings."""
    tiny = size // _TINY_SHARE
    joined: list[_Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if last is None or last.tokens >= tiny:
            joined.append(part)
        elif len(joined) > 1 and _kinship(joined[-2], last) > _kinship(last, part):
            joined[-2:] = [_union(joined[-2], last), part]
        else:
            joined[-1] = _union(last, part)
    if len(joined) > 1 and joined[-1].tokens < tiny:
        joined[-2:] = [_union(*joined[-2:])]
    return joined


def _union(first: _Part, second: _Part) -> _Part:
    return _Part(first.start, second.end, first.heading, first.tokens + second.tokens)


def _kinship(first: _Part, second: _Part) -> int:
    """How many headings the paths of two parts have in common."""
    pairs = zip(first.heading.split(PATH_SEPARATOR), second.heading.split(PATH_SEPARATOR), strict=False)
    shared = 0
    for one, other in pairs:
        if one != other or not one:
            break
        shared += 1
    return shared


def _spans(text: str, part: _Part, splitter: SentenceSplitter) -> Iterator[tuple[int, int]]:
    """Start and end of the chunks of ``part``.

    The splitter returns texts without their places. Each begins where the one before ends, or earlier by the overlap.
    Where a text occurs more than once, the last place without a gap is taken: it never lies before the true one, so
    that the next text is found by the same rule. What that leaves with nothing new to say is dropped.
    """
    end = part.start
    for piece in splitter.split_text(text[part.start : part.end]):
        while end < part.end and text[end].isspace():
            end += 1
        begin = text.rfind(piece, part.start, min(end + len(piece), part.end))
        if begin + len(piece) > end:
            end = begin + len(piece)
            yield begin, end


def _section_at(sections: tuple[Section, ...], starts: list[int], place: int) -> Section:
    index = bisect_right(starts, place) - 1
    return sections[index] if index >= 0 else Section(0)


def _chunk(document: Document, position: int, span: tuple[int, int], section: Section, sizes: str) -> Chunk:
    start, end = span
    text = document.text[start:end]
    # The same place is the same chunk, whichever replica cuts the document.
    chunk_id = id_of("chunk", document.id, sizes, str(start), str(end))
    place = (position, text, start, end, section.heading, section.page)
    return Chunk(chunk_id, document.id, document.name, *place, chunking=sizes)
