"""The report, links to it, and results that change while somebody looks, in a real Chromium."""

import re
import secrets

import pytest
from playwright.sync_api import expect

from components._session import COOKIE
from tests.browser.person import in_colours, too_wide
from tests.browser.test_looks import SMALL_TEXT, violations
from tests.ranked import MODELS, QUERIES, add_league
from tests.servers import QuickApp
from tests.workspace import open_workspace, person

pytestmark = pytest.mark.browser
ADA = "c" * 64


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with three comparisons that two people have judged; Ada has opened one, and others have still to vote."""
    folder = tmp_path_factory.mktemp("judged") / "home"
    services = open_workspace(folder)
    ada = services.store.members.by_token(ADA)
    sets = add_league(services, [ada, person(services, "Bo")])
    services.comparisons.reveal(sets[0], ada)
    services.close()
    with QuickApp(folder, PAIRLOOP_EXAMPLE="0") as process:
        yield process


def signed_in(token):
    cookie = {"name": COOKIE, "value": token, "domain": "127.0.0.1", "path": "/", "expires": -1}
    return {"cookies": [{**cookie, "httpOnly": True, "secure": False, "sameSite": "Lax"}], "origins": []}


@pytest.fixture
def ada(running, stays):
    ada = stays(running.url, path="/?tab=results", storage_state=signed_in(ADA), color_scheme="light")
    ada.go("Results")
    ada.choose("results-chosen", "both by name")
    votes_of(ada)
    return ada


def votes_of(someone) -> tuple[int, int]:
    """Return how many votes are counted, and of how many people."""
    someone.sees("#results-numbers", re.compile(rf"(?<!\d){QUERIES}, \d+, \d+"))
    shown = re.search(rf"(?<!\d){QUERIES}, (\d+), (\d+)", someone.find("#results-numbers").text_content())
    return int(shown[1]), int(shown[2])


def counted(votes: int, people: int) -> str:
    return f"{QUERIES}, {votes}, {people}"


def test_a_vote_is_counted_on_an_open_screen_and_nothing_moves(running, ada, open_person):
    ada.find("#results-checks summary").click()
    ada.find("#results-headline summary").click()
    ada.find("#results-over-time .pl-why").scroll_into_view_if_needed()
    ada.find("#results-over-time .pl-why").click()
    explained = ada.find("#results-over-time .pl-because")
    expect(explained).to_be_visible()
    ada.page.evaluate("scrollBy({top: 420, behavior: 'instant'})")
    ada.settles()
    before = ada.page.evaluate("scrollY")
    votes, people = votes_of(ada)

    # Who has never been there.
    late = open_person(running.url, path="/?tab=compare", storage_state=signed_in(secrets.token_hex(32)))
    late.choose("compare-chosen", re.compile("Comparison 1 "))
    late.find("#compare-pair .pl-side").wait_for()
    late.press("vote-tie")
    late.sees("#compare-progress", f"1 of {QUERIES} judged by you")

    ada.sees("#results-numbers", counted(votes + 1, people + 1))
    ada.sees("#results-over-time .pl-readout", f"After {votes + 1} votes on {QUERIES} queries")
    ada.sees("#results-models", f"{votes + 1} votes")
    assert ada.page.evaluate("scrollY") == before
    for part in ("checks", "headline"):
        expect(ada.page.locator(f"#results-{part} details[open]").first).to_be_visible()
    expect(explained).to_be_visible()


def test_the_numbers_of_each_step_are_told_to_a_pointer_and_to_keys(ada):
    slider = ada.find("#results-over-time .pl-scrub input")
    slider.focus()
    ada.page.keyboard.press("Home")
    ada.sees("#results-over-time .pl-readout", "After 1 vote on 1 query")
    ada.page.keyboard.press("ArrowRight")
    ada.sees("#results-over-time .pl-readout", "After 2 votes on")
    plot = ada.find("#results-over-time .pl-plot svg")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    ada.page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 20)
    ada.sees("#results-over-time .pl-readout", f"After {votes_of(ada)[0]} votes")


def test_charts_are_png_files(ada, tmp_path):
    ada.unfold("results-share")
    for button in ("results-bar-png", "results-over-time-png", "results-heat-png"):
        with ada.page.expect_download() as made:
            ada.press(button)
        made.value.save_as(tmp_path / made.value.suggested_filename)
        picture = (tmp_path / made.value.suggested_filename).read_bytes()
        assert picture.startswith(b"\x89PNG\r\n") and int.from_bytes(picture[16:20], "big") >= 2_000
        assert len(picture) > 8_000, "an empty picture is smaller"


def test_a_link_opens_the_report_without_a_cookie_until_it_is_withdrawn(ada, chromium):
    ada.unfold("results-share")
    ada.press("results-link-make")
    field = ada.find("#results-link-new input")
    field.wait_for()
    link = field.input_value()
    ada.sees("#results-links", "Made")
    viewer = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    asked = []
    try:
        page = viewer.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: asked.append(message.text))
        assert page.goto(link).status == 200
        headline = ada.find("#results-headline .pl-headline").inner_text().split("\n")[0]
        expect(page.locator(".pl-headline")).to_contain_text(headline)
        expect(page.locator("main")).to_contain_text(counted(*votes_of(ada)))
        assert MODELS[0] in page.title() or "both by name" in page.title()
        assert asked == [link] and viewer.cookies() == []
        problems = look_at(page)
        assert problems == []
        page.set_viewport_size({"width": 1280, "height": 900})
        pages = page.pdf(format="A4").count(b"/Type /Page\n")
        assert 2 <= pages <= 8
        page.emulate_media(media="print")
        assert page.locator(".pl-why:visible").count() == 0
        assert page.locator("details:not([open])").count() == 0

        # All of them: another test may have made one too.
        while (left := ada.page.locator("#results-links button").count()) > 0:
            ada.press("results-links")
            expect(ada.page.locator("#results-links button")).to_have_count(left - 1)
        ada.sees("#results-links", "withdrawn")
        assert page.goto(link).status == 404
        assert MODELS[0] not in page.content()
    finally:
        viewer.close()


def look_at(page) -> list[str]:
    """Return what is wrong with a page in every size and colour."""

    class Looker:
        def __init__(self, page):
            self.page = page

    problems = []
    # Sizes do not depend on the colours: the dark page is looked at in one width.
    for width, look in ((390, "light"), (1440, "light"), (1440, "dark")):
        in_colours(page, look)
        page.set_viewport_size({"width": width, "height": 1000})
        problems += too_wide(page, width)
        problems += [f"{look}, {width}: small text {text}" for text in page.evaluate(SMALL_TEXT)]
        problems += [f"{look}, {width}: {found}" for found in violations(Looker(page))]
    in_colours(page, "light")
    return problems


def test_the_screen_with_everything_open_can_be_read_by_everybody(ada):
    ada.unfold("results-share")
    ada.press("results-link-make")
    ada.find("#results-link-new input").wait_for()
    assert look_at(ada.page) == []
