"""The bundled example: the handbook says what its queries rest on, and documents every setting."""

import json
import re
from pathlib import Path

import pytest

import pipeline
from pipeline.settings import SETTINGS, Setting

EXAMPLE = Path(pipeline.__file__).parent / "example"
MACHINE_PATH = re.compile(r"(?<![\w.~:/])/(?:home|Users|root|tmp|var|opt|work|mnt|srv|usr|etc|data)\b|\b[A-Za-z]:\\")


@pytest.fixture(scope="module")
def handbook() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((EXAMPLE / "handbook").glob("*.md"))}


@pytest.fixture(scope="module")
def queries() -> list[dict]:
    lines = (EXAMPLE / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_there_are_40_different_queries_24_to_train_and_16_to_test(queries: list[dict]) -> None:
    assert len({query["query"].casefold() for query in queries}) == 40
    splits = [query["split"] for query in queries]
    assert (splits.count("train"), splits.count("test")) == (24, 16)


def test_each_query_has_the_four_keys_with_their_types(queries: list[dict]) -> None:
    types = {"query": str, "split": str, "answerable": bool, "evidence": str}
    for query in queries:
        assert {key: type(value) for key, value in query.items()} == types
        assert query["query"] == query["query"].strip() != ""


def test_seven_queries_cannot_be_answered_and_stand_on_both_splits(queries: list[dict]) -> None:
    unanswerable = [query for query in queries if not query["answerable"]]
    assert len(unanswerable) == 7
    assert {query["split"] for query in unanswerable} == {"train", "test"}


def test_unanswerable_queries_have_no_evidence_and_answerable_ones_have_some(queries: list[dict]) -> None:
    assert [query["query"] for query in queries if query["answerable"] != bool(query["evidence"])] == []


def test_evidence_occurs_word_for_word_in_the_handbook(queries: list[dict], handbook: dict[str, str]) -> None:
    missing = [
        query["evidence"] for query in queries if not any(query["evidence"] in text for text in handbook.values())
    ]
    assert missing == []


def test_no_two_queries_share_their_evidence(queries: list[dict]) -> None:
    evidence = [query["evidence"] for query in queries if query["evidence"]]
    assert len(set(evidence)) == len(evidence)


def test_no_query_is_copied_from_the_handbook(queries: list[dict], handbook: dict[str, str]) -> None:
    text = "\n".join(handbook.values()).casefold()
    assert [query["query"] for query in queries if query["query"].rstrip("?").casefold() in text] == []


def test_the_handbook_states_the_counts_of_the_example(handbook: dict[str, str]) -> None:
    text = handbook["getting-started.md"]
    for statement in ("40 queries", "24 are for training", "16 are held out", "Seven of the 40 queries"):
        assert statement in text


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_each_setting_is_documented_with_its_default(setting: Setting, handbook: dict[str, str]) -> None:
    assert f"- {setting.name} (default: {setting.default or 'not set'}) " in handbook["settings.md"]


def test_the_handbook_names_no_setting_that_does_not_exist(handbook: dict[str, str]) -> None:
    known = {setting.name for setting in SETTINGS}
    named = set(re.findall(r"\b(?:PAIRLOOP|OPENAI|HF)_[A-Z_]+\b", "\n".join(handbook.values())))
    assert named - known == set()


def test_the_handbook_mentions_no_path_of_a_machine(handbook: dict[str, str]) -> None:
    assert {name: MACHINE_PATH.findall(text) for name, text in handbook.items() if MACHINE_PATH.search(text)} == {}


def test_a_path_of_a_machine_would_be_found() -> None:
    assert MACHINE_PATH.search("kept in /home/ada/.pairloop")
    assert MACHINE_PATH.search("kept in C:\\pairloop")
    assert not MACHINE_PATH.search("http://localhost:11434/v1, A/B, ~/.pairloop")


def test_each_page_begins_with_its_only_title_and_no_section_is_empty(handbook: dict[str, str]) -> None:
    for name, text in handbook.items():
        assert re.match(r"# \S", text), name
        assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, name
        assert not re.search(r"^#+ [^\n]*\n+(?=## |\Z)", text[2:], re.MULTILINE), name


def test_the_handbook_has_no_bracketed_numbers_that_would_pass_for_citations(handbook: dict[str, str]) -> None:
    assert {name for name, text in handbook.items() if re.search(r"\[\d+\]", text)} == set()
