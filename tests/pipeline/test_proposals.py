"""Synthetic queries: made of headings or by a model over a socket, kept apart from those that exist, reviewed, listed."""

import json
import time

import pytest

from components.ask.proposals import told
from pipeline.errors import ModelError, QueryFileError
from pipeline.proposals import ACCEPTED, HEADINGS, REJECTED
from pipeline.proposed_queries import Known, from_heading, read_reply, standing
from pipeline.records import JobState
from tests.material import add_manual, add_queries, open_copy
from tests.openai_server import OpenAIServer
from tests.postgres import POSTGRES
from tests.workspace import open_workspace, person

FAQ = """# Harbour questions

## How do I pay?

At the office, with a card or in cash. The office gives a receipt, which has to lie behind the windscreen of the car.

## Boats › Rules

- **Q: May my dog come aboard the ferry?**
It may, on a lead. Dogs travel free of charge, and water stands at the entrance of every ferry and at the pier.

## Introduction

This page gathers what guests have asked the harbour office most often over the last two summers, with what we said.

## Lost property

What was found in the basin or on the pier is kept at the office for three months, and then given to the town hall.
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proposals")
    services = open_workspace(folder / "prepared")
    add_manual(services, folder)
    add_manual(services, folder, FAQ, "faq.md")
    add_queries(services)
    services.close()
    return folder / "prepared"


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared, tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def ada(services):
    return person(services, "Ada")


def asks(messages):
    """Ask about the first words of the passage, as a model would."""
    words = messages[-1]["content"].split("\n\n", 1)[1].replace("#", "").split()
    return json.dumps({"query": f"What is known of {' '.join(words[:3])}?"})


@pytest.fixture
def server():
    with OpenAIServer(answer=asks) as server:
        yield server


@pytest.fixture
def asking(prepared, tmp_path, server):
    """The workspace with a chat model, and that model's id."""
    settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": 2, "timeout": 5.0}
    services = open_copy(prepared, tmp_path / "home", **settings)
    yield services, services.proposals.proposers()[0].id
    services.close()


def ended(services, seconds=20):
    deadline = time.monotonic() + seconds
    while services.proposals.progress().state is JobState.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return services.proposals.progress()


@pytest.mark.parametrize(
    ("heading", "query"),
    [
        ("Refunds › How to ask", "Refunds: how do I ask?"),
        ("How to install the app on a phone", "How do I install the app on a phone?"),
        ("Plans › What is included?", "Plans: what is included?"),
        ("FAQ › Can I change my plan?", "Can I change my plan?"),
        ("3.2 Where to find the logs of a run", "Where do I find the logs of a run?"),
        ("What is a sprint", "What is a sprint?"),
        ("Uploads › Limits", "Uploads: what do the documents say about limits?"),
        ("Refund policy for yearly plans", "What do the documents say about refund policy for yearly plans?"),
        ("Manual › Start the app", "How do I start the app?"),
        ("Manual › Turn off the pump", "How do I turn off the pump?"),
        ("Order of the events", "What do the documents say about order of the events?"),
        ("Guide › Prices of Argilla Cloud", "What do the documents say about Prices of Argilla Cloud?"),
        ("办公室几点开门？", "办公室几点开门？"),
    ],
)  # fmt: skip
def test_a_heading_becomes_the_query_that_it_stands_for(heading, query):
    assert from_heading(heading) == query


@pytest.mark.parametrize(
    "heading", ["", "Introduction", "FAQ", "page 3", "2024-01-02", "1.2.3", "Why?", "退款政策", "Tiers"]
)
def test_a_heading_that_says_nothing_by_itself_becomes_none(heading):
    assert from_heading(heading) is None


def test_questions_that_stand_in_a_text_are_found_with_an_answer_after_them():
    assert standing(FAQ) == ["How do I pay?", "May my dog come aboard the ferry?"]
    assert standing("Is this the end of all things?") == []
    assert (
        standing("Is it so? Yes. Is it not so? No.\nA line that follows, and that is long enough to be an answer.")
        == []
    )


@pytest.mark.parametrize(
    ("reply", "query"),
    [
        ('{"query": "How long is the notice period?"}', "How long is the notice period?"),
        ('```json\n{"question": "Who signs the lease?"}\n```', "Who signs the lease?"),
        ("Question: How long do refunds take?", "How long do refunds take?"),
        ('1. "How long do refunds take?"\n2. Who pays them?', "How long do refunds take?"),
        ('{"query": ""}', ""),
        ("", ""),
    ],
)
def test_a_reply_is_read_as_json_or_as_a_line(reply, query):
    assert read_reply(reply) == query


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("What does this passage say about fuel?", "stand alone"),
        ('{"query": "According to the given document, who pays?"}', "stand alone"),
        ("Why?", "too short"),
        ("word " * 100 + "?", "longer"),
    ],
)
def test_a_reply_that_holds_no_usable_query_says_why(reply, why):
    with pytest.raises(ValueError, match=why):
        read_reply(reply)


def test_the_same_query_in_other_words_order_is_known_but_not_with_another_number():
    known = Known(["What does a rating of 1 mean?"])
    assert not known.add("what does a RATING of 1 mean") and not known.add("A rating of 1 does mean what?")
    assert known.add("What do the documents say about refunds?")
    assert known.add("What do the documents say about receipts?")
    assert not known.add("What do the documents say about a refund?")
    assert known.add("What does a rating of 5 mean?") and not known.add("What does a rating of 5 mean")


def test_headings_and_questions_become_proposals_of_their_passages(services):
    done = services.proposals.from_headings((), 50)
    waiting = services.proposals.waiting()
    texts = [item.query for item in waiting]
    assert done.proposed == len(texts) and "How do I pay?" in texts and "May my dog come aboard the ferry?" in texts
    assert "Harbour questions: what do the documents say about lost property?" in texts
    assert not any("Introduction" in text for text in texts)
    for item in waiting:
        assert item.model_id is None and services.library.place(item.chunk_id).document.name == item.document
    # What was proposed is not proposed again, and neither is what a list asks already.
    with pytest.raises(QueryFileError, match="no passage left"):
        for _ in range(5):
            assert services.proposals.from_headings((), 50).proposed == 0


def test_proposals_are_spread_over_the_documents_that_are_chosen(services):
    faq = next(item.id for item in services.proposals.documents() if item.name == "faq.md")
    services.proposals.from_headings([faq], 2)
    assert [item.document for item in services.proposals.waiting()] == ["faq.md"] * 2
    for count in (0, 201):
        with pytest.raises(QueryFileError, match="1 to 200"):
            services.proposals.from_headings((), count)


def test_what_people_accept_becomes_a_list_that_names_its_passages(services, ada):
    services.proposals.from_headings((), 4)
    first, second, third, fourth = services.proposals.waiting()
    assert services.proposals.accept(first.id, f" {first.text} ", ada)
    assert services.proposals.accept(second.id, "What is kept at the office for three months?", ada)
    assert services.proposals.reject(third.id, ada) and services.proposals.accept(fourth.id, fourth.text, ada)
    # A second press, or a second person, changes nothing.
    assert not services.proposals.reject(first.id, ada) and not services.proposals.accept(
        third.id, "Anything else?", ada
    )
    assert services.proposals.undo(ada) == fourth.id and services.proposals.counts() == {
        "proposed": 1, "accepted": 2, "rejected": 1, "listed": 0
    }  # fmt: skip
    assert services.proposals.accept(fourth.id, fourth.text, ada)
    made = services.proposals.make_list("Harbour", True)
    assert (made.name, made.train, made.test) == ("Harbour (2)", 2, 1)
    queries = services.store.queries.in_set(made.id)
    assert [query.text for query in queries] == [
        first.text,
        "What is kept at the office for three months?",
        fourth.text,
    ]
    for query, proposal in zip(queries, (first, second, fourth), strict=True):
        place = services.library.place(query.metadata["gold_chunk"])
        assert (place.chunk.id, place.document.name) == (proposal.chunk_id, query.metadata["gold_document"])
        assert place.chunk.text.strip() == query.metadata["gold_passage"] and query.metadata["proposed_by"] == HEADINGS
    assert [item.id for item in services.proposals.decided(REJECTED)] == [third.id]
    assert services.proposals.decided(ACCEPTED) == [] and services.proposals.counts()["listed"] == 3
    with pytest.raises(QueryFileError, match="Accept some"):
        services.proposals.make_list("", True)
    # What is in a list is not taken back by an undo; the rejection is.
    assert services.proposals.undo(ada) == third.id
    with pytest.raises(QueryFileError, match="no decision"):
        services.proposals.undo(ada)


def test_the_bench_of_retrieval_finds_the_passages_of_such_a_list(services, ada):
    services.proposals.from_headings((), 4)
    for item in services.proposals.waiting():
        services.proposals.accept(item.id, item.text, ada)
    made = services.proposals.make_list("", False)
    gold, without = services.retrieval_bench.gold(made.id)
    assert (len(gold), without) == (4, 0) and {item.kind for item in gold} == {"passage"}


def test_a_chat_model_is_asked_for_a_query_of_each_passage(asking, server):
    services, model_id = asking
    services.proposals.start((), 4, model_id)
    done = ended(services)
    assert (done.state, done.asked, done.proposed, done.tokens > 0) == (JobState.DONE, 4, 4, True)
    assert len(server.chats) == 4
    for request, item in zip(server.chats, services.proposals.waiting(), strict=True):
        assert "JSON" in request.body["messages"][0]["content"] and item.model_id == model_id
    # The next time it is asked about other passages, or about none.
    left = len(services.store.proposals.places((), model_id, 120))
    services.proposals.start((), 200, model_id)
    assert ended(services).total == left and len(server.chats) == 4 + left


def test_what_a_model_says_amiss_is_told_and_kept_out(asking, server):
    services, model_id = asking
    server.fail(times=1, status=400, message="no such thing")
    replies = iter(
        ['{"query": "What does the passage above say?"}', '{"query": ""}', "When does the harbour office open?"]
    )
    server.answer = lambda messages: next(replies, "Where may boats moor free of charge today?")
    services.proposals.start((), 5, model_id)
    done = ended(services)
    assert (done.asked, done.proposed, done.same, done.nothing, sum(done.failures.values())) == (5, 1, 1, 1, 2)
    assert any("no such thing" in reason for reason in done.failures)
    assert any("stand alone" in reason for reason in done.failures)


def test_asking_is_cancelled_within_a_second_and_one_at_a_time(asking, server):
    services, model_id = asking
    server.fail(times=None, stall=30.0)
    services.proposals.start((), 5, model_id)
    with pytest.raises(QueryFileError, match="already"):
        services.proposals.start((), 5, model_id)
    began = time.monotonic()
    services.proposals.cancel()
    assert ended(services).state is JobState.CANCELLED and time.monotonic() - began < 1.5


def test_only_a_chat_model_is_asked(services):
    with pytest.raises(ModelError, match="headings"):
        services.proposals.start((), 5, services.registry.all()[0].id)
    assert services.proposals.proposers() == []


def test_what_came_of_proposing_is_told_after_a_restart(prepared, tmp_path, server):
    settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": 1, "timeout": 5.0}
    services = open_copy(prepared, tmp_path / "home", **settings)
    server.latency = 0.2
    services.proposals.start((), 5, services.proposals.proposers()[0].id)
    deadline = time.monotonic() + 20
    file = tmp_path / "home" / "proposing.json"
    while not json.loads(kept := file.read_text("utf-8"))["proposed"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # As a power cut leaves it: nobody says that it has ended.
    services.close()
    file.write_text(kept, "utf-8")
    later = open_workspace(tmp_path / "home")
    found = later.proposals.progress()
    assert (found.state, found.total, found.proposer) == (JobState.INTERRUPTED, 5, "test-model") and found.proposed
    assert "interrupted when the app stopped" in told(found)
    made = later.proposals.from_headings((), 1)
    later.close()
    again = open_workspace(tmp_path / "home")
    assert again.proposals.progress() == made and made.state is JobState.DONE
    again.close()


def test_of_several_copies_of_the_app_one_asks_at_a_time_and_is_cancelled_there(tmp_path, server):
    settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "timeout": 90.0}
    settings["database_url"] = POSTGRES.url_of(tmp_path / "pairloop.db")
    one, two = (open_workspace(tmp_path / name, **settings) for name in ("one", "two"))
    try:
        add_manual(one, tmp_path, FAQ, "faq.md")
        for services in (one, two):
            services.start_backup()
        deadline = time.monotonic() + 20
        while not {one.store.replica, two.store.replica} <= two.store.others():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        model_id = one.proposals.proposers()[0].id
        two.proposals.cancel()
        server.fail(times=None, stall=60.0)
        one.proposals.start((), 2, model_id)
        for second in (lambda: two.proposals.start((), 2, model_id), lambda: two.proposals.from_headings((), 2)):
            with pytest.raises(QueryFileError, match="Another copy of the app"):
                second()
        with pytest.raises(QueryFileError, match="cancelled there only"):
            two.proposals.cancel()
        one.proposals.cancel()
        assert ended(one).state is JobState.CANCELLED
        server.recover()
        two.proposals.start((), 2, model_id)
        assert ended(two).state is JobState.DONE
        # Whoever is gone asks nobody, whatever was kept of it.
        two.store.database.set_local("proposing", "gone")
        one.proposals.start((), 2, model_id)
        assert ended(one).state is JobState.DONE
    finally:
        one.close()
        two.close()
