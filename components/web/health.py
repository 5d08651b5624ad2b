"""What a supervisor asks: ``/healthz`` says that the process answers, ``/readyz`` that it can work and how its back-up is."""

from __future__ import annotations

import time

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse

from components._guard import PUBLIC
from pipeline.errors import OutdatedError, StoreError
from pipeline.services import Services
from pipeline.version import VERSION


def router(services: Services) -> APIRouter:
    """Return the routes. None of them tells a secret, a name, or where something is kept."""
    routes = APIRouter(dependencies=[PUBLIC])
    routes.get("/healthz", response_class=PlainTextResponse)(_healthy)

    @routes.get("/readyz")
    def ready() -> JSONResponse:
        said = readiness(services, time.time())
        return JSONResponse(said, 200 if said["ready"] else 503, {"Cache-Control": "no-store"})

    return routes


def readiness(services: Services, now: float) -> dict[str, object]:
    """Return whether the app can work: the store answers. A back-up that fails is told, and keeps nobody from working.

    Nor can it where a newer version has changed the store: a proxy that asks this leads everybody to the newer ones.
    """
    said: dict[str, object] = {"ready": False, "version": VERSION, "store": "failing", "backup": None}
    if not services.store.figures.answers():
        return said
    try:
        services.store.database.check_schema()
    except OutdatedError:
        return said | {"store": "outdated"}
    except StoreError:
        return said
    state = services.backup.state()
    places = [place for place in (state.repo, state.folder) if place]
    oldest = min((place.since for place in places if place.since is not None), default=None)
    backup = {
        "state": state.kind.value,
        "waiting": max((place.waiting for place in places), default=0),
        "waiting_seconds": 0 if oldest is None else round(max(0.0, now - oldest)),
        "warnings": len(state.warnings),
    }
    return said | {"ready": True, "store": "ok", "backup": backup}


def _healthy() -> str:
    return "ok"
