"""Retrieval metrics against trec_eval itself, worked examples, and a real retriever."""

import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from pipeline.means import mean_interval
from pipeline.retrieval_metrics import majority, ndcg_at, precision_at, reciprocal_rank, retrieval_report
from tests.evaluation import xquad

HITS = st.lists(st.booleans(), min_size=5, max_size=12)


def of_trec_eval(queries, known=None):
    """Return what trec_eval says of ranked lists; ``known`` adds relevant passages that were not retrieved."""
    qrel = {str(n): {f"d{i}": int(hit) for i, hit in enumerate(hits)} for n, hits in enumerate(queries)}
    for n, more in enumerate(known or []):
        qrel[str(n)] |= {f"missed{i}": 1 for i in range(more)}
    run = {str(n): {f"d{i}": float(len(hits) - i) for i in range(len(hits))} for n, hits in enumerate(queries)}
    measures = {"P_1", "P_3", "P_5", "ndcg_cut_1", "ndcg_cut_3", "ndcg_cut_5", "recip_rank"}
    found = pytrec_eval.RelevanceEvaluator(qrel, {"P.1,3,5", "ndcg_cut.1,3,5", "recip_rank"}).evaluate(run)
    return [{name: found[str(n)][name] for name in measures} for n in range(len(queries))]


@given(HITS, st.integers(0, 3))
def test_each_query_is_measured_as_trec_eval_does(hits, missed):
    expected = of_trec_eval([hits], [missed])[0]
    for k in (1, 3, 5):
        assert precision_at(k, hits) == pytest.approx(expected[f"P_{k}"])
        assert ndcg_at(k, hits, sum(hits) + missed) == pytest.approx(expected[f"ndcg_cut_{k}"])
    assert reciprocal_rank(hits) == pytest.approx(expected["recip_rank"])


def test_a_worked_example():
    hits = [False, True, True, False]
    assert ndcg_at(4, hits) == pytest.approx((1 / math.log2(3) + 1 / math.log2(4)) / (1 + 1 / math.log2(3)))
    assert (precision_at(3, hits), reciprocal_rank(hits), precision_at(5, hits)) == (2 / 3, 0.5, 0.4)
    assert ndcg_at(4, [False] * 4) == 0 and reciprocal_rank([False] * 4) == 0


def test_more_people_decide_and_as_many_do_not():
    marks = [{"0": True, "1": True, "2": False}, {"0": True, "1": False}, {"0": False}]
    assert majority(4, marks) == [True, None, False, None]


def test_the_report_counts_what_it_rests_on():
    yes, no = {"0": True, "1": False, "2": True}, {"0": False, "1": False, "2": True}
    report = retrieval_report([(3, [yes]), (3, [no, no]), (3, [yes, no]), (3, [{}]), (0, [])])
    assert (report.queries, report.passages, report.marked, report.split) == (3, 9, 9, 1)
    found = {item.name: item for item in report.metrics}
    assert set(found) == {"Precision@1", "Precision@3", "nDCG@1", "nDCG@3", "MRR"}
    assert found["Precision@1"].value == pytest.approx(1 / 3)
    assert found["MRR"].value == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert all(item.low <= item.value <= item.high for item in report.metrics)


def test_one_query_has_no_interval_and_none_no_metric():
    report = retrieval_report([(2, [{"0": True}])])
    assert all(item.low is None for item in report.metrics) and {item.name for item in report.metrics} >= {
        "Precision@2"
    }
    assert retrieval_report([(2, [])]).metrics == ()


def test_the_interval_covers_the_mean_that_is_known():
    dice, hits = np.random.default_rng(2), 0
    for _ in range(400):
        low, high = mean_interval(dice.choice([0.0, 0.5, 1.0], 30, p=[0.1, 0.2, 0.7]).tolist())[1:]
        hits += low <= 0.8 <= high
    assert 0.92 <= hits / 400 <= 0.98


@pytest.mark.shared_data
def test_real_queries_with_gold_passages_are_measured_as_trec_eval_does(shared_data, tmp_path):
    passages, cases = xquad(shared_data, tmp_path / "index")
    found = [[hit.chunk_id == case.gold for hit in passages.index.search(case.query, 10)] for case in cases]
    # Two queries share no word with any passage: nothing was retrieved, so nothing can be marked.
    lists = [hits for hits in found if hits]
    report = retrieval_report([(len(hits), [{str(n): hit for n, hit in enumerate(hits)}]) for hits in lists])
    found = {item.name: item.value for item in report.metrics}
    expected = of_trec_eval([hits + [False] * (10 - len(hits)) for hits in lists])
    assert (report.queries, len(cases)) == (1188, 1190)
    assert found["MRR"] == pytest.approx(np.mean([row["recip_rank"] for row in expected]))
    assert found["Precision@3"] == pytest.approx(np.mean([row["P_3"] for row in expected]))
    assert found["nDCG@5"] == pytest.approx(np.mean([row["ndcg_cut_5"] for row in expected]))
    # Plain BM25 over these passages has hit@1 0.922 and MRR@10 0.951; this index also stems.
    assert 0.922 < found["Precision@1"] < 0.96 and 0.951 < found["MRR"] < 0.98
