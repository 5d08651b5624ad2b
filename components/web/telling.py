"""What the terminal says when the app has started: where it is, and how its first owner gets in."""

from __future__ import annotations

from pipeline.database_url import place_of
from pipeline.services import Services


def tell_address(services: Services, port: int) -> None:
    """Print where the app is, and a link for its first owner where it has none."""
    chosen = services.settings
    where = place_of(chosen.database_url) if chosen.database_url else chosen.home
    print(f"Pairloop: http://{chosen.host}:{port} · data in {where}", flush=True)
    tell_owner_link(services, port)


def tell_owner_link(services: Services, port: int) -> None:
    """Print a link for the first owner of a workspace where it has none."""
    chosen = services.settings
    entry, host = chosen.entry, "127.0.0.1" if chosen.host in ("0.0.0.0", "::") else chosen.host
    own = f"https://{entry.space_hosts[0]}" if entry.space_hosts else f"http://{host}:{port}"
    address = entry.public_url or f"{own}{entry.base}"
    if code := services.entrance.owner_code():
        of = f" of {services.store.values.workspace_name()}" if entry.workspace else ""
        print(f"An owner{of} comes in once, within a day, by this link: {address}/join?code={code}", flush=True)
