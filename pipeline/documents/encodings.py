"""From bytes to text, whatever the encoding."""

from __future__ import annotations

import codecs
import re
import unicodedata

# The longer mark first: that of UTF-16 LE is how that of UTF-32 LE begins.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = "cp1252"
_LATIN_PAGES = frozenset({"cp1252", "cp1250", "cp1254", "cp1257", "cp1258"})
# Without this list the guess falls now and then on an encoding of the 1980s that no file of today is written in.
_LEGACY = [
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("cp932", "euc_jp", "iso2022_jp", "gb18030", "big5", "cp949"),
]
# Browsers read these names of an encoding as that of a larger one, and a page whose head is not UTF-16 as UTF-8.
_AS_BROWSERS_DO = {
    **dict.fromkeys(("ascii", "iso8859-1"), _WESTERN),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("utf-16", "utf-16-le", "utf-16-be", "utf-32"), "utf-8"),
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_SYMBOL_IN_WORD = re.compile("[a-z]{2}[\xa2-\xa6\xac\xaf\xb1\xb3\xb6\xb9\xbc\xbe\xbf]")
_ODD_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")
_MAX_ODD_SHARE = 0.02
_SAMPLE = 100_000  # characters or bytes that are enough to judge a whole file by


def decode(data: bytes, declared: str = "") -> str | None:
    """Return the text of ``data`` without its byte order mark, or None if it is not text.

    Tried in this order: byte order mark, UTF-16 or UTF-32 recognised by its zero bytes, ``declared`` (the encoding that
    an HTML page names), UTF-8, a guess by charset-normalizer, Shift-JIS, Latin-1.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _plausible(_decoded(data, encoding))
    if b"\0" in data:
        narrow = data.replace(b"\0", b"")
        # A few strays in a text, or the zero halves of wide characters?
        if len(data) - len(narrow) > _MAX_ODD_SHARE * len(data) or _decoded(narrow, "utf-8") is None:
            return _wide(data)
        data = narrow
    # This one is made of ASCII bytes, and tells itself by its escapes.
    text = _declared(data, "iso2022_jp" if b"\x1b$" in data else declared)
    if text is None:
        text = _utf8(data)
    return _guess(data) if text is None else text


def _declared(data: bytes, declared: str) -> str | None:
    # What is valid UTF-8 beyond ASCII is UTF-8, whatever an old page says of itself.
    if not declared or (not data.isascii() and _decoded(data, "utf-8") is not None):
        return None
    try:
        known = codecs.lookup(declared).name
    except LookupError:  # a page may name an encoding that does not exist
        return None
    return _decoded(data, _AS_BROWSERS_DO.get(known, known))


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):  # LookupError: Python also lists codecs that are no encodings of text
        return None


def _utf8(data: bytes) -> str | None:
    """UTF-8, also with a stray byte or an end cut off: then nearly all that is not ASCII still decodes."""
    text = _decoded(data, "utf-8")
    if text is not None:
        return text
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = sum(1 for character in text if character > "\x7f") - wrong
    return text if right > 20 * wrong else None


def _wide(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: the byte order in which the text makes more sense."""
    readings = [_decoded(data, encoding) for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")]
    texts = [text for text in readings if text]
    best = min(texts, key=lambda text: (_nonsense(text), -_ascii_share(text)), default="")
    return _plausible(best) if best and _nonsense(best) <= _MAX_ODD_SHARE else None


def _nonsense(text: str) -> float:
    """Share of characters that no text has: unassigned, private, controls, and blanks that are rarely typed."""
    sample = text[:_SAMPLE]
    odd = sum(
        1
        for character in sample
        if unicodedata.category(character) in ("Cn", "Co", "Cs") or "\u2000" <= character <= "\u2009"
    )
    return (odd + len(_ODD_CONTROLS.findall(sample))) / len(sample)


def _ascii_share(text: str) -> float:
    return sum(1 for character in text[:_SAMPLE] if character < "\x7f") / len(text[:_SAMPLE])


def _guess(data: bytes) -> str | None:
    for text in (_normalized(data), _decoded(data, "cp932"), _decoded(data, "latin-1")):
        if text and _plausible(text):
            return text
    return None


def _normalized(data: bytes) -> str | None:
    from charset_normalizer import from_bytes  # only files that are not UTF-8 get here

    best = from_bytes(data, cp_isolation=_LEGACY).best()
    if best is None:
        return None
    text = str(best)
    if best.encoding not in _LATIN_PAGES or best.encoding == _WESTERN:
        return text
    # The code pages of Europe differ in a few letters, and short texts are guessed to be Polish: Western is far more
    # common, unless read as Western there are signs such as a superscript inside words.
    western = _decoded(data, _WESTERN)
    return text if western is None or _SYMBOL_IN_WORD.search(western) else western


def _plausible(text: str | None) -> str | None:
    """Return ``text`` unless its control characters give it away as binary."""
    if not text:
        return text
    sample = text[:_SAMPLE]
    return text if len(_ODD_CONTROLS.findall(sample)) <= _MAX_ODD_SHARE * len(sample) else None
