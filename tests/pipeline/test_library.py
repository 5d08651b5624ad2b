"""Documents come in, are searched, go out, and the index follows the store whatever happened to it."""

import shutil
import threading
from dataclasses import replace

import pytest

from pipeline.errors import DocumentError, NotFoundError
from pipeline.records import Document, new_id
from pipeline.retrieval import LexicalIndex
from tests.material import MANUAL, Home, add_manual
from tests.workspace import open_workspace


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    yield home
    home.services.close()


def search(services, text):
    """The passages that a query gets now."""
    return next(services.generation.ask(text, services.registry.all()[0].id)).retrieval.contexts


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path, name


def index_files(folder):
    return {(path.name, path.stat().st_mtime_ns) for path in (folder / "index").iterdir()}


def test_a_document_is_found_as_soon_as_it_is_in(services, tmp_path):
    assert search(services, "Where is diesel sold?") == ()
    add_manual(services, tmp_path)
    contexts = search(services, "Where is diesel sold?")
    assert "north pier" in contexts[0].text and contexts[0].document_name == "harbour.md"
    (summary,) = services.library.summaries()
    assert (summary.name, summary.characters) == ("harbour.md", len(MANUAL))
    assert summary.chunks == services.store.documents.count_searched_chunks() >= 1


def test_the_same_content_is_refused_under_any_name_and_names_its_twin(services, tmp_path):
    add_manual(services, tmp_path)
    (added,) = services.library.add_files([write(tmp_path, "copy.txt", MANUAL)])
    assert added.problem == "copy.txt is in the workspace already, as harbour.md." and added.chunks == 0
    assert [item.name for item in services.library.summaries()] == ["harbour.md"]


def test_the_same_content_twice_in_one_upload_goes_in_once(services, tmp_path):
    added = services.library.add_files([write(tmp_path, "a.md", MANUAL), write(tmp_path, "b.md", MANUAL)])
    assert [bool(item.problem) for item in added] == [False, True]
    assert len(services.library.summaries()) == 1


def test_content_that_was_deleted_may_come_back(services, tmp_path):
    services.library.delete(add_manual(services, tmp_path))
    add_manual(services, tmp_path)
    assert "north pier" in search(services, "Where is diesel sold?")[0].text


def test_a_file_over_the_limit_is_refused_with_what_to_do_and_one_at_the_limit_is_not(tmp_path):
    services = open_workspace(tmp_path / "home", max_upload_mb=1)
    line = b"A line of a long log.\n"
    at_limit = (line * 50_000)[:1_000_000]
    added = services.library.add_files(
        [write(tmp_path, "large.txt", at_limit + b"."), write(tmp_path, "fits.txt", at_limit)]
    )
    assert added[0].problem == "large.txt is larger than 1 MB. Split it, or raise PAIRLOOP_MAX_UPLOAD_MB."
    assert (added[1].name, added[1].problem) == ("fits.txt", "")
    services.close()


def test_bad_files_of_an_upload_are_named_with_their_reason_and_the_others_go_in(services, tmp_path):
    files = [
        write(tmp_path, "empty.txt", ""),
        write(tmp_path, "harbour.md", MANUAL),
        write(tmp_path, "broken.pdf", b"%PDF-1.7\nnot a pdf at all"),
        write(tmp_path, "photo.png", b"\x89PNG\r\n\x1a\n" + bytes(200)),
        write(tmp_path, "notes.txt", "The lighthouse is painted white."),
    ]
    added = services.library.add_files(files)
    assert [item.name for item in added] == [name for _, name in files]
    problems = {item.name: item.problem for item in added if item.problem}
    assert set(problems) == {"empty.txt", "broken.pdf", "photo.png"}
    assert all(name in problem and problem.endswith(".") for name, problem in problems.items())
    assert "painted white" in search(services, "What colour is the lighthouse?")[0].text


@pytest.mark.shared_data
def test_real_files_that_cannot_be_read_hold_up_no_others(services, shared_data):
    names = ("truncated.pdf", "test_blog.html", "libreoffice-writer-password.pdf", "random.bin", "umlauts-non-utf8.md")
    added = services.library.add_files([(shared_data / "documents" / name, name) for name in names])
    assert {item.name for item in added if not item.problem} >= {"test_blog.html", "umlauts-non-utf8.md"}
    assert {item.name for item in added if item.problem} >= {"libreoffice-writer-password.pdf", "random.bin"}


def test_a_deleted_document_is_searched_no_more_but_its_cited_passages_stay(services, tmp_path):
    document_id = add_manual(services, tmp_path)
    before = search(services, "Where is diesel sold?")
    services.library.delete(document_id)
    assert search(services, "Where is diesel sold? Today") == () and services.library.summaries() == []
    place = services.library.place(before[0].chunk_id)
    assert place.document.text[place.chunk.start : place.chunk.end] == before[0].text
    assert place.document.deleted_at is not None


def test_deleting_one_document_leaves_the_others(services, tmp_path):
    first = add_manual(services, tmp_path)
    add_manual(services, tmp_path, "The lighthouse is painted white.", "light.txt")
    services.library.delete(first)
    assert [item.name for item in services.library.summaries()] == ["light.txt"]
    assert search(services, "What colour is the lighthouse?")[0].document_name == "light.txt"


def test_what_was_never_there_cannot_be_deleted_or_shown(services):
    with pytest.raises(NotFoundError):
        services.library.delete("nobody")
    with pytest.raises(DocumentError, match="not in the workspace any more"):
        services.library.place("nothing")


def test_the_fingerprint_changes_with_every_document_that_comes_or_goes(services, tmp_path):
    seen = [services.library.fingerprint()]
    first = add_manual(services, tmp_path)
    seen.append(services.library.fingerprint())
    add_manual(services, tmp_path, "The lighthouse is painted white.", "light.txt")
    seen.append(services.library.fingerprint())
    services.library.delete(first)
    seen.append(services.library.fingerprint())
    add_manual(services, tmp_path)
    seen.append(services.library.fingerprint())
    assert len(set(seen)) == 5
    assert services.library.fingerprint() == seen[-1]


def test_a_restart_chunks_and_indexes_nothing_again(home, tmp_path):
    add_manual(home.services, tmp_path)
    chunks = home.services.store.documents.searched_chunks()
    files = index_files(home.folder)
    again = home.restart()
    assert again.store.documents.searched_chunks() == chunks
    assert index_files(home.folder) == files
    assert "north pier" in search(again, "Where is diesel sold?")[0].text


def deleted(folder):
    shutil.rmtree(folder / "index")


def cut(folder):
    for path in (folder / "index").iterdir():
        if path.suffix in (".store", ".term", ".idx"):
            path.write_bytes(path.read_bytes()[:10])


def half_lost(folder):
    for path in (folder / "index").iterdir():
        if path.suffix == ".term":
            path.unlink()


@pytest.mark.parametrize("damage", [deleted, cut, half_lost])
def test_a_lost_or_damaged_index_is_made_anew_from_the_store(home, tmp_path, damage):
    add_manual(home.services, tmp_path)
    before = [context.chunk_id for context in search(home.services, "Where is diesel sold?")]
    again = home.restart(damage)
    assert [context.chunk_id for context in search(again, "Where is diesel sold?")] == before


def test_a_document_that_was_stored_but_not_indexed_is_found_after_a_restart(home, tmp_path):
    from pipeline.documents import split_document

    add_manual(home.services, tmp_path)
    late = Document(new_id(), "late.txt", "text/plain", "0" * 64, "The lighthouse is painted white.")
    home.services.store.documents.add(late, split_document(late))
    assert search(home.services, "Is the lighthouse white?") == ()
    again = home.restart()
    assert search(again, "What colour is the lighthouse?")[0].document_name == "late.txt"
    assert "north pier" in search(again, "Where is diesel sold?")[0].text


def test_a_document_that_was_deleted_but_is_still_indexed_is_not_found_after_a_restart(home, tmp_path):
    gone = add_manual(home.services, tmp_path)
    add_manual(home.services, tmp_path, "The lighthouse is painted white.", "light.txt")
    home.services.store.documents.delete(gone)
    again = home.restart()
    assert search(again, "Where is diesel sold?") == ()
    assert search(again, "What colour is the lighthouse?")[0].document_name == "light.txt"


def test_an_index_of_as_many_other_chunks_is_rebuilt(home, tmp_path):
    add_manual(home.services, tmp_path, "# One\n\nThe lantern is red.\n", "one.md")

    def exchange(folder):
        index = LexicalIndex(folder / "index")
        (chunk,) = home.services.store.documents.searched_chunks()
        index.clear()
        index.add([replace(chunk, id="another", text="The lantern is green.")])
        index.state = "of another time"

    home.restart(exchange)
    assert search(home.services, "lantern")[0].text.endswith("The lantern is red.")


def test_a_document_that_the_index_cannot_take_is_not_in_the_workspace(home, tmp_path):
    other = LexicalIndex(home.folder / "index")
    with other._writing(), pytest.raises(DocumentError, match="Another process is writing"):
        home.services.library.add_file(*write(tmp_path, "late.md", "# Late\n\nThe lantern is blue."))
    assert home.services.library.summaries() == []
    assert home.services.library.add_file(*write(tmp_path, "late.md", "# Late\n\nThe lantern is blue.")).chunks == 1


def test_two_uploads_of_one_file_at_the_same_time_become_one_document(home, tmp_path):
    path, name = write(tmp_path, "twin.md", "# Twin\n\n" + "The lantern is blue.\n\n" * 500)
    results = []
    threads = [
        threading.Thread(target=lambda: results.extend(home.services.library.add_files([(path, name)])))
        for _ in range(4)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted("workspace already" in added.problem for added in results) == [False, True, True, True]
    assert len(home.services.library.summaries()) == 1
