"""What an OpenAI-compatible endpoint answers to ``/v1/embeddings``: vectors of the words of a text."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable, Mapping
from hashlib import sha256

PARAMETERS = {"model", "input", "encoding_format", "dimensions", "user"}


def vector_of_words(text: str, dimensions: int = 48) -> list[float]:
    """Return the sum of a direction for each word, which is a place that its hash chooses."""
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = sha256(word.encode()).digest()
        vector[digest[0] % dimensions] += 1 if digest[1] % 2 else -1
        vector[digest[2] % dimensions] += 0.5
    return vector


def check(body: object) -> str:
    """Return why a request is refused, or ""."""
    if not isinstance(body, dict):
        return "We could not parse the JSON body of your request."
    if strange := set(body) - PARAMETERS:
        return f"Unrecognized request argument supplied: {sorted(strange)[0]}"
    texts = body.get("input")
    if not isinstance(texts, list) or not texts or len(texts) > 2048 or "" in texts:
        return "'$.input' is invalid."
    if body.get("encoding_format", "float") not in ("float", "base64"):
        return "Invalid 'encoding_format'."
    return ""


def embeddings(body: Mapping[str, object], embed: Callable[[str], list[float]]) -> dict[str, object]:
    """Return the answer in OpenAI's shape: numbers, or base64 of little-endian 32-bit floats."""
    vectors = [embed(text) for text in body["input"]]
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{len(one)}f", *one)).decode() for one in vectors]
    data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)]
    words = sum(len(text.split()) for text in body["input"])
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}
