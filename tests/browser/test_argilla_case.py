"""The case that the workflow comes from: one document of Argilla Cloud, its questions, a review, a tune, a comparison."""

import json
import re

import pytest

from tests.servers import QuickApp

pytestmark = [pytest.mark.browser, pytest.mark.shared_data]


def test_the_argilla_cloud_case(tmp_path, open_person, shared_data):
    case = shared_data / "argilla_cloud"
    lines = (case / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    answers = {row["question"]: " ".join(row["answers"][:1]) for row in map(json.loads, lines)}
    with QuickApp(tmp_path / "home", PAIRLOOP_EXAMPLE="0", PAIRLOOP_TOP_K="2") as app:
        lead = open_person(app.url)
        lead.press("start-documents")
        lead.upload("documents-upload", case / "argilla_cloud_reflowed.txt")
        lead.sees("#documents-report", "argilla_cloud_reflowed.txt")
        lead.sees("#documents-table", "argilla_cloud_reflowed.txt")

        # The list comes with its own split, and its column is named question.
        lead.unfold("runs-new")
        lead.upload("runs-file", case / "questions.jsonl")
        lead.holds("runs-file", "questions.jsonl")
        lead.press("runs-add")
        lead.sees("#runs-report", re.compile(r"Added questions: \d+ train and \d+ test"))
        train = int(re.search(r"(\d+) train", lead.find("#runs-report").inner_text())[1])
        lead.press("runs-start")
        lead.sees("#runs-progress", "31 of 31 · done")

        # The tutorial's form: its rating titles, word for word.
        lead.choose("runs-template", re.compile("Argilla"))
        lead.press("runs-send")
        lead.sees("#edit-progress", f"Pending {train}")
        lead.sees("#edit-question-question-rating", "Rate the relevance of the user question")
        lead.sees("#edit-question-context-rating", "Rate the quality and relevancy of context for the assistant")
        lead.sees("#edit-question-response", "Write a helpful, harmless, accurate response to the user question")
        # People write what the reference answers say: some are close to the suggestion, some are not.
        for number in range(12):
            lead.sees("#edit-record", f"Record {number + 1} of {train}")
            query = lead.find("#edit-record h3").inner_text()
            lead.type_into("edit-question-response", answers[query])
            lead.press("edit-submit")
        lead.sees("#edit-progress", "Submitted 12")

        lead.go("Tune")
        lead.sees("#tune-card", re.compile(r"12\s*rows"))
        lead.unfold("tune-preview")
        lead.sees("#tune-preview", "You are an expert customer service assistant for the Argilla Cloud product")
        lead.press("tune-train")
        lead.sees("#tune-jobs", "extractive-tuned-1")
        lead.sees("#tune-jobs", "done")
        lead.press("tune-compare")
        lead.sees("#compare-preview", f"{31 - train} test queries")
        lead.press("compare-create")
        lead.sees("#compare-progress", "0 of ")
        total = int(re.search(r"0 of (\d+)", lead.find("#compare-progress").inner_text())[1])
        assert total >= 1, "the tuned model answers every test query as its base does: there is nothing to compare"
        for done in range(total):
            lead.sees("#compare-progress", f"{done} of {total}")
            lead.press("vote-a")
        lead.press("compare-results")
        lead.press("results-reveal")
        lead.sees("#results-headline", "over")
        lead.sees("#results-chart .legend", "extractive-tuned-1 better")
        lead.sees("#results-numbers", f"{31 - train}, ")
