"""Events for the log of whoever runs the app: what was done, how long it took, how it ended. Never what people wrote."""

from __future__ import annotations

import logging

NAME = "pipeline.events"
_log = logging.getLogger(NAME)
_log.setLevel(logging.INFO)


def happened(event: str, **facts: str | int | float | bool | None) -> None:
    """Note an event in the log. ``facts`` are ids, counts and words of ours: no names, no texts, no secrets."""
    _log.info(event, extra={"facts": facts})
