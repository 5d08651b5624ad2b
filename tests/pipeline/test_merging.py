"""Replicas that meet in any order come to the same rows, and nothing that anybody did is lost on the way."""

import random
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.hub.batches import snapshot_files
from pipeline.journal import read_blocks
from pipeline.records import Change, Outcome, ResponseStatus, new_id
from pipeline.store import open_store
from pipeline.store.merging import WRITE_ONCE
from tests.backing import rows_of
from tests.replicas import PAIRS, Replica, Repo, base_workspace, exchange

ONCE = {table.name for table in WRITE_ONCE}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_workspace(tmp_path_factory.mktemp("base"))


@contextmanager
def replicas_of(base, count):
    with tempfile.TemporaryDirectory() as folder:
        repo = Repo()
        replicas = [Replica(base, Path(folder), repo) for _ in range(count)]
        try:
            yield replicas
        finally:
            for replica in replicas:
                replica.store.close()


@pytest.fixture
def two(base):
    with replicas_of(base, 2) as replicas:
        yield replicas


@pytest.fixture
def three(base):
    with replicas_of(base, 3) as replicas:
        yield replicas


def comparable(store):
    """Return all rows; of what is written once only which there are, because each replica keeps what it showed people."""
    return {table: set(rows) if table in ONCE else rows for table, rows in rows_of(store).items()}


def same(replicas):
    first = comparable(replicas[0].store)
    for other in replicas[1:]:
        assert comparable(other.store) == first
    assert [replica.store.merging.parked() for replica in replicas] == [[]] * len(replicas)
    return rows_of(replicas[0].store)


@pytest.fixture(params=["one reads first", "the other reads first", "both at once"])
def meet(request):
    """Every order in which two replicas can meet."""

    def go(replicas):
        one, other = replicas if request.param != "the other reads first" else replicas[::-1]
        one.push()
        if request.param == "both at once":
            other.push()
            one.pull(random.Random(1))
        other.pull(random.Random(2))
        exchange(replicas, random.Random(3))
        return same(replicas)

    return go


def test_two_models_of_one_name_are_kept_and_the_younger_one_is_renamed(two, meet):
    ids = sorted(replica.model("tuned") for replica in two)
    rows = meet(two)["models"]
    assert [rows[i]["name"] for i in ids] == ["tuned", f"tuned ({ids[1][-4:]})"]


def test_models_whose_long_names_are_the_same_are_told_apart_too(two, meet):
    ids = [replica.model("n" * 120) for replica in two]
    names = {meet(two)["models"][i]["name"] for i in ids}
    assert len(names) == 2 and all(len(name) <= 120 for name in names)


def test_of_two_standing_votes_of_one_person_the_first_stands_and_the_other_is_kept(two, meet):
    two[0].vote(0, "a", Outcome.MODEL_A)
    two[1].vote(0, "a", Outcome.TIE)
    rows = meet(two)["votes"]
    first, second = sorted(
        (row for row in rows.values() if row["annotator_id"] != "automatic"), key=lambda row: row["id"]
    )
    assert (first["outcome"], first["undone_at"]) == (Outcome.MODEL_A, None)
    assert (second["outcome"], second["undone_at"]) == (Outcome.TIE, second["created_at"])


def test_who_took_a_vote_back_and_voted_again_keeps_the_second_vote(two, meet):
    two[0].vote(0, "a", Outcome.MODEL_A)
    exchange(two, random.Random(0))
    two[0].undo("a")
    two[0].vote(0, "a", Outcome.TIE)
    rows = meet(two)["votes"]
    assert [row["outcome"] for row in rows.values() if row["undone_at"] is None] == [Outcome.TIE]


def test_a_cookie_under_two_ids_leads_to_one_person_and_both_are_kept(two, meet):
    for replica in two:
        replica.older_person("a")
    people = [replica.person("a") for replica in two]
    assert len(set(people)) == 2
    for number, replica in enumerate(two):
        replica.respond(number, "a", f"from {number}")
    rows = meet(two)
    assert {replica.person("a") for replica in two} == {min(people)}
    assert {rows["members"][person]["token_hash"] is None for person in people} == {True, False}
    assert {(row["annotator_id"], row["values"]["answer"]) for row in rows["responses"].values()} == {
        (people[0], "from 0"),
        (people[1], "from 1"),
    }


def test_the_same_document_taken_in_twice_is_searched_once(two, meet):
    ids = sorted(replica.document("d") for replica in two)
    rows = meet(two)["documents"]
    assert [rows[i]["deleted_at"] is None for i in ids] == [True, False]
    assert [[s.id for s in replica.store.documents.summaries() if s.name == "d.md"] for replica in two] == [
        [ids[0]]
    ] * 2


def test_a_document_that_was_deleted_does_not_take_its_twin_with_it(two, meet):
    two[0].document("d")
    two[0].delete_document("d")
    kept = two[1].document("d")
    rows = meet(two)["documents"]
    assert rows[kept]["deleted_at"] is None


def test_sides_that_were_drawn_are_never_replaced(two, meet):
    drawn = [replica.draw(0, "a", left) for replica, left in zip(two, (True, False), strict=True)]
    assert drawn[0] != drawn[1]
    meet(two)
    person = two[0].person("a")
    assert [replica.store.votes.drawn(replica.pairs[0].id, person) for replica in two] == drawn


def test_contexts_that_were_stored_are_never_replaced(two, meet):
    store = two[0].store
    (before,) = list(rows_of(store)["retrievals"].values())[:1]
    later = {**before, "contexts": []}
    change = Change("retrievals", before["id"], store.database.writer.stamps.next(), store.replica, later)
    assert two[1].store.merging.merge([change], "repo").applied == 0
    meet(two)
    assert rows_of(two[1].store)["retrievals"][before["id"]] == before


def test_of_two_states_of_one_response_the_later_one_stands_whoever_reads_it_first(two, meet):
    two[0].respond(0, "a", "earlier")
    two[1].respond(0, "a", "later")
    assert [row["values"]["answer"] for row in meet(two)["responses"].values()] == ["later"]


LETTERS = st.sampled_from("ab")
NUMBERS = st.integers(0, PAIRS - 1)
STEPS = st.one_of(
    st.tuples(st.just("respond"), NUMBERS, LETTERS),
    st.tuples(st.just("draft"), NUMBERS, LETTERS),
    st.tuples(st.just("take_back"), NUMBERS, LETTERS),
    st.tuples(st.just("vote"), NUMBERS, LETTERS, st.sampled_from(sorted(Outcome))),
    st.tuples(st.just("undo"), LETTERS),
    st.tuples(st.just("older_person"), LETTERS),
    st.tuples(st.just("draw"), NUMBERS, LETTERS, st.booleans()),
    st.tuples(st.just("model"), st.sampled_from(["tuned", "one", "n" * 120])),
    st.tuples(st.just("document"), st.sampled_from("de")),
    st.tuples(st.just("delete_document"), st.sampled_from("de")),
    st.tuples(st.sampled_from(["push", "pull", "snapshot"])),
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    count=st.integers(2, 3),
    steps=st.lists(st.tuples(st.integers(0, 2), STEPS), max_size=25),
    seed=st.integers(0, 2**32),
)
def test_after_any_work_in_any_order_all_replicas_have_the_same_rows_and_nothing_is_lost(base, count, steps, seed):
    dice = random.Random(seed)
    with replicas_of(base, count) as replicas:
        said: dict[tuple[str, str], list[tuple[str, str]]] = {}
        taken_back: set[tuple[str, str]] = set()
        for step, (number, (name, *values)) in enumerate(steps):
            replica = replicas[number % count]
            if name == "respond":
                key = replica.respond(*values, f"answer {step}")
                said.setdefault(key, []).append((replica.store.outbox.newest(), f"answer {step}"))
            else:
                done = getattr(replica, name)(*([dice] if name == "pull" else values))
                taken_back |= {done} if name == "take_back" else set()
        votes = {row_id for replica in replicas for row_id in rows_of(replica.store)["votes"]}
        exchange(replicas, dice)
        rows = same(replicas)
        found = {(row["record_id"], row["annotator_id"]): row for row in rows["responses"].values()}
        for key, texts in said.items():
            # What was taken back may be followed by any draft; all else stands as it was submitted last.
            newest = (found[key]["status"], found[key]["values"]["answer"])
            assert key in taken_back or newest == ("submitted", max(texts)[1])
            past = [row for row in rows["response_history"].values() if row["response_id"] == found[key]["id"]]
            assert {text for _, text in texts} <= {row["values"]["answer"] for row in [*past, found[key]]}
        assert set(rows["votes"]) == votes
        assert all(len(ids) == 1 for ids in replicas[0].standing().values())
        names = [row["name"] for row in rows["models"].values()]
        assert len(names) == len(set(names))


def test_what_a_new_replica_gets_is_what_the_others_have(three):
    one, other, new = three
    for number, replica in enumerate((one, other)):
        replica.respond(number, "a", "text")
        replica.model("tuned")
        replica.document("d")
    exchange([one, other], random.Random(4))
    one.snapshot()
    new.pull(random.Random(5))
    same(three)


STRANGE = {
    "an unknown table": ("feelings", {"mood": "good"}),
    "an unknown column": ("query_sets", {"name": "n", "kind": "list", "created_at": 1.0, "colour": "red"}),
    "a text for a number": ("query_sets", {"name": "n", "kind": "list", "created_at": "today"}),
    "a number for a text": ("query_sets", {"name": 5, "kind": "list", "created_at": 1.0}),
    "a missing value": ("query_sets", {"name": "n", "kind": "list"}),
    "a number that is none": ("query_sets", {"name": "n", "kind": "list", "created_at": float("nan")}),
    "a time after all years": ("query_sets", {"name": "n", "kind": "list", "created_at": 1e300}),
    "a number over 64 bits": ("query_sets", {"name": "n", "kind": "list", "created_at": 2**70}),
    "half a character": ("query_sets", {"name": "\ud800", "kind": "list", "created_at": 1.0}),
    "an unknown word": ("queries", {"position": 0, "text": "?", "split": "validation", "metadata": {}}),
    "a text for JSON": ("queries", {"position": 0, "text": "?", "split": "train", "metadata": "{}"}),
    "a number for a truth": ("completions", {"refused": 1}),
    "settings that are none": (
        "datasets",
        {"name": "n", "template": "", "created_at": 1.0, "settings": {"fields": [{"name": "A B", "type": "text"}]}},
    ),
    "an unknown state": ("datasets", {"name": "n", "template": "", "created_at": 1.0, "state": "half made"}),
    "a missing parent": (
        "queries",
        {"query_set_id": "nowhere", "position": 0, "text": "?", "split": "train", "metadata": {}},
    ),
}


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "pairloop.db")
    yield store
    store.close()


def change(table, row_id, row):
    return Change(table, row_id, new_id(), new_id(), {"id": row_id, **row})


@pytest.mark.parametrize(("table", "row"), STRANGE.values(), ids=STRANGE)
def test_what_cannot_be_put_in_is_put_aside_told_and_kept(store, table, row):
    before = rows_of(store)
    good = change("query_sets", "good", {"name": "n", "kind": "list", "created_at": 1.0})
    strange = change(table, "strange", row)
    merged = store.merging.merge([strange, good], "repo")
    assert (merged.applied, merged.parked) == (1, 1)
    (parked,) = store.merging.parked()
    assert (parked.table, parked.row_id) == (table, "strange") and parked.reason
    after = rows_of(store)
    assert after.pop("query_sets").keys() == {"good"} and after == {
        k: v for k, v in before.items() if k != "query_sets"
    }
    kept = [
        change for data in snapshot_files(store, lambda line: line).values() for change in read_blocks(data).changes
    ]
    again = next(change for change in kept if change.row_id == "strange")
    assert (again.table, again.stamp, again.replica) == (table, strange.stamp, strange.replica)
    assert str(again.row) == str(strange.row)


def test_a_newer_state_takes_the_place_of_one_that_was_put_aside(store):
    strange = change("query_sets", "q", {"name": "n", "kind": "list", "created_at": "today"})
    store.merging.merge([strange], "repo")
    store.merging.merge([change("query_sets", "q", {"name": "n", "kind": "list", "created_at": 1.0})], "repo")
    store.merging.retry_parked()
    assert store.merging.parked() == [] and rows_of(store)["query_sets"]["q"]["created_at"] == 1.0


def test_a_line_of_models_whose_first_is_missing_waits_whole_and_comes_whole(two):
    one, other = two
    ids = [one.model("grandmother")]
    for name in ("mother", "daughter"):
        ids.append(one.model(name, ids[-1]))
    changes = {change.row_id: change for change in one.store.outbox.batch("repo", 100)}
    merged = other.store.merging.merge([changes[i] for i in reversed(ids[1:])], "repo")
    assert (merged.applied, merged.parked) == (0, 2)
    assert all("waits for models" in item.reason for item in other.store.merging.parked())
    other.store.merging.merge([changes[ids[0]]], "repo")
    assert other.store.merging.retry_parked().applied == 2
    assert rows_of(other.store)["models"] == rows_of(one.store)["models"]


def test_an_older_state_that_comes_late_changes_nothing(two):
    one, other = two
    record, person = one.respond(0, "a", "first")
    early = one.store.outbox.batch("repo", 100)
    one.respond(0, "a", "second")
    late = one.store.outbox.batch("repo", 100)
    other.store.merging.merge(late, "repo")
    assert other.store.merging.merge(early, "repo").applied == 0
    response = other.store.responses.get(record, person)
    assert (response.status, response.values["answer"]) == (ResponseStatus.SUBMITTED, "second")
    assert other.store.outbox.waiting("repo").count == 0


def test_what_comes_from_a_file_of_nobody_waits_for_every_place(two):
    one, other = two
    one.respond(0, "a", "text")
    changes = one.store.outbox.batch("repo", 100)
    other.store.merging.merge(changes, None)
    assert other.store.outbox.waiting("repo").count == other.store.outbox.waiting("folder").count - _base(other) > 0


def _base(replica):
    """Return how many rows of the base no folder has."""
    return sum(map(len, rows_of(replica.store).values())) - replica.store.outbox.waiting("repo").count
