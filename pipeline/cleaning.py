"""Text that people and endpoints send, made storable."""

from __future__ import annotations

import re

# Half of a character outside the basic plane, as a cut text may end in: it can be neither shown nor written to a file.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return ``text`` with lone surrogates replaced by U+FFFD, and without NUL, which no database takes as text."""
    return _LONE_SURROGATE.sub("\ufffd", text).replace("\0", "")


def normal(text: str) -> str:
    """Return a query in the form in which two that differ only in blanks or case are the same one."""
    return " ".join(text.split()).casefold()
