"""Names that nothing else has."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count


def free_name(name: str, taken: Collection[str], pattern: str = "{name} ({n})") -> str:
    """Return ``name`` where it is not taken, else the first free one of ``pattern`` with n from 2."""
    numbered = (pattern.format(name=name, n=n) for n in count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)
