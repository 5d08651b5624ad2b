"""A newcomer walks the whole loop on the bundled example. With PAIRLOOP_SCREENSHOTS=1 the README's pictures are retaken."""

import csv
import json
import re

import pytest

from pipeline import ranking
from pipeline.example import FOLDER
from pipeline.records import Outcome, Vote

EXAMPLE = [json.loads(line) for line in (FOLDER / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
TESTED = [query["query"] for query in EXAMPLE if query["split"] == "test"]
pytestmark = pytest.mark.browser


def test_a_newcomer_walks_the_loop(app, open_person, picture):
    ada = open_person(app.url)
    ada.sees("#header", "Kept on this machine only")
    ada.press("start-example")

    # Ask: an answer with a citation that opens the passage in its document.
    ada.type_into("ask-query", "What does a rating of 1 mean?")
    ada.click("#ask-query button")
    ada.sees("#ask-answer .pl-answer", "[1]")
    ada.sees("#ask-answer", "extractive-base")
    assert ada.page.locator("#ask-sources .pl-source").count() >= 2
    ada.picture(picture("1-ask"))
    ada.click("#ask-answer .pl-cite")
    ada.sees(".pl-drawer mark", "rating")
    ada.page.keyboard.press("Escape")
    ada.page.locator(".pl-drawer").wait_for(state="detached")
    ada.type_into("ask-query", "Which football club won the cup in 1987?")
    ada.click("#ask-query button")
    ada.sees("#ask-answer", "This is not in the documents.")

    # Many queries: a run with a row per query, then a dataset of the train queries.
    ada.press("runs-start")
    ada.sees("#runs-progress", "40 of 40 · done")
    assert ada.page.locator("#runs-rows tbody tr").count() == 40
    ada.press("runs-send")
    ada.sees("#edit-progress", "Pending 24")

    # Edit: shorten some answers, accept others, discard one, leave one as a draft.
    for number in range(10):
        ada.sees("#edit-record", f"Record {number + 1} of 24")
        text = ada.text_of("edit-question-answer")
        if number % 2 == 0:
            ada.type_into("edit-question-answer", re.sub(r"(\[\d\]) .*", r"\1", text, flags=re.S) + " Reworded-by-Ada.")
            ada.sees("#edit-screen .pl-diff ins", "Reworded-by-Ada.")
            ada.sees("#edit-status", "Draft saved")
        if number == 2:
            ada.click("#edit-question-query_rating label:has-text('5')")
            ada.click("#edit-question-context_rating label:has-text('4')")
            ada.sees("#edit-status", "Draft saved")
            ada.picture(picture("2-edit"))
        if number == 9:
            ada.discards("A query that nobody would ask.")
        else:
            ada.press("edit-submit")
    ada.sees("#edit-progress", "Submitted 9")
    ada.sees("#edit-progress", "Discarded 1")

    # Tune: nine rows, checked, downloadable, and a second model.
    ada.go("Tune")
    ada.sees("#tune-card", re.compile(r"9\s*rows"))
    ada.sees("#tune-card", "passes OpenAI's checks")
    ada.sees("#tune-card", "1 discarded")
    with ada.page.expect_download() as download:
        ada.press("tune-download")
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == 9 and "Reworded-by-Ada." in lines[0]
    ada.press("tune-train")
    ada.sees("#tune-jobs", "extractive-tuned-1")
    ada.sees("#tune-jobs", "done")
    ada.picture(picture("3-tune"))
    ada.press("tune-compare")

    # Compare: base and tuned over the test queries, blind.
    ada.sees("#compare-preview", "16 test queries")
    ada.press("compare-create")
    ada.sees("#compare-progress", "0 of ")
    sides = ada.page.locator("#compare-pair .pl-side")
    assert sides.locator("h3").all_inner_texts() == ["A", "B"]
    one, other = (side.inner_text().strip() for side in sides.locator(".pl-side-text").all())
    assert one and other and one != other
    assert ada.find("#compare-pair .pl-query").inner_text().strip() in TESTED
    total = int(re.search(r"0 of (\d+)", ada.find("#compare-progress").inner_text())[1])
    assert total >= 1
    ada.picture(picture("4-compare"))
    for done in range(total):
        ada.sees("#compare-progress", f"{done} of {total}")
        ada.press("vote-a" if done % 2 else "vote-tie")
    ada.sees("#compare-nothing", "You have judged every pair")

    # Results: opened by will, then the chart and the words.
    ada.press("compare-results")
    ada.press("results-reveal")
    ada.find("#results-headline .pl-headline").wait_for()
    ada.sees("#results-chart .legend", "tie")
    ada.sees("#results-numbers", "95 % interval")
    ada.sees("#results-checks", "decisive vote")
    ada.picture(picture("5-results"))
    ada.unfold("results-share")
    with ada.page.expect_download() as download:
        ada.press("results-votes")
    rows = list(csv.DictReader(download.value.path().read_text(encoding="utf-8").splitlines()))
    assert sorted(row["query"] for row in rows) == sorted(TESTED)
    # The sentence on the screen is what the votes in the file give.
    votes = [Vote(r["query"], r["model_a"], r["model_b"], Outcome(r["outcome"]), r["annotator"]) for r in rows]
    verdict = ranking.verdict(votes, "extractive-tuned-1", "extractive-base")
    assert verdict.counts.ties == 16 - total // 2 and verdict.counts.wins + verdict.counts.losses == total // 2
    ada.sees("#results-headline", verdict.headline)
