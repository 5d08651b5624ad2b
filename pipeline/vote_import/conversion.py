"""The votes that come of the rows of a file, and the rows that none can be made of."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.cleaning import clean
from pipeline.errors import ComparisonError
from pipeline.record_files.conversion import as_text, unpacked
from pipeline.record_files.rows import METADATA, Source, is_empty
from pipeline.records import Outcome, outcome_from_ranks
from pipeline.store.members import NOBODY
from pipeline.vote_import.mapping import WON, VoteMapping, answers_in, check, model_in, options_of, ranks_in
from pipeline.vote_import.meanings import LEFT_OUT, truth, value_of

MAX_MODEL_CHARACTERS = 120
MAX_TEXT = 200_000
MAX_WRITTEN = 50_000
LATEST = 253_402_300_800
# Epochs as LMArena and pandas write them: in seconds, milliseconds, microseconds or nanoseconds.
_EPOCHS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))


@dataclass(frozen=True, slots=True)
class ImportedVote:
    """A vote of a file, as it was shown there: ``models`` and their ``answers`` in order, A first.

    ``ranks`` are given where more than two were ranked together. ``annotator`` is "" where the file names nobody, ``query``
    where it gives none; ``at`` is None where it gives no time. Answers that are not given are "".
    """

    place: str
    models: tuple[str, ...]
    answers: tuple[str, ...]
    outcome: Outcome
    ranks: tuple[int, ...] = ()
    query: str = ""
    contexts: tuple[str, ...] = ()
    annotator: str = ""
    seconds: float | None = None
    at: float | None = None
    reason: str = ""
    correction: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that gives no vote, and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class PreparedVotes:
    """What comes of a file. ``left_out`` rows have a verdict that was said to be none, ``problems`` cannot be read."""

    votes: tuple[ImportedVote, ...]
    problems: tuple[Problem, ...]
    left_out: int
    notes: tuple[str, ...]


def convert(source: Source, mapping: VoteMapping) -> PreparedVotes:
    """Return the votes of a file.

    Raises:
        ComparisonError: the mapping cannot be used.
    """
    check(source, mapping)
    options = options_of(source, mapping.column("ranking")) if mapping.column("ranking") else []
    votes: list[ImportedVote] = []
    problems: list[Problem] = []
    left_out = 0
    for row in source.rows:
        try:
            if row.problem:
                raise ComparisonError(row.problem)
            about = _about(row.place, row.cells, mapping)
            found = _ranked(row.cells, mapping, options, about) if options else _paired(row.cells, mapping, about)
            before = len(votes)
            votes += found
            left_out += len(votes) == before
        except ComparisonError as error:
            problems.append(Problem(row.place, str(error)))
    return PreparedVotes(tuple(votes), tuple(problems), left_out, (*source.notes, *_notes(votes)))


def _about(place: str, cells: Mapping[str, object], mapping: VoteMapping) -> dict[str, object]:
    """Return what a row says besides who won."""
    kept = {column: cells.get(column) for column in mapping.kept}
    person = _text(cells, mapping.column("annotator"), "annotator", 400).strip()
    return {
        "place": place,
        "query": _asked(cells, mapping.column("query")),
        "contexts": _passages(cells, mapping.column("contexts")),
        "annotator": "" if person in NOBODY else " ".join(person.split()),
        "seconds": _seconds(cells, mapping.column("seconds")),
        "at": _time(cells, mapping.column("time")),
        "reason": _text(cells, mapping.column("reason"), "reason", MAX_WRITTEN).strip(),
        "metadata": {
            clean(column.removeprefix(METADATA)): clean(as_text(cell))[:1_000]
            for column, cell in kept.items()
            if not is_empty(cell)
        },
    }


def _paired(cells: Mapping[str, object], mapping: VoteMapping, about: dict) -> list[ImportedVote]:
    models = tuple(_model(cells, mapping.column(side)) for side in ("model_a", "model_b"))
    if models[0] == models[1]:
        raise ComparisonError(f"it compares {models[0]!r} with itself.")
    outcome = _outcome(cells, mapping, models)
    if outcome is None:
        return []
    answers = tuple(_answered(cells, mapping.column(side)) for side in ("answer_a", "answer_b"))
    correction = _text(cells, mapping.column("correction"), "better answer", MAX_WRITTEN).strip()
    return [ImportedVote(models=models, answers=answers, outcome=outcome, correction=correction, **about)]


def _outcome(cells: Mapping[str, object], mapping: VoteMapping, models: tuple[str, str]) -> Outcome | None:
    """Return the verdict of a row, or None where its value was said to be none."""
    column = mapping.column("outcome")
    if not column:
        return _one_hot(cells, mapping)
    value = value_of(cells.get(column), column)
    meaning = mapping.meanings.get(value)
    if meaning == LEFT_OUT and value in mapping.meanings:
        return None
    if meaning is None and value in models:
        return Outcome.MODEL_A if value == models[0] else Outcome.MODEL_B
    if meaning is None:
        raise ComparisonError(f"{column} {value[:80]!r} is not a known verdict. Say what it means, or leave it out.")
    return Outcome(meaning)


def _one_hot(cells: Mapping[str, object], mapping: VoteMapping) -> Outcome:
    said = {WON[target]: truth(cells.get(mapping.column(target))) for target in WON if mapping.column(target)}
    if None in said.values():
        target = next(f"won_{outcome.value}" for outcome, yes in said.items() if yes is None)
        column = mapping.column(target)
        raise ComparisonError(f"{column} {as_text(cells.get(column))[:80]!r} is neither 1 nor 0.")
    won = [outcome for outcome, yes in said.items() if yes]
    if len(won) != 1:
        columns = ", ".join(mapping.column(target) for target in WON if mapping.column(target))
        raise ComparisonError(f"exactly one of {columns} must be 1; {len(won) or 'none'} {'are' if won else 'is'}.")
    return won[0]


def _ranked(cells: Mapping[str, object], mapping: VoteMapping, options: list[str], about: dict) -> list[ImportedVote]:
    # The column that is called like a response holds its text, and is not where its model is named.
    named = [(option, mapping.options[option]) for option in options]
    models = tuple(_model({} if side == option else cells, side) for option, side in named)
    if len(set(models)) < len(models):
        raise ComparisonError(f"the same model wrote two of the responses: {', '.join(models)}.")
    answers = tuple(_answered(cells, option if option in cells else "") for option in options)
    written = dict((who, value) for who, value, counts in _given(cells, mapping.column("correction")) if counts)
    found = []
    for person, value, counts in _given(cells, mapping.column("ranking")):
        if not counts:
            continue
        ranks = _ranks(ranks_in(value), options, mapping.largest_is_best)
        given = {**about, "annotator": " ".join(clean(person).split())[:400] or about["annotator"]}
        text = written.get(person)
        correction = clean(text).strip()[:MAX_WRITTEN] if isinstance(text, str) else ""
        verdict = {"outcome": outcome_from_ranks(*ranks[:2]), "ranks": ranks if len(ranks) > 2 else ()}
        found.append(ImportedVote(models=models, answers=answers, correction=correction, **verdict, **given))
    return found


def _given(cells: Mapping[str, object], column: str) -> Iterator[tuple[str, object, bool]]:
    cell = unpacked(cells.get(column)) if column else None
    if ranks_in(cell) or isinstance(cell, str):
        yield "", cell, True
    else:
        yield from answers_in(cell)


def _ranks(places: Mapping[str, int], options: list[str], largest_is_best: bool) -> tuple[int, ...]:
    """Return dense ranks, 1 is the best, in the order of the options."""
    if places.keys() != set(options):
        raise ComparisonError(f"the ranking puts {', '.join(places) or 'nothing'} in order, not {', '.join(options)}.")
    given = [-places[option] if largest_is_best else places[option] for option in options]
    return tuple(1 + sum(other < place for other in given) for place in given)


def _model(cells: Mapping[str, object], side: str) -> str:
    name = clean(model_in(cells, side))
    if not name:
        raise ComparisonError(f"it names no model in {side!r}.")
    if len(name) > MAX_MODEL_CHARACTERS:
        raise ComparisonError(f"its model's name has {len(name):,} characters; {MAX_MODEL_CHARACTERS} are the limit.")
    return name


def _text(cells: Mapping[str, object], column: str, what: str, limit: int) -> str:
    cell = cells.get(column) if column else None
    return "" if is_empty(cell) else _short(clean(as_text(cell)), what, limit)


def _short(text: str, what: str, limit: int) -> str:
    if len(text) > limit:
        raise ComparisonError(f"its {what} has {len(text):,} characters; {limit:,} are the limit.")
    return text


def _asked(cells: Mapping[str, object], column: str) -> str:
    return _short(_said(cells.get(column), "user") if column else "", "query", MAX_TEXT).strip()


def _answered(cells: Mapping[str, object], column: str) -> str:
    return _short(_said(cells.get(column), "assistant") if column else "", "answer", MAX_TEXT)


def _said(cell: object, role: str) -> str:
    """Return a text: of a conversation what this role said, of a list of texts all of them."""
    if is_empty(cell):
        return ""
    told = unpacked(cell)
    if isinstance(told, list):
        if told and all(isinstance(item, Mapping) and "content" in item for item in told):
            return clean("\n\n".join(_content(item["content"]) for item in told if item.get("role") == role))
        if all(item is None or isinstance(item, str) for item in told):
            return clean("\n\n".join(item for item in told if item))
    return clean(as_text(cell))


def _content(content: object) -> str:
    """Return what a message says: a text, or the texts among its parts."""
    if isinstance(content, list):
        parts = [item.get("text") if isinstance(item, Mapping) else item for item in content]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _passages(cells: Mapping[str, object], column: str) -> tuple[str, ...]:
    cell = unpacked(cells.get(column)) if column else None
    items = cell if isinstance(cell, list) else [] if is_empty(cell) else [cell]
    texts = [item.get("text") if isinstance(item, Mapping) else item for item in items]
    return tuple(_short(clean(text), "context", MAX_TEXT) for text in texts if isinstance(text, str) and text.strip())


def _seconds(cells: Mapping[str, object], column: str) -> float | None:
    cell = cells.get(column) if column else None
    if is_empty(cell):
        return None
    number = _as_number(cell)
    if number is None or not 0 <= number < LATEST:
        raise ComparisonError(f"{column} {as_text(cell)[:80]!r} is not a number of seconds.")
    return number


def _time(cells: Mapping[str, object], column: str) -> float | None:
    cell = cells.get(column) if column else None
    if is_empty(cell):
        return None
    number = _as_number(cell)
    if number is None:
        number = _moment(as_text(cell).strip())
    else:
        number /= next((unit for least, unit in _EPOCHS if number >= least), 1.0)
    if number is None or not 0 <= number < LATEST:
        raise ComparisonError(f"{column} {as_text(cell)[:80]!r} is not a time.")
    return number


def _as_number(cell: object) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    if isinstance(cell, str) and not re.fullmatch(r"\s*[+-]?\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,3})?\s*", cell):
        return None
    try:
        number = float(cell)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _notes(votes: list[ImportedVote]) -> list[str]:
    """Return what a reader of the results should know of how the votes came."""
    notes = []
    unasked = sum(not vote.query for vote in votes)
    if unasked:
        notes.append(
            f"{_votes(unasked)} without a query, each counted as one on a query of its own. If several were on the "
            "same query, the intervals are narrower than they should be."
        )
    nobody = sum(not vote.annotator for vote in votes)
    if nobody:
        notes.append(f"{_votes(nobody)} without an annotator, so nothing can be said about agreement on them.")
    untimed = sum(vote.at is None for vote in votes)
    if untimed:
        notes.append(
            f"{_votes(untimed)} without a time: the anytime-valid p is that of the final counts, and nothing is drawn over time."
        )
    if votes and not any(any(vote.answers) for vote in votes):
        notes.append(
            "The file holds no answers: results cannot be adjusted for their length, and nothing is trained on."
        )
    given = Counter(
        (vote.query, frozenset(zip(vote.models, vote.answers, strict=True)), vote.annotator) for vote in votes
    )
    again = sum(times - 1 for key, times in given.items() if key[0] and key[2])
    if again:
        notes.append(f"{_votes(again)} by somebody on two answers that they had judged before: all count.")
    return notes


def _votes(count: int) -> str:
    return "1 vote is" if count == 1 else f"{count:,} votes are"
