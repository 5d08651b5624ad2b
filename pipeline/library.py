"""The documents of a workspace: files come in, are chunked once and searched from then on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.cleaning import clean
from pipeline.contained import Worker
from pipeline.documents import read_apart, split_document
from pipeline.errors import DocumentError
from pipeline.records import Chunk, Document, new_id
from pipeline.retrieval import LexicalIndex
from pipeline.retrieval_settings import Chunking, RetrievalSettings
from pipeline.store import Store
from pipeline.store.documents import DocumentSummary

# Told how much is done of how much; says whether to go on.
Report = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one file: ``problem`` is a sentence, or "" where the document went in."""

    name: str
    chunks: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk in its document."""

    document: Document
    chunk: Chunk


class Library:
    """Documents, their chunks and the index over them. The store is the truth, the index follows it.

    Store and index change together, under one lock; what the index holds is written beside it, so that a process that was
    killed in between is noticed at the next start.
    """

    def __init__(self, store: Store, index: LexicalIndex, max_bytes: int) -> None:
        self._store = store
        self._index = index
        self._max_bytes = max_bytes
        self._changing = threading.RLock()
        self._version = 0
        # Called, under the lock, when what is searched has changed.
        self.on_change: Callable[[], None] = lambda: None

    @property
    def version(self) -> int:
        """A number that grows whenever other chunks are searched; it begins anew with the process."""
        with self._changing:
            return self._version

    def sync_index(self) -> None:
        """Rebuild the index where it does not hold what the store holds, for example after a crash."""
        with self._changing:
            # Other replicas may have brought documents before they knew of these sizes.
            self.cut_documents(self._store.values.retrieval().chunking)
            same = self._index.count == self._store.documents.count_searched_chunks()
            if same and self._index.state == self._state():
                return
            self._refill()

    def cut_documents(self, sizes: Chunking, report: Report = lambda done, total: True) -> bool:
        """Cut the documents that have no chunks of these sizes yet; what is searched stays the same.

        ``report`` is told how many are done of how many, and says whether to go on; what is cut stays. Return whether all are.
        """
        waiting = self._store.documents.not_cut(sizes)
        for done, document_id in enumerate(waiting):
            if not report(done, len(waiting)):
                return False
            pieces = split_document(self._store.documents.get(document_id), sizes.size, sizes.overlap)
            with self._changing, self._store.database.alone("documents"):
                if document_id in self._store.documents.not_cut(sizes):
                    self._store.documents.add_chunks(pieces)
        return True

    def use(self, settings: RetrievalSettings) -> None:
        """Put retrieval settings into force; documents that are not cut by their sizes yet are cut now."""
        with self._changing, self._store.database.alone("documents"):
            self.cut_documents(settings.chunking)
            before = self._store.values.retrieval().chunking
            self._store.values.set_retrieval(settings)
            if settings.chunking != before:
                self._refill()

    def _refill(self) -> None:
        # Until it is full again it holds nothing that has a name, even where the filling fails.
        self._index.state = ""
        self._index.clear()
        self._index.add(self._store.documents.searched_chunks())
        self._changed()

    def _changed(self) -> None:
        self._index.state = self._state()
        self._version += 1
        self.on_change()

    def _state(self) -> str:
        """What the index holds, in short."""
        sizes = self._store.values.retrieval().chunking
        return self.fingerprint() if sizes == Chunking() else f"{self.fingerprint()} {sizes}"

    def add_files(self, files: Sequence[tuple[Path, str]]) -> list[Added]:
        """Take in files given as (path, name). A file that cannot be read is reported; the others still go in."""
        with Worker() as worker:
            return [self._add_or_report(path, name, worker) for path, name in files]

    def add_file(self, path: Path, name: str, worker: Worker | None = None) -> Added:
        """Take in one file, read in the process of ``worker`` where one is given.

        Raises:
            DocumentError: it is too large, there already, or has no readable text.
        """
        if path.stat().st_size > self._max_bytes:
            limit = self._max_bytes // 1_000_000
            raise DocumentError(f"{name} is larger than {limit} MB. Split it, or raise PAIRLOOP_MAX_UPLOAD_MB.")
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        self._refuse_twin(sha256, name)
        read = read_apart(path, name, worker=worker)
        document = Document(new_id(), clean(name), read.media_type, sha256, read.text, read.sections)
        sizes = self._store.values.retrieval().chunking
        pieces = split_document(document, sizes.size, sizes.overlap)
        with self._changing, self._store.database.alone("documents"):
            self._refuse_twin(sha256, name)
            if sizes != (now := self._store.values.retrieval().chunking):
                pieces = split_document(document, now.size, now.overlap)
            self._store.documents.add(document, pieces)
            try:
                self._index.add(pieces)
            except BaseException:
                # What cannot be found is not in the workspace; the person adds it again.
                self._store.documents.delete(document.id)
                raise
            self._changed()
        return Added(name, len(pieces))

    def delete(self, document_id: str) -> None:
        """Take a document out of the search; the chunks that recorded answers cite are kept."""
        with self._changing:
            # The index first: where it cannot be written, nothing has changed.
            self._index.remove(document_id)
            self._store.documents.delete(document_id)
            self._changed()

    def summaries(self) -> list[DocumentSummary]:
        """Return the documents that are searched."""
        return self._store.documents.summaries()

    def place(self, chunk_id: str) -> Place:
        """Return a chunk in its document.

        Raises:
            DocumentError: there is no such chunk.
        """
        chunk = self._store.documents.chunks_by_id([chunk_id]).get(chunk_id)
        if chunk is None:
            raise DocumentError("This passage is not in the workspace any more.")
        return Place(self._store.documents.get(chunk.document_id), chunk)

    def fingerprint(self) -> str:
        """Return a short text that changes whenever a document comes or goes; waits for a change that is under way."""
        with self._changing:
            return hashlib.sha256(self._store.documents.fingerprint().encode()).hexdigest()[:8]

    def searched(self) -> str:
        """Return a short text that changes whenever the index holds something else; waits for a change under way.

        What other replicas sent is in the store first and in the index later: until then it is what the index still holds.
        """
        with self._changing:
            return self._index.state

    def _refuse_twin(self, sha256: str, name: str) -> None:
        if twin := self._store.documents.by_hash(sha256):
            raise DocumentError(f"{name} is in the workspace already, as {twin}.")

    def _add_or_report(self, path: Path, name: str, worker: Worker) -> Added:
        try:
            return self.add_file(path, name, worker)
        except DocumentError as error:
            return Added(name, problem=str(error))
