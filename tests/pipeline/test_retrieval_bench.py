"""Two settings on the workspace's own queries: what is known to be right, the measures, and what they rest on."""

import statistics
import time

import pytest
from scipy import stats

from pipeline.errors import RetrievalError
from pipeline.records import Document, Query, ResponseStatus, Split
from pipeline.retrieval_bench import paired_difference
from pipeline.retrieval_gold import GoldFinder, Span
from pipeline.retrieval_settings import Chunking, Embedding, Method, RetrievalSettings
from pipeline.store.responses import Given
from tests.evaluation import read_jsonl
from tests.material import add_manual, reviewable
from tests.openai_server import OpenAIServer
from tests.workspace import person

DOCUMENTS = [
    Document("d1", "manual.md", "", "", "First line.\nThe pier is\n  open at seven. The end."),
    Document("d2", "other.txt", "", "", "Nothing here. The pier is open at seven."),
]


def query(**metadata):
    return Query("q1", "s1", 0, "When is the pier open?", Split.TRAIN, metadata)


def gold_of(marked=(), **metadata):
    return GoldFinder(DOCUMENTS, {"q1": list(marked)} if marked else {}).of(query(**metadata))


def test_a_quotation_is_found_wherever_it_stands_across_line_breaks():
    found = gold_of(evidence="the pier is open   at SEVEN.")
    assert found.kind == "passage" and len(found.items) == 1
    assert [DOCUMENTS[int(span.document_id[1]) - 1].text[span.start : span.end].split() for span in found.items[0]] == [
        ["The", "pier", "is", "open", "at", "seven."]
    ] * 2


def test_a_list_of_quotations_has_one_on_each_line_and_what_is_nowhere_is_left_out():
    found = gold_of(**{"Gold passages": "First line.\nNot in any document.\nThe end."})
    assert [span.document_id for item in found.items for span in item] == ["d1", "d1"]
    assert gold_of(evidence="Not in any document.") is None and gold_of(evidence="") is None and gold_of() is None


def test_a_document_is_named_with_or_without_its_ending():
    for name in ("manual.md", "Manual", "MANUAL.MD"):
        found = gold_of(source=name)
        assert found.kind == "document" and found.items == ((Span("d1"),),)
    assert gold_of(gold_doc_ids="manual\nother").items == ((Span("d1"),), (Span("d2"),))
    assert gold_of(source="https://example.org") is None


def test_what_a_list_quotes_counts_before_marks_and_marks_before_a_document():
    marks = [Span("d1", 0, 11)]
    assert gold_of(marks, evidence="Nothing here.", source="manual").kind == "passage"
    assert gold_of(marks, source="manual").kind == "marks"


@pytest.mark.parametrize(
    ("chunk", "same"),
    [((0, 100), True), ((40, 140), True), ((51, 151), False), ((20, 40), True), ((100, 200), False), ((0, 1000), True)],
)
def test_a_chunk_of_other_sizes_is_the_passage_where_they_share_half_of_the_shorter(chunk, same):
    assert Span("d1", 0, 100).meets("d1", *chunk) is same
    assert not Span("d1", 0, 100).meets("d2", *chunk) and Span("d1").meets("d1", *chunk)


def test_the_interval_of_a_difference_is_that_of_a_paired_t_test():
    first, second = [0.0, 1.0, 0.5, 1.0, 0.2], [1.0, 1.0, 0.5, 0.5, 1.0]
    found = paired_difference(first, second)
    peer = stats.ttest_rel(second, first).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((statistics.fmean(second) - 0.54, *peer))
    same = paired_difference([1.0, 0.0], [1.0, 0.0])
    assert (same.value, same.low, same.high) == (0, None, None)


def add_list(services, items):
    return services.store.queries.add_set("With gold", [(text, Split.TRAIN, told) for text, told in items])


QUOTED = [
    ("Where is diesel sold?", {"evidence": "Diesel is sold at the north pier only."}),
    ("What costs two euros?", {"evidence": "A token for the shower costs two euros at the chandlery."}),
    ("Which lamp at the pump tells of bad weather?", {"evidence": "A red lantern on the tower warns of a storm."}),
    ("Who is the harbour master?", {"evidence": ""}),
]


def test_both_settings_are_measured_over_the_queries_whose_passage_is_known(services, tmp_path):
    add_manual(services, tmp_path)
    add_manual(services, tmp_path, "Bad weather, a lamp, and which of them tells: nothing of the harbour.", "lamp.txt")
    list_id = add_list(services, QUOTED)
    found = services.retrieval_bench.compare(RetrievalSettings(top_k=1, chunking=Chunking(32, 0)), list_id)
    assert (found.queries, found.without, dict(found.kinds)) == (3, 1, {"passage": 3})
    lines = {line.name: line for line in found.lines}
    assert list(lines) == ["hit@1", "hit@5", "in the contexts", "MRR@10", "nDCG@10"]
    assert lines["hit@1"].first.value == pytest.approx(2 / 3) and lines["hit@5"].first.value == 1
    # Cut small, the passage about lanterns shares no word with the query: the pump is in another.
    assert lines["hit@5"].second.value == pytest.approx(2 / 3)
    assert lines["hit@1"].difference.value == pytest.approx(lines["hit@1"].second.value - lines["hit@1"].first.value)
    assert [(item.query, item.first, item.second) for item in found.moved] == [
        ("Which lamp at the pump tells of bad weather?", 2, None)
    ]
    assert services.store.values.retrieval() == RetrievalSettings()
    assert services.store.documents.not_cut(Chunking(32, 0))


def test_marks_of_people_are_gold_for_the_queries_that_they_marked(services, tmp_path):
    dataset = reviewable(services, tmp_path)
    ada = person(services, "Ada")
    records = services.store.datasets.records(dataset.id)
    for record, relevant in zip(records, (True, False), strict=False):
        given = Given({}, {"chunks": {"0": relevant}})
        services.store.responses.end(record.id, ada, ResponseStatus.SUBMITTED, given, dataset.settings.distribution)
    gold, without = services.retrieval_bench.gold()
    assert [item.query_id for item in gold] == [records[0].query_id] and gold[0].kind == "marks"
    assert without == 7
    found = services.retrieval_bench.compare(RetrievalSettings(chunking=Chunking(32, 0)))
    assert found.queries == 1 and found.lines[0].first.low is None and dict(found.kinds) == {"marks": 1}


def test_without_any_gold_it_says_so(services, tmp_path):
    add_manual(services, tmp_path)
    list_id = add_list(services, [("Where is diesel sold?", {})])
    with pytest.raises(RetrievalError, match="Of no query of this list it is known"):
        services.retrieval_bench.compare(RetrievalSettings(), list_id)


def test_in_the_background_it_tells_how_far_it_is_and_can_be_cancelled(services, tmp_path):
    add_manual(services, tmp_path)
    add_list(services, QUOTED)
    with OpenAIServer(latency=2.0) as server:
        other = RetrievalSettings(Method.FUSED, embedding=Embedding("endpoint", "test-model", base_url=server.base_url))
        services.retrieval_bench.start(other)
        with pytest.raises(RetrievalError, match="Another comparison is under way"):
            services.retrieval_bench.start(other)
        services.retrieval_bench.cancel()
        ended(services)
        assert services.retrieval_bench.progress.error == "Cancelled." and services.retrieval_bench.result is None
        server.latency = 0.0
        services.retrieval_bench.start(other)
        ended(services)
        assert services.retrieval_bench.result.second == other
        assert not services.retrieval_bench.progress.error


def ended(services):
    deadline = time.monotonic() + 60
    while services.retrieval_bench.progress.running:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.shared_data
def test_evidence_of_the_tutorials_queries_is_found_in_its_document(services, shared_data):
    path = shared_data / "argilla_cloud" / "argilla_cloud_reflowed.txt"
    services.library.add_file(path, path.name)
    services.query_lists.add_file(shared_data / "argilla_cloud" / "questions.jsonl", "questions.jsonl", "", False)
    gold, without = services.retrieval_bench.gold()
    rows = read_jsonl(shared_data / "argilla_cloud" / "questions.jsonl")
    assert len(gold) == sum(row["answerable"] for row in rows) == 26 and without == 5
    assert {item.kind for item in gold} == {"passage"}
