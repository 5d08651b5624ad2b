"""Registered models: which there are at start, which names are taken, and where their answers and secrets go."""

import time

import pytest

from pipeline.chat_configs import ChatConfig
from pipeline.errors import ModelError, NotFoundError
from pipeline.models.extractive import base
from pipeline.records import Model, new_id
from pipeline.registry import BASE_NAME
from tests import stores
from tests.material import Home, add_manual, add_queries, finished
from tests.openai_server import OpenAIServer

KEY = "sk-this-must-never-be-stored"


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    yield home
    home.services.close()


def chat(model_id, endpoint="http://127.0.0.1:1/v1", **more):
    return ChatConfig(endpoint, model_id, **more)


def names(services):
    return [model.name for model in services.registry.all()]


def test_a_new_workspace_has_the_embedded_model_and_keeps_it_over_restarts(home):
    assert names(home.services) == [BASE_NAME]
    before = home.services.registry.all()
    assert home.restart().registry.all() == before


def test_the_endpoint_of_the_settings_brings_its_model_once(home):
    home.restart(openai_base_url="http://127.0.0.1:1/v1", openai_model="small")
    services = home.restart(openai_base_url="http://127.0.0.1:1/v1", openai_model="small")
    assert names(services) == [BASE_NAME, "small"]
    services = home.restart(openai_base_url="http://127.0.0.1:1/v1", openai_model="large")
    assert names(services) == [BASE_NAME, "small", "large"]


def test_a_model_is_asked_at_the_endpoint_that_it_was_registered_for_and_at_no_other(home, tmp_path):
    add_manual(home.services, tmp_path)
    with OpenAIServer() as one, OpenAIServer() as other:
        services = home.restart(openai_base_url=f"{one.base_url}/", openai_model="test-model")
        services = home.restart(openai_base_url=other.base_url, openai_model="test-model")
        assert names(services) == [BASE_NAME, "test-model", "test-model 2"]
        first, second = services.registry.all()[1:]
        assert list(services.generation.ask("Where is diesel sold?", second.id))[-1].completion.text
        with pytest.raises(ModelError, match="test-model is a model of .* and the app is set to .*Register it again"):
            list(services.generation.ask("Where is diesel sold?", first.id))
        assert (len(one.chats), len(other.chats)) == (0, 1)


@pytest.mark.parametrize("taken", [BASE_NAME, "shown as this"])
def test_a_model_of_the_settings_whose_name_is_taken_gets_another_one(home, taken):
    services = home.restart(openai_base_url="http://127.0.0.1:1/v1")
    if taken not in names(services):
        services.registry.add_chat_model(taken, chat("another id"), "answer-review")
    services = home.restart(openai_base_url="http://127.0.0.1:1/v1", openai_model=taken)
    assert len(set(names(services))) == len(names(services))
    assert services.registry.all()[-1].config["model_id"] == taken


@pytest.mark.parametrize("odd", ["gpt (internal)", "vendor/" + "long-" * 30])
def test_a_model_of_the_settings_may_be_called_what_nobody_could_type(home, odd):
    services = home.restart(openai_base_url="http://127.0.0.1:1/v1", openai_model=odd)
    assert names(services) == [BASE_NAME, odd]


def test_a_model_of_the_settings_without_an_endpoint_is_not_registered(home):
    assert names(home.restart(openai_model="small")) == [BASE_NAME]


def test_a_key_alone_means_openai(home):
    assert home.services.registry.endpoint == ""
    assert home.restart(openai_api_key=KEY).registry.endpoint == "https://api.openai.com/v1"
    assert home.restart(openai_api_key=KEY, openai_base_url="http://x/v1").registry.endpoint == "http://x/v1"


@pytest.mark.parametrize(
    ("name", "model_id", "temperature", "said"),
    [
        ("", "m", None, "Give the model a name"),
        ("<b>bold</b>", "m", None, "Give the model a name"),
        ("n" * 81, "m", None, "Give the model a name"),
        ("mine", " ", None, "endpoint's model id"),
        (BASE_NAME, "m", None, f"named {BASE_NAME} already"),
        ("mine", "m", 2.5, "from 0 to 2"),
        ("mine", "m", -0.1, "from 0 to 2"),
        ("mine", "m", float("nan"), "from 0 to 2"),
    ],
)
def test_what_cannot_be_registered_is_refused_with_what_to_do(home, name, model_id, temperature, said):
    services = home.restart(openai_base_url="http://127.0.0.1:1/v1")
    with pytest.raises(ModelError, match=said):
        services.registry.add_chat_model(name, chat(model_id, temperature=temperature), "answer-review")
    assert names(services) == [BASE_NAME]


def test_a_prompt_that_is_not_there_registers_nothing(home):
    with pytest.raises(NotFoundError, match="prompt template"):
        home.services.registry.add_chat_model("mine", chat("m"), "no-such-template")
    assert names(home.services) == [BASE_NAME]


def test_a_registered_model_is_asked_under_its_id_with_its_temperature_and_prompt(home, tmp_path):
    with OpenAIServer(models=["vendor/model:small"]) as server:
        services = home.services
        add_manual(services, tmp_path)
        asked = chat("vendor/model:small", server.base_url, temperature=0.5)
        model = services.registry.add_chat_model(" Mine ", asked, "customer-assistant")
        assert model.name == "Mine" and services.registry.all()[-1] == model
        last = list(services.generation.ask("Where is diesel sold?", model.id))[-1]
        (request,) = server.chats
        assert (request.body["model"], request.body["temperature"]) == ("vendor/model:small", 0.5)
        assert request.query.startswith("Context information is below.")
        assert (last.model_name, last.completion.model_id) == ("Mine", model.id)


def test_the_key_is_sent_to_the_endpoint_and_kept_nowhere(home, tmp_path):
    with OpenAIServer(api_key=KEY) as server:
        services = home.restart(openai_base_url=server.base_url, openai_api_key=KEY, openai_model="test-model")
        add_manual(services, tmp_path)
        model = services.registry.all()[-1]
        run = finished(services, services.generation.start_run(model.id, add_queries(services)))
        assert (run.done, run.failed) == (8, 0)
        server.api_key = "changed"
        with pytest.raises(ModelError) as error:
            list(services.generation.ask("Where is diesel sold?", model.id))
        assert KEY not in str(error.value) + repr(services.settings) + repr(services.registry.answerer(model.id))
    home.restart()
    kept = stores.content(home.folder)
    assert b"test-model" in kept and KEY.encode() not in kept
    assert not [path for path in home.folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_one_answerer_serves_a_model_and_an_unknown_model_has_none(home):
    (model,) = home.services.registry.all()
    assert home.services.registry.answerer(model.id) is home.services.registry.answerer(model.id)
    with pytest.raises(NotFoundError, match="model"):
        home.services.registry.answerer("nobody")


def test_embedded_models_answer_with_their_own_weights(home, tmp_path):
    add_manual(home.services, tmp_path)
    weights = {**base().to_config(), "threshold": 0.99}
    strict = Model(new_id(), "strict", "extractive", weights, "answer-review", created_at=time.time())
    home.services.store.models.add(strict)
    query = "Where is diesel sold in this harbour?"
    given = list(home.services.generation.ask(query, home.services.registry.all()[0].id))[-1].completion
    refused = list(home.services.generation.ask(query, strict.id))[-1].completion
    assert (given.refused, refused.refused) == (False, True)
