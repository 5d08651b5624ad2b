"""The page's address names the tab that is open, so that a link or a reload leads to it; each sees the tabs of their role."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from components._guard import allowed
from components._session import person
from pipeline.records import Role
from pipeline.services import Services

# Who works on a tab. That it is not shown to others keeps nobody out: each listener has a role of its own.
TABS: Mapping[str, Role] = {
    "start": Role.VIEWER,
    "ask": Role.ANNOTATOR,
    "edit": Role.ANNOTATOR,
    "tune": Role.ADMIN,
    "compare": Role.ANNOTATOR,
    "results": Role.VIEWER,
    "team": Role.ADMIN,
    # Its panels are an owner's, but for the one of API tokens.
    "settings": Role.VIEWER,
}


class OwnTabs:
    """Opens the tab that was asked for, and hides from somebody the tabs that are not for them."""

    def __init__(self, services: Services, tabs: Mapping[gr.Tab, Role]) -> None:
        self._services = services
        # Now: a tab forgets within what it stands when an update is made of it.
        self._places = [(f'#{tab.parent.elem_id} > .tab-wrapper [data-tab-id="{tab.id}"]', tabs[tab]) for tab in tabs]

    def open_tab(self, request: gr.Request) -> gr.Tabs:
        """Open the tab that the address names, as in ``/?tab=compare``; else leave alone what a quick click has opened."""
        tab = request.query_params.get("tab", "")
        role = TABS.get(tab)
        return gr.Tabs(selected=tab) if role and self._role(request).covers(role) else gr.skip()

    def hide_tabs(self, request: gr.Request) -> str:
        """Return the style by which the tabs of other roles are not there."""
        # Gradio shows the button of a tab that is made invisible later all the same.
        mine = self._role(request)
        places = [place for place, role in self._places if not mine.covers(role)]
        return f"<style>{', '.join(places)} {{ display: none !important; }}</style>" if places else ""

    def _role(self, request: gr.Request) -> Role:
        if self._services.people.open:
            return Role.OWNER
        return self._services.people.role_of(person(self._services, request)) or Role.VIEWER


def build() -> gr.HTML:
    """Lay out where the style goes; it takes no room."""
    return gr.HTML("", elem_id="own-tabs", elem_classes=["pl-kept"])


def wire(app: gr.Blocks, services: Services, tabs: gr.Tabs, style: gr.HTML, roles: Mapping[gr.Tab, Role]) -> None:
    """Attach the listeners of a page that was loaded; ``roles`` are those of tabs within tabs."""
    top = {tab: TABS[tab.id] for tab in tabs.children if isinstance(tab, gr.Tab)}
    handlers = OwnTabs(services, {**top, **roles})
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    app.load(allowed(Role.VIEWER, handlers.open_tab), None, tabs, **quiet)
    app.load(allowed(Role.VIEWER, handlers.hide_tabs), None, style, **quiet)
