"""A chat model behind an OpenAI-compatible endpoint: OpenAI, Hugging Face router, vLLM, Ollama, llama.cpp and others.

``openai`` takes 0.6 s to import, so it is imported where it is used. Retries are our own and not the client's: the
client would sit out a Retry-After of two minutes, and send a request again that the endpoint may be working on.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pipeline.errors import ModelError
from pipeline.prompts import Template, is_refusal, parse_citations, render_messages
from pipeline.records import Answer, Context

if TYPE_CHECKING:
    from openai import APIError, APIStatusError, AsyncOpenAI

_CONNECT_SECONDS = 10.0
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 0.5, 8.0
# An endpoint that trickles for ever is never silent; ten times the allowed silence is the end of one answer.
_LONGEST_ANSWER = 10
_OWN_WORDS = 200
_THOUGHTS = re.compile(r"\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|(maximum|available) context|exceed_context|too many tokens"
    r"|(prompt|input|request).{0,20}too (long|large)|tokens.{0,40}must be <=",
    re.IGNORECASE,
)
# Connections belong to the event loop that opened them, so clients are kept per loop, and go with it.
_CLIENTS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str, float], AsyncOpenAI]] = WeakKeyDictionary()


async def close_clients() -> None:
    """Close the connections of the running loop. Models that are used afterwards open new ones."""
    for client in _CLIENTS.pop(asyncio.get_running_loop(), {}).values():
        await client.close()


@dataclass(frozen=True, eq=False)
class ChatModel:
    """Asks one model of one endpoint, streaming.

    Without ``api_key`` no Authorization header is sent. ``temperature`` and ``max_tokens`` are sent only if set.
    ``timeout`` is how many seconds the endpoint may stay silent, before and within an answer; an answer as a whole may
    take ten times as long. ``max_retries`` counts for connections that fail and for 408, 409, 429 and 5xx, as long as
    no text has come: with exponential back-off, or after the endpoint's Retry-After if that is not longer than
    ``timeout``. Silence and an answer that is cut off are not retried, since the endpoint may charge for each.
    """

    base_url: str
    api_key: str = field(repr=False)
    model_id: str
    template: Template = field(repr=False)
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float = 60.0
    max_retries: int = 2
    # Parameters that this endpoint turned out not to take; learnt from its first refusal.
    _refused: set[str] = field(default_factory=set, init=False, repr=False)

    async def answer(
        self, query: str, contexts: Sequence[Context], on_text: Callable[[str], None] | None = None
    ) -> Answer:
        """Return the model's answer. ``seconds`` is the time of the request that succeeded, without earlier attempts.

        Raises:
            ModelError: the endpoint gave no usable answer; the message says why and what to do, and holds no key.
        """
        said = await self.chat(render_messages(self.template, query, contexts), on_text)
        cited = self.template.numbered and not said.refused
        return replace(
            said,
            refused=said.refused or is_refusal(self.template, said.text),
            citations=parse_citations(said.text, len(contexts)) if cited else (),
        )

    async def chat(self, messages: list[dict[str, str]], on_text: Callable[[str], None] | None = None) -> Answer:
        """Return what the model replies to ``messages``, as it is; ``refused`` says that it declined to.

        Raises:
            ModelError: as for :meth:`answer`.
        """
        reply = await self._ask(messages, on_text)
        text = reply.visible.strip()
        if not text and not reply.refusal:
            raise ModelError(self._why_empty(reply))
        return Answer(
            text=text or reply.refusal.strip(),
            refused=not text,
            seconds=reply.seconds,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )

    async def list_models(self) -> list[str]:
        """Return the ids of the endpoint's models, sorted. Also the cheapest way to test an endpoint.

        Raises:
            ModelError: as for :meth:`answer`.
        """
        from openai import APIError

        try:
            page = await self._client().models.list(extra_headers=self._headers())
        except APIError as error:
            raise self._explained(error, _Reply()) from error
        except ValueError as error:
            raise ModelError(self._not_an_api()) from error
        models = getattr(page, "data", None)
        if not isinstance(models, list):
            raise ModelError(self._not_an_api())
        return sorted(model.id for model in models)

    async def _ask(self, messages: list[dict[str, str]], on_text: Callable[[str], None] | None) -> _Reply:
        from openai import APIError

        attempt = 0
        while True:
            request = self._request(messages)
            reply = _Reply()
            try:
                await self._receive(request, reply, on_text)
                return reply
            except APIError as error:
                if self._adapts(request, error):
                    continue
                wait = None if reply.text or attempt >= self.max_retries else _retry_wait(error, attempt, self.timeout)
                if wait is None:
                    raise self._explained(error, reply) from error
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                raise ModelError(self._not_an_api()) from error
            except TimeoutError as error:
                raise ModelError(
                    f"{self._who} had not finished its answer after {self.timeout * _LONGEST_ANSWER:g} s: "
                    "run it again, or raise PAIRLOOP_TIMEOUT."
                ) from error
            attempt += 1
            await asyncio.sleep(wait)

    def _request(self, messages: list[dict[str, str]]) -> dict[str, object]:
        request: dict[str, object] = {"model": self.model_id, "messages": messages, "stream": True}
        if "stream_options" not in self._refused:
            request["stream_options"] = {"include_usage": True}
        if self.temperature is not None:
            request["temperature"] = self.temperature
        if self.max_tokens is not None:
            request["max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"] = self.max_tokens
        return request

    def _adapts(self, request: dict[str, object], error: APIError) -> bool:
        """Take the endpoint's word on what it refuses, and tell whether another request makes sense.

        Older servers reject ``stream_options``; OpenAI's reasoning models want ``max_completion_tokens``.
        """
        if getattr(error, "status_code", None) not in (400, 422):
            return False
        words = error.response.text
        for name, sign in (("stream_options", "stream_options"), ("max_tokens", "max_completion_tokens")):
            if name in request and sign in words:
                self._refused.add(name)
                return True
        return False

    async def _receive(self, request: dict[str, object], reply: _Reply, on_text: Callable[[str], None] | None) -> None:
        from openai import AsyncStream

        start = time.perf_counter()
        # Chunks as plain objects: to make the client's own types of each costs as much again as all the rest, and
        # endpoints that leave out a field would break them.
        async with await self._client().post(
            "/chat/completions",
            cast_to=object,
            body=request,
            options={"headers": self._headers(), "security": {"bearer_auth": True}},
            stream=True,
            stream_cls=AsyncStream[object],
        ) as stream:
            async with asyncio.timeout(self.timeout * _LONGEST_ANSWER):
                if "event-stream" not in stream.response.headers.get("content-type", "event-stream"):
                    reply.add(self._whole(await stream.response.aread()))
                async for chunk in stream:
                    if reply.add(chunk) and on_text is not None and reply.visible:
                        on_text(reply.visible)
        reply.seconds = time.perf_counter() - start
        if reply.finish_reason is None and (reply.text or reply.refusal):
            raise ModelError(self._cut())

    def _whole(self, body: bytes) -> object:
        """Read the answer of an endpoint that ignores ``stream`` and sends it as one JSON object."""
        completion = json.loads(body)
        if not isinstance(completion, dict) or not isinstance(completion.get("choices"), list):
            raise ModelError(self._not_an_api())
        return completion

    def _client(self) -> AsyncOpenAI:
        import httpx2
        from openai import AsyncOpenAI

        clients = _CLIENTS.setdefault(asyncio.get_running_loop(), {})
        key = (self.base_url, self.api_key, self.timeout)
        if key not in clients:
            if not (self.api_key.isascii() and self.api_key.isprintable()):
                raise ModelError("OPENAI_API_KEY holds characters that no key has: copy the key again.")
            try:
                clients[key] = AsyncOpenAI(
                    base_url=self.base_url,
                    # The client insists on a key; where there is none, each request leaves out the header.
                    api_key=self.api_key or "none",
                    timeout=httpx2.Timeout(self.timeout, connect=min(self.timeout, _CONNECT_SECONDS)),
                    max_retries=0,
                )
            except httpx2.InvalidURL as error:
                raise ModelError(f"OPENAI_BASE_URL is not an address: {self._where!r}.") from error
        return clients[key]

    def _headers(self) -> dict[str, object]:
        from openai import Omit

        return {} if self.api_key else {"Authorization": Omit()}

    @property
    def _where(self) -> str:
        """The base URL without the user name, password and query that some people put into it."""
        return re.sub(r"//[^/]*@", "//", self.base_url.partition("?")[0])

    @property
    def _who(self) -> str:
        return f"The model {self.model_id} at {self._where}"

    def _cut(self) -> str:
        return f"The answer of {self.model_id} was cut off in the middle: {self._where} ended it early. Run it again."

    def _not_an_api(self) -> str:
        return (
            f"{self._where} answered, but not as an OpenAI-compatible endpoint does: check OPENAI_BASE_URL, "
            "which usually ends in /v1."
        )

    def _why_empty(self, reply: _Reply) -> str:
        if reply.finish_reason == "length":
            return f"{self._who} used up its limit of tokens before it wrote an answer: choose another model."
        if reply.finish_reason == "content_filter":
            return f"The content filter of {self._where} held back the answer: change the query, or ask another model."
        return f"{self._who} sent an empty answer: run it again, or choose another model."

    def _explained(self, error: APIError, reply: _Reply) -> ModelError:
        import httpx2
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        if isinstance(error, APIStatusError):
            return ModelError(self._explained_status(error))
        if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol):
            return ModelError(
                f"Cannot reach {self._where}: check that the endpoint is running and that OPENAI_BASE_URL is right."
            )
        if isinstance(error, APITimeoutError):
            silence = f"sent nothing for {self.timeout:g} s"
            place = f"stopped in the middle of its answer and {silence}" if reply.text else silence
            return ModelError(f"{self._who} {place}: try again, or raise PAIRLOOP_TIMEOUT if it is just slow.")
        if isinstance(error, APIConnectionError):
            dropped = f"{self._where} closed the connection without an answer: check its log, then run it again."
            return ModelError(self._cut() if reply.text else dropped)
        return ModelError(f"{self._who} reported an error while it was answering: {self._own_words(error)}")

    def _explained_status(self, error: APIStatusError) -> str:
        status, words = error.status_code, self._own_words(error)
        if status in (401, 403):
            return self._explained_key(status)
        if status == 404:
            if error.code == "model_not_found" or re.search(r"\bmodel\b", words, re.IGNORECASE):
                return f"{self._where} does not have the model {self.model_id}: check the model id (OPENAI_MODEL)."
            return f"{self._where} knows no such address (404): check OPENAI_BASE_URL, which usually ends in /v1."
        if status == 429 and error.code == "insufficient_quota":
            return f"The account behind OPENAI_API_KEY has no quota left at {self._where}: check its plan and billing."
        if status == 429:
            return f"{self._where} takes no more requests now (429): wait a little, or lower PAIRLOOP_CONCURRENCY."
        if status >= 500:
            return f"{self._where} failed on its side ({status}): try again later."
        if status == 413 or _TOO_LONG.search(words) or error.code == "context_length_exceeded":
            return (
                f"The query with its contexts is longer than {self.model_id} can read: lower PAIRLOOP_TOP_K, "
                "or choose a model that reads more."
            )
        return f"{self._where} refused the request ({status}): {words}"

    def _explained_key(self, status: int) -> str:
        if not self.api_key:
            return f"{self._where} wants a key ({status}): set OPENAI_API_KEY and start the app again."
        if status == 401:
            return f"{self._where} did not accept the key (401): check OPENAI_API_KEY."
        return f"{self._where} does not let this key use {self.model_id} (403): check OPENAI_API_KEY and its rights."

    def _own_words(self, error: APIError) -> str:
        """The endpoint's message in one short line, without the key, and without any page of HTML."""
        body = error.body
        if isinstance(body, dict):
            body = body.get("message") or body.get("detail") or body.get("error")
        words = " ".join(body.split()) if isinstance(body, str) else ""
        if not words or words.startswith("<"):
            return "it gave no reason."
        if self.api_key:
            words = words.replace(self.api_key, "…")
        return words if len(words) <= _OWN_WORDS else words[: _OWN_WORDS - 1] + "…"


@dataclass(slots=True)
class _Reply:
    """What has come in of one answer."""

    text: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0

    @property
    def visible(self) -> str:
        """The text without the thoughts that reasoning models write first, where a server leaves them in the text."""
        return _THOUGHTS.sub("", self.text, count=1) if self.text.lstrip().startswith("<think>") else self.text

    def add(self, source: object) -> bool:
        """Take in a chunk, or a completion that came as one, and tell whether it brought text.

        Chunks without choices carry usage, or nothing at all. What is not as the protocol says is passed over.
        """
        source = source if isinstance(source, dict) else {}
        usage = source.get("usage")
        if isinstance(usage, dict):
            self.prompt_tokens = usage.get("prompt_tokens")
            self.completion_tokens = usage.get("completion_tokens")
        choices = source.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        whole = choice.get("message")
        self.finish_reason = choice.get("finish_reason") or self.finish_reason or ("stop" if whole else None)
        message = whole or choice.get("delta")
        text, refusal = (message.get(key) if isinstance(message, dict) else None for key in ("content", "refusal"))
        self.text += text if isinstance(text, str) else ""
        self.refusal += refusal if isinstance(refusal, str) else ""
        return bool(text)


def _retry_wait(error: APIError, attempt: int, longest: float) -> float | None:
    """Seconds to wait before the next attempt, or None where another attempt is pointless or may be charged for."""
    from httpx2 import ConnectTimeout
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    backoff = min(_FIRST_RETRY_SECONDS * 2**attempt, _LONGEST_RETRY_SECONDS) * random.uniform(0.75, 1)
    if isinstance(error, APITimeoutError):
        return backoff if isinstance(error.__cause__, ConnectTimeout) else None
    if isinstance(error, APIConnectionError):
        return backoff
    if not isinstance(error, APIStatusError) or error.code == "insufficient_quota":
        return None
    headers, passing = error.response.headers, error.status_code in (408, 409, 429) or error.status_code >= 500
    if not passing or headers.get("x-should-retry") == "false":
        return None
    asked = _retry_after(headers.get("retry-after", ""))
    if not asked:
        return backoff
    return asked if asked <= longest else None


def _retry_after(value: str) -> float | None:
    """Seconds of a Retry-After header, which is a number of seconds or a date (RFC 9110, 10.2.3); None without one."""
    from email.utils import parsedate_to_datetime

    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
