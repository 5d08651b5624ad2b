"""Which passages answer a query, where somebody said so: in a column of the query list, or by marks on Edit.

A column with the words of the passage (``evidence``, ``gold_passage``, ...) is looked up in the documents; white space and
case do not count. A column with the document's name (``gold_document``, ``source``, ...) makes every passage of it right.
Otherwise passages count that more people marked relevant than not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from pipeline.records import Document, Query, Record, Response, ResponseStatus
from pipeline.retrieval_metrics import majority

PASSAGE_COLUMNS = ("evidence", "gold_passage", "gold_passages", "gold_context", "gold_contexts", "reference_contexts")
DOCUMENT_COLUMNS = ("gold_document", "gold_documents", "gold_doc_id", "gold_doc_ids", "document", "source", "file")
_SAME = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a document; ``end`` None is its whole text."""

    document_id: str
    start: int = 0
    end: int | None = None

    def meets(self, document_id: str, start: int, end: int) -> bool:
        """Say whether a chunk is this passage: they share half of the shorter of the two."""
        if document_id != self.document_id:
            return False
        if self.end is None:
            return True
        shared = min(end, self.end) - max(start, self.start)
        return shared >= _SAME * max(1, min(end - start, self.end - self.start))


@dataclass(frozen=True, slots=True)
class Gold:
    """A query and what answers it: items, each of which is met by any of its spans. ``kind`` says who said so."""

    query_id: str
    text: str
    items: tuple[tuple[Span, ...], ...]
    kind: str


@dataclass(slots=True)
class _Text:
    """A document without its white space, so that a quotation is found across line breaks."""

    document: Document
    squeezed: str = ""

    def __post_init__(self) -> None:
        self.squeezed = _squeezed(self.document.text)

    def find(self, wanted: str) -> Span | None:
        at = self.squeezed.find(wanted)
        if at < 0:
            return None
        text = self.document.text
        places = [place for place, character in enumerate(text) if not character.isspace()]
        return Span(self.document.id, places[at], places[at + len(wanted) - 1] + 1)


class GoldFinder:
    """Finds what answers a query among the documents that are searched."""

    def __init__(self, documents: Iterable[Document], marked: Mapping[str, Sequence[Span]]) -> None:
        """``marked`` has the passages that people marked relevant, by query id."""
        self._texts = [_Text(document) for document in documents]
        self._marked = marked
        self._named: dict[str, list[str]] = {}
        for text in self._texts:
            for name in {text.document.name.casefold(), PurePath(text.document.name).stem.casefold()}:
                self._named.setdefault(name, []).append(text.document.id)

    def of(self, query: Query) -> Gold | None:
        """Return what answers a query, or None where nobody said so or it is not in the documents."""
        told = {name.strip().casefold().replace(" ", "_"): value for name, value in query.metadata.items()}
        quoted = [told[name] for name in PASSAGE_COLUMNS if told.get(name)]
        if items := [item for value in quoted for item in self._quoted(value)]:
            return Gold(query.id, query.text, tuple(items), "passage")
        if spans := self._marked.get(query.id):
            return Gold(query.id, query.text, tuple((span,) for span in spans), "marks")
        names = [name for column in DOCUMENT_COLUMNS for name in told.get(column, "").splitlines()]
        found = [id for name in names for id in self._named.get(name.strip().casefold(), ())]
        if found:
            return Gold(query.id, query.text, tuple((Span(id),) for id in dict.fromkeys(found)), "document")
        return None

    def _quoted(self, value: str) -> list[tuple[Span, ...]]:
        """Return where a quotation stands; a value that is no single one has one on each line, as lists are kept."""
        whole = self._places(value)
        if whole or "\n" not in value:
            return [whole] if whole else []
        return [places for line in value.splitlines() if (places := self._places(line))]

    def _places(self, quotation: str) -> tuple[Span, ...]:
        wanted = _squeezed(quotation)
        return tuple(span for text in self._texts if (span := text.find(wanted))) if wanted else ()


def marked_spans(records: Iterable[Record], responses: Iterable[Response]) -> dict[str, list[Span]]:
    """Return the passages that more people marked relevant than not, by query id."""
    given: dict[str, list[Mapping[str, object]]] = {}
    for response in responses:
        if response.status is ResponseStatus.SUBMITTED and response.marks.get("chunks"):
            given.setdefault(response.record_id, []).append(response.marks["chunks"])
    found: dict[str, list[Span]] = {}
    for record in records:
        if not record.query_id or record.id not in given:
            continue
        verdicts = majority(len(record.contexts), given[record.id])
        spans = [
            Span(context.document_id, context.start, context.end)
            for context, relevant in zip(record.contexts, verdicts, strict=True)
            if relevant
        ]
        if spans:
            found.setdefault(record.query_id, []).extend(spans)
    return found


def _squeezed(text: str) -> str:
    plain = re.sub(r"\s+", "", text)
    lowered = plain.lower()
    # A few letters are longer in lower case: then places would be wrong.
    return lowered if len(lowered) == len(plain) else plain
