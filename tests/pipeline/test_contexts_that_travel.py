"""Contexts of every version are taken in from elsewhere: with scores of two searches, and as the first version wrote them."""

import pytest

from pipeline.records import Change, Context
from pipeline.store.checking import problem_of
from pipeline.store.rows import contexts_from_json, contexts_to_json
from pipeline.store.schema import retrievals

PLAIN = Context("c1", "d1", "a.md", "Text.", 0, 5, 1.5, "Head", 2)
FUSED = Context("c1", "d1", "a.md", "Text.", 0, 5, 0.03, "", None, 2.5, 1, 0.4, 3)
# What the first version wrote: every field that it had, and none of today's.
FIRST = {
    "chunk_id": "c1",
    "document_id": "d1",
    "document_name": "a.md",
    "text": "Text.",
    "start": 0,
    "end": 5,
    "score": 1.5,
    "heading": "Head",
    "page": 2,
}


def problem(*contexts):
    row = {"id": "r1", "query_id": "q1", "retriever": "bm25 k=4", "contexts": list(contexts), "created_at": 1.0}
    return problem_of(retrievals, Change("retrievals", "r1", "s", "other", row))


def test_a_search_by_words_is_written_as_the_first_version_wrote_it():
    assert contexts_to_json([PLAIN]) == [FIRST]
    assert contexts_from_json([FIRST]) == (PLAIN,) and problem(FIRST) == ""


def test_scores_of_two_searches_come_back():
    rows = contexts_to_json([FUSED, PLAIN])
    assert contexts_from_json(rows) == (FUSED, PLAIN) and problem(*rows) == ""
    assert problem({**FIRST, "semantic": 1, "lexical": None}) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {key: value for key, value in FIRST.items() if key != "score"},
        {**FIRST, "colour": "red"},
        {**FIRST, "semantic": "0.4"},
        {**FIRST, "semantic_rank": 1.5},
        {**FIRST, "score": None},
        [1],
    ],
)
def test_what_is_no_context_is_refused(wrong):
    assert "contexts" in problem(wrong)
