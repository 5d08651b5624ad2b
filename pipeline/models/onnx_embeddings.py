"""Sentence embeddings in this process: an ONNX model with onnxruntime, its tokenizer with tokenizers (extra ``semantic``).

What a folder of sentence-transformers says about pooling, the longest input and prompts is followed where it says it;
otherwise the mean of the token vectors under the mask, 256 tokens and no prompts, which is all-MiniLM-L6-v2.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import RetrievalError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MAX_TOKENS = 256
BATCH = 16
INSTALL = "pip install 'pairloop[semantic]'"
CONFIGS = ("sentence_bert_config.json", "1_Pooling/config.json", "config_sentence_transformers.json")


@dataclass(frozen=True, slots=True)
class OnnxFiles:
    """The files of one model. ``configs`` holds those of sentence-transformers that are there, by name."""

    model: Path
    tokenizer: Path
    configs: dict[str, Path]


@dataclass(frozen=True, slots=True)
class _Manner:
    """How texts become vectors."""

    max_tokens: int = MAX_TOKENS
    first_token: bool = False
    query_prompt: str = ""
    passage_prompt: str = ""


class OnnxEmbedder:
    """Embeds texts with an ONNX model. May be called from several threads; its vectors have length 1."""

    batch = 2 * BATCH

    def __init__(self, files: OnnxFiles) -> None:
        """Load the model, which takes a third of a second for MiniLM.

        Raises:
            RetrievalError: the extra is not installed, or the files are no sentence-embedding model.
        """
        self._manner = _manner(files.configs)
        self._tokenizer = _open_tokenizer(files.tokenizer, self._manner.max_tokens)
        self._session = _open_session(files.model)
        self._inputs = {item.name for item in self._session.get_inputs()}
        self._lock = threading.Lock()
        self.fingerprint = _digest(files)
        self.dimensions = int(self.passages(["dimensions"]).shape[1])

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of passages, of shape (texts, dimensions)."""
        return self._embed([self._manner.passage_prompt + text for text in texts])

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of queries."""
        return self._embed([self._manner.query_prompt + text for text in texts])

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        encoded = self._tokenizer.encode_batch(list(texts))
        # Texts of about one length share a batch: what is padded is computed for nothing.
        order = sorted(range(len(texts)), key=lambda at: len(encoded[at].ids))
        vectors: np.ndarray | None = None
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            found = self._run([encoded[at] for at in places])
            if vectors is None:
                vectors = np.empty((len(texts), found.shape[1]), np.float32)
            vectors[places] = found
        return np.zeros((0, self.dimensions), np.float32) if vectors is None else vectors

    def _run(self, encoded: Sequence[Any]) -> np.ndarray:
        longest = max(len(one.ids) for one in encoded)
        ids, mask = np.zeros((2, len(encoded), longest), np.int64)
        for row, one in enumerate(encoded):
            ids[row, : len(one.ids)] = one.ids
            mask[row, : len(one.ids)] = one.attention_mask
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        pooled = self._pooled(self._states({name: given[name] for name in self._inputs}), mask)
        if not np.isfinite(pooled).all():
            raise RetrievalError(
                "The embedding model gave vectors that hold no numbers: choose another file of it, or another model, on "
                "Settings, Retrieval."
            )
        return normalised(pooled)

    def _states(self, given: dict[str, np.ndarray]) -> np.ndarray:
        """Return the first output of the model.

        Raises:
            RetrievalError: the model cannot compute it, for example because its tokenizer is another model's.
        """
        try:
            with self._lock:
                return self._session.run(None, given)[0]
        except _refusals() as error:
            raise RetrievalError(
                "The embedding model failed at a text: see whether its tokenizer.json belongs to it and whether memory is "
                f"left. It said: {str(error)[:300]}"
            ) from error

    def _pooled(self, states: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if states.ndim == 2:
            return states
        if self._manner.first_token:
            return states[:, 0]
        weights = mask[:, :, None].astype(np.float32)
        return (states * weights).sum(1) / np.maximum(weights.sum(1), 1e-9)


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Return vectors of length 1, as 32-bit floats; a vector of zeros stays one."""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _refusals() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises: classes of its own that share no base, and ValueError where an input is missing."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    own = [item for item in vars(states).values() if isinstance(item, type) and issubclass(item, Exception)]
    return (*own, ValueError)


def _open_session(path: Path) -> InferenceSession:
    try:
        import onnxruntime  # 0.2 s
    except ImportError as error:
        raise RetrievalError(
            f"Embedding on this machine needs the extra packages: {INSTALL}, then start again."
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that wait by spinning take the processor from the people who use the app meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _refusals() as error:
        raise RetrievalError(f"{path.name} cannot be read as an ONNX model: download it again.") from error
    unknown = {item.name for item in session.get_inputs()} - {"input_ids", "attention_mask", "token_type_ids"}
    if unknown:
        raise RetrievalError(f"{path.name} is no sentence-embedding model: it also wants {', '.join(sorted(unknown))}.")
    return session


def _open_tokenizer(path: Path, max_tokens: int) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise RetrievalError(
            f"Embedding on this machine needs the extra packages: {INSTALL}, then start again."
        ) from error
    try:
        tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
        raise RetrievalError(f"{path.name} cannot be read as a tokenizer: download it again.") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _manner(configs: dict[str, Path]) -> _Manner:
    sizes, pooling, prompts = (_json(configs.get(name)) for name in CONFIGS)
    longest, named = sizes.get("max_seq_length"), prompts.get("prompts")
    named = named if isinstance(named, dict) else {}
    return _Manner(
        max_tokens=longest if isinstance(longest, int) and 8 <= longest <= 8192 else MAX_TOKENS,
        first_token=pooling.get("pooling_mode_cls_token") is True,
        query_prompt=str(named.get("query", "")),
        passage_prompt=str(named.get("document", named.get("passage", ""))),
    )


def _json(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _digest(files: OnnxFiles) -> str:
    """Return what tells this model from others: its weights, its tokenizer and its configuration."""
    whole = hashlib.sha256()
    for path in (files.model, files.tokenizer, *(files.configs[name] for name in sorted(files.configs))):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]
