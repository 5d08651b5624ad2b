"""Limits: an allowance for each person that fills again, and places that are taken."""

import threading

import pytest

from pipeline.errors import LimitError, SettingsError
from pipeline.limits import HEAVY, KEPT, TOGETHER, Places, RateLimit
from pipeline.settings import from_environment


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def taken(limit, person, times):
    """Return how many of so many are let through."""
    count = 0
    for _ in range(times):
        try:
            limit.take(person)
            count += 1
        except LimitError:
            continue
    return count


def test_as_many_as_a_minute_holds_at_once_and_then_as_steadily():
    clock = Clock()
    limit = RateLimit(30, clock)
    assert taken(limit, "ada", 40) == 30
    clock.now += 1.9
    with pytest.raises(LimitError, match="more than 30") as refused:
        limit.take("ada")
    # One is filled again in 2 s.
    assert refused.value.retry_after == 1
    clock.now += 0.2
    assert taken(limit, "ada", 5) == 1
    clock.now += 10
    assert taken(limit, "ada", 20) == 5
    clock.now += 1e6
    assert taken(limit, "ada", 100) == 30


def test_after_the_wait_that_is_told_it_goes_on():
    for size in (1, 7, 60, 1000):
        clock = Clock()
        limit = RateLimit(size, clock)
        assert taken(limit, "ada", size) == size
        with pytest.raises(LimitError) as refused:
            limit.take("ada")
        clock.now += refused.value.retry_after
        limit.take("ada")


def test_each_person_has_an_allowance_of_their_own_and_0_sets_no_limit():
    limit = RateLimit(2, Clock())
    assert [taken(limit, person, 3) for person in ("ada", "bo")] == [2, 2]
    assert taken(RateLimit(0), "ada", 1000) == 1000


def test_who_is_refused_does_not_wait_longer_for_asking_again():
    clock = Clock()
    limit = RateLimit(60, clock)
    taken(limit, "ada", 200)
    clock.now += 1.0
    assert taken(limit, "ada", 1) == 1


def test_what_is_heavy_counts_as_several_and_is_possible_however_few_there_are():
    clock = Clock()
    limit = RateLimit(12, clock)
    limit.take("ada", HEAVY)
    limit.take("ada", HEAVY)
    with pytest.raises(LimitError, match="Try again in 15 s") as refused:
        limit.take("ada", HEAVY)
    assert refused.value.retry_after == 15
    limit.take("ada", 2)
    clock.now += 25
    limit.take("ada", HEAVY)
    RateLimit(1, clock).take("ada", HEAVY)


def test_browsers_that_nobody_signed_in_with_have_an_allowance_together_besides():
    clock = Clock()
    limit = RateLimit(2, clock)
    assert taken(limit, "ada", 5) == 2
    browsers = [f"browser {number}" for number in range(100)]

    def tries():
        count = 0
        for browser in browsers:
            try:
                limit.take(browser, browser=True)
                count += 1
            except LimitError as error:
                assert 0 < error.retry_after <= 60
        return count

    assert tries() == 2 * TOGETHER
    clock.now += 30
    # As many as half a minute fills; who was refused has kept what is theirs.
    assert tries() == TOGETHER
    assert taken(limit, "bo", 5) == 2


def test_people_who_are_long_gone_are_forgotten():
    limit = RateLimit(1, Clock())
    for number in range(KEPT + 10):
        limit.take(str(number))
    assert len(limit._left) == KEPT and taken(limit, str(KEPT), 1) == 0


def test_many_at_once_get_no_more_than_there_is():
    limit, counts = RateLimit(50, Clock()), []
    threads = [threading.Thread(target=lambda: counts.append(taken(limit, "ada", 20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 50


def test_a_place_is_free_again_also_after_an_error():
    places = Places(2, "people ask")
    with places.one(), places.one():
        with pytest.raises(LimitError, match="2 people ask at this moment") as refused, places.one():
            pass
        assert refused.value.retry_after > 0
    with pytest.raises(ZeroDivisionError), places.one():
        raise ZeroDivisionError
    with places.one(), places.one():
        pass


def test_the_rate_is_a_setting():
    assert from_environment({}).rate == 60
    assert from_environment({"PAIRLOOP_RATE": "0"}).rate == 0
    for wrong in ("-1", "1.5", "many"):
        with pytest.raises(SettingsError, match="PAIRLOOP_RATE"):
            from_environment({"PAIRLOOP_RATE": wrong})
