"""What comes in of one answer of an OpenAI-compatible endpoint, chunk by chunk or at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

_THOUGHTS = re.compile(r"\s*<think>.*?(?:</think>|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Probe:
    """What an endpoint sent for one request. ``text`` is as it came; ``model`` is what the endpoint calls what answered."""

    text: str
    model: str
    finish_reason: str
    seconds: float
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(slots=True)
class Reply:
    """What has come in of one answer."""

    text: str = ""
    model: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    # Until its first text, and how many requests were made up to this one.
    first_text_seconds: float | None = None
    attempts: int = 1

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
            self.prompt_tokens = _count(usage.get("prompt_tokens"))
            self.completion_tokens = _count(usage.get("completion_tokens"))
        if isinstance(source.get("model"), str):
            self.model = source["model"]
        choices = source.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        whole = choice.get("message")
        self.finish_reason = choice.get("finish_reason") or self.finish_reason or ("stop" if whole else None)
        message = whole or choice.get("delta")
        text, refusal = (message.get(key) if isinstance(message, dict) else None for key in ("content", "refusal"))
        self.text += text if isinstance(text, str) else ""
        self.refusal += refusal if isinstance(refusal, str) else ""
        return bool(text)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
