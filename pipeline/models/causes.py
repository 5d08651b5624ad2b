"""Why a model gave no answer, in a few words that errors are grouped by, and what a person can do about each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from pipeline.records import Completion


class Cause(StrEnum):
    """What an error of a model comes from. The words are stored with completions."""

    KEY = "key"
    QUOTA = "quota"
    RATE_LIMIT = "rate_limit"
    SERVER = "server"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    WRONG_ADDRESS = "wrong_address"
    TOO_LONG = "too_long"
    FILTERED = "filtered"
    EMPTY = "empty"
    CUT_OFF = "cut_off"
    REFUSED = "refused"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Meaning:
    """A cause in words for the screen: what happened, and what to do before asking again."""

    title: str
    advice: str


MEANINGS = MappingProxyType(
    {
        Cause.KEY: Meaning("The key was not accepted", "Check the model's key, then ask these again."),
        Cause.QUOTA: Meaning("No quota is left", "Check plan and billing of the account, then ask these again."),
        Cause.RATE_LIMIT: Meaning(
            "Too many requests at once", "Wait a little, or lower PAIRLOOP_CONCURRENCY, then ask these again."
        ),
        Cause.SERVER: Meaning("The endpoint failed on its side", "This often passes: ask these again later."),
        Cause.TIMEOUT: Meaning(
            "No answer in time", "Ask these again; raise PAIRLOOP_TIMEOUT if the model is just slow."
        ),
        Cause.UNREACHABLE: Meaning(
            "The endpoint could not be reached", "Check that it is running and its address, then ask these again."
        ),
        Cause.WRONG_ADDRESS: Meaning(
            "The endpoint does not know the model or the address",
            "Check the model id and the address. Models never change: register it anew, and run the list with that.",
        ),
        Cause.TOO_LONG: Meaning(
            "Query and contexts are too long for the model",
            "Choose a model that reads more, or lower PAIRLOOP_TOP_K and run the list again: asking alone changes nothing.",
        ),
        Cause.FILTERED: Meaning(
            "Held back by a content filter", "Change the query, or ask another model: asking again rarely helps."
        ),
        Cause.EMPTY: Meaning("The answer was empty", "Ask these again, or choose another model."),
        Cause.CUT_OFF: Meaning("The answer was cut off", "Ask these again: the endpoint ended them early."),
        Cause.REFUSED: Meaning(
            "The endpoint refused the request", "Read its words, change the model or the query, then ask these again."
        ),
        Cause.OTHER: Meaning("Something else", "Read the message, then ask these again."),
    }
)


@dataclass(frozen=True, slots=True)
class Failures:
    """Queries of a run that failed for one cause; ``example`` is the message of one of them."""

    cause: Cause
    query_ids: tuple[str, ...]
    example: str

    @property
    def meaning(self) -> Meaning:
        """The cause in words."""
        return MEANINGS[self.cause]


def cause_of(word: str | None) -> Cause:
    """Return the cause that a stored word stands for; completions of earlier versions have none."""
    return Cause(word) if word in set(Cause) else Cause.OTHER


def grouped(failed: Iterable[Completion]) -> list[Failures]:
    """Return failed completions by cause, the most frequent first."""
    groups: dict[Cause, list[Completion]] = {}
    for completion in failed:
        groups.setdefault(cause_of(completion.cause), []).append(completion)
    made = [Failures(cause, tuple(item.query_id for item in items), items[-1].error) for cause, items in groups.items()]
    return sorted(made, key=lambda group: (-len(group.query_ids), group.cause))
