"""Over time: at each step the numbers are those of the library on the votes up to there."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ranking import anytime_p, progress, win_rate
from pipeline.records import Outcome, Vote

votes = st.lists(
    st.builds(
        lambda query, swapped, outcome: Vote(f"q{query}", *(("b", "a") if swapped else ("a", "b")), outcome, "x"),
        st.integers(0, 6),
        st.booleans(),
        st.sampled_from(Outcome),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(votes, st.integers(1, 50))
def test_each_step_is_what_the_votes_up_to_it_say(given_votes, steps):
    found = progress(given_votes, "a", "b", steps)
    assert len(found.steps) == min(steps, len(given_votes))
    assert [step.votes for step in found.steps] == sorted({step.votes for step in found.steps})
    for step in found.steps:
        rate = win_rate(given_votes[: step.votes], "a", "b")
        assert (step.rate, step.low, step.high, step.queries) == (rate.rate, rate.low, rate.high, rate.queries)
        assert step.p_value == anytime_p(given_votes[: step.votes], "a", "b").p_value
    if given_votes:
        assert found.steps[-1].votes == len(given_votes)


def test_votes_on_other_pairs_are_no_steps():
    others = [Vote("q", "a", "c", Outcome.TIE)] * 3
    assert [step.votes for step in progress([*others, Vote("q", "b", "a", Outcome.TIE)], "a", "b").steps] == [1]
    assert progress(others, "a", "b").steps == ()


def test_the_work_grows_with_the_votes_and_not_with_their_square():
    def seconds(many):
        some = [Vote(f"q{n % 500}", "a", "b", list(Outcome)[n % 3]) for n in range(many)]
        # Of this thread alone: others may have been left by earlier tests.
        began = time.thread_time()
        assert len(progress(some, "a", "b").steps) == 200
        return time.thread_time() - began

    seconds(2_000)
    assert seconds(64_000) < 24 * max(seconds(8_000), 0.005)
