"""The form of model files on Settings: by direct calls of its handlers."""

import pytest

from components.settings.local_panel import LocalHandlers, choice_of
from pipeline.models import gguf_process
from tests.gguf_files import tiny
from tests.workspace import open_workspace, request_of


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """One workspace for the file."""
    workspace = open_workspace(tmp_path_factory.mktemp("home") / "home")
    yield workspace
    workspace.close()


NUMBERS = ("512", "0", "", "6")


def last(steps):
    return list(steps)[-1]


def test_a_file_is_tried_and_then_registered(services, tmp_path):
    handlers, typed = LocalHandlers(services), (str(tiny(tmp_path / "a<b.gguf", 1)), "", "", *NUMBERS)
    state, said = last(handlers.test(request_of("a"), *typed))
    assert "It answers" in said and "bbbbbb" in said and "6 written" in said
    assert "In memory now: Tiny 1" in state and "MB of memory" in state
    state, name, said = last(handlers.register("tiny <b>", "answer-review", request_of("a"), *typed))
    assert "Give the model a name" in said
    state, name, said = last(handlers.register("tiny", "answer-review", request_of("a"), *typed))
    assert "tiny is registered" in said and name == ""
    model = services.registry.all()[-1]
    assert (model.name, model.provider, model.config["n_ctx"]) == ("tiny", "local", 512)


def test_what_is_wrong_is_said_beside_the_form(services, tmp_path):
    handlers = LocalHandlers(services)
    for typed, words in (
        ((str(tmp_path / "<i>none"), "", "", *NUMBERS), "There is no file"),
        (("", "", "", *NUMBERS), "either the path"),
        (("a", "", "", "many", "", "", ""), "The context is a whole number such as 4096"),
        (("a", "", "", "512", "hot", "", ""), "The temperature is a number such as 0.2"),
    ):
        said = last(handlers.test(request_of("a"), *typed))[1]
        assert words in said and "<i>" not in said
        assert words in last(handlers.register("x", "answer-review", request_of("a"), *typed))[2]
    assert "x" not in {model.name for model in services.registry.all()}


def test_numbers_may_be_left_out_and_have_commas():
    choice = choice_of(" /a ", "", "", "8,192", "", "", "")
    assert (choice.path, choice.n_ctx, choice.temperature, choice.max_tokens) == ("/a", 8192, None, None)
    assert choice_of("", "r/n", "f", "", "0.5", "0.9", "10").n_ctx == 4096


def test_without_the_extra_the_form_says_how_to_get_it(services, monkeypatch):
    assert "pip install" not in LocalHandlers(services).show(None)[0]
    monkeypatch.setattr(gguf_process, "find_spec", lambda name: None)
    assert "pip install" in LocalHandlers(services).show(None)[0]
