"""HTML: the text that a reader of the page sees, headings as sections, tables as rows, code as it stands."""

from __future__ import annotations

import re
from typing import Any

from pipeline.documents import refusals
from pipeline.documents.building import ReadText, TextBuilder, tidy_lines
from pipeline.documents.plain import text_of

_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_HEAD = 4096  # bytes in which a page has to name its encoding
_UNSEEN = frozenset(
    ("head", "script", "style", "noscript", "template", "svg", "canvas", "iframe", "object", "audio", "video", "map")
    + ("button", "select", "textarea", "datalist", "annotation", "annotation-xml", "frameset")
)
_NOISE = frozenset(("nav", "footer", "dialog", "menu"))
_NOISE_ROLES = frozenset(("navigation", "banner", "contentinfo", "search", "menu", "menubar", "dialog"))
_NOISE_CLASSES = frozenset(("headerlink", "hash-link", "anchor-link", "anchorjs-link"))  # the "¶" beside a heading
_HIDDEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.I)
_LINES = frozenset(("br", "li", "tr", "dt", "dd", "option", "summary", "legend"))
_BLOCKS = frozenset(
    ("address", "article", "aside", "blockquote", "body", "caption", "center", "details", "div", "dl", "fieldset")
    + ("figcaption", "figure", "footer", "form", "header", "hr", "main", "nav", "ol", "p", "pre", "section", "table")
    + ("tbody", "tfoot", "thead", "ul")
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LAYOUT = ".//table|.//h1|.//h2|.//h3|.//h4|.//ul|.//ol|.//pre"  # a table with these in it arranges a page
_CELL_GAP = " | "
_BLANKS = re.compile(r"[ \t\n\r\f]+")
_INVISIBLE = re.compile("[\u200b\u200c\u2060\xad]")


def read_html(data: bytes, name: str) -> ReadText:
    """Read a web page without its navigation, scripts, styles and pictures.

    Only the main part is read where the page marks one. Nothing is fetched and no entity of the file's own is resolved.

    Raises:
        DocumentError: the file is not text, or its elements are nested without end.
    """
    declared = _CHARSET.search(data[:_HEAD])
    root = _parsed(text_of(data, name, declared[1].decode("ascii") if declared else ""), name)
    if root is None:
        return ReadText("", (), "text/html")
    for part, strict in ((_main_part(root), True), (root, True), (root, False)):
        # A page may be all navigation, or hidden until its script has run: then everything counts.
        result = _PageReader(root, strict).read(part)
        if result.text:
            return result
    return result


def _parsed(text: str, name: str) -> Any:
    from lxml import etree, html  # 0.1 s, only when a page comes

    parser = html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(text.encode("utf-8"), parser=parser)
    except etree.ParserError:  # nothing but comments
        return None
    if any(entry.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise refusals.damaged(name, "HTML")  # over 2,048 elements inside each other: what lies deeper is lost
    return root


def _main_part(root: Any) -> Any:
    """The one element that is marked as the main part, or the one article, or the page."""
    for path in (".//main|.//*[@role='main']", ".//article"):
        found = root.xpath(path)
        if len(found) == 1:
            return found[0]
    return root


class _PageReader:
    def __init__(self, root: Any, strict: bool) -> None:
        self._root = root
        self._strict = strict
        self._builder = TextBuilder()
        self._line: list[str] = []
        self._gap = "\n\n"
        self._prefix = ""
        self._preformatted = 0
        self._tables: list[bool] = []  # of the tables around this place: is it one of data?
        self._lists: list[int] = []  # of the lists around this place: number of the last item, -1 if not numbered

    def read(self, part: Any) -> ReadText:
        """Return the text below ``part``."""
        from lxml.etree import iterwalk

        title = self._root.findtext(".//title")
        if title and self._root.find(".//h1") is None:
            self._builder.heading(1, tidy_lines(title).replace("\n", " "))
        walk = iterwalk(part, events=("start", "end"))
        skipped = None
        for event, element in walk:
            if event == "start" and self._is_noise(element):
                skipped = element
                walk.skip_subtree()  # its end is still reported: text may follow it
            elif event == "start":
                self._open(element)
            else:
                if element is not skipped:
                    self._close(element)
                if element is not part:
                    self._say(element.tail)
        self._flush("\n\n")
        return self._builder.finish("text/html")

    def _is_noise(self, element: Any) -> bool:
        tag = element.tag
        if tag in _UNSEEN or not _NOISE_CLASSES.isdisjoint((element.get("class") or "").split()):
            return True
        if not self._strict:
            return False
        hidden = element.get("hidden") is not None or element.get("aria-hidden") == "true"
        return (
            tag in _NOISE
            or element.get("role") in _NOISE_ROLES
            or hidden
            or bool(_HIDDEN.search(element.get("style") or ""))
        )

    def _say(self, text: str | None) -> None:
        if text:
            text = _INVISIBLE.sub("", text)
            self._line.append(text if self._preformatted else _BLANKS.sub(" ", text))

    def _open(self, element: Any) -> None:
        self._break(element.tag)
        tag = element.tag
        if tag == "pre":
            self._preformatted += 1
        elif tag == "table":
            self._tables.append(not element.xpath(_LAYOUT))
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else -1)
        elif tag == "li":
            self._prefix = self._item_mark()
        self._say(element.text)

    def _close(self, element: Any) -> None:
        tag = element.tag
        if tag in _HEADINGS:
            self._add_heading(_HEADINGS[tag])
        elif tag in ("td", "th") and self._in_data() and element.getnext() is not None:
            self._line.append(_CELL_GAP)
        self._break(tag)
        if tag == "pre":
            self._preformatted -= 1
        elif tag == "table":
            self._tables.pop()
        elif tag in ("ul", "ol"):
            self._lists.pop()

    def _break(self, tag: str) -> None:
        if tag == "br" and self._preformatted:
            self._line.append("\n")
        elif self._in_data() and tag not in ("tr", "table", "caption"):
            if tag in _BLOCKS or tag in _LINES:
                self._line.append(" ")
        elif tag in _LINES or (tag in ("td", "th") and self._tables):
            self._flush("\n")
        elif tag in _BLOCKS or tag in _HEADINGS:
            self._flush("\n\n")

    def _in_data(self) -> bool:
        return bool(self._tables) and self._tables[-1]

    def _item_mark(self) -> str:
        if not self._lists or self._lists[-1] < 0:
            return "- "
        self._lists[-1] += 1
        return f"{self._lists[-1]}. "

    def _flush(self, gap: str) -> None:
        """End the line; ``gap`` parts it from what follows, unless a wider one is asked for before that comes."""
        text = self._taken()
        if text.strip(" |\n"):
            self._builder.add(self._prefix + text, self._gap)
            self._prefix, self._gap = "", gap
        elif len(gap) > len(self._gap) and not self._prefix:
            self._gap = gap

    def _taken(self) -> str:
        text = "".join(self._line)
        self._line.clear()
        return text.strip("\n") if self._preformatted else tidy_lines(text)

    def _add_heading(self, level: int) -> None:
        self._builder.heading(level, self._taken().replace("\n", " "))
        self._prefix, self._gap = "", "\n\n"
