"""A workspace in which three models were compared with each other and judged, so that they can be ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.records import Outcome
from pipeline.services import Services
from tests.workspace import add_comparison, add_model

MODELS = ("plain-base", "tuned-short", "tuned-long")
QUERIES = 12
# Whom the votes prefer, query by query: f is the first model, s the second, t a tie, b both bad.
MATCHES: Mapping[tuple[int, int], str] = {(1, 0): "ffftfsbffftf", (2, 0): "fsftffsfbfff", (2, 1): "sfstsfsstfst"}
_SIDES = {"f": (Outcome.MODEL_A, Outcome.MODEL_B), "s": (Outcome.MODEL_B, Outcome.MODEL_A)}
_NEITHER = {"t": Outcome.TIE, "b": Outcome.BOTH_BAD}


def add_league(services: Services, people: Sequence[str]) -> list[str]:
    """Add three models and judge a comparison of each two, by each of the people; return the comparisons' ids.

    Queries have a topic. The last person prefers whom the others do not, and hurries.
    """
    models = [add_model(services, name) for name in MODELS]
    topics = ["mooring" if n % 3 else "fuel" for n in range(QUERIES)]
    sets = []
    for (one, two), verdicts in MATCHES.items():
        texts = [(_answer(one, n), _answer(two, n)) for n in range(QUERIES)]
        queries = [f"Query {n} for everybody?" for n in range(QUERIES)]
        set_id = add_comparison(services, (models[one], models[two]), texts, queries, {"topic": topics})
        for place, person in enumerate(people):
            judge(services, set_id, person, verdicts, one, against=place == len(people) - 1 > 1)
        sets.append(set_id)
    return sets


def judge(services: Services, set_id: str, person: str, verdicts: str, first: int, against: bool = False) -> None:
    """Vote on every pair that waits for this person, as ``verdicts`` say; ``first`` is the model that they call f."""
    place = {item.id: item.position for item in services.store.comparisons.in_set(set_id)}
    while pair := services.comparisons.next_pair(set_id, person):
        said = verdicts[place[pair.comparison_id]]
        if against:
            said = {"f": "s", "s": "f"}.get(said, said)
        on_left = pair.text_a.startswith(MODELS[first].replace("-", " "))
        outcome = _NEITHER.get(said) or _SIDES[said][0 if on_left else 1]
        services.comparisons.vote(pair.comparison_id, person, outcome, seconds=1 if against else 8)


def _answer(model: int, number: int) -> str:
    return f"{MODELS[model].replace('-', ' ')} says {'quite a lot ' * (1 + model * 2 + number % 3)}about {number}."
