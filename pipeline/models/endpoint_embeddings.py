"""Embeddings of an OpenAI-compatible endpoint (``/v1/embeddings``), through the ``openai`` client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from pipeline.background import Background
from pipeline.errors import ModelError, RetrievalError
from pipeline.models.clients import client_of
from pipeline.models.endpoint_errors import Endpoint, retry_of
from pipeline.models.onnx_embeddings import normalised
from pipeline.models.replies import Reply

BATCH = 32
AT_ONCE = 4
_ATTEMPTS = 4


class EndpointEmbedder:
    """Embeds texts at an endpoint: several requests at once, retried, with every vector checked.

    Its methods wait for the event loop of the process, so they may be called from any thread but that loop's.
    """

    batch = BATCH * AT_ONCE

    def __init__(self, endpoint: Endpoint, background: Background) -> None:
        self._endpoint = endpoint
        self._background = background
        # Some servers do not know base64, which takes a third of the bytes; learnt from the first refusal.
        self._encoding = "base64"
        self._width = 0
        told = f"{endpoint.where}\x00{endpoint.model_id}"
        self.fingerprint = hashlib.sha256(told.encode()).hexdigest()[:16]

    @cached_property
    def dimensions(self) -> int:
        """The length of its vectors, which one request tells.

        Raises:
            RetrievalError: the endpoint gives none.
        """
        return int(self.passages(["dimensions"]).shape[1])

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """Return vectors of length 1, of shape (texts, dimensions).

        Raises:
            RetrievalError: the endpoint gave no usable vectors; the message says why and what to do.
        """
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        try:
            return self._background.submit(self._all(texts)).result()
        except ModelError as error:
            raise RetrievalError(str(error)) from error

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of queries: the same as of passages."""
        return self.passages(texts)

    async def _all(self, texts: Sequence[str]) -> np.ndarray:
        free = asyncio.Semaphore(AT_ONCE)

        async def some(start: int) -> np.ndarray:
            async with free:
                return await self._batch(texts[start : start + BATCH])

        starts = range(0, len(texts), BATCH)
        # All are waited for: those that are under way are paid for.
        results = await asyncio.gather(*map(some, starts), return_exceptions=True)
        if failed := next((result for result in results if isinstance(result, BaseException)), None):
            raise failed
        return np.concatenate(results)

    async def _batch(self, texts: Sequence[str]) -> np.ndarray:
        from httpx2 import TransportError
        from openai import APIError

        attempt = 1
        while True:
            encoding = self._encoding
            try:
                return self._checked(await self._request(texts, encoding), len(texts))
            except (APIError, TransportError) as error:
                # Requests that were under way before the first refusal are asked anew as well.
                if encoding == "base64" and _refuses_base64(error):
                    self._encoding = "float"
                    continue
                retry = retry_of(error, attempt, self._endpoint.timeout) if attempt < _ATTEMPTS else None
                if retry is None:
                    raise self._endpoint.explained(error, Reply(attempts=attempt)) from error
            except ValueError as error:
                raise self._endpoint.not_an_api() from error
            attempt += 1
            await asyncio.sleep(retry.seconds)

    async def _request(self, texts: Sequence[str], encoding: str) -> object:
        from openai import Omit

        endpoint = self._endpoint
        client = client_of(endpoint.base_url, endpoint.api_key, endpoint.timeout)
        headers = {} if endpoint.api_key else {"Authorization": Omit()}
        # An empty text is refused by some; nothing is embedded by itself anyway.
        wanted = [text or " " for text in texts]
        return await client.embeddings.create(
            model=endpoint.model_id, input=wanted, encoding_format=encoding, extra_headers=headers
        )

    def _checked(self, answer: object, count: int) -> np.ndarray:
        """Return the vectors of an answer in the order of the texts.

        Raises:
            ModelError: some are missing, of another length than before, or no vectors.
            ValueError: this is no answer of such an endpoint.
        """
        data = getattr(answer, "data", None)
        if not isinstance(data, list):
            raise ValueError("no data")
        placed = {int(getattr(item, "index", at)): _numbers(item.embedding) for at, item in enumerate(data)}
        if sorted(placed) != list(range(count)):
            raise ModelError(f"{self._endpoint.who} sent {len(data)} vectors for {count} texts: look into its log.")
        widths = {len(vector) for vector in placed.values()} | ({self._width} if self._width else set())
        if len(widths) != 1 or not min(widths):
            raise ModelError(
                f"{self._endpoint.who} sent vectors of different lengths ({', '.join(map(str, sorted(widths)))}): its model has "
                "changed. Start the app again, or give the new model a name of its own."
            )
        self._width = widths.pop()
        vectors = np.stack([placed[at] for at in range(count)])
        if not np.isfinite(vectors).all() or not vectors.any(1).all():
            raise ModelError(f"{self._endpoint.who} sent vectors that are none: zeros, or no numbers.")
        return normalised(vectors)


def _refuses_base64(error: Exception) -> bool:
    words = error.response.text if getattr(error, "status_code", None) in (400, 422) else ""
    return "encoding_format" in words or "base64" in words


def _numbers(embedding: object) -> np.ndarray:
    """Return a vector that came as numbers, or as base64 of little-endian 32-bit floats."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
    return np.asarray(embedding, np.float32)
