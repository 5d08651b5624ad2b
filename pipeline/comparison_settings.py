"""What a team decides about a comparison: which models, how one votes, and when the names are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.cleaning import clean
from pipeline.errors import ComparisonError

MAX_MODELS = 6
MAX_CRITERIA = 8
MAX_CRITERION_CHARACTERS = 60
MAX_READ_SECONDS = 120.0


class Kind(StrEnum):
    """Where the pairs come from: prepared over a list, asked by visitors, or brought as a file of votes."""

    PREPARED = "prepared"
    LIVE = "live"
    IMPORTED = "imported"


class VoteForm(StrEnum):
    """Two answers at a time, or all answers to a query in one ranking."""

    PAIRS = "pairs"
    RANKING = "ranking"


class RevealPolicy(StrEnum):
    """When a person learns which model wrote what: when they open the results, after each vote, or never."""

    END = "end"
    VOTE = "vote"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """Settings of a comparison. ``model_ids`` are in the order of the set.

    ``min_read_seconds`` is how long a pair stands before it can be judged. With ``include_trained`` queries that a model
    was trained on, or that were read on Edit, are not barred; results say so.
    """

    model_ids: tuple[str, ...]
    kind: Kind = Kind.PREPARED
    form: VoteForm = VoteForm.PAIRS
    reveal: RevealPolicy = RevealPolicy.END
    criteria: tuple[str, ...] = ()
    min_read_seconds: float = 0.0
    include_trained: bool = False


def to_plain(settings: ComparisonSettings) -> dict[str, object]:
    """Return settings as values of JSON."""
    return {
        "model_ids": list(settings.model_ids),
        "kind": settings.kind.value,
        "form": settings.form.value,
        "reveal": settings.reveal.value,
        "criteria": list(settings.criteria),
        "min_read_seconds": settings.min_read_seconds,
        "include_trained": settings.include_trained,
    }


def from_plain(plain: object, model_ids: Sequence[str] = ()) -> ComparisonSettings:
    """Return settings from values of JSON; ``model_ids`` are those of a set that was made before there were settings.

    Raises:
        ComparisonError: these are no settings of a comparison.
    """
    if plain is None:
        return ComparisonSettings(tuple(model_ids))
    if not isinstance(plain, Mapping):
        raise ComparisonError("The settings of a comparison are a mapping of names to values.")
    try:
        settings = ComparisonSettings(
            model_ids=_texts(plain.get("model_ids", [])),
            kind=Kind(plain.get("kind", Kind.PREPARED)),
            form=VoteForm(plain.get("form", VoteForm.PAIRS)),
            reveal=RevealPolicy(plain.get("reveal", RevealPolicy.END)),
            criteria=_texts(plain.get("criteria", [])),
            min_read_seconds=float(plain.get("min_read_seconds", 0.0)),
            include_trained=plain.get("include_trained", False) is True,
        )
    except (TypeError, ValueError) as error:
        raise ComparisonError(f"These are no settings of a comparison: {error}") from error
    return checked(settings)


def checked(settings: ComparisonSettings) -> ComparisonSettings:
    """Return settings as they are stored: names without spaces around them.

    Raises:
        ComparisonError: they cannot be used, with what to change.
    """
    models = settings.model_ids
    if len(models) < 2:
        raise ComparisonError("Choose at least two models.")
    if len(set(models)) < len(models):
        raise ComparisonError("One model is chosen twice: choose different models.")
    if len(models) > MAX_MODELS and settings.kind is not Kind.IMPORTED:
        raise ComparisonError(f"A comparison takes at most {MAX_MODELS} models.")
    if settings.kind is Kind.LIVE and len(models) != 2:
        raise ComparisonError("A live comparison has two models.")
    if settings.kind is Kind.LIVE and settings.form is VoteForm.RANKING:
        raise ComparisonError("A live comparison shows two answers; a ranking needs a list of queries.")
    if not 0 <= settings.min_read_seconds <= MAX_READ_SECONDS:
        raise ComparisonError(f"The shortest reading time is 0 to {MAX_READ_SECONDS:.0f} seconds.")
    names = check_criteria(settings.criteria)
    if names and settings.form is VoteForm.RANKING:
        raise ComparisonError("Criteria go with pairs; a ranking is one order of the answers.")
    return ComparisonSettings(
        models,
        settings.kind,
        settings.form,
        settings.reveal,
        names,
        settings.min_read_seconds,
        settings.include_trained,
    )


def check_criteria(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of criteria without spaces around them.

    Raises:
        ComparisonError: there are too many, or one is empty, too long or there twice.
    """
    cleaned = tuple(" ".join(clean(name).split()) for name in names)
    if len(cleaned) > MAX_CRITERIA:
        raise ComparisonError(f"A vote takes at most {MAX_CRITERIA} criteria.")
    if not all(0 < len(name) <= MAX_CRITERION_CHARACTERS for name in cleaned):
        raise ComparisonError(f"A criterion has 1 to {MAX_CRITERION_CHARACTERS} characters.")
    if len({name.casefold() for name in cleaned}) < len(cleaned):
        raise ComparisonError("Two criteria have the same name.")
    return cleaned


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise ValueError("a list of texts is expected")
    return tuple(values)
