"""What somebody does on a screen is noted under their name, wherever in a handler it is known what it was."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from components._guard import asked_by
from components._session import person
from pipeline.errors import StoreError
from pipeline.services import Services

log = logging.getLogger(__name__)


def noted(services: Services, action: str, subject: str = "", detail: Mapping[str, object] | None = None) -> None:
    """Note that whoever called the listener that runs now did something, see :mod:`pipeline.activity`.

    It is done already: that it could not be noted, on a full disk, undoes nothing and is no error of theirs.
    """
    request = asked_by()
    try:
        who = None if request is None else person(services, request)
        services.activity.note(who, action, subject, detail)
    except StoreError as error:
        log.warning("What was done (%s) could not be noted: %s", action, error)
