"""Settings as a team's lead uses it: a model of an endpoint is tried, registered and changed, and prompts are written."""

import pytest

from tests.browser.person import in_colours, too_wide
from tests.browser.test_looks import SMALL_TEXT, violations
from tests.openai_server import OpenAIServer
from tests.servers import QuickApp

pytestmark = pytest.mark.browser
KEY = "team-key-that-nobody-sees-77"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """An endpoint that wants a key, and an app whose environment has it."""
    with OpenAIServer(api_key=KEY, models=["small-chat", "large-chat"]) as server:
        home = tmp_path_factory.mktemp("models") / "home"
        with QuickApp(home, OPENAI_TEAM_KEY=KEY) as app:
            yield server, app


def looks(person, panel: str) -> list[str]:
    """Return what is wrong with how a panel looks, wide and on a phone, light and dark."""
    problems = []
    for width, look in ((390, "light"), (1440, "light"), (1440, "dark")):
        in_colours(person.page, look)
        person.page.set_viewport_size({"width": width, "height": 1000})
        problems += [f"{panel} is {wide}" for wide in too_wide(person.page, width)]
        problems += [f"{panel}, {width}: small text {text}" for text in person.page.evaluate(SMALL_TEXT)]
        problems += [f"{panel}, {width}, {look}: {found}" for found in violations(person)]
    in_colours(person.page, "light")
    return problems


@pytest.fixture
def lead(endpoint, stays):
    """The team's lead, on Settings."""
    lead = stays(endpoint[1].url, path="/?tab=settings", color_scheme="light")
    lead.go("Settings")
    return lead


def test_a_model_is_listed_tried_registered_changed_and_brought_back(endpoint, lead):
    server, _ = endpoint
    lead.open_panel("Models")
    lead.sees("#settings-models", "extractive-base")
    lead.unfold("settings-new")
    lead.choose("settings-preset", "vLLM or TGI")
    lead.sees("#settings-help", "vllm serve")
    assert lead.text_of("settings-endpoint") == "http://localhost:8000/v1"
    lead.type_into("settings-endpoint", server.base_url)
    lead.type_into("settings-name", "Small")
    lead.press("settings-list")
    lead.sees("#settings-listed", "wants a key")
    lead.choose("settings-key", "OPENAI_TEAM_KEY")
    lead.press("settings-list")
    lead.sees("#settings-listed", "2 models are at the endpoint")
    lead.choose("settings-model-id", "small-chat")
    lead.unfold("settings-more")
    lead.type_into("settings-input-price", "0.15")
    lead.type_into("settings-output-price", "0.6")
    lead.type_into("settings-question", "Which file formats may I upload?")
    lead.press("settings-test")
    lead.sees("#settings-tested", "it calls itself small-chat")
    lead.sees("#settings-tested .pl-raw", "[1]")
    # What is empty on the form is not sent.
    body = server.chats[-1].body
    assert not {"temperature", "top_p", "max_tokens", "seed", "stop"} & body.keys()
    assert looks(lead, "Models") == []
    lead.press("settings-add")
    lead.sees("#settings-said", "Small is registered.")
    lead.press("settings-edit")
    lead.sees("#settings-said", "You change Small.")
    lead.choose("settings-model-id", "large-chat")
    lead.press("settings-add")
    lead.sees("#settings-said", "Small v2 is registered")
    lead.sees("#settings-models", "large-chat at")
    lead.sees("#settings-models .pl-retired summary", "Retired: 1")
    lead.choose("settings-chosen", "Small (retired)")
    lead.press("settings-retire")
    lead.sees("#settings-said", "Small is offered again")
    assert KEY not in lead.page.content()


def test_a_prompt_is_copied_changed_compared_and_seen_as_the_model_gets_it(lead):
    lead.open_panel("Prompts")
    lead.sees("#prompts-preview", "in 2 messages, with 4 contexts")
    lead.type_into("prompts-title", "Our desk")
    lead.type_into("prompts-user", "{contexts}\n\n{question}")
    lead.press("prompts-look")
    lead.sees("#prompts-preview", "needs {query} exactly once")
    lead.type_into("prompts-user", "{contexts}\n\nAsked at our desk: {query}")
    lead.press("prompts-copy")
    lead.sees("#prompts-said", "Our desk, version 1 is stored.")
    lead.sees("#prompts-preview", "Asked at our desk: ")
    lead.type_into("prompts-refusal", "Ask the office.")
    lead.press("prompts-save")
    lead.sees("#prompts-said", "Our desk, version 2 is stored.")
    lead.unfold("prompts-versions")
    lead.sees("#prompts-changes .pl-diff", "office")
    assert looks(lead, "Prompts") == []
    lead.open_panel("Models")
    lead.unfold("settings-new")
    lead.choose("settings-template", "Our desk, version 2")
