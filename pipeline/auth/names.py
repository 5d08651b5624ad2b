"""Names of people, and codes of invitations as they are typed."""

from __future__ import annotations

import re
import secrets
import unicodedata

from pipeline.cleaning import clean
from pipeline.errors import RecordError

MAX_NAME = 40
# Without I, L, O and U, which are misread or spell something.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# 80 random bits: short enough for a whiteboard, and more than can be tried out.
_TYPED = 16


def person_name(text: str) -> str:
    """Return a name as it is kept.

    Raises:
        RecordError: it is none.
    """
    name = " ".join(clean(unicodedata.normalize("NFKC", text)).split())
    # Marks that change the direction of writing could make a name look like another one.
    name = "".join(letter for letter in name if unicodedata.category(letter) not in ("Cc", "Cf"))
    if not 1 <= len(name) <= MAX_NAME:
        raise RecordError(f"A name has 1 to {MAX_NAME} characters.")
    return name


def folded(name: str) -> str:
    """Return what two names have in common that are read as the same one."""
    return unicodedata.normalize("NFKC", name).casefold()


def typed_code() -> str:
    """Return a new code that can be typed, as in ``K7QM-3F9D-XH2P-9T4W``."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_TYPED))
    return "-".join(letters[start : start + 4] for start in range(0, _TYPED, 4))


def link_code() -> str:
    """Return a new code for a link: 256 random bits."""
    return secrets.token_urlsafe(32)


def code_as_made(text: str) -> str:
    """Return a code as it was made, however it was typed."""
    code = text.strip()
    bare = re.sub(r"[\s-]", "", code).upper().translate(str.maketrans("ILO", "110"))
    if len(bare) == _TYPED and set(bare) <= set(_LETTERS):
        return "-".join(bare[start : start + 4] for start in range(0, _TYPED, 4))
    return code
