"""Training files in OpenAI's chat format: writing them, checking them, counting their tokens.

The checks are those of the OpenAI cookbook's "Data preparation and analysis for chat model fine-tuning"
(``Chat_finetuning_data_prep.ipynb``), under its names, with a rule added for tool calls, which it predates.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

Message = Mapping[str, object]

_KEYS = {"role", "content", "name", "function_call", "weight", "tool_calls", "tool_call_id"}
_ROLES = ("system", "user", "assistant", "function", "tool")
# Legal inside JSON, but Python's splitlines and some JSONL readers end a line there.
_LINE_ENDS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "\x85\u2028\u2029"}

_CL100K_FILE = "_static/tiktoken_cache/9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
# The splitting pattern of cl100k_base, from tiktoken's openai_public.py (MIT).
_CL100K_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line (1 is the first): the cookbook's name for it, and a sentence for the reader."""

    line: int
    key: str
    message: str


def chat_row(messages: Sequence[Message], answer: str) -> dict[str, list[Message]]:
    """Return a training row: the messages that were sent to the model, and the answer it should have given."""
    return {"messages": [*messages, {"role": "assistant", "content": answer}]}


def to_chat_jsonl(rows: Iterable[Mapping[str, object]]) -> str:
    """Return ``rows`` as JSONL: one object a line, in UTF-8 without escapes, ending in a line feed."""
    return "".join(json.dumps(row, ensure_ascii=False).translate(_LINE_ENDS) + "\n" for row in rows)


def validate_chat_jsonl(lines: Iterable[str]) -> list[Problem]:
    """Return what is wrong with the lines of a chat training file, in order; an empty list is a valid file."""
    return [
        Problem(number, key, message)
        for number, line in enumerate(lines, start=1)
        for key, message in _line_problems(line)
    ]


def chat_tokens(messages: Sequence[Message]) -> int:
    """Return about how many tokens a row of ``messages`` counts in training.

    The cookbook's rule: 3 a message, the tokens of each text in it, 1 more for a name, and 3 a row.
    """
    texts = sum(estimate_tokens(value) for message in messages for value in message.values() if isinstance(value, str))
    return 3 + 3 * len(messages) + sum("name" in message for message in messages) + texts


def estimate_tokens(text: str) -> int:
    """Return about how many tokens ``text`` has; :func:`token_unit` says how that was counted."""
    return _counter()(text)


def token_unit() -> str:
    """Return what :func:`estimate_tokens` counts: ``cl100k_base`` tokens, or characters divided by 4."""
    return "characters / 4" if _counter() is _quarter else "cl100k_base"


def _line_problems(line: str) -> Iterator[tuple[str, str]]:
    if not line.strip():
        yield "blank_line", "This line is blank: remove it."
        return
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        yield "not_json", "This line is not JSON: each line must be one complete JSON object."
        return
    if not isinstance(row, dict):
        yield "data_type", "This line is JSON, but not an object in curly braces."
        return
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "missing_messages_list", "This line has no list of messages under the key 'messages'."
        return
    for number, message in enumerate(messages, start=1):
        yield from _message_problems(number, message)
    if not any(isinstance(message, dict) and message.get("role") == "assistant" for message in messages):
        yield "example_missing_assistant_message", "No message has the role assistant: there is nothing to learn."


def _message_problems(number: int, message: object) -> Iterator[tuple[str, str]]:
    if not isinstance(message, dict):
        yield "message_missing_key", f"Message {number} is not an object with 'role' and 'content'."
        return
    calls_tools = message.get("role") == "assistant" and bool(message.get("tool_calls"))
    missing = [key for key in ("role", "content") if key not in message and not (key == "content" and calls_tools)]
    if missing:
        yield "message_missing_key", f"Message {number} has no {' and no '.join(map(repr, missing))}."
    unknown = [key for key in message if key not in _KEYS]
    if unknown:
        yield "message_unrecognized_key", f"Message {number} has keys that are not allowed: {', '.join(unknown)}."
    if message.get("role") not in _ROLES:
        yield "unrecognized_role", f"The role of message {number} is none of {', '.join(_ROLES)}."
    content = message.get("content")
    empty = not isinstance(content, str) or (not content and not message.get("function_call"))
    if empty and not (calls_tools and content in (None, "")):
        yield "missing_content", f"Message {number} has no text as its content."


@cache
def _counter() -> Callable[[str], int]:
    """Return a counter of cl100k_base tokens from the table that llama-index-core ships; it works offline.

    Read on first use (0.2 s, 40 MB), and without tiktoken's own loader, which looks at the environment and downloads.
    """
    # Finding a package imports only what it lies in: neither is imported unless both are there.
    spec = find_spec("llama_index.core") if find_spec("llama_index") and find_spec("tiktoken") else None
    table = Path(spec.origin).parent / _CL100K_FILE if spec and spec.origin else None
    if table is None or not table.is_file():
        return _quarter
    from tiktoken import Encoding

    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, table.read_bytes().splitlines())}
    encoding = Encoding("cl100k_base", pat_str=_CL100K_PATTERN, mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode_ordinary(text))


def _quarter(text: str) -> int:
    return -(-len(text) // 4)
