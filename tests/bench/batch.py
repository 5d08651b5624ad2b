"""How close a batch comes to the ideal: 500 queries, 32 at a time, on an endpoint that takes 200 ms.

    python -m tests.bench.batch [queries] [concurrency]

The endpoint runs in a process of its own, as in life. Printed is the ratio to ceil(queries / concurrency) * 0.2 s,
which machines of different speed have in common; nothing is asserted.
"""

from __future__ import annotations

import math
import multiprocessing
import sys
import threading
import time
from multiprocessing.connection import Connection

from pipeline.background import Background
from pipeline.batch import run_batch
from pipeline.models.openai_chat import ChatModel, close_clients
from pipeline.prompts import get_template
from pipeline.records import Context
from tests.openai_server import OpenAIServer

LATENCY = 0.2
CONTEXT = Context("c1", "d1", "guide.md", "Six backups are taken a day. " * 40, 0, 1160, 1.0)


def serve(ends: Connection) -> None:
    """Run the endpoint until the other end says that it is over; send back how many requests came."""
    with OpenAIServer(latency=LATENCY) as server:
        ends.send(server.base_url)
        ends.recv()
        ends.send((len(server.chats), server.most_at_once))


def measure(background: Background, model: ChatModel, queries: int, concurrency: int) -> float:
    """Return how many seconds a batch takes whose results are kept in a list."""
    kept: list[str] = []
    batch = run_batch(
        [f"How many backups are taken on day {number}?" for number in range(queries)],
        lambda query: model.answer(query, [CONTEXT] * 4),
        lambda query, answer: kept.append(answer.text),
        concurrency,
        threading.Event(),
    )
    start = time.perf_counter()
    background.submit(batch).result()
    seconds = time.perf_counter() - start
    if len(kept) != queries:
        raise SystemExit(f"{queries - len(kept)} results are missing")
    return seconds


def main() -> None:
    """Print the ratio of three batches, after one of a single query that pays for the imports."""
    queries, concurrency = (int(value) for value in (*sys.argv[1:], *("500", "32")[len(sys.argv) - 1 :]))
    ideal = math.ceil(queries / concurrency) * LATENCY
    here, there = multiprocessing.get_context("spawn").Pipe()
    endpoint = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    endpoint.start()
    template = get_template("answer-review")
    model = ChatModel(base_url=here.recv(), api_key="", model_id="test-model", template=template)
    background = Background()
    measure(background, model, 1, 1)
    for _ in range(3):
        seconds = measure(background, model, queries, concurrency)
        print(f"{queries} queries, {concurrency} at a time: {seconds:.2f} s, {seconds / ideal:.2f} of the ideal")
    here.send(None)
    requests, most = here.recv()
    print(f"{requests} requests for {3 * queries + 1} queries, at most {most} at once")
    background.submit(close_clients()).result()
    background.close()
    endpoint.join()


if __name__ == "__main__":
    main()
