"""The judge that counts words: what it can tell, and that it is the same in both orders."""

import asyncio
import json
import random
import re

import pytest

from pipeline.judge_prompt import read_verdict
from pipeline.models.judges import LexicalJudge
from pipeline.prompts import REFUSAL
from pipeline.records import Chunk, Context, Outcome
from pipeline.retrieval import LexicalIndex
from tests.material import MANUAL

A, B, TIE, BAD = Outcome.MODEL_A, Outcome.MODEL_B, Outcome.TIE, Outcome.BOTH_BAD
FUEL = "Diesel is sold at the north pier only. The pump takes cards, and it never takes coins."
QUERY = "Where is diesel sold?"
RIGHT = "Diesel is sold at the north pier only. [1]"


def context(text, score=1.0):
    return Context("c1", "d1", "harbour.md", text, 0, len(text), score)


@pytest.fixture
def judge(tmp_path):
    index = LexicalIndex(tmp_path / "index")
    paragraphs = [text for text in MANUAL.split("\n\n") if not text.startswith("#")]
    index.add([Chunk(f"c{n}", "d1", "harbour.md", n, text, 0, len(text)) for n, text in enumerate(paragraphs)])
    return LexicalJudge(index.terms, index.idf)


def verdict(judge, first, second, query=QUERY, passages=(FUEL,)):
    said = asyncio.run(judge.judge(query, [context(text) for text in passages], first, second))
    assert said.prompt_tokens is None
    return read_verdict(said.text)


def test_what_stands_in_the_passages_is_better_than_what_does_not(judge):
    assert verdict(judge, RIGHT, "Diesel is sold in the village supermarket on weekdays.") is A
    assert verdict(judge, "Diesel is sold in the village supermarket on weekdays.", RIGHT) is B


def test_an_answer_to_the_query_is_better_than_another_sentence_of_the_passages(judge):
    assert verdict(judge, "The pump takes cards, and it never takes coins. [1]", RIGHT) is B


def test_equal_words_are_a_tie_whatever_is_cited(judge):
    assert verdict(judge, RIGHT, "Diesel is sold at the north pier only. [1][2]") is TIE


def test_two_answers_about_something_else_are_both_bad(judge):
    assert verdict(judge, "Bananas ripen.", "Penguins swim.") is BAD


def test_a_refusal_is_right_where_the_passages_hold_nothing_of_the_query_and_wrong_elsewhere(judge):
    unknown = "Who painted the ceiling of the chapel?"
    assert verdict(judge, REFUSAL, RIGHT, query=unknown) is A
    assert verdict(judge, REFUSAL, RIGHT) is B


def test_it_says_the_same_each_time_and_in_both_orders(judge):
    texts = [RIGHT, "The pump takes cards.", "Bananas ripen.", REFUSAL, "north pier", ""]
    turned = {A: B, B: A}
    for one in texts:
        for two in texts:
            there = verdict(judge, one, two)
            assert there is verdict(judge, one, two)
            assert verdict(judge, two, one) is turned.get(there, there)


def test_it_says_how_it_comes_to_its_verdict(judge):
    said = asyncio.run(judge.judge(QUERY, [context(FUEL)], RIGHT, REFUSAL))
    assert re.fullmatch(
        r"A: support 1\.00, coverage 1\.00\. B: a refusal, and the passages hold [01]\.\d\d of the query\.\nVerdict: A",
        said.text,
    )


@pytest.mark.shared_data
def test_on_real_questions_it_prefers_the_sentence_with_the_answer_to_another_of_the_passage(shared_data, tmp_path):
    folder = shared_data / "rag_xquad_en"
    passages = {row["doc_id"]: row["text"] for row in map(json.loads, (folder / "corpus.jsonl").open(encoding="utf-8"))}
    questions = [json.loads(line) for line in (folder / "questions.jsonl").open(encoding="utf-8")]
    index = LexicalIndex(tmp_path / "index")
    index.add([Chunk(name, name, name, 0, text, 0, len(text)) for name, text in passages.items()])
    judge, dice = LexicalJudge(index.terms, index.idf), random.Random(1)
    said = []
    for row in dice.sample(questions, 300):
        passage = passages[row["gold_doc_ids"][0]]
        sentences = re.split(r"(?<=[.!?]) +", passage)
        right = [text for text in sentences if any(answer in text for answer in row["answers"])]
        wrong = [text for text in sentences if text not in right]
        if right and wrong:
            said.append(verdict(judge, right[0], dice.choice(wrong), row["question"], [passage]))
    assert len(said) > 200
    assert said.count(A) / (said.count(A) + said.count(B)) > 0.85
