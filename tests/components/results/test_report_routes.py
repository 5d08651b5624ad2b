"""``/results/<token>`` over a real socket: to whom it answers, with which headers, and that everything in it is text."""

import http.client
import re
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.charts import colours
from components.results import report as report_page
from components.results import share as results_share
from pipeline.records import Outcome
from tests.components.screens import ADA, event, member
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace, person


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with a comparison that is opened and linked to; yields (the app, two tokens of one comparison, one unopened set)."""
    home = tmp_path_factory.mktemp("shared") / "home"
    services = open_workspace(home)
    models = add_model(services, "zq-first"), add_model(services, "zq-second")
    set_id = add_comparison(services, models, [("a", "b"), ("c", "d")])
    me = member(services)
    pair = services.comparisons.next_pair(set_id, me)
    services.comparisons.vote(pair.comparison_id, me, Outcome.MODEL_A, seconds=5)
    services.comparisons.reveal(set_id, me)
    tokens = [services.shared_results.make(set_id, me) for _ in range(2)]
    services.shared_results.withdraw(set_id, services.store.links.of_set(set_id)[0].id, me)
    services.close()
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as app:
        yield app, tokens


def get(app, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer, answer.read().decode()


def test_who_holds_a_token_reads_the_results_without_a_cookie(running):
    app, tokens = running
    answer, page = get(app, f"/results/{tokens[0]}")
    assert answer.status == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "zq-first" in page and "1 vote" in page and "<script" not in page
    assert answer.headers["set-cookie"] is None
    assert answer.headers["referrer-policy"] == "no-referrer" and answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"] and '<meta name="robots" content="noindex' in page
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "frame-ancestors 'none'" in policy
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!\?pair=)", page)


def test_an_unknown_or_withdrawn_token_leads_nowhere_and_says_the_same(running):
    app, tokens = running
    said = []
    for path in (tokens[1], "x" * 43, tokens[0][:-1], f"{tokens[0]}A", "%00", "..%2f..%2fetc", "%F0%9F%98%80"):
        answer, page = get(app, f"/results/{path}")
        assert answer.status == 404 and "zq-" not in page, path
        said.append(page)
    assert said[0] == said[1] == said[2] == said[3]
    assert get(app, "/results/")[0].status in (404, 307) and "zq-" not in get(app, "/results/")[1]


def test_a_pair_that_is_none_is_the_first_and_nothing_is_written(running):
    app, tokens = running
    for number in ("0", "7", "-1"):
        assert get(app, f"/results/{tokens[0]}?pair={number}")[0].status == 200
    assert get(app, f"/results/{tokens[0]}?pair=x")[0].status == 422
    assert get(app, f"/results/{tokens[0]}", "POST")[0].status in (404, 405)


def test_a_link_is_made_shown_once_and_withdrawn_on_the_screen(tmp_path):
    services = open_workspace(tmp_path / "home")
    set_id = add_comparison(services, (add_model(services, "one"), add_model(services, "two")), [("a", "b")])
    services.store.members.rename(member(services), "Ada <b>")
    services.comparisons.reveal(set_id, member(services))
    handlers = results_share.ShareHandlers(services)
    assert "No link to these results" in handlers.links_of(set_id, member(services))
    made = handlers.make_link(set_id, ADA)
    token = re.search(r'value="/results/([\w-]+)"', made.new)[1]
    assert services.shared_results.set_of(token) == set_id
    assert token not in made.links and "Ada &lt;b&gt;" in made.links and "data-link" in made.links
    link = services.store.links.of_set(set_id)[0].id
    left = handlers.withdraw(set_id, ADA, event(link=link))
    assert left.new == "" and "withdrawn" in left.links and "data-link" not in left.links
    assert services.shared_results.set_of(token) is None
    services.close()


class Elements(HTMLParser):
    """Collects the names of elements and of attributes, and all text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    found = Elements()
    found.feed(page)
    return found


PIECES = [*"<>\"'&={}$`/\\ ;:()abz\u202e\u0085", "<script>", "</style>", "<details class=", "]]>", "-->", " onload="]
hostile = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join).filter(str.strip)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    services = open_workspace(tmp_path_factory.mktemp("hostile") / "home")
    yield services
    services.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile, hostile, hostile)
def test_no_name_or_value_becomes_an_element_or_an_attribute(workspace, first, second, topic):
    plain = parsed(page_of(workspace, "a", "b", "topic"))
    wild = parsed(page_of(workspace, f"{first}1", f"{second}2", topic))
    assert wild.tags == plain.tags and wild.attributes == plain.attributes
    assert f"{first}1" in "".join(wild.text)


def page_of(services, first, second, topic):
    """Return the report of a comparison of models and with a part of such names."""
    models = add_model(services, first), add_model(services, second)
    queries = [f"Query {n}?" for n in range(4)]
    parts = {"topic": [topic, topic, "zz other", "zz other"]}
    set_id = add_comparison(services, models, [("a", "b")] * 4, queries, parts)
    who = person(services, "someone")
    while pair := services.comparisons.next_pair(set_id, who):
        outcome = Outcome.MODEL_A if pair.text_a == "a" else Outcome.MODEL_B
        services.comparisons.vote(pair.comparison_id, who, outcome, seconds=5)
    found = services.reports.report(set_id)
    return report_page.page(found, colours(found.models), ["?pair=0"])
