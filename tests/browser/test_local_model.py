"""A model file on Settings: tried, registered, and asked beside the embedded model."""

import pytest

from tests.browser.test_models import looks
from tests.gguf_files import tiny

pytestmark = pytest.mark.browser


def test_a_model_file_is_tried_registered_and_asked(app, open_person, tmp_path):
    lead = open_person(app.url, path="/?tab=settings", color_scheme="light")
    lead.sees("#settings-models", "extractive-base")
    lead.unfold("local-new")
    lead.type_into("local-path", str(tmp_path / "none.gguf"))
    lead.press("local-test")
    lead.sees("#local-said", "There is no file")
    lead.type_into("local-path", str(tiny(tmp_path / "a.gguf", context=8192)))
    lead.type_into("local-temperature", "0")
    lead.type_into("local-max-tokens", "8")
    lead.press("local-test")
    lead.sees("#local-said", "aaaaaaaa")
    lead.sees("#local-state", "In memory now: Tiny 0")
    assert looks(lead, "the form of a model file") == []
    lead.type_into("local-name", "Tiny")
    lead.press("local-add")
    lead.sees("#local-said", "Tiny is registered.")
    lead.sees("#settings-models", "File a.gguf on this machine, context 4,096 tokens")
    lead.go("Ask")
    lead.choose("ask-model", "Tiny")
    lead.type_into("ask-query", "What does a rating of 1 mean?")
    lead.click("#ask-query button")
    lead.sees("#ask-answer .pl-answer", "aaaaaaaa")
