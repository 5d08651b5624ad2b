"""Server-sent events, as a streamed answer comes in them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r")
# No chunk of an answer is as long: what goes on without an end is no stream of events.
_LONGEST_EVENT = 4_000_000
DONE = object()


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[object]:
    """Yield what a stream of server-sent events carries, as JSON values, and :data:`DONE` where it says that it is done.

    The parser of the ``openai`` client takes several times as long for it, and while one answer is parsed 31 others wait.

    Raises:
        ValueError: what comes is not such a stream.
    """
    rest = b""
    async for piece in pieces:
        # An end is looked for in what is new, and the last bytes before it: a long event would be searched again and again.
        ended = _END_OF_EVENT.search(rest[-3:] + piece)
        rest += piece
        *whole, rest = _END_OF_EVENT.split(rest) if ended else [rest]
        for event in whole:
            for value in _values(event):
                yield value
        if len(rest) > _LONGEST_EVENT:
            raise ValueError("an event without an end")
    # A stream that ends in the middle of an event was cut off, and says so by what it lacks.
    with suppress(ValueError):
        for value in _values(rest):
            yield value


def _values(event: bytes) -> Iterator[object]:
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    if lines:
        data = b"\n".join(lines)
        yield DONE if data.startswith(b"[DONE]") else json.loads(data)
