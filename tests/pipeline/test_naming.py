"""A name that is taken gets the first number that is free."""

import pytest

from pipeline.naming import free_name


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (set(), "List"),
        ({"Other"}, "List"),
        ({"List"}, "List (2)"),
        ({"List", "List (2)", "List (4)"}, "List (3)"),
        ({"List (2)"}, "List"),
    ],
)
def test_the_first_free_name_is_taken(taken, name):
    assert free_name("List", taken) == name


def test_a_pattern_says_where_the_number_stands():
    assert free_name("m", {"m", "m 2"}, "{name} {n}") == "m 3"
    assert free_name("tuned-1", {"tuned-1"}, "tuned-{n}") == "tuned-2"
    assert free_name("{n}", {"{n}"}) == "{n} (2)"
