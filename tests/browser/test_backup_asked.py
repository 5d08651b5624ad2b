"""How often a page asks for the state of the back-up: its script in a real browser, with a clock and a network of the test's."""

import pytest
from playwright.sync_api import expect

from components.theme import ASSETS

pytestmark = pytest.mark.browser
STATE = "#state"
LOST, OUT = "! No connection to Pairloop", "! You are signed out"
# Each answer says its number, so that it is seen which one the page shows.
PAGE = """<!doctype html><button id="state" data-backup="checking">…</button><input id="field"><script>
window.asked = 0;
window.given = {kind: 'local', title: '', notes: 0};
window.status_ = 200;
const real = window.fetch;
window.fetch = async (input) => {
  const {pathname} = new URL(input, location.href);
  if (pathname.includes('/heartbeat/')) return real(input);
  if (window.gone) throw new TypeError('Failed to fetch');
  if (pathname !== '/backup') return new Response('{}');
  window.asked += 1;
  const said = [JSON.stringify({...window.given, text: `answer ${window.asked}`}), {status: window.status_}];
  if (window.held) await new Promise((resolve) => window.held.push(resolve));
  return new Response(...said);
};
</script><script>SCRIPT</script>"""


class Asking:
    """A page with the script alone, and a clock that stands still until it is moved."""

    def __init__(self, context) -> None:
        self.page = context.new_page()
        self.page.clock.install(time=0)
        html = PAGE.replace("SCRIPT", (ASSETS / "backup.js").read_text(encoding="utf-8"))
        self.page.route("http://pairloop.test/", lambda route: route.fulfill(body=html, content_type="text/html"))
        # Nothing of this goes out to the network, where a name server may take its time to say no.
        self.page.route("http://pairloop.test/gradio_api/**", lambda route: route.abort())
        self.page.goto("http://pairloop.test/")
        self.page.clock.pause_at(3_600_000)
        self.shows_the_last_answer()

    def asked(self) -> int:
        return self.page.evaluate("window.asked")

    def shows_the_last_answer(self) -> None:
        expect(self.page.locator(STATE)).to_have_text(f"answer {self.asked()}")

    def answers(self, script: str) -> None:
        """Let the server be another from now on, and what is asked next be answered so."""
        self.page.evaluate(script)

    def asks_within(self, ticks: int) -> int:
        """Let so many times two seconds pass, and return how often it was asked in them."""
        before = self.asked()
        for _ in range(ticks):
            self.page.clock.run_for(2000)
            self.shows_the_last_answer()
        return self.asked() - before


@pytest.fixture
def asking(chromium):
    context = chromium.new_context()
    yield Asking(context)
    context.close()


def test_a_page_in_which_nothing_happens_asks_less_often_and_at_once_when_somebody_does_something(asking):
    for kind in ("local", "backed_up"):
        asking.answers(f"window.given.kind = '{kind}'")
        asking.asks_within(6)
        assert asking.asks_within(10) == 2
        # Within two seconds of anything that a person does.
        for act in ("keyboard", "mouse"):
            asking.page.locator("#field").press("a") if act == "keyboard" else asking.page.locator("#field").click()
            assert (asking.asks_within(1), asking.asks_within(3)) == (1, 0)
    # While something waits, is unsure or lost, it asks as often as it can be another.
    for kind in ("waiting", "failing"):
        asking.answers(f"window.given.kind = '{kind}'")
        asking.asks_within(6)
        assert asking.asks_within(5) == 5


def test_a_change_is_told_by_one_question_and_none_where_nothing_is_sent_anywhere(asking):
    change = "fetch('/annotate/draft', {method: 'POST'}).then(() => window.pairloopBackup.answered())"
    before = asking.asked()
    asking.page.evaluate(change)
    assert asking.asked() == before
    asking.answers("window.given.kind = 'backed_up'")
    asking.asks_within(6)
    before = asking.asked()
    asking.page.evaluate(change)
    assert asking.asked() == before + 1
    asking.shows_the_last_answer()


def test_an_answer_from_before_a_change_is_not_shown_after_it_however_late_it_comes(asking):
    asking.answers("window.given.kind = 'backed_up'")
    asking.asks_within(6)
    # Asked before the change, and once more after it; neither is answered for longer than the page holds what it shows.
    asking.answers("window.held = []; document.dispatchEvent(new Event('visibilitychange'))")
    asking.answers("void window.pairloopBackup.answered()")
    asking.page.clock.run_for(500)
    assert asking.page.evaluate("window.held.length") == 2
    unsure = "Checking what is backed up"
    expect(asking.page.locator(STATE)).to_contain_text(unsure)
    asking.answers("window.held.shift()()")
    # It has been read by the time that this one is.
    asking.page.evaluate("new Response('{}').json()")
    assert unsure in asking.page.locator(STATE).text_content()
    asking.answers("window.held.shift()()")
    asking.shows_the_last_answer()


def test_a_lost_connection_is_told_by_a_change_that_fails_and_by_the_end_of_the_heartbeat(asking):
    state = asking.page.locator(STATE)
    asking.answers("window.gone = true")
    asking.page.evaluate("fetch('/annotate/draft', {method: 'POST'}).catch(() => 'not sent')")
    expect(state).to_contain_text(LOST)
    asking.answers("window.gone = false")
    asking.page.clock.run_for(2000)
    asking.shows_the_last_answer()
    # It ends at once here.
    asking.answers("window.gone = true; fetch('/gradio_api/heartbeat/page').catch(() => 'over')")
    expect(state).to_contain_text(LOST)


def test_a_page_that_is_signed_out_asks_seldom_and_at_once_when_it_is_looked_at(asking):
    asking.answers("window.status_ = 401")
    asking.page.locator("#field").press("a")
    asking.page.clock.run_for(2000)
    expect(asking.page.locator(STATE)).to_contain_text(OUT)
    before = asking.asked()
    for _ in range(14):
        asking.page.locator("#field").press("a")
        asking.page.clock.run_for(2000)
    assert asking.asked() == before
    asking.page.clock.run_for(2000)
    assert asking.asked() == before + 1
    for sign in ("document.dispatchEvent(new Event('visibilitychange'))", "dispatchEvent(new Event('focus'))"):
        before = asking.asked()
        asking.answers(sign)
        assert asking.asked() == before + 1
    asking.answers("window.status_ = 200; document.dispatchEvent(new Event('visibilitychange'))")
    asking.shows_the_last_answer()
