"""Embedding models: the real MiniLM on this machine, an endpoint over a socket, and where their files come from."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.background import Background
from pipeline.errors import RetrievalError
from pipeline.models.embedders import Embedders
from pipeline.models.endpoint_embeddings import BATCH
from pipeline.models.onnx_embeddings import OnnxEmbedder
from pipeline.models.onnx_files import onnx_files
from pipeline.retrieval_settings import Embedding
from pipeline.settings import Settings
from tests.embedding_answers import vector_of_words
from tests.hub_server import HubServer
from tests.minilm import minilm
from tests.openai_server import OpenAIServer

TEXTS = ["Boats moor at the pier.", "A boat lies at its berth.", "The price of bread went up.", "x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return minilm(tmp_path_factory.mktemp("models") / "minilm")


@pytest.fixture(scope="module")
def local(folder):
    return OnnxEmbedder(onnx_files(str(folder), "onnx/model.onnx", "http://127.0.0.1:9"))


@pytest.fixture
def background():
    loop = Background()
    yield loop
    loop.close()


def endpoint(server, background, tmp_path, key="", **settings):
    embedders = Embedders(Settings(home=tmp_path, **settings), background)
    return embedders.open(Embedding("endpoint", "test-model", base_url=server.base_url, key=key))


def test_the_local_model_puts_what_means_the_same_together(local):
    vectors = local.passages(TEXTS)
    assert vectors.shape == (4, 384) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > 0.2 > vectors[0] @ vectors[2]


def test_a_text_has_the_vector_that_was_published_for_it(local):
    """Cosines of the fp32 model on the card of sentence-transformers/all-MiniLM-L6-v2's library: int8 is within 0.03."""
    sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors = local.passages(sentences)
    found = vectors @ vectors.T
    assert found == pytest.approx(
        np.array([[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]), abs=0.03
    )


def test_a_vector_is_the_same_alone_and_beside_longer_texts(local):
    together = local.passages([*TEXTS, "A long text about the harbour. " * 30])
    alone = np.concatenate([local.passages([text]) for text in TEXTS])
    assert (together[:4] * alone).sum(1) == pytest.approx(1, abs=0.02)
    assert local.queries([]).shape == (0, 384)


def test_only_the_first_256_tokens_are_read(local):
    long = "harbour " * 400
    first, second = local.passages([long, long + "completely different ending about bread and cheese"])
    assert first @ second == pytest.approx(1, abs=1e-4)


def test_what_sentence_transformers_says_of_pooling_and_prompts_is_followed(folder, tmp_path, local):
    other = shutil.copytree(folder, tmp_path / "cls")
    (other / "1_Pooling").mkdir()
    (other / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (other / "config_sentence_transformers.json").write_text('{"prompts": {"query": "query: "}}')
    model = OnnxEmbedder(onnx_files(str(other), "onnx/model.onnx", ""))
    assert model.fingerprint != local.fingerprint
    assert model.passages(TEXTS[:1])[0] @ local.passages(TEXTS[:1])[0] < 0.9
    assert model.queries(["berth"])[0] @ model.passages(["query: berth"])[0] == pytest.approx(1, abs=1e-4)


def broken_model(folder):
    (folder / "onnx" / "model.onnx").write_bytes(b"not a model")


def broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{}")


def no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


def other_name(folder):
    (folder / "onnx" / "model.onnx").rename(folder / "onnx" / "tiny.onnx")
    (folder / "onnx" / "more.onnx").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (broken_model, "cannot be read as an ONNX model"),
        (broken_tokenizer, "cannot be read as a tokenizer"),
        (no_tokenizer, "has no tokenizer.json"),
        (other_name, "has no file onnx/model.onnx. It has: onnx/more.onnx, onnx/tiny.onnx."),
    ],
)
def test_a_folder_that_is_no_model_says_what_is_wrong(folder, tmp_path, damage, said):
    other = shutil.copytree(folder, tmp_path / "other")
    damage(other)
    with pytest.raises(RetrievalError, match=said):
        OnnxEmbedder(onnx_files(str(other), "onnx/model.onnx", ""))


def test_a_model_whose_numbers_are_none_is_refused_when_it_is_opened(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "broken")
    weights, name = (other / "onnx" / "model.onnx").read_bytes(), b"output.LayerNorm.biasJ\x80\x0c"
    # The last 384 numbers that are added to every vector.
    at = weights.rindex(name) + len(name)
    numbers = np.full(384, np.nan, np.float32).tobytes()
    (other / "onnx" / "model.onnx").write_bytes(weights[:at] + numbers + weights[at + len(numbers) :])
    with pytest.raises(RetrievalError, match="vectors that hold no numbers"):
        OnnxEmbedder(onnx_files(str(other), "onnx/model.onnx", ""))


def test_a_model_that_fails_at_a_text_says_so(folder, tmp_path):
    """With the tokenizer of a model that knows more words, as where two were mixed up."""
    other = shutil.copytree(folder, tmp_path / "mixed")
    tokenizer = json.loads((other / "tokenizer.json").read_text("utf-8"))
    tokenizer["model"]["vocab"]["x"] = 99_999
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    model = OnnxEmbedder(onnx_files(str(other), "onnx/model.onnx", ""))
    assert model.passages(TEXTS[:3]).shape == (3, 384)
    with pytest.raises(RetrievalError, match="whether its tokenizer.json belongs to it"):
        model.passages(TEXTS)


def test_while_one_model_is_fetched_others_are_opened(folder, background, tmp_path):
    with HubServer() as hub, ThreadPoolExecutor() as pool:
        hub.fail(times=None, path="/api/models/team/slow", hang=3.0, status=404, code="RepoNotFound")
        embedders = Embedders(Settings(home=tmp_path, hf_endpoint=hub.url), background)
        slow = pool.submit(embedders.open, Embedding(model="team/slow"))
        while not hub.requests:
            assert not slow.done()
            time.sleep(0.01)
        opened = embedders.open(Embedding(model=str(folder)))
        assert not slow.done() and opened is embedders.open(Embedding(model=str(folder)))
        with pytest.raises(RetrievalError, match="team/slow"):
            slow.result(30)


@pytest.mark.parametrize("name", ["", "nowhere at all", "/no/such/folder", "a/b/c"])
def test_what_is_neither_a_folder_nor_an_id_is_refused(name):
    with pytest.raises(
        RetrievalError, match="neither a folder on this machine nor a Hub id" if name else "no file|has no|neither"
    ):
        onnx_files(name, "onnx/model.onnx", "http://127.0.0.1:9")


def test_the_file_may_not_lead_out_of_the_folder(folder):
    with pytest.raises(RetrievalError, match="may not lead out"):
        onnx_files(str(folder / "onnx"), "../../secret.onnx", "")


def test_a_model_of_the_hub_is_fetched_once_and_then_found_without_a_network(folder, tmp_path):
    """Through the real client, in a process of its own: where its cache is, it asks at its import."""
    script = """
        import sys
        from pipeline.errors import RetrievalError
        from pipeline.models.onnx_embeddings import OnnxEmbedder
        from pipeline.models.onnx_files import onnx_files
        try:
            model = OnnxEmbedder(onnx_files("team/tiny-model", "onnx/model.onnx", sys.argv[1]))
            print(model.dimensions, model.fingerprint)
        except RetrievalError as error:
            print(error)
    """
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}

    def opened(url):
        command = [sys.executable, "-c", textwrap.dedent(script), url]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=True).stdout

    with HubServer() as hub:
        url = hub.url
        assert "has no model team/tiny-model" in opened(url)
        files = {name: (folder / name).read_bytes() for name in ("onnx/model.onnx", "tokenizer.json")}
        hub.add_repo("team/tiny-model", kind="models")
        hub.commit_by_others("models/team/tiny-model", files)
        first = opened(url)
        assert first.startswith("384 ")
    assert opened(url) == first
    shutil.rmtree(tmp_path / "cache")
    assert "is not on this machine yet, and" in opened(url)


@pytest.mark.parametrize("encoding", ["base64", "float"])
def test_an_endpoint_gives_the_vectors_of_its_texts_in_their_order(background, tmp_path, encoding):
    texts = [f"Text number {n} about boats" for n in range(2 * BATCH + 3)]
    rejects = {} if encoding == "base64" else {"base64": "encoding_format 'base64' is not supported"}
    with OpenAIServer(rejects=rejects) as server:
        model = endpoint(server, background, tmp_path)
        vectors = model.passages(texts)
        expected = np.array([vector_of_words(text) for text in texts])
        assert vectors == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True), abs=1e-5)
        assert model.dimensions == 48
        sent = [request.body["encoding_format"] for request in server.requests if request.status == 200]
        assert set(sent) == {encoding}
        assert "authorization" not in server.requests[0].headers


def test_an_endpoint_is_asked_again_after_what_may_pass_and_not_after_what_stays(background, tmp_path):
    with OpenAIServer() as server:
        model = endpoint(server, background, tmp_path)
        server.fail(status=503, times=1)
        server.fail(status=429, times=1, retry_after="0.1")
        assert model.passages(TEXTS).shape == (4, 48)
        assert [request.status for request in server.requests] == [503, 429, 200]
        server.fail(status=400, times=1, message="input is too long for this model")
        with pytest.raises(RetrievalError):
            model.passages(TEXTS)
        assert len(server.requests) == 4


def test_an_endpoint_that_is_gone_or_no_endpoint_says_so(background, tmp_path):
    with OpenAIServer() as server:
        model = endpoint(server, background, tmp_path, timeout=2.0)
        server.fail(body="<html>hello</html>", times=1)
        with pytest.raises(RetrievalError, match="not as an OpenAI-compatible endpoint does"):
            model.passages(TEXTS)
        server.models = ("another",)
        with pytest.raises(RetrievalError, match="does not have the model test-model"):
            model.passages(TEXTS)
    with OpenAIServer() as gone:
        pass
    model = endpoint(gone, background, tmp_path, timeout=2.0)
    start = time.monotonic()
    with pytest.raises(RetrievalError, match="Cannot reach"):
        model.passages(TEXTS)
    assert time.monotonic() - start < 20


def wrong_count(server, model):
    server.fail(body='{"object": "list", "data": [], "model": "test-model"}', content_type="application/json")


def other_length(server, model):
    model.passages(TEXTS)
    server.embed = lambda text: vector_of_words(text, 32)


def zeros(server, model):
    server.embed = lambda text: [0.0] * 48


def not_numbers(server, model):
    server.embed = lambda text: [float("nan")] * 48


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (wrong_count, "sent 0 vectors for 4 texts|not as an OpenAI-compatible"),
        (other_length, r"vectors of different lengths \(32, 48\)"),
        (zeros, "vectors that are none"),
        (not_numbers, "vectors that are none"),
    ],
)
def test_vectors_that_are_none_are_not_taken(background, tmp_path, wrong, said):
    with OpenAIServer() as server:
        model = endpoint(server, background, tmp_path)
        wrong(server, model)
        with pytest.raises(RetrievalError, match=said):
            model.passages(TEXTS)


def test_a_key_is_read_from_its_variable_and_sent_nowhere_but_where_it_belongs(background, tmp_path):
    with OpenAIServer(api_key="sk-embeddings") as server:
        keys = {"keys": {"EMBED_API_KEY": "sk-embeddings"}}
        assert endpoint(server, background, tmp_path, "EMBED_API_KEY", **keys).passages(TEXTS).shape == (4, 48)
        with pytest.raises(RetrievalError, match="NO_SUCH_KEY is not set"):
            endpoint(server, background, tmp_path, "NO_SUCH_KEY")
        with pytest.raises(RetrievalError, match="OPENAI_API_KEY belongs to .*openai.com"):
            endpoint(server, background, tmp_path, "OPENAI_API_KEY", openai_api_key="sk-embeddings")
        elsewhere = {"addresses": {"EMBED_API_KEY": "https://models.example.org/v1"}, **keys}
        with pytest.raises(RetrievalError, match="belongs to .*models.example.org.* and is sent nowhere else"):
            endpoint(server, background, tmp_path, "EMBED_API_KEY", **elsewhere)
        wrong = {"keys": {"EMBED_API_KEY": "sk-wrong"}}
        with pytest.raises(RetrievalError, match="did not accept the key") as refused:
            endpoint(server, background, tmp_path, "EMBED_API_KEY", **wrong).passages(TEXTS)
        assert "sk-wrong" not in str(refused.value)
