"""More than two models: pairs of each two, rankings of all, criteria, and what is refused."""

import random
from collections import Counter
from itertools import combinations

import pytest

from pipeline import ranking
from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm, checked, from_plain, to_plain
from pipeline.errors import ComparisonError
from pipeline.records import Outcome
from tests.workspace import add_comparison, add_model, person

TEXTS = [(f"One {n}.", f"Two {n}.", f"Three {n}.") for n in range(4)]


@pytest.fixture
def models(services):
    return [add_model(services, name) for name in ("one", "two", "three")]


def rank_by(pair, best_first):
    """Return the ranks of what is on the screen, by the first word of each text."""
    words = [text.split()[0] for text in pair.texts]
    return [best_first.index(word) + 1 for word in words]


def test_three_models_are_three_pairs_of_each_query(services, models):
    set_id = add_comparison(services, models, TEXTS)
    me = person(services, "Ada")
    seen = Counter()
    while pair := services.comparisons.next_pair(set_id, me):
        assert len(pair.texts) == 2 and pair.total == 12
        seen[frozenset(text.split()[0] for text in pair.texts)] += 1
        services.comparisons.vote(pair.comparison_id, me, Outcome.TIE)
    assert seen == {frozenset(two): 4 for two in combinations(("One", "Two", "Three"), 2)}


def test_the_pair_whose_order_is_least_certain_comes_first(services, models):
    set_id = add_comparison(services, models, TEXTS * 3)
    # Against the first model the third always loses, between the others it is open.
    for name in ("Ada", "Bo"):
        me = person(services, name)
        for _ in range(36):
            pair = services.comparisons.next_pair(set_id, me)
            words = [text.split()[0] for text in pair.texts]
            better = Outcome.TIE
            if set(words) == {"One", "Three"}:
                better = Outcome.MODEL_A if words[0] == "One" else Outcome.MODEL_B
            services.comparisons.vote(pair.comparison_id, me, better)
    pair = services.comparisons.next_pair(set_id, person(services, "Cem"))
    assert {text.split()[0] for text in pair.texts} != {"One", "Three"}


def test_a_ranking_counts_as_its_pairwise_outcomes(services, models):
    set_id = add_comparison(services, models, TEXTS, form=VoteForm.RANKING)
    me = person(services, "Ada")
    for _ in TEXTS:
        pair = services.comparisons.next_pair(set_id, me)
        assert len(pair.texts) == 3 and pair.total == 4
        # Two and Three share the second place, given as 2 and 2.
        services.comparisons.rank(
            pair.comparison_id, me, [min(rank, 2) for rank in rank_by(pair, ["One", "Two", "Three"])]
        )
    services.comparisons.reveal(set_id, me)
    ids = [model.id for model in models]
    found = services.comparisons.results(set_id, me)
    assert found.pairs == tuple(combinations(ids, 2)) and len(found.stored) == 12
    counts = {
        pair: ranking.count_outcomes(services.comparisons.results(set_id, me, pair).votes, *names)
        for pair, names in zip(found.pairs, combinations(("one", "two", "three"), 2), strict=True)
    }
    assert [(c.wins, c.ties, c.losses) for c in counts.values()] == [(4, 0, 0), (4, 0, 0), (0, 4, 0)]
    with pytest.raises(ComparisonError, match="does not hold that pair"):
        services.comparisons.results(set_id, me, (ids[0], "another"))


def test_answers_with_one_text_are_one_card_and_share_its_place(services, models):
    set_id = add_comparison(
        services, models, [("One.", "Same words.", "Same  words."), ("All.",) * 3], form=VoteForm.RANKING
    )
    me = person(services, "Ada")
    pair = services.comparisons.next_pair(set_id, me)
    assert sorted(text.split()[0] for text in pair.texts) == ["One.", "Same"] and pair.total == 1
    services.comparisons.rank(pair.comparison_id, me, rank_by(pair, ["Same", "One."]))
    undone = services.comparisons.undo(set_id, me)
    again = services.comparisons.next_pair(set_id, me)
    assert again.texts == pair.texts and list(services.comparisons.places(undone)) == rank_by(pair, ["Same", "One."])
    services.comparisons.rank(pair.comparison_id, me, rank_by(pair, ["Same", "One."]))
    services.comparisons.reveal(set_id, me)
    found = services.comparisons.results(set_id, me)
    verdicts = Counter(
        frozenset([vote.left_model_id, vote.right_model_id]) for vote in found.stored if vote.outcome is Outcome.TIE
    )
    one, two, three = (model.id for model in models)
    # The second query is a tie of all three, whom nobody is shown.
    assert verdicts == {frozenset([two, three]): 2, frozenset([one, two]): 1, frozenset([one, three]): 1}


@pytest.mark.parametrize("ranks", [[], [1, 2], [1, 2, 0], [1, 2, 4], [1, 2, 3, 1]])
def test_a_ranking_without_a_place_for_each_answer_is_refused(services, models, ranks):
    set_id = add_comparison(services, models, TEXTS, form=VoteForm.RANKING)
    me = person(services, "Ada")
    pair = services.comparisons.next_pair(set_id, me)
    with pytest.raises(ComparisonError, match="Give every answer a place"):
        services.comparisons.rank(pair.comparison_id, me, ranks)
    with pytest.raises(ComparisonError, match="are ranked"):
        services.comparisons.vote(pair.comparison_id, me, Outcome.TIE)
    assert services.store.votes.of_set(set_id) == []


def test_criteria_are_kept_with_the_vote_and_unknown_ones_refused(services, models):
    set_id = add_comparison(services, models[:2], [text[:2] for text in TEXTS], criteria=("Correct", "Complete"))
    me = person(services, "Ada")
    pair = services.comparisons.next_pair(set_id, me)
    with pytest.raises(ComparisonError, match="no criterion 'Funny'"):
        services.comparisons.vote(pair.comparison_id, me, Outcome.TIE, criteria={"Funny": Outcome.TIE})
    services.comparisons.vote(pair.comparison_id, me, Outcome.MODEL_A, criteria={"Correct": Outcome.MODEL_B})
    (vote,) = services.store.votes.of_set(set_id)
    assert vote.criteria == {"Correct": Outcome.MODEL_B}


def test_a_vote_before_the_answers_could_be_read_is_refused_and_keeps_nothing(services, models):
    set_id = add_comparison(services, models[:2], [text[:2] for text in TEXTS], min_read_seconds=5.0)
    me = person(services, "Ada")
    pair = services.comparisons.next_pair(set_id, me)
    for seconds in (None, 4.9):
        with pytest.raises(ComparisonError, match="Read the answers first: a vote counts from 5 seconds"):
            services.comparisons.vote(pair.comparison_id, me, Outcome.TIE, seconds=seconds)
    assert services.comparisons.vote(pair.comparison_id, me, Outcome.TIE, seconds=5.0)


def test_names_after_each_vote_make_it_final_and_orders_not_to_be_foreseen(services, models):
    set_id = add_comparison(services, models[:2], [text[:2] for text in TEXTS * 10], reveal=RevealPolicy.VOTE)
    me, orders = person(services, "Ada"), []
    while pair := services.comparisons.next_pair(set_id, me):
        with pytest.raises(ComparisonError, match="after your vote"):
            services.comparisons.names_after(pair.comparison_id, me)
        services.comparisons.vote(pair.comparison_id, me, Outcome.TIE)
        names = services.comparisons.names_after(pair.comparison_id, me)
        assert [name.title() for name in names] == [text.split()[0] for text in pair.texts]
        orders.append(names)
        with pytest.raises(ComparisonError, match="made it final"):
            services.comparisons.undo(set_id, me)
    # Strict balance would never show three times the same in a row; by chance 40 times without that is 1 in 10^8 or so.
    assert any(orders[n] == orders[n + 1] == orders[n + 2] for n in range(len(orders) - 2))


def test_after_a_ranking_each_card_has_the_names_of_all_who_wrote_it(services, models):
    texts = [("The same.", "The same.", "Another.")]
    set_id = add_comparison(services, models, texts, form=VoteForm.RANKING, reveal=RevealPolicy.VOTE)
    me = person(services, "Ada")
    pair = services.comparisons.next_pair(set_id, me)
    services.comparisons.rank(pair.comparison_id, me, [1, 2])
    told = dict(zip(pair.texts, services.comparisons.names_after(pair.comparison_id, me), strict=True))
    assert set(told["The same."].split(" and ")) == {"one", "two"} and told["Another."] == "three"


def test_what_a_person_knows_does_not_tell_what_comes_next(services, models):
    """After results are opened, nobody can count on the balance to know the first side of another comparison."""
    texts = [text[:2] for text in TEXTS[:1]]
    first, second = (add_comparison(services, models[:2], texts) for _ in range(2))
    sides = Counter()
    for number in range(40):
        me = person(services, f"P{number}")
        pair = services.comparisons.next_pair(first, me)
        services.comparisons.vote(pair.comparison_id, me, Outcome.TIE)
        services.comparisons.reveal(first, me)
        sides[pair.texts == services.comparisons.next_pair(second, me).texts] += 1
    assert min(sides[True], sides[False]) > 3


def test_never_is_never(services, models):
    set_id = add_comparison(services, models, TEXTS, reveal=RevealPolicy.NEVER)
    me = person(services, "Ada")
    pair = services.comparisons.next_pair(set_id, me)
    services.comparisons.vote(pair.comparison_id, me, Outcome.TIE)
    services.comparisons.reveal(set_id, me)
    found = services.comparisons.results(set_id, me)
    assert sorted(found.models.values()) == ["Model 1", "Model 2", "Model 3"]
    item = services.store.comparisons.set(set_id)
    assert services.comparisons.name(item, me) == services.comparisons.blind_name(item)
    assert services.standings.standings(me).votes == 0


def test_the_sides_of_60_annotators_are_in_balance_at_every_moment(services, models):
    """Each judges, takes votes back, and comes back to what was drawn; more models are in test_orders.py."""
    set_id = add_comparison(services, models[:2], [text[:2] for text in TEXTS[:3]])
    chance = random.Random(7)
    for number in range(60):
        me, earlier, seen = person(services, f"P{number}"), Counter(), set()
        while pair := services.comparisons.next_pair(set_id, me):
            if pair.comparison_id not in seen:
                seen.add(pair.comparison_id)
                earlier[tuple(text.split()[0] for text in pair.texts)] += 1
                assert all(abs(count - earlier[two, one]) <= 1 for (one, two), count in list(earlier.items()))
            services.comparisons.vote(pair.comparison_id, me, Outcome.TIE)
            if chance.random() < 0.25:
                services.comparisons.undo(set_id, me)
        assert len(seen) == 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model_ids": ("a",)}, "at least two"),
        ({"model_ids": ("a", "a")}, "different models"),
        ({"model_ids": tuple("abcdefg")}, "at most 6"),
        ({"min_read_seconds": 121.0}, "0 to 120"),
        ({"min_read_seconds": float("nan")}, "0 to 120"),
        ({"criteria": ("Good", "good")}, "same name"),
        ({"criteria": ("",)}, "1 to 60"),
        ({"criteria": tuple("abcdefghi")}, "at most 8"),
        ({"criteria": ("Good",), "form": VoteForm.RANKING}, "one order"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_with_what_to_change(changes, why):
    with pytest.raises(ComparisonError, match=why):
        checked(ComparisonSettings(**{"model_ids": ("a", "b"), **changes}))


def test_settings_come_back_as_they_were():
    settings = ComparisonSettings(
        ("a", "b", "c"), form=VoteForm.RANKING, reveal=RevealPolicy.NEVER, min_read_seconds=2.5
    )
    assert from_plain(to_plain(settings)) == settings
    assert from_plain(None, ("a", "b")) == ComparisonSettings(("a", "b"))
    for wrong in ([], {"model_ids": "ab"}, {"model_ids": ["a", "b"], "form": "dance"}, {"model_ids": ["a", 1]}):
        with pytest.raises(ComparisonError):
            from_plain(wrong)
