import json

import pytest

from pipeline.errors import QueryFileError
from pipeline.query_files import MAX_QUERIES, MAX_QUERY_CHARACTERS, QUERY_COLUMNS, read_queries
from pipeline.records import Split


@pytest.fixture
def read(tmp_path):
    def write_and_read(content: str | bytes, name: str):
        path = tmp_path / "upload"  # the name that the person knows decides, not that of the temporary file
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_queries(path, name)

    return write_and_read


@pytest.fixture
def error_of(read):
    def read_and_fail(content: str | bytes, name: str) -> str:
        with pytest.raises(QueryFileError) as caught:
            read(content, name)
        return str(caught.value)

    return read_and_fail


def texts(queries) -> list[str]:
    return [query.text for query in queries]


# Real files


@pytest.mark.shared_data
def test_the_queries_of_the_tutorial_come_in_with_their_splits(shared_data):
    path = shared_data / "argilla_cloud/questions.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]

    queries = read_queries(path)

    assert texts(queries) == [row["question"] for row in rows]
    assert [query.split.value for query in queries] == [row["split"] for row in rows]
    assert len(queries) == 31
    assert queries[0].metadata["evidence"].splitlines() == rows[0]["evidence"]
    assert queries[0].metadata["answers"] == rows[0]["answers"][0]
    assert queries[0].metadata["answerable"] == "true"
    assert set(queries[0].metadata) == {"id", "answers", "evidence", "answerable", "origin"}


@pytest.mark.shared_data
def test_the_queries_of_xquad_come_in_but_for_those_asked_twice(shared_data):
    path = shared_data / "rag_xquad_en/questions.jsonl"
    asked = [json.loads(line)["question"].strip() for line in path.read_text().splitlines()]

    queries = read_queries(path)

    assert texts(queries) == list(dict.fromkeys(asked))
    assert queries.duplicates == len(asked) - len(set(asked))


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stanley-cups.csv", "It has: Stanley Cups, (no name), (no name). Name the column query, question,"),
        ("stanley-cups-utf-16.csv", "It has: Stanley Cups,"),
        ("test_mskanji.csv", "It has: 名前, 年齢, 住所."),
        ("single_line_200k.txt", "single_line_200k.txt, line 1: it has 200,000 characters"),
        ("empty.txt", "empty.txt is empty"),
        ("fake-text-all-whitespace.txt", "is empty"),
        ("habibi.pdf", "habibi.pdf is not a list of queries: use one of .txt, .csv, .tsv, .jsonl, .json"),
    ],
)
def test_awkward_real_files_are_refused_with_a_reason(shared_data, name, expected):
    with pytest.raises(QueryFileError) as caught:
        read_queries(shared_data / "documents" / name)
    assert expected in str(caught.value)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["random.bin", "fake.docx", "hello-world.pdf", "movie-theater-booking-2024.pdf"])
@pytest.mark.parametrize("claimed", ["queries.txt", "queries.csv", "queries.jsonl"])
def test_binary_files_under_a_text_name_are_told_from_text(shared_data, name, claimed):
    with pytest.raises(QueryFileError, match=f"{claimed} is not a text file"):
        read_queries(shared_data / "documents" / name, claimed)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["fake-text-utf-16.txt", "fake-text-utf-16-le.txt", "fake-text-utf-16-be.txt"])
def test_utf_16_comes_in_with_and_without_its_mark(shared_data, name):
    queries = read_queries(shared_data / "documents" / name)
    assert queries[0].text == "This is a test document to use for unit tests."


# Formats


def test_typed_text_has_one_query_a_line():
    queries = read_queries("How many backups?\r\n\n  Who was first? \nHow many backups?\n")
    assert texts(queries) == ["How many backups?", "Who was first?"]
    assert (queries.blank, queries.duplicates) == (1, 1)


@pytest.mark.parametrize("column", [*QUERY_COLUMNS, "Question", " USER_MESSAGE "])
def test_the_column_of_queries_is_found_by_its_name(read, column):
    assert texts(read(f"id,{column},note\n1,How many?,x\n", "list.csv")) == ["How many?"]
    assert texts(read(json.dumps({"id": 1, column: "How many?"}), "list.jsonl")) == ["How many?"]


def test_the_plainest_name_wins_where_several_would_do(read):
    (query,) = read("text,question,query\nc,b,a\n", "list.csv")
    assert query.text == "a"
    assert query.metadata == {"text": "c", "question": "b"}


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.csv", "\t"), ("a.TSV", "\t")])
def test_tables_may_be_parted_by_comma_semicolon_or_tab(read, name, delimiter):
    rows = [["query", "split", "source"], ["How many; or none, then?", "test", "mail"]]
    content = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    (query,) = read(content, name)
    assert (query.text, query.split, query.metadata) == ("How many; or none, then?", Split.TEST, {"source": "mail"})


def test_quoted_cells_keep_line_breaks_and_quotation_marks(read):
    (query,) = read('query\n"He asked: ""How\nmany?"""\n', "list.csv")
    assert query.text == 'He asked: "How\nmany?"'


def test_short_rows_and_blank_rows_do_no_harm(read):
    queries = read("\nid,query,split\n1,How many?\n\n2,,train\n3,Who?,train\n,,\n", "list.csv")
    assert texts(queries) == ["How many?", "Who?"]
    assert [query.split for query in queries] == [None, Split.TRAIN]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_holds_objects_or_texts(read, indent):
    rows = ["Who?", {"question": "How many?", "split": "test", "tags": ["a", 1], "deep": {"x": [1]}, "none": None}]
    first, second = read(json.dumps(rows, indent=indent), "list.json")
    assert first.text == "Who?"
    assert (second.text, second.split) == ("How many?", Split.TEST)
    assert second.metadata == {"tags": "a\n1", "deep": '{"x": [1]}'}


def test_jsonl_under_the_name_of_json_comes_in(read):
    assert texts(read('{"query": "A?"}\n{"query": "B?"}\n', "list.json")) == ["A?", "B?"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("content", ["query\nWie viele Bücher – 5 €?\n", '{"query": "Wie viele Bücher – 5 €?"}\n'])
def test_any_unicode_encoding_is_understood(read, encoding, content):
    name = "list.csv" if content.startswith("query") else "list.jsonl"
    assert texts(read(content.encode(encoding), name)) == ["Wie viele Bücher – 5 €?"]


def test_western_code_pages_are_understood(read):
    content = "query\nWie viele Bücher gibt es in München für Schüler?\nWo übt der Chor am Freitag?\n"
    assert texts(read(content.encode("cp1252"), "list.csv"))[0] == "Wie viele Bücher gibt es in München für Schüler?"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("train", Split.TRAIN), (" Training ", Split.TRAIN), ("TEST", Split.TEST), ("validation", Split.TEST), ("", None)],
)
def test_splits_are_train_or_held_back(read, value, expected):
    assert read(f"query,Split\nHow many?,{value}\n", "list.csv")[0].split is expected


def test_what_no_database_can_hold_is_taken_out(read):
    (query,) = read('{"query": "a\\u0000b \\ud800 c", "note": "\\udfff"}', "list.jsonl")
    assert query.text == "ab ? c"
    assert query.metadata == {"note": "?"}


# Refusals


def test_a_table_without_a_query_column_is_told_what_it_has_and_needs(error_of):
    message = error_of("id,frage\n1,Wie viele?\n", "list.csv")
    assert message == (
        "list.csv has no column of queries. It has: id, frage. Name the column query, question, prompt, "
        "user-message, user_message, input or text."
    )
    assert "It has: frage." in error_of('{"frage": "Wie viele?"}', "list.jsonl")


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ('{"query": "A?"}\n\n{"query": "B?"\n', "a.jsonl", "a.jsonl, line 3: it is not JSON"),
        ('[\n "A?",\n "B?"\n "C?"]', "a.json", "a.json, line 4: it is not JSON"),
        ('{"query": "A?"}\n5\n', "a.jsonl", "line 2: it is neither a text nor an object"),
        ('{"query": "A?"}\n{"text": "B?"}\n', "a.jsonl", "line 2: its 'query' is missing or is not a text"),
        ('[{"query": "A?"}, {"query": ["B?"]}]', "a.json", "entry 2: its 'query' is missing or is not a text"),
        ("[" * 90_000, "a.json", "line 1: it is not JSON"),
        ("9" * 5000, "a.jsonl", "line 1: it is not JSON"),
        ('query\nA?\n"B?\nC?\n', "a.csv", "line 3: a quotation mark is out of place"),
        ("query\nA?\nWho, when, where?\n", "a.csv", "line 3: it has more cells (3) than there are columns (1)"),
        ("query,split\nA?,train\nB?,later\n", "a.csv", "line 3: the split is 'later'; it can be train or test"),
        ("query,Query\nA?,B?\n", "a.csv", "two columns of the same name"),
        ("query\n\n \n", "a.csv", "a.csv holds no query"),
        ("[]", "a.json", "a.json holds no query"),
        (b"", "a.csv", "a.csv is empty"),
        ("A?", "a.xlsx", "a.xlsx is not a list of queries: use one of .txt, .csv, .tsv, .jsonl, .json"),
    ],
)
def test_a_broken_file_is_refused_with_the_place_and_the_reason(error_of, content, name, expected):
    assert expected in error_of(content, name)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", "Who?\n{}\n"), ("a.csv", "query\n{}\n"), ("a.jsonl", '{{"query": "Who?"}}\n{{"query": "{}"}}\n')],
)
def test_a_line_of_200_kilobytes_is_refused_by_its_number(error_of, name, content):
    assert f"{name}, line 2: it has 200,0" in error_of(content.format("x" * 200_000), name)


def test_a_query_may_be_as_long_as_the_limit_and_no_longer(read, error_of):
    assert len(read("x" * MAX_QUERY_CHARACTERS, "a.txt")[0].text) == MAX_QUERY_CHARACTERS
    message = error_of("Who?\n" + "x" * (MAX_QUERY_CHARACTERS + 1), "a.txt")
    assert message == "a.txt, line 2: the query has 8,001 characters; 8,000 are the limit."


def test_a_list_may_be_as_long_as_the_limit_and_no_longer(read, error_of):
    lines = [f"Query {number}?" for number in range(MAX_QUERIES)]
    assert len(read("\n".join([*lines, "", lines[0]]), "a.txt")) == MAX_QUERIES
    assert "line 5,001: the list has more than 5,000 queries" in error_of("\n".join([*lines, "One more?"]), "a.txt")


def test_typed_text_without_a_query_is_refused():
    with pytest.raises(QueryFileError, match="The text holds no query"):
        read_queries(" \n\n")
