"""``/results/<token>``: the report of one comparison for whoever holds its link. No cookie is read, set or needed."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from components._guard import PUBLIC
from components.results import report
from components.results.share import colours
from pipeline.errors import PipelineError
from pipeline.services import Services

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
NOTHING = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="robots" content="noindex"><title>No results here</title></head><body><main><h1>No results here</h1>'
    "<p>This link leads nowhere: it was withdrawn, or is not complete. Ask whoever sent it to you for a new one.</p>"
    "</main></body></html>"
)


def router(services: Services) -> APIRouter:
    """Return the route of the links."""

    def shared(token: str, pair: int = 0) -> HTMLResponse:
        set_id = services.shared_results.set_of(token)
        if set_id is None:
            return HTMLResponse(NOTHING, 404, headers=HEADERS)
        try:
            found = services.reports.report(set_id, pair)
        except PipelineError:
            return HTMLResponse(NOTHING, 404, headers=HEADERS)
        links = [f"?pair={number}" for number in range(len(found.pairs))]
        return HTMLResponse(report.page(found, colours(services, found.models), links), headers=HEADERS)

    # For whoever has the link.
    routes = APIRouter(dependencies=[PUBLIC])
    routes.get("/results/{token}", response_model=None)(shared)
    return routes
