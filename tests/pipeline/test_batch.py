"""Batches over a real socket, the loop they run in, and the adapter for models that compute."""

import asyncio
import threading
import time
from concurrent.futures import CancelledError

import pytest

from pipeline.background import Background
from pipeline.batch import run_batch
from pipeline.errors import ModelError
from pipeline.models import SyncAnswerer
from pipeline.models.openai_chat import ChatModel, close_clients
from pipeline.prompts import get_template
from pipeline.records import Answer, Context, JobState
from tests.openai_server import OpenAIServer

CONTEXTS = [Context("c1", "d1", "guide.md", "Ada was first. She won.", 0, 23, 1.0)]


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def background():
    loop = Background()
    yield loop
    loop.submit(close_clients()).result(5)
    loop.close()


@pytest.fixture
def batch(server, background):
    return Batch(server, background)


class Batch:
    """Runs batches of queries against the server and keeps what they report."""

    def __init__(self, server: OpenAIServer, background: Background) -> None:
        settings = {"base_url": server.base_url, "api_key": "", "model_id": "test-model", "timeout": 30.0}
        self.model = ChatModel(**settings, template=get_template("answer-review"), max_retries=0)
        self.background = background
        self.results, self.groups = {}, []
        self.cancelled = threading.Event()

    def keep(self, item, result):
        self.results[item] = result

    def start(self, items, concurrency=4, keep=None, answer_one=None, cancelled=None):
        answer_one = answer_one or (lambda item: self.model.answer(item, CONTEXTS))
        keep = keep or self.keep

        def keep_all(results):
            self.groups.append(len(results))
            for item, result in results:
                keep(item, result)

        return self.background.submit(run_batch(items, answer_one, keep_all, concurrency, cancelled or self.cancelled))

    def run(self, items, **options) -> JobState:
        return self.start(items, **options).result(30)


def queries(count: int) -> list[str]:
    return [f"Query {number:03d}?" for number in range(count)]


def wait_for(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "this never came true"
        time.sleep(0.01)


def test_every_item_gets_its_answer(batch, server):
    server.answer = lambda messages: messages[-1]["content"].splitlines()[-1]

    assert batch.run(queries(40)) is JobState.DONE

    assert {item: result.text for item, result in batch.results.items()} == {
        query: f"Query: {query}" for query in queries(40)
    }


def test_requests_at_once_reach_the_bound_and_stay_under_it(batch, server):
    server.latency = 0.1
    batch.run(queries(20), concurrency=5)
    assert server.most_at_once == 5


def test_results_are_reported_while_others_still_wait(batch, server):
    server.fail(stall=20, when="Query 001?")
    future = batch.start(queries(8), concurrency=2)
    wait_for(lambda: len(batch.results) == 7)
    assert not future.done()
    batch.cancelled.set()
    assert future.result(5) is JobState.CANCELLED


def test_a_failed_item_is_a_result_and_the_others_go_on(batch, server):
    server.fail(status=500, when="Query 003?")
    server.fail(cut_after=1, when="Query 005?")

    assert batch.run(queries(10)) is JobState.DONE

    failed = {item: str(result) for item, result in batch.results.items() if isinstance(result, ModelError)}
    assert set(failed) == {"Query 003?", "Query 005?"}
    assert "failed on its side (500)" in failed["Query 003?"]
    assert len(batch.results) == 10


def test_cancelling_gives_up_requests_in_flight_within_a_second(batch, server):
    server.fail(times=None, stall=30, when="Query 1")
    future = batch.start(queries(200), concurrency=8)
    wait_for(lambda: len(batch.results) == 100 and sum(chat.ended is None for chat in server.chats) == 8)

    batch.cancelled.set()

    assert future.result(1) is JobState.CANCELLED
    wait_for(lambda: all(chat.ended is not None for chat in server.chats))
    assert sum(chat.gone for chat in server.chats) == 8
    assert set(batch.results) == set(queries(100))
    assert len(server.chats) == 108


def test_a_function_may_say_that_a_batch_is_cancelled(batch, server):
    server.latency = 0.05
    assert batch.run(queries(500), cancelled=lambda: len(batch.results) > 5) is JobState.CANCELLED
    assert 5 < len(batch.results) < 100


def test_what_was_answered_is_handed_over_even_if_the_batch_is_cancelled_meanwhile(batch, server):
    reporting, go_on = threading.Event(), threading.Event()

    def slow(item, result):
        reporting.set()
        go_on.wait(10)
        batch.keep(item, result)

    future = batch.start(queries(50), concurrency=3, keep=slow)
    reporting.wait(10)
    wait_for(lambda: sum(chat.ended is not None for chat in server.chats) == 3)
    batch.cancelled.set()
    time.sleep(0.3)
    go_on.set()

    assert future.result(5) is JobState.CANCELLED
    assert len(batch.results) == len(server.chats) == 3


def test_results_are_reported_one_at_a_time_in_one_thread_outside_the_loop(batch):
    inside, threads, loop_thread = [], set(), batch.background.submit(current_thread()).result(5)

    def keep(item, result):
        inside.append(item)
        time.sleep(0.005)
        assert inside.pop() == item
        threads.add(threading.current_thread().name)
        batch.keep(item, result)

    assert batch.run(queries(40), concurrency=10, keep=keep) is JobState.DONE
    assert len(batch.results) == 40
    assert len(threads) == 1
    assert loop_thread not in threads


def test_results_that_come_while_others_are_reported_are_reported_together(batch):
    def slow(item, result):
        time.sleep(0.05 if not batch.results else 0)
        batch.keep(item, result)

    assert batch.run(queries(40), concurrency=10, keep=slow) is JobState.DONE
    assert len(batch.results) == sum(batch.groups) == 40
    assert max(batch.groups) > 1


async def current_thread() -> str:
    return threading.current_thread().name


def test_a_slow_report_does_not_hold_up_the_loop(batch):
    reporting, go_on = threading.Event(), threading.Event()

    def blocked(item, result):
        reporting.set()
        go_on.wait(10)

    future = batch.start(queries(1), keep=blocked)
    reporting.wait(10)
    assert batch.background.submit(current_thread()).result(5)
    go_on.set()
    assert future.result(5) is JobState.DONE


def test_a_report_that_raises_ends_the_batch_and_is_raised(batch, server):
    def full(item, result):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        batch.run(queries(100), keep=full)
    assert len(server.chats) < 20


def test_an_error_that_is_no_model_error_ends_the_batch_and_is_raised(batch, server):
    server.fail(times=None, stall=30)

    async def answer_one(item):
        if item == "Query 002?":
            raise KeyError(item)
        return await batch.model.answer(item, CONTEXTS)

    with pytest.raises(KeyError, match="Query 002"):
        batch.run(queries(100), answer_one=answer_one)
    wait_for(lambda: all(chat.ended is not None for chat in server.chats))
    assert batch.results == {}


def test_items_are_drawn_as_places_become_free(batch, server):
    drawn = []
    server.fail(times=None, stall=30)

    def supply():
        for query in queries(1000):
            drawn.append(query)
            yield query

    future = batch.start(supply(), concurrency=4)
    wait_for(lambda: len(server.chats) == 4)
    assert len(drawn) == 4
    batch.cancelled.set()
    future.result(5)


def test_an_empty_batch_is_done(batch):
    assert batch.run([]) is JobState.DONE


def test_a_batch_without_places_is_refused(batch):
    with pytest.raises(ValueError, match="at least 1"):
        batch.run(queries(1), concurrency=0)


def test_batches_after_one_another_send_each_query_once(batch, server):
    for _ in range(3):
        batch.run(queries(10))
    assert len(server.chats) == 30
    assert len({chat.connection for chat in server.chats}) <= 4


def test_cancelling_the_future_cancels_the_batch(batch, server):
    server.fail(times=None, stall=30)
    future = batch.start(queries(10))
    wait_for(lambda: len(server.chats) == 4)
    future.cancel()
    wait_for(lambda: all(chat.gone for chat in server.chats))


# The loop


def test_everything_runs_in_one_thread_that_starts_when_it_is_needed(background):
    before = threading.active_count()
    idle = Background()
    assert threading.active_count() == before
    idle.close()

    names = set()
    callers = [
        threading.Thread(target=lambda: names.add(background.submit(current_thread()).result(5))) for _ in range(10)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(names) == 1


def test_closing_cancels_what_runs_and_lets_it_clean_up():
    loop, events = Background(), []
    started = threading.Event()

    async def wait():
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            events.append("cleaned up")

    future = loop.submit(wait())
    started.wait(5)
    loop.close()

    assert events == ["cleaned up"]
    with pytest.raises(CancelledError):
        future.result(1)


def test_after_closing_nothing_is_taken():
    loop = Background()
    loop.close()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.submit(current_thread())


def test_an_exception_arrives_where_the_result_is_awaited(background):
    async def fail():
        raise ModelError("the endpoint is down")

    with pytest.raises(ModelError, match="the endpoint is down"):
        background.submit(fail()).result(5)


# Models that compute


class FirstSentence:
    """A model that blocks its thread until it is let go."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()

    def answer(self, query, contexts):
        self.asked.set()
        assert self.go_on.wait(10)
        return Answer(contexts[0].text.partition(" ")[0], citations=(1,))


def test_a_model_that_computes_does_not_hold_up_the_loop(background):
    model, seen = FirstSentence(), []
    future = background.submit(SyncAnswerer(model).answer("Who?", CONTEXTS, seen.append))
    model.asked.wait(5)
    time.sleep(0.05)

    assert background.submit(current_thread()).result(5)
    model.go_on.set()
    answer = future.result(5)

    assert (answer.text, answer.citations, seen) == ("Ada", (1,), ["Ada"])
    assert answer.seconds >= 0.05
