import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import TrainingError
from pipeline.finetune.embedded import TrainedWeights, TrainingExample, is_refusal, train
from pipeline.models.extractive import REFUSAL, ExtractiveWeights, base
from pipeline.models.scoring import FEATURES
from pipeline.models.sentences import split_sentences
from pipeline.records import Chunk
from pipeline.retrieval import LexicalIndex, to_context
from tests.evaluation import Case, Passages, holds, measure, xquad


def example(passages: Passages, case: Case) -> TrainingExample | None:
    """What a person would submit who keeps the one sentence with the answer."""
    contexts = passages.contexts(case.query)
    lines = [
        line.text for context in contexts if context.chunk_id == case.gold for line in split_sentences(context.text)
    ]
    answer = next((line for line in lines if holds(line, case.wanted)), None)
    return TrainingExample(case.query, contexts, f"{answer} [1]") if answer else None


@pytest.fixture(scope="module")
def articles(shared_data, tmp_path_factory) -> tuple[Passages, list[TrainingExample], list[Case]]:
    """Passages, examples of three articles in four, and the cases of every fourth article."""
    passages, cases = xquad(shared_data, tmp_path_factory.mktemp("xquad"))
    names = list(dict.fromkeys(chunk.document_id for chunk in passages.chunks.values()))
    places = [names.index(passages.chunks[case.gold].document_id) for case in cases]
    held_out = [case for case, place in zip(cases, places, strict=True) if place % 4 == 0]
    others = [example(passages, case) for case, place in zip(cases, places, strict=True) if place % 4]
    return passages, [one for one in others if one], held_out[::2]


def learn(
    passages: Passages, examples: list[TrainingExample], start: ExtractiveWeights | None = None
) -> TrainedWeights:
    return train(examples, start or base(), passages.index.terms, passages.index.idf)


TEXTS = {
    "backup": "Six backups are made each day. Backups are kept for thirty days. A backup is a copy of all data.",
    "office": "The office opens at eight. The office closes at five. The office is in Vienna.",
    "price": "The price of Base is ten euros. The price of Large is ninety euros. Prices change each year.",
    "trial": "The trial lasts two weeks. A trial needs no card. After the trial the account is closed.",
}
QUERIES = {
    "backup": "How many backups are made each day?",
    "office": "When does the office open?",
    "price": "What is the price of Base?",
    "trial": "How long does the trial last?",
}
FIRST = {name: text.split(". ")[0] + "." for name, text in TEXTS.items()}


@pytest.fixture
def small(tmp_path) -> Passages:
    return Passages(tmp_path, [Chunk(name, name, "", 0, text, 0, len(text)) for name, text in TEXTS.items()])


def rows(small: Passages, answers: dict[str, str]) -> list[TrainingExample]:
    return [TrainingExample(QUERIES[name], small.contexts(QUERIES[name]), answer) for name, answer in answers.items()]


@pytest.mark.shared_data
def test_a_sentence_of_the_trained_model_holds_the_answer_more_often(articles):
    passages, examples, held_out = articles
    cases = [(case, passages.contexts(case.query)) for case in held_out]
    before = measure(base(), passages, cases)

    trained = learn(passages, examples[::3])
    after = measure(trained.weights, passages, cases)

    assert after.right_sentences / after.sentences > before.right_sentences / before.sentences + 0.08
    assert after.sentences / after.answered < before.sentences / before.answered - 0.25
    assert after.right / after.answered > before.right / before.answered - 0.12
    alone_before = measure(replace(base(), sentences=1), passages, cases)
    alone_after = measure(replace(trained.weights, sentences=1), passages, cases)
    assert alone_after.right >= alone_before.right


@pytest.mark.shared_data
def test_the_loss_falls_and_the_numbers_add_up(articles):
    passages, examples, _ = articles
    trained = learn(passages, examples[:200])

    assert trained.losses[-1] < 0.95 * trained.losses[0]
    assert sorted(trained.losses, reverse=True) == list(trained.losses)
    assert trained.accuracy >= trained.base_accuracy
    assert trained.kept >= 200
    assert trained.not_kept > 5 * trained.kept
    assert (trained.refusals, trained.skipped) == (0, 0)
    json.dumps([trained.losses, trained.kept, trained.not_kept, trained.accuracy])


@pytest.mark.shared_data
def test_the_optimum_is_that_of_the_formula(articles):
    """The gradient of cross-entropy plus prior, worked out here by finite differences, vanishes at the result."""
    from pipeline.models.scoring import find_candidates

    passages, examples, _ = articles
    some = examples[:12]
    weights = np.array(learn(passages, some).weights.features)
    found = [find_candidates(one.query, one.contexts, passages.index.terms, passages.index.idf) for one in some]
    kept = [
        np.array([holds(one.answer, [sentence.text]) for sentence in candidates.sentences], float)
        for one, candidates in zip(some, found, strict=True)
    ]

    def objective(w: np.ndarray) -> float:
        loss = 2.5 * float((w - np.array(base().features)) @ (w - np.array(base().features)))
        for candidates, marks in zip(found, kept, strict=True):
            chances = np.exp(candidates.features @ w)
            chances /= chances.sum()
            loss -= float(marks / marks.sum() @ np.log(chances))
        return loss

    step = 1e-4 * np.eye(len(FEATURES))
    gradient = [(objective(weights + one) - objective(weights - one)) / 2e-4 for one in step]

    assert np.abs(gradient).max() < 0.02
    assert objective(weights) < objective(np.array(base().features))


@pytest.mark.shared_data
def test_training_is_deterministic_and_its_weights_survive_json(articles):
    passages, examples, _ = articles
    first, second = learn(passages, examples[:30]), learn(passages, examples[:30])

    assert first == second
    assert ExtractiveWeights.from_config(json.loads(json.dumps(first.weights.to_config()))) == first.weights


@pytest.mark.shared_data
def test_few_examples_move_the_weights_less_than_many(articles):
    passages, examples, _ = articles
    moved = [
        np.abs(np.subtract(learn(passages, examples[:count]).weights.features, base().features)).max()
        for count in (5, 50, 300)
    ]

    assert 0 < moved[0] < 0.5
    assert moved[0] < moved[1] < moved[2]


@pytest.mark.shared_data
def test_fifteen_shortened_answers_already_shorten_those_of_the_model(articles):
    passages, examples, held_out = articles
    cases = [(case, passages.contexts(case.query)) for case in held_out]
    before = measure(base(), passages, cases)

    after = measure(learn(passages, examples[::50][:15]).weights, passages, cases)

    assert after.sentences / after.answered < before.sentences / before.answered - 0.15


@pytest.mark.shared_data
def test_answers_left_as_they_were_change_little(articles):
    from pipeline.models.extractive import ExtractiveAnswerer

    passages, examples, _ = articles
    model = ExtractiveAnswerer(base(), passages.index.terms, passages.index.idf)
    unchanged = [replace(one, answer=model.answer(one.query, one.contexts).text) for one in examples[::60]]

    trained = learn(passages, [one for one in unchanged if one.answer != REFUSAL])

    assert trained.base_accuracy == trained.accuracy == 1.0
    assert trained.weights.sentences >= base().sentences
    assert np.abs(np.subtract(trained.weights.features, base().features)).max() < 0.6


def test_an_edit_a_short_answer_and_a_paraphrase_of_most_words_all_mark_their_sentence(small):
    exact = learn(small, rows(small, FIRST))
    loose = learn(
        small,
        rows(
            small,
            {
                "backup": "There are six. [1]",
                "office": "The office opens at eight in the morning [1][2]",
                "price": "Base: ten euros.",
                "trial": "The trial lasts for two weeks.",
            },
        ),
    )

    assert exact.kept == loose.kept == 4
    assert exact.weights.features == loose.weights.features


def test_answers_unlike_every_sentence_teach_nothing(small):
    answers = {**FIRST, "trial": "Ask your dealer, please, by telephone."}

    trained = learn(small, rows(small, answers))

    assert (trained.kept, trained.skipped) == (3, 1)


def test_refusals_raise_the_threshold_and_answers_hold_it_down(small):
    answered = rows(small, FIRST)
    contexts = small.contexts("The price of Base in the office in Vienna")
    refused = [TrainingExample("What is the price of Base in dollars?", contexts, REFUSAL) for _ in range(3)]

    alone = learn(small, answered)
    both = learn(small, [*answered, *refused])

    assert alone.weights.threshold == base().threshold
    assert both.weights.threshold > base().threshold
    assert both.refusals == 3


def test_refusals_alone_make_no_model_that_would_be_its_base(small):
    refused = [replace(one, answer="Not in the documents.") for one in rows(small, FIRST)]

    with pytest.raises(TrainingError, match="review records on Edit whose contexts do hold the answer"):
        learn(small, refused)
    useless = replace(refused[0], answer="Ask your dealer, please, by telephone.")
    with pytest.raises(TrainingError, match="review records"):
        learn(small, [*refused, useless])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_examples_are_refused_with_advice(small, count):
    with pytest.raises(TrainingError, match=rf"Of {count} submitted answers {count} do; it takes at least 3"):
        learn(small, rows(small, FIRST)[:count])


def test_unusable_examples_do_not_count(small):
    useless = [replace(one, answer="Ask your dealer, please, by telephone.") for one in rows(small, FIRST)]

    with pytest.raises(TrainingError, match="Of 4 submitted answers 0 do"):
        learn(small, useless)
    with pytest.raises(TrainingError):
        learn(small, [replace(one, contexts=(), answer=FIRST["backup"]) for one in useless])


def test_a_tuned_model_can_be_tuned_further(small):
    once = learn(small, rows(small, FIRST))
    twice = learn(small, rows(small, FIRST), once.weights)

    assert twice.losses[0] < once.losses[-1]
    assert twice.losses[-1] < twice.losses[0]


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        (REFUSAL, True),
        ("not in the documents", True),
        ("The documents do not say.", True),
        ("I can't answer this from the contexts. [1]", True),
        ("No information on that.", True),
        ("文档中没有", True),
        ("Six backups a day.", False),
        (
            "The document does not name the product, but tickets are available from the Base tier up and Slack below.",
            False,
        ),
        ("", False),
    ],
)
def test_refusals_are_known_in_the_words_that_people_use(answer, refuses):
    assert is_refusal(answer) is refuses


def test_what_a_document_says_is_no_refusal(tmp_path):
    text = "Severity 3 is answered in a day. Severity 4 is not specified."
    chunk = Chunk("c", "d", "", 0, text, 0, len(text))
    index = LexicalIndex(tmp_path)
    index.add([chunk])
    context = to_context(chunk, 1.0)
    one = TrainingExample("How fast is severity 4 answered?", (context,), "Severity 4 is not specified.")

    trained = train([one] * 3, base(), index.terms, index.idf)

    assert (trained.refusals, trained.kept) == (0, 3)
