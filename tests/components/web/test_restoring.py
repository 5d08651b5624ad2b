"""The page that stands on the port until the app is there, and how the app takes the port over."""

import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from components.web.restoring import PATIENCE_SECONDS, shown_on


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as port:
        yield port


def serving() -> bool:
    return any(thread.name == "restoring" for thread in threading.enumerate())


def get(listening, path="/"):
    """Return (status, text) of a page."""
    url = f"http://127.0.0.1:{listening.getsockname()[1]}{path}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_page_and_the_health_check_show_what_was_reported_last(listening):
    with shown_on(listening) as report:
        report("Restoring from team/feedback: 1 of 9 files.")
        report("Restoring from <team>/feedback: 2 of 9 files.")
        status, page = get(listening, "/?tab=edit")
        assert status == 200 and "Restoring from &lt;team&gt;/feedback: 2 of 9 files." in page and "1 of 9" not in page
        assert get(listening, "/healthz") == (503, "Restoring from <team>/feedback: 2 of 9 files.")
        assert get(listening, "/gradio_api/queue/data")[0] == 503
    assert not serving()


def test_an_ordinary_start_never_begins_to_serve_it(listening):
    with shown_on(listening):
        pass
    time.sleep(PATIENCE_SECONDS + 0.2)
    assert not serving()


def test_what_takes_long_is_shown_whether_it_reports_or_not(listening):
    with shown_on(listening):
        time.sleep(PATIENCE_SECONDS + 0.2)
        assert get(listening, "/healthz") == (503, "Opening the workspace …")


def test_an_error_ends_the_page(listening):
    with pytest.raises(ValueError), shown_on(listening) as report:
        report("Restoring.")
        raise ValueError
    assert not serving()


def test_nobody_is_refused_while_the_app_takes_over(listening):
    port = listening.getsockname()[1]
    with shown_on(listening) as report:
        report("Restoring.")
        assert get(listening, "/healthz")[0] == 503
    # Between the two servers: the connection is made and waits.
    between = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    between.request("GET", "/healthz")
    app = HTTPServer(("127.0.0.1", port), _App, bind_and_activate=False)
    app.socket.close()
    app.socket = listening.dup()
    threading.Thread(target=app.handle_request, daemon=True).start()
    assert between.getresponse().status == 200
    between.close()
    app.server_close()


class _App(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass
