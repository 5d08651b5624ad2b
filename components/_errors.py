"""The one place where an error of the pipeline becomes a message on the screen."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

import gradio as gr

from components._html import esc
from pipeline.errors import AccessError, PipelineError


def shows_errors(handler: Callable) -> Callable:
    """Wrap a handler so that a PipelineError is shown in its own words; any other error stays a traceback in the log."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def stream(*args, **kwargs):
            try:
                yield from handler(*args, **kwargs)
            except PipelineError as error:
                raise _shown(error) from error

        return stream

    @functools.wraps(handler)
    def call(*args, **kwargs):
        try:
            return handler(*args, **kwargs)
        except PipelineError as error:
            raise _shown(error) from error

    return call


def _shown(error: PipelineError) -> gr.Error:
    # Gradio takes the message for HTML, and words of an endpoint or of a file's name may be in it.
    # 15 s: long enough to read two sentences, and what the person typed stays on the screen anyway.
    quiet = isinstance(error, AccessError) and error.quiet
    return gr.Error(esc(error), duration=15, visible=not quiet, print_exception=False)
