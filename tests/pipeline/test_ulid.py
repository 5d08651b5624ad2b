"""Stamps only ever grow, whatever clocks do, and ULIDs sort as the numbers they stand for."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import ulid
from pipeline.records import id_of, new_id

NUMBERS = st.integers(0, 2**128 - 1)


@given(NUMBERS, NUMBERS)
def test_texts_sort_as_their_numbers(one, two):
    assert ulid.number(ulid.text(one)) == one
    assert (ulid.text(one) < ulid.text(two)) == (one < two)
    assert len(ulid.text(one)) == 26


ZEROS = "0" * 25


@pytest.mark.parametrize(
    "text",
    [
        "",
        ZEROS,
        ZEROS + "00",
        "8" + ZEROS,
        "O" * 26,
        ZEROS + "u",
        "A" * 26,
        ZEROS + "_",
        "+" + ZEROS,
        "\u0660" * 26,
        ZEROS + "0\n",
    ],
)
def test_what_is_no_ulid_is_refused(text):
    with pytest.raises(ValueError, match="no ULID"):
        ulid.number(text)


def test_the_time_of_an_id_is_that_of_its_making():
    before = time.time()
    assert before - 0.001 <= ulid.seconds(new_id()) <= time.time()


def test_an_id_of_parts_is_the_same_everywhere_and_tells_parts_apart():
    assert id_of("a", "bc") == id_of("a", "bc") != id_of("ab", "c")
    assert ulid.number(id_of("a", "bc")) >= 0


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=30))
def test_stamps_grow_with_a_clock_that_jumps_anywhere(times):
    clock = iter(times)
    stamps = ulid.Stamps(clock=lambda: next(clock))
    given_out = [stamps.next() for _ in times]
    assert given_out == sorted(set(given_out))


@given(st.lists(NUMBERS.filter(lambda number: number < 2**127), min_size=1, max_size=10), st.floats(0, 4e9))
def test_a_stamp_exceeds_every_one_that_was_seen(seen, now):
    stamps = ulid.Stamps(ulid.text(seen[0]), clock=lambda: now)
    for number in seen:
        stamps.see(ulid.text(number))
    assert stamps.next() > max(map(ulid.text, seen))


def test_a_later_stamp_goes_on_after_the_last_one_of_an_earlier_process():
    first = ulid.Stamps(clock=lambda: 2_000_000.0)
    last = [first.next() for _ in range(3)][-1]
    second = ulid.Stamps(last, clock=lambda: 1_000_000.0)
    assert second.next() > last


def test_threads_never_get_the_same_stamp():
    stamps = ulid.Stamps(clock=lambda: 1.0)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(stamps.next() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == len(found) == 2000
