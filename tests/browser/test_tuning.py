"""A fine-tuning job at an endpoint, in a real Chromium: chosen, planned, followed over a restart of the app, compared."""

import json
import re

import pytest
from playwright.sync_api import expect

from pipeline.annotation.templates import ANSWER
from tests.browser.person import too_wide
from tests.browser.test_looks import violations
from tests.material import reviewable
from tests.servers import QuickApp
from tests.tuning_server import TuningServer
from tests.workspace import open_workspace, person

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """A workspace whose train queries were reviewed: every second suggestion was changed."""
    folder = tmp_path_factory.mktemp("tuning")
    services = open_workspace(folder / "home")
    dataset, ada = reviewable(services, folder), person(services, "Ada")
    for n, record in enumerate(services.store.datasets.records(dataset.id)):
        text = record.completion if n % 2 else f"In short: <b>{n}</b>. [1]"
        services.annotation.submit(record.id, ada, {ANSWER: text})
    services.close()
    return folder / "home"


@pytest.fixture(scope="module")
def endpoint():
    with TuningServer(api_key="sk-tests", models=["gpt-test"]) as server:
        yield server


@pytest.fixture(scope="module")
def running(reviewed, endpoint):
    settings = {"OPENAI_BASE_URL": endpoint.base_url, "OPENAI_API_KEY": "sk-tests", "OPENAI_MODEL": "gpt-test"}
    with QuickApp(reviewed, PAIRLOOP_EXAMPLE="0", **settings) as app:
        yield app


@pytest.fixture
def ada(running, stays):
    """Somebody on Tune, who has a row of each reviewed answer."""
    ada = stays(running.url, path="/?tab=tune", color_scheme="light")
    ada.go("Tune")
    ada.find("#tune-method").get_by_text("Answers (SFT)").click()
    ada.sees("#tune-card", re.compile(r"5\s*rows"))
    return ada


def test_pairs_are_shown_and_downloaded(ada, tmp_path):
    ada.find("#tune-method").get_by_text("Preference pairs").click()
    ada.sees("#tune-card", re.compile(r"3\s*preference pairs"))
    ada.unfold("tune-preview")
    ada.sees("#tune-preview", "In short: <b>0</b>. [1]")
    ada.choose("tune-form", "TRL preference pairs (JSONL)")
    ada.sees("#tune-form-about", "DPOTrainer")
    with ada.page.expect_download() as made:
        ada.press("tune-download")
    made.value.save_as(tmp_path / "pairs.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 3 and {"prompt", "chosen", "rejected", "annotator", "contexts"} <= rows[0].keys()
    assert made.value.suggested_filename == "pairloop-trl-preference.jsonl"


def test_a_job_is_planned_followed_over_a_restart_and_compared(running, endpoint, ada, open_person):
    endpoint.held = True
    ada.sees("#tune-trainers", "It starts from a chat model at an endpoint")
    ada.choose("tune-base", "gpt-test")
    ada.sees("#tune-trainers", re.compile("Hugging Face Jobs.*Set HF_TOKEN", re.DOTALL))
    ada.find("#tune-option-price_per_million").fill("5")
    ada.find("#tune-option-price_per_million").blur()
    ada.sees("#tune-trainers", "US$ 5 for a million")
    ada.click('[data-trainer="hf_jobs"]')
    expect(ada.find("#tune-option-weights")).to_have_value("")
    expect(ada.find("#tune-train")).to_be_disabled()
    ada.click('[data-trainer="openai"]')
    expect(ada.find("#tune-option-price_per_million")).to_have_value("5")
    expect(ada.find("#tune-train")).to_be_enabled()
    ada.settles()
    assert violations(ada) == [] and too_wide(ada.page, 1440) == []
    ada.press("tune-train")
    ada.sees("#tune-jobs", "running")
    ada.sees("#tune-job", "OpenAI-compatible fine-tuning: running")
    running.stop(timeout=60)
    endpoint.held = False
    running.start()
    # What is typed into the page is gone with the app's memory of it, the job is not.
    later = open_person(running.url, path="/?tab=tune", color_scheme="dark", viewport={"width": 390, "height": 844})
    later.go("Tune")
    later.sees("#tune-jobs", re.compile(r"gpt-test-tuned-\d"))
    later.sees("#tune-job", "succeeded")
    later.find("#tune-loss .gtitle").wait_for()
    later.settles()
    assert too_wide(later.page, 390) == [] and violations(later) == []
    later.press("tune-compare")
    expect(later.page.get_by_label("One model")).to_have_value(re.compile(r"^gpt-test-tuned-\d$"))
    expect(later.page.get_by_label("Other model")).to_have_value("gpt-test")
