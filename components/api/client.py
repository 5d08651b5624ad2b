"""The API for ``gradio_client``: the same work as under ``/api/v1``, as named endpoints. These are the only public listeners.

They answer to the token in the header ``Authorization`` alone: the cookie of a page is nobody here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from pydantic import BaseModel, ValidationError

from components.api import models as api
from components.api.comparisons import ComparisonApi
from components.api.datasets import ASKING, DatasetApi
from components.api.gate import MAX_TOLD
from components.api.routes import DEEP
from pipeline.cleaning import clean
from pipeline.errors import PipelineError, RecordError
from pipeline.records import Role
from pipeline.services import Services

Answer = dict[str, Any]
Listed = list[dict[str, Any]]


class ClientHandlers:
    """What the endpoints do. Gradio checks no types of what it is sent, so they are checked here."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._datasets = DatasetApi(services)
        self._comparisons = ComparisonApi(services)

    def ask_documents(self, request: gr.Request, query: str, model: str = "") -> Answer:
        """Ask the documents: the answer with its passages and citations."""
        given = checked(api.Question, {"query": query, "model": model})
        return _plain(self._datasets.ask(self._me(request), given.query, given.model))

    def list_datasets(self, request: gr.Request) -> Answer:
        """List the datasets with your progress."""
        return _plain(self._datasets.datasets(self._me(request)))

    def import_records(self, request: gr.Request, dataset: str, records: Listed, leave_out: bool = False) -> Answer:
        """Add records to a dataset; with leave_out all but those that cannot be read."""
        given = checked(api.GivenRecords, {"dataset": dataset, "records": records, "leave_out": leave_out})
        return _plain(self._datasets.add_records(self._me(request), given.dataset, given.records, given.leave_out))

    def next_task(self, request: gr.Request, dataset: str, after: str = "") -> Answer:
        """Fetch the next record of a dataset that waits for you."""
        given = checked(api.GivenNext, {"dataset": dataset, "after": after})
        return _plain(self._datasets.next_record(self._me(request), given.dataset, given.after))

    def submit_response(self, request: gr.Request, record: str, response: Answer) -> Answer:
        """Answer a record: status, values, marks, reason, seconds, version, token."""
        given = checked(api.GivenFor, {"of": record, "body": response})
        return _plain(self._datasets.respond(self._me(request), given.of, checked(api.GivenResponse, given.body)))

    def list_comparisons(self, request: gr.Request) -> Answer:
        """List the comparisons; names tell no model until you have opened the results."""
        return _plain(self._comparisons.comparisons(self._me(request)))

    def next_comparison(self, request: gr.Request, comparison: str) -> Answer:
        """Fetch the next answers to judge, blind."""
        return _plain(self._comparisons.next_pair(self._me(request), checked(api.Named, {"of": comparison}).of))

    def ask_comparison(self, request: gr.Request, comparison: str, query: str) -> Answer:
        """Have both models of a live comparison answer a query of yours."""
        given = checked(api.LiveQuery, {"query": query})
        named = checked(api.Named, {"of": comparison}).of
        return _plain(self._comparisons.ask_live(self._me(request), named, given.query))

    def vote(self, request: gr.Request, comparison: str, vote: Answer) -> Answer:
        """Vote: pair, outcome or ranks, criteria, reason, better_answer, token."""
        given = checked(api.GivenFor, {"of": comparison, "body": vote})
        return _plain(self._comparisons.vote(self._me(request), given.of, checked(api.GivenVote, given.body)))

    def take_back_vote(self, request: gr.Request, comparison: str, token: str = "") -> Answer:
        """Take back your newest vote."""
        named, given = checked(api.Named, {"of": comparison}).of, checked(api.GivenUndo, {"token": token})
        return _plain(self._comparisons.undo(self._me(request), named, given.token))

    def reveal(self, request: gr.Request, comparison: str) -> Answer:
        """Open the results to you, which ends your voting on this comparison."""
        return _plain(self._comparisons.reveal(self._me(request), checked(api.Named, {"of": comparison}).of))

    def results(self, request: gr.Request, comparison: str) -> Answer:
        """Read the results that you have opened."""
        return _plain(self._comparisons.results(self._me(request), checked(api.Named, {"of": comparison}).of))

    def _me(self, request: gr.Request) -> str:
        return self._services.tokens.person(request.headers.get("authorization"))


def wire(handlers: ClientHandlers) -> None:
    """Add the endpoints to the app."""
    _add(handlers.ask_documents, Role.ANNOTATOR, ASKING)
    _add(handlers.list_datasets, Role.VIEWER)
    _add(handlers.import_records, Role.ADMIN)
    for handler in (handlers.next_task, handlers.submit_response):
        _add(handler, Role.ANNOTATOR, 8)
    for handler in (handlers.next_comparison, handlers.vote, handlers.take_back_vote, handlers.ask_comparison):
        _add(handler, Role.ANNOTATOR, 8)
    for handler in (handlers.list_comparisons, handlers.reveal, handlers.results):
        _add(handler, Role.VIEWER)


def checked(model: type[BaseModel], values: Mapping[str, object]) -> Any:
    """Return values as a model takes them.

    Raises:
        RecordError: it does not; the message says which and why.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise RecordError(api.told(error.errors()[0])) from error


def _add(handler: Callable, role: Role, limit: int = 2) -> None:
    @functools.wraps(handler)
    def call(*args, **kwargs):
        try:
            return handler(*args, **kwargs)
        except PipelineError as error:
            # Plain words: a program reads them, and no page shows them.
            raise gr.Error(clean(str(error))[:MAX_TOLD], print_exception=False) from error
        except RecursionError as error:
            raise gr.Error(DEEP, print_exception=False) from error

    # The work checks it, for the person of the token.
    call.role = role
    gr.api(call, api_name=handler.__name__, api_visibility="public", concurrency_limit=limit)


def _plain(answer: BaseModel) -> Answer:
    return answer.model_dump(mode="json")
