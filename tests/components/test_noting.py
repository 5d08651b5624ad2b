"""What somebody does on a screen stands in the activity log: under their name, and without what judges must not know."""

import time
from types import SimpleNamespace

import pytest

from components._guard import ASKER, Asker, allowed, asked_by
from components.ask.documents import DocumentsHandlers
from components.ask.runs import RunsHandlers
from components.compare.tab import CompareHandlers
from components.edit.new_dataset import NewDatasetHandlers
from components.edit.record_panel import RecordHandlers
from components.edit.setup_handlers import SetupHandlers
from components.results.share import ShareHandlers
from components.settings.storage import StorageHandlers
from components.tune.handlers import TuneHandlers
from pipeline.errors import StoreError
from pipeline.record_files.writing import Form
from pipeline.records import Role
from tests.components.screens import BO, event, value
from tests.material import add_queries, finished, open_copy, prepare, trained
from tests.workspace import add_model


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noting")
    workspace = open_copy(prepare(folder), folder / "copy")
    workspace.store.members.rename(workspace.store.members.by_token("b" * 64), "Bo")
    yield workspace
    workspace.close()


def do(services, handler, *given, role=Role.ADMIN):
    """Call a handler as the listener of a page that Bo has open."""
    request = SimpleNamespace(request=SimpleNamespace(scope={ASKER: Asker(services, "")}), **vars(BO))
    return allowed(role, handler)(request, *given)


def told(services, most=1):
    """Return the newest lines, the oldest of them first."""
    lines = services.activity.latest(most=most).lines
    return [f"{line.who} {line.did} {line.subject} {line.detail}".strip() for line in reversed(lines)]


def test_documents(services, tmp_path):
    files = [tmp_path / name for name in ("one.md", "two.md", "three.md")]
    for number, file in enumerate(files):
        file.write_text(f"# Part {number}\n\nThe boat number {number} is blue.", encoding="utf-8")
    handlers = DocumentsHandlers(services)
    do(services, handlers.add_files, [str(files[0])])
    do(services, handlers.add_files, [str(file) for file in files])
    document = next(item for item in services.library.summaries() if item.name == "one.md")
    do(services, handlers.delete_document, event(document=document.id))
    assert told(services, 3) == [
        "Bo added a document one.md",
        "Bo added documents two.md … 2 documents",
        "Bo removed a document one.md",
    ]


def test_datasets_and_records(services):
    made = do(services, NewDatasetHandlers(services).create, "Reviews", "answer-review", 3, None, None, None)
    dataset_id, setup = value(made.dataset), SetupHandlers(services)
    do(services, setup.save_guidelines, dataset_id, "Be kind.")
    do(services, setup.rename, dataset_id, "Kind reviews")
    do(services, setup.rename, dataset_id, "Kind reviews")
    do(services, setup.publish, dataset_id)
    do(services, RecordHandlers(services).download, dataset_id, next(iter(Form)).value)
    assert [line.rpartition(" pairloop")[0] or line for line in told(services, 5)][:4] == [
        "Bo created the dataset Reviews 0 records",
        "Bo changed the dataset Reviews its guidelines",
        "Bo renamed the dataset Kind reviews it was Reviews",
        "Bo published the dataset Kind reviews 0 records",
    ]
    assert told(services)[0].startswith("Bo exported records of Kind reviews")


def test_a_comparison_a_run_and_its_files_name_no_model(services):
    secret = add_model(services, "Secret")
    list_id = add_queries(services, (), ["Where is the lantern?", "Where is the pump?"], name="Asked")
    run = do(services, RunsHandlers(services).start_run, list_id, secret.id, "", BO)
    finished(services, run.run_id)
    do(services, CompareHandlers(services).create_comparison, secret.id, services.registry.all()[0].id, list_id)
    deadline = time.monotonic() + 30
    while services.comparisons.sets()[0].state == "preparing" and time.monotonic() < deadline:
        time.sleep(0.02)
    set_id = services.comparisons.sets()[0].id
    services.comparisons.reveal(set_id, services.store.members.by_token("b" * 64))
    do(services, ShareHandlers(services).download_jsonl, set_id, BO)
    do(services, ShareHandlers(services).make_link, set_id, BO)
    lines = told(services, 4)
    assert lines == [
        "Bo started a run over Asked 2 queries",
        "Bo created Comparison 1 · Asked",
        "Bo exported the votes of Comparison 1 · Asked jsonl",
        "Bo made a link to the results of Comparison 1 · Asked",
    ]


def test_a_training_job_is_told_from_its_start_to_its_end(services):
    dataset = next(item for item in services.datasets.all() if item.run_id)
    me = services.store.members.by_token("b" * 64)
    for record in services.store.datasets.records(dataset.id):
        services.annotation.submit(record.id, me, {"answer": record.completion})
    base = services.registry.all()[0]
    do(services, TuneHandlers(services).start_training, dataset.id, base.id, None, BO)
    job = trained(services, services.tuner.jobs()[0].id)
    deadline = time.monotonic() + 10
    while "ended" not in told(services)[0] and time.monotonic() < deadline:
        time.sleep(0.02)
    began, ended = told(services, 2)
    assert began.startswith(f"Bo began to train {base.name} with ")
    assert ended == f"ended the training of {services.store.models.get(job.model_id).name} done"


def test_every_step_of_a_listener_that_goes_on_knows_who_asked(services):
    def steps():
        yield asked_by()
        yield asked_by()

    first, second = do(services, steps)
    assert first is second is not None and asked_by() is None
    # One that is left before its end is closed.
    left = do(services, steps)
    next(left)
    left.close()
    assert asked_by() is None


def test_storage_is_told_when_its_file_was_made(services):
    list(do(services, StorageHandlers(services).ask_for_file, BO, role=Role.OWNER))
    assert told(services) == ["Bo downloaded the workspace as a file"]


def test_that_nothing_can_be_noted_undoes_nothing(services, tmp_path, monkeypatch):
    def full(*given):
        raise StoreError("This could not be saved (disk is full). Nothing of it was.")

    file = tmp_path / "last.md"
    file.write_text("# Last\n\nThe last boat is red.", encoding="utf-8")
    monkeypatch.setattr(services.store.activity, "add", full)
    assert "Added last.md" in do(services, DocumentsHandlers(services).add_files, [str(file)]).report
