"""The one place that picks implementations and puts the parts of the app together."""

from __future__ import annotations

from dataclasses import dataclass

from filelock import FileLock

from pipeline.background import Background
from pipeline.comparisons import ComparisonDesk
from pipeline.example import Example
from pipeline.finetune.tuner import Tuner
from pipeline.generation import Generation
from pipeline.home import claim
from pipeline.library import Library
from pipeline.models.openai_chat import close_clients
from pipeline.query_lists import QueryLists
from pipeline.registry import Registry
from pipeline.retrieval import LexicalIndex, Retriever
from pipeline.settings import Settings
from pipeline.store import Store, open_store
from pipeline.tasks import ReviewDesk


@dataclass(frozen=True, slots=True)
class Services:
    """What the screens work with."""

    settings: Settings
    store: Store
    library: Library
    query_lists: QueryLists
    example: Example
    registry: Registry
    generation: Generation
    reviews: ReviewDesk
    tuner: Tuner
    comparisons: ComparisonDesk
    background: Background
    claim: FileLock

    def add_example_to_empty_workspace(self) -> None:
        """Put the bundled example in, where the settings ask for it and there is nothing yet; takes a second or two."""
        if self.settings.example:
            self.example.add_at_first_start()

    def close(self) -> None:
        """Stop what runs in the background and close the store."""
        # Connections belong to the loop that opened them: they are closed there, before it ends.
        self.background.submit(close_clients()).result(5)
        self.background.close()
        self.store.close()
        self.claim.release()


def open_services(settings: Settings) -> Services:
    """Open the workspace in ``settings.home``: migrate the store, mend the index, register the default models."""
    held = claim(settings.home)
    store = open_store(settings.home / "pairloop.db")
    index = LexicalIndex(settings.home / "index")
    retriever = Retriever(index, store.documents.chunks_by_id, settings.top_k)
    background = Background()
    library = Library(store, index, settings.max_upload_mb * 1_000_000)
    registry = Registry(store, index, settings)
    generation = Generation(store, library, retriever, registry.answerer, background, settings.concurrency)
    library.sync_index()
    registry.ensure_defaults()
    reviews = ReviewDesk(store, generation)
    example = Example(store, library, registry, generation, reviews)
    return Services(
        settings=settings,
        store=store,
        library=library,
        example=example,
        registry=registry,
        generation=generation,
        reviews=reviews,
        query_lists=QueryLists(store),
        tuner=Tuner(store, index, generation),
        comparisons=ComparisonDesk(store, generation),
        background=background,
        claim=held,
    )
