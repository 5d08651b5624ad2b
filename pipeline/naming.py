"""Names that nothing else has."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from itertools import count


def free_name(name: str, taken: Collection[str], pattern: str = "{name} ({n})") -> str:
    """Return ``name`` where it is not taken, else the first free one of ``pattern`` with n from 2."""
    numbered = (pattern.format(name=name, n=n) for n in count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def pseudonym(member_id: str, salt: str) -> str:
    """Return what a person is called where their name is not told; the same one as long as ``salt`` is the same."""
    return f"annotator-{hmac.new(salt.encode(), member_id.encode(), hashlib.sha256).hexdigest()[:10]}"
