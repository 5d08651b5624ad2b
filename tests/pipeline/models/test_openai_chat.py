"""The client against a real socket: what comes back, what is sent, and what is said when it goes wrong."""

import asyncio
import socket
from email.utils import formatdate
from time import perf_counter, time

import pytest

from pipeline.errors import ModelError
from pipeline.models.openai_chat import ChatModel, close_clients
from pipeline.prompts import get_template
from pipeline.records import Context
from tests.openai_server import OpenAIServer

KEY = "sk-test-0123456789"
CONTEXTS = [
    Context("c1", "d1", "guide.md", "Ada was first. She won.", 0, 23, 1.0),
    Context("c2", "d1", "guide.md", "Bob was second.", 24, 39, 0.5),
]


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


def model(server, **changes) -> ChatModel:
    settings = {"base_url": server.base_url, "api_key": "", "model_id": "test-model", "timeout": 5.0}
    return ChatModel(**{**settings, "template": get_template("answer-review"), **changes})


def run(coroutine):
    async def with_clean_end():
        try:
            return await coroutine
        finally:
            await close_clients()

    return asyncio.run(with_clean_end())


def ask(chat: ChatModel, on_text=None):
    return run(chat.answer("Who was first?", CONTEXTS, on_text))


def error_of(chat: ChatModel) -> str:
    with pytest.raises(ModelError) as caught:
        ask(chat)
    return str(caught.value)


def test_an_answer_comes_with_citations_usage_and_time(server):
    answer = ask(model(server))

    words = sum(len(message["content"].split()) for message in server.chats[0].body["messages"])
    assert answer.text == "Ada was first. [1]"
    assert answer.citations == (1,)
    assert not answer.refused
    assert (answer.prompt_tokens, answer.completion_tokens) == (words, 4)
    assert 0 < answer.seconds < 60


def test_the_text_grows_while_it_comes_in(server):
    seen = []
    ask(model(server), seen.append)
    assert seen == ["Ada", "Ada was", "Ada was first.", "Ada was first. [1]"]


def test_text_is_shown_before_the_answer_is_complete(server):
    server.pace = 0.15
    moments = []

    ask(model(server), lambda _: moments.append(perf_counter()))

    assert moments[-1] - moments[0] > 0.3


def test_characters_of_several_bytes_survive_the_stream(server):
    server.answer = lambda _: "🙂 日本語です é"
    assert ask(model(server)).text == "🙂 日本語です é"


def test_a_refusal_is_marked(server):
    server.answer = lambda _: "This is not in the documents."
    assert ask(model(server)).refused


def test_thoughts_of_a_reasoning_model_are_not_part_of_the_answer(server):
    server.answer = lambda _: "<think>The first passage [2] says</think>\n\nAda. [1]"
    seen = []

    answer = ask(model(server), seen.append)

    assert answer.text == "Ada. [1]"
    assert answer.citations == (1,)
    assert not any("think" in text or "passage" in text for text in seen)


def test_a_refusal_in_the_protocols_own_field_is_an_answer(server):
    chunk = '{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,%s}]}'
    said = chunk % '"delta":{"refusal":"I cannot help with that."},"finish_reason":"stop"'
    server.fail(events=[f"data: {said}\n\n", "data: [DONE]\n\n"])

    answer = ask(model(server))

    assert answer.refused
    assert answer.text == "I cannot help with that."


def test_an_endpoint_that_does_not_stream_is_understood(server):
    server.streams = False
    answer = ask(model(server))
    assert answer.text == "Ada was first. [1]"
    assert answer.completion_tokens == 4


def test_comments_and_empty_chunks_between_the_text_do_no_harm(server):
    chunk = '{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[%s]}'
    delta = '{"index":0,"delta":{"content":"%s"},"finish_reason":%s}'
    events = [": ping\n\n", chunk % "", chunk % (delta % ("Ada", "null")), chunk % (delta % (".", '"stop"'))]
    server.fail(events=[event if event.startswith(":") else f"data: {event}\n\n" for event in events])

    assert ask(model(server)).text == "Ada."


COMPLETE = 'data: {"choices":[{"index":0,"delta":{"content":"Ada."},"finish_reason":%s}]}\n\n'
DONE = "data: [DONE]\n\n"


@pytest.mark.parametrize(
    "fault",
    [
        {"events": [DONE], "cut_after": 0},
        {"events": [DONE, "data: {no\n\n"]},
        {"events": [DONE, "data: ", "x" * 4_100_000]},
        {"events": [], "cut_after": 0},
        {"events": ["data: {no\n\n"]},
    ],
    ids=["closed after done", "junk after done", "endless after done", "closed without done", "junk without done"],
)
def test_what_goes_wrong_after_a_complete_answer_takes_nothing_from_it(server, fault):
    server.fail(**{**fault, "events": [COMPLETE % '"stop"', *fault["events"]]})
    answer = ask(model(server, max_retries=0))
    assert answer.text == "Ada." and answer.seconds > 0
    assert ask(model(server)).text == "Ada was first. [1]"


def test_an_answer_that_has_not_said_that_it_is_complete_is_still_cut_off(server):
    server.fail(events=[COMPLETE % "null"], cut_after=0)
    assert "was cut off in the middle" in error_of(model(server))


def test_the_models_of_an_endpoint_are_listed(server):
    server.models = ("zeta", "alpha")
    assert run(model(server).list_models()) == ["alpha", "zeta"]


def test_only_what_is_set_is_sent(server):
    ask(model(server))
    ask(model(server, temperature=0.0, max_tokens=50))

    plain, full = (request.body for request in server.chats)
    assert set(plain) == {"model", "messages", "stream", "stream_options"}
    assert plain["stream_options"] == {"include_usage": True}
    assert (full["temperature"], full["max_tokens"]) == (0.0, 50)


def test_the_key_is_sent_and_without_one_nothing_is(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-of-an-admin")
    ask(model(server))
    ask(model(server, api_key=KEY))

    without, with_key = (request.headers for request in server.chats)
    assert "authorization" not in without
    assert with_key["authorization"] == f"Bearer {KEY}"


def test_usage_is_done_without_where_the_endpoint_rejects_stream_options(server):
    server.rejects = {"stream_options": "Unrecognized request argument supplied: stream_options"}
    chat = model(server)

    async def twice():
        return [await chat.answer("Who was first?", CONTEXTS) for _ in range(2)]

    first, second = run(twice())

    assert first.text == second.text == "Ada was first. [1]"
    assert first.prompt_tokens is None
    assert len(server.chats) == 3  # the second answer needed no refusal to know


def test_max_completion_tokens_is_sent_where_max_tokens_is_rejected(server):
    server.rejects = {"max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}
    assert ask(model(server, max_tokens=3)).text == "Ada was first."
    assert server.chats[-1].body["max_completion_tokens"] == 3


def test_connections_are_reused_within_a_loop(server):
    chat = model(server)

    async def many():
        for _ in range(5):
            await chat.answer("Who was first?", CONTEXTS)

    run(many())
    assert len(server.chats) == 5
    assert len({request.connection for request in server.chats}) == 1


def test_server_errors_are_retried(server):
    server.fail(status=503, times=1, retry_after="0.05")
    server.fail(status=500, times=1, retry_after="0.05")
    assert ask(model(server)).text == "Ada was first. [1]"
    assert len(server.chats) == 3


def test_the_time_of_an_answer_leaves_out_failed_attempts(server):
    server.fail(status=503, retry_after="0.5")
    start = perf_counter()
    answer = ask(model(server))
    assert answer.seconds <= perf_counter() - start - 0.5


def test_retry_after_is_waited_for(server):
    server.fail(status=429, retry_after="0.6")
    ask(model(server))
    first, second = server.chats
    assert second.started - first.started >= 0.6


def test_retry_after_may_be_a_date(server):
    server.fail(status=429, retry_after=formatdate(time() + 3, usegmt=True))
    ask(model(server))
    first, second = server.chats
    assert second.started - first.started >= 1.5  # a date has no fractions of a second


def test_a_longer_retry_after_than_the_time_limit_is_not_waited_for(server):
    server.fail(status=429, retry_after="100")
    assert "takes no more requests now (429)" in error_of(model(server))
    assert len(server.chats) == 1


def test_without_retry_after_the_wait_grows(server):
    server.fail(status=502, times=2)
    ask(model(server))
    first, second, third = (request.started for request in server.chats)
    assert second - first >= 0.35
    assert third - second >= 0.7


def test_a_connection_that_fails_before_any_text_is_retried(server):
    server.fail(drop=True)
    assert ask(model(server)).text == "Ada was first. [1]"


@pytest.mark.parametrize(
    "fault",
    [{"stall": 3}, {"cut_after": 2}, {"status": 400}, {"status": 401}, {"status": 429, "code": "insufficient_quota"}],
)
def test_what_may_cost_money_twice_or_cannot_get_better_is_not_retried(server, fault):
    server.fail(times=None, **fault)
    error_of(model(server, timeout=0.4 if "stall" in fault else 5))
    assert len(server.chats) == 1


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_endpoint_that_is_down_is_named_with_its_setting(server):
    url = f"http://127.0.0.1:{closed_port()}/v1"
    message = error_of(model(server, base_url=url, max_retries=0))
    assert message == f"Cannot reach {url}: check that the endpoint is running and that OPENAI_BASE_URL is right."


def test_a_host_that_does_not_exist_cannot_be_reached(server):
    assert "Cannot reach" in error_of(model(server, base_url="http://no-such-host.invalid/v1", max_retries=0))


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:port/v1"])
def test_a_broken_address_is_said_to_be_one(server, url):
    assert "OPENAI_BASE_URL is not an address" in error_of(model(server, base_url=url))


FAULTS = {
    "a missing key": ({"status": 401}, "wants a key (401): set OPENAI_API_KEY"),
    "forbidden": ({"status": 403}, "wants a key (403)"),
    "server error": ({"status": 500}, "failed on its side (500): try again later"),
    "overloaded": ({"status": 503}, "failed on its side (503): try again later"),
    "too many requests": ({"status": 429}, "(429): wait a little, or lower PAIRLOOP_CONCURRENCY"),
    "no quota": ({"status": 429, "code": "insufficient_quota"}, "has no quota left"),
    "page of HTML": ({"body": "<html>Welcome</html>"}, "not as an OpenAI-compatible endpoint does"),
    "broken JSON": ({"body": "{no", "content_type": "application/json"}, "not as an OpenAI-compatible endpoint does"),
    "other JSON": ({"body": "[1]", "content_type": "application/json"}, "not as an OpenAI-compatible endpoint does"),
    "broken events": ({"events": ["data: {no\n\n"]}, "not as an OpenAI-compatible endpoint does"),
    "event without an end": ({"events": ["data: ", "x" * 4_100_000]}, "not as an OpenAI-compatible endpoint does"),
    "error event": ({"events": ['data: {"error":{"message":"GPU lost"}}\n\n']}, "while it was answering: GPU lost"),
    "no choices": ({"events": ['data: {"choices":[]}\n\n', "data: [DONE]\n\n"]}, "sent an empty answer"),
    "no events": ({"events": []}, "sent an empty answer"),
    "stall": ({"stall": 3}, "sent nothing for 0.4 s"),
    "stall in the middle": ({"stall": 3, "stall_after": 2}, "stopped in the middle of its answer and sent nothing"),
    "cut": ({"cut_after": 2}, "was cut off in the middle"),
    "ended early": ({"cut_after": 2, "polite": True}, "was cut off in the middle"),
    "dropped": ({"drop": True}, "closed the connection without an answer"),
    "bad request": ({"status": 400, "message": "No such voice."}, "refused the request (400): No such voice."),
    "HTML with status": ({"status": 400, "body": "<html>x</html>"}, "refused the request (400): it gave no reason."),
    "too large": ({"status": 413}, "is longer than test-model can read: lower PAIRLOOP_TOP_K"),
}


@pytest.mark.parametrize(("fault", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_every_fault_is_said_in_a_sentence(server, fault, expected):
    server.fail(times=None, **fault)
    message = error_of(model(server, timeout=0.4 if "stall" in fault else 5, max_retries=0))
    assert expected in message
    assert server.base_url in message or "test-model" in message
    assert "Traceback" not in message and "Error code" not in message and "<html" not in message


def test_a_wrong_key_points_to_the_key_and_never_shows_it(server):
    server.api_key = "sk-another"
    message = error_of(model(server, api_key=KEY))
    assert "did not accept the key (401): check OPENAI_API_KEY" in message
    assert KEY not in message


def test_the_key_is_taken_out_of_the_endpoints_own_words(server):
    server.fail(status=400, message=f"The key {KEY} has no access to this.")
    message = error_of(model(server, api_key=KEY))
    assert "The key … has no access" in message
    assert KEY not in message
    assert KEY not in repr(model(server, api_key=KEY))


def test_a_user_name_and_password_in_the_address_are_not_shown(server):
    url = server.base_url.replace("//", "//ada:geheim@")
    server.fail(status=500, times=None)
    message = error_of(model(server, base_url=url, max_retries=0))
    assert "geheim" not in message
    assert server.base_url in message


def test_a_key_that_cannot_be_sent_is_refused_before_it_is(server):
    assert "OPENAI_API_KEY holds characters" in error_of(model(server, api_key="sk-ключ"))
    assert server.chats == []


def test_an_unknown_model_is_told_from_a_wrong_address(server):
    assert "does not have the model missing: check the model id" in error_of(model(server, model_id="missing"))
    wrong = server.base_url.removesuffix("/v1")
    assert "check OPENAI_BASE_URL, which usually ends in /v1" in error_of(model(server, base_url=wrong))


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        "the request exceeds the available context size, try increasing it",
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
    ids=["OpenAI, vLLM", "llama.cpp", "TGI", "Anthropic"],
)
def test_a_prompt_over_the_context_length_is_recognised_in_the_words_of_many_servers(server, words):
    server.fail(status=400, message=words)
    assert "is longer than test-model can read: lower PAIRLOOP_TOP_K" in error_of(model(server))


def test_a_prompt_over_the_window_of_the_endpoint_is_said_to_be_too_long(server):
    server.window = 20
    assert "is longer than test-model can read" in error_of(model(server))


def test_an_answer_lost_to_the_token_limit_is_told_from_an_empty_one(server):
    server.answer = lambda _: "<think>" + "hm " * 50
    assert "used up its limit of tokens" in error_of(model(server, max_tokens=5))
    server.answer = lambda _: ""
    assert "sent an empty answer" in error_of(model(server))


def test_an_endpoint_that_trickles_for_ever_is_given_up(server):
    server.answer, server.pace = lambda _: "on and " * 200, 0.05
    assert "had not finished its answer after 3 s" in error_of(model(server, timeout=0.3))


def test_listing_models_fails_in_the_same_words(server):
    server.api_key = "sk-another"
    with pytest.raises(ModelError, match="wants a key"):
        run(model(server).list_models())
    with pytest.raises(ModelError, match="which usually ends in /v1"):
        run(model(server, base_url=server.base_url.removesuffix("/v1")).list_models())


def test_a_cancelled_request_is_given_up_at_the_endpoint_too(server):
    server.latency = 30

    async def cancel_soon():
        task = asyncio.create_task(model(server, timeout=60).answer("Who was first?", CONTEXTS))
        while not server.chats:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        while server.chats[0].ended is None:
            await asyncio.sleep(0.01)

    run(asyncio.wait_for(cancel_soon(), 5))
    assert server.chats[0].gone


def test_the_customer_assistant_cites_nothing(server):
    server.answer = lambda _: "See [1]."
    assert ask(model(server, template=get_template("customer-assistant"))).citations == ()
