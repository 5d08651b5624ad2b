"""What the script of the Annotate panel may ask of the server: plain JSON over POST, under ``/annotate``.

These are no listeners of Gradio's, because an answer must come in milliseconds, a draft must be taken in while the page is left,
and a form of any questions must not be built of components. The person is the one of the cookie. A page of another site can
neither send the header that is asked for nor read an answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from components._guard import needs
from components._session import person
from components.edit.annotate_answers import AnnotateAnswers, ChangedError, Typed, View
from components.edit.queue_html import QUEUES
from pipeline.cleaning import clean
from pipeline.errors import NotFoundError, PipelineError, RecordError, StoreError
from pipeline.filters import Range, RecordFilter
from pipeline.records import Role
from pipeline.services import Services

HEADER = "x-pairloop"
MAX_BODY = 1_000_000
MAX_LEAVING = 10
MAX_SECONDS = 1e6


class _RefusedError(Exception):
    """A request that is none of our page's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_body(request: Request) -> Mapping[str, object] | _RefusedError:
    """Return the JSON of a request of our own page."""
    if request.headers.get(HEADER) != "1" or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return _RefusedError(403, "Only Pairloop's own page may ask this.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return _RefusedError(415, "This is not JSON.")
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > MAX_BODY:
            return _RefusedError(413, f"That is more than {MAX_BODY // 1000:,} kB. Shorten your texts.")
    try:
        body = json.loads(received)
    except (ValueError, RecursionError):
        body = None
    return body if isinstance(body, dict) else _RefusedError(400, "This is not a JSON object.")


Body = Annotated[Mapping[str, object] | _RefusedError, Depends(read_body)]


def _answers(route: Callable) -> Callable:
    """Let a route answer errors in words, as JSON: ``{"error": message}``."""

    # Not functools.wraps: FastAPI would take the parameters of what is wrapped, and never look at who asks.
    def call(request: Request, body: Body) -> JSONResponse:
        if isinstance(body, _RefusedError):
            return _refused(str(body), body.status)
        try:
            return JSONResponse(route(request, body), headers={"Cache-Control": "no-store"})
        except ChangedError as error:
            return _refused(str(error), 409, version=error.version)
        except NotFoundError as error:
            return _refused(str(error), 404)
        except StoreError as error:
            return _refused(str(error), 503)
        except PipelineError as error:
            return _refused(str(error), 422)

    return call


def _refused(message: str, status: int, **more: str) -> JSONResponse:
    return JSONResponse({"error": message, **more}, status, headers={"Cache-Control": "no-store"})


class _Routes:
    """The routes, each a method that takes the request and its body."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._answers = AnnotateAnswers(services)

    def open(self, request: Request, body: Mapping[str, object]) -> dict[str, object]:
        wished = _text(body, "dataset"), _text(body, "record")
        return self._answers.open(self._me(request), *wished, _view(body), body.get("frame") is True)

    def step(self, request: Request, body: Mapping[str, object]) -> dict[str, object]:
        direction = -1 if body.get("step") == -1 else 1
        wished = _text(body, "dataset"), _text(body, "record")
        return self._answers.step(self._me(request), *wished, direction, _view(body))

    def draft(self, request: Request, body: Mapping[str, object]) -> dict[str, object]:
        typed, view, me = _typed(body), _view(body), self._me(request)
        return self._answers.save_draft(me, typed) | self._answers.counts(me, typed.record_id, view)

    def end(self, request: Request, body: Mapping[str, object]) -> dict[str, object]:
        action, typed, view, me = _text(body, "action"), _typed(body), _view(body), self._me(request)
        if action not in ("submit", "discard"):
            raise RecordError("A record is submitted or discarded.")
        reason, showing = _text(body, "reason"), _text(body, "showing")
        ended = self._answers.end(me, action, typed, _seconds(body), reason)
        return ended | self._answers.after(me, typed.record_id, showing, view)

    def undo(self, request: Request, body: Mapping[str, object]) -> dict[str, object]:
        return self._answers.undo(self._me(request), _text(body, "record"), _view(body))

    def list(self, request: Request, body: Mapping[str, object]) -> dict[str, object]:
        return self._answers.list(self._me(request), _text(body, "dataset"), _text(body, "record"), _view(body))

    def guidelines(self, request: Request, body: Mapping[str, object]) -> dict[str, object]:
        self._me(request)
        return self._answers.guidelines(_text(body, "dataset"))

    def stay(self, request: Request, body: Mapping[str, object]) -> dict[str, object]:
        return self._answers.stay(self._me(request), _text(body, "record"))

    def leave(self, request: Request, body: Mapping[str, object]) -> dict[str, object]:
        self._answers.leave(self._me(request), _view(body))
        return {}

    def _me(self, request: Request) -> str:
        return person(self._services, request)


def router(services: Services) -> APIRouter:
    """Return the routes of the panel."""
    routes = APIRouter(prefix="/annotate", dependencies=[needs(Role.ANNOTATOR)])
    made = _Routes(services)
    for name in ("open", "step", "draft", "end", "undo", "list", "guidelines", "stay", "leave"):
        routes.post(f"/{name}", response_model=None)(_answers(getattr(made, name)))
    # Else Gradio, which is mounted below, would allow any page of another site to send the header.
    routes.options("/{path:path}", response_model=None)(_allows_nothing)
    return routes


def _allows_nothing() -> JSONResponse:
    return _refused("Only Pairloop's own page may ask this.", 403)


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise RecordError(f"{name} is a text.")
    return clean(value)


def _mapping(body: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = body.get(name) or {}
    if not isinstance(value, Mapping):
        raise RecordError(f"{name} is an object.")
    return value


def _seconds(body: Mapping[str, object]) -> float:
    value = body.get("seconds")
    # JSON as Python reads it has NaN, infinity, and whole numbers that no float can hold.
    return float(value) if isinstance(value, int | float) and 0 <= value <= MAX_SECONDS else 0.0


def _typed(body: Mapping[str, object]) -> Typed:
    unsure = _mapping(body, "unsure")
    sent = (_mapping(unsure, "values"), _mapping(unsure, "marks")) if unsure else None
    return Typed(_text(body, "record"), _mapping(body, "values"), _mapping(body, "marks"), _text(body, "version"), sent)


def _view(body: Mapping[str, object]) -> View:
    queue, leaving = _text(body, "queue") or "pending", body.get("leaving") or []
    if queue not in QUEUES or not isinstance(leaving, list):
        raise RecordError(f"There is no queue named {queue}.")
    left = [record_id for record_id in leaving[:MAX_LEAVING] if isinstance(record_id, str)]
    return View(queue, _filter(_mapping(body, "filter")), left)


def _filter(wanted: Mapping[str, object]) -> RecordFilter:
    terms = {name: _terms(value) for name, value in _mapping(wanted, "terms").items()}
    ranges, scores = (
        {name: _range(value) for name, value in _mapping(wanted, kind).items()} for kind in ("ranges", "scores")
    )
    return RecordFilter(_text(wanted, "text"), terms, ranges, scores)


def _terms(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise RecordError("Terms are a list of texts.")
    return frozenset(map(str, value))


def _range(value: object) -> Range:
    ends = value if isinstance(value, list) and len(value) == 2 else ()
    if len(ends) != 2 or not all(end is None or isinstance(end, int | float) for end in ends):
        raise RecordError("A range has two ends, numbers or null.")
    return Range(*ends)
