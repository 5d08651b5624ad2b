"""Screens of a workspace are built while those of others are at work: one after the other, and undisturbed.

What is being built is known to Gradio for the whole process and not for the thread that builds it, and a handler of other screens
that answers with a column would put it there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gradio.blocks import Block

_BUILDING = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """Build screens in the block: what other threads make meanwhile is no part of them."""
    with _BUILDING:
        mine, before = threading.get_ident(), Block.render

        def render(self: Block) -> Block:
            return before(self) if threading.get_ident() == mine else self

        Block.render = render
        try:
            yield
        finally:
            Block.render = before
