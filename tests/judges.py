"""What the tests of judges share: a model that likes what is called good, comparisons for it, and what it was asked and said."""

import re
import time

from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm
from pipeline.preparation import comparison
from pipeline.records import Answer, Context, Outcome, Split
from pipeline.store.runs import completion_of
from tests.workspace import person

A, B, TIE, BAD = Outcome.MODEL_A, Outcome.MODEL_B, Outcome.TIE, Outcome.BOTH_BAD
# The judge of these tests likes what is called good.
GOOD, POOR = "A good answer to number {n}.", "A poor answer to number {n}."
BLOCK = re.compile(r"^<<<([A-Z ]+) ([0-9a-f]{12})>>>\n(.*?)\n<<<END \2>>>$", re.DOTALL | re.MULTILINE)


def blocks(prompt):
    return {name: text for name, _, text in BLOCK.findall(prompt)}


def prefers_good(messages):
    texts = blocks(messages[-1]["content"])
    good = ["good" in texts[name] for name in ("ANSWER A", "ANSWER B")]
    return f"One is good.\nVerdict: {'A' if good[0] and not good[1] else 'B' if good[1] and not good[0] else 'tie'}"


def texts(number=4):
    """Answers of the two models: the first has the good one, except to every third query."""
    return [[GOOD.format(n=n), POOR.format(n=n)][:: -1 if n % 3 == 2 else 1] for n in range(number)]


def opened(services, set_id, name="Ada"):
    """Return a person who has opened the results."""
    member = person(services, name)
    services.comparisons.reveal(set_id, member)
    return member


def chat(services):
    return next(model.id for model in services.judge.judges() if model.provider == "openai")


def embedded(services):
    return next(model.id for model in services.judge.judges() if model.provider == "extractive")


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)


def judged(services, set_id, member, model_id=None):
    """Ask a judge, wait until it is done, and return how far it is."""
    model_id = model_id or chat(services)
    services.judge.start(set_id, model_id, member)
    until(lambda: not services.judge.progress(set_id, model_id, member).running)
    return services.judge.progress(set_id, model_id, member)


def said(services, set_id):
    return services.store.judgements.of_runs([run.id for run in services.store.judgements.runs(set_id)])


def winner(request):
    return "A" if "good" in blocks(request.query)["ANSWER A"] else "B"


def add_ranking(services, models, answers, reveal=RevealPolicy.END):
    """Open a comparison in which all answers to a query are ranked together."""
    list_id = services.store.queries.add_set("Ranked", [(f"Ranked {n}?", Split.TEST, {}) for n in range(len(answers))])
    settings = ComparisonSettings(tuple(model.id for model in models), form=VoteForm.RANKING, reveal=reveal)
    set_id = services.store.comparisons.add_set("all by name", settings, list_id)
    items = []
    for place, query in enumerate(services.store.queries.in_set(list_id)):
        context = Context("c1", "d1", "manual.md", "The passage.", 0, 12, 1.5)
        retrieval = services.store.queries.add_retrievals("by hand", {query.id: [context]})[query.id]
        made = [
            completion_of(Answer(text), None, model.id, query.id, retrieval.id)
            for model, text in zip(models, answers[place], strict=True)
        ]
        for completion in made:
            services.store.runs.add_completion(completion)
        items.append(comparison(set_id, place, retrieval, made))
    services.store.comparisons.open_set(set_id, items, {"pairs": len(items)})
    return set_id
