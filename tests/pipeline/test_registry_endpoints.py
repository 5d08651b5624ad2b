"""Models of endpoints: how they are asked, what is refused, where keys go, versions, and what is offered no more."""

import json

import pytest

from pipeline.chat_configs import PRESETS, ChatConfig, checked, read_extra
from pipeline.errors import ModelError
from pipeline.models.openai_chat import ChatModel
from pipeline.prices import price
from pipeline.records import Model, new_id
from pipeline.registry import BASE_NAME, Provider
from pipeline.settings import Settings, from_environment
from tests import stores
from tests.azure_server import VERSION, AzureHandler
from tests.material import Home, add_manual
from tests.openai_server import OpenAIServer

KEY = "team-key-never-stored-0123456789"
HELLO = [{"role": "user", "content": "Hello?"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("registry") / "home")
    home.restart(keys={"TEAM_KEY": KEY, "AZURE_OPENAI_API_KEY": KEY, "OTHER_KEY": "other-key-987654321"})
    yield home
    home.services.close()


@pytest.fixture(scope="module")
def services(home):
    return home.services


@pytest.fixture
def server():
    with OpenAIServer(api_key=KEY, models=["small", "large"]) as server:
        yield server


def test(services, config, messages=HELLO):
    return services.background.submit(services.registry.test(config, messages)).result()


test.__test__ = False


def test_a_test_shows_what_came_back_as_it_came_and_registers_nothing(services, server):
    before = services.registry.all()
    server.answer = lambda messages: "<think>Hm.</think>\nHello yourself."
    probe = test(services, ChatConfig(server.base_url, "small", key="TEAM_KEY"))
    assert (probe.text, probe.model) == ("<think>Hm.</think>\nHello yourself.", "small")
    assert probe.seconds > 0 and probe.prompt_tokens and probe.completion_tokens
    assert services.registry.all() == before
    assert server.chats[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"key": ""}, "wants a key .401.: put it into an environment variable"),
        ({"key": "OTHER_KEY"}, "did not accept the key .401.: check OTHER_KEY"),
        ({"key": "MISSING_KEY"}, "MISSING_KEY is not set"),
        ({"model_id": "huge", "key": "TEAM_KEY"}, "does not have the model huge: check the model id.$"),
        ({"endpoint": "http://127.0.0.1:1/v1"}, "Cannot reach .* its address on Settings is right"),
    ],
)
def test_a_test_that_fails_says_why_in_plain_words(services, server, config, said):
    with pytest.raises(ModelError, match=said) as error:
        test(services, ChatConfig(**{"endpoint": server.base_url, "model_id": "small", **config}))
    assert KEY not in str(error.value) and "OPENAI_" not in str(error.value)


def test_the_models_of_an_endpoint_are_listed_before_one_is_chosen(services, server):
    listing = services.registry.list_endpoint(ChatConfig(server.base_url, "", key="TEAM_KEY"))
    assert services.background.submit(listing).result() == ["large", "small"]


def test_everything_that_is_chosen_is_sent_and_nothing_else(services, server, tmp_path):
    config = ChatConfig(
        server.base_url, "small", key="TEAM_KEY", temperature=0.2, top_p=0.9, max_tokens=64, seed=7, stop=("END", "\n\n"),
        extra={"reasoning_effort": "low"},
    )  # fmt: skip
    test(services, config)
    test(services, ChatConfig(server.base_url, "small", key="TEAM_KEY"))
    full, bare = (dict(request.body) for request in server.chats)
    fixed = {"model": "small", "messages": HELLO, "stream": True, "stream_options": {"include_usage": True}}
    assert bare == fixed
    sampling = {"temperature": 0.2, "top_p": 0.9, "max_tokens": 64, "seed": 7, "stop": ["END", "\n\n"]}
    assert full == {**fixed, **sampling, "reasoning_effort": "low"}


@pytest.mark.parametrize("version", ["", VERSION])
def test_azure_is_asked_at_its_deployment_or_at_its_newer_interface(services, version):
    with OpenAIServer(api_key=KEY, models=["our-deployment"], handler=AzureHandler) as azure:
        address = f"http://127.0.0.1:{azure.port}"
        config = ChatConfig(
            f"{address}/openai/", "our-deployment", key="AZURE_OPENAI_API_KEY", preset="azure", api_version=version
        )
        assert test(services, config).text == "You said: Hello?"
        (request,) = azure.requests
        assert ("api-key" in request.headers) == bool(version)
        assert services.background.submit(services.registry.list_endpoint(config)).result() == ["our-deployment"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"endpoint": "file:///etc/passwd"}, "http:// or https://"),
        ({"endpoint": "gopher://h/v1"}, "http:// or https://"),
        ({"endpoint": "localhost:8000/v1"}, "http:// or https://"),
        ({"endpoint": "http://h:port/v1"}, "no address"),
        ({"endpoint": "http://ada:hunter22@h/v1"}, "user name, password, key"),
        ({"endpoint": "http://h/v1?api-key=hunter22"}, "user name, password, key"),
        ({"endpoint": "http://h/sk-proj-hunter22/v1"}, "user name, password, key"),
        ({"endpoint": PRESETS["azure"].endpoint, "preset": "azure"}, "YOUR-RESOURCE"),
        ({"key": "sk-hunter22"}, "name of an environment variable"),
        ({"key": "PATH"}, "name of an environment variable"),
        ({"api_version": VERSION}, "Azure's only"),
        ({"model_id": " "}, "model id"),
        ({"top_p": 1.5}, "Top p"),
        ({"max_tokens": 0}, "most tokens"),
        ({"seed": 1.5}, "seed"),
        ({"stop": ("a", "b", "c", "d", "e")}, "at most 4"),
        ({"input_price": 1.0}, "both prices"),
        ({"input_price": float("inf"), "output_price": 1.0}, "price"),
        ({"extra": {"temperature": 1}}, "field of its own"),
        ({"extra": {"messages": []}}, "set by the app"),
        ({"extra": {"headers": {"api_key": "hunter22"}}}, "api_key looks like a secret"),
        ({"extra": {"user": "hunter22-of-the-team"}}, "A key of the environment stands"),
        ({"model_id": "hunter22-of-the-team"}, "A key of the environment stands"),
    ],
)
def test_what_cannot_be_used_is_refused_and_no_secret_is_repeated(wrong, said):
    with pytest.raises(ModelError, match=said) as error:
        checked(ChatConfig(**{"endpoint": "http://h/v1", "model_id": "m", **wrong}), ["hunter22-of-the-team"])
    assert "hunter22" not in str(error.value)


def test_an_address_that_was_copied_from_a_document_is_tidied():
    assert checked(ChatConfig(" http://h/v1/chat/completions/ ", " m ")).endpoint == "http://h/v1"
    azure = checked(ChatConfig("https://r.openai.azure.com/openai/v1", "d", preset="azure"))
    assert (azure.endpoint, azure.base_url) == ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1")


@pytest.mark.parametrize("text", ["{", "[1]", '"low"', "low"])
def test_further_parameters_that_are_no_json_object_are_refused(text):
    with pytest.raises(ModelError, match="JSON"):
        read_extra(text)


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in ("other", "azure")])
def test_presets_are_addresses_that_can_be_used_as_they_are(preset):
    item = PRESETS[preset]
    assert checked(ChatConfig(item.endpoint, "m", key=item.key, preset=preset)).base_url == item.endpoint


def test_what_is_stored_reads_back_as_the_same_and_is_plain_json():
    config = ChatConfig("http://h/v1", "m", stop=("x",), extra={"a": {"b": 1}}, input_price=0.0, output_price=0.5)
    stored = config.to_config()
    assert ChatConfig.from_config(json.loads(json.dumps(stored))) == config
    assert "temperature" not in stored and stored["key"] == ""


def test_a_key_goes_to_the_place_that_it_belongs_to_and_nowhere_else(home, server):
    environment = {
        "OPENAI_API_KEY": "sk-openai-0123456789", "HF_TOKEN": "hf_0123456789", "ACME_API_KEY": "acme-0123456789",
        "ACME_BASE_URL": "https://llm.acme.example/v1", "LOOSE_TOKEN": "loose-0123456789", "PEM_KEY": "-----BEGIN\nKEY",
        "HUGGING_FACE_HUB_TOKEN": "hf_1123456789", "HUGGINGFACEHUB_API_TOKEN": "hf_2123456789",
    }  # fmt: skip
    settings = from_environment(environment)
    assert set(settings.keys) == set(environment) - {"ACME_BASE_URL", "PEM_KEY"}
    sent = {
        "OPENAI_API_KEY": "https://api.openai.com/v1",
        **dict.fromkeys(
            ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN"), "https://router.huggingface.co/v1"
        ),
        "ACME_API_KEY": "https://llm.acme.example:443/other",
    }
    for name, endpoint in sent.items():
        assert settings.may_send(name, endpoint)
        elsewhere = [
            "https://api.openai.com.evil.example/v1",
            "http://api.openai.com/v1",
            "https://evilhuggingface.co/v1",
        ]
        assert not any(settings.may_send(name, other) for other in elsewhere)
    # Whose place nobody named goes to this machine only, however its address is made to look.
    assert settings.may_send("LOOSE_TOKEN", "http://127.0.0.1:8000/v1") and settings.may_send(
        "LOOSE_TOKEN", "http://[::1]:1/v1"
    )
    for other in (
        "http://anywhere.example/v1",
        "http://127.0.0.1.evil.example/v1",
        "http://localhost@evil.example/v1",
        "http://[",
    ):
        assert not settings.may_send("LOOSE_TOKEN", other)
    assert "set LOOSE_BASE_URL" in settings.why_not_sent("LOOSE_TOKEN")
    text = repr(settings)
    assert not [secret for secret in settings.secrets if secret in text] and len(settings.secrets) == 6


def test_a_key_of_another_place_is_not_sent_to_a_typed_address(tmp_path, server):
    other = Home(tmp_path / "home")
    services = other.restart(openai_api_key=KEY, keys={"OPENAI_API_KEY": KEY})
    config = ChatConfig(server.base_url, "small", key="OPENAI_API_KEY")
    for act in (lambda: test(services, config), lambda: services.registry.add_chat_model("x", config, "answer-review")):
        with pytest.raises(ModelError, match="OPENAI_API_KEY belongs to https://api.openai.com"):
            act()
    # Not by a row of another replica either.
    row = Model(new_id(), "planted", "openai", config.to_config(), "answer-review", created_at=1.0)
    services.store.models.add(row)
    with pytest.raises(ModelError, match="belongs to"):
        services.registry.answerer(row.id)
    assert not server.requests
    other.services.close()


def test_a_change_makes_a_new_version_and_the_old_one_keeps_what_it_answered(home, server, tmp_path):
    services = home.services
    add_manual(services, tmp_path)
    registry = services.registry
    config = ChatConfig(server.base_url, "small", key="TEAM_KEY", temperature=0.1)
    first = registry.add_chat_model("Support", config, "answer-review")
    answered = list(services.generation.ask("Where is diesel sold?", first.id))[-1].completion
    second = registry.change_chat_model(first.id, ChatConfig(server.base_url, "large", key="TEAM_KEY"), "answer-review")
    assert (second.name, second.replaces_id) == ("Support v2", first.id)
    old = services.store.models.get(first.id)
    assert old.retired_at and old.config == first.config
    assert [model.name for model in registry.answering()] == [BASE_NAME, "Support v2"]
    third = registry.change_chat_model(second.id, config, "customer-assistant")
    assert (third.name, third.replaces_id) == ("Support v3", second.id)
    # Retired, it still answers for what was begun with it, and its answers are there.
    assert registry.answerer(first.id) and services.store.runs.by_ids([answered.id])[answered.id].text == answered.text
    with pytest.raises(ModelError, match="replaced by Support v2 already"):
        registry.change_chat_model(first.id, ChatConfig(server.base_url, "large"), "answer-review")
    with pytest.raises(ModelError, match="Nothing has changed"):
        registry.change_chat_model(third.id, config, "customer-assistant")
    assert registry.bring_back(first.id).retired_at is None
    assert "Support" in [model.name for model in registry.answering()]
    kept = stores.content(home.folder)
    assert b"TEAM_KEY" in kept and KEY.encode() not in kept


def test_a_model_of_the_environment_can_be_changed_too(tmp_path, server):
    other = Home(tmp_path / "home")
    services = other.restart(openai_base_url=server.base_url, openai_api_key=KEY, openai_model="small")
    model = services.registry.all()[-1]
    config = ChatConfig.from_config(services.registry.config_of(model))
    assert (config.key, config.endpoint) == ("OPENAI_API_KEY", server.base_url)
    changed = services.registry.change_chat_model(
        model.id, ChatConfig(server.base_url, "large", key="OPENAI_API_KEY"), "answer-review"
    )
    assert services.registry.answerer(changed.id).api_key == KEY
    # At the next start the model of the environment is known, retired as it is.
    services = other.restart(openai_base_url=server.base_url, openai_api_key=KEY, openai_model="small")
    assert [item.name for item in services.registry.answering()] == [BASE_NAME, "small v2"]
    services.close()


@pytest.mark.parametrize(
    "config", [{}, {"endpoint": 1, "model_id": "m"}, {"endpoint": "http://h", "model_id": "m", "seed": "x"}]
)
def test_a_row_that_another_replica_wrote_wrongly_is_told_and_breaks_no_list(services, config):
    row = Model(new_id(), "odd", "openai", config, "answer-review", created_at=1.0)
    assert "cannot be read" in services.registry.what_is(row)


def test_the_last_model_that_answers_is_not_retired(tmp_path):
    other = Home(tmp_path / "home")
    (model,) = other.services.registry.all()
    with pytest.raises(ModelError, match="only model that answers"):
        other.services.registry.retire(model.id)
    other.services.close()


def test_another_provider_joins_with_its_own_words_and_may_judge(services):
    class Said:
        async def chat(self, messages, on_text=None): ...

    model = services.registry.add("On disk", "disk", {"path": "x"}, "answer-review")
    assert "does not know" in services.registry.what_is(model)
    with pytest.raises(ModelError, match="does not know"):
        services.registry.answerer(model.id)
    services.registry.provide(
        "disk", Provider(lambda model: Said(), lambda model: f"A file: {model.config['path']}", True)
    )
    assert services.registry.what_is(model) == "A file: x"
    assert isinstance(services.registry.answerer(model.id), Said)
    assert model in services.registry.chatting() and model in services.judge.judges()


def test_what_answers_prints_no_key(services, server):
    model = services.registry.add_chat_model(
        "Print", ChatConfig(server.base_url, "small", key="TEAM_KEY"), "answer-review"
    )
    answerer = services.registry.answerer(model.id)
    assert isinstance(answerer, ChatModel) and answerer.api_key == KEY and KEY not in repr(answerer)


@pytest.mark.parametrize(
    ("config", "tokens", "cost"),
    [
        ({"input_price": 2.5, "output_price": 10.0}, (1000, 200), 0.0045),
        ({"input_price": 0, "output_price": 0}, (1000, 200), 0.0),
        ({"input_price": 2.5, "output_price": 10.0}, (None, 200), None),
        ({"input_price": 2.5, "output_price": 10.0}, (1000, None), None),
        ({"input_price": 2.5}, (1000, 200), None),
        ({}, (1000, 200), None),
    ],
)
def test_a_price_is_dollars_per_million_tokens_and_unknown_is_not_nothing(config, tokens, cost):
    assert price(config, *tokens) == (pytest.approx(cost) if cost is not None else None)


def test_settings_without_keys_have_none():
    assert Settings(home="x").key("ANY_KEY") == "" and Settings(home="x").secrets == ()


def test_a_tuned_model_that_is_asked_elsewhere_keeps_what_its_next_round_starts_from(services, server):
    registry = services.registry
    config = ChatConfig(server.base_url, "team/adapter").to_config() | {
        "weights": "team/base",
        "adapter": "team/adapter",
    }
    tuned = Model(new_id(), "tuned-on-the-hub", "openai", config, "answer-review")
    services.store.models.add(tuned)
    moved = registry.change_chat_model(
        tuned.id, ChatConfig("http://127.0.0.1:8000/v1", "team/adapter"), "answer-review"
    )
    assert (moved.config["weights"], moved.config["adapter"]) == ("team/base", "team/adapter")
    with pytest.raises(ModelError, match="Nothing has changed"):
        registry.change_chat_model(moved.id, ChatConfig("http://127.0.0.1:8000/v1", "team/adapter"), "answer-review")
