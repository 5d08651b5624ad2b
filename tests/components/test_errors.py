"""How errors of the pipeline reach the screen, and that all others do not."""

import inspect

import gradio as gr
import pytest

from components._errors import shows_errors
from pipeline import errors
from pipeline.errors import ModelError, PipelineError

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, PipelineError)]


class Handlers:
    """Handlers as the tabs have them."""

    def add(self, number: int, request: gr.Request) -> int:
        """Add one."""
        if number < 0:
            raise ModelError("No numbers below 0: type another one.")
        return number + 1

    def count(self, number: int):
        """Count up."""
        yield from range(number)
        raise ModelError("It went wrong in the middle.")

    def break_down(self):
        """Fail in a way that nobody foresaw."""
        raise KeyError("secret detail")


def test_a_result_passes_through():
    assert shows_errors(Handlers().add)(1, None) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_of_the_pipeline_is_shown_in_its_own_words(kind):
    def handler():
        raise kind("What happened. What to do.")

    with pytest.raises(gr.Error) as shown:
        shows_errors(handler)()
    assert shown.value.message == "What happened. What to do."
    assert isinstance(shown.value.__cause__, kind)
    assert (shown.value.print_exception, shown.value.duration) == (False, 15)


def test_an_error_that_nobody_foresaw_stays_what_it_is():
    with pytest.raises(KeyError, match="secret detail"):
        shows_errors(Handlers().break_down)()


def test_a_stream_shows_what_came_before_its_error():
    steps = shows_errors(Handlers().count)(3)
    assert [next(steps) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(gr.Error, match="in the middle") as shown:
        next(steps)
    assert isinstance(shown.value.__cause__, ModelError)


def test_a_reader_who_leaves_a_stream_closes_the_handler():
    closed = []

    def handler():
        try:
            yield 1
        finally:
            closed.append(True)

    steps = shows_errors(handler)()
    next(steps)
    steps.close()
    assert closed == [True]


def test_gradio_sees_the_handler_itself():
    handlers = Handlers()
    for handler in (handlers.add, handlers.count):
        shown = shows_errors(handler)
        assert inspect.signature(shown) == inspect.signature(handler)
        assert (shown.__name__, shown.__doc__) == (handler.__name__, handler.__doc__)
    assert inspect.isgeneratorfunction(shows_errors(handlers.count))
    assert not inspect.isgeneratorfunction(shows_errors(handlers.add))
    assert gr.utils.get_type_hints(shows_errors(handlers.add))["request"] is gr.Request


def test_gradio_takes_messages_for_html_so_they_come_escaped():
    def handler():
        raise ModelError('The endpoint said: <img src="https://evil.example/x.png"> {x} ${y}')

    with pytest.raises(gr.Error) as shown:
        shows_errors(handler)()
    assert "<" not in shown.value.message and "&lt;img src=&quot;https" in shown.value.message
