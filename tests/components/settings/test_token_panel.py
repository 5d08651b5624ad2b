"""The panel of API tokens: a token is shown once, listed without its value, revoked; and texts in it stay texts."""

import re
from types import SimpleNamespace

import gradio as gr
import pytest

from components.settings.tab import build
from components.settings.token_panel import TokenHandlers, curl
from pipeline.errors import AccessError, PipelineError, RecordError
from pipeline.records import Role
from tests.people import open_team, team


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    services = open_team(tmp_path_factory.mktemp("panel") / "home")
    yield services
    services.close()


@pytest.fixture(scope="module")
def people(services):
    return team(services)


@pytest.fixture
def handlers(services, monkeypatch):
    monkeypatch.setattr("components.settings.token_panel.person", lambda services, request: request.who)
    return TokenHandlers(services)


def from_(somebody, origin="https://feedback.acme.org"):
    return SimpleNamespace(who=somebody.id, headers={"origin": origin})


def press(token_id):
    return SimpleNamespace(_data={"token": token_id})


def test_a_token_is_shown_once_with_a_command_that_uses_it(services, handlers, people):
    anna = from_(people[Role.ANNOTATOR])
    made = handlers.make_token(" nightly import ", 90, anna)
    value = re.search(r"pl_[\w-]{43}", made.new)[0]
    assert services.tokens.person(f"Bearer {value}") == anna.who and made.name == ""
    assert made.example.count(value) == 1 and "https://feedback.acme.org/api/v1/ask" in made.example
    shown = handlers.show_tokens(anna)
    assert value not in "".join(shown) and "nightly import" in shown.listed and "pl_…" in shown.example
    assert "never" in shown.listed.split("Last used")[-1] or "UTC" in shown.listed
    token = services.tokens.of(anna.who)[0]
    after = handlers.revoke_token(anna, press(token.id))
    assert "opens nothing any more" in after.new and "You have no token." in after.listed
    with pytest.raises(PipelineError):
        services.tokens.person(f"Bearer {value}")


def test_an_owner_sees_those_of_others_and_nobody_else_does(services, handlers, people):
    handlers.make_token("of Adam", 0, from_(people[Role.ADMIN]))
    token = services.tokens.of(people[Role.ADMIN].id)[0]
    assert token.expires_at is None
    assert "of Adam" in handlers.show_tokens(from_(people[Role.OWNER])).listed
    assert "of Adam" not in handlers.show_tokens(from_(people[Role.VIEWER])).listed
    with pytest.raises(AccessError):
        handlers.revoke_token(from_(people[Role.VIEWER]), press(token.id))
    handlers.revoke_token(from_(people[Role.OWNER]), press(token.id))
    assert services.tokens.of(people[Role.ADMIN].id) == []


@pytest.mark.parametrize(("name", "days"), [("", 90), ("x" * 81, 90), ("x", 4000), ("x", -1)])
def test_what_cannot_be_is_refused(handlers, people, name, days):
    with pytest.raises(RecordError):
        handlers.make_token(name, days, from_(people[Role.ANNOTATOR]))


def test_a_name_and_an_origin_are_texts(handlers, people):
    hostile = "<img src=x onerror=alert(1)>\"'{{x}}"
    made = handlers.make_token(hostile, 7, from_(people[Role.VIEWER], "https://a.b/<script>"))
    assert "<img" not in made.listed and "{{" not in made.listed and "<script" not in made.example
    assert "127.0.0.1" in made.example


def test_who_sees_no_other_panel_is_led_to_this_one(handlers, people):
    assert handlers.lead(from_(people[Role.ANNOTATOR])).selected == "tokens"
    assert not isinstance(handlers.lead(from_(people[Role.OWNER])), gr.Tabs)
    with gr.Blocks():
        tab = build()
    inner = {item.id for item in tab.panels.children if isinstance(item, gr.Tab)}
    assert {item.id for item in tab.of_owners()} == inner - {"tokens"}


def test_the_command_is_one_line_for_a_shell():
    assert curl("https://x.org", "pl_y").startswith("curl -H 'Authorization: Bearer pl_y' ")
