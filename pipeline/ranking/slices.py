"""The headline for parts of the votes: by metadata, context rating, annotator; with a warning about looking often."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.ranking.counts import pair_results
from pipeline.ranking.verdict import Verdict, plural, verdict
from pipeline.records import Vote

ALPHA = 0.05
# More parts than this tell nothing, and each takes up to a tenth of a second.
MOST = 50


@dataclass(frozen=True, slots=True)
class Slice:
    """One part: its name, its verdict with all numbers, and its anytime-valid p after Holm's correction for all parts.

    ``stands_out`` says that the adjusted p is below 5 % and the verdict is conclusive.
    """

    name: str
    verdict: Verdict
    adjusted: float
    stands_out: bool


@dataclass(frozen=True, slots=True)
class Slices:
    """Parts with most votes first. ``unknown`` votes have no value of the key; ``hidden`` parts were too many to show."""

    parts: tuple[Slice, ...]
    unknown: int
    hidden: int
    warning: str


def slices(
    votes: Sequence[Vote],
    first: str,
    second: str,
    key: Callable[[Vote], str | Iterable[str] | None],
    in_order: bool = True,
) -> Slices:
    """Return the verdict on each part of the votes on a pair; ``key`` names the part of a vote.

    A vote may be in several parts (a list of labels), or in none (None or an empty text). The anytime-valid p of each part
    is corrected by S. Holm (1979), Scand. J. Statist. 6:65-70, for all parts that were looked at: with 20 parts and no
    difference anywhere, one is below 0.05 by chance alone.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.pair_results`.
    """
    parts: dict[str, list[Vote]] = {}
    unknown = 0
    for vote, _ in pair_results(votes, first, second):
        found = key(vote)
        names = sorted({found} if isinstance(found, str) else set(found or ())) if found else []
        unknown += not names
        for name in names:
            parts.setdefault(name, []).append(vote)
    names = sorted(parts, key=lambda name: (-len(parts[name]), name))
    shown = {name: verdict(parts[name], first, second, in_order) for name in names[:MOST]}
    adjusted = _holm({name: found.anytime.p_value for name, found in shown.items()}, len(names))
    return Slices(
        parts=tuple(
            Slice(name, found, adjusted[name], adjusted[name] < ALPHA and found.level == "conclusive")
            for name, found in shown.items()
        ),
        unknown=unknown,
        hidden=len(names) - len(shown),
        warning=_warning(len(names)),
    )


def _holm(p_values: dict[str, float], looks: int) -> dict[str, float]:
    adjusted, highest = {}, 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: (p_values[name], name))):
        highest = max(highest, min(1.0, p_values[name] * (looks - place)))
        adjusted[name] = highest
    return adjusted


def _warning(looks: int) -> str:
    if looks < 2:
        return ""
    chance = 1 - (1 - ALPHA) ** looks
    return (
        f"{plural(looks, 'part')} were looked at. If the models were equal everywhere, at least one p below 0.05 would turn"
        f" up by chance in up to {100 * chance:.0f} % of cases; trust a part only if its corrected p is below 0.05."
    )
