"""What a judge is asked about a comparison: every two answers that differ, in both orders, and their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from pipeline.makers import masked
from pipeline.preparation import maker_names
from pipeline.records import Context
from pipeline.store import Store
from pipeline.store.comparisons import Comparison

T = TypeVar("T")
# SQLite takes 32,766 values in one statement.
_PART = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """Two completions to judge in one order, ``left`` shown as A."""

    comparison_id: str
    query_id: str
    retrieval_id: str
    left: str
    right: str

    @property
    def order(self) -> tuple[str, str, str]:
        """What identifies the question among all judgements."""
        return self.comparison_id, self.left, self.right


@dataclass(frozen=True, slots=True)
class Questions:
    """All questions about a comparison; ``identical`` pairs are not asked. ``words`` is the length of each answer by its id."""

    asked: tuple[Question, ...]
    identical: int
    words: Mapping[str, int]
    models: Mapping[str, str]


def questions_of(store: Store, items: Sequence[Comparison]) -> Questions:
    """Return what there is to ask about these comparisons; a ranking is asked about pair by pair."""
    answers = in_parts(store.runs.by_ids, (answer for item in items for answer in item.completion_ids))
    texts = {answer.id: answer.text.split() for answer in answers.values()}
    asked: list[Question] = []
    identical = 0
    for item in items:
        for one, two in combinations(item.completion_ids, 2):
            if texts[one] == texts[two]:
                identical += 1
            else:
                place = item.id, item.query_id, item.retrieval_id
                asked += [Question(*place, one, two), Question(*place, two, one)]
    words = {answer: len(text) for answer, text in texts.items()}
    return Questions(tuple(asked), identical, words, {answer.id: answer.model_id for answer in answers.values()})


class Material:
    """The texts of questions: of the answers what people see of them, with the names of their makers masked."""

    def __init__(self, store: Store, questions: Sequence[Question]) -> None:
        names = maker_names(store.models.all())
        answers = in_parts(store.runs.by_ids, (answer for item in questions for answer in (item.left, item.right)))
        self._answers = {answer.id: masked(answer.text, names) for answer in answers.values()}
        self._queries = in_parts(store.queries.by_ids, (item.query_id for item in questions))
        self._retrievals = in_parts(store.queries.retrievals_by_id, (item.retrieval_id for item in questions))

    def of(self, question: Question) -> tuple[str, Sequence[Context], str, str]:
        """Return query, contexts, and the answers A and B."""
        contexts = self._retrievals[question.retrieval_id].contexts
        texts = self._answers[question.left], self._answers[question.right]
        return self._queries[question.query_id].text, contexts, *texts


def in_parts(read: Callable[[list[str]], Mapping[str, T]], ids: Iterable[str]) -> dict[str, T]:
    """Return what ``read`` finds for ids, however many these are."""
    wanted = sorted(set(ids))
    parts = (wanted[start : start + _PART] for start in range(0, len(wanted), _PART))
    return {name: item for part in parts for name, item in read(part).items()}
