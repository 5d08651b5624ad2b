"""Nothing that the server sends before the reveal tells which model wrote which side: every byte is recorded and searched."""

import json
import urllib.request

import pytest

from tests.leaks import leaks
from tests.recorder import Recorder
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser

NAMES = ("zqx-marlow-fennec", "zqx-ostrava-lemur")
PAIRS = [(f"The first answer to query {n}.", f"Quite another answer to query {n}, and longer.") for n in range(6)]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with a comparison of two models with marked names, and everything that must not be sent."""
    home = tmp_path_factory.mktemp("blind") / "home"
    services = open_workspace(home)
    models = [add_model(services, name) for name in NAMES]
    set_id = add_comparison(services, tuple(models), PAIRS)
    secrets = [model.name for model in models] + [model.id for model in models]
    for item in services.store.comparisons.in_set(set_id):
        secrets += [item.completion_1_id, item.completion_2_id]
    services.close()
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as app:
        yield app, secrets


def test_a_browser_learns_no_model_before_the_reveal(running, open_person):
    app, secrets = running
    with Recorder(app.port) as recorder:
        voter = open_person(recorder.url, path="/?tab=compare")
        for done in range(6):
            voter.sees("#compare-progress", f"{done} of 6")
            assert "answer to query" in voter.find(".pl-side").inner_text()
            voter.page.keyboard.press("s")
            voter.press(("vote-a", "vote-b", "vote-tie", "vote-bad")[done % 4])
            if done == 2:
                voter.sees("#compare-progress", "3 of 6")
                voter.press("vote-undo")
                voter.sees("#compare-progress", "2 of 6")
                voter.press("vote-b")
        voter.sees("#compare-nothing", "You have judged every pair")
        voter.go("Results")
        voter.sees("#results-screen", "Opening the results makes your votes final")
        voter.go("Start")
        assert len(recorder.sent) > 50_000, "nothing was recorded"
        assert leaks(recorder.sent, secrets) == []
        # The same search finds the names once they are shown: it can fail.
        voter.go("Results")
        voter.press("results-reveal")
        voter.sees("#results-headline", NAMES[0])
        assert {name for name, _ in leaks(recorder.sent, secrets)} >= set(NAMES)


def test_an_api_client_learns_no_model_before_the_reveal(running):
    app, secrets = running
    with Recorder(app.port) as recorder:
        client = Client(recorder.url)
        config = json.loads(client.get("/config"))
        for path in (
            "/",
            "/gradio_api/info?all_endpoints=true",
            "/gradio_api/openapi.json",
            "/gradio_api/startup-events",
        ):
            client.get(path)
        by_name = {item["api_name"]: item for item in config["dependencies"] if item.get("api_name")}
        listed = client.call(by_name["load_comparisons"]["id"], [None])
        set_id = json.loads(listed)["output"]["data"][0]["value"]
        shown = client.call(by_name["show_next"]["id"], [set_id])
        assert "answer to query" in shown
        pair_id = json.loads(shown)["output"]["data"][0]
        voted = client.call(by_name["vote_a"]["id"], [set_id, pair_id, None, "", "", ""])
        assert "1 of 6" in voted
        # Asking for the results before they are opened, for pairs that do not exist, and with nonsense: refusals.
        client.call(by_name["show_results"]["id"], [set_id])
        client.call(by_name["download_votes"]["id"], [set_id])
        client.call(by_name["show_slices"]["id"], [set_id, "annotator"])
        assert "opened none yet" in client.call(by_name["show_models"]["id"], ["davidson"])
        for name in ("download_ratings", "download_pairs"):
            client.call(by_name[name]["id"], [None])
        client.call(by_name["download_counted"]["id"], [])
        client.call(by_name["vote_a"]["id"], [set_id, "no-such-pair", None, "", "", ""])
        client.call(by_name["vote_a"]["id"], [None, None, "x", 5, {}, 7])
        client.get("/gradio_api/deep_link?session_hash=blind1")
        client.get("/monitoring/summary")
        assert leaks(recorder.sent, secrets) == []


class Client:
    """Speaks Gradio's HTTP protocol without its client, errors included."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._cookie = f"pairloop_person={'c' * 64}"

    def get(self, path: str) -> str:
        request = urllib.request.Request(self._url + path, headers={"Cookie": self._cookie})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.read().decode("utf-8", "replace")

    def call(self, fn_index: int, data: list) -> str:
        """Run a handler through the queue and return its last event."""
        body = json.dumps({"data": data, "fn_index": fn_index, "session_hash": "blind1"}).encode()
        headers = {"Cookie": self._cookie, "Content-Type": "application/json"}
        joined = urllib.request.Request(self._url + "/gradio_api/queue/join", body, headers)
        try:
            urllib.request.urlopen(joined, timeout=30).read()
        except urllib.error.HTTPError as error:
            return error.read().decode("utf-8", "replace")
        stream = urllib.request.Request(self._url + "/gradio_api/queue/data?session_hash=blind1", headers=headers)
        with urllib.request.urlopen(stream, timeout=60) as events:
            for line in events:
                text = line.decode("utf-8", "replace").removeprefix("data:").strip()
                if '"process_completed"' in text:
                    return text
        return ""
