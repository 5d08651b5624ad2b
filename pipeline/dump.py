"""A whole dataset out of the store, without anything that belongs to one workspace alone: no ids, people by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.annotation.settings import DatasetSettings
from pipeline.records import ResponseStatus, Suggestion


@dataclass(frozen=True, slots=True)
class DumpVersion:
    """A response as it was before; ``at`` is when, in seconds since the epoch."""

    status: ResponseStatus
    values: Mapping[str, object]
    at: float
    marks: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DumpResponse:
    """One person's response with its history, oldest first."""

    person: str
    status: ResponseStatus
    values: Mapping[str, object]
    created_at: float
    updated_at: float
    seconds: float = 0.0
    marks: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""
    edits: Mapping[str, object] | None = None
    prefilled: bool | None = None
    guidelines_version: int | None = None
    reopened_at: float | None = None
    history: tuple[DumpVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class DumpDecision:
    """What was decided where annotators disagreed."""

    person: str
    values: Mapping[str, object]
    reason: str
    created_at: float
    updated_at: float
    withdrawn_at: float | None = None


@dataclass(frozen=True, slots=True)
class DumpRecord:
    """A record with everything that belongs to it. ``number`` is its place in the dataset, from 1."""

    number: int
    fields: Mapping[str, object]
    metadata: Mapping[str, object]
    suggestions: tuple[Suggestion, ...]
    external_id: str | None
    created_at: float | None = None
    responses: tuple[DumpResponse, ...] = ()
    decisions: tuple[DumpDecision, ...] = ()

    @property
    def key(self) -> str:
        """The id that the record has in files of other tools."""
        return self.external_id or f"record-{self.number}"

    @property
    def people(self) -> list[str]:
        """Whose responses and decisions it has."""
        return [item.person for item in (*self.responses, *self.decisions)]


@dataclass(frozen=True, slots=True)
class Dump:
    """A dataset. ``guidelines`` are the wordings by version."""

    name: str
    settings: DatasetSettings
    records: tuple[DumpRecord, ...]
    published: bool = True
    guidelines: Mapping[int, str] = field(default_factory=dict)
