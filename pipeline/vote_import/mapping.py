"""Which column of a file of votes holds what: the forms that are known are recognised, and everything can be changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.errors import ComparisonError
from pipeline.record_files.conversion import unpacked
from pipeline.record_files.rows import METADATA, RESPONSES, Answer, Source
from pipeline.records import Outcome
from pipeline.vote_import.meanings import proposed, value_of

# What a column can be, with the words for it on the screen.
TARGETS: dict[str, str] = {
    "model_a": "Model A",
    "model_b": "Model B",
    "outcome": "Verdict",
    "ranking": "Ranking",
    "query": "Query",
    "annotator": "Annotator",
    "answer_a": "Answer of A",
    "answer_b": "Answer of B",
    "contexts": "Contexts",
    "reason": "Reason",
    "correction": "Better answer",
    "seconds": "Seconds",
    "time": "Time of the vote",
    "won_model_a": "1 where A won",
    "won_model_b": "1 where B won",
    "won_tie": "1 for a tie",
    "won_both_bad": "1 where both are bad",
}
WON = {f"won_{outcome.value}": outcome for outcome in Outcome}
MAX_OPTIONS = 6
LISTED_VALUES = 40
# By target the columns that usually hold it, as in LMArena, MT-Bench, AlpacaEval, Argilla's tutorial and Pairloop itself.
_NAMES: dict[str, tuple[str, ...]] = {
    "model_a": ("modela", "generator1", "model1", "modelleft"),
    "model_b": ("modelb", "generator2", "model2", "modelright"),
    "outcome": ("outcome", "winner", "preference", "verdict", "vote", "label"),
    "query": (
        "query", "question", "prompt", "instruction", "usermessage", "input", "conversationa",
        "queryid", "questionid",
    ),
    "annotator": ("annotator", "judge", "annotatorid", "user", "userid", "worker", "rater", "evaluator", "labeler"),
    "answer_a": ("answera", "responsea", "output1", "completiona", "response1", "conversationa"),
    "answer_b": ("answerb", "responseb", "output2", "completionb", "response2", "conversationb"),
    "contexts": ("contexts", "context", "passages"),
    "reason": ("reason", "explanation", "comment", "rationale"),
    "correction": ("correction", "betteranswer"),
    "seconds": ("seconds", "duration"),
    "time": ("votedat", "createdat", "tstamp", "timestamp", "time", "insertedat", "updatedat"),
    "won_model_a": ("winnermodela",),
    "won_model_b": ("winnermodelb",),
    "won_tie": ("winnertie",),
    "won_both_bad": ("winnertiebothbad", "winnerbothbad"),
}  # fmt: skip
_KEPT = ("language", "category", "dataset", "datasplit", "domain", "topic", "turn", "difficulty", "kind")
_LOOKED_AT = 300


@dataclass(frozen=True, slots=True)
class VoteMapping:
    """How a file is read.

    ``columns`` gives the column of each of :data:`TARGETS`; in the place of a column ``model_a`` and ``model_b`` may have the
    name of a model. ``options`` gives for each response of a ranking the column that names its model, or the name.
    ``meanings`` says what values of the verdict mean, :data:`~pipeline.vote_import.meanings.LEFT_OUT` for none. ``kept``
    columns become metadata of the queries. With ``leave_out`` rows that cannot be read are left out.
    """

    columns: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, Outcome | str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    largest_is_best: bool = False
    leave_out: bool = False

    def column(self, target: str) -> str:
        """Return the column of a target, or ""."""
        return self.columns.get(target, "")


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the verdict, how many rows have it, and what it is known to mean, None where nobody can know."""

    text: str
    rows: int
    meaning: Outcome | None


def propose(source: Source) -> VoteMapping:
    """Return the mapping that the names of the columns, and what stands in them, speak for."""
    columns = source.columns
    plain: dict[str, str] = {}
    for column in columns:
        plain.setdefault(_plain(column), column)
    found = {target: next((plain[name] for name in names if name in plain), "") for target, names in _NAMES.items()}
    rankings = ranking_columns(source)
    found["ranking"] = rankings[0] if rankings and not found["outcome"] else ""
    if rankings and found["outcome"] in rankings:
        found["ranking"], found["outcome"] = found["outcome"], ""
    if found["ranking"]:
        for target in ("model_a", "model_b", "outcome", "answer_a", "answer_b", "annotator", *WON):
            found[target] = ""
    elif found["outcome"]:
        found |= dict.fromkeys(WON, "")
    found["correction"] = found["correction"] or _written(source, found)
    mapping = VoteMapping({target: column for target, column in found.items() if column})
    values = {value.text: value.meaning for value in values_of(source, mapping) if value.meaning is not None}
    kept = tuple(column for column in columns if _plain(column.removeprefix(METADATA)) in _KEPT)
    return VoteMapping(mapping.columns, propose_options(source, found["ranking"]), values, kept)


def ranking_columns(source: Source) -> list[str]:
    """Return the columns that hold rankings: answers of people that put options in order."""
    some = source.rows[:_LOOKED_AT]
    columns = [column for column in source.columns if column.endswith(RESPONSES) or _plain(column) == "preference"]
    return [column for column in columns if any(_rankings(row.cells.get(column)) for row in some)]


def options_of(source: Source, column: str) -> list[str]:
    """Return the options that a ranking puts in order."""
    found: dict[str, None] = {}
    for row in source.rows[:_LOOKED_AT]:
        for places in _rankings(row.cells.get(column)):
            found.update(dict.fromkeys(places))
    return list(found)[: MAX_OPTIONS + 1]


def propose_options(source: Source, column: str) -> dict[str, str]:
    """Return for each option of a ranking the column that names its model, or the option itself."""
    plain = {_plain(name.removeprefix(METADATA)): name for name in source.columns}
    found = {}
    for option in options_of(source, column) if column else ():
        names = (f"{_plain(option)}model", f"model{_plain(option)}", f"{_plain(option)}generator")
        letter = re.sub(r"^.*?([^\W_]+)$", r"\1", option)
        names += (f"model{_plain(letter)}", f"generator{_plain(letter)}")
        found[option] = next((plain[name] for name in names if name in plain), option)
    return found


def values_of(source: Source, mapping: VoteMapping) -> list[Value]:
    """Return the values of the verdict, the frequent ones first; names of models speak for themselves and are left out."""
    column = mapping.column("outcome")
    if not column:
        return []
    counts: Counter[str] = Counter()
    named: Counter[str] = Counter()
    sides = mapping.column("model_a"), mapping.column("model_b")
    for row in source.rows:
        if row.problem:
            continue
        value = value_of(row.cells.get(column), column)
        counts[value] += 1
        named[value] += value in [model_in(row.cells, side) for side in sides]
    listed = [(value, rows) for value, rows in counts.most_common() if named[value] < rows]
    return [Value(value, rows, proposed(value, column)) for value, rows in listed[:LISTED_VALUES]]


def check(source: Source, mapping: VoteMapping) -> None:
    """Check that votes can be made with a mapping.

    Raises:
        ComparisonError: they cannot; the message says what to choose.
    """
    ways = [bool(mapping.column("outcome")), bool(mapping.column("ranking")), any(map(mapping.column, WON))]
    if not any(ways):
        raise ComparisonError("Choose the column of the verdict, or that of a ranking.")
    if sum(ways) > 1:
        raise ComparisonError(
            "Choose one of the three: a verdict, a ranking, or the columns that hold a 1 for who won."
        )
    used = Counter(filter(None, map(mapping.column, ("outcome", "ranking", "annotator", "seconds", *WON))))
    if twice := [column for column, times in used.items() if times > 1]:
        raise ComparisonError(f"The column {twice[0][:80]!r} is chosen for two different things.")
    if mapping.column("ranking"):
        _check_options(source, mapping)
        return
    for target in ("model_a", "model_b"):
        if not mapping.column(target):
            raise ComparisonError(f"Choose the column of {TARGETS[target]}, or type the name of the model.")
    if mapping.column("model_a") == mapping.column("model_b"):
        raise ComparisonError("Model A and Model B are the same.")


def _check_options(source: Source, mapping: VoteMapping) -> None:
    options = options_of(source, mapping.column("ranking"))
    if not 2 <= len(options) <= MAX_OPTIONS:
        raise ComparisonError(f"A ranking puts 2 to {MAX_OPTIONS} responses in order; this column holds none such.")
    missing = [option for option in options if not mapping.options.get(option)]
    if missing:
        raise ComparisonError(f"Say which model wrote {missing[0][:80]!r}: a column, or a name.")
    if len({mapping.options[option] for option in options}) < len(options):
        raise ComparisonError("Two responses of the ranking have the same column, or the same model.")


def model_in(cells: Mapping[str, object], side: str) -> str:
    """Return the model that a row names in the column ``side``, or ``side`` itself where no row has such a column."""
    cell = cells.get(side, side)
    return " ".join(str(cell).split()) if isinstance(cell, str | int) and not isinstance(cell, bool) else ""


def ranks_in(value: object) -> dict[str, int]:
    """Return the rank of each option of an answer in any of Argilla's forms; {} where it is no ranking.

    The forms are a list of value and rank, a mapping of two lists, and a list of the options with the best first.
    """
    value = unpacked(value)
    if isinstance(value, Mapping):
        names, ranks = value.get("value"), value.get("rank")
        if isinstance(names, list) and isinstance(ranks, list) and len(names) == len(ranks):
            value = [{"value": name, "rank": rank} for name, rank in zip(names, ranks, strict=True)]
    if not isinstance(value, list) or len(value) < 2:
        return {}
    if all(isinstance(item, str) for item in value):
        return {item: place for place, item in enumerate(value, 1)} if len(set(value)) == len(value) else {}
    places = [item for item in value if isinstance(item, Mapping) and isinstance(item.get("value"), str)]
    whole = all(isinstance(item.get("rank"), int) and not isinstance(item.get("rank"), bool) for item in places)
    ranks = {item["value"]: item["rank"] for item in places} if whole else {}
    return ranks if len(ranks) == len(value) else {}


def answers_in(cell: object) -> Iterator[tuple[str, object, bool]]:
    """Yield (person, value, counts) of the answers in a cell; drafts and discards do not count."""
    items = cell if isinstance(cell, list) else []
    for number, item in enumerate(items, 1):
        if isinstance(item, Answer):
            yield item.person, item.value, item.status.value == "submitted"
        elif isinstance(item, Mapping) and "value" in item and "rank" not in item:
            person = str(item.get("user_id") or f"annotator {number}")
            yield person, item["value"], item.get("status", "submitted") == "submitted"


def _rankings(cell: object) -> list[dict[str, int]]:
    cell = unpacked(cell)
    if own := ranks_in(cell):
        return [own]
    return [ranks for _, value, _ in answers_in(cell) if (ranks := ranks_in(value))]


def _written(source: Source, found: Mapping[str, str]) -> str:
    """Return the column in which people wrote an answer of their own beside a ranking, or ""."""
    others: Sequence[str] = [
        column for column in source.columns if column.endswith(RESPONSES) and column != found["ranking"]
    ]
    return next((column for column in others if _texts(source, column)), "") if found["ranking"] else ""


def _texts(source: Source, column: str) -> Collection[str]:
    values = [value for row in source.rows[:_LOOKED_AT] for _, value, _ in answers_in(row.cells.get(column))]
    return [value for value in values if isinstance(value, str) and " " in value.strip()]


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-.]+", "", name).casefold()
