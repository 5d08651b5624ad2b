"""An OpenAI-compatible endpoint on 127.0.0.1 that also fine-tunes: files, jobs, events, checkpoints, cancelling.

    with TuningServer(models=["gpt-test"]) as server:
        server.break_job("server_error", "The training ran out of memory.")
        ...

It follows OpenAI's API reference: shapes of objects, checks of parameters and of training files, events newest first in
pages, a job that goes one step further whenever it is asked for. A job that succeeds adds its model to ``models``.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from email import message_from_bytes
from itertools import count
from urllib.parse import parse_qs, urlsplit

from tests.openai_server import Handler, OpenAIServer, Refusal

_JOB = {
    *("model", "training_file", "validation_file", "suffix", "seed", "metadata", "method", "hyperparameters"),
    "integrations",
}
_HYPER = {
    "supervised": {"n_epochs", "batch_size", "learning_rate_multiplier"},
    "dpo": {"n_epochs", "batch_size", "learning_rate_multiplier", "beta"},
}
_ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class TuningServer(OpenAIServer):
    """The endpoint. ``steps`` is how many steps a job has; with ``held`` a running job stays where it is.

    ``refuses`` answers the creation of jobs with (status, code, message). ``loses`` drops the connection when a job is
    created, "before" or "after" it was made, as often as ``losses`` says. ``rejects_files`` lets uploaded files fail with
    that reason, the way of endpoints that check files at once. ``least_rows`` is OpenAI's smallest file.
    """

    steps: int = 6
    held: bool = False
    refuses: tuple[int, str | None, str] | None = None
    loses: str = ""
    losses: int = 1
    rejects_files: str = ""
    least_rows: int = 3
    page: int = 20
    keeps_metadata: bool = True
    files: dict[str, dict] = field(default_factory=dict)
    jobs: dict[str, dict] = field(default_factory=dict)
    events: dict[str, list[dict]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.handler = TuningHandler
        self._numbers = count(1)
        self._broken: tuple[str, str] | None = None

    def break_job(self, code: str, message: str) -> None:
        """Let the job that runs, or the next one, fail with this error."""
        self._broken = (code, message)

    def file(self, name: str) -> list[dict]:
        """Return the lines of an uploaded file whose name ends like this."""
        made = next(item for item in self.files.values() if item["filename"].endswith(name))
        return [json.loads(line) for line in made["content"].decode().splitlines()]

    def new_id(self, kind: str) -> str:
        return f"{kind}{next(self._numbers):08d}"

    def add_event(self, job_id: str, message: str, level: str = "info", data: dict | None = None) -> None:
        event = {
            "object": "fine_tuning.job.event",
            "id": self.new_id("ftevent-"),
            "created_at": int(time.time()),
            "level": level,
            "message": message,
            "data": data or {},
            "type": "metrics" if data else "message",
        }
        self.events.setdefault(job_id, []).append(event)

    def advance(self, job: dict) -> None:
        """Take a job one step further."""
        status, job_id = job["status"], job["id"]
        if status in _ENDED or (self.held and status == "running" and self._broken is None):
            return
        if self._broken and status == "running":
            self._fail(job, *self._broken)
        elif status == "validating_files":
            self._validate(job)
        elif status == "queued":
            job["status"] = "running"
            self.add_event(job_id, "Fine-tuning job started")
        else:
            self._train(job)

    def _validate(self, job: dict) -> None:
        for role in ("training_file", "validation_file"):
            if job[role] is None:
                continue
            if problem := _file_problem(self.files[job[role]]["content"], job["method"]["type"], self.least_rows, role):
                self._fail(job, *problem, param=role)
                return
        job["status"] = "queued"
        self.add_event(job["id"], "Files validated, moving job to queued state")

    def _train(self, job: dict) -> None:
        done = sum(event["type"] == "metrics" for event in self.events[job["id"]])
        for step in range(done + 1, min(done + 3, self.steps) + 1):
            loss = round(2.0 / step, 4)
            data = {"step": step, "total_steps": self.steps, "train_loss": loss, "train_mean_token_accuracy": 0.5}
            if job["validation_file"]:
                data["valid_loss"] = round(loss + 0.1, 4)
            self.add_event(job["id"], f"Step {step}/{self.steps}: training loss={loss}", data=data)
        if done >= self.steps:
            model = f"ft:{job['model']}:tests:{job['user_provided_suffix'] or ''}:{job['id'][-6:]}"
            job |= {"status": "succeeded", "fine_tuned_model": model, "finished_at": int(time.time())}
            job["trained_tokens"] = len(self.files[job["training_file"]]["content"]) // 4
            self.models = [*self.models, model]
            self.add_event(job["id"], "The job has successfully completed")

    def _fail(self, job: dict, code: str, message: str, param: str | None = None) -> None:
        job |= {"status": "failed", "finished_at": int(time.time())}
        job["error"] = {"code": code, "message": message, "param": param}
        self.add_event(job["id"], message, level="error")
        self._broken = None


class TuningHandler(Handler):
    """Routes of files and fine-tuning; everything else is the chat endpoint's."""

    server_version = "TuningDouble"

    def do_POST(self) -> None:
        if urlsplit(self.path).path == "/v1/files":
            self._raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return self._serve({})
        return super().do_POST()

    def _route(self, owner: TuningServer, body: object) -> None:
        address = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(address.query).items()}
        found = re.fullmatch(
            r"/v1/(files|fine_tuning/jobs)(?:/([^/]+))?(?:/(events|checkpoints|cancel))?", address.path
        )
        if found is None:
            return super()._route(owner, body)
        self.check_key(owner)
        kind, item, part = found.groups()
        if kind == "files":
            answer = self._upload(owner) if item is None else _file_object(_get(owner.files, item, "File"))
        elif item is None:
            answer = self._create(owner, body) if self.command == "POST" else self._list(owner)
        else:
            answer = self._job(owner, _get(owner.jobs, item, "Fine-tuning job"), part)
        if answer is not None:
            self._send(200, json.dumps(answer), "application/json")
        return None

    def _upload(self, owner: TuningServer) -> dict:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = {part.get_param("name", header="content-disposition"): part for part in
                 message_from_bytes(head + self._raw).get_payload()}  # fmt: skip
        if "purpose" not in parts or "file" not in parts:
            raise Refusal(400, "Missing required parameter: 'purpose' and 'file'.")
        purpose, content = parts["purpose"].get_payload().strip(), parts["file"].get_payload(decode=True)
        if purpose != "fine-tune":
            raise Refusal(400, f"'{purpose}' is not one of ['fine-tune']", param="purpose")
        if not content:
            raise Refusal(400, "The file is empty.", "invalid_file", "file")
        made = {"id": owner.new_id("file-"), "bytes": len(content), "created_at": int(time.time()), "content": content}
        made |= {"filename": parts["file"].get_filename(), "purpose": purpose, "status": "processed"}
        if owner.rejects_files:
            made |= {"status": "error", "status_details": owner.rejects_files}
        owner.files[made["id"]] = made
        return _file_object(made)

    def _create(self, owner: TuningServer, body: object) -> dict | None:
        if owner.loses and owner.losses > 0:
            owner.losses -= 1
            if owner.loses == "after":
                self._made(owner, body)
            self._hang_up()
            return None
        if owner.refuses:
            raise Refusal(owner.refuses[0], owner.refuses[2], owner.refuses[1])
        return self._made(owner, body)

    def _made(self, owner: TuningServer, body: dict) -> dict:
        _check_job(owner, body)
        job = {
            "object": "fine_tuning.job",
            "id": owner.new_id("ftjob-"),
            "model": body["model"],
            "created_at": int(time.time()),
            "finished_at": None,
            "fine_tuned_model": None,
            "organization_id": "org-tests",
            "result_files": [],
            "status": "validating_files",
            "training_file": body["training_file"],
            "validation_file": body.get("validation_file"),
            "hyperparameters": {"n_epochs": "auto"},
            "trained_tokens": None,
            "error": {"code": None, "message": None, "param": None},
            "user_provided_suffix": body.get("suffix"),
            "seed": body.get("seed", 1),
            "estimated_finish": None,
            "integrations": [],
            "metadata": body.get("metadata") if owner.keeps_metadata else None,
            "method": body.get("method") or {"type": "supervised"},
        }
        owner.jobs[job["id"]] = job
        owner.add_event(job["id"], f"Created fine-tuning job: {job['id']}")
        owner.add_event(job["id"], f"Validating training file: {job['training_file']}")
        return job

    def _list(self, owner: TuningServer) -> dict:
        wanted = {name[9:-1]: value for name, value in self.query.items() if name.startswith("metadata[")}
        newest = list(owner.jobs.values())[::-1]
        return self._page(
            owner, [job for job in newest if wanted.items() <= (job["metadata"] or {}).items() or not wanted]
        )

    def _job(self, owner: TuningServer, job: dict, part: str | None) -> dict:
        if part == "events":
            return self._page(owner, owner.events[job["id"]][::-1])
        if part == "checkpoints":
            return self._page(owner, _checkpoints(job, owner.steps))
        if part == "cancel":
            if job["status"] in _ENDED:
                raise Refusal(400, f"Job has already completed: {job['status']}", "job_already_completed")
            job |= {"status": "cancelled", "finished_at": int(time.time())}
            owner.add_event(job["id"], "The job has been cancelled")
            return job
        owner.advance(job)
        return job

    def _page(self, owner: TuningServer, items: list[dict]) -> dict:
        size = min(int(self.query.get("limit", 20)), owner.page)
        after = self.query.get("after")
        start = next((n + 1 for n, item in enumerate(items) if item["id"] == after), 0)
        page = items[start : start + size]
        return {"object": "list", "data": page, "has_more": start + size < len(items)}


def _get(items: dict[str, dict], name: str, what: str) -> dict:
    if name not in items:
        raise Refusal(404, f"No such {what}: {name}", "not_found")
    return items[name]


def _file_object(made: dict) -> dict:
    return {"object": "file", **{name: value for name, value in made.items() if name != "content"}}


def _check_job(owner: TuningServer, body: dict) -> None:
    for name in body:
        if name not in _JOB:
            raise Refusal(400, f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    model = body.get("model")
    if model not in owner.models:
        raise Refusal(400, f"Model {model} is not available for fine-tuning or does not exist.", "model_not_available")
    for role in ("training_file", "validation_file"):
        if body.get(role) is not None and body[role] not in owner.files:
            raise Refusal(400, f"invalid {role}: {body[role]}", "invalid_file", role)
    if not body.get("training_file"):
        raise Refusal(
            400, "Missing required parameter: 'training_file'.", "missing_required_parameter", "training_file"
        )
    if len(body.get("suffix") or "") > 64:
        raise Refusal(400, "The suffix may have at most 64 characters.", "invalid_suffix", "suffix")
    metadata = body.get("metadata") or {}
    if len(metadata) > 16 or any(len(name) > 64 or len(value) > 512 for name, value in metadata.items()):
        raise Refusal(400, "Invalid metadata.", "invalid_metadata", "metadata")
    method = body.get("method") or {"type": "supervised"}
    given = (method.get(method.get("type")) or {}).get("hyperparameters") or {}
    if method.get("type") not in _HYPER or not given.keys() <= _HYPER[method["type"]]:
        raise Refusal(400, f"Invalid method: {json.dumps(method)}", "invalid_method", "method")


def _file_problem(content: bytes, method: str, least: int, role: str) -> tuple[str, str] | None:
    """Return what is wrong with a file, in the words of OpenAI's validation."""
    lines = content.decode().splitlines()
    if role == "training_file" and len(lines) < least:
        said = f"Training file has {len(lines)} example(s), but must have at least {least} examples"
        return "invalid_n_examples", said
    wanted = {"messages"} if method == "supervised" else {"input", "preferred_output", "non_preferred_output"}
    for number, line in enumerate(lines, 1):
        row = json.loads(line)
        if row.keys() - {"tools", "parallel_tool_calls"} != wanted:
            said = (
                f"The job failed due to an invalid training file. Invalid file format. Line {number}: unexpected keys"
            )
            return "invalid_training_file", said
        turns = row["messages"] if method == "supervised" else [*row["input"]["messages"], *row["preferred_output"]]
        if any(turn.keys() - {"role", "content", "name", "weight"} or not turn["content"] for turn in turns):
            return "invalid_training_file", f"Invalid file format. Line {number}: a message is not valid"
        if turns[-1]["role"] != "assistant":
            return (
                "invalid_training_file",
                f"Invalid file format. Line {number}: the last message must be the assistant's",
            )
    return None


def _checkpoints(job: dict, steps: int) -> list[dict]:
    if job["status"] != "succeeded":
        return []
    return [
        {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt-{job['id']}-{step}",
            "created_at": job["finished_at"],
            "fine_tuned_model_checkpoint": job["fine_tuned_model"] + ("" if step == steps else f":ckpt-step-{step}"),
            "fine_tuning_job_id": job["id"],
            "metrics": {"step": step, "train_loss": round(2.0 / step, 4)},
            "step_number": step,
        }
        for step in (steps, steps * 2 // 3, steps // 3)
        if step
    ]
