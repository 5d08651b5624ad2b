"""Events for the log of whoever runs the app: what was done, how long it took, how it ended. Never what people wrote.

And for which of a server's workspaces: each line of the log says it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

NAME = "pipeline.events"
P = ParamSpec("P")
R = TypeVar("R")
_workspace: ContextVar[str] = ContextVar("workspace", default="")
_log = logging.getLogger(NAME)
_log.setLevel(logging.INFO)


def happened(event: str, **facts: str | int | float | bool | None) -> None:
    """Note an event in the log. ``facts`` are ids, counts and words of ours: no names, no texts, no secrets."""
    _log.info(event, extra={"facts": facts})


def work_for(workspace: str) -> None:
    """Note that this task or thread works for a workspace from here on; "" is the main one.

    So do the tasks that it begins, but not the threads.
    """
    _workspace.set(workspace)


def worked_for() -> str:
    """Return the workspace that this task or thread works for; "" for the main one."""
    return _workspace.get()


def carried(work: Callable[P, R]) -> Callable[P, R]:
    """Return ``work`` for a thread of its own, which then works for the workspace that this one works for."""
    workspace = worked_for()

    def carry(*args: P.args, **kwargs: P.kwargs) -> R:
        work_for(workspace)
        return work(*args, **kwargs)

    return carry
