"""A run on Ask whose endpoint fails in several ways: what is said, what is asked again, what it costs, and how it is stopped."""

import re
import time

import pytest

from pipeline.records import Model, Split, new_id
from tests.material import add_manual
from tests.openai_server import OpenAIServer
from tests.servers import QuickApp
from tests.workspace import open_workspace

pytestmark = pytest.mark.browser
QUERIES = [f"Where is pier number {n} of the harbour?" for n in range(8)]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """An endpoint, and an app with a list of queries and a model of the endpoint that has a price."""
    folder = tmp_path_factory.mktemp("runs")
    with OpenAIServer() as server:
        environment = {"openai_base_url": server.base_url, "openai_model": "test-model"}
        services = open_workspace(folder / "home", **environment)
        add_manual(services, folder)
        services.store.queries.add_set("Piers", [(text, Split.TRAIN, {}) for text in QUERIES])
        config = {**services.registry.all()[-1].config, "input_price": 0.0, "output_price": 1000.0}
        services.store.models.add(Model(new_id(), "priced", "openai", config, "answer-review", created_at=time.time()))
        services.close()
        variables = {"OPENAI_BASE_URL": server.base_url, "OPENAI_MODEL": "test-model", "PAIRLOOP_CONCURRENCY": "4"}
        with QuickApp(folder / "home", **variables) as app:
            yield server, app


@pytest.fixture
def lead(endpoint, stays):
    """Somebody on Ask, whose endpoint is well."""
    server, app = endpoint
    server.recover()
    lead = stays(app.url, path="/?tab=ask")
    lead.go("Ask")
    return lead


def test_what_failed_is_told_by_cause_and_asked_again_by_one_press(endpoint, lead):
    server, _ = endpoint
    server.answer = lambda messages: "It is over there."
    server.fail(times=None, status=400, message="No such pier.", when="number 2")
    server.fail(times=None, cut_after=2, when="number 3")
    server.fail(times=None, cut_after=2, when="number 5")
    lead.choose("runs-model", "priced")
    lead.press("runs-start")
    lead.sees("#runs-progress", "8 of 8 · 3 failed · done")
    # Four tokens an answer.
    lead.sees("#run-summary", re.compile(r"5 answers · \$0\.02\d* · "))
    lead.sees("#runs-failures [data-cause=cut_off]", "2 × The answer was cut off")
    lead.sees("#runs-failures [data-cause=refused]", "No such pier.")
    server.recover()
    server.requests.clear()
    lead.click("#runs-failures [data-cause=cut_off] button")
    lead.sees("#runs-progress", "8 of 8 · 1 failed · done")
    assert len(server.chats) == 2
    lead.click("#runs-failures [data-retry=refused]")
    lead.sees("#run-summary", "8 answers")
    assert lead.page.locator("#runs-failures [data-retry]").count() == 0


def test_a_wait_is_seen_a_run_is_stopped_at_once_and_goes_on_by_one_press(endpoint, lead):
    server, _ = endpoint
    lead.choose("runs-model", "test-model")
    server.fail(times=4, status=429, retry_after="19")
    lead.press("runs-start")
    lead.sees("#runs-progress", re.compile(r"waiting \d+ s for the endpoint \(429\), attempt 2 of 3"))
    lead.press("runs-cancel")
    lead.sees("#runs-progress", "cancelled; resume it")
    server.recover()
    lead.press("runs-resume")
    lead.sees("#runs-progress", re.compile("waiting|8 of 8"))
