"""Answers that name who made them: a blind vote would not be blind. The name is masked, on every side alike."""

from __future__ import annotations

import re
from collections.abc import Collection

MASK = "[name hidden]"
_VERSION = r"(?:[- ]?\d[\w.-]*)?"
_MODELS = (
    rf"ChatGPT{_VERSION}|GPT[- ]?[345][\w.-]*|Claude(?:[- ](?:\d[\w.]*|Opus|Sonnet|Haiku|Instant))*|Bard|"
    rf"Gemini(?:[- ](?:\d[\w.]*|Pro|Flash|Ultra|Nano))*|LLaMA{_VERSION}|Mistral{_VERSION}|Mixtral{_VERSION}|Qwen{_VERSION}|"
    rf"DeepSeek{_VERSION}|Copilot|Grok{_VERSION}|Command R\+?|Phi{_VERSION}|Gemma{_VERSION}|SmolLM{_VERSION}|Kimi{_VERSION}|"
    rf"GLM{_VERSION}|ERNIE(?: Bot)?{_VERSION}|Vicuna|Alpaca|Nova(?: (?:Pro|Lite|Micro))?"
)
_COMPANIES = (
    r"OpenAI|Anthropic|Google(?: DeepMind| AI)?|DeepMind|Meta(?: AI)?|Mistral(?: AI)?|Alibaba(?: Cloud)?|DeepSeek|Microsoft|xAI|"
    r"Cohere|Hugging ?Face|Amazon|Moonshot(?: AI)?|Zhipu(?: AI)?|Baidu|Nvidia"
)
# Only what an answer says of itself: a text *about* a company or a model keeps their names.
_FIRST_PERSON = r"(?:\b(?:i|i['’]m|me)\b|\bas an? (?:ai|large|language|artificial)\b)"
_SELF = (
    re.compile(
        r"(?P<before>\b(?:as|i am|i['’]m|my name is|call me)\s+(?:(?:an?|the|ai|large|language|model|assistant|named)\s+)*)"
        rf"(?P<name>{_MODELS})\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?P<before>{_FIRST_PERSON}[^.!?\n]{{0,80}}\b(?:trained|developed|created|made|built|designed|called|named|based on)"
        rf"(?:\s+by)?\s+)(?P<name>{_COMPANIES}|{_MODELS})\b",
        re.IGNORECASE,
    ),
)
# A registered name is looked for as a word only where it can hardly be one of the language.
_DISTINCT = re.compile(r"(?=.*[\d_./:-])(?=.*[A-Za-z]).{4,}")


def masked(text: str, names: Collection[str] = ()) -> str:
    """Return an answer in which the name of its maker is replaced by :data:`MASK`.

    Looked for are the well-known names where an answer speaks of itself ("As ChatGPT", "I was trained by OpenAI"), and
    ``names``, those of the workspace's models and the ids that their endpoints give them, wherever they stand as a word;
    of these only names that hold a digit or one of ``_ . / : -``, since a model may be called like a thing.
    """
    for pattern in _SELF:
        text = pattern.sub(lambda found: f"{found['before']}{MASK}", text)
    wanted = sorted((name for name in names if _DISTINCT.fullmatch(name)), key=len, reverse=True)
    if wanted:
        words = "|".join(re.escape(name) for name in wanted)
        text = re.sub(rf"(?<![\w-])(?:{words})(?![\w-])", MASK, text, flags=re.IGNORECASE)
    return text


def names_its_maker(text: str, names: Collection[str] = ()) -> bool:
    """Say whether :func:`masked` would change an answer."""
    return masked(text, names) != text
