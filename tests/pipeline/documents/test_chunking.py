"""Chunks lie where they say, leave nothing out, keep to their sections and to their size."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.utils import get_tokenizer

from pipeline.documents import read_file, split_document
from pipeline.documents.chunking import CHUNK_TOKENS
from pipeline.records import Chunk, Document, Section

SENTENCE = "Our support team answers every question within one business day. "


def document(text: str, sections: tuple[Section, ...] = ()) -> Document:
    return Document("doc", "guide.md", "text/markdown", "", text, sections)


def assert_sound(doc: Document, chunks: list[Chunk]) -> None:
    """What holds for every document and every size."""
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    covered = 0
    for chunk in chunks:
        assert doc.text[chunk.start : chunk.end] == chunk.text == chunk.text.strip() != ""
        assert doc.text[covered : chunk.start].strip() == ""  # no gap before it
        assert chunk.end > covered  # and something new in it
        covered = chunk.end
    assert doc.text[covered:].strip() == ""


def count(text: str) -> int:
    return len(get_tokenizer()(text))


PIECES = st.sampled_from(
    [
        *(
            "word ",
            "Sentence one. ",
            "Is it? ",
            "\n",
            "\n\n",
            "\n\n\n",
            "A. ",
            "a, b; ",
            "是人都生而自由。",
            "在尊严",
            "مرحبا بالعالم؟ ",
        ),
        *(
            "😀",
            "👩‍👩‍👧",
            "x" * 40,
            " " * 70,
            "\t",
            "\u3000",
            "\x85",
            "# Head\n",
            "- item\n",
            "e\u0301",
            "\ufeff",
            "1.5 ",
        ),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=60).map("".join)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = draw(TEXTS)
    starts = sorted(draw(st.sets(st.integers(0, max(0, len(text) - 1)), max_size=8))) if text else []
    headings = st.sampled_from(["", "A", "A › B", "A › C", "D"])
    pages = st.none() | st.integers(1, 9)
    return document(text, tuple(Section(start, draw(headings), draw(pages)) for start in starts))


@settings(deadline=None)
@given(documents(), st.sampled_from([(16, 0), (16, 8), (32, 4), (256, 32)]))
def test_spans_are_exact_and_leave_nothing_out(doc: Document, sizes: tuple[int, int]) -> None:
    chunks = split_document(doc, *sizes)
    assert_sound(doc, chunks)
    for chunk in chunks:
        before = [section for section in doc.sections if section.start <= chunk.start]
        section = before[-1] if before else Section(0)
        assert (chunk.heading, chunk.page) == (section.heading, section.page)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["A. ", "B. ", "A. A. ", "\n\n"]), min_size=100, max_size=300).map("".join))
def test_text_that_repeats_itself_leaves_no_gap(text: str) -> None:
    doc = document(text)
    assert_sound(doc, split_document(doc, 16, 8))


@settings(deadline=None)
@given(st.lists(PIECES, max_size=200).map("".join))
def test_no_chunk_is_much_over_its_size(text: str) -> None:
    # Tokens are counted sentence by sentence, and joined sentences may break into tokens otherwise.
    assert all(count(chunk.text) <= 64 + 16 for chunk in split_document(document(text), 64, 8))


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "file",
    [
        *("single_line_200k.txt", "xquad_zh_article.txt", "xquad_ar_article.txt", "UDHR_first_article_all.txt"),
        *("eng_spa_mult.md", "blns.txt", "pdflatex-4-pages.pdf", "multicolumn.pdf", "test.docx", "test_blog.html"),
    ],
)
def test_real_files_are_cut_soundly(shared_data: Path, file: str) -> None:
    read = read_file(shared_data / "documents" / file)
    doc = document(read.text, read.sections)
    chunks = split_document(doc)
    assert_sound(doc, chunks)
    assert max(count(chunk.text) for chunk in chunks) <= CHUNK_TOKENS * 1.05
    if len(read.text) > 3000:
        assert sum(count(chunk.text) for chunk in chunks) / len(chunks) > CHUNK_TOKENS / 3


@pytest.mark.shared_data
def test_chunks_of_a_pdf_stay_on_their_page(shared_data: Path) -> None:
    read = read_file(shared_data / "documents" / "pdflatex-4-pages.pdf")
    ends = [section.start for section in read.sections[1:]] + [len(read.text)]
    pages = {section.page: (section.start, end) for section, end in zip(read.sections, ends, strict=True)}
    chunks = split_document(document(read.text, read.sections))
    assert {chunk.page for chunk in chunks} == {1, 2, 3, 4}
    assert all(pages[chunk.page][0] <= chunk.start and chunk.end <= pages[chunk.page][1] for chunk in chunks)


@pytest.mark.shared_data
def test_chunks_of_prose_end_with_a_sentence(shared_data: Path) -> None:
    for file, marks in (("single_line_200k.txt", ".!?\"'”’)"), ("xquad_zh_article.txt", "。！？")):
        doc = document(read_file(shared_data / "documents" / file).text)
        chunks = split_document(doc, 256, 0)
        assert sum(chunk.text[-1] in marks for chunk in chunks) / len(chunks) > 0.9, file


def test_chunks_share_a_sentence_where_it_is_short_enough() -> None:
    text = "".join(f"Fact number {number} is short. " for number in range(200))
    chunks = split_document(document(text), 64, 16)
    assert all(later.start < earlier.end for earlier, later in pairwise(chunks))
    assert all(later.start >= earlier.end for earlier, later in pairwise(split_document(document(text), 64, 0)))


def sectioned(*parts: tuple[str, str]) -> Document:
    """A document of these headings and texts."""
    text, sections = "", []
    for heading, body in parts:
        sections.append(Section(len(text), heading, len(sections) + 1))
        text += body + "\n\n"
    return document(text, tuple(sections))


def test_a_chunk_keeps_to_its_section() -> None:
    chunks = split_document(
        sectioned(("A", "# A\n\n" + SENTENCE * 6), ("B", "# B\n\n" + SENTENCE * 40), ("C", "# C\n\n" + SENTENCE * 5))
    )
    assert [(chunk.heading, chunk.page) for chunk in chunks] == [("A", 1), ("B", 2), ("B", 2), ("C", 3)]
    assert all(("# " in chunk.text[1:]) is False for chunk in chunks)


def test_a_heading_alone_goes_with_what_stands_below_it() -> None:
    chunks = split_document(
        sectioned(("A", "# A"), ("A › B", "## B\n\n" + SENTENCE * 6), ("D", "# D\n\n" + SENTENCE * 6))
    )
    assert [(chunk.heading, chunk.text[:9]) for chunk in chunks] == [("A", "# A\n\n## B"), ("D", "# D\n\nOur ")]


def test_a_tiny_last_section_of_a_chapter_goes_with_its_chapter() -> None:
    doc = sectioned(("A › B", SENTENCE * 6), ("A › C", "Call us."), ("D", SENTENCE * 6))
    assert [chunk.text.count("Call us.") for chunk in split_document(doc)] == [1, 0]


def test_a_tiny_section_at_the_end_is_not_left_alone() -> None:
    chunks = split_document(sectioned(("A", SENTENCE * 6), ("B", "Bye.")))
    assert [chunk.text[-4:] for chunk in chunks] == ["Bye."]


def test_tiny_sections_in_a_row_are_put_together_only_until_they_are_no_longer_tiny() -> None:
    parts = [(f"FAQ › {number}", f"Question {number}? The answer to it is in one sentence.") for number in range(12)]
    chunks = split_document(sectioned(*parts))
    assert 2 <= len(chunks) <= 6
    assert all(count(chunk.text) >= CHUNK_TOKENS // 8 for chunk in chunks)


def test_rows_of_a_table_are_not_cut() -> None:
    rows = [f"Team: Blues {number}; City: St. Louis, Mo.; Cups: {number}" for number in range(300)]
    chunks = split_document(document("\n".join(rows)))
    assert len(chunks) > 10
    assert all(line in rows for chunk in chunks for line in chunk.text.split("\n"))


@pytest.mark.parametrize("text", ["", " \n\t\n ", "\u3000"])
def test_blank_document_has_no_chunks(text: str) -> None:
    assert split_document(document(text)) == []


def test_chunk_knows_its_document() -> None:
    (chunk,) = split_document(document("  Hello.\n"))
    assert (chunk.document_id, chunk.document_name, chunk.start, chunk.end) == ("doc", "guide.md", 2, 8)
    assert (chunk.heading, chunk.page) == ("", None)


@pytest.mark.parametrize(("size", "overlap"), [(15, 0), (0, 0), (256, -1), (256, 129)])
def test_impossible_sizes_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="not possible"):
        split_document(document("Hello."), size, overlap)


def test_tokens_are_those_of_the_openai_encoding() -> None:
    get_tokenizer()  # puts the vocabulary that lies in the package where the next line finds it
    assert get_tokenizer()(SENTENCE) == list(tiktoken.get_encoding("cl100k_base").encode(SENTENCE))


def test_chunking_needs_no_network_and_no_sentence_model(tmp_path: Path) -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pipeline.documents import split_document\n"
        "from pipeline.records import Document\n"
        "print(len(split_document(Document('d', 'd', 'text/plain', '', 'One. Two. ' * 400))), 'nltk' in sys.modules)"
    )
    environment = {"HOME": str(tmp_path), "PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=Path.cwd(), check=True
    )
    chunks, nltk = done.stdout.split()
    assert int(chunks) > 5
    assert nltk == "False"
