"""Documents and their chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from pipeline.records import Chunk, Document
from pipeline.retrieval_settings import Chunking
from pipeline.store.dialects import pieces
from pipeline.store.engine import Database
from pipeline.store.rows import change, found, now, put, sections_from_json, sections_to_json
from pipeline.store.schema import chunks, documents
from pipeline.store.values import retrieval_settings


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """A document without its text, for lists. ``characters`` is the length of the text."""

    id: str
    name: str
    characters: int
    chunks: int
    created_at: float


class DocumentStore:
    """Rows of ``documents`` and ``chunks``. A deleted document keeps its rows: recorded answers cite them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, document: Document, pieces: Sequence[Chunk]) -> None:
        """Store a document with its chunks in one transaction."""
        row = {
            "id": document.id,
            "name": document.name,
            "media_type": document.media_type,
            "sha256": document.sha256,
            "text": document.text,
            "sections": sections_to_json(document.sections),
            "created_at": now(),
        }
        with self._db.write() as connection:
            put(connection, documents, [row])
            put(connection, chunks, [_chunk_row(chunk) for chunk in pieces])

    def add_chunks(self, pieces: Sequence[Chunk]) -> None:
        """Store more chunks of a document, cut by other sizes."""
        with self._db.write() as connection:
            put(connection, chunks, [_chunk_row(chunk) for chunk in pieces])

    def not_cut(self, chunking: Chunking) -> list[str]:
        """Return the ids of the documents that are searched and have chunks, but none of these sizes.

        One without any came from another replica, and its chunks are still on their way.
        """
        mine = chunks.c.document_id == documents.c.id
        cut, cut_so = (
            select(chunks.c.id).where(mine).exists(),
            select(chunks.c.id).where(mine, _cut_by(chunking)).exists(),
        )
        query = select(documents.c.id).where(documents.c.deleted_at.is_(None), cut, ~cut_so)
        with self._db.read() as connection:
            return list(connection.scalars(query.order_by(documents.c.id)))

    def by_hash(self, sha256: str) -> str | None:
        """Return the name of the document with this content, or None."""
        query = select(documents.c.name).where(documents.c.sha256 == sha256, documents.c.deleted_at.is_(None))
        with self._db.read() as connection:
            return connection.scalar(query)

    def hashes(self) -> set[str]:
        """Return the content hashes of all documents there ever were."""
        with self._db.read() as connection:
            return set(connection.scalars(select(documents.c.sha256)))

    def summaries(self) -> list[DocumentSummary]:
        """Return the documents that are searched, oldest first."""
        with self._db.read() as connection:
            mine = (chunks.c.document_id == documents.c.id) & cut_as_in_force(connection)
            query = (
                select(
                    documents.c.id,
                    documents.c.name,
                    func.length(documents.c.text).label("characters"),
                    select(func.count()).where(mine).scalar_subquery().label("chunks"),
                    documents.c.created_at,
                )
                .where(documents.c.deleted_at.is_(None))
                .order_by(documents.c.id)
            )
            return [DocumentSummary(**row) for row in connection.execute(query).mappings()]

    def get(self, document_id: str) -> Document:
        """Return one document, also a deleted one.

        Raises:
            NotFoundError: there was never such a document.
        """
        with self._db.read() as connection:
            row = connection.execute(select(documents).where(documents.c.id == document_id)).mappings().first()
        row = dict(found(row, "document"))
        return Document(**{**row, "sections": sections_from_json(row["sections"])})

    def delete(self, document_id: str) -> None:
        """Mark a document as deleted; its rows stay."""
        with self._db.write() as connection:
            change(connection, documents, document_id, deleted_at=now())

    def searched_chunks(self, chunking: Chunking | None = None) -> list[Chunk]:
        """Return every chunk of the documents that are searched, of these sizes or of those in force."""
        with self._db.read() as connection:
            return _chunks(connection, _searched(connection, chunking))

    def searched_ids(self, chunking: Chunking | None = None) -> list[str]:
        """Return the ids of these chunks."""
        with self._db.read() as connection:
            query = select(chunks.c.id).select_from(chunks.join(documents)).where(_searched(connection, chunking))
            return list(connection.scalars(query))

    def chunks_by_id(self, ids: Sequence[str]) -> Mapping[str, Chunk]:
        """Return the chunks with these ids by id; unknown ids are left out."""
        with self._db.read() as connection:
            found = (chunk for some in pieces(ids) for chunk in _chunks(connection, chunks.c.id.in_(some)))
            return {chunk.id: chunk for chunk in found}

    def count_searched_chunks(self) -> int:
        """Return how many chunks the index must hold."""
        with self._db.read() as connection:
            query = select(func.count()).select_from(chunks.join(documents)).where(_searched(connection))
            return connection.scalar(query) or 0

    def fingerprint(self) -> str:
        """Return a text that changes whenever a document comes or goes."""
        query = select(func.count(), func.max(documents.c.id)).where(documents.c.deleted_at.is_(None))
        deleted = select(func.max(documents.c.deleted_at))
        with self._db.read() as connection:
            count, newest = connection.execute(query).one()
            return f"{count}:{newest}:{connection.scalar(deleted)}"


def cut_as_in_force(connection: Connection) -> ColumnElement[bool]:
    """Return the condition that a chunk is of the sizes in force."""
    return _cut_by(retrieval_settings(connection).chunking)


def _searched(connection: Connection, chunking: Chunking | None = None) -> ColumnElement[bool]:
    sizes = cut_as_in_force(connection) if chunking is None else _cut_by(chunking)
    return documents.c.deleted_at.is_(None) & sizes


def _cut_by(chunking: Chunking) -> ColumnElement[bool]:
    same = chunks.c.chunking == str(chunking)
    return same | chunks.c.chunking.is_(None) if chunking == Chunking() else same


def _chunks(connection: Connection, condition: ColumnElement[bool]) -> list[Chunk]:
    query = (
        select(chunks, documents.c.name.label("document_name"))
        .select_from(chunks.join(documents))
        .where(condition)
        .order_by(chunks.c.document_id, chunks.c.position)
    )
    return [Chunk(**row) for row in connection.execute(query).mappings()]


def _chunk_row(chunk: Chunk) -> dict[str, object]:
    names = ("id", "document_id", "position", "text", "start", "end", "heading", "page", "chunking")
    return {name: getattr(chunk, name) for name in names}
