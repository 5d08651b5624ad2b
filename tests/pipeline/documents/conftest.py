"""What the tests of documents share: reading bytes under a name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.documents import ReadText, read_file

Read = Callable[[str, bytes], ReadText]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads ``data`` as an upload arrives: in a temporary file with a name of its own."""

    def read_bytes(name: str, data: bytes) -> ReadText:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return read_file(path, name)

    return read_bytes
