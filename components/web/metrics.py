"""``/metrics`` in the text format of Prometheus, for a scraper that has the token of PAIRLOOP_METRICS_TOKEN."""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from components._guard import PUBLIC
from components._session import path_of
from pipeline.events import happened
from pipeline.services import Services
from pipeline.version import VERSION

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Of Gradio's places the first word is told, of ours too, and every other path is "other": a label of each visitor's making would
# fill the memory.
GRADIO = ("api", "call", "component_server", "config", "file", "heartbeat", "queue", "run", "upload")
# Where programs ask, with ids of ours in the paths.
PROGRAMS = "/api/"


class Metrics:
    """Histograms of this process, and totals of the workspace that are counted when somebody asks.

    Without a token nothing is kept, and the library is not imported (0.3 s).
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._token = services.settings.metrics_token
        self._own: frozenset[str] = frozenset()
        if not self._token:
            return
        from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics

        disable_created_metrics()
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "pairloop_request_seconds",
            "Seconds from a request to the beginning of its answer.",
            ("route", "method", "status"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._handlers = Histogram(
            "pairloop_handler_seconds",
            "Seconds that a handler of the screens worked.",
            ("handler", "ended"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Workspace(services))

    def know(self, paths: Iterable[str]) -> None:
        """Take note of the paths of routes of our own."""
        self._own = frozenset(path.strip("/").partition("/")[0] for path in paths)

    def handler(self, name: str, seconds: float, ended: str) -> None:
        """Count a call of a handler."""
        if self._token:
            self._handlers.labels(name, ended).observe(seconds)

    def request(self, path: str, method: str, status: int, seconds: float, base: str = "") -> None:
        """Count a request, and log one that a program has made to change something or to be answered.

        ``path`` is the one within the app, ``base`` where that is.
        """
        if path.startswith(PROGRAMS) and method not in ("GET", "HEAD") and status != 404:
            happened("request", path=f"{base}{path}", method=method, status=status, seconds=seconds)
        if self._token:
            known = method if method in ("GET", "HEAD", "POST") else "other"
            self._requests.labels(route(path, self._own), known, f"{status // 100}xx" if status else "none").observe(
                seconds
            )

    def router(self) -> APIRouter:
        """Return the route, which is not there without a token."""
        # For whoever has the token.
        routes = APIRouter(dependencies=[PUBLIC])
        routes.get("/metrics")(self._answer)
        return routes

    def _answer(self, request: Request) -> Response:
        if not self._token:
            return PlainTextResponse("Not Found", 404)
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        # In a time that does not tell how much of it is right.
        right = hmac.compare_digest(given.strip().encode(), self._token.encode())
        if kind.lower() != "bearer" or not right:
            said = "Send the value of PAIRLOOP_METRICS_TOKEN as a bearer token."
            return PlainTextResponse(said, 401, {"WWW-Authenticate": "Bearer"})
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        headers = {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
        return Response(generate_latest(self._registry), headers=headers)


def route(path: str, own: frozenset[str]) -> str:
    """Return what kind of place a path is, one of few; ``own`` are the first words of places of our own."""
    first, _, rest = path.strip("/").partition("/")
    if first == "gradio_api":
        second = rest.split("/")[0].partition("=")[0]
        return f"/gradio_api/{second}" if second in GRADIO else "/gradio_api/other"
    if first in ("assets", "static", "svelte", "theme.css", "favicon.ico"):
        return "/assets"
    return f"/{first}" if first in ("", *own) else "other"


class Measured:
    """ASGI middleware that counts requests by how long they took to the first byte: streams go on for hours."""

    def __init__(self, app: Callable[..., Awaitable[None]], metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, counted = time.perf_counter(), False

        def count(status: int) -> None:
            nonlocal counted
            if not counted:
                counted = True
                seconds, base = time.perf_counter() - began, scope.get("root_path", "")
                self._metrics.request(path_of(scope), scope["method"], status, seconds, base)

        async def noting(message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            # Nothing was answered: an error rose, or the visitor left.
            count(0)


class _Workspace:
    """Totals, counted by the store at each scrape. Replicas of one store all tell the same: take the largest, not the sum."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: the names are told with the numbers, so that registering counts nothing."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count."""
        from prometheus_client.core import GaugeMetricFamily as Gauge
        from prometheus_client.core import InfoMetricFamily

        yield InfoMetricFamily("pairloop", "Version of the app.", value={"version": VERSION})
        store = self._services.store
        figures = store.figures.figures()
        yield _by(Gauge, "responses", "Responses of people, by status.", "status", figures.responses)
        yield Gauge("pairloop_votes", "Votes of people that stand.", value=figures.votes)
        yield _by(Gauge, "completions", "Answers of models, by result.", "result", figures.completions)
        yield _by(Gauge, "at_work", "What runs at this moment, by kind.", "kind", figures.at_work)
        published = [dataset for dataset in store.datasets.all() if dataset.published]
        left = store.work.left({item.id: (item.size, item.settings.distribution) for item in published})
        queue = {item_id: item.records for item_id, item in left.items()}
        yield _by(Gauge, "queue_records", "Records that need responses yet, by dataset.", "dataset", queue)
        unjudged = {set_id: pairs.by_votes.get(0, 0) for set_id, pairs in store.work.pairs().items()}
        yield _by(Gauge, "queue_pairs", "Pairs without a vote, by comparison.", "comparison", unjudged)
        yield from self._backup(Gauge)

    def _backup(self, gauge) -> Iterator[GaugeMetricFamily]:
        state, now = self._services.backup.state(), time.time()
        places = {name: place for name, place in (("repo", state.repo), ("folder", state.folder)) if place}
        waiting = {name: place.waiting for name, place in places.items()}
        yield _by(gauge, "changes_waiting", "Changes that have not arrived, by place.", "place", waiting)
        oldest = {name: now - place.since if place.since else 0.0 for name, place in places.items()}
        yield _by(gauge, "changes_waiting_seconds", "Age of the oldest of them.", "place", oldest)
        arrived = {name: now - place.last for name, place in places.items() if place.last is not None}
        yield _by(gauge, "backup_age_seconds", "Seconds since something arrived, by place.", "place", arrived)
        failing = {name: int(bool(place.problem)) for name, place in places.items()}
        yield _by(gauge, "backup_failing", "1 while the place does not take changes.", "place", failing)


def _by(gauge, name: str, text: str, label: str, values) -> GaugeMetricFamily:
    family = gauge(f"pairloop_{name}", text, labels=(label,))
    for value, number in sorted(values.items()):
        family.add_metric([str(value)], number)
    return family
