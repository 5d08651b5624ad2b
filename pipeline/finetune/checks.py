"""What is looked at before a job: roles and empty turns, duplicates, rows that are too long, queries on both sides."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.export import Problem, estimate_tokens
from pipeline.finetune.rows import Row

_MOST_TOLD = 20
_ROLES_BEFORE = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class RowChecks:
    """What the checks found. ``tokens`` are those of each row, by the cookbook's rule; a pair counts both answers.

    ``problems`` make a file unusable, the first of them are told. ``duplicates`` are rows that say the same as an earlier one.
    """

    tokens: tuple[int, ...]
    problems: tuple[Problem, ...]
    duplicates: int

    @property
    def total(self) -> int:
        """Tokens of all rows."""
        return sum(self.tokens)

    def longer_than(self, limit: int) -> int:
        """Count the rows with more tokens than ``limit``."""
        return sum(tokens > limit for tokens in self.tokens)


def check_rows(rows: Sequence[Row]) -> RowChecks:
    """Look at every row."""
    problems: list[Problem] = []
    for number, row in enumerate(rows, 1):
        if len(problems) >= _MOST_TOLD:
            break
        problems += _problems(number, row)
    seen = Counter(_said(row) for row in rows)
    return RowChecks(
        tokens=tuple(map(row_tokens, rows)),
        problems=tuple(problems[:_MOST_TOLD]),
        duplicates=sum(count - 1 for count in seen.values()),
    )


def row_tokens(row: Row) -> int:
    """Return about how many tokens a row counts in training: 3 a message, its text, 3 a row; of a pair both answers."""
    total = 3 + sum(3 + _tokens(str(message["role"])) + _tokens(str(message["content"])) for message in row.messages)
    return total if row.rejected is None else total + 3 + _tokens("assistant") + _tokens(row.rejected)


def _problems(number: int, row: Row) -> list[Problem]:
    found = []
    roles = [message.get("role") for message in row.messages]
    if not roles or roles[-1] != "assistant":
        found.append(
            Problem(number, "example_missing_assistant_message", "The last message must be the answer to learn.")
        )
    if "user" not in roles:
        found.append(
            Problem(number, "missing_user_message", "No message has the role user: the model is asked nothing.")
        )
    for position, message in enumerate(row.messages, 1):
        if message.get("role") not in _ROLES_BEFORE:
            told = f"The role of message {position} is none of {', '.join(_ROLES_BEFORE)}."
            found.append(Problem(number, "unrecognized_role", told))
        if not str(message.get("content") or "").strip():
            found.append(Problem(number, "missing_content", f"Message {position} is empty."))
    if row.rejected is not None:
        if not row.rejected.strip():
            found.append(Problem(number, "missing_content", "The answer that was not preferred is empty."))
        if row.rejected.split() == row.answer.split():
            found.append(
                Problem(number, "same_answers", "Both answers of the pair say the same: there is nothing to prefer.")
            )
    return found


def _said(row: Row) -> tuple[object, ...]:
    return (*((message.get("role"), message.get("content")) for message in row.messages), row.rejected)


# The system prompt and the contexts of one query come back in many rows.
@functools.lru_cache(maxsize=20_000)
def _tokens(text: str) -> int:
    return estimate_tokens(text)
