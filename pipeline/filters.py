"""Which records of a dataset are wanted: by text, metadata and the score of suggestions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.annotation.settings import DatasetSettings
from pipeline.records import Record


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; None is no bound."""

    low: float | None = None
    high: float | None = None

    def holds(self, value: object) -> bool:
        """Say whether a value is a number inside."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """All of the conditions that are given must hold.

    ``text`` words all occur in the fields or the external id, whatever their case. ``terms`` are wanted metadata by property,
    any of which will do; ``ranges`` bound numbers of metadata; ``scores`` bound the suggestion scores of a question.
    """

    text: str = ""
    terms: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    scores: Mapping[str, Range] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether every record is wanted."""
        return not (self.text.strip() or self.terms or self.ranges or self.scores)


ALL = RecordFilter()


def matching(settings: DatasetSettings, records: Sequence[Record], wanted: RecordFilter) -> Iterator[Record]:
    """Yield the records that are wanted. Metadata that annotators do not see filters nothing for them."""
    words = wanted.text.casefold().split()
    visible = {item.name for item in settings.metadata if item.visible}
    for record in records:
        if words and not _has_words(record, words):
            continue
        metadata = {name: value for name, value in record.metadata.items() if name in visible}
        if _meets(metadata, wanted) and _scored(record, wanted):
            yield record


def _has_words(record: Record, words: Sequence[str]) -> bool:
    text = "\n".join([*_texts(record.fields), record.external_id or ""]).casefold()
    return all(word in text for word in words)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _meets(metadata: Mapping[str, object], wanted: RecordFilter) -> bool:
    for name, terms in wanted.terms.items():
        value = metadata.get(name, [])
        if not terms & set(map(str, value if isinstance(value, list) else [value])):
            return False
    return all(bounds.holds(metadata.get(name)) for name, bounds in wanted.ranges.items())


def _scored(record: Record, wanted: RecordFilter) -> bool:
    for question, bounds in wanted.scores.items():
        suggestion = record.suggestions.get(question)
        score = suggestion.score if suggestion else None
        scores = score if isinstance(score, list) else [score]
        if not any(map(bounds.holds, scores)):
            return False
    return True
