"""The walk from a vote to the rows, the model and the passage, and back; proposals reviewed by keyboard; in a real Chromium."""

import re

import pytest
from playwright.sync_api import expect

from components._session import COOKIE
from tests.browser.person import in_colours, too_wide
from tests.browser.test_looks import SMALL_TEXT, violations
from tests.lined import BETTER, REASON, REVIEWED, prepare_lined
from tests.material import TEST
from tests.servers import QuickApp
from tests.workspace import open_workspace

pytestmark = pytest.mark.browser
# Gradio opens the first panel again where it draws its tabs anew while the page loads, as nobody has pressed anything.
DRAWN_ANEW = """new MutationObserver(() => {
    const open = document.querySelector('#tune-panels button[role=tab][aria-selected=true]');
    if (window.drawing || open?.textContent.trim() !== 'Models') return;
    window.drawing = true;
    setTimeout(() => {
        document.querySelector('#tune-panels button[role=tab]').click();
        window.drawnAnew = true;
    });
}).observe(document, {attributes: true, childList: true, subtree: true});"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A loop that has turned once, whose results Ada has opened."""
    home, loop = prepare_lined(tmp_path_factory.mktemp("lineage"))
    services = open_workspace(home)
    services.comparisons.reveal(loop.set_id, services.store.members.by_token("a" * 64))
    services.close()
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as process:
        yield process, loop


@pytest.fixture
def ada(running, stays):
    cookie = {"name": COOKIE, "value": "a" * 64, "domain": "127.0.0.1", "path": "/", "expires": -1}
    state = {"cookies": [{**cookie, "httpOnly": True, "secure": False, "sameSite": "Lax"}], "origins": []}
    # By a link to a vote: what is there before a tab was ever opened.
    return stays(running[0].url, path=f"/?tab=results&vote={running[1].vote_id}", storage_state=state)


def looks(someone) -> list[str]:
    """Return what is wrong with the page, light on a desk and dark on a phone."""
    problems = []
    for look, width in (("light", 1440), ("dark", 390)):
        in_colours(someone.page, look)
        someone.page.set_viewport_size({"width": width, "height": 900})
        problems += too_wide(someone.page, width)
        problems += [f"{look}: small text {text}" for text in someone.page.evaluate(SMALL_TEXT)]
        problems += [f"{look}: {found}" for found in violations(someone)]
    someone.page.set_viewport_size({"width": 1440, "height": 1000})
    return problems


def test_from_a_vote_to_the_training_rows_the_model_and_the_passage_and_back(running, ada):
    (_, loop), person = running, ada
    person.sees("#results-vote", BETTER)
    person.sees("#results-vote", REASON)
    assert looks(person) == []
    # On to the row that came of the better answer, on its model's page.
    person.click("#results-vote a:has-text('row 2')")
    person.sees("#models-row", f"Row 2: {TEST[0]}")
    person.sees("#models-page", "1 correction out of votes")
    expect(person.page).to_have_url(re.compile(f"tab=tune.*model={loop.tuned.id}.*row="))
    # A reload stays there, and the row leads back to the vote.
    person.page.add_init_script(DRAWN_ANEW)
    person.page.reload()
    person.page.wait_for_function("window.drawnAnew")
    person.settles()
    expect(person.find("#models-row")).to_be_visible()
    person.sees("#models-row", f"Row 2: {TEST[0]}")
    assert looks(person) == []
    # Also where Results was looked at before, and knows its comparisons.
    person.go("Results")
    person.go("Tune")
    person.click("#models-row a:has-text('the vote')")
    person.sees("#results-vote", BETTER)
    expect(person.page).to_have_url(re.compile(f"tab=results.*vote={loop.vote_id}"))
    # The models of the answers have pages; from there down the tree to the tuned one, and to a row out of a review.
    person.click("#results-vote a:has-text('extractive-base')")
    person.sees("#models-page", "Tuned into")
    person.click("#models-tree a:has-text('tuned-1')")
    person.sees("#models-row-list", REVIEWED)
    person.click("#models-row-list a >> nth=0")
    person.sees("#models-row", "guidelines version 1")
    person.click("#models-row [data-chunk]")
    expect(person.page.locator(".pl-drawer mark")).to_contain_text("opens at seven")
    person.page.keyboard.press("Escape")
    # And to its record, where the answer was given.
    person.click("#models-row a:has-text('the record')")
    expect(person.page.locator("#edit-card")).to_contain_text(REVIEWED, timeout=30_000)


def test_votes_are_searched_closed_and_opened_in_place(ada):
    person = ada
    person.go("Results")
    if person.page.locator(".pl-vote-open").count():
        person.click("#results-vote a:has-text('All votes')")
    person.sees("#results-vote-list", "3 votes")
    person.type_into("results-vote-search", "showers")
    person.sees("#results-vote-list", "1 vote")
    person.click("#results-vote-list a >> nth=0")
    person.sees("#results-vote", TEST[2])
    person.click("#results-vote a:has-text('All votes')")
    expect(person.page.locator(".pl-vote-open")).to_have_count(0)
    assert "vote=" not in person.page.url
    person.choose("results-vote-kind", "quick-one preferred")
    person.sees("#results-vote-list", "1 vote")


def test_proposed_queries_are_reviewed_by_keyboard_and_become_a_list(ada):
    person = ada
    person.go("Ask")
    person.unfold("proposals-panel")
    person.press("proposals-start")
    waiting = person.page.locator("#proposals-list .pl-proposal")
    expect(waiting).to_have_count(5)
    assert looks(person) == []
    person.page.keyboard.press("a")
    expect(waiting).to_have_count(4)
    person.settles()
    # Changed before it is accepted, by keys alone.
    person.page.keyboard.press("e")
    person.page.keyboard.press("Control+A")
    person.page.keyboard.type("How much does a night at the pier cost?")
    person.page.keyboard.press("Control+Enter")
    expect(waiting).to_have_count(3)
    person.page.keyboard.press("Escape")
    person.settles()
    person.page.keyboard.press("x")
    expect(waiting).to_have_count(2)
    person.settles()
    person.page.keyboard.press("z")
    expect(waiting).to_have_count(3)
    person.sees("#proposals-decided", "2 accepted, in no list yet")
    person.press("proposals-make")
    person.sees("#runs-report", "Added Proposed queries: 2 train and 0 test queries")
    expect(person.page.locator("#runs-list input")).to_have_value("Proposed queries (2)")
