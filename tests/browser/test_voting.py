"""Votes of every form in a browser: rankings by key, criteria, a time to read, names after the vote, live queries."""

import json

import pytest
from playwright.sync_api import expect

from components._session import COOKIE
from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm
from pipeline.records import Outcome
from pipeline.store import open_store
from tests.browser.person import in_colours, too_wide
from tests.browser.records import judge
from tests.browser.test_looks import ALL, COLOURS, violations
from tests.material import add_manual
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser

LONG = "\n\n".join(f"Paragraph {n} of an answer that is long enough to scroll, whatever the window." for n in range(40))
TEXTS = [
    ("Within a day. [1]", "After **five** days, says the manual.", "I am ChatGPT: soon."),
    ("| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```", "مرحبا بالعالم", "Third."),
    (LONG, LONG.replace("Paragraph", "Passage"), "Short."),
]
QUERIES = ("How soon?", "Show a table", "Where are the showers?")
# The numbers of the comparisons; the forms that several tests look at are there once for each.
CRITERIA, LONG_ONES, SEEN_CRITERIA, TIMED, RANKED, SEEN_RANKED, LIVE = range(1, 8)


# Presses A as soon as a pair is there that has stood long enough not to be pressed by mistake, and returns what is said of it.
# A page whose script waits for ever would hold up the test for ever too.
AT_ONCE = """() => new Promise((done) => {
    const end = performance.now() + 60000;
    const look = () => {
        if (performance.now() > end) { done('never'); return; }
        const said = document.querySelector('#vote-read')?.textContent ?? '';
        if (!said.includes('you can vote in') || document.querySelector('[data-resting]')) { setTimeout(look, 20); return; }
        document.getElementById('vote-a').click();
        done(said);
    };
    look();
})"""


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory):
    """An app with one comparison of every form; returns its address and the names that the dropdown gives them."""
    folder = tmp_path_factory.mktemp("voting")
    services = open_workspace(folder / "home")
    add_manual(services, folder)
    models = [add_model(services, name) for name in ("zebra-one", "zebra-two", "zebra-three")]
    pairs = [text[:2] for text in TEXTS]
    criteria = {"criteria": ("Correct", "Easy to read")}
    for rules in (criteria, criteria, criteria, {"min_read_seconds": 3.0, "reveal": RevealPolicy.VOTE}):
        add_comparison(services, models[:2], pairs, QUERIES, **rules)
    for _ in (RANKED, SEEN_RANKED):
        add_comparison(services, models, TEXTS, QUERIES, form=VoteForm.RANKING)
    # Nothing but the number of sentences differs, so that the two do not answer alike.
    weights = {**models[0].config, "sentences": 1, "threshold": 0.0}
    other = add_model(services, "zebra-live", config=weights)
    services.live.create(ComparisonSettings((models[0].id, other.id), reveal=RevealPolicy.VOTE))
    services.close()
    with QuickApp(folder / "home", PAIRLOOP_EXAMPLE="0") as app:
        yield app


@pytest.fixture
def voter(comparisons, stays):
    """Somebody at Compare, on one page for all tests."""
    return stays(comparisons.url, path="/?tab=compare", color_scheme="light")


def choose(person, number):
    judge(person, f"Comparison {number} ·")


def ballot(person):
    return json.loads(person.page.evaluate("window.pairloopBallot()"))


def stored(app, person, number):
    """Return the votes of a person on a comparison, read beside the running app."""
    token = next(cookie["value"] for cookie in person.context.cookies() if cookie["name"] == COOKIE)
    store = open_store(app.home / "pairloop.db")
    try:
        set_id = sorted(item.id for item in store.comparisons.sets())[number - 1]
        mine = store.members.by_token(token)
        return [vote for vote in store.votes.of_set(set_id) if vote.annotator_id == mine]
    finally:
        store.close()


def test_a_ranking_is_given_by_keys_kept_over_a_reload_and_taken_back(voter, comparisons):
    choose(voter, RANKED)
    voter.sees("#compare-progress", "0 of 3")
    expect(voter.page.locator("#compare-pair .pl-side")).to_have_count(3)
    voter.looks()
    for digit in "212":
        voter.page.keyboard.press(digit)
    assert ballot(voter)["places"] == [2, 1, 2]
    voter.page.reload()
    expect(voter.find("#compare-chosen input")).to_have_value(f"Comparison {RANKED} · Asked twice")
    voter.page.wait_for_function("JSON.parse(window.pairloopBallot()).places.join() === '2,1,2'")
    voter.page.keyboard.press("Enter")
    voter.sees("#compare-progress", "1 of 3")
    # The next cards are empty: nothing of the ranking before is left on them, and none is taken without places.
    assert ballot(voter)["places"] == [0, 0, 0]
    voter.press("vote-rank")
    voter.toast("Give every answer a place")
    voter.press("vote-undo")
    voter.sees("#compare-progress", "0 of 3")
    voter.page.wait_for_function("JSON.parse(window.pairloopBallot()).places.join() === '2,1,2'")
    voter.press("vote-rank")
    voter.sees("#compare-progress", "1 of 3")
    assert voter.page.evaluate("sessionStorage.getItem('pairloop-ballots')") == "{}"
    (vote,) = stored(comparisons, voter, RANKED)
    assert sorted(vote.ranks) == [1, 2, 2] and len(set(vote.shown)) == 3


def test_criteria_go_with_the_vote_and_come_back_with_undo(voter, comparisons):
    choose(voter, CRITERIA)
    voter.sees("#compare-criteria", "Easy to read")
    voter.looks()
    voter.page.locator("#compare-criteria [data-criterion='Correct'] label").filter(has_text="both bad").click()
    voter.type_into("vote-reason", "Because.")
    voter.press("vote-b")
    voter.sees("#compare-progress", "1 of 3")
    assert ballot(voter)["criteria"] == {}
    voter.press("vote-undo")
    voter.sees("#compare-progress", "0 of 3")
    voter.page.wait_for_function("JSON.parse(window.pairloopBallot()).criteria.Correct === 'both_bad'")
    voter.keeps("vote-reason", "Because.")
    voter.press("vote-b")
    voter.sees("#compare-progress", "1 of 3")
    (vote,) = stored(comparisons, voter, CRITERIA)
    assert vote.criteria == {"Correct": Outcome.BOTH_BAD} and vote.outcome is Outcome.MODEL_B


def test_a_vote_waits_for_the_time_to_read_and_then_tells_the_names(voter):
    # By the page itself, at the first moment: on a slow machine the time to read would be over before the test sees it.
    voter.page.evaluate(f"() => {{ window.pressed = ({AT_ONCE})(); }}")
    voter.choose("compare-chosen", f"Comparison {TIMED} ·")
    assert "you can vote in" in voter.page.evaluate("window.pressed")
    # A press that was too early ends nothing: the reason can be typed, and the next press counts.
    assert voter.page.locator("[data-resting], #vote-reason textarea[readonly]").count() == 0
    voter.sees("#compare-progress", "0 of 3")
    expect(voter.page.locator("[data-reading]")).to_have_count(0)
    voter.press("vote-a")
    voter.sees("#compare-told", "Your last vote: A was zebra-")
    voter.sees("#compare-progress", "1 of 3")
    expect(voter.page.locator("#vote-undo")).to_have_count(0)


def test_a_live_query_brings_two_answers_at_once(voter):
    choose(voter, LIVE)
    voter.sees("#compare-nothing", "Both answers come at the same moment")
    voter.type_into("compare-query", "Where are the showers?")
    voter.press("compare-ask")
    voter.sees("#compare-pair", "Where are the showers?")
    expect(voter.page.locator("#compare-pair .pl-side")).to_have_count(2)
    assert "zebra" not in voter.page.content()
    voter.press("vote-tie")
    voter.sees("#compare-told", "zebra-live")
    voter.sees("#compare-nothing", "Ask something")
    voter.keeps("compare-query", "")


def test_long_answers_scroll_together_and_all_are_drawn_alike(voter):
    choose(voter, LONG_ONES)
    voter.sees("#compare-criteria", "Easy to read")
    for _ in range(3):
        if "Paragraph" in voter.find("#compare-pair").inner_text():
            break
        before = voter.find("#compare-progress").inner_text()
        voter.press("vote-tie")
        expect(voter.find("#compare-progress")).not_to_have_text(before)
        # The pair comes with the count, but is not drawn in the same moment.
        voter.settles()
    left, right = (voter.page.locator(".pl-side-text").nth(n) for n in (0, 1))
    left.evaluate("side => { side.scrollTop = 400; }")
    voter.page.wait_for_function("document.querySelectorAll('.pl-side-text')[1].scrollTop > 300")
    boxes = [side.bounding_box() for side in (left, right)]
    assert boxes[0]["width"] == boxes[1]["width"] and boxes[0]["y"] == boxes[1]["y"]


def test_every_form_fits_and_is_accessible(voter):
    for number, bar in ((SEEN_RANKED, "#rank-bar"), (SEEN_CRITERIA, "#vote-bar")):
        choose(voter, number)
        voter.sees("#compare-progress", "of 3")
        check(voter, bar)
    voter.unfold("compare-new")
    voter.sees("#compare-preview", "test queries")
    voter.unfold("compare-how")
    voter.sees("#compare-how", "Seconds to read")
    check(voter)


def check(person, bar=None):
    """Look at a screen in a wide window and on a phone, in both colours; a bar is in the window."""
    for width in (390, 1440):
        person.page.set_viewport_size({"width": width, "height": 900})
        if bar:
            expect(person.find(bar)).to_be_in_viewport()
        for look, wanted in (("dark", COLOURS), ("light", ALL)):
            in_colours(person.page, look)
            assert too_wide(person.page, width) + violations(person, wanted) == []


def test_more_models_are_chosen_with_a_preview_and_ranked(voter):
    voter.unfold("compare-new")
    voter.sees("#compare-preview", "3 test queries. Both models")
    voter.unfold("compare-how")
    voter.choose("compare-more", "zebra-one")
    voter.sees("#compare-preview", "All 3 models")
    voter.page.keyboard.press("Escape")
    voter.page.get_by_label("All answers to a query, put in order").check()
    voter.sees("#compare-preview", "3 rankings for each person")
    voter.press("compare-create")
    # The other two queries fit nothing in the documents, so that all three models refuse alike.
    voter.sees("#compare-progress", "0 of 1")
    expect(voter.page.locator("#compare-pair .pl-side").first).to_be_visible()
    assert "zebra" not in voter.find("#compare-screen").inner_text()
