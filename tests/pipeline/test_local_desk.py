"""A model file beside the embedded model: registered, asked in a run, and compared blind."""

from __future__ import annotations

import pytest

from pipeline.comparison_settings import ComparisonSettings
from pipeline.errors import ModelError
from pipeline.local_desk import LocalChoice, words
from pipeline.models.judges import ChatJudge
from pipeline.records import JobState, Outcome
from tests.gguf_files import smollm2, tiny
from tests.material import TEST, add_manual, add_queries, finished
from tests.pipeline.test_generation import until
from tests.workspace import open_workspace, person


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """One workspace for the file; one context a query, so that the real model reads little."""
    workspace = open_workspace(tmp_path_factory.mktemp("home") / "home", top_k=1)
    yield workspace
    workspace.close()


def test_a_real_model_and_the_embedded_one_are_compared_blind(services, tmp_path):
    add_manual(services, tmp_path)
    queries = add_queries(services, train=(), test=TEST[:2])
    base = services.registry.all()[0]
    choice = LocalChoice(path=str(smollm2()), n_ctx=2048, temperature=0.0, max_tokens=12)
    smol = services.local.register("SmolLM2 135M", choice, "answer-review")
    assert smol in services.registry.answering() and smol in services.registry.chatting()
    assert isinstance(services.registry.judge(smol.id), ChatJudge)
    run = finished(services, services.generation.start_run(smol.id, queries), 120)
    assert (run.state, run.failed, run.done) == (JobState.DONE, 0, 2)
    for completion in services.store.runs.of_run(run.id):
        assert 0 < completion.completion_tokens <= 12 and completion.prompt_tokens > 100 and completion.seconds > 0
    set_id = services.comparisons.create(ComparisonSettings((base.id, smol.id)), queries)
    until(lambda: services.store.comparisons.set(set_id).state == "open", 120)
    me = person(services, "Ada")
    while shown := services.comparisons.next_pair(set_id, me):
        assert shown.text_a != shown.text_b and "SmolLM2" not in shown.text_a + shown.text_b
        services.comparisons.vote(shown.comparison_id, me, Outcome.MODEL_A)
    services.comparisons.reveal(set_id, me)
    results = services.comparisons.results(set_id, me)
    assert {results.first, results.second} == {"extractive-base", "SmolLM2 135M"} and len(results.votes) == 2
    (loaded,) = services.local.loaded()
    assert loaded.name == "SmolLM2 135M" and loaded.memory > 50_000_000


def test_a_test_tells_what_loading_takes_and_registers_nothing(services, tmp_path):
    choice = LocalChoice(path=str(tiny(tmp_path / "a.gguf", 3)), n_ctx=512, max_tokens=6, temperature=0.0)
    tried = services.background.submit(services.local.test(choice)).result(60)
    assert (tried.text, tried.title, tried.completion_tokens) == ("d" * 6, "Tiny 3", 6)
    assert tried.loaded.seconds > 0 and tried.size == (tmp_path / "a.gguf").stat().st_size
    assert "Tiny 3" not in {model.name for model in services.registry.all()}


def test_a_registered_file_is_described_without_its_folder(services, tmp_path):
    choice = LocalChoice(path=str(tiny(tmp_path / "a.gguf")), n_ctx=512, temperature=0.2, top_p=0.9, max_tokens=64)
    model = services.local.register("tiny", choice, "customer-assistant")
    assert services.registry.what_is(model) == words(model)
    assert (
        words(model) == "File a.gguf on this machine, context 512 tokens, temperature 0.2, top p 0.9, at most 64 tokens"
    )
    with pytest.raises(ModelError, match="named tiny already"):
        services.local.register("tiny", choice, "customer-assistant")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"temperature": 3.0}, "A temperature is"),
        ({"top_p": 1.5}, "Top p is"),
        ({"max_tokens": 0}, "The most tokens"),
        ({"n_ctx": 100}, "from 512 to 512"),
        ({"repo": "a/b"}, "either the path"),
        ({"path": ""}, "either the path"),
    ],
)
def test_what_cannot_be_is_refused_in_words(services, tmp_path, values, said):
    choice = LocalChoice(**{"path": str(tiny(tmp_path / "a.gguf")), "n_ctx": 512, **values})
    with pytest.raises(ModelError, match=said):
        services.local.register("another", choice, "answer-review")
