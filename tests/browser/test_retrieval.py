"""Retrieval in a real browser: other sizes are compared and put into force, and a source says why it was found."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.servers import QuickApp

pytestmark = pytest.mark.browser
SLOWLY = 30_000


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with QuickApp(tmp_path_factory.mktemp("retrieval") / "home", PAIRLOOP_EXAMPLE="1") as running:
        yield running


def test_settings_are_compared_on_the_example_put_into_force_and_explained(app, open_person):
    ada = open_person(app.url)
    page = ada.page
    ada.go("Settings")
    page.get_by_role("tab", name="Retrieval").click()
    state = page.locator("#retrieval-state")
    expect(state).to_contain_text("By words (BM25), 4 passages for each query", timeout=SLOWLY)
    expect(page.locator("#retrieval-embedding")).to_be_hidden()
    page.get_by_label("By both, ranks fused").check()
    expect(page.locator("#retrieval-embedding")).to_be_visible()
    page.get_by_label("By words (BM25)").check()
    page.get_by_label("Tokens of a passage, at most").fill("128")
    page.get_by_label("Tokens that neighbours share").fill("16")
    page.get_by_role("button", name="Compare", exact=True).click()
    compared = page.locator("#retrieval-compared")
    expect(compared.locator("table").first).to_contain_text("hit@1", timeout=SLOWLY)
    expect(compared).to_contain_text("33 queries whose right passages are known")
    page.get_by_role("button", name="Put into force").click()
    expect(state).to_contain_text("of up to 128 tokens with 16 shared", timeout=SLOWLY)
    ada.go("Ask")
    page.locator("#ask-query textarea").fill("Is my unfinished text lost?")
    page.locator("#ask-query textarea").press("Enter")
    source = page.locator("#ask-sources .pl-source").first
    source.get_by_text("Why this passage").click(timeout=SLOWLY)
    expect(source).to_contain_text("1st by words: BM25 score")
    expect(source.locator(".pl-matches")).to_contain_text("unfinished")
