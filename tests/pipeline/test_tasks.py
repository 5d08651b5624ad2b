"""Review of answers: who gets which record, what a response may hold, and what becomes of it."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from pipeline.annotation.settings import Distribution, with_new_guidelines
from pipeline.annotation.templates import ANSWER, CONTEXT_RATING, QUERY_RATING
from pipeline.annotation.values import MAX_TEXT_CHARACTERS
from pipeline.errors import NotFoundError, RecordError
from pipeline.filters import RecordFilter
from pipeline.records import ResponseStatus, Split
from pipeline.store.local_schema import reservations
from pipeline.store.schema import response_history, responses
from pipeline.tasks import MAX_WORK_SECONDS
from tests.material import TEST, TRAIN, add_queries, finished, open_copy, prepare
from tests.workspace import person

DRAFT, SUBMITTED, DISCARDED = ResponseStatus


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("tasks"))


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def dataset(services):
    return services.datasets.all()[0]


@pytest.fixture
def desk(services):
    return services.annotation


@pytest.fixture
def ada(services):
    return person(services, "Ada")


@pytest.fixture
def ids(desk, dataset, ada):
    """The records in Ada's order."""
    return desk.order(dataset.id, ada)


@pytest.fixture
def bo(services):
    return person(services, "Bo")


def history(services):
    with services.store.database.read() as connection:
        query = select(response_history).order_by(response_history.c.at)
        return [(row["status"], row["values"][ANSWER]) for row in connection.execute(query).mappings()]


def all_responses(services, dataset):
    return services.store.responses.of_dataset(dataset.id)


def wait(services, seconds):
    """Let everybody's last sign of life be this much longer ago."""
    with services.store.database.write() as connection:
        connection.execute(update(responses).values(updated_at=responses.c.updated_at - seconds))
        connection.execute(update(reservations).values(until=reservations.c.until - seconds))


def test_a_dataset_holds_the_answered_train_queries_and_no_test_query(services, dataset):
    records = services.store.datasets.records(dataset.id)
    assert [record.query for record in records] == list(TRAIN) and not set(TEST) & {r.query for r in records}
    assert {record.split for record in records} == {Split.TRAIN}
    assert all(
        record.contexts and record.completion and record.suggestions[ANSWER].agent == "extractive-base"
        for record in records
    )
    assert (dataset.name, dataset.size, dataset.template) == ("Harbour", 5, "answer-review")


def test_two_datasets_of_one_list_can_be_told_apart(services, dataset):
    assert services.datasets.create_of_run(dataset.run_id, "customer-assistant").name == "Harbour (2)"


def test_a_run_without_answered_train_queries_gives_no_dataset(services):
    list_id = add_queries(services, (), TEST)
    run_id = services.generation.start_run(services.registry.all()[0].id, list_id)
    finished(services, run_id)
    with pytest.raises(RecordError, match="test queries are kept for Compare"):
        services.datasets.create_of_run(run_id, "answer-review")
    with pytest.raises(NotFoundError, match="prompt template"):
        services.datasets.create_of_run(run_id, "no-such-template")
    assert len(services.datasets.all()) == 1


def test_a_card_shows_the_record_with_ones_own_response_only(services, desk, ids, ada, bo):
    desk.submit(ids[1], bo, {ANSWER: "What Bo thinks."})
    card = desk.card(ids[1], ada)
    assert (card.response, card.number, card.total) == (None, 2, 5)
    assert (card.record.id, card.record.query) == (ids[1], TRAIN[card.record.position])
    assert card.settings == services.datasets.get(card.record.dataset_id).settings
    assert desk.card(ids[1], bo).response.values == {ANSWER: "What Bo thinks."}


def test_a_draft_is_kept_and_replaced_by_the_next_one(services, desk, dataset, ids, ada):
    desk.save_draft(ids[0], ada, {QUERY_RATING: 4, CONTEXT_RATING: None, ANSWER: "At se"})
    desk.save_draft(ids[0], ada, {QUERY_RATING: 4, CONTEXT_RATING: 5, ANSWER: "At seven."})
    (response,) = all_responses(services, dataset)
    assert (response.status, response.values) == (DRAFT, {QUERY_RATING: 4, CONTEXT_RATING: 5, ANSWER: "At seven."})
    assert history(services) == []


def test_an_empty_draft_is_kept_as_one(desk, ids, ada):
    assert desk.save_draft(ids[0], ada, {ANSWER: ""}).values == {ANSWER: ""}


@pytest.mark.parametrize("end", [SUBMITTED, DISCARDED])
def test_a_late_draft_never_takes_back_a_submit_or_a_discard(desk, ids, ada, end):
    act = desk.submit if end is SUBMITTED else desk.discard
    act(ids[0], ada, {ANSWER: "Final."})
    late = desk.save_draft(ids[0], ada, {ANSWER: "Fina"})
    assert (late.status, late.values[ANSWER]) == (end, "Final.")
    # What is typed into it since is kept beside it, and shown; submitting it again makes it the response.
    assert (late.edits["values"], desk.card(ids[0], ada).values) == ({ANSWER: "Fina"}, {ANSWER: "Fina"})
    assert desk.save_draft(ids[0], ada, {ANSWER: "Final."}).edits is None
    assert desk.card(ids[0], ada).values == {ANSWER: "Final."}


def test_a_submit_can_be_changed_and_every_version_stays_in_the_history(services, desk, dataset, ids, ada):
    desk.save_draft(ids[0], ada, {ANSWER: "dra"})
    first = desk.submit(ids[0], ada, {ANSWER: "One."})
    desk.submit(ids[0], ada, {ANSWER: "Two."})
    desk.discard(ids[0], ada, {ANSWER: "Two."})
    last = desk.submit(ids[0], ada, {ANSWER: "Three."})
    assert last.id == first.id and [r.values[ANSWER] for r in all_responses(services, dataset)] == ["Three."]
    assert history(services) == [("submitted", "One."), ("submitted", "Two."), ("discarded", "Two.")]


def test_a_discard_can_be_taken_back(desk, ids, ada, dataset):
    desk.discard(ids[0], ada, {ANSWER: "Half an ans"})
    assert desk.progress(dataset.id, ada).discarded == 1
    assert desk.submit(ids[0], ada, {ANSWER: "A whole answer."}).status is SUBMITTED
    assert (desk.progress(dataset.id, ada).discarded, desk.progress(dataset.id, ada).submitted) == (0, 1)


def test_a_query_that_is_held_out_in_another_list_is_not_reviewed(services, dataset):
    services.query_lists.add_text(f"  {TRAIN[0].upper()} \nSomething else?\nAnd this?", "Held out", hold_out=False)
    assert services.datasets.create_of_run(dataset.run_id, "answer-review").size == len(TRAIN)
    services.store.queries.add_set("Tests", [(f"  {TRAIN[0].upper()} ", Split.TEST, {})])
    again = services.datasets.create_of_run(dataset.run_id, "answer-review")
    assert [record.query for record in services.store.datasets.records(again.id)] == list(TRAIN[1:])


@pytest.mark.parametrize("answer", [None, "", " \n\t "])
def test_a_submit_needs_an_answer_and_a_discard_does_not(services, desk, dataset, ids, ada, answer):
    with pytest.raises(RecordError, match="Answer “Correct the answer until you would send it” before you submit"):
        desk.submit(ids[0], ada, {ANSWER: answer})
    assert all_responses(services, dataset) == []
    assert desk.discard(ids[0], ada, {ANSWER: answer}).status is DISCARDED


@pytest.mark.parametrize("rating", [0, 6, -1, 2.5, "3", True, [3]])
def test_a_rating_is_a_number_from_1_to_5(services, desk, dataset, ids, ada, rating):
    for name in (QUERY_RATING, CONTEXT_RATING):
        for act in (desk.save_draft, desk.submit, desk.discard):
            with pytest.raises(RecordError, match="one of 1, 2, 3, 4, 5"):
                act(ids[0], ada, {name: rating, ANSWER: "Yes."})
    assert all_responses(services, dataset) == []


@pytest.mark.parametrize("rating", [1, 2, 3, 4, 5])
def test_every_rating_of_the_scale_and_none_are_taken(desk, ids, ada, rating):
    assert desk.submit(ids[0], ada, {QUERY_RATING: rating, ANSWER: "Yes."}).values[QUERY_RATING] == rating
    assert QUERY_RATING not in desk.submit(ids[0], ada, {QUERY_RATING: None, ANSWER: "Yes."}).values


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({ANSWER: "Yes.", "mood": 5}, "no question named mood"),
        ({ANSWER: ["Yes."]}, "answered by a text"),
        ({ANSWER: "x" * (MAX_TEXT_CHARACTERS + 1)}, "limit"),
    ],
)
def test_values_that_the_form_cannot_give_are_refused(services, desk, dataset, ids, ada, values, said):
    with pytest.raises(RecordError, match=said):
        desk.submit(ids[0], ada, values)
    assert all_responses(services, dataset) == []


def test_the_longest_answer_and_any_script_come_back_as_they_were(desk, ids, ada):
    for answer in ("x" * MAX_TEXT_CHARACTERS, "  备份 🙂\n\n\tend  ", "‮right‬"):
        desk.submit(ids[0], ada, {ANSWER: answer})
        assert desk.card(ids[0], ada).response.values[ANSWER] == answer


def test_half_a_character_is_replaced_so_that_the_answer_can_be_shown_and_exported(desk, ids, ada):
    shown = desk.submit(ids[0], ada, {ANSWER: "smile \ud83d end"}).values[ANSWER]
    assert shown.encode("utf-8").decode() == shown and shown.startswith("smile ") and shown.endswith(" end")


def test_a_record_that_is_not_there_takes_no_response(desk, ada):
    for act in (desk.save_draft, desk.submit, desk.discard):
        with pytest.raises(NotFoundError, match="record"):
            act("nothing", ada, {ANSWER: "Yes."})
    with pytest.raises(NotFoundError, match="record"):
        desk.card("nothing", ada)


def test_working_time_adds_up_and_breaks_do_not_count(desk, ids, ada):
    desk.submit(ids[0], ada, {ANSWER: "One."}, 20.0)
    desk.save_draft(ids[0], ada, {ANSWER: "late"})
    assert desk.submit(ids[0], ada, {ANSWER: "Two."}, 5.5).seconds == 25.5
    assert desk.submit(ids[1], ada, {ANSWER: "One."}, 1e9).seconds == MAX_WORK_SECONDS
    assert desk.discard(ids[2], ada, {}, -3.0).seconds == 0.0


def test_everybody_has_an_order_of_their_own_that_stays(services, desk, dataset):
    people = [person(services, f"P{n}") for n in range(30)]
    orders = [desk.order(dataset.id, me) for me in people]
    assert orders == [desk.order(dataset.id, me) for me in people]
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(services.store.datasets.record_ids(dataset.id)))}
    # People who begin at the same time, and have submitted nothing yet, do not all get the same record.
    assert len({desk.next_record(dataset.id, me) for me in people}) > 1
    assert [desk.card(order[2], me).number for me, order in zip(people, orders, strict=True)] == [3] * 30


def test_records_come_in_ones_own_order_until_none_is_left(desk, dataset, ids, ada):
    seen = []
    while (record_id := desk.next_record(dataset.id, ada)) is not None:
        seen.append(record_id)
        desk.submit(record_id, ada, {ANSWER: "Yes."}) if len(seen) % 2 else desk.discard(record_id, ada, {})
    assert seen == ids


def test_the_search_goes_on_from_the_record_that_was_done_and_round(desk, dataset, ids, ada):
    assert desk.next_record(dataset.id, ada, after=ids[2]) == ids[3]
    assert desk.next_record(dataset.id, ada, after=ids[-1]) == ids[0]
    desk.submit(ids[3], ada, {ANSWER: "Yes."})
    assert desk.next_record(dataset.id, ada, after=ids[2]) == ids[4]
    assert desk.next_record(dataset.id, ada, after="a record of another dataset") == ids[0]


def test_own_drafts_come_in_their_place(desk, dataset, ids, ada):
    desk.save_draft(ids[1], ada, {ANSWER: "half"})
    assert desk.next_record(dataset.id, ada, after=ids[0]) == ids[1]
    desk.submit(ids[0], ada, {ANSWER: "Yes."})
    assert desk.next_record(dataset.id, ada) == ids[1]


def test_whoever_comes_back_goes_on_with_their_draft_and_is_not_held_at_it(desk, dataset, ids, ada):
    desk.save_draft(ids[3], ada, {ANSWER: "half"})
    assert desk.next_record(dataset.id, ada) == ids[3]
    assert desk.next_record(dataset.id, ada, after=ids[0]) == ids[1]


def test_what_others_submitted_is_not_offered_and_what_they_discarded_is(services, desk, dataset, ids, ada, bo):
    desk.submit(ids[0], bo, {ANSWER: "Yes."})
    desk.discard(ids[1], bo, {})
    assert desk.next_record(dataset.id, ada) == ids[1]
    assert desk.next_record(dataset.id, ada, after=ids[-1]) == ids[1]


def test_a_record_that_somebody_began_is_kept_for_them_for_five_minutes(services, desk, dataset, ids, ada, bo):
    desk.save_draft(ids[0], bo, {ANSWER: "half"})
    assert desk.next_record(dataset.id, ada) == ids[1]
    assert desk.next_record(dataset.id, bo) == ids[0]
    wait(services, 290)
    assert desk.next_record(dataset.id, ada) == ids[1]
    wait(services, 20)
    assert desk.next_record(dataset.id, ada) == ids[0]


def test_a_record_that_others_work_on_is_not_offered_even_when_nothing_else_is_left(
    services, desk, dataset, ids, ada, bo
):
    assert desk.next_record(dataset.id, bo, after=ids[1]) in ids
    theirs = desk.next_record(dataset.id, bo)
    for record_id in ids:
        if record_id != theirs:
            services.store.responses.release(record_id, bo)
            desk.submit(record_id, ada, {ANSWER: "Yes."})
    assert desk.next_record(dataset.id, ada) is None and desk.progress(dataset.id, ada).pending == 1
    wait(services, 301)
    assert desk.next_record(dataset.id, ada) == theirs


def test_whoever_was_away_too_long_keeps_their_text_and_takes_nobodys_place(services, desk, dataset, ids, ada, bo):
    assert desk.next_record(dataset.id, ada) == ids[0]
    desk.save_draft(ids[0], ada, {ANSWER: "half"})
    wait(services, 301)
    assert desk.keep(ids[0], bo) and not desk.keep(ids[0], ada)
    with pytest.raises(RecordError, match="kept as a draft"):
        desk.submit(ids[0], ada, {ANSWER: "Ada's whole answer."})
    desk.submit(ids[0], bo, {ANSWER: "Bo's."})
    with pytest.raises(RecordError, match="kept as a draft"):
        desk.submit(ids[0], ada, {ANSWER: "Ada's whole answer."})
    kept = {r.annotator_id: (r.status, r.values[ANSWER]) for r in all_responses(services, dataset)}
    assert kept == {ada: (DRAFT, "Ada's whole answer."), bo: (SUBMITTED, "Bo's.")}
    assert desk.card(ids[0], ada).closed and not desk.card(ids[0], bo).closed
    assert desk.next_record(dataset.id, ada) == ids[1]


def test_a_prefetched_record_is_kept_for_a_minute(services, desk, dataset, ids, ada, bo):
    first = desk.next_record(dataset.id, ada)
    second = desk.prefetch(first, ada)
    assert [first, second] == ids[:2] and desk.prefetch(first, ada) == second
    assert not desk.keep(second, bo)
    wait(services, 61)
    assert desk.keep(second, bo) and not desk.keep(second, ada)
    assert desk.keep(first, ada)


@pytest.fixture
def twice(services, dataset, desk):
    """The dataset, with two responses wanted for each record."""
    settings = replace(dataset.settings, distribution=Distribution(min_submitted=2, discard_quorum=2))
    services.store.datasets.change(dataset.id, settings=settings)
    return dataset


def test_a_record_is_offered_until_it_has_its_responses(services, desk, twice, ids, ada, bo):
    cy = person(services, "Cy")
    for who in (ada, bo):
        desk.submit(ids[0], who, {ANSWER: f"By {who}."})
    assert desk.card(ids[0], cy).closed and not desk.keep(ids[0], cy)
    assert ids[0] not in desk.queue(twice.id, cy, "pending") and desk.progress(twice.id, cy).others == 1
    # Whoever has answered may still change it.
    assert desk.submit(ids[0], ada, {ANSWER: "Better."}).values == {ANSWER: "Better."}


def test_enough_discards_retire_a_record_and_keep_their_reasons(services, desk, twice, ids, ada, bo):
    cy = person(services, "Cy")
    desk.discard(ids[0], ada, {}, reason=" Not a query. ")
    assert desk.keep(ids[0], cy)
    desk.release(ids[0], cy)
    desk.discard(ids[0], bo, {}, reason="Spam")
    assert not desk.keep(ids[0], cy) and desk.card(ids[0], cy).closed
    assert {r.reason for r in all_responses(services, twice)} == {"Not a query.", "Spam"}


def test_a_submit_and_a_discard_can_be_taken_back(services, desk, dataset, ids, ada):
    desk.submit(ids[0], ada, {ANSWER: "Too quick."})
    back = desk.take_back(ids[0], ada)
    assert (back.status, back.values) == (DRAFT, {ANSWER: "Too quick."})
    assert [(v.status, v.values[ANSWER]) for v in desk.history(ids[0], ada)] == [(SUBMITTED, "Too quick.")]
    desk.discard(ids[0], ada, {ANSWER: "Too quick."}, reason="Odd")
    assert (desk.take_back(ids[0], ada).status, desk.history(ids[0], ada)[0].reason) == (DRAFT, "Odd")
    with pytest.raises(RecordError, match="nothing to take back"):
        desk.take_back(ids[0], ada)
    assert desk.submit(ids[0], ada, {ANSWER: "Better."}).status is SUBMITTED
    assert [v.status for v in desk.history(ids[0], ada)] == [DISCARDED, SUBMITTED]


def test_the_same_submit_twice_is_one(services, desk, ids, ada):
    first = desk.submit(ids[0], ada, {ANSWER: "Yes."}, 10.0)
    assert desk.submit(ids[0], ada, {ANSWER: "Yes."}, 10.0) == first and history(services) == []


def test_a_share_of_the_records_is_shown_without_suggestions_until_they_are_answered(services, desk, dataset, ids, ada):
    # Which ones is drawn by their ids: shares are tried until the few records are of both kinds.
    for percent in range(5, 100, 5):
        settings = replace(dataset.settings, unprefilled=percent / 100)
        services.store.datasets.change(dataset.id, settings=settings)
        cards = {record_id: desk.card(record_id, ada) for record_id in ids}
        bare = [record_id for record_id, card in cards.items() if not card.prefilled]
        if bare:
            break
    assert 0 < len(bare) < 5
    assert all((cards[record_id].values == {}) == (record_id in bare) for record_id in ids)
    given = desk.submit(bare[0], ada, {ANSWER: "My own."})
    assert given.prefilled is False and desk.card(bare[0], ada).record.suggestions[ANSWER].value
    other = next(record_id for record_id in ids if record_id not in bare)
    assert desk.submit(other, ada, {ANSWER: "Mine."}).prefilled is True


def test_a_response_keeps_the_version_of_the_guidelines_it_was_given_under(services, desk, dataset, ids, ada):
    assert desk.submit(ids[0], ada, {ANSWER: "Yes."}).guidelines_version == 1
    services.store.datasets.change(dataset.id, settings=with_new_guidelines(dataset.settings, "Be brief."))
    assert desk.submit(ids[1], ada, {ANSWER: "Yes."}).guidelines_version == 2
    assert services.store.datasets.guidelines(dataset.id) == {1: dataset.settings.guidelines, 2: "Be brief."}


def test_queues_hold_ones_own_records_and_can_be_searched(desk, dataset, ids, ada):
    desk.submit(ids[0], ada, {ANSWER: "Yes."})
    desk.save_draft(ids[3], ada, {ANSWER: "half"})
    desk.discard(ids[4], ada, {})
    queues = {name: desk.queue(dataset.id, ada, name) for name in ("pending", "draft", "submitted", "discarded")}
    assert queues == {"pending": ids[1:3], "draft": [ids[3]], "submitted": [ids[0]], "discarded": [ids[4]]}
    word = desk.card(ids[1], ada).record.query.split()[-1].strip("?")
    found = desk.queue(dataset.id, ada, "pending", RecordFilter(text=word.upper()))
    assert ids[1] in found and all(word in str(desk.card(i, ada).record.fields) for i in found)
    assert desk.next_record(dataset.id, ada, wanted=RecordFilter(text="in no record at all")) is None


def test_back_and_next_walk_through_all_records_and_stop_at_the_ends(desk, ids, ada):
    desk.submit(ids[1], ada, {ANSWER: "Yes."})
    assert [desk.neighbour(record_id, ada, 1) for record_id in ids] == [*ids[1:], None]
    assert [desk.neighbour(record_id, ada, -1) for record_id in ids] == [None, *ids[:-1]]


def test_progress_counts_every_record_once(desk, dataset, ids, ada, bo):
    desk.submit(ids[0], ada, {ANSWER: "Yes."})
    desk.discard(ids[1], ada, {})
    desk.save_draft(ids[2], ada, {ANSWER: "half"})
    desk.submit(ids[3], bo, {ANSWER: "Yes."})
    mine = desk.progress(dataset.id, ada)
    assert (mine.submitted, mine.discarded, mine.drafts, mine.others, mine.pending, mine.total) == (1, 1, 1, 1, 1, 5)
    theirs = desk.progress(dataset.id, bo)
    assert (theirs.submitted, theirs.others, theirs.pending) == (1, 1, 3)


def test_many_windows_of_one_person_leave_one_response_with_its_whole_history(services, desk, dataset, ids, ada):
    gate = threading.Barrier(8)

    def submit(number):
        gate.wait()
        desk.submit(ids[0], ada, {ANSWER: f"From window {number}."})

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    (response,) = all_responses(services, dataset)
    versions = [*(text for _, text in history(services)), response.values[ANSWER]]
    assert sorted(versions) == [f"From window {number}." for number in range(8)]


def test_a_suggestion_is_the_answer_as_it_was_when_the_dataset_was_made(services, desk, dataset, ids, ada):
    suggestion = desk.card(ids[0], ada).record.completion
    query_id = desk.card(ids[0], ada).record.query_id
    retrieval = services.store.queries.retrievals_of([query_id], services.generation.retriever_name())[query_id]
    (answered,) = services.store.runs.answered(services.registry.all()[0].id, [retrieval.id]).values()
    services.store.runs.add_completion(replace(answered, id="z" * 26, text="Another answer since."))
    assert desk.card(ids[0], ada).record.completion == suggestion != "Another answer since."
