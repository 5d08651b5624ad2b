"""A Hub on 127.0.0.1 that also runs Jobs: what huggingface_hub's jobs API asks for, over the double of repositories.

A job goes one step further whenever it is inspected. It "runs" what our training script would: it reads ``job.json`` from the
folder that it mounts, prints lines of losses, and pushes an adapter to the model repo that stands there.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from itertools import count

from tests.hub_model import Answer, LoggedRequest, Token, error
from tests.hub_routes import page
from tests.hub_server import HubServer

_SPEC = {
    *("command", "arguments", "environment", "secrets", "flavor", "timeoutSeconds", "attempts", "labels", "volumes"),
    *("dockerImage", "spaceId", "expose", "ssh", "network", "resourceGroupId"),
}
_ENDED = ("COMPLETED", "CANCELED", "ERROR", "DELETED")


@dataclass
class JobsHub(HubServer):
    """The Hub. ``steps`` is how many steps a job has; with ``held`` a running job stays where it is.

    ``pushes`` is whether a job leaves its adapter behind, ``silent`` how many times a log is asked for in
    vain. :meth:`break_job` lets the running job end in an error.
    """

    steps: int = 4
    held: bool = False
    pushes: bool = True
    silent: int = 0
    jobs: dict[str, dict] = field(default_factory=dict, repr=False)
    logs: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.more_routes = _ROUTES
        self._numbers = count(1)
        self._broken: tuple[str | None, str] | None = None

    def break_job(self, line: str, message: str | None = None) -> None:
        """Let the job print ``line`` last and end in an error, with a message of the Hub or without."""
        self._broken = (message, line)

    def advance(self, job: dict) -> None:
        stage, status = job["status"]["stage"], job["status"]
        if stage in _ENDED or (self.held and stage == "RUNNING" and self._broken is None):
            return
        lines = self.logs[job["id"]]
        if self._broken and stage == "RUNNING":
            message, line = self._broken
            lines.append(line)
            status |= {"stage": "ERROR", "message": message}
        elif stage == "SCHEDULING":
            status["stage"], job["startedAt"] = "RUNNING", _now()
            lines += ["===== Job started =====", "Installed 80 packages", "", _told("log", text="Training.")]
        elif sum('"loss"' in line for line in lines) < self.steps:
            step = sum('"loss"' in line for line in lines) + 1
            lines.append(_told("loss", text="train", step=step, value=round(2.0 / step, 4)))
        else:
            self._complete(job)

    def _complete(self, job: dict) -> None:
        volume = job["volumes"][0]
        told = json.loads(self.files(volume["source"])[f"{volume['path']}/job.json"])
        if self.pushes:
            self.add_repo(told["adapter"], private=True, kind="models")
            self.commit_by_others(f"models/{told['adapter']}", {"adapter_config.json": b"{}"})
        job["status"]["stage"], job["finishedAt"] = "COMPLETED", _now()
        job["durations"] = {"schedulingSecs": 5, "runningSecs": 60, "totalSecs": 65}


def _told(kind: str, **values: object) -> str:
    return "PAIRLOOP " + json.dumps({"kind": kind, **values})


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def _may(call: LoggedRequest, owner: str) -> Token:
    if call.token is None:
        raise error(401, "Invalid username or password.")
    if not call.token.owns(f"{owner}/x"):
        raise error(403, f"You don't have the rights to run jobs in the namespace {owner}.")
    return call.token


def _create(hub: JobsHub, call: LoggedRequest, owner: str) -> Answer:
    if _may(call, owner).role != "write":
        raise error(403, "This token has no permission to run jobs.")
    spec = call.json
    if unknown := spec.keys() - _SPEC:
        raise error(400, f"Unrecognized keys: {', '.join(sorted(unknown))}")
    if "dockerImage" not in spec or not spec.get("command"):
        raise error(400, "A job needs an image and a command.")
    for volume in spec.get("volumes", []):
        repo = hub.repos.get(f"{volume['type']}s/{volume['source']}")
        if repo is None or not volume["mountPath"].startswith("/"):
            raise error(404, f"Volume {volume['source']} not found")
    job_id = f"{next(hub._numbers):024x}"
    job = {
        "id": job_id,
        "createdAt": _now(),
        "startedAt": None,
        "finishedAt": None,
        "dockerImage": spec["dockerImage"],
        "spaceId": None,
        "command": spec["command"],
        "arguments": spec["arguments"],
        "environment": spec["environment"],
        # Names only, as the Hub answers.
        "secrets": {name: "" for name in spec.get("secrets", {})},
        "flavor": spec["flavor"],
        "timeout": spec.get("timeoutSeconds", 1800),
        "labels": spec.get("labels"),
        "volumes": spec.get("volumes"),
        "status": {"stage": "SCHEDULING", "message": None},
        "owner": {"id": "1", "name": owner, "type": "user"},
        "initiator": {"id": "1", "name": owner, "type": "user"},
    }
    hub.jobs[job_id], hub.logs[job_id] = job, []
    return Answer(200, job)


def _list(hub: JobsHub, call: LoggedRequest, owner: str) -> Answer:
    _may(call, owner)
    wanted = dict(label.split("=", 1) for label in call.query.get("label", []))
    fits = [
        job
        for job in hub.jobs.values()
        if job["owner"]["name"] == owner and wanted.items() <= (job["labels"] or {}).items()
    ]
    return page(hub, call, fits[::-1], 100)


def _job(hub: JobsHub, call: LoggedRequest, owner: str, job: str) -> dict:
    _may(call, owner)
    if job not in hub.jobs or hub.jobs[job]["owner"]["name"] != owner:
        raise error(404, "Job Not Found")
    return hub.jobs[job]


def _inspect(hub: JobsHub, call: LoggedRequest, owner: str, job: str) -> Answer:
    found = _job(hub, call, owner, job)
    # The log stream asks for the state too; only our own question takes the job further.
    hub.advance(found)
    return Answer(200, found)


def _logs(hub: JobsHub, call: LoggedRequest, owner: str, job: str) -> Answer:
    _job(hub, call, owner, job)
    hub.silent -= 1
    lines = hub.logs[job] if hub.silent < 0 else []
    events = [f"data: {json.dumps({'data': line, 'timestamp': _now()})}\n\n" for line in lines]
    return Answer(200, (": keep-alive\n\n" + "".join(events)).encode(), {"Content-Type": "text/event-stream"})


def _cancel(hub: JobsHub, call: LoggedRequest, owner: str, job: str) -> Answer:
    found = _job(hub, call, owner, job)
    if found["status"]["stage"] in _ENDED:
        raise error(409, "The job has ended already.")
    found["status"]["stage"] = "CANCELED"
    return Answer(200, found)


_OWNED = "/api/jobs/(?P<owner>[^/]+)"
_ONE = f"{_OWNED}/(?P<job>[0-9a-f]{{24}})"
_ROUTES = (
    ("POST", _OWNED, "", _create),
    ("GET", _OWNED, "", _list),
    ("GET", _ONE, "", _inspect),
    ("GET", f"{_ONE}/logs", "", _logs),
    ("POST", f"{_ONE}/cancel", "", _cancel),
)
