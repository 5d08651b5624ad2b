"""The Retrieval panel: what it says, what it takes, and how it tells why a passage was found."""

import time

import gradio as gr
import pytest

from components.ask.retrieval_html import found_in_words, no_gold_html, state_html, why_html
from components.ask.tab import AskHandlers
from components.settings.model_form import NO_KEY
from components.settings.retrieval_panel import ALL_LISTS, RetrievalHandlers, settings_of
from pipeline.errors import RetrievalError
from pipeline.records import Context, Split
from pipeline.retrieval import Match
from pipeline.retrieval_settings import Chunking, Embedding, Method, RetrievalSettings
from tests.material import add_manual
from tests.openai_server import OpenAIServer
from tests.workspace import request_of

ME = request_of("a")


def typed(method="bm25", top_k=4, size=256, overlap=32, kind="onnx", model="owner/name", address="", key=NO_KEY):
    return (method, top_k, size, overlap, kind, model, "onnx/model.onnx", address, key, 0.2)


def finished(handlers):
    deadline = time.monotonic() + 60
    while handlers.show_state().timer.active:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return handlers.show_state()


def test_the_fields_stand_for_settings():
    assert settings_of(*typed()) == RetrievalSettings(
        Method.BM25, 4, Chunking(), Embedding("onnx", "owner/name", "onnx/model.onnx")
    )
    at = settings_of(*typed("fused", 7, 128, 16, "endpoint", " m ", " http://x/v1 ", "A_KEY"))
    assert at == RetrievalSettings(
        Method.FUSED, 7, Chunking(128, 16), Embedding("endpoint", "m", "", "http://x/v1", "A_KEY")
    )
    for wrong in (typed(size=None), typed(method="magic")):
        with pytest.raises(RetrievalError, match="Fill in every number"):
            settings_of(*wrong)
    with pytest.raises(RetrievalError, match="whole numbers, and not 2.5"):
        settings_of(*typed(top_k=2.5))


def test_opened_first_it_shows_what_is_in_force_and_later_what_somebody_typed(services, tmp_path):
    add_manual(services, tmp_path)
    handlers = RetrievalHandlers(services)
    shown = handlers.open_panel(False, None)
    assert "By words (BM25), 4 passages for each query, of up to 256 tokens with 32 shared" in shown[0]
    assert "passages of 1 document are searched" in shown[0]
    assert shown[9:13] == ("bm25", 4, 256, 32)
    again = handlers.open_panel(True, "gone")
    assert again[7] is True and again[8].value == ALL_LISTS and again[9] == gr.skip()


def test_settings_are_put_into_force_and_wrong_ones_are_refused(services, tmp_path):
    add_manual(services, tmp_path)
    handlers = RetrievalHandlers(services)
    handlers.apply(ME, *typed(top_k=2, size=32, overlap=0))
    assert "2 passages for each query, of up to 32 tokens with 0 shared" in finished(handlers).state
    with pytest.raises(RetrievalError, match="half of a passage"):
        handlers.apply(ME, *typed(overlap=200))
    assert services.store.values.retrieval().top_k == 2


def test_a_model_is_tried_and_what_came_back_is_said(services):
    handlers = RetrievalHandlers(services)
    with OpenAIServer() as server:
        *_, said = handlers.try_model(ME, *typed("dense", kind="endpoint", model="test-model", address=server.base_url))
        assert "It works: 48 numbers a vector" in said
        *_, said = handlers.try_model(ME, *typed("dense", kind="endpoint", model="<b>x</b>", address=server.base_url))
        assert "does not have the model &lt;b&gt;x&lt;/b&gt;" in said
    *_, said = handlers.try_model(ME, *typed("dense", model="/no/such/folder"))
    assert "neither a folder on this machine nor a Hub id" in said


def test_fields_that_a_choice_does_not_need_are_not_shown(services):
    handlers = RetrievalHandlers(services)
    column, _, file, address, key = handlers.choose_method("bm25", "onnx")
    assert (column["visible"] if isinstance(column, dict) else column.visible) is False
    _, model, file, address, key = handlers.choose_kind("dense", "endpoint", "sentence-transformers/all-MiniLM-L6-v2")
    assert model.value == "" and "endpoint" in model.label
    assert (file.visible, address.visible, key.visible) == (False, True, True)


def test_a_comparison_shows_numbers_with_intervals_and_the_queries_that_moved(services, tmp_path):
    add_manual(services, tmp_path)
    handlers = RetrievalHandlers(services)
    said = handlers.compare(None, ME, *typed()).compared
    assert "Of none of 0 queries" in said and "<code>evidence</code>" in said and "R is relevant" in said
    items = [
        ("Where is <b>diesel</b> sold?", Split.TRAIN, {"evidence": "Diesel is sold at the north pier only."}),
        ("Storms at the pump?", Split.TRAIN, {"evidence": "A red lantern on the tower warns of a storm."}),
        ("Unknown?", Split.TRAIN, {}),
    ]
    services.store.queries.add_set("Mine", items)
    handlers.compare(ALL_LISTS, ME, *typed(size=32, overlap=0))
    shown = finished(handlers)
    assert (
        "2 queries whose right passages are known: 2 by the passage that a column of the list quotes." in shown.compared
    )
    assert "Left out, because theirs are not: 1." in shown.compared and "95 % intervals" in shown.compared
    assert "hit@1" in shown.compared and "<b>diesel</b>" not in shown.compared
    handlers.apply(ME, *typed(top_k=3))
    assert "Compared before the last change." in finished(handlers).compared


def context(**found):
    return Context("c1", "d1", "a.md", "Diesel.", 0, 7, **{"score": 1.5, **found})


@pytest.mark.parametrize(
    ("found", "number", "said"),
    [
        ({"score": 8.204}, 1, "1st by words: BM25 score 8.20."),
        ({"score": 0.42, "semantic": 0.42, "semantic_rank": 3}, 3, "3rd by meaning: similarity 0.42"),
        (
            {"score": 0.0323, "lexical": 2.0, "lexical_rank": 3, "semantic": 0.4, "semantic_rank": 1},
            2,
            "3rd by words (BM25 score 2.00), 1st by meaning (similarity 0.40). Together 1/(60 + 3) + 1/(60 + 1) = 0.0323, "
            "which is 2nd.",
        ),
        (
            {"score": 0.0161, "lexical": 2.0, "lexical_rank": 2},
            12,
            "2nd by words (BM25 score 2.00), not similar enough",
        ),
        ({"score": 0.0161, "semantic": 0.3, "semantic_rank": 2}, 21, "Not among the first 50 by words, 2nd by meaning"),
    ],
)
def test_why_a_passage_was_found_is_said_in_words(found, number, said):
    assert said in found_in_words(context(**found), number)


def test_words_of_a_query_are_shown_as_text(services):
    shown = why_html(context(), 1, [Match("<i>pump", 1.25, 2.5, 0.5)])
    assert "&lt;i&gt;pump" in shown and "1.25" in shown and "rarity 2.50 × frequency 0.50" in shown
    assert "No word of the query is in it" in why_html(context(), 1, [])


def test_on_ask_each_source_says_why_it_was_found(services, tmp_path):
    add_manual(services, tmp_path)
    *_, shown = AskHandlers(services).ask("Where is diesel sold?", services.registry.all()[0].id, ME)
    assert "Why this passage" in shown.sources and "<b>diesel</b>" in shown.sources and "<b>sold</b>" in shown.sources


def test_what_is_under_way_is_told_with_its_error(services):
    state = services.retrieval.state()
    assert "0 passages of 0 documents are searched" in state_html(state)
    assert "nothing can be compared" in no_gold_html(3)
