import json

import pytest

from pipeline.errors import NotFoundError
from pipeline.prompts import REFUSAL, TEMPLATES, get_template, is_refusal, parse_citations, render_messages
from pipeline.records import Context

REVIEW = get_template("answer-review")
ASSISTANT = get_template("customer-assistant")


def context(text: str, name: str = "guide.md", heading: str = "", page: int | None = None) -> Context:
    return Context("chunk", "document", name, text, 0, len(text), 1.0, heading, page)


@pytest.mark.shared_data
def test_customer_assistant_is_the_tutorials_wording_to_the_letter(shared_data):
    published = json.loads((shared_data / "argilla_cloud/tutorial_settings.json").read_text())
    titles = {question["name"]: question["title"] for question in published["annotation_dataset"]["questions"]}

    user = ASSISTANT.user.replace("{contexts}", "{context_str}").replace("{query}", "{query_str}")

    assert ASSISTANT.system == published["system_prompt"]
    assert user == published["user_message_template"]
    assert ASSISTANT.query_rating_title == titles["question-rating"]
    assert ASSISTANT.context_rating_title == titles["context-rating"]
    assert ASSISTANT.answer_title == titles["response"]


@pytest.mark.shared_data
def test_customer_assistant_prompt_is_what_llama_index_sends(shared_data):
    from llama_index.core import ChatPromptTemplate, PromptHelper
    from llama_index.core.llms import ChatMessage

    published = json.loads((shared_data / "argilla_cloud/tutorial_settings.json").read_text())
    example = json.loads((shared_data / "argilla_cloud/retrieved_context_example.jsonl").read_text().splitlines()[0])
    parts = [("system", published["system_prompt"]), ("user", published["user_message_template"])]
    prompt = ChatPromptTemplate([ChatMessage(role=role, content=content) for role, content in parts])
    (packed,) = PromptHelper(context_window=16_000).repack(prompt, example["contexts"])
    expected = prompt.format_messages(context_str=packed, query_str=example["question"])

    messages = render_messages(ASSISTANT, example["question"], [context(text) for text in example["contexts"]])

    assert [message["content"] for message in messages] == [message.content for message in expected]
    assert [message["role"] for message in messages] == [message.role.value for message in expected]


def test_contexts_are_numbered_with_document_heading_and_page():
    contexts = [context("Ada was first.\n", "guide.pdf", "Onboarding\n> Accounts", 3), context("Bob was second.")]

    content = render_messages(REVIEW, " Who was first? ", contexts)[1]["content"]

    assert "[1] guide.pdf › Onboarding > Accounts › page 3\nAda was first.\n\n[2] guide.md\nBob was second." in content
    assert content.endswith("Query: Who was first?")


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("text", ["{query}", "{contexts}", "{0} {missing} {", "}}{{", "\\1 \\g<0> %s $query"])
def test_braces_and_escapes_in_documents_and_queries_stay_as_they_are(name, text):
    document, query = f"document {text} end", f"query {text} end"

    content = render_messages(get_template(name), query, [context(document)])[1]["content"]

    assert content.count(document) == 1
    assert content.count(query) == 1


def test_a_query_without_contexts_says_that_nothing_was_found():
    assert "(no passage was found)" in render_messages(REVIEW, "Who?", [])[1]["content"]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_every_template_has_each_placeholder_once_and_its_own_refusal(template):
    assert template.user.count("{contexts}") == template.user.count("{query}") == 1
    assert template.refusal in template.system
    assert template.version >= 1
    assert template.title and template.guidelines


def test_an_unknown_template_is_refused_with_the_names_that_exist():
    with pytest.raises(NotFoundError, match="'nope'.*answer-review, customer-assistant"):
        get_template("nope")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Within a day. [1]", (1,)),
        ("First [2]. Then [1][3], again [2].", (2, 1, 3)),
        ("Both [1, 3] and [2;1].", (1, 3, 2)),
        ("In wide brackets 【2】 and 【3†source】.", (2, 3)),
        ("Out of range [0], [4], [12].", ()),
        ("No number [a], an index x[1]y, a year [2024].", (1,)),
        ("Nothing.", ()),
    ],
)
def test_citations_are_numbers_of_contexts_in_order_each_once(text, expected):
    assert parse_citations(text, 3) == expected


@pytest.mark.parametrize(
    "text",
    [
        REFUSAL,
        "this is not in the documents",
        f"**{REFUSAL}**",
        f"\n “{REFUSAL}” ",
        "This is  not in\nthe documents, sorry.",
    ],
)
def test_a_refusal_is_recognised_in_any_dress(text):
    assert is_refusal(REVIEW, text)


@pytest.mark.parametrize(
    "text", ["", "It is not in the documents you sent.", f"It says: {REFUSAL}", "Within a day. [1]"]
)
def test_an_answer_is_not_a_refusal(text):
    assert not is_refusal(REVIEW, text)


def test_a_template_without_an_agreed_refusal_never_refuses():
    assert not is_refusal(ASSISTANT, REFUSAL)
    assert not is_refusal(ASSISTANT, "")
