"""A click is answered whenever it comes, also when Gradio's stream of answers is about to end."""

import socket
import time

import pytest

from tests.recorder import Recorder
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser

LATE = 1.0


class LateEnds(Recorder):
    """Brings the word that a stream of answers has ended late, as a network may: clicks in the meantime come too late for it."""

    def _answer(self, data: bytes, client: socket.socket) -> None:
        before, end, after = data.partition(b"close_stream")
        super()._answer(before, client)
        if end:
            time.sleep(LATE)
            super()._answer(end + after, client)


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """The app with one comparison, behind such a network."""
    home = tmp_path_factory.mktemp("clicks") / "home"
    services = open_workspace(home)
    models = tuple(add_model(services, name) for name in ("fennec", "lemur"))
    add_comparison(services, models, [(f"Answer {n}.", f"Another answer {n}.") for n in range(3)])
    services.close()
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as app, LateEnds(app.port) as late:
        yield late


@pytest.fixture
def person(line, stays):
    return stays(line.url)


def test_no_stream_stays_open_when_everything_is_answered(person):
    streams, over = set(), set()
    listeners = {"request": streams.add, "requestfinished": over.add, "requestfailed": over.add}
    listeners = {event: of_streams(note) for event, note in listeners.items()}
    for event, listener in listeners.items():
        person.page.on(event, listener)
    person.go("Results")
    person.sees("#results-screen", "3 of 3 pairs left to judge")
    # A browser has six connections to one server: streams that nobody needs would soon take them all.
    person.until(lambda: streams and streams <= over)
    person.page.wait_for_timeout(2000 * LATE)
    assert streams <= over
    for event, listener in listeners.items():
        person.page.remove_listener(event, listener)


def of_streams(note):
    """Return what notes a request if it is one for a stream of answers."""
    return lambda request: note(request) if "/queue/data" in request.url else None


def test_a_click_while_the_stream_of_answers_ends_is_answered(person):
    person.go("Start")
    # Opening the tab is two events, the second sent when the first is answered; the click is the third.
    person.go("Results")
    person.sees("#results-screen", "3 of 3 pairs left to judge")
    person.press("results-reveal")
    person.sees("#results-headline", "no votes on")
