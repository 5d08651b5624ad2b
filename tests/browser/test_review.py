"""People disagree, somebody decides, and the unified answers are downloaded; on a wide window and on a phone."""

import csv
import json
import re

import pytest
from playwright.sync_api import expect

from components._session import COOKIE
from tests.browser.person import in_colours, too_wide
from tests.browser.test_looks import violations
from tests.reviewed import OTHERS, SETTINGS, add_reviewed
from tests.servers import QuickApp
from tests.workspace import open_workspace

pytestmark = pytest.mark.browser
TOKEN = "d" * 64


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with datasets that Ada, Bo and Cy have answered, and Dora has not; and the datasets' ids by their names."""
    home = tmp_path_factory.mktemp("review") / "home"
    services = open_workspace(home)
    services.datasets.create("Not begun", SETTINGS)
    ids = {}
    # The first is left as it is, each of the others belongs to a test that changes it.
    for name in ("Harbour answers", "To be decided", "To be left"):
        ids[name] = add_reviewed(services)[0].id
        services.store.datasets.change(ids[name], name=name)
    services.store.members.rename(services.store.members.by_token(TOKEN), "Dora")
    services.close()
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as process:
        yield process, ids


@pytest.fixture
def dora_on(running, stays):
    """Open the panel Review of a dataset as Dora."""
    app, ids = running

    def open_(dataset):
        cookie = {"name": COOKIE, "value": TOKEN, "domain": "127.0.0.1", "path": "/", "expires": -1}
        state = {"cookies": [{**cookie, "httpOnly": True, "secure": False, "sameSite": "Lax"}], "origins": []}
        person = stays(app.url, path=f"/?tab=edit&dataset={ids[dataset]}", storage_state=state, color_scheme="light")
        person.go("Edit")
        if not person.find("#edit-dataset input").input_value().startswith(dataset):
            person.choose("edit-dataset", dataset)
        person.open_panel("Review")
        person.sees("#review-headline", "Annotators agree")
        if person.find("#review-item").is_visible():
            person.click("#review-back button, button#review-back")
        return person

    return open_


@pytest.fixture
def dora(dora_on):
    return dora_on("Harbour answers")


def downloaded(person, button):
    with person.page.expect_download() as download:
        person.click(f"#{button}")
    return download.value.path().read_text(encoding="utf-8")


def decided(person, question):
    return person.find(f'#review-item [data-decides="{question}"]')


def test_a_third_person_decides_takes_back_and_downloads(dora_on):
    dora = dora_on("To be decided")
    dora.sees("#review-disagreements", "2 records with answers of others are not shown")
    dora.click("[data-review-open]")
    dora.sees("#review-item", "Where is diesel sold?")
    expect(dora.find("#review-back")).to_be_focused()
    expect(dora.page.locator("#review-item [data-decides=tone] [data-differs]")).to_have_count(1)
    decided(dora, "quality").get_by_label("2", exact=True).check()
    decided(dora, "tone").get_by_label("Cold").check()
    decided(dora, "topics").get_by_label("storms").check()
    decided(dora, "order").get_by_label("Rank of B").select_option("2")
    decided(dora, "answer").get_by_text("Use this").nth(2).click()
    expect(decided(dora, "answer").locator("textarea")).to_have_value(OTHERS["answer"])
    dora.find("#review-reason").fill("The manual says so.")
    dora.click("[data-review=save]")
    dora.sees("#review-item", "Decided by Dora")
    dora.sees("#review-headline", "1 decided")

    dora.click("#review-back button, button#review-back")
    expect(dora.page.locator(".pl-review-list li").last).to_contain_text("decided")
    dora.unfold("review-unified-panel")
    rows = list(csv.DictReader(downloaded(dora, "review-csv").splitlines()))
    row = next(row for row in rows if row["field.query"] == "Where is diesel sold?")
    assert (row["quality"], row["quality.state"], row["tone"]) == ("2", "adjudicated", "cold")
    assert json.loads(row["topics"]) == ["fees", "fuel", "storms"] and row["answer"] == OTHERS["answer"]
    assert [rank["rank"] for rank in json.loads(row["order"])] == [1, 2, 3] and row[
        "decision_reason"
    ] == "The manual says so."
    lines = [json.loads(line) for line in downloaded(dora, "review-jsonl").splitlines()]
    assert len(lines) == 8 and lines[4]["hidden"] is True

    # The decision outlives a reload, and can be taken back.
    dora.page.reload()
    dora.go("Edit")
    dora.open_panel("Review")
    dora.settles()
    dora.page.locator("[data-review-open]").last.click()
    dora.sees("#review-item", "Decided by Dora")
    dora.click("[data-review=withdraw]")
    expect(dora.page.locator("#review-item [data-review=withdraw]")).to_have_count(0)
    dora.sees("#review-item", "As the answers come out")


def test_a_decision_that_is_not_saved_is_there_when_somebody_comes_back(dora_on):
    dora = dora_on("To be left")
    dora.click("[data-review-open]")
    dora.sees("#review-item", "Where is diesel sold?")
    decided(dora, "quality").get_by_label("2", exact=True).check()
    decided(dora, "order").get_by_label("Rank of B").select_option("2")
    decided(dora, "answer").locator("textarea").fill("At the pier, I think.")
    dora.find("#review-reason").fill("To be looked up.")
    dora.click("[data-review=next]")
    dora.sees("#review-item", re.compile("^(?!.*Where is diesel sold).*Save decision", re.S))
    expect(dora.find("#review-reason")).to_have_value("")
    dora.click("#review-back button, button#review-back")
    dora.click("[data-review-open]")
    dora.sees("#review-item [data-unsaved]:visible", "Not saved yet")
    expect(decided(dora, "quality").get_by_label("2", exact=True)).to_be_checked()
    expect(decided(dora, "order").get_by_label("Rank of B")).to_have_value("2")
    expect(decided(dora, "answer").locator("textarea")).to_have_value("At the pier, I think.")
    expect(dora.find("#review-reason")).to_have_value("To be looked up.")
    dora.click("[data-review=save]")
    dora.sees("#review-item", "Decided by Dora")
    expect(dora.find("[data-unsaved]")).to_be_hidden()
    dora.click("[data-review=withdraw]")
    expect(dora.page.locator("#review-item [data-review=withdraw]")).to_have_count(0)
    expect(dora.find("[data-unsaved]")).to_be_hidden()
    expect(dora.find("#review-reason")).to_have_value("")


def test_another_dataset_is_shown_where_the_panel_is_open(dora):
    dora.click("[data-review-open]")
    dora.sees("#review-item", "Save decision")
    # The focus goes there a moment later, and would close a list that is open by then.
    expect(dora.find("#review-back")).to_be_focused()
    dora.choose("edit-dataset", "Not begun")
    dora.sees("#review-headline", "Nothing to review yet")
    expect(dora.page.locator("#review-item")).to_be_hidden()
    dora.choose("edit-dataset", "Harbour answers")
    dora.sees("#review-headline", "Annotators agree")
    dora.sees("#review-disagreements", "Where is diesel sold?")


def test_the_list_is_ordered_by_one_question_and_next_goes_on(dora):
    dora.choose("review-question", "How good is the answer?")
    dora.sees("#review-disagreements", re.compile(r"67 % apart.*50 % apart.*17 % apart", re.S))
    dora.find("[data-review-open]").focus()
    dora.page.keyboard.press("Enter")
    dora.sees("#review-item", "Where is diesel sold?")
    dora.click("[data-review=next]")
    dora.sees("#review-item", "What does a red lantern warn of?")
    # A decision without any answer is refused, and what was typed stays.
    for question in ("quality", "tone"):
        decided(dora, question).get_by_label("No decision").check()
    for label in ("fees", "fuel", "storms"):
        decided(dora, "topics").get_by_label(label).uncheck()
    for option in "ABC":
        decided(dora, "order").get_by_label(f"Rank of {option}").select_option("")
    decided(dora, "answer").locator("textarea").fill("")
    dora.find("#review-reason").fill("Nobody can tell.")
    dora.click("[data-review=save]")
    dora.toast("Choose an answer to at least one question")
    expect(dora.find("#review-reason")).to_have_value("Nobody can tell.")


def test_it_fits_and_is_accessible_wide_and_on_a_phone(dora):
    for panel in ("review-unified-panel", "review-suggestions-panel", "review-retrieval-panel"):
        dora.unfold(panel)
    folded = dora.page.locator("#review-screen .pl-more:not([open]) > summary:visible")
    for _ in range(30):
        if not folded.count():
            break
        folded.first.click()
    expect(folded).to_have_count(0)
    dora.sees("#review-retrieval", "Precision@2")
    check(dora)
    dora.click("[data-review-open]")
    dora.sees("#review-item", "Save decision")
    check(dora)


def check(person):
    # Sizes do not depend on the colours: the dark panel is looked at in one width.
    for width, look in ((390, "light"), (1440, "light"), (1440, "dark")):
        in_colours(person.page, look)
        person.page.set_viewport_size({"width": width, "height": 844})
        assert too_wide(person.page, width) + violations(person) == []
        small = person.page.evaluate(
            """() => [...document.querySelectorAll('#review-screen *')].filter((part) => part.getClientRects().length
                && [...part.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
                && !part.closest('.pl-unseen') && parseFloat(getComputedStyle(part).fontSize) < 14)
                .map((part) => `${part.tagName} ${part.textContent.slice(0, 40)}`)"""
        )
        assert small == []
    in_colours(person.page, "light")
