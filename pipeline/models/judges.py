"""Who judges two answers: a chat model that is asked, or, so that it works without a key, a count of words.

The count of words is a baseline and no substitute for a language model. It gives an answer points for

- support: how much of the answer stands in the passages. The share of its words that they hold, each word with the weight
  that search gives it (K-Precision of V. Adlakha et al. 2024, Evaluating Correctness and Faithfulness of
  Instruction-Following Models for Question Answering, doi:10.1162/tacl_a_00667, there without weights);
- coverage: how much of the query the answer takes up. The share of the query's words that it holds, weighted alike;

and takes their mean. A refusal has all the points where the passages hold too little of the query, by the threshold of the
embedded model, and none elsewhere. It knows neither sense nor negation, and likes what is copied out of the passages, so it
favours the embedded model. What it says is the same in both orders and each time.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Protocol

from pipeline.judge_prompt import judge_messages
from pipeline.models.extractive import base
from pipeline.models.openai_chat import ChatModel
from pipeline.models.scoring import Idf, Terms, find_candidates, term_weights
from pipeline.prompts import ANSWER_REVIEW, is_refusal
from pipeline.records import Answer, Context

LEXICAL = (
    "word overlap, version 1\n\nMean of two shares, words weighted as search weighs them: how much of the answer stands in the "
    "passages, and how much of the query the answer takes up. A difference under 0.05 is a tie; both bad is below 0.25 for "
    "both. A refusal has 1 where the passages hold under 45 % of the query, and 0 elsewhere."
)
CLOSE, BAD = 0.05, 0.25
_CITATION = re.compile(r"[\[【][\d\s,;]*(?:†[^\]】]*)?[\]】]")


class Judge(Protocol):
    """What the rest of the pipeline knows of a judge."""

    async def judge(self, query: str, contexts: Sequence[Context], first: str, second: str) -> Answer:
        """Return what is said of two answers to a query; ``first`` is A.

        Raises:
            ModelError: nothing came; the message says why and what to do.
        """
        ...


class ChatJudge:
    """A chat model that is asked with the prompt of :mod:`pipeline.judge_prompt`."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    async def judge(self, query: str, contexts: Sequence[Context], first: str, second: str) -> Answer:
        """Return the model's reply; ``first`` is shown as A."""
        return await self._model.chat(judge_messages(query, contexts, first, second))


class LexicalJudge:
    """The count of words. Stateless; may be called from several threads."""

    def __init__(self, terms: Terms, idf: Idf) -> None:
        """``terms`` and ``idf`` are those of the index that the contexts come from."""
        self._terms = terms
        self._idf = idf

    async def judge(self, query: str, contexts: Sequence[Context], first: str, second: str) -> Answer:
        """Return the points of both answers and the verdict, in the words that a chat model is asked for."""
        return await asyncio.to_thread(self._judged, query, contexts, first, second)

    def _judged(self, query: str, contexts: Sequence[Context], first: str, second: str) -> Answer:
        start = time.perf_counter()
        told, points = zip(*(self._points(query, contexts, text) for text in (first, second)), strict=True)
        text = f"A: {told[0]}. B: {told[1]}.\nVerdict: {_verdict(*points)}"
        return Answer(text, seconds=time.perf_counter() - start)

    def _points(self, query: str, contexts: Sequence[Context], text: str) -> tuple[str, float]:
        if is_refusal(ANSWER_REVIEW, text):
            found = find_candidates(query, contexts, self._terms, self._idf).confidence
            right = found < base().threshold
            return f"a refusal, and the passages hold {found:.2f} of the query", float(right)
        known = {term for context in contexts for term in self._terms(context.text)}
        said = self._terms(_CITATION.sub(" ", text))
        support = self._share(said, known)
        coverage = self._share(self._terms(query), set(said))
        return f"support {support:.2f}, coverage {coverage:.2f}", (support + coverage) / 2

    def _share(self, words: Sequence[str], known: set[str]) -> float:
        weights = term_weights(sorted(set(words)), self._idf)
        return sum(weight for word, weight in weights.items() if word in known)


def _verdict(first: float, second: float) -> str:
    if max(first, second) < BAD:
        return "both bad"
    if abs(first - second) < CLOSE:
        return "tie"
    return "A" if first > second else "B"
