"""Reads records from the body of a request: a JSON list, one entry after the other.

Python holds everything else up while it parses a piece of JSON, also in a thread. So a piece is one entry, of a bounded size.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from components.api.models import MAX_RECORDS
from pipeline.errors import RecordError

# Characters. A text of a record may have half as many.
MAX_ENTRY = 4_000_000
# Lists and objects in all entries: an empty one takes twenty times the memory that it takes in a body.
MAX_NESTED = 500_000
# The same in one entry that is too long for a piece.
MAX_INNER = 100_000
# As FastAPI describes what it parses itself.
DESCRIBED = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": {}, "maxItems": MAX_RECORDS, "title": "Rows"},
            }
        },
    }
}
_PIECE = 250_000
_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.S)
_DECODER = json.JSONDecoder()
_parsing = CapacityLimiter(2)


async def rows_of(request: Request) -> list[Any]:
    """Return the entries of the list that is the body.

    Raises:
        HTTPException: it is no JSON.
        RecordError: it is no list, or more than one request may bring.
    """
    try:
        chunks = deque([chunk async for chunk in request.stream() if chunk])
    except ClientDisconnect as error:
        raise HTTPException(400, "This request was not sent to its end.") from error
    return await to_thread.run_sync(parsed, chunks, limiter=_parsing)


def parsed(chunks: deque[bytes]) -> list[Any]:
    """Return the entries of a JSON list, and forget each chunk of it as soon as it is read."""
    try:
        return _entries(_Text(chunks))
    except ValueError as error:
        raise HTTPException(400, "This is not JSON.") from error


class _Text:
    """JSON that is read from its start, of which only what is being read is held."""

    def __init__(self, chunks: deque[bytes]) -> None:
        self._pieces = codecs.iterdecode(_pieces(chunks), "utf-8-sig")
        self._text, self._at = "", 0

    def sign(self) -> str:
        """Return the next character that is not blank and stay before it; "" is the end."""
        while True:
            self._at = _BLANK.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        """Go past the character that was seen."""
        self._at += 1

    def value(self, place: int) -> Any:
        """Return the value that begins here, and go past it."""
        self.sign()
        while True:
            wrong = None
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                wrong, found, end = error, None, len(self._text)
            if end == len(self._text) and end - self._at <= MAX_ENTRY and self._more():
                # It may only have been cut.
                self._refuse_nested(place)
                continue
            if end - self._at > MAX_ENTRY:
                raise RecordError(f"Entry {place:,} is longer than {MAX_ENTRY:,} characters, or no JSON.")
            if wrong:
                raise wrong
            self._at = end
            return found

    def _refuse_nested(self, place: int) -> None:
        """Refuse an entry that would hold everything up, before it is parsed."""
        if self._text.count("[", self._at) + self._text.count("{", self._at) > MAX_INNER:
            bare = _STRING.sub("", self._text[self._at :])
            if bare.count("[") + bare.count("{") > MAX_INNER:
                raise RecordError(f"Entry {place:,} has more than {MAX_INNER:,} lists and objects in it.")

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._text, self._at = self._text[self._at :] + piece, 0
        return True


def _entries(text: _Text) -> list[Any]:
    if text.sign() != "[":
        raise RecordError("Send the records as a JSON list.")
    text.skip()
    rows: list[Any] = []
    nested = 0
    while text.sign() != "]" or rows:
        if len(rows) == MAX_RECORDS:
            raise RecordError(f"One request adds at most {MAX_RECORDS:,} records.")
        rows.append(text.value(len(rows) + 1))
        nested += _nested(rows[-1])
        if nested > MAX_NESTED:
            raise RecordError(f"These records have more than {MAX_NESTED:,} lists and objects in them: send fewer.")
        sign = text.sign()
        if sign not in (",", "]"):
            raise ValueError("There is no end of this list.")
        if sign == "]":
            break
        text.skip()
    text.skip()
    if text.sign():
        raise ValueError("Something follows the list.")
    return rows


def _nested(value: object) -> int:
    """Return how many lists and objects there are in a value."""
    count, left = 0, [value]
    while left:
        item = left.pop()
        if isinstance(item, dict | list):
            count += 1
            inner = item.values() if isinstance(item, dict) else item
            left += [part for part in inner if isinstance(part, dict | list)]
    return count


def _pieces(chunks: deque[bytes]) -> Iterator[bytes]:
    """Join chunks into pieces of a size, for an entry that lies in many is tried again with each."""
    while chunks:
        piece = bytearray()
        while chunks and len(piece) < _PIECE:
            piece += chunks.popleft()
        yield bytes(piece)
