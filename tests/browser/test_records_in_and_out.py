"""Records in from a file whose columns go elsewhere, and the dataset out and into another app."""

import pytest
from playwright.sync_api import expect

from pipeline.annotation.settings import DatasetSettings, Field, Option, Question, QuestionKind
from tests.servers import AppProcess
from tests.workspace import open_workspace

pytestmark = pytest.mark.browser
SETTINGS = DatasetSettings(
    fields=(Field("text", title="Letter"),),
    questions=(Question("tone", QuestionKind.LABEL, "Tone", options=(Option("warm"), Option("cold"))),),
)
CSV = "Nr;Brief;Ton;tone\nb-1;„Größe“ 🙂 <b>x</b>;x;warm\nb-2;שלום;y;cold\nb-3;;z;warm\n"


@pytest.fixture
def letters(tmp_path):
    """An app with an empty dataset."""
    services = open_workspace(tmp_path / "home")
    services.datasets.create("Letters", SETTINGS)
    services.close()
    with AppProcess(tmp_path / "home", PAIRLOOP_EXAMPLE="0") as app:
        yield app


def records(person):
    person.page.get_by_role("tab", name="Records", exact=True).click()
    expect(person.find("#records-upload")).to_be_visible()


def test_where_columns_go_is_what_is_shown_over_a_change_of_panel_and_of_file(letters, tmp_path, open_person):
    lead = open_person(letters.url, path="/?tab=edit")
    records(lead)
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("Brief,Ton\nDear you,warm\n", "utf-8")
    lead.upload("records-upload", tmp_path / "one.csv")
    lead.sees("#records-report", "Choose the column for “Letter”")
    column = lead.page.get_by_label("Brief", exact=True)
    proposed = column.input_value()
    column.select_option(label="Field: Letter")
    lead.sees("#records-report", "1 record will be new.")
    lead.page.get_by_role("tab", name="Annotate", exact=True).click()
    records(lead)
    lead.page.wait_for_timeout(800)
    lead.sees("#records-report", "1 record will be new.")
    expect(column).to_have_value("field:text")
    # Another file begins with what is proposed for it.
    lead.find("#records-upload button[aria-label=Clear], #records-upload [aria-label='Clear']").click()
    lead.upload("records-upload", tmp_path / "two.csv")
    lead.sees("#records-columns", "in two.csv")
    lead.sees("#records-report", "Choose the column for “Letter”")
    expect(column).to_have_value(proposed)


def test_a_file_comes_in_by_its_columns_and_the_dataset_goes_to_another_app(letters, tmp_path, open_person):
    lead = open_person(letters.url, path="/?tab=edit")
    records(lead)
    lead.sees("#records-summary", "0 records in Letters.")
    file = tmp_path / "letters.csv"
    file.write_text(CSV, "utf-16")
    lead.upload("records-upload", file)
    lead.sees("#records-columns", "3 rows, 4 columns in letters.csv")
    lead.sees("#records-report", "Choose the column for “Letter”")
    lead.page.get_by_label("Brief", exact=True).select_option(label="Field: Letter")
    lead.sees("#records-report", "row 4: The field 'text' is empty")
    lead.page.get_by_label("Nr", exact=True).select_option(label="Record id")
    expect(lead.find("#records-add")).to_be_disabled()
    lead.page.get_by_label("Leave out the 1 row that cannot be read").check()
    expect(lead.find("#records-add")).to_be_enabled()
    assert lead.page.locator("#records-columns b").count() == 0
    lead.press("records-add")
    lead.sees("#records-report", "2 records added.")
    lead.sees("#records-summary", "2 records in Letters.")
    assert lead.find("#edit-dataset input").input_value() == "Letters (2)"
    with lead.page.expect_download() as waiting:
        lead.press("records-download")
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == "Letters.pairloop.jsonl"
    with AppProcess(tmp_path / "second", PAIRLOOP_EXAMPLE="0") as second:
        other = open_person(second.url, path="/?tab=edit")
        records(other)
        other.sees("#records-summary", "There is no dataset yet.")
        other.upload("records-upload", path)
        other.sees("#records-report", "a whole dataset, Letters: 2 records, 2 suggestions")
        other.press("records-add")
        other.sees("#records-report", "Letters is there, with 2 records.")
        with other.page.expect_download() as waiting:
            other.press("records-download")
        waiting.value.save_as(tmp_path / "again.jsonl")
        assert (tmp_path / "again.jsonl").read_bytes() == path.read_bytes()


def test_on_a_phone_nothing_is_wider_than_the_screen(letters, tmp_path, open_person):
    person = open_person(letters.url, path="/?tab=edit", viewport={"width": 390, "height": 844}, color_scheme="dark")
    records(person)
    file = tmp_path / "letters.csv"
    file.write_text("id,Letter,tone\n1," + "word " * 200 + ",warm\n", "utf-8")
    person.upload("records-upload", file)
    person.sees("#records-columns", "1 row, 3 columns")
    assert person.page.evaluate("document.documentElement.scrollWidth") <= 390
    box = person.page.get_by_label("Letter", exact=True).bounding_box()
    assert box["height"] >= 38 and box["x"] + box["width"] <= 390
    person.press("records-add")
    person.sees("#records-report", "1 record added.")
