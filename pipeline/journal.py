"""The form in which changes travel: blocks of JSON lines, each block with a header that says how to know it is whole.

A journal file is one block, or several where a file grows by appending. The header is the first line of a block::

    {"pairloop": 1, "replica": "01j…", "rows": 2, "sha256": "…"}

``sha256`` is that of the bytes of the rows that follow, line ends included. Every row is one line::

    {"at": "01j…", "by": "01j…", "table": "responses", "row": {"id": "…", …}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline import ulid
from pipeline.records import Change

VERSION = 1
LATEST = 32_503_680_000.0  # 3000-01-01, in seconds since the epoch


@dataclass(frozen=True, slots=True)
class Reading:
    """What a journal file holds. ``size`` bytes of it are whole blocks; ``problem`` says what is wrong with the rest."""

    changes: tuple[Change, ...]
    size: int
    problem: str = ""


def write_lines(changes: Iterable[Change]) -> list[bytes]:
    """Return each change as its line."""
    return [_line({"at": c.stamp, "by": c.replica, "table": c.table, "row": c.row}) for c in changes]


def write_block(replica: str, lines: Sequence[bytes]) -> bytes:
    """Return lines as a block."""
    body = b"".join(lines)
    header = {"pairloop": VERSION, "replica": replica, "rows": len(lines), "sha256": hashlib.sha256(body).hexdigest()}
    return _line(header) + body


def read_blocks(data: bytes) -> Reading:
    """Return what the blocks of a file hold, up to the first one that is damaged or not whole."""
    changes: list[Change] = []
    start = 0
    while start < len(data):
        try:
            block, end = _block(data, start)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            return Reading(tuple(changes), start, f"from byte {start} on it is damaged or not whole ({_words(error)})")
        changes += block
        start = end
    return Reading(tuple(changes), start)


def _block(data: bytes, start: int) -> tuple[list[Change], int]:
    after = data.index(b"\n", start) + 1
    header = json.loads(data[start:after])
    if header["pairloop"] != VERSION:
        raise ValueError("written by a newer version of Pairloop")
    end = after
    for _ in range(int(header["rows"])):
        end = data.index(b"\n", end) + 1
    if hashlib.sha256(data[after:end]).hexdigest() != header["sha256"]:
        raise ValueError("its checksum does not fit")
    return [_change(json.loads(line)) for line in data[after:end].split(b"\n")[:-1]], end


def _change(line: dict) -> Change:
    row = line["row"]
    ulid.number(line["by"])
    if ulid.seconds(line["at"]) > LATEST:
        # Every later stamp would have to exceed it, until there is none left.
        raise ValueError("a change says that it is from the year 3000 or later")
    texts = (line["at"], line["by"], line["table"], row["id"])
    if not isinstance(row, dict) or not all(isinstance(text, str) for text in texts):
        raise ValueError("a line is no row")
    # What has no bytes in UTF-8 could not be looked for, not even to put it aside.
    "".join(texts).encode()
    return Change(line["table"], row["id"], line["at"], line["by"], row)


def _line(value: object) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        # A lone surrogate in a person's text has no bytes in UTF-8, but an escape in JSON.
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _words(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)[:200]
