"""How close a run comes to the ideal: 500 queries, 32 at a time, on an endpoint that takes 200 ms; others beside it.

    python -m tests.bench.batch [queries] [concurrency]

The endpoint and each contender have a process of their own. Printed is the time over the ideal of ceil(queries / concurrency)
times 0.2 s (the median of three batches), CPU seconds of one batch, and the peak of memory. Pairloop runs the whole of it: every
answer is streamed, priced and stored, and can be cancelled. The others get the same prompts ready-made and store nothing.
LlamaIndex has a language model that is the plain client, and a retriever that knows the contexts; its loop asks one query
after another, as tutorials do, and is measured on 20 and multiplied.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path

from pipeline.prompts import get_template, render_messages
from pipeline.records import Context, JobState
from tests.bench.endpoint import endpoint
from tests.workspace import open_workspace

LATENCY, ROUNDS = 0.2, 3
PASSAGE = "Six backups are taken a day, and each is kept for a month. " * 20
CONTEXTS = [Context(f"c{n}", "d1", "guide.md", PASSAGE, 0, len(PASSAGE), 1.0) for n in range(4)]
Measured = tuple[list[float], float, int]


def query(number: int) -> str:
    """Return the text of a query."""
    return f"How many backups are taken on day {number}?"


def pairloop(url: str, queries: int, concurrency: int) -> Measured:
    """Measure runs of a workspace."""
    with tempfile.TemporaryDirectory() as folder:
        services = open_workspace(
            Path(folder) / "home", openai_base_url=url, openai_model="test-model", concurrency=concurrency
        )
        manual = Path(folder) / "guide.md"
        manual.write_text("\n\n".join(f"# Day {n}\n\n{PASSAGE}" for n in range(8)), encoding="utf-8")
        services.library.add_file(manual, "guide.md")
        model = services.registry.all()[-1].id
        generation, lists = services.generation, []
        for n in range(ROUNDS + 1):
            text = "\n".join(query(1000 * n + m) for m in range(queries if n else 1))
            lists.append(services.query_lists.add_text(text, f"List {n}", False).id)
        planned = [generation.plan_run(model, item, None, generation.plan(item, None)) for item in lists]
        generation.background(generation.execute(planned[0])).result()
        taken, begun = [], time.process_time()
        for run in planned[1:]:
            start = time.perf_counter()
            state = generation.background(generation.execute(run)).result()
            taken.append(time.perf_counter() - start)
            stored = services.store.runs.get(run.run_id)
            assert state is JobState.DONE and (stored.done, stored.failed) == (queries, 0), stored
        used = (time.process_time() - begun) / ROUNDS
        services.close()
    return taken, used, queries


def _timed(ask: Callable[[int], Awaitable[object]], queries: int, concurrency: int, rounds: int = ROUNDS):
    """Return a coroutine that measures batches of ``ask`` with a semaphore around each request."""

    async def measure() -> Measured:
        await ask(0)
        taken, begun = [], time.process_time()
        for _ in range(rounds):
            places = asyncio.Semaphore(concurrency)

            async def one(number: int, places: asyncio.Semaphore = places) -> object:
                async with places:
                    return await ask(number)

            start = time.perf_counter()
            await asyncio.gather(*(one(number) for number in range(queries)))
            taken.append(time.perf_counter() - start)
        return taken, (time.process_time() - begun) / rounds, queries

    return measure()


def plain_client(url: str, queries: int, concurrency: int, stream: bool = False) -> Measured:
    """Measure the ``openai`` client as it comes."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    template = get_template("answer-review")

    async def ask(number: int) -> None:
        messages = render_messages(template, query(number), CONTEXTS)
        answer = await client.chat.completions.create(model="test-model", messages=messages, stream=stream)
        if stream:
            async for _ in answer:
                pass

    return asyncio.run(_timed(ask, queries, concurrency))


def plain_stream(url: str, queries: int, concurrency: int) -> Measured:
    """Measure the ``openai`` client as it comes, streaming."""
    return plain_client(url, queries, concurrency, True)


def bare_aiohttp(url: str, queries: int, concurrency: int) -> Measured:
    """Measure aiohttp without any client around it."""
    import aiohttp

    template = get_template("answer-review")

    async def measure() -> Measured:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def ask(number: int) -> None:
                body = {"model": "test-model", "messages": render_messages(template, query(number), CONTEXTS)}
                async with session.post(f"{url}/chat/completions", json=body) as answer:
                    await answer.json()

            return await _timed(ask, queries, concurrency)

    return asyncio.run(measure())


def llama_engine(url: str):
    """Return a LlamaIndex query engine over the same contexts, with the plain client as its language model."""
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
    from llama_index.core.llms import CustomLLM
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers import get_response_synthesizer
    from llama_index.core.schema import NodeWithScore, TextNode
    from openai import AsyncOpenAI, OpenAI

    waiting, blocking = (kind(base_url=url, api_key="none", max_retries=0) for kind in (AsyncOpenAI, OpenAI))

    class Endpoint(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(context_window=100_000, num_output=256, model_name="test-model")

        def complete(self, prompt: str, formatted: bool = False, **_: object) -> CompletionResponse:
            answer = blocking.chat.completions.create(
                model="test-model", messages=[{"role": "user", "content": prompt}]
            )
            return CompletionResponse(text=answer.choices[0].message.content)

        async def acomplete(self, prompt: str, formatted: bool = False, **_: object) -> CompletionResponse:
            messages = [{"role": "user", "content": prompt}]
            answer = await waiting.chat.completions.create(model="test-model", messages=messages)
            return CompletionResponse(text=answer.choices[0].message.content)

        def stream_complete(self, prompt: str, formatted: bool = False, **_: object):
            yield self.complete(prompt, formatted)

    class Known(BaseRetriever):
        def _retrieve(self, query_bundle: object) -> list[NodeWithScore]:
            return [NodeWithScore(node=TextNode(text=context.text), score=1.0) for context in CONTEXTS]

    llm = Endpoint()
    return RetrieverQueryEngine(Known(), response_synthesizer=get_response_synthesizer(llm=llm))


def llama_async(url: str, queries: int, concurrency: int) -> Measured:
    """Measure LlamaIndex's ``aquery`` behind a semaphore."""
    engine = llama_engine(url)
    return asyncio.run(_timed(lambda number: engine.aquery(query(number)), queries, concurrency))


def llama_loop(url: str, queries: int, concurrency: int) -> Measured:
    """Measure LlamaIndex in a loop, on 20 queries."""
    engine, some = llama_engine(url), min(queries, 20)
    engine.query(query(0))
    begun, start = time.process_time(), time.perf_counter()
    for number in range(some):
        engine.query(query(number))
    scale = queries / some
    return [(time.perf_counter() - start) * scale], (time.process_time() - begun) * scale, some


CONTENDERS = {
    "Pairloop, a whole run": pairloop,
    "openai client": plain_client,
    "openai client, streaming": plain_stream,
    "bare aiohttp": bare_aiohttp,
    "LlamaIndex aquery": llama_async,
    "LlamaIndex loop": llama_loop,
}


def _contend(ends: Connection, name: str, url: str, queries: int, concurrency: int) -> None:
    measured = CONTENDERS[name](url, queries, concurrency)
    ends.send((measured, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    """Print a line for each contender."""
    queries, concurrency = (int(value) for value in (*sys.argv[1:], *("500", "32")[len(sys.argv) - 1 :]))
    ideal = math.ceil(queries / concurrency) * LATENCY
    print(f"{queries} queries, {concurrency} at a time, {LATENCY * 1000:.0f} ms each: the ideal is {ideal:.1f} s")
    context = multiprocessing.get_context("spawn")
    for name in CONTENDERS:
        with endpoint(LATENCY) as served:
            here, there = context.Pipe()
            process = context.Process(target=_contend, args=(there, name, served.base_url, queries, concurrency))
            process.start()
            (taken, used, asked), memory = here.recv()
            process.join()
        ratio = statistics.median(taken) / ideal
        print(
            f"{name:26} {ratio:6.2f} of the ideal ({min(taken) / ideal:.2f} to {max(taken) / ideal:.2f}), "
            f"{used:5.2f} s CPU, {memory:4.0f} MiB, {served.requests} requests for {len(taken)} x {asked} + 1"
        )


if __name__ == "__main__":
    main()
