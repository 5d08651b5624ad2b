"""When an attempt may be made: once in its time, less often under sustained work, later and later after failures."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.hub.repo import _seconds
from pipeline.hub.rhythm import BUSY_COMMITS, BUSY_WINDOW, CALM_SECONDS, FIRST_DELAY, LONGEST_DELAY, Rhythm


def commit_whenever_due(rhythm, seconds, step=1.0):
    """Have something to send all the time; return the moments of the commits."""
    now, moments = 0.0, []
    while now < seconds:
        if now >= rhythm.due():
            rhythm.succeeded(now)
            moments.append(now)
        now += step
    return moments


def gaps(moments):
    return [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]


def test_the_first_attempt_may_be_made_at_once():
    assert Rhythm(60.0).due() <= 0


@given(st.integers(1, 3600))
def test_there_is_at_most_one_commit_in_its_time(seconds):
    # In eighths, which floats hold exactly.
    assert set(gaps(commit_whenever_due(Rhythm(seconds), 6 * seconds, seconds / 8))) == {seconds}


def test_after_an_hour_at_full_pace_the_rhythm_stretches_to_five_minutes():
    moments = commit_whenever_due(Rhythm(60.0), 8 * 3600)
    early, late = gaps(moments)[: BUSY_COMMITS - 1], gaps(moments)[BUSY_COMMITS:]
    assert set(early) == {60.0}
    assert late[:6] == [CALM_SECONDS] * 6
    # Eight hours of it stay far from the tens of thousands that the Hub blocks a repo for.
    assert len(moments) < 300


def test_after_a_pause_it_is_quick_again():
    rhythm = Rhythm(60.0)
    last = commit_whenever_due(rhythm, 3 * 3600)[-1]
    rhythm.succeeded(last + BUSY_WINDOW + 1)
    assert rhythm.due() == last + BUSY_WINDOW + 1 + 60


def test_a_rhythm_that_is_slower_anyway_is_not_made_quicker():
    assert set(gaps(commit_whenever_due(Rhythm(600.0), 3 * 24 * 3600, 60.0))) == {600.0}


@given(st.integers(1, 40), st.floats(0, 1))
def test_each_failure_doubles_the_delay_up_to_five_minutes_with_jitter(count, chance):
    rhythm = Rhythm(1.0, chance=lambda: chance)
    for _ in range(count):
        rhythm.failed(1000.0)
    full = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (count - 1))
    assert 0.75 * full <= rhythm.due() - 1000.0 <= full
    assert rhythm.failures == count


@given(st.floats(0, 10_000), st.integers(1, 12))
def test_a_wait_that_is_asked_for_is_never_cut_short(asked, failures):
    rhythm = Rhythm(1.0)
    for _ in range(failures):
        rhythm.failed(50.0, retry_after=asked)
    assert rhythm.due() >= 50.0 + asked


def test_what_trying_again_cannot_mend_is_tried_seldom():
    rhythm = Rhythm(1.0, chance=lambda: 1.0)
    rhythm.failed(0.0, final=True)
    assert rhythm.due() == LONGEST_DELAY


def test_a_recovery_forgets_the_failures_and_keeps_to_the_time():
    rhythm = Rhythm(60.0)
    rhythm.succeeded(100.0)
    rhythm.failed(160.0, retry_after=500.0)
    rhythm.recovered()
    assert (rhythm.due(), rhythm.failures) == (160.0, 0)


def test_retry_after_is_read_as_seconds_and_as_a_date():
    date = "Thu, 01 Jan 1970 00:02:00 GMT"
    assert (_seconds("40"), _seconds(date, lambda: 30.0), _seconds(date, lambda: 500.0)) == (40.0, 90.0, 0.0)
    assert (_seconds(""), _seconds("soon"), _seconds("-3")) == (0.0, 0.0, 0.0)
