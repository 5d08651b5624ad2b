"""How a workspace retrieves passages: the method, how many, how documents are cut, and what makes vectors of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pipeline.errors import RetrievalError

TOP_K = range(1, 21)
CHUNK_TOKENS = range(32, 2049)
DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_FILE = "onnx/model.onnx"
# Measured with all-MiniLM-L6-v2 on XQuAD (1,190 English queries, 240 passages): under it lie 1 % of the passages that answer
# a query and 95 % of all pairs of a query and a passage.
LEAST_SIMILARITY = 0.2
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")


class Method(StrEnum):
    """How passages are found: by words (BM25), by vectors, or by both with their ranks fused."""

    BM25 = "bm25"
    DENSE = "dense"
    FUSED = "fused"


@dataclass(frozen=True, slots=True)
class Chunking:
    """The most tokens of a chunk, and how many neighbours share."""

    size: int = 256
    overlap: int = 32

    def __str__(self) -> str:
        """Return the name of these sizes, as chunks are marked with it: ``256/32``."""
        return f"{self.size}/{self.overlap}"


@dataclass(frozen=True, slots=True)
class Embedding:
    """What makes vectors: ``onnx`` (a folder or a Hub id, and a file in it) or ``endpoint`` (a model id at an address).

    ``key`` is the name of the environment variable that holds the endpoint's key, "" for none.
    """

    kind: str = "onnx"
    model: str = DEFAULT_MODEL
    file: str = DEFAULT_FILE
    base_url: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """The retrieval settings of a workspace; ``top_k`` None is what the environment says."""

    method: Method = Method.BM25
    top_k: int | None = None
    chunking: Chunking = Chunking()
    embedding: Embedding = Embedding()
    least_similarity: float = LEAST_SIMILARITY

    @property
    def uses_vectors(self) -> bool:
        """Say whether an embedding model is asked."""
        return self.method is not Method.BM25


def check(settings: RetrievalSettings) -> RetrievalSettings:
    """Return ``settings``.

    Raises:
        RetrievalError: a value cannot be used.
    """
    chunking, embedding = settings.chunking, settings.embedding
    if settings.top_k is not None and settings.top_k not in TOP_K:
        raise RetrievalError("The number of passages is a whole number from 1 to 20.")
    if chunking.size not in CHUNK_TOKENS:
        raise RetrievalError("A passage has from 32 to 2,048 tokens.")
    if not 0 <= chunking.overlap <= chunking.size // 2:
        raise RetrievalError("Neighbouring passages share from 0 tokens to half of a passage.")
    if not 0 <= settings.least_similarity < 1:
        raise RetrievalError("The least similarity is a number from 0 to under 1.")
    if settings.uses_vectors:
        check_embedding(embedding)
    return settings


def check_embedding(embedding: Embedding) -> None:
    """Check what makes vectors.

    Raises:
        RetrievalError: a value cannot be used.
    """
    if not embedding.model.strip():
        raise RetrievalError("Name the embedding model: a folder, a Hub id, or the endpoint's model id.")
    if embedding.kind not in ("onnx", "endpoint"):
        raise RetrievalError("An embedding model runs on this machine or at an endpoint.")
    if embedding.kind == "endpoint" and not re.match(r"https?://[^@\s]+\Z", embedding.base_url):
        raise RetrievalError("The address of the endpoint begins with http:// or https:// and holds no key.")
    if embedding.key and not _NAME.fullmatch(embedding.key):
        raise RetrievalError("Give the name of the environment variable that holds the key, not the key itself.")


def to_text(settings: RetrievalSettings) -> str:
    """Return settings as the JSON text that the store keeps."""
    return json.dumps(asdict(settings), sort_keys=True)


def from_text(text: str | None) -> RetrievalSettings:
    """Return the settings of a JSON text; what is missing, or cannot be used, is the default.

    The text may be another replica's, of a newer version even: a workspace opens all the same.
    """
    try:
        return read_text(text or "{}")
    except (ValueError, RetrievalError):
        return RetrievalSettings()


def read_text(text: str) -> RetrievalSettings:
    """Return the settings of a JSON text; what is missing is the default.

    Raises:
        ValueError: it is no JSON object, or a value is of another kind.
        RetrievalError: a value cannot be used.
    """
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("These settings are no JSON object.")
    try:
        return check(_read(value))
    except TypeError as error:
        raise ValueError(str(error)) from error


def _read(value: Mapping[str, Any]) -> RetrievalSettings:
    plain = RetrievalSettings()
    parts: dict[str, Any] = {name: _known(kind, value.get(name)) for name, kind in _PARTS.items()}
    top_k = value.get("top_k")
    return RetrievalSettings(
        method=Method(value.get("method", plain.method)),
        top_k=None if top_k is None else int(top_k),
        chunking=Chunking(**{name: int(number) for name, number in parts["chunking"].items()}),
        embedding=Embedding(**{name: str(text) for name, text in parts["embedding"].items()}),
        least_similarity=float(value.get("least_similarity", plain.least_similarity)),
    )


_PARTS = {"chunking": Chunking, "embedding": Embedding}


def _known(kind: type, value: object) -> dict[str, Any]:
    """Return the entries of a mapping that are fields of ``kind``."""
    return {name: entry for name, entry in value.items() if name in kind.__slots__} if isinstance(value, dict) else {}
