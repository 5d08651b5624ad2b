"""Files that would fill the memory or never end are refused in a sentence, in time, and what came with them still goes in."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.archive import MAX_BYTES
from pipeline.contained import _AT_MOST, Bounds, OutOfBoundsError, Worker, contained
from pipeline.documents import read_apart
from pipeline.errors import BackupError, ComparisonError, DocumentError, QueryFileError, RecordError
from pipeline.query_files import read_queries
from pipeline.record_files.apart import read_apart as read_records
from pipeline.record_files.reading import read_settings
from tests import bombs

# Small, so that the tests are quick; what is allowed is more.
ROOT = Path(__file__).resolve().parents[2]
SMALL = Bounds(seconds=60.0, memory=400_000_000, answer=20_000_000)
SHORT = Bounds(seconds=2.0, memory=1_000_000_000)
WORDS = b"BT /F1 12 Tf 10 100 Td (The quay is long.) Tj ET "


@pytest.fixture
def kept(tmp_path):
    def keep(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return keep


def spent(how, much="", bounds=SMALL):
    return contained("tests.bombs:spend", how, much, bounds=bounds)


# The process of its own


def test_work_is_done_in_bounds_of_its_own():
    assert spent("limits") == (SMALL.memory, int(SMALL.seconds) + 1)
    assert spent("print", "said") == "said"
    assert spent("memory", "1000000") == 1_000_000


def test_what_the_work_refuses_is_refused_in_its_words():
    with pytest.raises(RecordError, match=r"^It is refused: a\nb.$"):
        spent("refuse", "a\nb")


@pytest.mark.parametrize(
    ("how", "much", "bounds", "why"),
    [
        ("memory", str(2 * SMALL.memory), SMALL, "more than 400 MB of memory"),
        ("answer", str(2 * SMALL.answer), SMALL, "more than 400 MB of memory"),
        ("time", "", SHORT, "takes longer than 2 s to read"),
        ("break", "", SMALL, "its reader broke down"),
    ],
)
def test_work_that_goes_out_of_bounds_is_ended(how, much, bounds, why):
    with pytest.raises(OutOfBoundsError, match=why):
        spent(how, much, bounds)


def test_several_pieces_of_work_share_a_process_and_none_ends_the_others():
    with Worker(SMALL) as worker:
        first = worker.do("tests.bombs:process")
        assert worker.do("tests.bombs:process") == first
        with pytest.raises(RecordError):
            worker.do("tests.bombs:spend", "refuse", "a")
        assert worker.do("tests.bombs:process") == first
        with pytest.raises(OutOfBoundsError, match="400 MB"):
            worker.do("tests.bombs:spend", "memory", str(2 * SMALL.memory))
        second = worker.do("tests.bombs:process")
        assert second != first
        # Others have a turn between.
        used = {worker.do("tests.bombs:process") for _ in range(_AT_MOST)}
        assert second in used and len(used) == 2
    for process in (first, *used):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_what_earlier_work_has_kept_is_no_reason_to_refuse_the_next():
    with Worker(SMALL) as worker:
        assert worker.do("tests.bombs:spend", "keep", str(SMALL.memory * 6 // 10)) == 1
        assert worker.do("tests.bombs:spend", "keep", str(SMALL.memory * 6 // 10)) == 1


def test_it_ends_with_whoever_asked(tmp_path):
    program = (
        "import os, threading, time; from pipeline.contained import Worker; worker = Worker()\n"
        "print(worker.do('tests.bombs:process'), flush=True)\n"
        "threading.Thread(target=worker.do, args=('tests.bombs:spend', 'time', ''), daemon=True).start()\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE) as app:
        reader = int(app.stdout.readline())
        app.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{reader}/cmdline").exists() and Path(f"/proc/{reader}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "it reads on for nobody"
        time.sleep(0.02)


def test_a_reader_is_given_no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "DATABASE_URL", "PAIRLOOP_METRICS_TOKEN", "PAIRLOOP_OWNER_PASSWORD"):
        monkeypatch.setenv(name, "secret-of-the-app")
    given = contained("tests.bombs:environment")
    assert "secret-of-the-app" not in given.values() and given["PATH"] == os.environ["PATH"]


# Documents


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("twice.zip", lambda: bombs.nested(2), "a zip archive, which cannot be read"),
        ("deep.docx", lambda: bombs.nested(60), "a zip archive, which cannot be read"),
        ("pages.pdf", lambda: bombs.pdf(WORDS, kids=200_000), "has more than 10,000 pages|damaged"),
        ("stream.pdf", lambda: bombs.pdf(WORDS + b" " * 120_000_000), "damaged|memory|takes longer"),
        ("program.pdf", lambda: b"MZ\x90\x00" + bytes(range(256)) * 40, "damaged"),
        ("loop.pdf", bombs.pdf_in_itself, "no text|damaged"),
    ],
    ids=["zip in zip", "sixty zips", "pages", "stream", "program", "loop"],
)  # fmt: skip
def test_a_document_that_is_a_bomb_is_refused(kept, name, content, reason):
    with pytest.raises(DocumentError, match=reason) as refused:
        read_apart(kept(name, content()), name, Bounds(seconds=20.0, memory=600_000_000))
    assert str(refused.value).startswith(name)


def test_a_document_that_takes_too_long_is_given_up(kept):
    slow = kept("slow.pdf", bombs.pdf(WORDS * 400_000))
    with pytest.raises(DocumentError, match=r"^slow\.pdf takes longer than 2 s to read\. Split it"):
        read_apart(slow, "slow.pdf", SHORT)


def test_pictures_in_a_pdf_are_not_unpacked(kept):
    content = bombs.pdf(WORDS + b"/P Do", resources="/XObject << /P 6 0 R >>", extra={6: bombs.picture(8_000)})
    assert len(content) < 300_000
    # 192 MB would be the picture alone.
    assert "quay" in read_apart(kept("p.pdf", content), "p.pdf", Bounds(60.0, 180_000_000)).text


@pytest.mark.parametrize(
    "content",
    [
        lambda: "<html><body>" + "<div>" * 500_000 + "deep",
        lambda: "<html><body>" + "<b title=" * 300_000,
        lambda: bombs.laughs() + "<html><body><p>&e;</p></body></html>",
        lambda: "<html><body><table>" + "<tr><td colspan=1000000 rowspan=65534>x" * 20_000,
    ],
    ids=["deep", "unclosed", "entities", "spans"],
)
def test_a_page_that_is_a_bomb_ends(kept, content):
    try:
        assert len(read_apart(kept("page.html", content()), "page.html", Bounds(60.0, 1_000_000_000)).text) < 1_000_000
    except DocumentError as refused:
        assert str(refused).startswith("page.html ")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("columns.csv", lambda: ",".join(f"c{n}" for n in range(200_000)) + "\n" + ",".join("1" * 200_000)),
        ("header.csv", lambda: "a" * 100_000 + ",b\n" + "x,y\n" * 50_000),
        ("quotes.csv", lambda: '"' * 2_000_001),
        ("nested.md", lambda: "> " * 200_000 + "deep"),
        ("brackets.md", lambda: "[" * 200_000 + "\n" + "*" * 200_000),
        ("fences.md", lambda: "```\n" * 100_000),
        ("one_line.txt", lambda: "word " * 1_000_000),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_text_is_read_within_what_it_is(kept, name, content):
    path = kept(name, content())
    assert len(read_apart(path, name).text) < 3 * path.stat().st_size


def test_what_comes_with_a_bomb_goes_in(services, kept):
    files = {
        "bomb.docx": bombs.claiming("word/document.xml", 301_000_000),
        "loop.zip": bombs.nested(3),
        "quay.md": b"# Quay\n\nThe quay is 420 m long.",
        "page.pdf": bombs.pdf(WORDS),
    }
    added = services.library.add_files([(kept(name, content), name) for name, content in files.items()])
    assert {item.name: bool(item.problem) for item in added} == {
        "bomb.docx": True, "loop.zip": True, "quay.md": False, "page.pdf": False,
    }  # fmt: skip
    assert {item.name for item in services.library.summaries()} >= {"quay.md", "page.pdf"}


def test_a_file_that_is_too_large_is_not_even_read(services, kept):
    path = kept("large.txt", b"")
    with path.open("r+b") as file:
        file.truncate(services.settings.max_upload_mb * 1_000_000 + 1)
    with pytest.raises(DocumentError, match="larger than 25 MB"):
        services.library.add_file(path, "large.txt")
    with pytest.raises(ComparisonError, match="larger than 25 MB"):
        services.vote_files.read(path.rename(path.with_suffix(".csv")))


# Records, votes, queries, settings, workspace files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("records.zip", lambda: bombs.packed({"records.json": bombs.unpacked_by(60_000_000)})),
        ("repeated.parquet", lambda: bombs.repeated_parquet(2_000_000, 5_000)),
    ],
    ids=["zip", "parquet"],
)
def test_a_packed_file_of_records_that_fills_the_memory_is_refused(kept, name, content):
    path = kept(name, content())
    assert path.stat().st_size < 1_000_000
    with pytest.raises(RecordError, match=rf"^{name} takes more than .* MB of memory"):
        read_records(path, name, SMALL)


def test_packed_records_come_as_they_are_and_what_is_wrong_in_its_own_words(kept):
    good = kept("good.zip", bombs.packed({"records.json": b'[{"text": "One"}, {"text": "Two"}]'}))
    assert [row.cells for row in read_records(good).rows] == [{"text": "One"}, {"text": "Two"}]
    assert len(read_records(kept("good.parquet", bombs.repeated_parquet(10, 20))).rows) == 20
    for name, content, words in (
        ("huge.zip", bombs.claiming("records.json", 501_000_000), "larger than 500 MB when it is unpacked"),
        ("nested.zip", bombs.nested(3), "another packed file, whatever its name"),
        ("cut.zip", bombs.packed({"records.json": b"[]"})[:-20], "damaged or an encrypted ZIP"),
        ("cut.parquet", bombs.repeated_parquet(10, 20)[:-9], "damaged Parquet"),
        (
            "away.zip",
            bombs.packed({"../../records.json": bombs.deep_json(100_000).encode()}),
            "not JSON that can be read",
        ),
    ):
        with pytest.raises(RecordError, match=words):
            read_records(kept(name, content))


def test_rows_without_an_end_are_refused(kept):
    for name, content, words in (
        ("columns.csv", ",".join(f"c{n}" for n in range(300_000)) + "\n1", "300000 columns; 200 are the limit"),
        ("deep.json", bombs.deep_json(200_000), "not JSON that can be read"),
        ("rows.jsonl", bombs.rows(100_001, lambda n: {"n": n}), "more than 100,000 rows"),
    ):
        with pytest.raises(RecordError, match=words):
            read_records(kept(name, content))


def test_queries_that_are_bombs_are_refused_and_name_the_place(kept):
    for name, content in (
        ("deep.json", bombs.deep_json(200_000)),
        ("line.txt", "x" * 5_000_000),
        ("cell.csv", "query\n" + '"' + "x" * 5_000_000 + '"'),
        ("columns.csv", ",".join(f"c{n}" for n in range(300_000))),
        ("packed.csv", bombs.packed({"a.csv": b"query\nWhy?"})),
    ):
        with pytest.raises(QueryFileError, match=name):
            read_queries(kept(name, content), name)


def test_settings_that_are_bombs_are_refused():
    lines = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))
    for text in (
        "a0: &a0 [x]\n" + lines,
        bombs.laughs() + "<View>&e;</View>",
        bombs.deep_json(200_000),
        "a: " + "[" * 100_000,
    ):
        with pytest.raises(RecordError):
            read_settings(text, "settings.yaml")


def test_a_workspace_file_that_is_a_bomb_is_refused_before_it_fills_the_memory(services, kept, monkeypatch):
    monkeypatch.setattr("pipeline.archive.MAX_BYTES", 50_000_000)
    path = kept("workspace.gz", bombs.gzipped(100_000_000))
    assert path.stat().st_size < 200_000 and MAX_BYTES <= 2_000_000_000
    with pytest.raises(BackupError, match="too large when it is unpacked"):
        services.backup.read_file(path)
