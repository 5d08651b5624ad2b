"""Beside Compare: nothing on Tune and Settings shows an answer, or what it took, that this person still judges blind."""

import pytest

from components.settings.model_form import Fields
from components.settings.model_panel import ModelHandlers
from components.tune.handlers import TuneHandlers
from pipeline.comparisons import WITHHELD
from pipeline.errors import TrainingError
from tests.components.screens import ADA, member
from tests.lined import lined
from tests.material import TEST, add_queries, finished
from tests.workspace import add_comparison, open_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Ada has opened one comparison, and judges another one over the same queries."""
    folder = tmp_path_factory.mktemp("elsewhere")
    services = open_workspace(folder / "home")
    ada = member(services)
    found = lined(services, folder, ada)
    services.comparisons.reveal(found.set_id, ada)
    texts = [(f"Base {n}. [1]", f"Tuned {n}. [1]") for n in range(3)]
    blind = add_comparison(services, (found.base, found.tuned), texts, TEST)
    yield services, found, blind, ada
    services.close()


@pytest.mark.parametrize("form", ["trl-preference", "trl-unpaired", "openai-preference", "parquet-preference"])
def test_a_training_file_with_answers_that_are_judged_blind_is_not_handed_out(workspace, form):
    services, found, _, _ = workspace
    handlers = TuneHandlers(services)
    for download in (handlers.download_rows, handlers.download_lineage):
        with pytest.raises(TrainingError, match="that you still judge blind on Compare"):
            download(None, [found.set_id], ADA, "", form)


def test_the_row_that_is_shown_is_of_no_query_that_is_judged_blind(workspace):
    services, found, _, _ = workspace
    shown = TuneHandlers(services).show_data(None, [found.set_id], ADA, "dpo")
    assert "preference pairs" in shown.card and "Base" not in shown.preview and "Quick" not in shown.preview


def test_a_model_is_not_tried_on_a_query_that_is_kept_for_compare(workspace):
    services, *_ = workspace
    empty = dict.fromkeys(Fields._fields, "") | {"preset": "vllm", "template": "answer-review", "model_id": "m"}
    typed = [(empty | {"endpoint": "http://127.0.0.1:1/v1"})[name] for name in Fields._fields]
    said = list(ModelHandlers(services).test_model(f"  {TEST[0].upper()} ", ADA, *typed))[-1]
    assert WITHHELD in said
    assert "Cannot reach" in list(ModelHandlers(services).test_model("What else?", ADA, *typed))[-1]


def test_what_one_withheld_answer_took_is_on_no_page_of_its_model(workspace):
    services, found, _, ada = workspace
    runs = {
        split: services.generation.start_run(found.base.id, add_queries(services, [text], ()))
        for split, text in (("held", TEST[0]), ("free", "When is the office open?"))
    }
    for run_id in runs.values():
        finished(services, run_id)
    shown = {item.run.id: item for item in services.lineage.page(found.base.id, ada).runs}
    assert not shown[runs["held"]].taken and shown[runs["free"]].taken
