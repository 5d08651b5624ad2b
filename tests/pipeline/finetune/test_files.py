"""Training files in every form, held against the rules of those who read them."""

import csv
import io
import json

import pytest

from pipeline.errors import TrainingError
from pipeline.export import chat_tokens, validate_chat_jsonl
from pipeline.finetune.checks import check_rows, row_tokens
from pipeline.finetune.files import (
    FORMS,
    LINEAGE,
    PAIRS,
    SINGLES,
    form_of,
    lineage_csv,
    problems,
    validate_preference_jsonl,
    write,
)
from pipeline.finetune.rows import Row, on_both_sides, split_by_query
from pipeline.records import Context
from pipeline.spreadsheets import unescaped

ODD = '=1+1 "quoted" 🙂 \u2028 在北码头 <b>'
PLACE = Context("c1", "d1", "harbour.md", "The pump takes cards.", 0, 21, 1.5, heading="Fuel", page=None)


def row(n, **changes):
    query = changes.pop("query", f"What is thing {n}?")
    answer = changes.pop("answer", f"Answer {n}. {ODD}")
    told = {"query_id": f"q{n}", "query": query, "contexts": (PLACE,), "answer": answer, "suggestion": "Before.",
            "response_id": f"p{n}", "record_id": f"r{n}", "annotator": "annotator-1", "guidelines_version": 2,
            "model": "base", "source": "review"}  # fmt: skip
    messages = [("system", "Answer."), ("user", f"Passages … {query}"), ("assistant", answer)]
    told["messages"] = [{"role": role, "content": content} for role, content in messages]
    return Row(**{**told, **changes})


def rows_for(form, count=12):
    if form.rows == PAIRS:
        return [row(n, rejected=f"Worse {n}.") for n in range(count)]
    if form.rows == SINGLES:
        return [row(n, label=n % 2 == 0) for n in range(count)]
    return [row(n) for n in range(count)]


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """Let ``datasets`` load a file from this machine into a cache of its own."""
    import datasets

    folder = tmp_path_factory.mktemp("datasets")

    def load(name, content):
        path = folder / name
        path.write_bytes(content)
        kind = "parquet" if name.endswith(".parquet") else "json"
        return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(folder / "cache"))

    return load


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_form_passes_the_rules_of_its_reader(form):
    content = write(form.name, rows_for(form))
    assert problems(form.name, content) == [] and content


@pytest.mark.parametrize("name", ["trl-messages", "trl-prompt-completion", "trl-preference", "trl-unpaired", "parquet",
                                  "parquet-preference"])  # fmt: skip
def test_datasets_loads_what_trl_trains_on_with_its_columns_and_types(offline, name):
    form = form_of(name)
    made = rows_for(form)
    loaded = offline(form.file_name, write(name, made))
    columns = {
        "trl-messages": {"messages"},
        "trl-prompt-completion": {"prompt", "completion"},
        "parquet": {"prompt", "completion"},
        "trl-unpaired": {"prompt", "completion", "label"},
    }.get(name, {"prompt", "chosen", "rejected"})
    assert columns | set(LINEAGE) == set(loaded.column_names) and len(loaded) == len(made)
    # TRL: a conversational column is a list of structs with role and content, both strings; a label is a bool.
    for column in columns - {"label"}:
        kind = loaded.features[column].feature
        assert {name: str(kind[name].dtype) for name in kind} == {"role": "string", "content": "string"}
    if "label" in columns:
        assert loaded.features["label"].dtype == "bool" and loaded["label"][:2] == [True, False]
    answer = loaded[3][{"trl-messages": "messages"}.get(name, "completion" if "completion" in columns else "chosen")][
        -1
    ]
    assert answer == {"role": "assistant", "content": made[3].answer}
    assert (loaded[3]["annotator"], loaded[3]["guidelines_version"], loaded[3]["record_id"]) == ("annotator-1", 2, "r3")
    assert loaded[3]["contexts"][0]["text"] == PLACE.text and loaded[3]["model"] == "base"


def test_openai_gets_no_key_that_it_does_not_know_and_the_lineage_beside_it_fits_line_by_line():
    made = [row(n) for n in range(5)]
    lines = write("openai-chat", made).decode().splitlines()
    assert all(set(json.loads(line)) == {"messages"} for line in lines) and validate_chat_jsonl(lines) == []
    told = list(csv.DictReader(io.StringIO(lineage_csv(made).decode(), newline="")))
    assert [(item["line"], item["record_id"]) for item in told] == [(str(n + 1), f"r{n}") for n in range(5)]
    assert set(told[0]) == {"line", *LINEAGE} and json.loads(told[0]["contexts"])[0]["document_name"] == "harbour.md"


def test_a_table_runs_no_formula_and_keeps_the_text():
    (told,) = csv.DictReader(io.StringIO(write("csv", [row(0, answer="=1+1")]).decode(), newline=""))
    assert told["completion"] == "'=1+1" and unescaped(told["completion"]) == "=1+1"


def test_argilla_reads_its_records(tmp_path):
    import argilla

    (told,) = json.loads(write("argilla", [row(0)]))
    record = argilla.Record.from_dict(told)
    assert record.fields["query"] == "What is thing 0?" and record.fields["prompt"][1]["role"] == "user"
    assert [item.value for item in record.responses] == [row(0).answer]
    assert [item.value for item in record.suggestions] == ["Before."] and record.metadata["guidelines_version"] == 2


def test_without_rows_there_is_no_file():
    for form in FORMS:
        with pytest.raises(TrainingError):
            write(form.name, [])
    with pytest.raises(TrainingError):
        write("docx", [row(0)])


BROKEN = {
    "not_json": "{",
    "unrecognized_key": {"input": {"messages": [{"role": "user", "content": "a"}]}, "preferred_output":
        [{"role": "assistant", "content": "b"}], "non_preferred_output": [{"role": "assistant", "content": "c"}], "id": 1},
    "missing_messages_list": {"input": {}, "preferred_output": [{"role": "assistant", "content": "b"}],
        "non_preferred_output": [{"role": "assistant", "content": "c"}]},
    "last_message": {"input": {"messages": [{"role": "assistant", "content": "a"}]}, "preferred_output":
        [{"role": "assistant", "content": "b"}], "non_preferred_output": [{"role": "assistant", "content": "c"}]},
    "unrecognized_role": {"input": {"messages": [{"role": "user", "content": "a"}]}, "preferred_output":
        [{"role": "user", "content": "b"}, {"role": "assistant", "content": "b"}],
        "non_preferred_output": [{"role": "assistant", "content": "c"}]},
    "missing_content": {"input": {"messages": [{"role": "user", "content": " "}]}, "preferred_output":
        [{"role": "assistant", "content": "b"}], "non_preferred_output": [{"role": "assistant", "content": "c"}]},
    "same_answers": {"input": {"messages": [{"role": "user", "content": "a"}]}, "preferred_output":
        [{"role": "assistant", "content": "b"}], "non_preferred_output": [{"role": "assistant", "content": "b"}]},
}  # fmt: skip


@pytest.mark.parametrize("key", BROKEN)
def test_a_broken_pair_is_named(key):
    line = BROKEN[key] if isinstance(BROKEN[key], str) else json.dumps(BROKEN[key])
    assert {problem.key for problem in validate_preference_jsonl([line])} == {key}


@pytest.mark.shared_data
def test_the_published_example_of_preferences_is_valid(shared_data):
    text = (shared_data / "finetune_openai" / "preference_format_example.jsonl").read_text("utf-8")
    assert validate_preference_jsonl(text.splitlines()) == []


def test_rows_are_counted_checked_and_compared():
    good, same = row(0), row(0, response_id="other")
    silent, alone = row(1, answer=" "), row(2, messages=[{"role": "system", "content": "x"}])
    alike = row(3, rejected=row(3).answer.replace(" ", "  "))
    found = check_rows([good, same, silent, alone, alike])
    assert found.duplicates == 1 and found.tokens[0] == chat_tokens(good.messages)
    assert [(item.line, item.key) for item in found.problems] == [
        (3, "missing_content"), (4, "example_missing_assistant_message"), (4, "missing_user_message"), (5, "same_answers"),
    ]  # fmt: skip
    assert found.longer_than(found.tokens[0]) == sum(tokens > found.tokens[0] for tokens in found.tokens)
    assert row_tokens(row(0, rejected="Worse.")) > row_tokens(good)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5])
def test_no_query_is_on_both_sides_however_it_is_spelled(share):
    spelled = [row(n, query=text) for n in range(40) for text in (f"What is {n}?", f"  what IS {n} ", f"What is {n}")]
    train, validation = split_by_query(spelled, share)
    assert not on_both_sides(train, validation) and len(train) + len(validation) == 120
    assert len(validation) == round(40 * share) * 3 and split_by_query(spelled[::-1], share)[1] == validation[::-1]


def test_one_query_is_trained_on_and_not_held_back():
    assert split_by_query([row(0), row(1, query="What is thing 0")], 0.5)[1] == ()
