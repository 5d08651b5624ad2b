"""Vectors on disk: found as a plain product finds them, kept over a kill, and changed one by one."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from pipeline.vectors import VectorFile

DIMENSIONS = 24


def vectors(count: int, seed: int = 1) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def names(count: int) -> list[str]:
    return [f"chunk-{n:04}" for n in range(count)]


@pytest.fixture
def filled(tmp_path):
    file = VectorFile(tmp_path / "v.vectors", DIMENSIONS)
    file.add(names(300), vectors(300))
    return file


def test_the_nearest_are_those_of_the_whole_product_in_its_order(filled):
    made, query = vectors(300), vectors(1, seed=9)[0]
    cosines = made @ query
    expected = [f"chunk-{n:04}" for n in np.argsort(-cosines)[:10]]
    hits = filled.view(names(300)).search(query, 10)
    assert [hit.chunk_id for hit in hits] == expected
    assert [hit.cosine for hit in hits] == pytest.approx(sorted(cosines, reverse=True)[:10], abs=1e-5)


def test_what_is_not_in_the_view_is_not_found_and_a_hit_has_the_least_similarity(filled):
    query = vectors(300)[7]
    assert filled.view(names(300)).search(query, 1)[0].chunk_id == "chunk-0007"
    seen = [name for name in names(300) if name != "chunk-0007"]
    assert "chunk-0007" not in [hit.chunk_id for hit in filled.view(seen).search(query, 300)]
    assert [hit.chunk_id for hit in filled.view(names(300)).search(query, 300, least=0.99)] == ["chunk-0007"]
    assert filled.view([]).search(query, 5) == [] and filled.view(names(9)).search(query, 0) == []


def test_equal_vectors_are_ordered_by_id_whatever_their_place(tmp_path):
    file = VectorFile(tmp_path / "v.vectors", DIMENSIONS)
    one = vectors(1)
    for name in ("c", "a", "d", "b"):
        file.add([name], one)
    assert [hit.chunk_id for hit in file.view(["a", "b", "c", "d"]).search(one[0], 3)] == ["a", "b", "c"]


def test_opened_again_it_has_what_was_added_and_not_what_was_removed(filled, tmp_path):
    filled.keep_only(names(200))
    again = VectorFile(tmp_path / "v.vectors", DIMENSIONS)
    assert len(again) == 200 and again.missing(names(300)) == names(300)[200:]
    again.add(["chunk-0250"], vectors(300)[250:251])
    assert VectorFile(tmp_path / "v.vectors", DIMENSIONS).view(names(300)).search(vectors(300)[250], 1)[0].chunk_id == (
        "chunk-0250"
    )


def test_a_file_of_mostly_dead_rows_is_written_anew(filled, tmp_path):
    size = (tmp_path / "v.vectors").stat().st_size
    filled.keep_only(names(300)[::10])
    again = VectorFile(tmp_path / "v.vectors", DIMENSIONS)
    assert (tmp_path / "v.vectors").stat().st_size == size // 10
    assert again.view(names(300)).search(vectors(300)[120], 1)[0].chunk_id == "chunk-0120"


def test_a_view_goes_on_with_what_it_was_made_of(filled):
    view = filled.view(names(300))
    filled.add(["later"], vectors(1, seed=5))
    assert len(view) == 300 and filled.view(["later"]).search(vectors(1, seed=5)[0], 1)[0].cosine == pytest.approx(1)


@pytest.mark.parametrize("cut", [1, 50, 4 * DIMENSIONS, 4 * DIMENSIONS + 31])
def test_a_row_that_was_cut_off_is_left_out(filled, tmp_path, cut):
    path = tmp_path / "v.vectors"
    os.truncate(path, path.stat().st_size - cut)
    again = VectorFile(path, DIMENSIONS)
    assert len(again) == 299 and again.missing(names(300)) == ["chunk-0299"]
    again.add(["chunk-0299"], vectors(300)[299:])
    assert VectorFile(path, DIMENSIONS).missing(names(300)) == []


def test_a_row_that_the_disk_never_got_is_left_out(filled, tmp_path):
    path = tmp_path / "v.vectors"
    with path.open("r+b") as file:
        file.seek(100 * (DIMENSIONS + 8) * 4 + 32)
        file.write(bytes(4 * DIMENSIONS))
    assert VectorFile(path, DIMENSIONS).missing(names(300)) == ["chunk-0100"]


def test_a_process_that_is_killed_while_it_adds_leaves_whole_vectors(tmp_path):
    script = f"""
        import sys, numpy as np
        from pathlib import Path
        from pipeline.vectors import VectorFile
        from tests.pipeline.test_vectors import names, vectors
        file, made, ids = VectorFile(Path({str(tmp_path / "v.vectors")!r}), {DIMENSIONS}), vectors(5000), names(5000)
        for at in range(0, 5000, 3):
            file.add(ids[at:at + 3], made[at:at + 3])
            if at == 30:
                print("going", flush=True)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"going\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    file = VectorFile(tmp_path / "v.vectors", DIMENSIONS)
    made, ids = vectors(5000), names(5000)
    kept = 5000 - len(file.missing(ids))
    assert 30 < kept < 5000 and file.missing(ids) == ids[kept:]
    view = file.view(ids)
    assert all(view.search(made[at], 1)[0].chunk_id == ids[at] for at in (0, kept // 2, kept - 1))


def test_what_a_full_disk_left_of_a_block_is_nobodys_vector(tmp_path):
    """The system refuses to let the file grow, as a full disk does: in a process of its own, which the limit holds for."""
    script = f"""
        import resource
        from pathlib import Path
        from pipeline.vectors import VectorFile
        from tests.pipeline.test_vectors import names, vectors
        path, made, ids = Path({str(tmp_path / "v.vectors")!r}), vectors(60), names(60)
        file = VectorFile(path, {DIMENSIONS})
        file.add(ids[:20], made[:20])
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 7 * ({DIMENSIONS} + 8) * 4 + 50, most))
        try:
            file.add(ids[20:40], made[20:40])
        except OSError:
            print("full", path.stat().st_size)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        file.add(ids[40:], made[40:])
        print([file.view(ids).search(made[at], 1)[0].chunk_id == ids[at] for at in (0, 19, 40, 59)])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"full {27 * (DIMENSIONS + 8) * 4 + 50}", "[True, True, True, True]"]
    again, made, ids = VectorFile(tmp_path / "v.vectors", DIMENSIONS), vectors(60), names(60)
    assert again.missing(ids) == ids[20:40]
    assert all(again.view(ids).search(made[at], 1)[0].chunk_id == ids[at] for at in (0, 19, 40, 59))
