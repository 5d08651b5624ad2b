"""The example scripts against the app, each as somebody would start it."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import httpx2
import pytest

from components.settings.token_panel import curl
from pipeline.annotation.settings import DatasetSettings, Field, Option, Question, QuestionKind
from pipeline.record_files.writing import Form
from pipeline.records import ResponseStatus
from pipeline.store.datasets import NewRecord
from tests.api import served
from tests.material import MANUAL
from tests.workspace import add_comparison, add_model, open_workspace, person

EXAMPLES = Path(__file__).resolve().parents[2] / "api_examples"
SETTINGS = DatasetSettings(
    (Field("text"),),
    (
        Question("quality", QuestionKind.RATING, "How good?", options=tuple(map(Option, (1, 2, 3)))),
        Question("better", QuestionKind.TEXT, required=False),
    ),
)


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    services = open_workspace(tmp_path_factory.mktemp("examples") / "home")
    yield services
    services.close()


@pytest.fixture(scope="module")
def url(services):
    with served(services) as url:
        yield url


@pytest.fixture(scope="module")
def me(services):
    return person(services, "Ada")


@pytest.fixture
def run(services, url, me, tmp_path):
    """Run a script with arguments and what is typed into it; return what it writes."""
    token = services.tokens.make(me, f"token {len(services.tokens.of(me))}").value
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAIRLOOP_")}

    def start(script, *arguments, typed="", status=0):
        command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
        environment = {**kept, "PAIRLOOP_URL": url, "PAIRLOOP_TOKEN": token, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, input=typed, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status, done.stderr[-2000:]
        return done.stdout if status == 0 else done.stderr

    return start


def test_documents_then_a_query(run, tmp_path):
    (tmp_path / "harbour.md").write_text(MANUAL)
    assert run("add_documents.py", "harbour.md") == "harbour.md 2 passages\n"
    assert "in the workspace already" in run("add_documents.py", "harbour.md")
    said = run("ask.py", "What does a token for the shower cost?")
    assert "two euros" in said and "[1] harbour.md" in said


def test_records_then_answers_then_a_file(services, run, me, tmp_path):
    dataset = services.datasets.create("My dataset", SETTINGS)
    rows = [{"text": "Grüße", "id": "a", "quality": 2}, {"text": "Two", "id": "b"}]
    (tmp_path / "records.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert run("add_records.py", "My dataset", "records.jsonl") == "2 new, 0 replaced\n"
    order = services.annotation.order(dataset.id, me)
    first = next(item for item in services.store.datasets.records(dataset.id) if item.id == order[0])
    # An empty line keeps what is suggested.
    typed = ["", "Better"] if first.external_id == "a" else ["3", "Better"]
    rest = ["3", ""] if first.external_id == "a" else ["", ""]
    said = run("annotate.py", "My dataset", typed="\n".join([*typed, *rest]) + "\n")
    assert "Submitted. 1 to go." in said and "Nothing waits for you." in said and "Grüße" in said
    given = [services.store.responses.get(record, me) for record in order]
    assert [item.status for item in given] == [ResponseStatus.SUBMITTED] * 2
    assert sorted(item.values["quality"] for item in given) == [2, 3] and given[0].values["better"] == "Better"
    assert "bytes" in run("export.py", "My dataset", "csv_records", "out.csv")
    assert "Grüße" in (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert run("add_records.py", "No dataset", "records.jsonl", status=1).startswith("404: There is no dataset")


def test_votes_then_results(services, run, tmp_path):
    models = [add_model(services, name) for name in ("zqx-one", "zqx-two")]
    set_id = add_comparison(services, models, [("A one.", "A two."), ("B one.", "B two.")])
    assert f"{set_id} Comparison 1 · Asked twice 0 of 2 judged by you" in run("vote.py")
    assert run("results.py", set_id, status=1).startswith("403: Open the results first")
    said = run("vote.py", set_id, typed="a\nx\nu\nb\n")
    assert said.endswith("All judged.\n") and "zqx" not in said
    assert "zqx-one" in run("results.py", set_id, "--open") and "of 2 votes" in run("results.py", set_id)
    run("export.py", "votes", set_id, "jsonl", "votes.jsonl")
    assert len((tmp_path / "votes.jsonl").read_text().splitlines()) == 2


def test_through_gradios_client(services, run):
    services.datasets.create("For Gradio", SETTINGS)
    services.datasets.add_records(services.datasets.all()[0].id, [NewRecord({"text": "One"})])
    assert run("with_gradio_client.py", "For Gradio").endswith("draft\n")


def test_the_command_that_the_panel_shows_works(services, url, me):
    token = services.tokens.make(me, "from the panel").value
    program, *parts = shlex.split(curl(url, token))
    headers = dict(parts[n + 1].split(": ", 1) for n, part in enumerate(parts) if part == "-H")
    body = parts[parts.index("-d") + 1].encode()
    with urllib.request.urlopen(urllib.request.Request(parts[-1], body, headers), timeout=30) as answer:
        assert program == "curl" and "answer" in json.load(answer)


def test_the_commands_of_the_handbook_work_as_they_are_written(services, url, me):
    """Each is sent as curl would send it."""
    page = (EXAMPLES.parents[1] / "pipeline/example/handbook/data-and-people.md").read_text(encoding="utf-8")
    token = services.tokens.make(me, "from the handbook").value
    written = re.findall(r"^    (curl .*)$", page, re.M)
    dataset = services.datasets.create("Support answers", SETTINGS)
    services.datasets.add_records(dataset.id, [NewRecord({"text": "One"})])
    services.annotation.submit(services.store.datasets.record_ids(dataset.id)[0], me, {"quality": 2})
    answers = []
    for line in written:
        program, *parts = shlex.split(line.replace("pl_TOKEN", token).replace("http://127.0.0.1:7860", url))
        given = {
            option: [parts[n + 1] for n, part in enumerate(parts) if part == option] for option in ("-H", "-F", "-d")
        }
        names = [name.removeprefix("files=@") for name in given["-F"]]
        answer = httpx2.request(
            "POST" if given["-d"] or names else "GET",
            parts[-1],
            headers=dict(header.split(": ", 1) for header in given["-H"]),
            content=given["-d"][0] if given["-d"] else None,
            files=[("files", (name, MANUAL.encode())) for name in names] or None,
            timeout=60,
        )
        assert program == "curl" and answer.status_code == 200, (line, answer.text)
        answers.append(answer)
    asked, added, listed, saved = answers
    assert asked.json()["query"]
    assert [found["name"] for found in added.json()["documents"]] == ["manual.pdf", "notes.md"]
    assert "Support answers" in [found["name"] for found in listed.json()["datasets"]]
    assert "quality" in saved.text.splitlines()[0] and len(saved.text.splitlines()) == 2
    forms = re.search(r"The forms of an export are (.*?)\.", page)[1].replace(" and ", ", ").split(", ")
    assert set(forms) == {form.value for form in Form}


def test_a_program_that_asks_too_often_waits_as_long_as_it_is_told(services, run, monkeypatch):
    monkeypatch.setattr(services.limits, "_size", 60)
    services.limits._left.clear()
    for _ in range(60):
        services.limits.take(person(services, "Ada"))
    assert run("ask.py", "Xyzzy?").startswith("This is not in the documents.")
    services.limits._left.clear()
