"""Small files that unpack into large ones, never end, or are something else than they say."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping

from pipeline.errors import RecordError


def packed(files: Mapping[str, bytes], level: int = 9) -> bytes:
    """Return a ZIP of files by name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def nested(depth: int) -> bytes:
    """Return a ZIP in a ZIP in a ZIP …, with a text at the end."""
    content, name = b"The quay is long.", "quay.txt"
    for level in range(depth):
        content, name = packed({name: content}), f"level{level}.zip"
    return content


def pdf(content: bytes, kids: int = 1, resources: str = "", extra: Mapping[int, bytes] | None = None) -> bytes:
    """Return a PDF whose one page, named as often as ``kids`` says, has a content that is packed.

    ``extra`` has further objects by their number, from 6 on.
    """
    font = "/Font << /F1 5 0 R >>"
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Count {kids} /Kids [{'3 0 R ' * kids}] >>".encode(),
        3: f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << {font} {resources} >> >>".encode(),
        4: stream(content),
        5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        **(extra or {}),
    }
    out, places = io.BytesIO(), {}
    out.write(b"%PDF-1.7\n")
    for number, body in objects.items():
        places[number] = out.tell()
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for number in sorted(places):
        out.write(b"%010d 00000 n \n" % places[number])
    out.write(b"trailer << /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start))
    return out.getvalue()


def pdf_in_itself() -> bytes:
    """Return a PDF whose page draws a form that draws itself."""
    resources = "/XObject << /X 6 0 R >>"
    form = stream(b"/X Do", f"/Type /XObject /Subtype /Form /BBox [0 0 1 1] /Resources << {resources} >>")
    return pdf(b"/X Do", resources=resources, extra={6: form})


def stream(content: bytes, entries: str = "") -> bytes:
    """Return a packed stream of a PDF."""
    data = zlib.compress(content, 9)
    return b"<< /Length %d /Filter /FlateDecode %s >>\nstream\n%s\nendstream" % (len(data), entries.encode(), data)


def picture(side: int) -> bytes:
    """Return a picture of a PDF that is one colour and so many pixels wide and high, as a stream."""
    row = bytes(1 << 20)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(side * side * 3 // len(row))) + packer.flush()
    about = f"/Type /XObject /Subtype /Image /Width {side} /Height {side} /ColorSpace /DeviceRGB /BitsPerComponent 8"
    return b"<< /Length %d /Filter /FlateDecode %s >>\nstream\n%s\nendstream" % (len(data), about.encode(), data)


def laughs(lines: int = 9) -> str:
    """Return the head of an XML text whose entity ``e`` is ten times itself so many times over."""
    steps = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, lines))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">{steps}<!ENTITY e "&e{lines - 1};">]>'


def unpacked_by(size: int, piece: bytes = b"{},") -> bytes:
    """Return a JSON list of so many bytes; as objects it takes twenty times as much memory."""
    return b"[" + piece * (size // len(piece)) + b"{}]"


def gzipped(size: int) -> bytes:
    """Return zeros that are packed."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=9) as file:
        piece = bytes(1 << 20)
        for _ in range(size // len(piece)):
            file.write(piece)
    return stream.getvalue()


def repeated_parquet(text: int, rows: int) -> bytes:
    """Return a Parquet file that holds one long text once, and says that it stands in every row."""
    import pyarrow
    import pyarrow.parquet

    indices = pyarrow.array([0] * rows, pyarrow.int32())
    column = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(["x" * text]))
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), out, compression="zstd")
    return out.getvalue()


def deep_json(depth: int) -> str:
    """Return JSON that is nested so deeply."""
    return "[" * depth + "]" * depth


def rows(count: int, of: Callable[[int], object]) -> str:
    """Return JSON lines."""
    return "\n".join(json.dumps(of(number)) for number in range(count))


def claiming(name: str, size: int) -> bytes:
    """Return a ZIP with a file that is said to be so large, which is what one goes by."""
    true, said = (50_000).to_bytes(4, "little"), size.to_bytes(4, "little")
    content = packed({name: bytes(50_000)})
    assert content.count(true) == 2
    return content.replace(true, said)


_KEPT: list[bytearray] = []


def process() -> int:
    """Return which process this is."""
    return os.getpid()


def environment() -> dict[str, str]:
    """Return the environment of this process."""
    return dict(os.environ)


def spend(how: str, much: str) -> object:
    """Take memory or time, answer too much, or break down: what contained work may do. It is called in a process of its own."""
    import resource

    if how == "memory":
        return len(bytearray(int(much)))
    if how == "keep":
        _KEPT.append(bytearray(int(much)))
        return len(_KEPT)
    if how == "time":
        while True:
            hash(how)
    if how == "answer":
        return "x" * int(much)
    if how == "refuse":
        raise RecordError(f"It is refused: {much}.")
    if how == "limits":
        return resource.getrlimit(resource.RLIMIT_DATA)[0], resource.getrlimit(resource.RLIMIT_CPU)[0]
    if how == "print":
        print("a library says something")
        return much
    raise KeyError("nobody foresaw this")
