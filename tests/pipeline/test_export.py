import json
import subprocess
import sys
from collections import Counter
from statistics import mean, median

import pytest

from pipeline.export import chat_row, chat_tokens, estimate_tokens, to_chat_jsonl, token_unit, validate_chat_jsonl
from pipeline.prompts import get_template, render_messages
from pipeline.records import Context

FOLDER = "finetune_openai"
USER = {"role": "user", "content": "How many?"}
ASSISTANT = {"role": "assistant", "content": "Six."}


def keys_of(*messages: object) -> list[str]:
    return [problem.key for problem in validate_chat_jsonl([json.dumps({"messages": messages})])]


@pytest.mark.shared_data
def test_the_validator_counts_what_the_cookbooks_checks_count(shared_data):
    lines = (shared_data / FOLDER / "validator_cases.jsonl").read_text().splitlines()
    cases = [json.loads(line) for line in lines]

    found = {case["case"]: Counter(problem.key for problem in validate_chat_jsonl([case["line"]])) for case in cases}

    assert len(cases) == 17
    assert found == {case["case"]: Counter(case["expected_errors"]) for case in cases}


@pytest.mark.shared_data
def test_problems_carry_the_number_of_their_line(shared_data):
    lines = (shared_data / FOLDER / "validator_cases.jsonl").read_text().splitlines()
    cases = [json.loads(line) for line in lines]

    problems = validate_chat_jsonl([case["line"] for case in cases])

    expected = [(case["case"], key) for case in cases for key in case["expected_errors"]]
    assert sorted((problem.line, problem.key) for problem in problems) == sorted(expected)
    assert all(problem.message.endswith(".") for problem in problems)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["toy_chat_fine_tuning.jsonl", "drone_training_head.jsonl"])
def test_files_that_were_trained_on_are_valid(shared_data, name):
    assert validate_chat_jsonl((shared_data / FOLDER / name).read_text().splitlines()) == []


@pytest.mark.shared_data
def test_tokens_are_those_that_were_published_for_the_toy_file(shared_data):
    lines = (shared_data / FOLDER / "toy_chat_fine_tuning.jsonl").read_text().splitlines()
    tokens = [chat_tokens(json.loads(line)["messages"]) for line in lines]
    assert (min(tokens), max(tokens), mean(tokens), median(tokens)) == (26, 8032, 1648.4, 45)
    assert token_unit() == "cl100k_base"


def test_tokens_are_counted_offline_without_llama_index_or_the_environment():
    program = (
        "import os, socket, sys\n"
        "os.environ['TIKTOKEN_CACHE_DIR'] = os.environ['HTTPS_PROXY'] = '/nowhere'\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pipeline.export import estimate_tokens\n"
        "print(estimate_tokens('hello world'), 'llama_index.core' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]


@pytest.mark.parametrize("missing", ["tiktoken", "llama_index"])
def test_without_a_table_of_tokens_characters_are_counted_and_that_is_said(missing):
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pipeline.export import estimate_tokens, token_unit\n"
        "print(estimate_tokens(''), estimate_tokens('abc'), estimate_tokens('abcde'), token_unit())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 1 2 characters / 4"


def test_text_that_spells_a_control_token_is_counted_as_text():
    assert estimate_tokens("<|endoftext|>") > 1


def test_a_row_is_the_prompt_and_the_answer_and_is_valid():
    contexts = [Context("c1", "d1", "guide.md", "Six backups a day.", 0, 18, 1.0)]
    messages = render_messages(get_template("answer-review"), "How many?", contexts)

    row = chat_row(messages, "Six. [1]")

    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
    assert row["messages"][-1]["content"] == "Six. [1]"
    assert validate_chat_jsonl(to_chat_jsonl([row]).splitlines()) == []


@pytest.mark.parametrize(
    "text", ["备份每天几次？", "🙂", "a\nb\r\nc\td", 'a "quote" \\ b', "\x85 \u2028 \u2029 \x1c \x0b \x0c"]
)
def test_any_text_is_one_line_of_the_file_and_comes_back(text):
    jsonl = to_chat_jsonl([chat_row([USER], text), chat_row([USER], "Six.")])

    lines = jsonl.splitlines()

    assert len(lines) == 2
    assert jsonl.endswith("\n")
    assert json.loads(lines[0])["messages"][-1]["content"] == text


def test_letters_of_all_scripts_are_written_as_they_are():
    assert "备份" in to_chat_jsonl([chat_row([USER], "备份")])


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((USER, {"role": "assistant", "tool_calls": [CALL]}), []),
        ((USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}), []),
        (
            (USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "1", "content": "6"}),
            [],
        ),
        ((USER, {"role": "assistant", "tool_calls": []}), ["message_missing_key", "missing_content"]),
        ((USER, {"role": "assistant", "content": 6, "tool_calls": [CALL]}), ["missing_content"]),
        (({"role": "user", "tool_calls": [CALL]}, ASSISTANT), ["message_missing_key", "missing_content"]),
    ],
    ids=["no content", "null content", "with its result", "no calls", "number as content", "call by a user"],
)
def test_tool_calls_stand_in_for_content_of_the_assistant_only(messages, expected):
    assert keys_of(*messages) == expected


@pytest.mark.parametrize("messages", ["text", {"role": "user"}, 5])
def test_messages_that_are_no_list_are_missing(messages):
    (problem,) = validate_chat_jsonl([json.dumps({"messages": messages})])
    assert problem.key == "missing_messages_list"


def test_a_message_that_is_no_object_is_said_to_be_none():
    assert keys_of("hello", ASSISTANT) == ["message_missing_key"]


def test_a_role_may_be_anything_without_breaking_the_check():
    assert keys_of({"role": ["user"], "content": "x"}, ASSISTANT) == ["unrecognized_role"]


def test_a_line_that_is_nested_without_end_is_no_json():
    (problem,) = validate_chat_jsonl(["[" * 100_000])
    assert problem.key == "not_json"
