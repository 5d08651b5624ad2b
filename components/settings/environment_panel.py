"""Environment, a panel of Settings: every variable that the app reads, with its value in force."""

from __future__ import annotations

from dataclasses import dataclass, fields

import gradio as gr

from components import _html
from components._guard import allowed
from pipeline.database_url import place_of
from pipeline.records import Role
from pipeline.services import Services
from pipeline.settings import SETTINGS, Settings


@dataclass(frozen=True, slots=True)
class EnvironmentPanel:
    """Components of the panel."""

    root: gr.Tab
    table: gr.HTML


class EnvironmentHandlers:
    """Shows the environment in force."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def show_environment(self) -> str:
        """Return every setting with its value."""
        return environment_html(self._services.settings)


def build() -> EnvironmentPanel:
    """Lay out the panel."""
    with gr.Tab("Environment", id="environment", elem_id="environment-panel") as root:
        gr.HTML('<h3 class="pl-title">Environment</h3>')
        table = gr.HTML("", elem_id="settings-environment")
    return EnvironmentPanel(root, table)


def wire(panel: EnvironmentPanel, handlers: EnvironmentHandlers, settings: gr.Tab) -> None:
    """Attach the listeners; ``settings`` is the tab that the panel is in."""
    for tab in (settings, panel.root):
        tab.select(
            allowed(Role.OWNER, handlers.show_environment, quiet=True),
            None,
            panel.table,
            api_visibility="private",
            show_progress="hidden",
        )


def environment_html(settings: Settings) -> str:
    """Return every setting with its value; a key is only said to be set."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    entry = settings.entry
    values |= {
        "sign_in": entry.mode.value, "public_url": entry.public_url, "owner_link": entry.owner_link,
        "oauth_client_id": entry.client_id, "oauth_client_secret": entry.client_secret, "oauth_scopes": entry.scopes,
        "openid_provider_url": entry.provider, "space_id": entry.space_id, "space_host": ", ".join(entry.space_hosts),
        "space_author_name": entry.space_author, "space_creator_user_id": entry.space_creator,
        # It may hold a password.
        "database_url": place_of(settings.database_url) if settings.database_url else "",
    }  # fmt: skip
    rows = "".join(
        f"<tr><td><code>{setting.name}</code></td><td>{_html.esc(_value(setting.name, values))}</td>"
        f"<td class='pl-wide'>{_html.esc(setting.help)}</td></tr>"
        for setting in SETTINGS
    )
    own = {setting.name for setting in SETTINGS}
    others = "".join(f"<li><code>{_html.esc(name)}</code></li>" for name in sorted(settings.keys) if name not in own)
    keys = (
        "<h4 class='pl-label'>Further variables that a model may name as the one with its key</h4>"
        f"<ul class='pl-list'>{others}</ul>"
        if others
        else _html.note("Any other variable that ends in _KEY or _TOKEN can hold the key of a model; none is set.")
    )
    return (
        f"<div class='pl-scroll' tabindex='0'><table class='pl-table'><thead><tr><th>Variable</th><th>In force</th>"
        f"<th>What it does</th></tr></thead><tbody>{rows}</tbody></table></div>{keys}"
    )


def _value(name: str, values: dict[str, object]) -> str:
    value = values[name.removeprefix("PAIRLOOP_").lower()]
    if name.endswith(("_KEY", "_TOKEN", "_SECRET")):
        return "set" if value else "not set"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:g}"
    return "not set" if value in ("", None) else str(value)
