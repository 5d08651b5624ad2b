"""Text that people and endpoints send, made storable."""

from __future__ import annotations

import re

# Half of a character outside the basic plane, as a cut text may end in: it can be neither shown nor written to a file.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# What a query may end with or not: no sign of a name, such as the last one of "C#" or "C++".
_ENDS = " ?!.…,:;؟؛？！。．，：；"


def clean(text: str) -> str:
    """Return ``text`` with lone surrogates replaced by U+FFFD, and without NUL, which no database takes as text."""
    return _LONE_SURROGATE.sub("\ufffd", text).replace("\0", "")


def normal(text: str) -> str:
    """Return a query in the form in which two that differ only in blanks, case or the mark at their end are the same one."""
    words = " ".join(text.split()).casefold()
    return words.rstrip(_ENDS) or words
