"""Records in from a file whose columns go elsewhere, and the dataset out and into another app."""

import pytest
from playwright.sync_api import expect

from pipeline.annotation.settings import DatasetSettings, Field, Option, Question, QuestionKind
from tests.browser.person import in_colours, too_wide
from tests.servers import QuickApp
from tests.workspace import open_workspace

pytestmark = pytest.mark.browser
SETTINGS = DatasetSettings(
    fields=(Field("text", title="Letter"),),
    questions=(Question("tone", QuestionKind.LABEL, "Tone", options=(Option("warm"), Option("cold"))),),
)
CSV = "Nr;Brief;Ton;tone\nb-1;„Größe“ 🙂 <b>x</b>;x;warm\nb-2;שלום;y;cold\nb-3;;z;warm\n"
CLEAR = "#records-upload [aria-label=Clear]"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with an empty dataset for each test, and the datasets' ids by their names."""
    home = tmp_path_factory.mktemp("records") / "home"
    services = open_workspace(home)
    ids = {name: services.datasets.create(name, SETTINGS).id for name in ("Proposed", "Letters", "Phone")}
    services.close()
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as app:
        yield app, ids


@pytest.fixture
def records_of(running, stays):
    """Open the panel Records of a dataset."""
    app, ids = running

    def open_(dataset):
        person = stays(app.url, path=f"/?tab=edit&dataset={ids[dataset]}", color_scheme="light")
        person.go("Edit")
        if not person.find("#edit-dataset input").input_value().startswith(dataset):
            person.choose("edit-dataset", dataset)
        records(person)
        person.sees("#records-summary", f"0 records in {dataset}.")
        # A file of the test before stays until it is taken out.
        if person.page.locator(CLEAR).count():
            person.click(CLEAR)
        expect(person.page.locator("#records-upload input[type=file]")).to_have_count(1)
        return person

    return open_


def records(person):
    person.open_panel("Records")
    expect(person.find("#records-upload")).to_be_visible()


def goes(person, column, target):
    """Let a column go elsewhere."""
    person.settles()
    person.page.get_by_label(column, exact=True).select_option(label=target)
    person.settles()


def test_where_columns_go_is_what_is_shown_over_a_change_of_panel_and_of_file(records_of, tmp_path):
    lead = records_of("Proposed")
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("Brief,Ton\nDear you,warm\n", "utf-8")
    lead.upload("records-upload", tmp_path / "one.csv")
    lead.sees("#records-report", "Choose the column for “Letter”")
    column = lead.page.get_by_label("Brief", exact=True)
    proposed = column.input_value()
    goes(lead, "Brief", "Field: Letter")
    lead.sees("#records-report", "1 record will be new.")
    lead.open_panel("Annotate")
    records(lead)
    lead.sees("#records-report", "1 record will be new.")
    expect(column).to_have_value("field:text")
    # Another file begins with what is proposed for it.
    lead.click(CLEAR)
    lead.upload("records-upload", tmp_path / "two.csv")
    lead.sees("#records-columns", "in two.csv")
    lead.sees("#records-report", "Choose the column for “Letter”")
    expect(column).to_have_value(proposed)


def test_a_file_comes_in_by_its_columns_and_the_dataset_goes_to_another_app(records_of, tmp_path, open_person):
    lead = records_of("Letters")
    file = tmp_path / "letters.csv"
    file.write_text(CSV, "utf-16")
    lead.upload("records-upload", file)
    lead.sees("#records-columns", "3 rows, 4 columns in letters.csv")
    lead.sees("#records-report", "Choose the column for “Letter”")
    goes(lead, "Brief", "Field: Letter")
    lead.sees("#records-report", "row 4: The field 'text' is empty")
    goes(lead, "Nr", "Record id")
    expect(lead.find("#records-add")).to_be_disabled()
    lead.page.get_by_label("Leave out the 1 row that cannot be read").check()
    expect(lead.find("#records-add")).to_be_enabled()
    assert lead.page.locator("#records-columns b").count() == 0
    lead.press("records-add")
    lead.sees("#records-report", "2 records added.")
    lead.sees("#records-summary", "2 records in Letters.")
    expect(lead.find("#edit-dataset input")).to_have_value("Letters (2)")
    with lead.page.expect_download() as waiting:
        lead.press("records-download")
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == "Letters.pairloop.jsonl"
    with QuickApp(tmp_path / "second", PAIRLOOP_EXAMPLE="0") as second:
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


def test_on_a_phone_nothing_is_wider_than_the_screen(records_of, tmp_path):
    person = records_of("Phone")
    person.page.set_viewport_size({"width": 390, "height": 844})
    in_colours(person.page, "dark")
    file = tmp_path / "letters.csv"
    file.write_text("id,Letter,tone\n1," + "word " * 200 + ",warm\n", "utf-8")
    person.upload("records-upload", file)
    person.sees("#records-columns", "1 row, 3 columns")
    assert too_wide(person.page, 390) == []
    box = person.page.get_by_label("Letter", exact=True).bounding_box()
    assert box["height"] >= 38 and box["x"] + box["width"] <= 390
    person.press("records-add")
    person.sees("#records-report", "1 record added.")
    person.page.set_viewport_size({"width": 1440, "height": 1000})
    in_colours(person.page, "light")
