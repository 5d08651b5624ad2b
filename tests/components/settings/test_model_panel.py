"""The panels of models and prompts on Settings: what is said beside the form, what stays typed, and what is offered."""

import gradio as gr
import pytest

from components.settings import model_form
from components.settings.environment_panel import EnvironmentHandlers
from components.settings.model_form import NO_KEY, Fields, config_of
from components.settings.model_panel import Listed, ModelHandlers
from components.settings.model_table import probe_html
from components.settings.prompt_panel import PromptHandlers, preview_html
from pipeline.chat_configs import PRESETS, ChatConfig
from pipeline.errors import ModelError, PipelineError
from pipeline.models.replies import Probe
from pipeline.prices import dollars
from pipeline.prompt_desk import Preview
from tests.components.screens import ADA, NOBODY, choices, value
from tests.material import add_queries
from tests.openai_server import OpenAIServer
from tests.workspace import open_workspace

KEY = "panel-key-0123456789"


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    services = open_workspace(tmp_path_factory.mktemp("panel") / "home", keys={"TEAM_KEY": KEY})
    yield services
    services.close()


@pytest.fixture(scope="module")
def handlers(services):
    return ModelHandlers(services)


@pytest.fixture(scope="module")
def server():
    with OpenAIServer(api_key=KEY, models=["small", "large"]) as server:
        yield server


def typed(**changes):
    """Return what a form has, in its order."""
    empty = dict.fromkeys(Fields._fields, "") | {"preset": "vllm", "key": "TEAM_KEY", "template": "answer-review"}
    return [(empty | changes)[name] for name in Fields._fields]


def save(handlers, name, fields, editing=""):
    """Save; return the list as HTML and what was said."""
    given = handlers.save_model(editing, name, ADA, *fields)
    return given[0], f"{given[-2]}{given[-1]}"


def test_a_form_becomes_a_configuration_and_the_other_way_round():
    fields = typed(
        endpoint="http://h/v1", model_id="m", temperature=" 0.2", max_tokens="64", stop="END\n\n###\n", extra='{"a": 1}',
        input_price="0.15", output_price="0.6", api_version="ignored",
    )  # fmt: skip
    config, template = config_of(*fields)
    assert config == ChatConfig(
        "http://h/v1", "m", "TEAM_KEY", "vllm", temperature=0.2, max_tokens=64, stop=("END", "###"), extra={"a": 1},
        input_price=0.15, output_price=0.6,
    )  # fmt: skip
    shown = model_form.filled(config.to_config(), gr.Dropdown(value=template))
    assert config_of(*map(value, shown)) == (config, template)
    assert config_of(*typed(key=NO_KEY))[0].key == "" and config_of(*typed())[0].temperature is None
    for name, wrong in (("temperature", "warm"), ("max_tokens", "1.5"), ("seed", "x"), ("input_price", "$1")):
        with pytest.raises(ModelError, match="number"):
            config_of(*typed(**{name: wrong}))


def test_a_model_is_registered_changed_and_retired(handlers, server):
    listed, said = save(handlers, "Panel", typed(endpoint=server.base_url, model_id="small"))
    assert "Panel is registered." in said and "<b>Panel</b>" in listed and "key in <code>TEAM_KEY</code>" in listed
    model = handlers._registry.all()[-1]
    begun = handlers.edit_model(model.id, ADA)
    assert begun[0].open and begun[1] == model.id and not begun[2].interactive
    listed, said = save(handlers, "", typed(endpoint=server.base_url, model_id="large"), editing=model.id)
    assert "Panel v2 is registered" in said and "Retired: 1" in listed and "replaces Panel" in listed
    assert (
        "replaced by Panel v2 already" in save(handlers, "", typed(endpoint=server.base_url, model_id="x"), model.id)[1]
    )
    edit, retire = handlers.choose_model(model.id)
    assert not edit.interactive and retire.value == "Bring back"
    given = handlers.retire_model(model.id, ADA)
    assert "offered again" in given[-1] and "Panel" in choices(given[1])
    assert "offered no more" in handlers.retire_model(model.id, ADA)[-1]


def test_what_is_wrong_is_said_beside_the_form_and_what_was_typed_stays(handlers, server):
    before = len(handlers._registry.all())
    given = handlers.save_model("", "Wrong", ADA, *typed(endpoint="ftp://h", model_id="m"))
    assert "http:// or https://" in given[-1] and "pl-bad" in given[-1]
    assert all(update == gr.skip() for update in given[:-1])
    for fields, said in (
        (typed(endpoint=server.base_url, model_id="m", extra="{"), "no JSON"),
        (typed(endpoint=server.base_url, model_id="m", key="sk-the-key-itself"), "Never put the key itself here"),
        (typed(endpoint=server.base_url, model_id=KEY), "A key of the environment stands"),
    ):
        shown = save(handlers, "Wrong", fields)[1]
        assert said in shown and "the-key-itself" not in shown and KEY not in shown
    assert len(handlers._registry.all()) == before


def test_a_test_shows_the_reply_as_text_with_its_price_and_an_error_in_words(handlers, server):
    server.answer = lambda messages: "<script>alert(1)</script> hello"
    fields = typed(endpoint=server.base_url, model_id="small", input_price="1", output_price="2")
    shown = list(handlers.test_model("", ADA, *fields))
    assert "Asking" in shown[0] and "&lt;script&gt;" in shown[-1] and "<script>" not in shown[-1]
    assert "it calls itself small" in shown[-1] and "at this price" in shown[-1]
    wrong = list(handlers.test_model("", ADA, *typed(endpoint=server.base_url, model_id="gone")))[-1]
    assert "does not have the model gone" in wrong and "pl-bad" in wrong
    listed = list(handlers.list_models(ADA, *typed(endpoint=server.base_url)))[-1]
    assert choices(listed[0]) == ["large", "small"] and "2 models are" in listed[1]


def test_only_a_person_that_the_app_knows_changes_models_and_prompts(services, handlers, server):
    for act in (
        lambda: handlers.retire_model(services.registry.all()[0].id, NOBODY),
        lambda: handlers.edit_model(services.registry.all()[0].id, NOBODY),
    ):
        with pytest.raises(PipelineError, match="cookie"):
            act()
    requests = len(server.requests)
    fields = typed(endpoint=server.base_url, model_id="small")
    assert "cookie" in handlers.save_model("", "N", NOBODY, *fields)[-1]
    assert "cookie" in list(handlers.test_model("", NOBODY, *fields))[-1]
    assert "cookie" in list(handlers.list_models(NOBODY, *fields))[-1][1]
    assert (
        "cookie"
        in PromptHandlers(services).save_copy("answer-review", NOBODY, "T", "", "{contexts}{query}", "", True).said
    )
    assert len(server.requests) == requests


def test_keys_are_offered_by_name_and_never_shown(services, handlers):
    shown = handlers.show_registry(None, NO_KEY, None)
    assert choices(shown.key) == [NO_KEY, "TEAM_KEY"] and KEY not in repr(shown)
    assert "Customer assistant (Argilla tutorial)" in choices(shown.template)
    environment = EnvironmentHandlers(services).show_environment()
    assert KEY not in environment and "TEAM_KEY" in environment


@pytest.mark.parametrize("preset", PRESETS)
def test_another_kind_of_endpoint_fills_what_nobody_typed(preset):
    about, address, key, version = model_form.preset_of(preset, PRESETS["openai"].endpoint, NO_KEY, ["HF_TOKEN"])
    assert PRESETS[preset].help[:20] in about and address == PRESETS[preset].endpoint
    assert value(key) == ("HF_TOKEN" if preset == "hf" else NO_KEY) and version.visible == (preset == "azure")
    _, kept, own, _ = model_form.preset_of(preset, "http://mine/v1", "MINE_KEY", [])
    assert kept == own == gr.skip()


def test_a_template_is_shown_saved_and_compared(services):
    handlers = PromptHandlers(services)
    query = services.store.queries.in_set(add_queries(services))[0]
    shown = handlers.show_prompts("gone", None)
    assert value(shown.template) == "answer-review" and not shown.save.visible and "Built in" in shown.about
    assert value(shown.example) == f"query/{query.id}" and "no other version" in shown.changes
    fields = [shown.title, shown.system, shown.user, shown.refusal, shown.numbered]
    assert query.text in handlers.preview_prompt(f"query/{query.id}", *fields)
    assert "or type one" in handlers.preview_prompt("", *fields)
    refused = handlers.save_copy("answer-review", ADA, *fields)
    assert "already" in refused.said and refused.template == gr.skip()
    kept = handlers.save_copy("answer-review", ADA, "Mine", *fields[1:])
    reference = value(kept.template)
    newer = handlers.save_version(reference, ADA, "Mine", "Be <b>brief</b>.", *fields[2:])
    assert "version 2 is stored" in newer.said and "&lt;b&gt;brief" in newer.changes and "<b>brief" not in newer.changes
    assert "From version 2 to version 1" in handlers.compare_versions(reference, value(newer.template))
    assert "Version 2 of 2; no model uses it" in newer.about


def test_what_a_prompt_holds_is_text_on_the_screen():
    shown = preview_html(Preview([{"role": "user", "content": "<img src=x>"}], 3, 0))
    assert "&lt;img src=x&gt;" in shown and "no context was found" in shown
    probe = Probe("", "", "length", 1.0, None, None)
    shown = probe_html(probe, ChatConfig("http://h/v1", "m"))
    assert "(an empty reply)" in shown and "counted no tokens" in shown and "cut off" in shown


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0, "$0"), (0.000097, "$0.000097"), (0.25, "$0.25"), (1234.5, "$1,234.50"), (1e-9, "under $0.000001")],
)
def test_amounts_have_as_many_digits_as_say_something(amount, words):
    assert dollars(amount) == words


def test_the_list_has_its_parts_in_the_order_of_its_listeners():
    assert Listed._fields == ("models", "chosen", "edit", "retire")
