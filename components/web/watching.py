"""Watches the handlers of the screens: how long each takes and how it ends, for the metrics and the log."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Callable
from contextlib import contextmanager

import gradio as gr

from pipeline.events import happened

log = logging.getLogger(__name__)
# (handler, seconds, how it ended: "ok", "refused" in words for the person, or "failed")
Observe = Callable[[str, float, str], None]
# What costs money or the work of a processor, or decides for others; of the rest only what is slow or fails is logged.
_NAMES = """
    add_example add_files add_list ask ask_live bring cancel_job cancel_run create_comparison delete_document fill import_file
    make_dataset make_file make_link prepare propose publish register remove resume_run retry reveal_results
    start_again start_another_round start_judge start_run start_training sync_now test test_model try_model withdraw
"""
COSTLY = frozenset(_NAMES.split())
SLOW_SECONDS = 1.0
UNFORESEEN = (
    "This failed in a way that nobody foresaw. What was saved before is safe; "
    "whoever runs the app finds the cause in its log."
)


def watch(screens: gr.Blocks, observe: Observe) -> None:
    """Have every handler of the screens observed, and errors that nobody foresaw logged and told in a sentence."""
    for function in screens.fns.values():
        if function.fn is not None:
            function.fn = _watched(function.fn, str(function.name), observe)


def _watched(handler: Callable, name: str, observe: Observe) -> Callable:
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def stream(*args, **kwargs):
            with _observed(name, observe):
                yield from handler(*args, **kwargs)

        return stream
    if inspect.iscoroutinefunction(handler) or inspect.isasyncgenfunction(handler):
        return handler

    @functools.wraps(handler)
    def call(*args, **kwargs):
        with _observed(name, observe):
            return handler(*args, **kwargs)

    return call


@contextmanager
def _observed(name: str, observe: Observe):
    began, ended = time.perf_counter(), "failed"
    try:
        yield
        ended = "ok"
    except gr.Error:
        ended = "refused"
        raise
    except GeneratorExit:
        # The visitor has left in the middle of a stream.
        ended = "ok"
        raise
    except Exception as error:
        # Gradio would print it as it is, with secrets and line breaks of others in it.
        log.exception("The handler %s failed.", name)
        raise gr.Error(UNFORESEEN, duration=15, print_exception=False) from error
    finally:
        seconds = time.perf_counter() - began
        observe(name, seconds, ended)
        if ended == "failed" or name in COSTLY or name.startswith("download") or seconds >= SLOW_SECONDS:
            happened("handler", name=name, seconds=seconds, ended=ended)
