"""Datasets made on the screen: by hand, from a file, from the tutorial; and a change that is refused."""

import re

import pytest
import yaml
from playwright.sync_api import expect

from pipeline.annotation.files import from_text
from pipeline.annotation.settings import FieldKind, QuestionKind
from pipeline.annotation.templates import tutorial_settings
from pipeline.store.datasets import NewRecord
from tests.browser.person import in_colours, too_wide
from tests.browser.test_looks import SMALL_TEXT, violations
from tests.material import TRAIN, reviewable
from tests.servers import QuickApp
from tests.workspace import open_workspace, person

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with a run of train queries, and a dataset with an answer."""
    folder = tmp_path_factory.mktemp("setup")
    services = open_workspace(folder / "home")
    reviewable(services, folder)
    dataset = services.datasets.create_from_template("text-classification", "Answered", publish=True)
    services.datasets.add_records(dataset.id, [NewRecord({"text": "A fine harbour."})])
    record = services.store.datasets.records(dataset.id)[0]
    services.annotation.submit(record.id, person(services, "Ada"), {"label": "positive"})
    services.close()
    with QuickApp(folder / "home", PAIRLOOP_EXAMPLE="0") as process:
        yield process


@pytest.fixture
def lead(running, stays):
    """Somebody on Edit, with a window for a desk."""
    lead = stays(running.url, path="/?tab=edit", color_scheme="light")
    lead.go("Edit")
    return lead


def begin(lead, template: str, name: str = "") -> None:
    """Open the panel for a new dataset, and choose what it begins with."""
    lead.press("edit-new")
    lead.find("#new-begin label").wait_for()
    lead.click(f"#new-begin label:has-text('{template}')")
    lead.type_into("new-name", name)


def create(lead, name: str) -> None:
    """Make the dataset and wait for its setup."""
    lead.press("new-create")
    expect(lead.find("#setup-name textarea, #setup-name input")).to_have_value(name)


def add(lead, what: str, kind: str, title: str, options: str = "", required: bool = True) -> None:
    """Add a field, a question or metadata."""
    lead.press(f"setup-add-{what}")
    lead.sees("#setup-form-title", "New")
    lead.choose("setup-kind", re.compile(kind))
    lead.type_into("setup-title", title)
    if options:
        lead.type_into("setup-options", options)
    if what != "metadata":
        lead.settles()
        lead.find("#setup-flag input").set_checked(required)
    lead.press("setup-save")
    lead.sees("#setup-part-message", "Saved")
    lead.sees("#setup-parts", title)


def downloaded(lead, button: str) -> str:
    """Return the text of a file that a button makes."""
    with lead.page.expect_download() as download:
        lead.press(button)
    return download.value.path().read_text(encoding="utf-8")


def test_a_dataset_is_made_by_hand_published_exported_and_imported_again(lead, tmp_path):
    begin(lead, "Blank:", "By hand")
    create(lead, "By hand")
    lead.sees("#setup-state", "Add a field")
    add(lead, "field", "^Text", "Message")
    add(lead, "field", "^Contexts", "Passages", required=False)
    lead.sees("#setup-state", "Add a question")
    add(lead, "question", "^Rating", "How clear is it?")
    add(lead, "question", "^Label", "Topic", "berth | Berths\nfuel | Fuel")
    add(lead, "question", "^Multi-label", "What is missing?", "date\nprice", required=False)
    add(lead, "question", "^Ranking", "Order of importance", "a | First thing\nb | Second thing")
    add(lead, "question", "^Text", "Better wording", required=False)
    add(lead, "metadata", "^Terms", "Source", "mail\nphone")
    lead.press("setup-up")
    lead.sees("#setup-state", "It is complete")
    lead.unfold("setup-guidelines-panel")
    lead.type_into("setup-guidelines", "Read it **twice**.")
    expect(lead.find("#setup-guidelines-shown strong")).to_have_text("twice")
    lead.press("setup-save-guidelines")
    lead.sees("#setup-guidelines-message", "Saved")
    lead.unfold("setup-rules")
    lead.type_into("setup-min", "2")
    lead.type_into("setup-quorum", "3")
    expect(lead.find("#setup-min input")).to_have_value("2")
    lead.settles()
    lead.find("#setup-chunks input").check()
    lead.press("setup-save-rules")
    lead.sees("#setup-rules-message", "Saved")
    lead.unfold("setup-looks")
    lead.sees("#setup-preview", "Order of importance")
    lead.press("setup-publish")
    lead.sees("#setup-state", "Published, 0 records")
    expect(lead.page.locator("#setup-publish")).to_have_count(0)

    # What was saved is on the server: it is all there after a reload.
    lead.page.reload()
    lead.go("Edit")
    lead.choose("edit-dataset", re.compile("By hand"))
    lead.open_panel("Setup")
    lead.sees("#setup-parts", "Better wording")
    lead.unfold("setup-files")
    text = downloaded(lead, "setup-yaml")
    settings = from_text(text).settings
    assert [field.kind for field in settings.fields] == [FieldKind.TEXT, FieldKind.CONTEXTS]
    assert {question.kind for question in settings.questions} == set(QuestionKind)
    assert settings.question("how-clear-is-it").values == (1, 2, 3, 4, 5)
    assert (settings.distribution.min_submitted, settings.distribution.discard_quorum) == (2, 3)
    assert settings.mark_chunks and settings.guidelines == "Read it **twice**."
    assert from_text(downloaded(lead, "setup-json")).settings == settings

    begin(lead, "From a file:")
    file = tmp_path / "moved.yaml"
    file.write_text(text, encoding="utf-8")
    lead.upload("new-file", file)
    lead.holds("new-file", "moved.yaml")
    create(lead, "moved")
    lead.sees("#setup-state", "Draft")
    assert yaml.safe_load(downloaded(lead, "setup-yaml")) == yaml.safe_load(text)


def test_a_change_that_would_invalidate_answers_is_refused_beside_the_form(lead):
    lead.choose("edit-dataset", re.compile("Answered"))
    lead.open_panel("Setup")
    lead.click("#setup-parts label:has-text('Which label fits?')")
    lead.type_into("setup-options", "neutral\nnegative")
    lead.press("setup-save")
    lead.sees(
        "#setup-part-message [role=alert]", "cannot be removed or renamed: it was chosen, suggested or decided on"
    )
    # What was typed is still there to be put right.
    lead.keeps("setup-options", "neutral\nnegative")
    lead.type_into("setup-options", "positive | Good\nneutral\nnegative\nmixed")
    lead.press("setup-save")
    lead.sees("#setup-part-message", "Saved")
    lead.press("setup-remove")
    lead.sees("#setup-part-message [role=alert]", "1 response answers it")
    lead.sees("#setup-parts", "Which label fits?")


def test_the_tutorials_dataset_is_one_click_and_is_filled_from_a_run(lead):
    lead.press("edit-new")
    lead.press("new-tutorial")
    expect(lead.find("#setup-name textarea, #setup-name input")).to_have_value("customer_assistant")
    for question in tutorial_settings().questions:
        lead.sees("#setup-parts", question.title)
    lead.unfold("setup-files")
    lead.choose("setup-run", re.compile("Harbour"))
    lead.press("setup-fill")
    lead.sees("#setup-run-message", f"Added {len(TRAIN)} records")
    lead.sees("#setup-state", f"Published, {len(TRAIN)} records")
    lead.open_panel("Annotate")
    lead.sees("#edit-question-response", "Write a helpful, harmless, accurate response to the user question")


def test_a_dataset_is_made_and_published_with_the_keyboard_alone(lead):
    keyboard = lead.page.keyboard

    def reach(selector: str) -> None:
        for _ in range(80):
            if lead.page.evaluate("s => !!document.activeElement?.closest(s)", selector):
                return
            keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached with Tab")

    # What somebody has chosen before stays chosen.
    lead.press("edit-new")
    lead.click("#new-begin label")
    lead.press("new-cancel")
    lead.settles()
    lead.find("#edit-new").focus()
    keyboard.press("Enter")
    lead.find("#new-begin label").wait_for()
    lead.settles()
    reach("#new-name")
    keyboard.type("By keys")
    reach("#new-begin")
    # From the first template to the third, as in every group of radio buttons.
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    lead.settles()
    reach("#new-create")
    keyboard.press("Enter")
    expect(lead.find("#setup-name textarea, #setup-name input")).to_have_value("By keys")
    lead.settles()
    reach("#setup-add-question")
    keyboard.press("Enter")
    lead.sees("#setup-form-title", "New question")
    expect(lead.find("#setup-title textarea, #setup-title input")).to_be_focused()
    lead.settles()
    keyboard.type("What else?")
    reach("#setup-save")
    keyboard.press("Enter")
    lead.sees("#setup-part-message", "Saved")
    lead.find("#setup-name textarea, #setup-name input").focus()
    reach("#setup-publish")
    keyboard.press("Enter")
    lead.sees("#setup-state", "Published")


def test_both_panels_fit_can_be_read_and_are_accessible(lead):
    problems = []

    def check(panel: str) -> None:
        # Sizes do not depend on the colours: the dark panels are looked at in one width.
        for width, look in ((390, "light"), (1440, "light"), (1440, "dark")):
            in_colours(lead.page, look)
            lead.page.set_viewport_size({"width": width, "height": 844})
            problems.extend(f"{panel} is {wide}" for wide in too_wide(lead.page, width))
            problems.extend(f"{panel}, {width}: small text {text}" for text in lead.page.evaluate(SMALL_TEXT))
            problems.extend(f"{panel}, {width}, {look}: {found}" for found in violations(lead))
        in_colours(lead.page, "light")

    lead.press("edit-new")
    lead.find("#new-begin label").wait_for()
    check("New dataset")
    lead.press("new-cancel")
    lead.choose("edit-dataset", re.compile("Answered"))
    lead.click("#setup-parts label:has-text('Which label fits?')")
    lead.sees("#setup-form-title", "Which label fits?")
    for panel in ("setup-looks", "setup-guidelines-panel", "setup-rules", "setup-files"):
        lead.unfold(panel)
    lead.sees("#setup-preview", "Which label fits?")
    lead.find("#setup-spans").wait_for()
    check("Setup")
    lead.press("setup-add-metadata")
    lead.sees("#setup-form-title", "New metadata property")
    check("Setup of metadata")
    assert problems == []
