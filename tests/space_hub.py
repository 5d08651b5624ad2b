"""A Hub on 127.0.0.1 that also has Spaces: what huggingface_hub asks for, over the double of repositories.

An account that is not among ``paying`` gets 402 for a Gradio or Docker Space on anything but ZeroGPU, as the documentation of
the Hub says. Values of secrets go in and never come out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.hub_model import Answer, LoggedRequest, Repo, error
from tests.hub_routes import create_or_delete
from tests.hub_server import HubServer

_CREATE = {
    *(
        "name",
        "organization",
        "type",
        "visibility",
        "private",
        "sdk",
        "hardware",
        "sleepTimeSeconds",
        "secrets",
        "variables",
    ),
    "volumes",
}
HARDWARE = ("cpu-basic", "cpu-upgrade", "zero-a10g", "t4-small")
CARD = b"---\ntitle: New\nsdk: %s\n---\n"


@dataclass
class Space:
    """What a Space has beside its files."""

    sdk: str
    visibility: str
    hardware: str = "cpu-basic"
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


@dataclass
class SpaceHub(HubServer):
    """The Hub. ``spaces`` is keyed by owner/name; ``paying`` are the accounts with a paid plan."""

    paying: set[str] = field(default_factory=lambda: {"team"})
    spaces: dict[str, Space] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.more_routes = _ROUTES

    @property
    def writes(self) -> list[str]:
        """The requests that change something, as "METHOD path"."""
        reading = ("/preupload/", "/validate-yaml", "/objects/batch")
        changing = [call for call in self.requests if call.method not in ("GET", "HEAD")]
        return [f"{call.method} {call.path}" for call in changing if not any(part in call.path for part in reading)]

    def add_space(self, name: str, sdk: str = "gradio", visibility: str = "public") -> Space:
        """Make a Space with the card that the Hub writes."""
        self.add_repo(name, visibility != "public", "spaces")
        self.commit_by_others(f"spaces/{name}", {"README.md": CARD % sdk.encode()})
        made = self.spaces[name] = Space(sdk, visibility)
        return made


def _create(hub: SpaceHub, call: LoggedRequest) -> Answer:
    wanted = call.json
    if wanted.get("type") != "space":
        return create_or_delete(hub, call, "create")
    if unknown := wanted.keys() - _CREATE:
        raise error(400, f"Unrecognized keys: {', '.join(sorted(unknown))}")
    owner = wanted.get("organization") or getattr(call.token, "user", "")
    name = f"{owner}/{wanted['name']}"
    hub.check_write(call.token, name)
    if f"spaces/{name}" in hub.repos:
        raise error(409, "You already created this space repo")
    hardware = wanted.get("hardware") or "cpu-basic"
    _check_hardware(hub, owner, wanted.get("sdk", ""), hardware)
    space = hub.add_space(name, wanted["sdk"], wanted.get("visibility", "public"))
    space.hardware = hardware
    space.secrets |= {item["key"]: item["value"] for item in wanted.get("secrets", ())}
    space.variables |= {item["key"]: item["value"] for item in wanted.get("variables", ())}
    return Answer(200, {"url": f"{hub.url}/spaces/{name}", "name": name, "id": name})


def _check_hardware(hub: SpaceHub, owner: str, sdk: str, hardware: str) -> None:
    if sdk not in ("gradio", "docker", "static"):
        raise error(400, f"Invalid sdk: {sdk}")
    if hardware not in HARDWARE:
        raise error(400, f"Invalid hardware flavor: {hardware}")
    if owner not in hub.paying and sdk != "static" and not (sdk == "gradio" and hardware.startswith("zero-")):
        raise error(402, "A paid plan is needed to host this Space")


def _space(hub: SpaceHub, repo: Repo) -> Space:
    return hub.spaces[repo.name]


def _runtime(hub: SpaceHub, call: LoggedRequest, repo: Repo) -> Answer:
    space = _space(hub, repo)
    hardware = {"current": None, "requested": space.hardware}
    return Answer(200, {"stage": "BUILDING", "hardware": hardware, "storage": None, "gcTimeout": 172800})


def _hardware(hub: SpaceHub, call: LoggedRequest, repo: Repo) -> Answer:
    _check_hardware(hub, repo.name.split("/")[0], _space(hub, repo).sdk, call.json["flavor"])
    _space(hub, repo).hardware = call.json["flavor"]
    return _runtime(hub, call, repo)


def _secrets(hub: SpaceHub, call: LoggedRequest, repo: Repo) -> Answer:
    if call.method == "POST":
        _space(hub, repo).secrets[call.json["key"]] = call.json["value"]
        return Answer(200, {})
    return Answer(200, {name: {"updatedAt": "2026-11-26T08:00:00.000Z"} for name in _space(hub, repo).secrets})


def _variables(hub: SpaceHub, call: LoggedRequest, repo: Repo) -> Answer:
    space = _space(hub, repo)
    if call.method == "POST":
        space.variables[call.json["key"]] = call.json["value"]
    return Answer(200, {name: {"value": value} for name, value in space.variables.items()})


def _settings(hub: SpaceHub, call: LoggedRequest, repo: Repo) -> Answer:
    space = _space(hub, repo)
    space.visibility = call.json["visibility"]
    repo.private = space.visibility != "public"
    return Answer(200, {"private": repo.private})


_ONE = "/api/(?P<kind>spaces)/(?P<name>[^/]+/[^/]+)"
_ROUTES = (
    ("POST", "/api/repos/create", "", _create),
    ("GET", f"{_ONE}/runtime", "read", _runtime),
    ("POST", f"{_ONE}/hardware", "write", _hardware),
    ("GET POST", f"{_ONE}/secrets", "write", _secrets),
    ("GET POST", f"{_ONE}/variables", "write", _variables),
    ("PUT", f"{_ONE}/settings", "write", _settings),
)
