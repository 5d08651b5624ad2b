"""The sentences of a chunk, ready to stand in an answer.

Prose is cut at full stops; list items, table rows and label lines ("Base: ticketing system") are sentences of their
own. Headings are none, but what stands under them remembers them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.models.markup import Block, BlockKind, plain_text, read_blocks

_LISTED_CHARACTERS = 240
_LABEL_REACH = 3
_COLONS = (":", "：")
_OPEN_ENDS = (",", ";", ":", "，", "；", "：", "、")

_CLOSING = "\"'”’»)\\]」』）】"
_WIDE_STOPS = "。！？｡"
_STOP = re.compile(
    rf"[{_WIDE_STOPS}]+[{_CLOSING}]*\s*"
    rf"|[.!?…؟۔।]+[{_CLOSING}]*\s+(?=[\"'“‘«(\[¿¡]*[^\W_a-z])"
    # A blank that got lost behind a full stop, as in "curation.The service"; "argilla.io" is no such place.
    r"|(?<=[a-z0-9)])[.!?](?=[A-Z][a-z]*[\s:,'’-]|\(\d{1,2}\)\s)"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“‘])(?:[A-Z]|(?:[A-Za-z]\.)+[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|Mt|vs|etc|approx|ca|cf|al|resp|incl|"
    r"No|Nos|Nr|Fig|Figs|Eq|Sec|Ch|Vol|pp|p|ed|eds|Inc|Ltd|Co|Corp|Gen|Lt|Col|Sgt|Capt|Rev|Hon|Gov|Sen|Rep|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)\.$"
)
_LABEL = re.compile(r"([^.!?:。：()]{2,80})(?::(?=\s|$)|：)")
_NUMBERED = re.compile(r"^\(?\d{1,2}\)\s+(?=\S)")
_ENDED = re.compile(rf"[.!?…؟۔।{_WIDE_STOPS}][{_CLOSING}]*$")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence in plain text, with punctuation at its end; ``under`` holds the headings and labels over it."""

    text: str
    under: str = ""


def split_sentences(text: str, heading: str = "") -> list[Sentence]:
    """Return the sentences of a chunk in their order; ``heading`` is what the chunk itself stands under.

    A short list goes into the sentence that leads to it. A chunk of nothing but headings gives these, so that no chunk
    is mute.
    """
    blocks = read_blocks(text)
    if all(block.kind is BlockKind.HEADING for block in blocks):
        blocks = [Block(BlockKind.ITEM, block.text) for block in blocks]
    return _whole(list(_sentences(blocks, plain_text(heading))), blocks)


def split_prose(text: str) -> list[str]:
    """Return the sentences of running text; abbreviations, initials and decimal points do not end one."""
    sentences, start = [], 0
    for stop in _STOP.finditer(text):
        before = text[start : stop.end()].rstrip()
        if not _ABBREVIATION.search(before[-12:]):
            sentences.append(before)
            start = stop.end()
    return [sentence for sentence in [*sentences, text[start:].strip()] if sentence]


def ended(text: str) -> str:
    """Return a sentence without a number before it and with punctuation behind it, in place of a comma or colon."""
    text = _NUMBERED.sub("", text).rstrip(" ,;:：；，、")
    if not text or _ENDED.search(text):
        return text
    return text + ("。" if text[-1] >= "\u3000" else ".")


def _whole(sentences: list[Sentence], blocks: Sequence[Block]) -> list[Sentence]:
    """Leave out what the ends of the chunk cut in two; the neighbouring chunk has all of it."""
    if len(sentences) > 1 and blocks[0].kind is BlockKind.PROSE and blocks[0].text[0].islower():
        sentences = sentences[1:]
    if len(sentences) > 1 and blocks[-1].kind is BlockKind.PROSE and blocks[-1].text.endswith(_OPEN_ENDS):
        sentences = sentences[:-1]
    return sentences


def _sentences(blocks: Sequence[Block], heading: str) -> Iterator[Sentence]:
    lead, at = "", 0
    while at < len(blocks):
        block, at = blocks[at], at + 1
        if block.kind is BlockKind.HEADING:
            heading, lead = block.text, ""
        elif block.kind is BlockKind.PROSE:
            sentences = split_prose(block.text)
            lead = sentences[-1].rstrip(":：") if sentences[-1].endswith(_COLONS) else ""
            items = _items(blocks[at:]) if lead else []
            if items and len(lead) + sum(map(len, items)) <= _LISTED_CHARACTERS:
                sentences[-1] += " " + "; ".join(item.rstrip(" .,;") for item in items)
                lead, at = "", at + len(items)
            yield from _labelled(sentences, heading)
        else:
            yield from _labelled(split_prose(block.text), f"{heading} {lead}".strip())


def _items(blocks: Sequence[Block]) -> list[str]:
    end = next((i for i, block in enumerate(blocks) if block.kind is not BlockKind.ITEM), len(blocks))
    return [block.text for block in blocks[:end]]


def _labelled(sentences: Sequence[str], under: str) -> Iterator[Sentence]:
    """Give the sentences of a block; the next few after a label ("Starter: ...") stand under it."""
    label, left = "", 0
    for sentence in sentences:
        found = _LABEL.match(sentence)
        text = ended(sentence)
        if text:
            yield Sentence(text, under if found or not left else f"{under} {label}".strip())
        label, left = (found.group(1), _LABEL_REACH) if found else (label, max(left - 1, 0))
