"""The published tables of a real workspace, loaded with the real ``datasets``."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow.parquet
import pytest

from pipeline.export import to_chat_jsonl, validate_chat_jsonl
from pipeline.hub.card import card
from pipeline.hub.publish import annotators, published_files, published_rows
from pipeline.hub.tables import TABLES, Column, features, parquet
from pipeline.prompts import get_template, render_messages
from pipeline.store.members import AUTOMATIC
from tests.published import ANSWER, ODD, REPO, SALT
from tests.workspace import add_comparison, add_model, open_workspace

BY_NAME = {table.name: table for table in TABLES}
# One process loads everything: `datasets` reads its settings when it is imported, and the import takes a second.
LOAD = """
import pickle, sys
from datasets import get_dataset_config_names, load_dataset

def load(folder, name, streaming):
    try:
        found = load_dataset(folder, name, split="train", streaming=streaming)
        return {"rows": list(found), "features": found.features}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error} {error.__cause__}"}

# Of the two with later columns, what has them and one that has none.
ONLY = {"later": ["votes", "completions"], "undeclared": ["votes", "queries"]}
loaded = {}
for folder in sys.argv[2:]:
    names = get_dataset_config_names(folder)
    wanted = ONLY.get(folder.rpartition("/")[2], names)
    loaded[folder] = {(name, s): load(folder, name, s) for name in wanted for s in (False, True)}
    loaded[folder]["names"] = names
loaded[sys.argv[2]]["default"] = load(sys.argv[2], None, False)
pickle.dump(loaded, open(sys.argv[1], "wb"))
"""


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def extended(rows):
    """Return the tables with a column that came later, and the files of it beside the older ones."""
    votes, completions = BY_NAME["votes"], BY_NAME["completions"]
    votes = replace(votes, columns=(Column("confidence", "string", "New."), *votes.columns))
    contexts = next(column for column in completions.columns if column.name == "contexts")
    wider = replace(contexts, dtype=(*contexts.dtype, Column("rank", "int32", "New.")))
    columns = tuple(wider if column is contexts else column for column in completions.columns)
    completions = replace(completions, columns=columns)
    new_vote = {**rows["votes"][0], "id": "zz", "confidence": "high"}
    newer = rows["completions"][0]
    newer = {**newer, "id": "zz", "contexts": [{**context, "rank": 1} for context in newer["contexts"]]}
    second = {"votes": parquet(votes, [new_vote]), "completions": parquet(completions, [newer])}
    tables = [{"votes": votes, "completions": completions}.get(table.name, table) for table in TABLES]
    return tables, {BY_NAME[name].path.replace("00000-", "00001-"): content for name, content in second.items()}


@pytest.fixture(scope="module")
def loaded(workspace, files, tmp_path_factory):
    """Everything that ``load_dataset`` gives for the repo, for one with later columns, and for an empty workspace."""
    folder = tmp_path_factory.mktemp("repos")
    rows = published_rows(workspace.services.store, SALT)
    counts = {name: len(found) for name, found in rows.items()}
    tables, second = extended(rows)
    empty = open_workspace(folder / "nothing")
    repos = {
        "full": {**files, "journal/2026-11-22/one.jsonl": b'{"a": 1}\n', "snapshot/two.jsonl": b'{"b": 2}\n'},
        "later": {**files, **second, "README.md": card(REPO, counts, tables=tables).encode()},
        "undeclared": {
            **files,
            **second,
            "README.md": re.sub(rb"dataset_info:.*?\n---", b"---", files["README.md"], flags=re.S),
        },
        "empty": published_files(empty.store, REPO, salt=SALT),
    }
    empty.close()
    folders = [str(write(folder / name, content)) for name, content in repos.items()]
    cache = {"HF_HOME": str(folder / "hf"), "HF_DATASETS_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", LOAD, str(folder / "out"), *folders]
    subprocess.run(command, check=True, env={**os.environ, **cache}, cwd=folder, capture_output=True, text=True)
    found = pickle.loads((folder / "out").read_bytes())
    return {name: found[path] for name, path in zip(repos, folders, strict=True)}


def rows_of(loaded, name, repo="full"):
    assert "error" not in loaded[repo][name, False], loaded[repo][name, False]
    return loaded[repo][name, False]["rows"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_loads_with_its_declared_features_streamed_or_not(loaded, workspace, table):
    rows = rows_of(loaded, table.name)
    assert rows and rows == loaded["full"][table.name, True]["rows"]
    assert loaded["full"][table.name, False]["features"] == features(table)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert len(rows) == len(published_rows(workspace.services.store, SALT)[table.name])
    assert list(rows[0]) == [column.name for column in table.columns]


def test_the_tables_are_those_of_the_design_and_a_bare_load_gives_completions(loaded):
    names = {
        "documents",
        "queries",
        "completions",
        "records",
        "responses",
        "adjudications",
        "guidelines",
        "comparisons",
        "votes",
        "sft",
        "preferences",
        "unpaired",
    }
    assert {table.name for table in TABLES} == set(loaded["full"]["names"]) == names
    assert loaded["full"]["default"]["rows"] == rows_of(loaded, "completions")


def test_documents_are_whole_and_deleted_ones_are_left_out(loaded, workspace):
    (row,) = rows_of(loaded, "documents")
    document = workspace.services.store.documents.get(row["id"])
    assert (row["name"], row["text"], row["characters"]) == ("harbour.md", document.text, len(document.text))
    assert [place["heading"] for place in row["sections"]] == [section.heading or None for section in document.sections]
    assert row["chunks"] == len(workspace.services.store.documents.searched_chunks())
    assert row["created_at"] == datetime.fromtimestamp(document.created_at, UTC)


def test_queries_tell_their_list_their_split_and_their_metadata_as_rows(loaded):
    rows = rows_of(loaded, "queries")
    plain = next(row for row in rows if row["query"] == "Plain?")
    assert plain["metadata"] == [{"name": "topic", "value": ODD}, {"name": "week", "value": "3"}]
    assert (plain["query_set"], plain["asked_in"], plain["split"]) == ("File", "list", "train")
    assert f"What? {ODD}" in [row["query"] for row in rows]


def test_completions_need_no_second_table(loaded, workspace):
    rows = {row["id"]: row for row in rows_of(loaded, "completions")}
    record = workspace.records[0]
    row = rows[record.completion_id]
    assert (row["query"], row["model"], row["provider"]) == (
        record.query,
        record.suggestions[ANSWER].agent,
        "extractive",
    )
    assert (row["answer"], row["refused"], row["error"]) == (record.completion, False, None)
    assert row["citations"] and row["contexts"][0]["text"] == record.contexts[0].text
    assert row["contexts"][0]["document"] == "harbour.md" and row["contexts"][0]["heading"]
    assert {row["parent_model"] for row in rows.values() if row["model"] == "tuned"} == {
        record.suggestions[ANSWER].agent
    }


def test_drafts_are_left_out_of_the_responses_and_discards_say_so(loaded, workspace):
    responses = rows_of(loaded, "responses")
    rows = [row for row in responses if row["dataset"] == workspace.dataset.name]
    assert sorted(row["status"] for row in rows) == ["discarded", "submitted", "submitted"]
    first = next(row for row in rows if row["record_id"] == workspace.records[0].id)
    assert (first["answer"], first["query_rating"], first["context_rating"], first["seconds"]) == (ODD, 5, None, 12.5)
    assert first["suggestion"] == workspace.records[0].completion and first["edited"]
    second = next(row for row in rows if row["record_id"] == workspace.records[1].id)
    assert (second["context_rating"], second["edited"]) == (2, False)
    assert {row["record_id"] for row in rows} < {row["id"] for row in rows_of(loaded, "records")}


def test_records_and_responses_of_other_datasets_are_json_by_name(loaded, workspace):
    records = [row for row in rows_of(loaded, "records") if row["dataset"] == "Tone"]
    first, second = sorted(records, key=lambda row: row["position"])
    assert json.loads(first["fields"]) == {"text": ODD, "passages": [{"text": "One."}, {"text": "Two."}]}
    assert (first["external_id"], json.loads(first["metadata"])) == ("e-1", {"price": 1.5})
    proposed = {"question": "tone", "value": "warm", "agent": "small model", "score": 0.75}
    assert json.loads(first["suggestions"]) == [proposed] and json.loads(second["suggestions"]) == []
    nothing = ("query_id", "query", "split", "suggestion", "model", "completion_id", "prompt_template")
    assert {first[name] for name in nothing} == {None} and first["contexts"] == []
    rows = {row["status"]: row for row in rows_of(loaded, "responses") if row["dataset"] == "Tone"}
    submitted, discarded = rows["submitted"], rows["discarded"]
    assert json.loads(submitted["values"]) == {"tone": "cold", "answer": "no"}
    assert json.loads(submitted["marks"]) == {"chunks": {"1": True}} and discarded["marks"] is None
    assert (submitted["prefilled"], submitted["guidelines_version"], submitted["seconds"]) == (True, 1, 4.0)
    assert (discarded["reason"], submitted["reason"]) == ("Not mine.", None)
    assert {submitted[name] for name in ("query_rating", "context_rating", "answer", "edited", "split")} == {None}


def test_records_of_a_run_keep_their_columns_and_say_what_is_suggested(loaded, workspace):
    rows = {row["id"]: row for row in rows_of(loaded, "records")}
    record = workspace.records[0]
    row, agent = rows[record.id], record.suggestions[ANSWER].agent
    assert (row["query"], row["suggestion"], row["model"]) == (record.query, record.completion, agent)
    assert (row["fields"], row["prompt_template"], row["split"]) == (None, "customer-assistant", "train")
    answer = {"question": ANSWER, "value": record.completion, "agent": agent, "score": None}
    assert json.loads(row["suggestions"]) == [answer]


def test_a_prompt_of_the_teams_own_is_named_by_title_and_version_and_not_by_its_id(tmp_path):
    services = open_workspace(tmp_path / "home")
    own = replace(get_template("answer-review"), name="our-desk", title="Our desk")
    stored = [services.store.templates.add(own) for _ in range(2)][1]
    models = [
        add_model(services, "base"),
        replace(add_model(services, "spare"), id="m-own", name="ours", template=stored.id),
    ]
    services.store.models.add(models[1])
    add_comparison(services, models, [("One.", "Two.")])
    rows = published_rows(services.store, SALT)
    services.close()
    assert {row["model"]: row["prompt_template"] for row in rows["completions"]} == {
        "base": "answer-review",
        "ours": "Our desk, version 2",
    }


def test_decisions_and_guidelines_are_published_unless_they_were_withdrawn(loaded, workspace):
    (row,) = rows_of(loaded, "adjudications")
    assert (row["id"], row["dataset"], json.loads(row["values"]), row["reason"]) == (
        "j-1",
        "Tone",
        {"tone": "warm"},
        None,
    )
    assert row["annotator"] == annotators(workspace.services.store, SALT)[workspace.people[0]]
    texts = {row["dataset"]: (row["version"], row["text"]) for row in rows_of(loaded, "guidelines")}
    assert texts["Tone"] == (1, "Read twice.") and texts[workspace.dataset.name][0] == 1


def test_votes_say_what_was_shown_where_and_who_won(loaded, workspace):
    rows = {row["comparison_id"]: row for row in rows_of(loaded, "votes")}
    assert len(rows) == 5
    for pair in workspace.shown:
        row = rows[pair.comparison_id]
        assert (row["answer_a"], row["answer_b"], row["query"]) == (pair.text_a, pair.text_b, pair.query)
        assert {row["model_a"], row["model_b"]} == {"base", "tuned"}
        assert (row["model_a"] == "base") == row["answer_a"].startswith("First")
        assert (row["split"], row["seconds"]) == ("test", 3.5)
        assert row["winner"] == {"model_a": row["model_a"], "model_b": row["model_b"]}.get(row["outcome"])
    better = rows[workspace.shown[0].comparison_id]
    assert (better["outcome"], better["reason"], better["correction"]) == ("model_a", ODD.strip(), "A better answer.")
    last = rows[workspace.shown[3].comparison_id]
    assert (last["outcome"], last["reason"], last["correction"]) == ("model_b", None, None)


def test_automatic_ties_stay_and_votes_that_were_taken_back_do_not(loaded):
    (tie,) = (row for row in rows_of(loaded, "votes") if row["annotator"] == AUTOMATIC)
    assert (tie["outcome"], tie["winner"], tie["seconds"]) == ("tie", None, None)
    assert not [row for row in rows_of(loaded, "votes") if row["reason"] == "Taken back."]
    assert len({row["annotator"] for row in rows_of(loaded, "votes")}) == 2


def test_comparisons_hold_both_answers_with_their_models(loaded):
    rows = rows_of(loaded, "comparisons")
    assert [[side["model"] for side in row["completions"]] for row in rows] == [["base", "tuned"]] * 5
    assert [row["identical"] for row in rows] == [False] * 4 + [True]
    assert rows[2]["completions"][1]["answer"] == "Second 2."
    assert rows[0]["contexts"][0]["text"] == "The passage that both models were given."


def test_sft_rows_are_those_of_the_training_file_and_the_corrections(loaded, workspace):
    rows = rows_of(loaded, "sft")
    reviews = [row for row in rows if row["source"] == "review"]
    expected = workspace.services.tuner.chat_jsonl(workspace.dataset.id).splitlines()
    written = [json.loads(line)["messages"] for line in expected]
    assert sorted((row["messages"] for row in reviews), key=json.dumps) == sorted(written, key=json.dumps)
    assert {row["split"] for row in reviews} == {"train"} and {row["record_id"] for row in reviews} == {
        record.id for record in workspace.records[:2]
    }
    corrections = [row for row in rows if row["source"] == "correction"]
    assert [row["messages"][-1]["content"] for row in corrections] == ["A better answer.", "Right."]
    assert {(row["split"], row["model"], row["prompt_template"]) for row in corrections} == {
        ("test", None, "answer-review")
    }
    assert validate_chat_jsonl(to_chat_jsonl({"messages": row["messages"]} for row in rows).splitlines()) == []


def test_preferences_are_winners_and_corrections_over_what_they_beat(loaded, workspace):
    rows = rows_of(loaded, "preferences")
    found = {}
    for row in rows:
        found.setdefault(row["comparison_id"], []).append(
            (row["source"], row["chosen"][0]["content"], row["rejected"][0]["content"])
        )
    first, second, third, fourth = workspace.shown
    assert sorted(found[first.comparison_id]) == [
        ("correction", "A better answer.", first.text_b),
        ("vote", first.text_a, first.text_b),
    ]
    assert sorted(found[second.comparison_id]) == sorted(
        [("correction", "Right.", second.text_a), ("correction", "Right.", second.text_b)]
    )
    assert third.comparison_id not in found
    assert found[fourth.comparison_id] == [("vote", fourth.text_b, fourth.text_a)]
    record = workspace.records[0]
    assert found[None] == [("review", ODD, record.completion)]
    assert sum(map(len, found.values())) == len(rows) == 6


def test_preferences_are_conversations_with_the_prompt_of_the_rejected_answer(loaded, workspace):
    rows = rows_of(loaded, "preferences")
    for row in rows:
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        assert [message["role"] for message in row["chosen"] + row["rejected"]] == ["assistant"] * 2
        assert row["rejected_model"] and (row["chosen_model"] is None) == (row["source"] != "vote")
    record = workspace.records[0]
    (review,) = (row for row in rows if row["source"] == "review")
    assert review["prompt"] == render_messages(get_template("customer-assistant"), record.query, record.contexts)
    assert (review["split"], review["record_id"], review["rejected_model"]) == (
        "train",
        record.id,
        record.suggestions[ANSWER].agent,
    )


def test_a_column_that_was_added_later_is_null_in_older_files(loaded):
    votes = rows_of(loaded, "votes", "later")
    assert [row["confidence"] for row in votes] == [None] * 5 + ["high"]
    assert [row["outcome"] for row in votes[:5]] == [row["outcome"] for row in rows_of(loaded, "votes")]
    completions = rows_of(loaded, "completions", "later")
    ranks = [[context["rank"] for context in row["contexts"]] for row in completions]
    assert set(ranks[-1]) == {1} and {rank for row in ranks[:-1] for rank in row} == {None}
    assert loaded["later"]["votes", True]["rows"] == votes


def test_it_is_the_declared_features_that_keep_it_loading(loaded):
    assert "column names don't match" in loaded["undeclared"]["votes", False]["error"]
    assert rows_of(loaded, "queries", "undeclared") == rows_of(loaded, "queries")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_without_rows_is_streamed_with_its_features(loaded, table):
    assert loaded["empty"][table.name, True] == {"rows": [], "features": features(table)}
    # `datasets` itself makes no map-style data set of no rows; what is allowed besides its own words is that it learns to.
    found = loaded["empty"][table.name, False]
    assert "corresponds to no data" in found.get("error", "") or found["rows"] == []
    assert parquet(table, []) == parquet(table, [])
    assert pyarrow.parquet.read_table(io.BytesIO(parquet(table, []))).schema.names == [c.name for c in table.columns]
