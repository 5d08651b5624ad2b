"""The judge's panel on Results: who gets to see it, what it says, and that it is wired to the app."""

import csv
import re
import time

import pytest

import app
from components.results import judge as panel
from components.results.judge import JudgeHandlers, Prices
from components.results.tab import ResultsHandlers
from pipeline.errors import ComparisonError
from pipeline.judging import Plan
from pipeline.records import Outcome
from tests.components.screens import ADA, BO, choices, member, value
from tests.openai_server import OpenAIServer
from tests.workspace import add_comparison, add_model, open_workspace

RIGHT, WRONG = "The passage that both models were given. [1]", "Penguins swim in cold water."
NUMBER = re.compile(r"\d+(?:,\d{3})*")


@pytest.fixture
def server():
    with OpenAIServer(answer=lambda messages: "Because.\nVerdict: A") as server:
        yield server


@pytest.fixture
def services(tmp_path, server):
    opened = open_workspace(tmp_path / "home", openai_base_url=server.base_url, openai_model="test-model", timeout=5.0)
    yield opened
    opened.close()


@pytest.fixture
def set_id(services):
    models = [add_model(services, name) for name in ("<b>tuned", "base")]
    made = add_comparison(services, models, [[RIGHT, WRONG], [WRONG, RIGHT], [RIGHT, WRONG], ["Same.", "Same."]])
    ada = member(services)
    while pair := services.comparisons.next_pair(made, ada):
        services.comparisons.vote(pair.comparison_id, ada, Outcome.MODEL_A if pair.text_a == RIGHT else Outcome.MODEL_B)
    services.comparisons.reveal(made, ada)
    return made


@pytest.fixture
def handlers(services):
    return JudgeHandlers(services)


def chat(services):
    return next(model.id for model in services.judge.judges() if model.provider == "openai")


def shown(handlers, set_id, model_id=None, prices=("", None), request=ADA):
    deadline = time.monotonic() + 15
    while (screen := handlers.show_judge(set_id, model_id, *prices, request)).timer.active:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return screen


def test_it_is_hidden_and_silent_before_somebody_opens_the_results(handlers, set_id):
    closed = handlers.close_judge(set_id, BO)
    assert (closed.root.visible, closed.root.open, closed.plan + closed.progress + closed.numbers) == (False, False, "")
    assert handlers.close_judge(None, BO).root.visible is False
    assert handlers.close_judge(set_id, ADA).root.visible is True
    for call in (handlers.show_judge, handlers.start_judge):
        with pytest.raises(ComparisonError, match="Open the results"):
            call(set_id, handlers._desk.judges()[0].id, None, None, BO)
    with pytest.raises(ComparisonError, match="Open the results"):
        handlers.cancel_judge(set_id, handlers._desk.judges()[0].id, None, None, BO)
    with pytest.raises(ComparisonError, match="Open the results"):
        handlers.download_judgements(set_id, BO)


def test_results_of_somebody_who_did_not_open_them_hold_nothing_of_a_judge(services, handlers, set_id):
    handlers.start_judge(set_id, handlers._desk.judges()[0].id, None, None, ADA)
    shown(handlers, set_id)
    closed = ResultsHandlers(services).show_results(set_id, BO)
    assert "agrees" not in str(closed) and "judge" not in re.sub(r"left to judge", "", str(closed))


def test_without_a_key_the_embedded_judge_is_offered_first_and_says_what_it_is(handlers, set_id):
    screen = shown(handlers, set_id)
    assert choices(screen.model)[0] == "extractive-base" and value(screen.model) == handlers._desk.judges()[0].id
    assert "no language model" in screen.plan and "Will ask 6 questions: 3 pairs in both orders" in screen.plan
    assert "1 identical pair not asked" in screen.plan and "tokens" not in screen.plan
    assert (screen.run.interactive, screen.cancel.visible, screen.download.visible, screen.numbers) == (
        True,
        False,
        False,
        "",
    )


def test_its_numbers_come_with_what_they_rest_on(handlers, set_id):
    model = handlers._desk.judges()[0].id
    handlers.start_judge(set_id, model, None, None, ADA)
    screen = shown(handlers, set_id, model)
    assert "extractive-base agrees with people on 3 of 3 pairs: 100 % [44 – 100]." in screen.numbers
    assert "Asked about all 3 pairs" in screen.plan and screen.progress == "" and screen.run.visible is False
    assert screen.download.visible is True
    for words in (
        "Cohen",
        "Flips",
        "0 % [0 – 56], 0 of 3",
        "shown first",
        "longer answer",
        "0 of 6",
        "No tokens were counted",
    ):
        assert words in screen.numbers, words
    assert "&lt;b&gt;tuned" in screen.numbers and "<b>tuned" not in screen.numbers


def test_an_estimate_and_the_cost_follow_the_prices(services, handlers, set_id, server):
    before = shown(handlers, set_id, chat(services), ("1000", " 2000 "))
    tokens, made = (
        int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:prompt|completion)", before.plan)
    )
    assert made == 6 * 70 and f"{(tokens * 1000 + made * 2000) / 1e6:,.2f} at these prices" in before.plan
    handlers.start_judge(set_id, chat(services), None, None, ADA)
    after = shown(handlers, set_id, chat(services), ("1000", " 2000 "))
    sent = sum(len(message["content"].split()) for request in server.chats for message in request.body["messages"])
    assert f"{sent:,} prompt and 18 completion tokens" in after.numbers
    assert f">{(sent * 1000 + 18 * 2000) / 1e6:,.2f}<" in after.numbers
    plain = shown(handlers, set_id, chat(services))
    assert f">{sent + 18:,} tokens<" in plain.numbers and "Give the prices" in plain.numbers


def test_a_judge_that_takes_the_first_is_shown_for_what_it_is(services, handlers, set_id):
    handlers.start_judge(set_id, chat(services), None, None, ADA)
    screen = shown(handlers, set_id, chat(services))
    assert (
        "100 % [44 – 100], 3 of 3" in screen.numbers
        and "test-model agrees with people on 0 of 3 pairs" in screen.numbers
    )
    assert "one value everywhere" in screen.numbers


def test_faults_stand_under_the_bar_in_words_and_escaped(services, handlers, set_id, server):
    server.fail(times=None, status=400, message="<img src=x onerror=alert(1)>")
    handlers.start_judge(set_id, chat(services), None, None, ADA)
    screen = shown(handlers, set_id, chat(services))
    assert "0 of 6 questions answered · 6 failed" in screen.progress and "refused the request (400)" in screen.progress
    assert "<img" not in screen.progress and screen.run.interactive is True
    assert "Will ask 6 questions" in screen.plan


def test_it_can_be_cancelled_and_goes_on(services, handlers, set_id, server):
    server.fail(times=None, stall=60)
    running = handlers.start_judge(set_id, chat(services), None, None, ADA)
    assert (running.timer.active, running.cancel.visible, running.run.interactive) == (True, True, False)
    stopped = handlers.cancel_judge(set_id, chat(services), None, None, ADA)
    assert (stopped.timer.active, stopped.cancel.visible, stopped.run.interactive) == (False, False, True)
    assert "cancelled; run it again to ask the rest" in stopped.progress
    server.recover()
    handlers.start_judge(set_id, chat(services), None, None, ADA)
    assert "Asked about all" in shown(handlers, set_id, chat(services)).plan


def test_a_comparison_without_votes_of_people_is_judged_all_the_same(services, handlers):
    models = [add_model(services, name) for name in ("one", "two")]
    made = add_comparison(services, models, [[RIGHT, WRONG]] * 2)
    services.comparisons.reveal(made, member(services))
    model = handlers._desk.judges()[0].id
    handlers.start_judge(made, model, None, None, ADA)
    numbers = shown(handlers, made, model).numbers
    assert "judged 2 pairs; people have no majority on any of them" in numbers and "2 pairs without a vote" in numbers


def test_a_judge_that_took_part_is_told_of(services):
    model = next(model for model in services.judge.judges() if model.provider == "openai")
    plan = Plan(1, 0, 2, 2, 10, 10, own=True)
    assert "test-model wrote some of these answers itself" in panel.about(model, plan)


def test_the_file_holds_both_orders_with_the_reply(services, handlers, set_id):
    handlers.start_judge(set_id, chat(services), None, None, ADA)
    shown(handlers, set_id, chat(services))
    with open(handlers.download_judgements(set_id, ADA), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 and {row["reply"] for row in rows} == {"Because.\nVerdict: A"}
    assert {(row["judge"], row["verdict"], row["error"]) for row in rows} == {("test-model", "model_a", "")}
    assert {row["model_a"] for row in rows} == {"<b>tuned", "base"}


def test_prices_are_of_a_million_tokens_and_optional():
    assert Prices(None, None).of(10, 10) is None and Prices(0, 0).of(10, 10) is None
    assert Prices.read(" 2.5 ", None) == Prices(2.5, None) and Prices.read("", "0") == Prices(None, 0)
    assert Prices(2.5, None).of(2_000_000, 5) == 5.0
    assert Prices(1, 4).of(1_000_000, 500_000) == 3.0


@pytest.mark.parametrize("typed", ["a lot", "-1", "nan", "inf", "1,5"])
def test_a_price_that_is_no_number_is_said_beside_the_plan(services, handlers, set_id, typed):
    assert Prices.read(typed, "") is None
    screen = shown(handlers, set_id, chat(services), ("1", typed))
    assert "A price is a number, for example 2.5." in screen.plan and "at these prices" not in screen.plan


def test_nothing_chosen_is_said_in_words(handlers):
    with pytest.raises(ComparisonError, match="Choose a comparison"):
        handlers.show_judge(None, None, None, None, ADA)


def test_it_is_part_of_the_app_and_private(services):
    config = app.build_app(services).get_config_file()
    ids = {component["props"].get("elem_id"): component["id"] for component in config["components"]}
    assert {"results-judge", "judge-model", "judge-run", "judge-cancel", "judge-numbers"} <= ids.keys()
    mine = {
        dependency["api_name"]: dependency
        for dependency in config["dependencies"]
        if re.search(r"judge", str(dependency["api_name"]))
    }
    assert len(mine) >= 8 and all(found["api_visibility"] == "private" for found in mine.values())
    expands = [found for found in mine.values() if (ids["results-judge"], "expand") in map(tuple, found["targets"])]
    assert len(expands) == 1
    root = next(component for component in config["components"] if component["id"] == ids["results-judge"])
    assert root["props"]["visible"] is False
