"""Bad input through the real page: each gets a sentence that says what to do, and what was done already stays."""

import re

import pytest
from playwright.sync_api import expect

from tests.openai_server import OpenAIServer
from tests.servers import QuickApp
from tests.workspace import open_workspace

pytestmark = pytest.mark.browser
KEY = "sk-marked-secret-77-and-more"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """An app without documents that takes files of up to 1 MB."""
    home = tmp_path_factory.mktemp("plain") / "home"
    with QuickApp(home, PAIRLOOP_EXAMPLE="0", PAIRLOOP_MAX_UPLOAD_MB="1") as app:
        yield app


@pytest.fixture
def keeper(plain, stays):
    """Somebody on Ask of the app without documents."""
    keeper = stays(plain.url, path="/?tab=ask")
    keeper.go("Ask")
    return keeper


@pytest.fixture
def lister(keeper):
    """The same, before the form of a new list with nothing in it."""
    keeper.unfold("runs-new")
    clear = keeper.page.locator("#runs-file button[aria-label=Clear]:visible")
    if clear.count():
        clear.click()
        expect(clear).to_have_count(0)
    for field in ("runs-typed", "runs-name"):
        keeper.type_into(field, "")
    close_toasts(keeper)
    return keeper


def close_toasts(person) -> None:
    """Close the messages that are there, so that the next one is a new one."""
    person.page.evaluate("document.querySelectorAll('.toast-close').forEach((button) => button.click())")
    expect(person.page.locator(".toast-body")).to_have_count(0)


@pytest.mark.shared_data
def test_files_that_cannot_be_read_are_named_and_the_others_go_in(keeper, shared_data):
    folder = shared_data / "documents"
    names = [
        "empty.txt",
        "truncated.pdf",
        "libreoffice-writer-password.pdf",
        "random.bin",
        "imagemagick-CCITTFaxDecode.pdf",
    ]
    # As from the first step of Start.
    lead = keeper
    lead.go("Start")
    lead.press("start-documents")
    lead.upload("documents-upload", *[folder / name for name in [*names, "fake.docx"]])
    lead.sees("#documents-report", "Added fake.docx")
    refusals = lead.page.locator("#documents-report .pl-bad").all_inner_texts()
    assert len(refusals) == len(names)
    for name in names:
        assert any(name in refusal and len(refusal) > len(name) + 15 for refusal in refusals)
    taken = lead.find("#documents-table").inner_text()
    assert "fake.docx" in taken and not any(name in taken for name in names)


def test_lists_that_cannot_be_read_say_why_and_keep_what_was_typed(lister, tmp_path):
    (tmp_path / "list.csv").write_text("name,colour\nA,red\n", encoding="utf-8")
    (tmp_path / "long.jsonl").write_text('{"query": "' + "x" * 200_000 + '"}\n', encoding="utf-8")
    lead = lister
    lead.press("runs-add")
    lead.toast("one of the two")
    lead.type_into("runs-name", "My list")
    lead.upload("runs-file", tmp_path / "list.csv")
    lead.holds("runs-file", "list.csv")
    lead.press("runs-add")
    lead.toast("It has: name, colour.")
    lead.keeps("runs-name", "My list")
    lead.click("#runs-file button[aria-label=Clear]:visible")
    lead.upload("runs-file", tmp_path / "long.jsonl")
    lead.holds("runs-file", "long.jsonl")
    lead.press("runs-add")
    lead.toast(re.compile("long.jsonl, line 1"))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """An endpoint that wants a key, and the app that has one and gives the endpoint 2 s."""
    home = tmp_path_factory.mktemp("endpoint") / "home"
    # Before the app starts: a page that is opened while the example comes in knows no list of queries yet.
    services = open_workspace(home, example=True)
    services.add_example_to_empty_workspace()
    services.close()
    with OpenAIServer(api_key=KEY) as server:
        environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": KEY, "OPENAI_MODEL": "test-model"}
        with QuickApp(home, PAIRLOOP_TIMEOUT="2", **environment) as app:
            yield server, app


@pytest.fixture
def lead(endpoint, stays):
    """Somebody on Ask who has chosen the endpoint's model and has an answer of it on the screen."""
    server, app = endpoint
    server.recover()
    person = stays(app.url, path="/?tab=ask")
    person.go("Ask")
    person.choose("ask-model", "test-model")
    person.choose("runs-model", "test-model")
    person.type_into("ask-query", "What does a rating of 1 mean?")
    person.click("#ask-query button")
    person.sees("#ask-answer", "test-model ·")
    return person


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 401, "message": f"Incorrect API key provided: {KEY}."}, "OPENAI_API_KEY"),
        ({"stall": 60}, r"(?<![\d.])2 s"),
        ({"drop": True}, "OPENAI_BASE_URL|connection|cut"),
    ],
    ids=["401", "stalls", "down"],
)
def test_an_endpoint_that_fails_says_what_to_do_and_keeps_query_and_sources(endpoint, lead, fault, words):
    server, app = endpoint
    server.fail(times=None, **fault)
    lead.type_into("ask-query", "What does a rating of 5 mean?")
    lead.click("#ask-query button")
    # Where the answer would stand, beside the sources that were found, and nowhere else.
    lead.sees("#ask-answer .pl-bad", re.compile(words))
    lead.keeps("ask-query", "What does a rating of 5 mean?")
    assert lead.page.locator(".toast-body").count() == 0
    assert "is answering" not in lead.find("#ask-answer").inner_text()
    assert lead.page.locator("#ask-sources .pl-source").count() >= 2
    lead.press("runs-start")
    # Until then the run before stands there, which has failed as well.
    lead.settles()
    lead.sees("#runs-progress", "failed")
    lead.sees("#runs-rows", re.compile(words))
    if "status" not in fault:
        # An endpoint that keeps silent, or is asked again and again, holds the run for long: the cancel does not wait for it.
        lead.press("runs-cancel")
    lead.sees("#runs-progress", re.compile("done|cancelled"))
    assert parts_of_the_key(lead, app) == []


def test_an_answer_grows_while_the_model_writes(endpoint, lead):
    server, _ = endpoint
    answer, server.answer = server.answer, lambda messages: " ".join(f"word{number}" for number in range(24))
    server.pace = 0.1
    lead.click("#ask-query button")
    lead.sees("#ask-answer", "word2")
    assert "word23" not in lead.find("#ask-answer").inner_text()
    lead.sees("#ask-answer", "word23")
    server.answer, server.pace = answer, 0.0


def test_no_part_of_the_key_is_shown_anywhere(endpoint, lead):
    _, app = endpoint
    lead.go("Settings")
    lead.open_panel("Environment")
    lead.sees("#settings-environment", "OPENAI_API_KEY")
    assert parts_of_the_key(lead, app) == []


def parts_of_the_key(person, app) -> list[str]:
    shown = person.page.content() + app.log.read_text()
    return [KEY[n : n + 8] for n in range(len(KEY) - 7) if KEY[n : n + 8] in shown]


def test_a_file_over_the_limit_is_named_with_the_limit_and_the_others_go_in(keeper, tmp_path):
    large, good = tmp_path / "large.txt", tmp_path / "good.txt"
    large.write_text("The quay is long. " * 70_000, encoding="utf-8")
    good.write_text("The quay is long.", encoding="utf-8")
    lead = keeper
    lead.unfold("documents-panel")
    lead.upload("documents-upload", large, good)
    lead.sees("#documents-report", "Added good.txt")
    lead.sees(".pl-too-large", "large.txt is larger than 1 MB")
    lead.sees(".pl-too-large", "PAIRLOOP_MAX_UPLOAD_MB")
    # Dropping a file is the other way in; the next good file takes the message away.
    script = """() => {
        const files = new DataTransfer();
        files.items.add(new File(['x'.repeat(1500000)], 'dropped.txt'));
        const target = document.querySelector('#documents-upload button, #documents-upload [role=button]');
        target.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: files}));
    }"""
    lead.page.evaluate(script)
    lead.sees(".pl-too-large", "dropped.txt is larger than 1 MB")
    good.write_text("The quay is very long.", encoding="utf-8")
    lead.upload("documents-upload", good)
    lead.page.locator(".pl-too-large").wait_for(state="detached")
    lead.sees("#documents-report", "Added good.txt")
    assert "large.txt" not in lead.find("#documents-table").inner_text()


def test_a_blank_list_and_two_lists_at_once_are_refused_and_what_was_typed_stays(lister, tmp_path):
    (tmp_path / "list.csv").write_text("query\nWho is Ada?\n", encoding="utf-8")
    lead = lister
    lead.type_into("runs-typed", " \n\n ")
    lead.press("runs-add")
    lead.toast("one of the two")
    lead.type_into("runs-typed", "Who was Ada?")
    lead.type_into("runs-name", "Two at once")
    lead.upload("runs-file", tmp_path / "list.csv")
    lead.holds("runs-file", "list.csv")
    close_toasts(lead)
    lead.press("runs-add")
    lead.page.wait_for_function("document.querySelectorAll('.toast-body').length >= 1")
    lead.keeps("runs-typed", "Who was Ada?")
    lead.keeps("runs-name", "Two at once")
    lead.click("#runs-file button[aria-label=Clear]:visible")
    lead.press("runs-add")
    lead.sees("#runs-report", "Added Two at once")
