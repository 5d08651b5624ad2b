"""Bad input through the real page: each gets a sentence that says what to do, and what was done already stays."""

import re

import pytest

from tests.openai_server import OpenAIServer
from tests.servers import AppProcess

pytestmark = pytest.mark.browser


@pytest.mark.shared_data
def test_files_that_cannot_be_read_are_named_and_the_others_go_in(tmp_path, open_person, shared_data):
    folder = shared_data / "documents"
    names = [
        "empty.txt",
        "truncated.pdf",
        "libreoffice-writer-password.pdf",
        "random.bin",
        "imagemagick-CCITTFaxDecode.pdf",
    ]
    with AppProcess(tmp_path / "home", PAIRLOOP_EXAMPLE="0") as app:
        lead = open_person(app.url)
        lead.press("start-documents")
        lead.upload("documents-upload", *[folder / name for name in [*names, "fake.docx"]])
        lead.sees("#documents-report", "Added fake.docx")
        refusals = lead.page.locator("#documents-report .pl-bad").all_inner_texts()
        assert len(refusals) == len(names)
        for name in names:
            assert any(name in refusal and len(refusal) > len(name) + 15 for refusal in refusals)
        assert lead.page.locator("#documents-table tbody tr").count() == 1


def test_lists_that_cannot_be_read_say_why_and_keep_what_was_typed(tmp_path, open_person):
    (tmp_path / "list.csv").write_text("name,colour\nA,red\n", encoding="utf-8")
    (tmp_path / "long.jsonl").write_text('{"query": "' + "x" * 200_000 + '"}\n', encoding="utf-8")
    with AppProcess(tmp_path / "home", PAIRLOOP_EXAMPLE="0") as app:
        lead = open_person(app.url)
        lead.go("Ask")
        lead.unfold("runs-new")
        lead.press("runs-add")
        lead.toast("one of the two")
        lead.type_into("runs-name", "My list")
        lead.upload("runs-file", tmp_path / "list.csv")
        lead.find("#runs-file").get_by_text("list.csv").wait_for()
        lead.press("runs-add")
        lead.toast(re.compile("name, colour|colour"))
        assert lead.text_of("runs-name") == "My list"
        lead.page.reload()
        lead.go("Ask")
        lead.unfold("runs-new")
        lead.upload("runs-file", tmp_path / "long.jsonl")
        lead.find("#runs-file").get_by_text("long.jsonl").wait_for()
        lead.press("runs-add")
        lead.toast(re.compile("line 1"))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 401, "message": "bad key"}, "OPENAI_API_KEY"),
        ({"stall": 60}, "2 s"),
        ({"drop": True}, "OPENAI_BASE_URL|connection|cut"),
    ],
    ids=["401", "stalls", "down"],
)
def test_an_endpoint_that_fails_says_what_to_do_and_the_answer_before_stays(tmp_path, open_person, fault, words):
    with OpenAIServer() as server:
        environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-marked-secret-77"}
        with AppProcess(tmp_path / "home", OPENAI_MODEL="test-model", PAIRLOOP_TIMEOUT="2", **environment) as app:
            lead = open_person(app.url)
            lead.press("start-example")
            lead.choose("ask-model", "test-model")
            lead.type_into("ask-query", "What does a rating of 1 mean?")
            lead.find("#ask-query button").click()
            lead.sees("#ask-answer", "test-model ·")
            before = lead.find("#ask-sources").inner_text()
            server.fail(times=None, **fault)
            lead.type_into("ask-query", "What does a rating of 5 mean?")
            lead.find("#ask-query button").click()
            lead.toast(re.compile(words))
            assert before and lead.text_of("ask-query") == "What does a rating of 5 mean?"
            lead.choose("runs-model", "test-model")
            lead.press("runs-start")
            lead.sees("#runs-progress", "failed")
            lead.press("runs-cancel") if lead.find("#runs-cancel").is_visible() else None
            lead.sees("#runs-progress", re.compile("done|cancelled"))
            assert "sk-marked-secret-77" not in lead.page.content() + app.log.read_text()
