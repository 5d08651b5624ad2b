"""Lists of queries: from text and files into the store, divided into train and test."""

import pytest

from pipeline.errors import QueryFileError
from pipeline.query_lists import divide
from pipeline.records import Split

A, B = Split.TRAIN, Split.TEST


def stored(services, list_id):
    return [(query.text, query.split) for query in services.store.queries.in_set(list_id)]


def test_typed_lines_become_a_list_with_every_third_held_out(services):
    added = services.query_lists.add_text("One?\nTwo?\n\nThree?\nOne?\nFour?\n", "Mine", True)
    assert (added.name, added.train, added.test, added.duplicates) == ("Mine", 3, 1, 1)
    assert stored(services, added.id) == [("One?", A), ("Two?", A), ("Three?", B), ("Four?", A)]
    (listed,) = services.query_lists.all()
    assert (listed.id, listed.name, listed.size) == (added.id, "Mine", 4)


def test_without_holding_out_every_query_is_for_training(services):
    added = services.query_lists.add_text("One?\nTwo?\nThree?", "", False)
    assert (added.train, added.test) == (3, 0)


def test_a_file_keeps_its_splits_and_other_columns_and_gives_its_name(services, tmp_path):
    path = tmp_path / "upload.csv"
    path.write_text("query,split,topic\nOne?,test,fees\nTwo?,train,\nThree?,,\nFour?,,\nFive?,,\n", encoding="utf-8")
    added = services.query_lists.add_file(path, "march.csv", "", True)
    assert (added.name, added.train, added.test) == ("march", 3, 2)
    splits = [split for _, split in stored(services, added.id)]
    assert splits == [B, A, A, A, B]
    assert services.store.queries.in_set(added.id)[0].metadata == {"topic": "fees"}


@pytest.mark.shared_data
def test_a_published_list_comes_in_whole(services, shared_data):
    path = shared_data / "argilla_cloud" / "questions.jsonl"
    added = services.query_lists.add_file(path, path.name, "", True)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert added.train + added.test + added.duplicates == len(lines)
    assert added.test >= 1 and services.query_lists.all()[0].size == added.train + added.test


def test_two_lists_of_one_name_can_be_told_apart(services):
    names = [services.query_lists.add_text("One?", " Mine ", False).name for _ in range(3)]
    assert names == ["Mine", "Mine (2)", "Mine (3)"]
    assert [item.name for item in services.query_lists.all()] == names[::-1]


def test_a_list_without_a_name_is_called_after_where_it_comes_from(services):
    assert services.query_lists.add_text("One?", "  ", False).name == "Typed queries"


def test_the_newest_list_comes_first_and_queries_asked_one_by_one_are_no_list(services):
    services.store.queries.add_asked("Asked on Ask?")
    for name in ("first", "second", "third"):
        services.query_lists.add_text("One?", name, False)
    assert [item.name for item in services.query_lists.all()] == ["third", "second", "first"]


@pytest.mark.parametrize(
    ("text", "name", "said"), [("\n \n", "Mine", "."), ("One?", "n" * 121, "at most 120 characters")]
)
def test_what_is_no_list_is_refused_and_leaves_nothing(services, text, name, said):
    with pytest.raises(QueryFileError, match=said):
        services.query_lists.add_text(text, name, True)
    assert services.query_lists.all() == []


def test_a_file_that_is_no_list_is_refused_and_leaves_nothing(services, tmp_path):
    path = tmp_path / "upload"
    path.write_text('{"query": "One?"}\nnot json\n', encoding="utf-8")
    with pytest.raises(QueryFileError, match="2"):
        services.query_lists.add_file(path, "queries.jsonl", "", True)
    assert services.query_lists.all() == []


@pytest.mark.parametrize(
    ("given", "hold_out", "expected"),
    [
        ([], True, []),
        ([None] * 7, True, [A, A, B, A, A, B, A]),
        ([None] * 4, False, [A, A, A, A]),
        ([B, None, None, A, None], True, [B, A, A, A, B]),
        ([B, B, A], True, [B, B, A]),
    ],
)
def test_every_third_query_without_a_split_is_held_out_and_given_splits_stay(given, hold_out, expected):
    assert divide(given, hold_out) == expected
