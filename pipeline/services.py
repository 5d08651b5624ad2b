"""The one place that picks implementations and puts the parts of the app together."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from filelock import FileLock

from pipeline.background import Background
from pipeline.backup import Backup, Report
from pipeline.comparisons import ComparisonDesk
from pipeline.corrections import CorrectionDesk
from pipeline.datasets import DatasetDesk
from pipeline.example import Example
from pipeline.finetune.tuner import Tuner
from pipeline.generation import Generation
from pipeline.home import claim
from pipeline.judging import JudgeDesk
from pipeline.library import Library
from pipeline.live import LiveDesk
from pipeline.models.openai_chat import close_clients
from pipeline.query_lists import QueryLists
from pipeline.record_desk import RecordDesk
from pipeline.registry import Registry
from pipeline.report import ReportDesk
from pipeline.result_details import ResultDetails
from pipeline.retrieval import LexicalIndex, Retriever
from pipeline.review import ReviewDesk
from pipeline.settings import Settings
from pipeline.shared_results import SharedResults
from pipeline.standings import StandingsDesk
from pipeline.store import Store, open_store
from pipeline.tasks import AnnotationDesk
from pipeline.vote_desk import VoteDesk

log = logging.getLogger(__name__)
# A Space is killed 10 s after it was told to stop. The rest of the stop takes up to 3 s.
SEND_SECONDS = 6.0


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
    datasets: DatasetDesk
    annotation: AnnotationDesk
    records: RecordDesk
    review: ReviewDesk
    tuner: Tuner
    comparisons: ComparisonDesk
    live: LiveDesk
    result_details: ResultDetails
    standings: StandingsDesk
    reports: ReportDesk
    shared_results: SharedResults
    judge: JudgeDesk
    corrections: CorrectionDesk
    vote_files: VoteDesk
    background: Background
    backup: Backup
    claim: FileLock

    def start_backup(self) -> None:
        """Begin to send changes to where they are kept."""
        self.backup.start(self.library.sync_index)

    def add_example_to_empty_workspace(self) -> None:
        """Put the bundled example in, where the settings ask for it and there is nothing yet; takes a second or two."""
        if self.settings.example:
            self.example.add_at_first_start()

    def close(self) -> None:
        """Stop what runs in the background and close the store."""
        try:
            # Connections belong to the loop that opened them: they are closed there, before it ends.
            self.background.submit(close_clients()).result(1.0)
        except TimeoutError:
            log.warning("Connections to model endpoints were still busy and are dropped.")
        finally:
            self.background.close(1.0)
            # Last, so that it sends what the others wrote when they stopped.
            self.backup.stop(SEND_SECONDS)
            self.store.close()
            self.claim.release()


def open_services(settings: Settings, report: Report = lambda progress: None) -> Services:
    """Open the workspace in ``settings.home``: migrate and restore the store, mend the index, register the default models.

    ``report`` is told in words how far a restore is. The back-up begins with :meth:`Services.start_backup`.
    """
    held = claim(settings.home)
    store = open_store(settings.home / "pairloop.db", lambda new: Backup(new, settings).restore(report))
    index = LexicalIndex(settings.home / "index")
    retriever = Retriever(index, store.documents.chunks_by_id, settings.top_k)
    background = Background()
    library = Library(store, index, settings.max_upload_mb * 1_000_000)
    registry = Registry(store, index, settings)
    generation = Generation(store, library, retriever, registry.answerer, background, settings.concurrency)
    library.sync_index()
    registry.ensure_defaults()
    datasets = DatasetDesk(store, generation)
    comparisons = ComparisonDesk(store, generation)
    result_details = ResultDetails(store, comparisons)
    example = Example(store, library, registry, generation, datasets)
    return Services(
        settings=settings,
        store=store,
        library=library,
        example=example,
        registry=registry,
        generation=generation,
        datasets=datasets,
        annotation=AnnotationDesk(store),
        records=RecordDesk(store, datasets, settings),
        review=ReviewDesk(store),
        query_lists=QueryLists(store),
        tuner=Tuner(store, index, generation),
        comparisons=comparisons,
        live=LiveDesk(store, generation, comparisons),
        result_details=result_details,
        standings=StandingsDesk(store, comparisons),
        reports=ReportDesk(store, comparisons, result_details),
        shared_results=SharedResults(store, comparisons),
        judge=JudgeDesk(store, comparisons, registry, generation, settings.concurrency),
        corrections=CorrectionDesk(store, comparisons),
        vote_files=VoteDesk(store, settings.max_upload_mb * 1_000_000),
        background=background,
        backup=Backup(store, settings),
        claim=held,
    )
