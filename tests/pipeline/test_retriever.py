"""Passages by words, by meaning and by both: order, scores that stay visible, and settings that come into force."""

import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipeline.errors import RetrievalError
from pipeline.records import Chunk
from pipeline.retrieval import Hit
from pipeline.retrieval_settings import Chunking, Embedding, Method, RetrievalSettings, check, from_text, to_text
from pipeline.retriever import fused
from pipeline.vectors import Similar
from tests import stores
from tests.material import Home, add_manual, add_queries, finished
from tests.minilm import minilm
from tests.openai_server import OpenAIServer
from tests.workspace import open_workspace

# The handbook of a harbour says "moor" and "chandlery"; people say otherwise.
OTHER_WORDS = "How expensive is it to tie up my yacht until tomorrow?"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Embedding(model=str(minilm(tmp_path_factory.mktemp("models") / "minilm")))


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    yield home
    home.services.close()


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


def at(server, **settings):
    embedding = Embedding("endpoint", "test-model", base_url=server.base_url)
    return RetrievalSettings(Method.DENSE, embedding=embedding, **settings)


def put(services, settings, seconds=60):
    services.retrieval.apply(settings)
    settled(services, seconds)
    assert services.store.values.retrieval() == settings, services.retrieval.state().work


def settled(services, seconds=60):
    deadline = time.monotonic() + seconds
    while services.retrieval.state().work.running:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return services.retrieval.state()


def contexts(services, text):
    return next(services.generation.ask(text, services.registry.all()[0].id)).retrieval.contexts


def embedded(server):
    """How many texts an endpoint was asked to embed."""
    return sum(len(request.body["input"]) for request in server.requests if request.status == 200)


def test_ranks_are_fused_as_published_and_both_scores_stay():
    words = [Hit("a", 9.0), Hit("b", 5.0), Hit("c", 1.0)]
    meaning = [Similar("c", 0.9), Similar("a", 0.6), Similar("d", 0.3)]
    found = fused(words, meaning, 10)
    expected = {"a": 1 / 61 + 1 / 62, "c": 1 / 63 + 1 / 61, "b": 1 / 62, "d": 1 / 63}
    assert [item.chunk_id for item in found] == sorted(expected, key=lambda name: -expected[name])
    assert {item.chunk_id: item.score for item in found} == pytest.approx(expected, abs=1e-6)
    assert [(item.lexical, item.lexical_rank, item.semantic, item.semantic_rank) for item in found] == [
        (9.0, 1, 0.6, 2),
        (1.0, 3, 0.9, 1),
        (5.0, 2, None, None),
        (None, None, 0.3, 3),
    ]
    assert [item.chunk_id for item in fused(words, [], 2)] == ["a", "b"] and fused([], [], 4) == []


def test_equal_ranks_are_ordered_by_words_and_then_by_id():
    assert [item.chunk_id for item in fused([Hit("z", 1.0)], [Similar("a", 0.5)], 4)] == ["z", "a"]


def test_by_words_the_name_and_the_scores_are_those_of_the_index(services, tmp_path):
    add_manual(services, tmp_path)
    assert services.generation.retriever_name().startswith("bm25 k=4 chunks=256/32 documents=")
    found = contexts(services, "Where is diesel sold?")[0]
    assert found.score > 0 and (found.lexical, found.lexical_rank, found.semantic) == (None, None, None)


def test_by_meaning_it_finds_what_no_word_says_and_by_both_too(services, tmp_path, model):
    add_manual(services, tmp_path)
    put(services, RetrievalSettings(chunking=Chunking(32, 0)))
    assert not any("mooring fee" in context.text for context in contexts(services, OTHER_WORDS)[:1])
    put(services, RetrievalSettings(Method.DENSE, chunking=Chunking(32, 0), embedding=model))
    first = contexts(services, OTHER_WORDS)[0]
    assert "mooring fee" in first.text and first.score == first.semantic > 0.2 and first.semantic_rank == 1
    name = services.generation.retriever_name()
    assert name.startswith("dense k=4 chunks=32/0 model=minilm@") and " min=0.2 documents=" in name
    put(services, RetrievalSettings(Method.FUSED, top_k=2, chunking=Chunking(32, 0), embedding=model))
    found = contexts(services, OTHER_WORDS)
    assert len(found) == 2 and "mooring fee" in found[0].text
    assert services.generation.retriever_name().startswith("fused k=2 chunks=32/0 ")


def test_what_is_about_nothing_of_the_documents_has_no_hits_and_is_refused(services, tmp_path, model):
    add_manual(services, tmp_path)
    put(services, RetrievalSettings(Method.DENSE, embedding=replace(model), least_similarity=0.3))
    *_, asked = services.generation.ask("Who composed the ninth symphony?", services.registry.all()[0].id)
    assert asked.retrieval.contexts == () and asked.completion.refused
    put(services, RetrievalSettings(Method.DENSE, embedding=model, least_similarity=0.0))
    *_, asked = services.generation.ask("Who composed the eighth symphony?", services.registry.all()[0].id)
    assert asked.retrieval.contexts and asked.completion.refused


def test_contexts_that_were_stored_keep_their_scores_over_a_restart(home, tmp_path, model):
    add_manual(home.services, tmp_path)
    put(home.services, RetrievalSettings(Method.FUSED, embedding=model))
    before = contexts(home.services, "Where is diesel sold?")
    name = home.services.generation.retriever_name()
    assert before[0].lexical and before[0].semantic and before[0].lexical_rank == before[0].semantic_rank == 1
    again = home.restart()
    assert again.generation.retriever_name() == name
    asked = next(again.generation.ask("Where is diesel sold?", again.registry.all()[0].id))
    assert again.store.queries.retrievals_by_id([asked.retrieval.id])[asked.retrieval.id].contexts == before


def test_only_what_is_new_is_embedded_and_nothing_again_after_a_restart(home, tmp_path, server):
    first = add_manual(home.services, tmp_path)
    put(home.services, at(server))
    assert contexts(home.services, "Where is diesel sold?")
    before = embedded(server)
    add_manual(home.services, tmp_path, "The lighthouse is painted white.", "light.txt")
    assert contexts(home.services, "lighthouse painted white")[0].document_name == "light.txt"
    # One passage more, and the query.
    assert embedded(server) == before + 2
    again = home.restart()
    again.library.delete(first)
    assert {context.document_name for context in contexts(again, "Is the lighthouse white?")} == {"light.txt"}
    # One text tells the length of the vectors after a restart, the other is the query.
    assert embedded(server) <= before + 4
    settled(again)
    (file,) = (home.folder / "vectors").glob("*.vectors")
    assert file.stat().st_size > 0


def test_settings_that_cannot_work_leave_those_in_force(services, tmp_path, server):
    add_manual(services, tmp_path)
    server.models = ()
    services.retrieval.apply(at(server))
    assert "does not have the model" in settled(services).work.error
    assert services.store.values.retrieval() == RetrievalSettings()
    assert contexts(services, "Where is diesel sold?")


def test_while_the_endpoint_is_down_a_query_says_why_and_works_again_afterwards(services, tmp_path, server):
    add_manual(services, tmp_path)
    put(services, at(server))
    server.fail(times=None, status=400, message="down for a while")
    with pytest.raises(RetrievalError, match="down for a while"):
        contexts(services, "Where is diesel sold?")
    server.recover()
    assert contexts(services, "Where is diesel sold?")


def waiting_query(services, pool, server, path):
    """Begin a query that waits for a passage which is embedded when another one is, and let the endpoint be quick again."""
    server.latency = 3.0
    asked = len(server.requests)
    add_manual(services, path, "The lighthouse is painted white.", "light.txt")
    while len(server.requests) == asked:
        time.sleep(0.01)
    add_manual(services, path, "The ferry does leave at noon.", "ferry.txt")
    future = pool.submit(contexts, services, "When does the ferry leave?")
    time.sleep(0.3)
    assert not future.done()
    server.latency = 0.0
    return future


def test_a_query_that_waits_for_passages_gets_those_that_came_meanwhile(services, tmp_path, server):
    add_manual(services, tmp_path)
    put(services, at(server))
    with ThreadPoolExecutor() as pool:
        future = waiting_query(services, pool, server, tmp_path)
        add_manual(services, tmp_path, "The ferry does leave without cars.", "cars.txt")
        found = future.result(14)
    assert {"ferry.txt", "cars.txt"} <= {context.document_name for context in found}


def test_a_query_that_waits_for_passages_hears_that_they_are_used_no_more(services, tmp_path, server):
    add_manual(services, tmp_path)
    put(services, at(server))
    with ThreadPoolExecutor() as pool:
        future = waiting_query(services, pool, server, tmp_path)
        services.retrieval.apply(RetrievalSettings())
        with pytest.raises(RetrievalError, match="changed to BM25 meanwhile: ask again"):
            future.result(14)
    assert contexts(services, "When does the ferry leave?")[0].document_name == "ferry.txt"


def test_a_run_embeds_its_queries_in_few_requests(services, tmp_path, server):
    add_manual(services, tmp_path)
    put(services, at(server))
    before = len(server.requests)
    queries = [f"What is rule number {n} of the harbour?" for n in range(100)]
    run_id = services.generation.start_run(services.registry.all()[0].id, add_queries(services, queries, ()))
    assert len(server.requests) - before <= 4
    finished(services, run_id)


def test_other_sizes_cut_the_documents_anew_and_recorded_contexts_keep_their_chunks(home, tmp_path):
    add_manual(home.services, tmp_path)
    before = contexts(home.services, "Where is diesel sold?")
    whole = home.services.store.documents.count_searched_chunks()
    put(home.services, RetrievalSettings(chunking=Chunking(32, 8)))
    after = contexts(home.services, "Where is diesel sold?")
    assert len(after[0].text) < len(before[0].text) and after[0].chunk_id != before[0].chunk_id
    assert home.services.store.documents.count_searched_chunks() > whole
    (summary,) = home.services.library.summaries()
    assert summary.chunks == home.services.store.documents.count_searched_chunks()
    place = home.services.library.place(before[0].chunk_id)
    assert place.document.text[place.chunk.start : place.chunk.end] == before[0].text
    # The published table tells how the documents are cut now.
    assert home.services.store.published.documents()[0]["chunks"] == summary.chunks
    again = home.restart()
    assert again.generation.retriever_name().startswith("bm25 k=4 chunks=32/8 ")
    assert contexts(again, "Where is diesel sold? Now")[0].text == after[0].text
    add_manual(again, tmp_path, "The lighthouse is painted white. " * 30, "light.txt")
    assert again.library.summaries()[1].chunks > 2
    put(again, RetrievalSettings())
    assert again.store.documents.count_searched_chunks() == whole + 1


def test_the_same_sizes_twice_make_no_chunks_twice(services, tmp_path):
    add_manual(services, tmp_path)
    put(services, RetrievalSettings(chunking=Chunking(64, 8)))
    chunks = services.store.documents.searched_chunks()
    put(services, RetrievalSettings())
    put(services, RetrievalSettings(chunking=Chunking(64, 8)))
    assert services.store.documents.searched_chunks() == chunks


def test_a_change_goes_on_after_a_kill_and_embeds_nothing_twice(tmp_path, server):
    """A process that is killed while it embeds leaves what it has; the next one does the rest and puts it into force."""
    server.latency = 0.15
    lines = "".join(f"# Rule {n}\n\n{f'Rule number {n} of the harbour says so. ' * 12}\n\n" for n in range(400))
    services = open_workspace(tmp_path / "home")
    add_manual(services, tmp_path, lines, "rules.md")
    services.close()
    script = f"""
        import time
        from pathlib import Path
        from pipeline.retrieval_settings import Embedding, Method, RetrievalSettings
        from tests.workspace import open_workspace
        services = open_workspace(Path({str(tmp_path / "home")!r}), database_url={stores.url_of(tmp_path / "home")!r})
        embedding = Embedding("endpoint", "test-model", base_url={server.base_url!r})
        services.retrieval.apply(RetrievalSettings(Method.DENSE, embedding=embedding))
        while services.retrieval.state().work.done < 128:
            time.sleep(0.01)
        print("going", flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"going\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    services = open_workspace(tmp_path / "home")
    try:
        total = services.store.documents.count_searched_chunks()
        settled(services)
        assert services.store.values.retrieval().method is Method.DENSE
        assert contexts(services, "What does rule number 7 say?")
        # What was on its way when the process was killed is asked for again: one batch of 128 at most, and three single texts.
        assert total <= embedded(server) <= total + 128 + 3
    finally:
        services.close()


def test_a_change_can_be_cancelled_and_leaves_what_is_in_force(services, tmp_path, server):
    server.latency = 1.0
    add_manual(services, tmp_path)
    services.retrieval.apply(at(server, chunking=Chunking(32, 0)))
    assert services.retrieval.state().wanted is not None
    with pytest.raises(RetrievalError, match="Another change is under way"):
        services.retrieval.apply(RetrievalSettings())
    services.retrieval.cancel()
    state = services.retrieval.state()
    assert state.wanted is None and state.settings == RetrievalSettings() and not state.work.running


def test_a_cancelled_change_is_not_taken_up_by_the_next_start(home, tmp_path, server):
    """Although the work at it goes on for a while, for longer than the app waits when it stops."""
    server.latency = 4.0
    add_manual(home.services, tmp_path)
    home.services.retrieval.apply(at(server))
    with ThreadPoolExecutor() as pool:
        cancelled = pool.submit(home.services.retrieval.cancel)
        time.sleep(0.3)
        state = home.services.retrieval.state()
        assert state.work.running and state.wanted is None
        again = home.restart()
        cancelled.result(10)
    assert settled(again).wanted is None and again.store.values.retrieval() == RetrievalSettings()


@pytest.mark.parametrize("text", [b"", b'{"method": "den', b"[]", b"null", b"\xff\xfe", b'{"top_k": 900}'])
def test_a_change_of_which_half_was_written_changes_nothing(home, tmp_path, text):
    add_manual(home.services, tmp_path)
    settings = RetrievalSettings(top_k=2, chunking=Chunking(64, 8))
    put(home.services, settings)
    file = home.folder / "retrieval-wanted.json"
    again = home.restart(lambda folder: file.write_bytes(text))
    assert settled(again).wanted is None and again.store.values.retrieval() == settings and not file.exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (RetrievalSettings(top_k=0), "from 1 to 20"),
        (RetrievalSettings(chunking=Chunking(8, 0)), "from 32 to 2,048 tokens"),
        (RetrievalSettings(chunking=Chunking(100, 51)), "half of a passage"),
        (RetrievalSettings(least_similarity=1.0), "from 0 to under 1"),
        (RetrievalSettings(Method.DENSE, embedding=Embedding(model=" ")), "Name the embedding model"),
        (RetrievalSettings(Method.DENSE, embedding=Embedding("endpoint", "m", base_url="ftp://x")), "begins with http"),
        (
            RetrievalSettings(Method.DENSE, embedding=Embedding("endpoint", "m", base_url="http://u:p@x")),
            "holds no key",
        ),
        (
            RetrievalSettings(Method.DENSE, embedding=Embedding("endpoint", "m", base_url="http://x", key="sk-1 2")),
            "not the key itself",
        ),
    ],
)
def test_values_that_cannot_be_used_are_refused(settings, said):
    with pytest.raises(RetrievalError, match=said):
        check(settings)


def test_settings_travel_as_text_and_a_strange_text_is_the_default():
    settings = RetrievalSettings(
        Method.FUSED, 7, Chunking(128, 16), Embedding("endpoint", "m", "", "http://x", "A_KEY"), 0.1
    )
    assert from_text(to_text(settings)) == settings
    for strange in (None, "", "[]", "{", '{"method": "magic"}', '{"top_k": 99}', '{"chunking": {"size": "x"}}', "7"):
        assert from_text(strange) == RetrievalSettings()
    assert from_text('{"method": "bm25", "newer": 1, "chunking": {"size": 64, "overlap": 8, "more": 2}}').chunking == (
        Chunking(64, 8)
    )


def test_words_of_a_query_add_up_to_the_score_of_a_passage(services, tmp_path):
    add_manual(services, tmp_path, "# Fuel\n\nDiesel is sold at the north pier.", "a.md")
    add_manual(services, tmp_path, "# Other\n\nShowers are near the pier.", "b.md")
    for context in contexts(services, "Where do piers sell the Diesel?"):
        matches = services.retrieval.matches("Where do piers sell the Diesel?", context)
        assert sum(match.score for match in matches) == pytest.approx(context.score, abs=1e-3)
        assert all(match.score == pytest.approx(match.idf * match.frequency) for match in matches)
    first = contexts(services, "Where do piers sell the Diesel?")[0]
    words = [match.word for match in services.retrieval.matches("Where do piers sell the Diesel?", first)]
    assert sorted(words) == ["Diesel", "piers"]
    assert services.retrieval.matches("nothing of it", first) == []


def test_a_chunk_of_a_document_has_one_id_whoever_cuts_it(tmp_path):
    from pipeline.documents import split_document
    from pipeline.records import Document

    document = Document("d1", "a.md", "text/plain", "", "One. " * 400)
    one, other = split_document(document, 64, 8), split_document(document, 64, 8)
    assert one == other and len({chunk.id for chunk in one}) == len(one)
    assert not {chunk.id for chunk in one} & {chunk.id for chunk in split_document(document, 64, 4)}
    assert all(isinstance(chunk, Chunk) and chunk.chunking == "64/8" for chunk in one)


def test_settings_travel_to_other_replicas_with_their_chunks_and_the_newest_stand(tmp_path):
    """Two replicas change the settings before they meet: the later change holds on both, and no passage is there twice."""
    one, other = open_workspace(tmp_path / "one"), open_workspace(tmp_path / "other")
    try:
        add_manual(one, tmp_path)
        exchange(one, other)
        put(one, RetrievalSettings(chunking=Chunking(64, 8)))
        put(other, RetrievalSettings(chunking=Chunking(64, 8)))
        put(other, RetrievalSettings(top_k=2, chunking=Chunking(32, 0)))
        exchange(one, other)
        exchange(other, one)
        for services in (one, other):
            assert services.store.values.retrieval() == RetrievalSettings(top_k=2, chunking=Chunking(32, 0))
            assert len(contexts(services, "Where is diesel sold at the pier?")) == 2
        assert sorted(one.store.documents.searched_ids()) == sorted(other.store.documents.searched_ids())
        assert one.generation.retriever_name() == other.generation.retriever_name()
    finally:
        one.close()
        other.close()


def test_what_is_retrieved_between_a_merge_and_the_index_after_it_is_not_kept_under_the_new_name(tmp_path):
    one, other = open_workspace(tmp_path / "one"), open_workspace(tmp_path / "other")
    try:
        add_manual(one, tmp_path)
        exchange(one, other)
        for settings in (RetrievalSettings(chunking=Chunking(32, 0)), RetrievalSettings()):
            put(one, settings)
            add_manual(one, tmp_path, f"Diesel at {settings.chunking}.", f"{settings.chunking.size}.txt")
            merge(one, other)
            question = f"Where is diesel sold, with {settings.chunking}?"
            early, name = contexts(other, question), other.generation.retriever_name()
            other.library.sync_index()
            assert other.generation.retriever_name() == one.generation.retriever_name() != name
            late = contexts(other, question)
            assert late == contexts(one, question) and [item.chunk_id for item in late] != [
                item.chunk_id for item in early
            ]
    finally:
        one.close()
        other.close()


def exchange(source, target):
    """Bring everything that one replica has to another, as a repo would, and follow it."""
    merge(source, target)
    target.library.sync_index()


def merge(source, target):
    """Bring everything into another replica's store alone."""
    for changes in source.store.outbox.everything():
        target.store.merging.merge(changes, None)
    target.store.merging.retry_parked()
