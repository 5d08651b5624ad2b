"""The embedded trainer: learns from submitted answers which sentences of the contexts people keep.

The weights are those of a conditional logistic regression (McFadden 1974): the sentences of one query's contexts compete
for the answer, and the chance of each is the softmax of its score. The loss of an example is the cross-entropy between
those chances and the sentences that the person kept. A Gaussian prior around the base's weights keeps a model that saw
few examples close to its base. How many sentences an answer has, and under which share of found words it is a refusal,
are learned beside it, drawn to the base in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import TrainingError
from pipeline.models.extractive import MOST_SENTENCES, REFUSAL, ExtractiveWeights, choose, same_sentence, scores
from pipeline.models.scoring import Candidates, Idf, Terms, find_candidates
from pipeline.records import Context

FEWEST_EXAMPLES = 3

_PRIOR_PRECISION = 5.0
_PRIOR_EXAMPLES = 2
_LENGTH_MARGIN = 1.2
_MOST_ITERATIONS = 60
_KEPT_SHARE = 0.6
_SUPPORT_SHARE = 0.5
_FEWEST_TERMS = 3
_KEEP_STEPS = np.round(np.arange(0.05, 1.0, 0.05), 2)
_THRESHOLD_STEPS = np.round(np.arange(0.05, 0.951, 0.01), 2)
_THRESHOLD_SPREAD = 0.08
_THRESHOLD_SLOPE = 25.0

_CITATION = re.compile(r"\s*\[\d{1,3}(?:\s*[,;]\s*\d{1,3})*\]")
_WORD = re.compile(r"[^\W_]+")
_REFUSAL_WORDS = 14
_REFUSES = re.compile(
    r"\bnot (?:in|part of|found in|covered (?:in|by)|mentioned|specified|stated|documented|answered)\b"
    r"|\b(?:cannot|can't|can not|could not) (?:be )?(?:answer|find|found|tell|say)|\bno (?:answer|information)\b"
    r"|\b(?:do|does)(?: not|n't) (?:know|say|tell|mention|contain|answer|state|specify)\b|\bunknown\b"
    r"|文档中没有|文件中没有|未提及|无法回答",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A query, the contexts that were shown, and the answer that a person submitted."""

    query: str
    contexts: tuple[Context, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """What came out of a training.

    Attributes:
        weights: the new weights.
        losses: the loss per example, with its share of the prior, before the first iteration and after each; it only
            falls.
        kept: sentences that people kept, over all examples that have some.
        not_kept: the other sentences of the same examples.
        accuracy: share of those examples whose best sentence is one that the person kept, after the training.
        base_accuracy: the same with the weights that the training began with.
        refusals: examples in which the person said that the documents hold no answer.
        skipped: examples that taught nothing, because the answer resembles no sentence of its contexts.
    """

    weights: ExtractiveWeights
    losses: tuple[float, ...]
    kept: int
    not_kept: int
    accuracy: float
    base_accuracy: float
    refusals: int
    skipped: int


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The sentences of an example; ``kept`` marks those that the person kept, none in a refusal."""

    found: Candidates
    kept: np.ndarray
    refused: bool


def train(examples: Sequence[TrainingExample], base: ExtractiveWeights, terms: Terms, idf: Idf) -> TrainedWeights:
    """Learn weights from what people submitted, starting from ``base``; the same examples give the same weights.

    Args:
        examples: submitted answers with their queries and contexts.
        base: the weights to start from and to stay close to.
        terms: the analyser of the index that the contexts come from.
        idf: the inverse document frequencies of that index.

    Raises:
        TrainingError: fewer than ``FEWEST_EXAMPLES`` examples are of use, or all of them are refusals.
    """
    labelled = [_label(example, terms, idf) for example in examples]
    answered = [item for item in labelled if item.kept.any()]
    refused = [item for item in labelled if item.refused]
    if len(answered) + len(refused) < FEWEST_EXAMPLES:
        raise TrainingError(_too_few(len(answered) + len(refused), len(examples)))
    if not answered:
        raise TrainingError(_ONLY_REFUSALS)
    features, losses = _fit_features(answered, base)
    weights = replace(base, features=features, threshold=_fit_threshold(answered, refused, base.threshold))
    weights = _fit_length(answered, weights)
    kept = sum(int(item.kept.sum()) for item in answered)
    return TrainedWeights(
        weights=weights,
        losses=losses,
        kept=kept,
        not_kept=sum(len(item.kept) for item in answered) - kept,
        accuracy=_accuracy(answered, weights),
        base_accuracy=_accuracy(answered, base),
        refusals=len(refused),
        skipped=len(examples) - len(answered) - len(refused),
    )


def is_refusal(answer: str) -> bool:
    """Tell whether an answer says no more than that the documents hold none."""
    text = _CITATION.sub("", answer).strip()
    return text == REFUSAL or (len(text.split()) <= _REFUSAL_WORDS and bool(_REFUSES.search(text)))


def _too_few(usable: int, given: int) -> str:
    return (
        f"The embedded model learns from answers that keep sentences of their contexts or say that there is no answer. "
        f"Of {given} submitted answers {usable} do; it takes at least {FEWEST_EXAMPLES}. Review more records on Edit, "
        f"and use the sentences of the contexts where you can."
    )


# The threshold lies between what people answered and what they refused: with one side alone the model would be its base.
_ONLY_REFUSALS = (
    "Every submitted answer that can be learned from says that the documents hold no answer. That alone teaches the embedded "
    "model nothing: review records on Edit whose contexts do hold the answer, and keep the sentences that give it."
)


def _label(example: TrainingExample, terms: Terms, idf: Idf) -> _Labelled:
    found = find_candidates(example.query, example.contexts, terms, idf)
    answer = _CITATION.sub("", example.answer).strip()
    # "Severity 4 not specified." may be what a document says, and a document may also quote the refusal.
    quoted = answer != REFUSAL and any(answer.rstrip(".") in item.text for item in found.sentences)
    if is_refusal(answer) and not quoted:
        return _Labelled(found, np.zeros(len(found.sentences), dtype=bool), refused=True)
    said = set(terms(answer))
    kept = _kept(found, answer, said)
    if not kept.any():
        kept = _supporting(found, said - set(terms(example.query)))
    return _Labelled(found, kept, refused=False)


def _kept(found: Candidates, answer: str, said: set[str]) -> np.ndarray:
    """Mark the sentences that stand in the answer or have most of their words in it, the best matches first.

    Words that a better match explains count no more, so that a sentence is not kept for the words of another.
    """
    whole = _plain(answer)
    literal = [_plain(item.text) in whole for item in found.sentences]
    order = sorted(range(len(literal)), key=lambda at: (not literal[at], -len(found.sentences[at].terms & said), at))
    kept: list[int] = []
    explained: set[str] = set()
    for at in order:
        item = found.sentences[at]
        shared = item.terms & said
        most = len(item.terms) >= _FEWEST_TERMS and len(shared) >= _KEPT_SHARE * len(item.terms)
        fresh = len(shared - explained) >= len(item.terms) / 2
        known = any(same_sentence(item, found.sentences[other]) for other in kept)
        if literal[at] or (most and (fresh or known)):
            kept.append(at)
            explained |= shared
    marks = np.zeros(len(literal), dtype=bool)
    marks[kept] = True
    return marks


def _plain(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _supporting(found: Candidates, new: set[str]) -> np.ndarray:
    """Mark the sentence that holds most of the words of a short answer ("Six."), where it holds at least half."""
    shares = np.array([len(item.terms & new) / len(new) if new else 0.0 for item in found.sentences])
    kept = np.zeros(len(shares), dtype=bool)
    if len(shares) and shares.max() >= _SUPPORT_SHARE:
        best = np.flatnonzero(shares == shares.max())
        kept[best[np.argmax(found.features[best, 0])]] = True
    return kept


def _fit_features(
    answered: Sequence[_Labelled], base: ExtractiveWeights
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from scipy.optimize import minimize  # 0.4 s, and only a training needs it

    features = np.vstack([item.found.features for item in answered])
    target = np.concatenate([item.kept / item.kept.sum() for item in answered])
    sizes = np.array([len(item.kept) for item in answered])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    start = np.asarray(base.features)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        rated = features @ weights
        rated = rated - np.repeat(np.maximum.reduceat(rated, starts), sizes)
        logarithms = rated - np.repeat(np.log(np.add.reduceat(np.exp(rated), starts)), sizes)
        apart = weights - start
        value = _PRIOR_PRECISION / 2 * float(apart @ apart) - float(target @ logarithms)
        return value, _PRIOR_PRECISION * apart + features.T @ (np.exp(logarithms) - target)

    losses = [loss(start)[0]]
    result = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=lambda weights: losses.append(loss(weights)[0]),
        options={"maxiter": _MOST_ITERATIONS},
    )
    found = tuple(round(float(weight), 6) for weight in result.x)
    return found, tuple(value / len(answered) for value in losses)


def _fit_length(answered: Sequence[_Labelled], weights: ExtractiveWeights) -> ExtractiveWeights:
    """Set how many sentences an answer has, and how close to the best they must come.

    The aim is the average length of people's answers and a fifth more, since a missing sentence does more harm than one
    too many; the average there was counts as much as ``_PRIOR_EXAMPLES`` further examples.
    """
    kept = [_count_kept(item) for item in answered]
    before = np.mean([len(choose(item.found, weights)) for item in answered])
    aim = (_LENGTH_MARGIN * sum(kept) + _PRIOR_EXAMPLES * before) / (len(kept) + _PRIOR_EXAMPLES)
    # One more than the longest but for a tenth: the answers in which the second best may be as right as the best.
    most = min(int(np.quantile(kept, 0.9, method="higher")) + 1, MOST_SENTENCES)
    tried = [replace(weights, sentences=most, keep=float(keep)) for keep in _KEEP_STEPS]
    return min(tried, key=lambda one: abs(np.mean([len(choose(item.found, one)) for item in answered]) - aim))


def _count_kept(item: _Labelled) -> int:
    """Return how many different sentences were kept: contexts that overlap give the same one twice."""
    return len({item.found.sentences[at].terms for at in np.flatnonzero(item.kept)})


def _fit_threshold(answered: Sequence[_Labelled], refused: Sequence[_Labelled], threshold: float) -> float:
    """Return the threshold that parts what people answered from what they refused, drawn to the one there was.

    Both sides count the same, however many examples each has; without one of them nothing can be learned.
    """
    if not answered or not refused:
        return threshold
    balance = min(len(answered), len(refused))
    losses = (_THRESHOLD_STEPS - threshold) ** 2 / (2 * _THRESHOLD_SPREAD**2)
    for side, sign in ((answered, 1.0), (refused, -1.0)):
        margins = sign * (np.array([item.found.confidence for item in side]) - _THRESHOLD_STEPS[:, None])
        losses += balance * np.logaddexp(0, -_THRESHOLD_SLOPE * margins).mean(axis=1)
    return float(_THRESHOLD_STEPS[int(np.argmin(losses))])


def _accuracy(answered: Sequence[_Labelled], weights: ExtractiveWeights) -> float:
    if not answered:
        return 0.0
    hits = [item.kept[int(np.argmax(scores(item.found.features, weights.features)))] for item in answered]
    return float(np.mean(hits))
