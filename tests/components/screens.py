"""What tests of the screens share: people with their cookies, and a look at what a handler returns."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr

from components._session import COOKIE
from pipeline.services import Services

ADA = SimpleNamespace(cookies={COOKIE: "a" * 64})
BO = SimpleNamespace(cookies={COOKIE: "b" * 64})
NOBODY = SimpleNamespace(cookies={})


def member(services: Services, request: SimpleNamespace = ADA) -> str:
    """Return the id of the person who sends ``request``."""
    return services.store.members.by_token(request.cookies[COOKIE])


def event(**data: object) -> SimpleNamespace:
    """Return an event as Gradio hands it to a handler."""
    return SimpleNamespace(_data=data)


def value(component: gr.components.Component) -> object:
    """Return the value that an update sets."""
    return component.value


def choices(dropdown: gr.Dropdown) -> list[str]:
    """Return the choices that an update sets, as they are read."""
    return [choice[0] for choice in dropdown.choices]
