"""What went wrong at an endpoint, in a sentence that says what to do, with the cause that it is grouped under."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from pipeline.errors import ModelError
from pipeline.models.causes import Cause
from pipeline.models.clients import KEPT_OFF, KeptOffError, without_secrets
from pipeline.models.replies import Reply

if TYPE_CHECKING:
    from openai import APIStatusError

_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 0.5, 8.0
_OWN_WORDS = 200
_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|(maximum|available) context|exceed_context|too many tokens"
    r"|(prompt|input|request).{0,20}too (long|large)|tokens.{0,40}must be <=",
    re.IGNORECASE,
)
_FILTERED = ("content_filter", "content_policy_violation")
_BY_STATUS = {401: Cause.KEY, 403: Cause.KEY, 404: Cause.WRONG_ADDRESS, 408: Cause.TIMEOUT, 429: Cause.RATE_LIMIT}


class Trouble(Enum):
    """What became of a request that got no complete answer."""

    STATUS = "an error status"
    UNREACHABLE = "no connection"
    SILENT = "no answer in time"
    DROPPED = "connection closed"


def trouble_of(error: BaseException) -> Trouble:
    """Return what an error of the client or of its transport is.

    The transport on aiohttp calls a closed connection a time-out while connecting, so what it was made of is looked at.
    """
    import aiohttp
    import httpx2
    from openai import APIStatusError

    if isinstance(error, APIStatusError):
        return Trouble.STATUS
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__
    no_connection = aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, httpx2.UnsupportedProtocol
    if any(isinstance(item, no_connection) for item in chain):
        return Trouble.UNREACHABLE
    if any(isinstance(item, httpx2.ReadTimeout | httpx2.WriteTimeout) for item in chain):
        return Trouble.SILENT
    return Trouble.DROPPED


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after ``seconds``, for ``reason``; ``asked`` says that the endpoint named the time."""

    seconds: float
    reason: str
    asked: bool = False


def retry_of(error: BaseException, attempt: int, longest: float) -> Retry | None:
    """Return how to go on after attempt number ``attempt``, or None where another is pointless or may be charged for.

    The endpoint's Retry-After is obeyed where it is not longer than ``longest`` seconds; the waits grow without one.
    """
    backoff = min(_FIRST_RETRY_SECONDS * 2 ** (attempt - 1), _LONGEST_RETRY_SECONDS) * random.uniform(0.75, 1)
    trouble = trouble_of(error)
    if trouble is not Trouble.STATUS:
        return None if trouble is Trouble.SILENT else Retry(backoff, trouble.value)
    if not _may_pass(error):
        return None
    asked = retry_after(error)
    if not asked:
        return Retry(backoff, str(error.status_code))
    # Not all at the same moment: many requests may have been told the same.
    return Retry(asked * random.uniform(1, 1.1), str(error.status_code), True) if asked <= longest else None


def retry_after(error: APIStatusError) -> float | None:
    """Return the seconds of a Retry-After header, which is a number or a date (RFC 9110, 10.2.3); None without one."""
    from email.utils import parsedate_to_datetime

    value = error.response.headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _may_pass(error: APIStatusError) -> bool:
    status = error.status_code
    if error.code == "insufficient_quota" or error.response.headers.get("x-should-retry") == "false":
        return False
    return status in (408, 409, 429) or status >= 500


@dataclass(frozen=True)
class Endpoint:
    """Where a model is asked, and how its errors are said. The key is in no message."""

    base_url: str
    api_key: str = field(repr=False)
    model_id: str
    timeout: float
    key_name: str = "OPENAI_API_KEY"
    address_name: str = "OPENAI_BASE_URL"

    @property
    def where(self) -> str:
        """The address as it may be shown."""
        return without_secrets(self.base_url)

    @property
    def who(self) -> str:
        """The model and its address."""
        return f"The model {self.model_id} at {self.where}"

    def cut(self) -> ModelError:
        """Return the error of an answer that ended early."""
        return ModelError(
            f"The answer of {self.model_id} was cut off in the middle: {self.where} ended it early. Run it again.",
            Cause.CUT_OFF,
        )

    def not_an_api(self) -> ModelError:
        """Return the error of an endpoint that speaks something else."""
        return ModelError(
            f"{self.where} answered, but not as an OpenAI-compatible endpoint does: check {self.address_name}, "
            "which usually ends in /v1.",
            Cause.WRONG_ADDRESS,
        )

    def too_slow(self, seconds: float) -> ModelError:
        """Return the error of an answer that goes on for ever."""
        return ModelError(
            f"{self.who} had not finished its answer after {seconds:g} s: run it again, or raise PAIRLOOP_TIMEOUT.",
            Cause.TIMEOUT,
        )

    def too_long(self, size: int) -> ModelError:
        """Return the error of an answer that is longer than any."""
        return ModelError(
            f"{self.who} sent more than {size / 1e6:g} MB in one answer: check {self.address_name}.", Cause.OTHER
        )

    def empty(self, reply: Reply) -> ModelError:
        """Return the error of an answer without text."""
        if reply.finish_reason == "length":
            words = f"{self.who} used up its limit of tokens before it wrote an answer: choose another model."
            return ModelError(words, Cause.EMPTY)
        if reply.finish_reason == "content_filter":
            words = f"The content filter of {self.where} held back the answer: change the query, or ask another model."
            return ModelError(words, Cause.FILTERED)
        return ModelError(f"{self.who} sent an empty answer: run it again, or choose another model.", Cause.EMPTY)

    def reported(self, error: object) -> ModelError:
        """Return the error that an endpoint sends in the middle of its answer."""
        code = str(error.get("code")) if isinstance(error, dict) else ""
        words = self._own_words(error)
        cause = Cause.FILTERED if code in _FILTERED else Cause.TOO_LONG if _TOO_LONG.search(words) else Cause.SERVER
        return ModelError(f"{self.who} reported an error while it was answering: {words}", cause)

    def explained(self, error: BaseException, reply: Reply) -> ModelError:
        """Return what an error of the client means, with how often was tried before it was given up."""
        found = self._explained(error, bool(reply.text))
        ending = ""
        if trouble_of(error) is Trouble.STATUS and _may_pass(error) and (retry_after(error) or 0) > self.timeout:
            ending = (
                f" It asks to wait {retry_after(error):.0f} s, which is longer than is waited ({self.timeout:g} s)."
            )
        if reply.attempts > 1:
            ending += f" Given up after {reply.attempts} attempts."
        return ModelError(f"{found}{ending}", found.cause, reply.attempts)

    def _explained(self, error: BaseException, begun: bool) -> ModelError:
        trouble = trouble_of(error)
        if trouble is Trouble.STATUS:
            return self._explained_status(error)
        if trouble is Trouble.UNREACHABLE:
            if _leads_off(error):
                return ModelError(KEPT_OFF.format(f"The place that {self.where} leads to"), Cause.WRONG_ADDRESS)
            return ModelError(
                f"Cannot reach {self.where}: check that the endpoint is running and that {self.address_name} is right.",
                Cause.UNREACHABLE,
            )
        if trouble is Trouble.SILENT:
            silence = f"sent nothing for {self.timeout:g} s"
            place = f"stopped in the middle of its answer and {silence}" if begun else silence
            words = f"{self.who} {place}: try again, or raise PAIRLOOP_TIMEOUT if it is just slow."
            return ModelError(words, Cause.TIMEOUT)
        if begun:
            return self.cut()
        words = f"{self.where} closed the connection without an answer: check its log, then run it again."
        return ModelError(words, Cause.SERVER)

    def _explained_status(self, error: APIStatusError) -> ModelError:
        status, words = error.status_code, self._own_words(error.body)
        if 300 <= status < 400:
            to = own_words(without_secrets(error.response.headers.get("location", "")), self.api_key, _OWN_WORDS)
            return ModelError(
                f"{self.where} sends on to another address ({status}), which is not followed: {to} If you trust that "
                f"one, put it into {self.address_name}.",
                Cause.WRONG_ADDRESS,
            )
        if error.code in _FILTERED:
            return ModelError(
                f"The content filter of {self.where} held back the query ({status}): {words}", Cause.FILTERED
            )
        if status == 429 and error.code == "insufficient_quota":
            return ModelError(
                f"The account behind {self.key_name} has no quota left at {self.where}: check its plan and billing.",
                Cause.QUOTA,
            )
        if status == 413 or error.code == "context_length_exceeded" or (status < 429 and _TOO_LONG.search(words)):
            return ModelError(
                f"The query with its contexts is longer than {self.model_id} can read: lower PAIRLOOP_TOP_K, "
                "or choose a model that reads more.",
                Cause.TOO_LONG,
            )
        cause = Cause.SERVER if status >= 500 else _BY_STATUS.get(status, Cause.REFUSED)
        return ModelError(self._of_status(error, status, words), cause)

    def _of_status(self, error: APIStatusError, status: int, words: str) -> str:
        if status in (401, 403):
            return self._of_key(status)
        if status == 404:
            if error.code == "model_not_found" or re.search(r"\bmodel\b", words, re.IGNORECASE):
                named = " (OPENAI_MODEL)" if self.address_name == "OPENAI_BASE_URL" else ""
                return f"{self.where} does not have the model {self.model_id}: check the model id{named}."
            return f"{self.where} knows no such address (404): check {self.address_name}, which usually ends in /v1."
        if status == 429:
            return f"{self.where} takes no more requests now (429): wait a little, or lower PAIRLOOP_CONCURRENCY."
        if status >= 500:
            return f"{self.where} failed on its side ({status}): try again later."
        return f"{self.where} refused the request ({status}): {words}"

    def _of_key(self, status: int) -> str:
        if not self.api_key:
            put = f"set {self.key_name} and start the app again"
            name = "put it into an environment variable, and name that with the model on Settings"
            return f"{self.where} wants a key ({status}): {put if self.key_name else name}."
        if status == 401:
            return f"{self.where} did not accept the key (401): check {self.key_name}."
        return f"{self.where} does not let this key use {self.model_id} (403): check {self.key_name} and its rights."

    def _own_words(self, body: object) -> str:
        return own_words(body, self.api_key, _OWN_WORDS)


def _leads_off(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeptOffError):
        error = error.__cause__
    return error is not None


def own_words(body: object, api_key: str, longest: int) -> str:
    """Return an endpoint's message in one short line, without the key, and without any page of HTML."""
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error")
    words = " ".join(body.split()) if isinstance(body, str) else ""
    if not words or words.startswith("<"):
        return "it gave no reason."
    if api_key:
        words = words.replace(api_key, "…")
    return words if len(words) <= longest else words[: longest - 1] + "…"
