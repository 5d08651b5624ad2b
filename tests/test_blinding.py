"""The blinding contract over HTTP: what an app sends before a vote tells nothing of the models, by its bytes or by its ways."""

import re
import time

import numpy as np
import pytest

from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm
from tests.api import served as serving
from tests.leaks import leaks
from tests.material import add_manual
from tests.openai_server import OpenAIServer
from tests.recorder import Recorder
from tests.visitor import Refused, Visitor
from tests.workspace import add_comparison, add_model, open_workspace

NAMES = ("zqx-marlow-fennec", "zqx-ostrava-lemur", "zqx-tirana-okapi")
# Of 120 pairs; chance reaches this once in 10^9, a thing that is the same for one model on every pair is at 1.
TELLING = 0.55


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A workspace with a model of an endpoint and two more beside the first one, its app on a real port, and the endpoint."""
    folder = tmp_path_factory.mktemp("blinding")
    with OpenAIServer(models=NAMES[:1]) as endpoint:
        settings = {"openai_base_url": endpoint.base_url, "openai_model": NAMES[0], "openai_api_key": "any"}
        services = open_workspace(folder / "home", **settings)
        add_manual(services, folder)
        for name in NAMES[1:]:
            add_model(services, name)
        with serving(services) as url:
            yield services, url, endpoint
        services.close()


@pytest.fixture
def endpoint(opened):
    endpoint = opened[2]
    endpoint.recover()
    endpoint.latency = 0.0
    return endpoint


@pytest.fixture
def served(opened, endpoint):
    """The services, and a recorder of its own before the app."""
    services, url, _ = opened
    with Recorder(int(url.rpartition(":")[2])) as recorder:
        yield services, recorder


def named(services, *names):
    """Return models by their names."""
    models = {model.name: model for model in services.registry.all()}
    return [models[name] for name in names]


def secrets_of(services, set_id=None):
    """Return what must not be sent: names, ids that endpoints give, and the ids of models, runs and completions."""
    models = services.registry.all()
    found = [secret for model in models for secret in (model.name, model.id) if "extractive" not in secret]
    found += [run.id for run in services.store.runs.latest()]
    for item in services.store.comparisons.in_set(set_id) if set_id else ():
        found += item.completion_ids
    return found


def shown(visitor, set_id):
    """Return the id and the HTML of what waits, by the listener that the page asks."""
    screen = visitor.call("show_next", set_id)
    return screen[0], screen[8]


def vote(visitor, name, set_id, pair_id, ballot=""):
    return visitor.call(name, set_id, pair_id, None, "", "", ballot)


def test_no_ranking_tells_who_wrote_what(served):
    services, recorder = served
    models = named(services, *NAMES[1:], "extractive-base")
    texts = [(f"One {n}.", f"I am ChatGPT and say {n}.", f"{NAMES[1]} says three {n}.") for n in range(3)]
    set_id = add_comparison(services, models, texts, form=VoteForm.RANKING)
    visitor = Visitor(recorder.url)
    for _ in texts:
        pair_id, html = shown(visitor, set_id)
        assert html.count("<section") == 3 and html.count("[name hidden]") == 2
        with pytest.raises(Refused, match="Give every answer a place"):
            vote(visitor, "vote_rank", set_id, pair_id, '{"places": [1, 2, 9]}')
        vote(visitor, "vote_rank", set_id, pair_id, '{"places": [2, 1, 2]}')
    visitor.call("undo_vote", set_id)
    assert len(recorder.sent) > 50_000 and leaks(recorder.sent, secrets_of(services, set_id)) == []
    assert b"ChatGPT" not in recorder.sent


def test_live_answers_and_their_failures_tell_nothing(served, endpoint):
    services, recorder = served
    endpoint.answer = lambda messages: "An answer of its own."
    models = tuple(model.id for model in named(services, "extractive-base", NAMES[0]))
    set_id = services.live.create(ComparisonSettings(models))
    visitor = Visitor(recorder.url)
    for number in range(3):
        visitor.call("ask_live", set_id, f"Where are the showers, number {number}?")
        pair_id, html = shown(visitor, set_id)
        assert html.count("<section") == 2
        vote(visitor, "vote_a", set_id, pair_id)
    endpoint.fail(times=None, status=400, message=f"The model {NAMES[0]} does not exist.")
    with pytest.raises(Refused, match="One of the two models gave no answer"):
        visitor.call("ask_live", set_id, "Where is the harbour?")
    assert leaks(recorder.sent, [*secrets_of(services, set_id), "extractive-base"]) == []


def test_nothing_that_is_measured_tells_the_model_on_the_left(served):
    """A classifier for each thing that a client can see does no better than chance."""
    services, recorder = served
    models = named(services, *NAMES[1:])
    texts = [(f"The answer {n:03} by one.", f"The answer {n:03} by two.") for n in range(60)]
    set_id = add_comparison(services, models, texts)
    seen, labels = [], []
    for _ in range(2):
        visitor = Visitor(recorder.url)
        for number in range(60):
            begun = time.perf_counter()
            pair_id, html = shown(visitor, set_id)
            seconds = time.perf_counter() - begun
            query = int(re.search(r"Query number (\d+)", html)[1])
            seen.append(traits(pair_id, number, query, len(html), seconds))
            labels.append(html.index("by one.") < html.index("by two."))
            vote(visitor, "vote_tie", set_id, pair_id)
    assert tells(np.array(seen, float), np.array(labels)) == []
    # The same search finds what does tell: it can fail.
    told = np.column_stack([np.array(seen, float), np.where(labels, 0.30, 0.31)])
    assert tells(told, np.array(labels)) == [len(seen[0])]


def test_the_slower_model_of_a_live_pair_is_on_no_side(served, endpoint):
    services, recorder = served
    endpoint.answer, endpoint.latency = (lambda messages: "An answer of its own."), 0.1
    models = tuple(model.id for model in named(services, "extractive-base", NAMES[0]))
    set_id = services.live.create(ComparisonSettings(models))
    seen, labels = [], []
    visitor = Visitor(recorder.url)
    for number in range(40):
        begun = time.perf_counter()
        screen = visitor.call("ask_live", set_id, f"Where are the showers, number {number}?")
        seconds = time.perf_counter() - begun
        assert seconds > 0.1
        html = screen[8]
        seen.append(traits(screen[0], number, number, len(html), seconds))
        left, right = html.split("<section")[1:3]
        assert ("An answer of its own." in left) is not ("An answer of its own." in right)
        labels.append("An answer of its own." in left)
        vote(visitor, "vote_tie", set_id, screen[0])
    # Of 40 pairs chance gets this far once in 10^7; what tells the slower model is at 1.
    assert tells(np.array(seen, float), np.array(labels), 0.75) == []


def test_where_names_are_told_after_each_vote_they_are_told_then_and_not_before(served):
    services, recorder = served
    models = named(services, *NAMES[1:])
    set_id = add_comparison(services, models, [("One.", "Two."), ("Three.", "Four.")], reveal=RevealPolicy.VOTE)
    visitor = Visitor(recorder.url)
    pair_id, _ = shown(visitor, set_id)
    assert leaks(recorder.sent, secrets_of(services, set_id)) == []
    screen = vote(visitor, "vote_a", set_id, pair_id)
    assert all(name in screen[3] for name in NAMES[1:])
    with pytest.raises(Refused, match="made it final"):
        visitor.call("undo_vote", set_id)


def traits(pair_id, number, query, size, seconds):
    """Return what a client can see of a pair beside its texts, as numbers."""
    bits = [(ord(letter) >> bit) & 1 for letter in pair_id for bit in range(5)]
    return [*bits, number, number % 2, number % 3, query, query % 2, size, seconds]


def tells(seen, labels, telling=TELLING):
    """Return which columns go together with the labels."""
    assert len(set(labels)) == 2, "one side only: nothing could tell"
    varied = [column for column in range(seen.shape[1]) if len(set(seen[:, column])) > 1]
    return [column for column in varied if abs(np.corrcoef(seen[:, column], labels)[0, 1]) > telling]
