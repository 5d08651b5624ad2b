"""What makes vectors of texts: a model of this machine, or one at an endpoint."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipeline.background import Background
from pipeline.errors import RetrievalError
from pipeline.models.endpoint_embeddings import EndpointEmbedder
from pipeline.models.endpoint_errors import Endpoint
from pipeline.models.onnx_embeddings import OnnxEmbedder
from pipeline.models.onnx_files import onnx_files
from pipeline.retrieval_settings import Embedding
from pipeline.settings import Settings


class Embedder(Protocol):
    """A sentence-embedding model. Its vectors have length 1, so that a dot product is their cosine."""

    fingerprint: str
    # How many texts are best given at once.
    batch: int

    @property
    def dimensions(self) -> int:
        """The length of a vector."""

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of passages, of shape (texts, dimensions); RetrievalError where there are none."""

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of queries; RetrievalError where there are none."""


@dataclass(slots=True, eq=False)
class _Place:
    """Where a model is kept once it is open; the lock is held while it is being opened."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    embedder: Embedder | None = None


class Embedders:
    """Opens embedding models at first use and keeps them."""

    def __init__(self, settings: Settings, background: Background) -> None:
        self._settings = settings
        self._background = background
        self._places: dict[Embedding, _Place] = {}
        self._lock = threading.Lock()

    def open(self, embedding: Embedding) -> Embedder:
        """Return a model; one that is fetched from the Hub for the first time takes as long as that takes.

        Others are opened meanwhile.

        Raises:
            RetrievalError: it cannot be had; the message says why.
        """
        with self._lock:
            place = self._places.setdefault(embedding, _Place())
        with place.lock:
            if place.embedder is None:
                place.embedder = self._make(embedding)
            return place.embedder

    def _make(self, embedding: Embedding) -> Embedder:
        settings = self._settings
        if embedding.kind == "onnx":
            return OnnxEmbedder(onnx_files(embedding.model, embedding.file, settings.hf_endpoint, settings.hf_token))
        self._check_key(embedding)
        endpoint = Endpoint(
            embedding.base_url.rstrip("/"),
            settings.key(embedding.key) if embedding.key else "",
            embedding.model,
            settings.timeout,
            key_name=embedding.key or "the name of its key on Settings, Retrieval",
            address_name="its address on Settings, Retrieval",
        )
        return EndpointEmbedder(endpoint, self._background)

    def _check_key(self, embedding: Embedding) -> None:
        if not embedding.key:
            return
        if not self._settings.key(embedding.key):
            raise RetrievalError(
                f"{embedding.key} is not set: set it where the app is started, and start again. Names of keys end in _KEY or "
                "_TOKEN."
            )
        if not self._settings.may_send(embedding.key, embedding.base_url):
            raise RetrievalError(self._settings.why_not_sent(embedding.key))
