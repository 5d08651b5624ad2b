"""What a GGUF file says of itself: read from its header, so that a bad file is refused in words before it is loaded."""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.errors import ModelError

_MAGIC = b"GGUF"
_NUMBERS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_TEXT, _LIST = 8, 9
_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A model file. ``context_length`` is the longest text it was trained on, in tokens; 0 where the file does not say."""

    path: Path
    size: int
    architecture: str
    title: str
    context_length: int
    parameters: int
    has_chat_template: bool
    parts: int = 1


def read_gguf(path: Path) -> GgufFile:
    """Return what the header of a model file says; a file that has not changed is read once.

    Raises:
        ModelError: there is no such file, it may not be read, or it is no whole GGUF file.
    """
    try:
        if path.is_dir():
            raise ModelError(f"{path} is a folder: give the path of a .gguf file in it.")
        status = path.stat()
        return _header(path, status.st_size, status.st_mtime_ns)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path} on this machine: check the path.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (struct.error, ValueError, KeyError) as error:
        raise ModelError(
            f"{path.name} is no whole GGUF file: it ends early or is damaged. Copy or download it again."
        ) from error


def usable_gguf(path: Path) -> GgufFile:
    """Return what the header says of a file that can be asked: one file, with the template of its chats.

    Raises:
        ModelError: as for :func:`read_gguf`, or the model only continues text, or the file is one of several parts.
    """
    file = read_gguf(path)
    if file.parts > 1:
        raise ModelError(
            f"{path.name} is one of {file.parts} parts: join them into one file first (llama-gguf-split --merge)."
        )
    if not file.has_chat_template:
        raise ModelError(
            f"{path.name} has no chat template: it only continues text and cannot be asked. "
            "Choose the instruct or chat version of the model."
        )
    return file


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file; a file that has not changed is read once.

    Raises:
        ModelError: the file is missing or cannot be read.
    """
    try:
        status = path.stat()
        return _sha256(path, status.st_size, status.st_mtime_ns)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path} on this machine: check the path.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed: int) -> str:
    """Hash a file; its size and time are there to read it again when it was replaced."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _header(path: Path, size: int, changed: int) -> GgufFile:
    """Read a header; its size and time are there to read it again when it was replaced."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _read(path, content)


def _read(path: Path, content: mmap.mmap) -> GgufFile:
    if content[:4] != _MAGIC:
        raise ModelError(f"{path.name} is no GGUF file: it does not begin as one does.")
    reader = _Reader(content)
    version, tensors, entries = reader.take("<I"), reader.take("<Q"), reader.take("<Q")
    if version not in (2, 3):
        raise ModelError(f"{path.name} is a GGUF file of version {version}, and only 2 and 3 can be read.")
    values = {reader.text(): reader.value(reader.take("<I")) for _ in range(entries)}
    parameters = reader.tensors(tensors, int(values.get("general.alignment") or _ALIGNMENT))
    architecture = str(values["general.architecture"])
    return GgufFile(
        path=path,
        size=len(content),
        architecture=architecture,
        title=str(values.get("general.name") or path.stem),
        context_length=_whole(values, f"{architecture}.context_length"),
        parameters=parameters,
        has_chat_template=bool(values.get("tokenizer.chat_template")),
        parts=max(1, _whole(values, "split.count")),
    )


def _whole(values: Mapping[str, object], name: str) -> int:
    value = values.get(name)
    return value if isinstance(value, int) else 0


class _Reader:
    """Reads a header from front to back. Whatever is longer than the file raises struct.error or ValueError."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 4

    def take(self, kind: str) -> int:
        (value,) = struct.unpack_from(kind, self._content, self._at)
        self._at += struct.calcsize(kind)
        return value

    def text(self) -> str:
        length = self.take("<Q")
        end = self._at + length
        if end > len(self._content):
            raise ValueError("a text is longer than the file")
        text = self._content[self._at : end].decode("utf-8", "replace")
        self._at = end
        return text

    def value(self, kind: int) -> object:
        """Return a value; lists (the vocabulary is one) are only passed over."""
        if kind == _TEXT:
            return self.text()
        if kind != _LIST:
            return self.take(_NUMBERS[kind])
        inner, count = self.take("<I"), self.take("<Q")
        if inner in _NUMBERS:
            self._at += struct.calcsize(_NUMBERS[inner]) * count
        else:
            for _ in range(count):
                self.value(inner)
        return None

    def tensors(self, count: int, alignment: int) -> int:
        """Return the number of parameters, having looked that the last tensor begins within the file."""
        parameters, last = 0, 0
        for _ in range(count):
            self.text()
            size = 1
            for _ in range(self.take("<I")):
                size *= self.take("<Q")
            self.take("<I")
            last = max(last, self.take("<Q"))
            parameters += size
        start = -(-self._at // alignment) * alignment
        if start + last >= len(self._content):
            raise ValueError("tensors lie behind the end of the file")
        return parameters
