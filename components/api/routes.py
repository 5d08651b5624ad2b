"""``/api/v1``: the API over plain HTTP, JSON in and out. No cookie is read here, so no page of another site can use one.

An application of its own, so that its errors, its limits and its description are those of these routes alone.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from anyio import to_thread
from fastapi import Depends, FastAPI, Request, Security, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from components.api import models as api
from components.api.comparisons import FORMS, ComparisonApi
from components.api.datasets import DatasetApi, RowsError
from components.api.gate import Gate, refused
from components.api.rows import DESCRIBED, rows_of
from components.edit.annotate_answers import ChangedError
from pipeline.cleaning import clean
from pipeline.errors import (
    AccessError,
    LimitError,
    ModelError,
    NotFoundError,
    PipelineError,
    RecordError,
    SignedOutError,
    StoreError,
)
from pipeline.record_files.writing import Form
from pipeline.services import Services
from pipeline.version import VERSION

PREFIX = "/api/v1"
ABOUT = (
    "The loop of Pairloop for programs. Every request carries the header Authorization: Bearer pl_… with a token that its "
    'owner made in Settings, API tokens; it may do what its owner may. Errors are {"error": sentence}.'
)
MAX_FILES = 50
_STATUS = (
    (ChangedError, 409),
    (NotFoundError, 404),
    (SignedOutError, 401),
    (AccessError, 403),
    (StoreError, 503),
    (ModelError, 503),
    (LimitError, 429),
)
_FAILED = "An unexpected error ended this request; the log of the app says which."
NO_JSON = "Send JSON, with the header Content-Type: application/json."
DEEP = "This JSON is nested too deeply."
_ERRORS = {code: {"model": api.Error} for code in (401, 403, 404, 413, 422, 429, 503)}


def application(services: Services) -> Mount:
    """Return the application under ``/api/v1``; every route of it but its index and its description asks for a token."""
    made = FastAPI(
        title="Pairloop",
        version=VERSION,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
        generate_unique_id_function=lambda route: re.sub(
            r"\W+", "_", f"{min(route.methods).lower()}{route.path}"
        ).strip("_"),
    )
    _answer_errors(made)

    made.state.tokens, made.state.base = services.tokens, services.settings.entry.base
    made.add_middleware(Gate, services=services, told=_told)
    _add_dataset_routes(made, DatasetApi(services))
    _add_comparison_routes(made, ComparisonApi(services))
    made.get("/", response_model=api.Index, summary="What there is")(lambda: index(made))
    return Mount(PREFIX, made)


def _me(request: Request, response: Response, _: Annotated[object, Security(HTTPBearer(auto_error=False))]) -> str:
    """Return who asks, by their token."""
    response.headers["Cache-Control"] = "no-store"
    return request.app.state.tokens.person(request.headers.get("authorization"))


Me = Annotated[str, Depends(_me)]


def index(made: FastAPI) -> api.Index:
    """Return the list of the endpoints."""
    routes = [route for route in made.routes if getattr(route, "summary", None)]
    prefix = f"{made.state.base}{PREFIX}"
    return api.Index(
        name="Pairloop",
        version=VERSION,
        api="1",
        description=f"{prefix}/openapi.json",
        endpoints=[
            api.Endpoint(method=method, path=(prefix + route.path).rstrip("/"), about=route.summary)
            for route in routes
            for method in sorted(route.methods)
        ],
    )


def _add_dataset_routes(made: FastAPI, desk: DatasetApi) -> None:
    @made.get("/me", response_model=api.Me, summary="Whose token this is")
    def _(me: Me):
        return desk.me(me)

    @made.post("/ask", response_model=api.Answered, summary="Ask the documents (annotator)")
    def _(me: Me, body: api.Question):
        return desk.ask(me, body.query, body.model)

    @made.post("/documents", response_model=api.AddedDocuments, summary="Add documents (admin)")
    def _(me: Me, files: list[UploadFile]):
        return _added(desk, me, files)

    @made.get("/datasets", response_model=api.Datasets, summary="List the datasets (viewer)")
    def _(me: Me):
        return desk.datasets(me)

    @made.get(
        "/datasets/{dataset}", response_model=api.DatasetDetails, summary="Guidelines, fields and questions (viewer)"
    )
    def _(me: Me, dataset: str):
        return desk.dataset(me, dataset)

    @made.post(
        "/datasets/{dataset}/records",
        response_model=api.AddedRecords,
        summary="Add records (admin)",
        openapi_extra=DESCRIBED,
    )
    async def _(me: Me, request: Request, dataset: str, leave_out: bool = False):
        rows = await _rows(request)
        return await to_thread.run_sync(desk.add_records, me, dataset, rows, leave_out)

    @made.get("/datasets/{dataset}/next", response_model=api.NextRecord, summary="The next record (annotator)")
    def _(me: Me, dataset: str, after: str = ""):
        return desk.next_record(me, dataset, after)

    @made.post("/records/{record}/response", response_model=api.Responded, summary="Answer a record (annotator)")
    def _(me: Me, record: str, body: api.GivenResponse):
        return desk.respond(me, record, body)

    @made.get("/datasets/{dataset}/export", response_class=Response, summary="A dataset as a file (admin)")
    def _(me: Me, dataset: str, form: Form = Form.PAIRLOOP):
        return _file(*desk.export(me, dataset, form))


def _add_comparison_routes(made: FastAPI, desk: ComparisonApi) -> None:
    @made.get("/comparisons", response_model=api.Comparisons, summary="List the comparisons (viewer)")
    def _(me: Me):
        return desk.comparisons(me)

    @made.get("/comparisons/{comparison}/next", response_model=api.NextPair, summary="The next pair, blind (annotator)")
    def _(me: Me, comparison: str):
        return desk.next_pair(me, comparison)

    @made.post(
        "/comparisons/{comparison}/ask", response_model=api.Asked, summary="Ask in a live comparison (annotator)"
    )
    def _(me: Me, comparison: str, body: api.LiveQuery):
        return desk.ask_live(me, comparison, body.query)

    @made.post("/comparisons/{comparison}/vote", response_model=api.Voted, summary="Vote (annotator)")
    def _(me: Me, comparison: str, body: api.GivenVote):
        return desk.vote(me, comparison, body)

    @made.post("/comparisons/{comparison}/undo", response_model=api.Undone, summary="Take back a vote (annotator)")
    def _(me: Me, comparison: str, body: api.GivenUndo | None = None):
        return desk.undo(me, comparison, body.token if body else "")

    @made.post("/comparisons/{comparison}/reveal", response_model=api.Opened, summary="Open the results (viewer)")
    def _(me: Me, comparison: str):
        return desk.reveal(me, comparison)

    @made.get("/comparisons/{comparison}/results", response_model=api.Results, summary="Read the results (viewer)")
    def _(me: Me, comparison: str):
        return desk.results(me, comparison)

    @made.get("/comparisons/{comparison}/votes", response_class=Response, summary="The votes as a file (admin)")
    def _(me: Me, comparison: str, form: str = "csv"):
        if form not in FORMS:
            raise RecordError(f"Votes come as {', '.join(FORMS)}.")
        return _file(*desk.export(me, comparison, form))


async def _rows(request: Request) -> list[Any]:
    if not _is_json(request):
        raise HTTPException(415, NO_JSON)
    return await rows_of(request)


def _added(desk: DatasetApi, me: str, files: list[UploadFile]) -> api.AddedDocuments:
    if len(files) > MAX_FILES:
        raise RecordError(f"One request adds at most {MAX_FILES} files.")
    with tempfile.TemporaryDirectory(prefix="pairloop-api-") as folder:
        given = []
        for number, file in enumerate(files):
            # Never under the name that somebody sent.
            path = Path(folder) / str(number)
            with path.open("wb") as target:
                shutil.copyfileobj(file.file, target)
            given.append((path, _file_name(file.filename or "")))
        return desk.add_documents(me, given)


def _file_name(sent: str) -> str:
    """Return the name of an uploaded file without the folders that it may have come with."""
    name = " ".join(clean(sent).replace("\\", "/").rpartition("/")[2].split())
    stem, dot, ending = name.rpartition(".")
    return f"{stem[:180]}{dot}{ending[:20]}" or "document"


def _file(name: str, content: bytes) -> Response:
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type="application/octet-stream", headers=headers)


def _answer_errors(made: FastAPI) -> None:
    """Let every error be ``{"error": sentence}`` under the right status."""

    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return refused("This is not JSON.", 400)
        if first["loc"] == ("body",) and request.method == "POST" and not _is_json(request):
            return refused(NO_JSON, 415)
        return refused(api.told(first, 1), 422)

    def http(request: Request, error: HTTPException) -> JSONResponse:
        told = {
            400: "This body cannot be read: it is not JSON, or nested too deeply.",
            404: f"There is no such endpoint. GET {PREFIX} lists them.",
            405: f"This endpoint does not take {request.method}. GET {PREFIX} lists them.",
        }
        return refused(told.get(error.status_code, str(error.detail)), error.status_code, dict(error.headers or {}))

    made.exception_handler(PipelineError)(lambda request, error: _told(error))
    made.exception_handler(RequestValidationError)(invalid)
    made.exception_handler(HTTPException)(http)
    made.exception_handler(RecursionError)(lambda request, error: refused(DEEP, 400))
    made.exception_handler(Exception)(lambda request, error: refused(_FAILED, 500))


def _told(error: PipelineError) -> JSONResponse:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 422)
    more: dict[str, object] = {"version": error.version} if isinstance(error, ChangedError) else {}
    if isinstance(error, RowsError):
        more = {"problems": [problem.model_dump() for problem in error.problems]}
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, LimitError) else {}
    headers |= {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return refused(str(error), status, headers, **more)


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
