"""A chat model behind an OpenAI-compatible endpoint: OpenAI, Hugging Face router, vLLM, Ollama, llama.cpp and others.

Retries are our own and not the client's: the client would sit out a Retry-After of two minutes without a word, and send a
request again that the endpoint may be working on.
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pipeline.errors import ModelError
from pipeline.models.causes import Cause
from pipeline.models.clients import client_of, close_clients, without_user
from pipeline.models.endpoint_errors import Endpoint, retry_of
from pipeline.models.events import DONE, events
from pipeline.models.replies import Probe, Reply
from pipeline.models.waits import Wait, tell
from pipeline.prompts import Template, is_refusal, parse_citations, render_messages
from pipeline.records import Answer, Context

if TYPE_CHECKING:
    from httpx2 import Response
    from openai import AsyncOpenAI

__all__ = ("ChatModel", "close_clients")

# An endpoint that trickles for ever is never silent; ten times the allowed silence is the end of one answer.
_LONGEST_ANSWER = 10
# Nor is an answer of a language model ever as long, whatever an endpoint sends.
_MOST_BYTES = 20_000_000
# What may still come after the end of an answer is waited for this long, so that its connection can be used again.
_DRAIN_SECONDS = 0.1


@dataclass(frozen=True, eq=False)
class ChatModel:
    """Asks one model of one endpoint, streaming.

    Without ``api_key`` no Authorization header is sent. ``temperature``, ``top_p``, ``max_tokens``, ``seed`` and ``stop``
    are sent only if set; ``extra`` goes into the body as it is. With ``api_version`` the endpoint is asked as Azure's
    deployments are. ``key_name`` and ``address_name`` say where the key and the address were set, for messages.
    ``timeout`` is how many seconds the endpoint may stay silent, before and within an answer; an answer as a whole may
    take ten times as long. ``max_retries`` counts for connections that fail and for 408, 409, 429 and 5xx, as long as
    no text has come: with exponential back-off, or after the endpoint's Retry-After if that is not longer than
    ``timeout``; other requests of this model wait for that too. Silence and an answer that is cut off are not retried,
    since the endpoint may charge for each.
    """

    base_url: str
    api_key: str = field(repr=False)
    model_id: str
    template: Template = field(repr=False)
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float = 60.0
    max_retries: int = 2
    top_p: float | None = None
    seed: int | None = None
    stop: Sequence[str] | None = None
    extra: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    api_version: str = ""
    key_name: str = "OPENAI_API_KEY"
    address_name: str = "OPENAI_BASE_URL"
    # Parameters that this endpoint turned out not to take; learnt from its first refusal.
    _refused: set[str] = field(default_factory=set, init=False, repr=False)
    # The wait that the endpoint asked for last: until then nothing is sent.
    _asked: list[Wait] = field(default_factory=list, init=False, repr=False)

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
            raise self._endpoint.empty(reply)
        return Answer(
            text=text or reply.refusal.strip(),
            refused=not text,
            seconds=reply.seconds,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            first_text_seconds=reply.first_text_seconds,
            attempts=reply.attempts,
        )

    async def probe(self, messages: list[dict[str, str]]) -> Probe:
        """Send one request and return what came back, as it came.

        Raises:
            ModelError: as for :meth:`answer`.
        """
        reply = await self._ask(messages, None)
        return Probe(
            text=reply.text or reply.refusal,
            model=reply.model,
            finish_reason=reply.finish_reason or "",
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
            raise self._endpoint.explained(error, Reply()) from error
        except ValueError as error:
            raise self._endpoint.not_an_api() from error
        models = getattr(page, "data", None)
        if not isinstance(models, list):
            raise self._endpoint.not_an_api()
        return sorted(model.id for model in models)

    async def _ask(self, messages: list[dict[str, str]], on_text: Callable[[str], None] | None) -> Reply:
        from httpx2 import TransportError
        from openai import APIError

        attempt, wait = 1, None
        while True:
            await self._pause(attempt, wait)
            request = self._request(messages)
            reply = Reply(attempts=attempt)
            try:
                await self._receive(request, reply, on_text)
                return reply
            except (APIError, TransportError) as error:
                if self._adapts(request, error):
                    continue
                wait = None if reply.text or attempt > self.max_retries else self._wait(error, attempt)
                if wait is None:
                    raise self._endpoint.explained(error, reply) from error
            except ValueError as error:
                raise self._endpoint.not_an_api() from error
            except TimeoutError as error:
                raise self._endpoint.too_slow(self.timeout * _LONGEST_ANSWER) from error
            attempt += 1

    def _wait(self, error: Exception, attempt: int) -> Wait | None:
        """Return the wait before the attempt after number ``attempt``, or None where there is to be none."""
        retry = retry_of(error, attempt, self.timeout)
        if retry is None:
            return None
        wait = Wait(time.monotonic() + retry.seconds, retry.reason, attempt + 1, self.max_retries + 1)
        if retry.asked:
            self._asked[:] = [wait]
        return wait

    async def _pause(self, attempt: int, wait: Wait | None) -> None:
        """Wait before an attempt: for its own back-off, and as long as the endpoint has asked any request to."""
        waited = False
        while True:
            due = max((item for item in (wait, *self._asked) if item), key=lambda item: item.until, default=None)
            if due is None or due.until <= time.monotonic():
                break
            waited = True
            tell(replace(due, attempt=attempt))
            await asyncio.sleep(due.until - time.monotonic())
        if waited:
            tell(None)

    def _request(self, messages: list[dict[str, str]]) -> dict[str, object]:
        request: dict[str, object] = {"model": self.model_id, "messages": messages, "stream": True, **self.extra}
        if "stream_options" not in self._refused:
            request["stream_options"] = {"include_usage": True}
        for name in ("temperature", "top_p", "seed", "stop"):
            if (value := getattr(self, name)) is not None:
                request[name] = value
        if self.max_tokens is not None:
            request["max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"] = self.max_tokens
        return request

    def _adapts(self, request: dict[str, object], error: Exception) -> bool:
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

    async def _receive(self, request: dict[str, object], reply: Reply, on_text: Callable[[str], None] | None) -> None:
        import httpx2
        from openai import AsyncStream

        start = time.perf_counter()
        # The answer of the transport as it is: what the client makes of each chunk costs more than all the rest.
        response = await self._client().post(
            "/chat/completions",
            cast_to=httpx2.Response,
            body=request,
            options={"headers": self._headers(), "security": {"bearer_auth": True}},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        try:
            async with asyncio.timeout(self.timeout * _LONGEST_ANSWER):
                if "event-stream" in response.headers.get("content-type", "event-stream"):
                    await self._read(response, reply, on_text, start)
                else:
                    self._whole(b"".join([piece async for piece in self._bounded(response)]), reply, on_text, start)
        finally:
            with suppress(httpx2.TransportError):
                await response.aclose()
        if reply.finish_reason is None and (reply.text or reply.refusal):
            raise self._endpoint.cut()

    async def _read(
        self, response: Response, reply: Reply, on_text: Callable[[str], None] | None, start: float
    ) -> None:
        """Take in a stream of events until it says that it is done, or ends."""
        from httpx2 import TransportError

        coming = events(self._bounded(response))
        try:
            await self._take_in(coming, reply, on_text, start)
        except (TransportError, ValueError):
            # What goes wrong after the end of an answer takes nothing from it: it is complete, and paid for.
            if not (reply.finish_reason and (reply.text or reply.refusal)):
                raise
        reply.seconds = time.perf_counter() - start
        with suppress(TimeoutError, TransportError, ValueError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for _ in coming:
                    pass

    async def _take_in(
        self, coming: AsyncIterator[object], reply: Reply, on_text: Callable[[str], None] | None, start: float
    ) -> None:
        async for chunk in coming:
            if chunk is DONE:
                return
            if isinstance(chunk, dict) and chunk.get("error"):
                raise self._endpoint.reported(chunk["error"])
            if reply.add(chunk):
                _tell_text(reply, on_text, start)

    async def _bounded(self, response: Response) -> AsyncIterator[bytes]:
        """Yield the body of an answer, as much of it as any answer may have."""
        size = 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > _MOST_BYTES:
                raise self._endpoint.too_long(_MOST_BYTES)
            yield piece

    def _whole(self, body: bytes, reply: Reply, on_text: Callable[[str], None] | None, start: float) -> None:
        """Read the answer of an endpoint that ignores ``stream`` and sends it as one JSON object."""
        completion = json.loads(body)
        if not isinstance(completion, dict) or not isinstance(completion.get("choices"), list):
            raise self._endpoint.not_an_api()
        reply.seconds = time.perf_counter() - start
        if reply.add(completion):
            _tell_text(reply, on_text, start)

    def _client(self) -> AsyncOpenAI:
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ModelError(f"{self.key_name} holds characters that no key has: copy the key again.", Cause.KEY)
        try:
            return client_of(without_user(self.base_url)[0], self.api_key, self.timeout, self.api_version)
        except ValueError as error:
            raise ModelError(
                f"{self.address_name} is not an address: {self._endpoint.where!r}.", Cause.WRONG_ADDRESS
            ) from error

    def _headers(self) -> dict[str, object]:
        from openai import Omit

        if user := without_user(self.base_url)[1]:
            return {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"}
        return {} if self.api_key else {"Authorization": Omit()}

    @property
    def _endpoint(self) -> Endpoint:
        return Endpoint(self.base_url, self.api_key, self.model_id, self.timeout, self.key_name, self.address_name)


def _tell_text(reply: Reply, on_text: Callable[[str], None] | None, start: float) -> None:
    visible = reply.visible
    if not visible:
        return
    if reply.first_text_seconds is None:
        reply.first_text_seconds = time.perf_counter() - start
    if on_text is not None:
        on_text(visible)
