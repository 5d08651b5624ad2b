"""What the values of a verdict mean. A value that nobody has explained is no verdict, least of all a tie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from pipeline.record_files.conversion import as_text
from pipeline.record_files.rows import is_empty
from pipeline.records import Outcome

EMPTY = "(empty)"
# Of rows whose verdict has this meaning no vote is made.
LEFT_OUT = ""
# AlpacaEval's weighted annotators give the chance that the second answer is preferred, from 1 to 2.
NEARER_FIRST, NEARER_SECOND = "between 1 and 1.5", "between 1.5 and 2"

_WORDS = {
    Outcome.MODEL_A: "modela a left first model1 responsea assistanta answera systema",
    Outcome.MODEL_B: "modelb b right second model2 responseb assistantb answerb systemb",
    Outcome.TIE: "tie ties draw equal tieinconsistent",
    Outcome.BOTH_BAD: "bothbad tiebothbad bothbadtie bothnotgood",
}
KNOWN: Mapping[str, Outcome] = MappingProxyType(
    {word: outcome for outcome, words in _WORDS.items() for word in words.split()}
)
# AlpacaEval: 1 prefers output_1, 2 prefers output_2, 1.5 (0 in older files) is a draw; wins are counted as below and above 1.5.
ALPACA_EVAL: Mapping[str, Outcome] = MappingProxyType(
    {
        "1": Outcome.MODEL_A,
        "2": Outcome.MODEL_B,
        "1.5": Outcome.TIE,
        "0": Outcome.TIE,
        NEARER_FIRST: Outcome.MODEL_A,
        NEARER_SECOND: Outcome.MODEL_B,
    }
)
_TRUE = frozenset(("1", "true", "yes", "x"))
_FALSE = frozenset(("", "0", "false", "no"))


def is_preference(column: str) -> bool:
    """Say whether a column is named as AlpacaEval's verdicts are."""
    return _plain(column) == "preference"


def value_of(cell: object, column: str) -> str:
    """Return a verdict as the text that meanings are given for."""
    if is_empty(cell):
        return EMPTY
    text = as_text(cell).strip()
    number = _number(text)
    if number is None:
        return text
    if is_preference(column) and 1 < number < 2 and number != 1.5:
        return NEARER_FIRST if number < 1.5 else NEARER_SECOND
    return f"{number:g}"


def proposed(value: str, column: str) -> Outcome | None:
    """Return what a value is known to mean, or None."""
    if is_preference(column) and value in ALPACA_EVAL:
        return ALPACA_EVAL[value]
    return KNOWN.get(_plain(value))


def truth(cell: object) -> bool | None:
    """Return what a cell of a column of yes and no says, or None where it says something else."""
    text = "" if is_empty(cell) else as_text(cell).strip().casefold()
    text = f"{number:g}" if (number := _number(text)) is not None else text
    return True if text in _TRUE else False if text in _FALSE else None


def _number(text: str) -> float | None:
    if not re.fullmatch(r"[+-]?\d{1,15}(\.\d{1,15})?", text):
        return None
    return float(text)


def _plain(text: str) -> str:
    return re.sub(r"[\s_\-.()/,;:]+", "", text).casefold()
