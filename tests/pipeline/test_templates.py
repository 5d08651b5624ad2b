"""Prompt templates that people write: versions, what is refused, previews, and that answers and training rows use them."""

import json

import pytest

from pipeline.chat_configs import ChatConfig
from pipeline.errors import NotFoundError, TemplateError
from pipeline.prompt_desk import Draft
from pipeline.prompts import CUSTOMER_ASSISTANT, TEMPLATES
from pipeline.records import ResponseStatus
from tests.material import TRAIN, Home, add_manual, add_queries, finished
from tests.openai_server import OpenAIServer
from tests.workspace import person

OURS = Draft(
    "Harbour desk", "You are the harbour's desk.", "Passages:\n{contexts}\n\nAsked: {query}", "Ask the office.", False
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("templates") / "home")
    add_manual(home.services, tmp_path_factory.mktemp("files"))
    yield home
    home.services.close()


@pytest.fixture(scope="module")
def services(home):
    return home.services


@pytest.fixture(scope="module")
def desk(services):
    return services.prompts


def changed(draft, **parts):
    return Draft(**{name: parts.get(name, getattr(draft, name)) for name in Draft.__slots__})


def test_a_copy_is_a_template_of_its_own_and_the_built_in_one_stays(desk):
    made = desk.copy("answer-review", OURS)
    assert (made.version, made.title, made.name) == (1, "Harbour desk", "harbour-desk")
    assert desk.find(made.reference) == made and made.reference == made.id
    assert [template.name for template in desk.all()][:2] == list(TEMPLATES)
    with pytest.raises(TemplateError, match="called harbour DESK already"):
        desk.copy("answer-review", changed(OURS, title="harbour DESK"))
    with pytest.raises(TemplateError, match="built-in template stays"):
        desk.save("answer-review", changed(OURS, title="Another"))


def test_each_save_is_another_version_and_none_ever_changes(home, desk):
    first = desk.copy("answer-review", changed(OURS, title="Versions"))
    second = desk.save(first.reference, changed(OURS, title="Versions", system="Be brief."))
    assert (second.version, second.name, second.id != first.id) == (2, first.name, True)
    assert desk.find(first.id) == first and first.system == OURS.system
    assert [template.version for template in desk.versions(first.id)] == [2, 1]
    with pytest.raises(TemplateError, match="Nothing has changed"):
        desk.save(second.id, changed(OURS, title=" Versions ", system="Be brief.\r\n"))
    newest = [label for label, _ in desk.newest()]
    assert "Versions, version 2" in newest and "Versions, version 1" not in newest
    assert [label for label, _ in desk.choices() if "Versions" in label] == [
        "Versions, version 2",
        "Versions, version 1",
    ]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"user": "Asked: {query}"}, "needs {contexts} exactly once"),
        ({"user": "{contexts}"}, "needs {query} exactly once"),
        ({"user": "{contexts} {query} {query}"}, "needs {query} exactly once"),
        ({"user": "{contexts} {query} {context_str}"}, "{context_str} is no placeholder"),
        ({"user": "{contexts} {query} {the answer}"}, "{the answer} is no placeholder"),
        ({"system": "Hello {name}"}, "{name} is no placeholder"),
        ({"system": "About {query}"}, "in the user prompt only"),
        ({"title": "  "}, "title of 1 to 80"),
        ({"system": "x" * 30_000}, "too long"),
    ],
)
def test_what_no_model_could_be_told_is_refused_with_a_sentence(desk, parts, said):
    with pytest.raises(TemplateError, match=said.replace("{", r"\{").replace("}", r"\}")):
        desk.copy("answer-review", changed(OURS, **{"title": "Refused", **parts}))


def test_braces_of_json_in_a_prompt_are_no_placeholders(desk):
    user = '{contexts}\n{query}\nAnswer as {"answer": "...", "sources": [1]} or {}.'
    made = desk.copy("answer-review", changed(OURS, title="JSON", user=user))
    assert '{"answer": "...", "sources": [1]} or {}.' in desk.messages(made.id, "Where is diesel sold?")[1]["content"]


def test_a_preview_is_what_the_model_is_sent(services, desk):
    list_id = add_queries(services, name="Preview")
    query = services.store.queries.in_set(list_id)[2]
    with OpenAIServer() as server:
        made = desk.copy("answer-review", changed(OURS, title="Sent"))
        model = services.registry.add_chat_model("sent", ChatConfig(server.base_url, "test-model"), made.id)
        services.generation.answers(query, [model.id])
        (request,) = server.chats
        shown = desk.preview(changed(OURS, title="Sent"), f"query/{query.id}")
        assert list(shown.messages) == request.body["messages"]
        assert shown.messages[0] == {"role": "system", "content": "You are the harbour's desk."}
        assert "north pier" in shown.messages[1]["content"] and shown.tokens > 40 and shown.contexts >= 1
        assert "[1]" not in shown.messages[1]["content"]
    assert desk.used_by(made.id) == ["sent"]
    assert (f"Query: {query.text}", f"query/{query.id}") in desk.examples()


def test_a_preview_of_a_record_has_its_own_contexts_and_one_of_nothing_asks_for_a_query(services, desk):
    list_id = add_queries(services, train=TRAIN[:2], test=(), name="Records")
    run = finished(services, services.generation.start_run(services.registry.all()[0].id, list_id))
    dataset = services.datasets.create_of_run(run.id, "customer-assistant", "Records")
    record = services.store.datasets.records(dataset.id)[0]
    shown = desk.preview(OURS, f"record/{record.id}")
    assert (
        record.contexts[0].text.strip() in shown.messages[1]["content"] and record.query in shown.messages[1]["content"]
    )
    assert (f"Record: {record.query}", f"record/{record.id}") in desk.examples()
    assert "Typed here?" in desk.preview(OURS, " Typed here? ").messages[1]["content"]
    with pytest.raises(TemplateError, match="or type one"):
        desk.preview(OURS, " ")
    with pytest.raises(NotFoundError):
        desk.preview(OURS, "query/gone")


def test_an_empty_system_prompt_is_not_sent(desk):
    assert [message["role"] for message in desk.preview(changed(OURS, system=" "), "Why?").messages] == ["user"]


def test_answers_reviews_and_training_rows_follow_the_version_of_their_model(services, desk):
    made = desk.copy("answer-review", changed(OURS, title="Trained", system="Speak as the harbour."))
    with OpenAIServer() as server:
        server.answer = lambda messages: (
            "ask the OFFICE, please" if "diesel" in messages[-1]["content"] else "At seven."
        )
        model = services.registry.add_chat_model("trained", ChatConfig(server.base_url, "test-model"), made.id)
        list_id = add_queries(services, train=(TRAIN[0], TRAIN[2]), test=(), name="Train")
        run = finished(services, services.generation.start_run(model.id, list_id))
    rows = services.generation.rows(run)
    # The template's own sentence is what a refusal is known by; the manual has diesel in each passage that was found.
    assert {row.completion.refused for row in rows} <= {True, False} and any(row.completion.refused for row in rows)
    dataset = services.datasets.create_of_run(run.id, made.id, "Trained")
    assert "Ask the office." in dataset.settings.guidelines and dataset.template == made.id
    # The usual form of Edit stands for the prompt of the model, where people wrote that.
    assert services.datasets.create_of_run(run.id, "answer-review", "Usual").template == made.id
    assert services.datasets.create_of_run(run.id, "customer-assistant", "Other").template == "customer-assistant"
    desk.save(made.id, changed(OURS, title="Trained", system="Later words."))
    record = services.store.datasets.records(dataset.id)[0]
    values = {dataset.settings.answer_question: "At seven in the morning."}
    given = services.annotation.submit(record.id, person(services, "Ada"), values)
    assert given.status is ResponseStatus.SUBMITTED
    lines = services.tuner.chat_jsonl(dataset.id).splitlines()
    assert json.loads(lines[0])["messages"][0] == {"role": "system", "content": "Speak as the harbour."}


def test_a_template_goes_with_the_workspace_file(services, desk, tmp_path):
    made = desk.copy("answer-review", changed(OURS, title="Taken along"))
    services.backup.write_file(tmp_path / "w.jsonl.gz")
    other = Home(tmp_path / "other")
    other.services.backup.read_file(tmp_path / "w.jsonl.gz")
    assert other.services.prompts.find(made.id) == made
    other.services.close()


def test_the_articles_prompts_are_one_of_the_built_in_templates():
    assert CUSTOMER_ASSISTANT.system.startswith(
        "You are an expert customer service assistant for the Argilla Cloud product"
    )
    assert "Given the context information and not prior knowledge" in CUSTOMER_ASSISTANT.user
    assert CUSTOMER_ASSISTANT.name in TEMPLATES
