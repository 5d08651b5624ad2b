"""The one place that picks implementations and puts the parts of the app together."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass

from filelock import FileLock

from pipeline.activity import ActivityLog
from pipeline.background import Background
from pipeline.backup import Backup, Report
from pipeline.comparisons import ComparisonDesk
from pipeline.corrections import CorrectionDesk
from pipeline.datasets import DatasetDesk
from pipeline.embedding_index import EmbeddingIndex
from pipeline.entrance import Entrance
from pipeline.events import carried
from pipeline.example import Example
from pipeline.finetune.embedded_trainer import EmbeddedTrainer
from pipeline.finetune.hf_jobs import HubJobsTrainer
from pipeline.finetune.jobs import JobRunner
from pipeline.finetune.local import LocalTrainer
from pipeline.finetune.openai_trainer import OpenAITrainer, registered
from pipeline.finetune.tuner import Tuner
from pipeline.generation import Generation
from pipeline.home import claim, replica_of
from pipeline.judging import JudgeDesk
from pipeline.library import Library
from pipeline.limits import RateLimit
from pipeline.lineage import LineageDesk
from pipeline.live import LiveDesk
from pipeline.local_desk import LocalDesk
from pipeline.models.embedders import Embedders
from pipeline.models.gguf_hub import ModelHub
from pipeline.models.local import LocalModels
from pipeline.models.openai_chat import close_clients
from pipeline.people import PeopleDesk
from pipeline.prompt_desk import PromptDesk
from pipeline.proposals import ProposalDesk
from pipeline.query_lists import QueryLists
from pipeline.record_desk import RecordDesk
from pipeline.registry import Registry
from pipeline.replicas import Duties, Replicas
from pipeline.report import ReportDesk
from pipeline.result_details import ResultDetails
from pipeline.retrieval import LexicalIndex
from pipeline.retrieval_bench import RetrievalBench
from pipeline.retrieval_desk import RetrievalDesk
from pipeline.retriever import Retriever
from pipeline.review import ReviewDesk
from pipeline.settings import Settings
from pipeline.shared_results import SharedResults
from pipeline.sprints import SprintDesk
from pipeline.standings import StandingsDesk
from pipeline.store import Store, open_store
from pipeline.store.shared import Server
from pipeline.tasks import AnnotationDesk
from pipeline.team import TeamDesk
from pipeline.tokens import TokenDesk
from pipeline.vector_store import VectorStore
from pipeline.vote_desk import VoteDesk
from pipeline.vote_list import VoteList
from pipeline.workspaces import WorkspaceDesk

log = logging.getLogger(__name__)
# A Space is killed 10 s after it was told to stop. The web server takes one or two of them; all waits of the rest end within
# these, and so many are for the back-up.
CLOSE_SECONDS = 7.0
SEND_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Services:
    """What the screens work with."""

    settings: Settings
    store: Store
    library: Library
    retrieval: RetrievalDesk
    retrieval_bench: RetrievalBench
    query_lists: QueryLists
    example: Example
    registry: Registry
    prompts: PromptDesk
    generation: Generation
    datasets: DatasetDesk
    annotation: AnnotationDesk
    records: RecordDesk
    review: ReviewDesk
    local: LocalDesk
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
    vote_list: VoteList
    lineage: LineageDesk
    proposals: ProposalDesk
    activity: ActivityLog
    people: PeopleDesk
    entrance: Entrance
    tokens: TokenDesk
    limits: RateLimit
    team: TeamDesk
    sprints: SprintDesk
    workspaces: WorkspaceDesk
    background: Background
    replicas: Replicas
    backup: Backup
    claim: FileLock

    def start_backup(self) -> None:
        """Begin to send changes to where they are kept."""
        self.replicas.start(
            Duties(
                take_over=self._take_over,
                on_documents=self._search_what_others_added,
                lead=lambda: self.backup.start(self.library.sync_index),
                follow=lambda: self.backup.leave_to_others(1.0),
                look_around=self.backup.look_around,
            )
        )

    def _take_over(self, replica: str) -> None:
        """Go on with what a replica has left that is gone, or mark it as interrupted where that cannot be."""
        self.generation.take_over(replica)
        self.judge.take_over(replica)
        self.store.interrupt_what_ends(replica)
        self.tuner.runner.follow_left()

    def _search_what_others_added(self) -> None:
        self.library.sync_index()
        # Other settings of retrieval may be in force over the same passages.
        self.library.on_change()

    def add_example_to_empty_workspace(self) -> None:
        """Put the bundled example in, where the settings ask for it and there is nothing yet; takes a second or two."""
        if self.settings.example:
            self.example.add_at_first_start()

    def close(self) -> None:
        """Stop what runs in the background and close the store."""
        deadline = time.monotonic() + CLOSE_SECONDS

        def wait(seconds: float) -> float:
            return max(0.1, min(seconds, deadline - SEND_SECONDS - time.monotonic()))

        # First: who waits for a model file holds a thread that would be waited for.
        self.local.close()
        self.replicas.stop(wait(2.0))
        try:
            self.retrieval_bench.close()
            # It waits for two threads in turn, which may take longer than there is.
            closing = threading.Thread(target=carried(self.retrieval.close), name="closing", daemon=True)
            closing.start()
            closing.join(wait(2.0))
            # Connections belong to the loop that opened them: they are closed there, before it ends.
            self.background.submit(close_clients()).result(wait(1.0))
        except TimeoutError:
            log.warning("Connections to model endpoints were still busy and are dropped.")
        finally:
            self.background.close(wait(1.0))
            # Last, so that it sends what the others wrote when they stopped.
            self.backup.stop(max(SEND_SECONDS, deadline - time.monotonic()))
            self.replicas.leave()
            self.store.close()
            self.claim.release()


def open_services(settings: Settings, report: Report = lambda progress: None) -> Services:
    """Open the workspace in ``settings.home``: migrate and restore the store, mend the index, register the default models.

    ``report`` is told in words how far a restore is. The back-up begins with :meth:`Services.start_backup`.
    """
    url = settings.database_url
    # The server goes on where one of several workspaces cannot be opened; it is tried again.
    with ExitStack() as undone:
        held = claim(settings.home)
        undone.callback(held.release)
        server = Server(url, replica_of(settings.home), settings.schema) if url else None
        store = open_store(settings.home / "pairloop.db", lambda new: Backup(new, settings).restore(report), server)
        undone.callback(store.close)
        background = Background()
        undone.callback(background.close, 1.0)
        services = _over(store, settings, held, background)
        undone.pop_all()
    return services


def _over(store: Store, settings: Settings, held: FileLock, background: Background) -> Services:
    replicas = Replicas(store)
    replicas.enter()
    index = LexicalIndex(settings.home / "index")
    library = Library(store, index, settings.max_upload_mb * 1_000_000)
    vectors = VectorStore(settings.home / "vectors", store.documents.chunks_by_id)
    embeddings = EmbeddingIndex(store, library, vectors, Embedders(settings, background))
    retriever = Retriever(index, embeddings, store.documents.chunks_by_id, store.values.retrieval, settings.top_k)
    retrieval = RetrievalDesk(store, library, index, embeddings, vectors, settings)
    registry = Registry(store, index, settings)
    local_models = LocalModels(settings.home, ModelHub(settings.hf_endpoint, settings.hf_token))
    local = LocalDesk(store, registry, local_models)
    generation = Generation(store, library, retriever, registry.answerer, background, settings.concurrency)
    library.sync_index()
    retrieval.start()
    with store.database.alone("models"):
        registry.ensure_defaults()
    datasets = DatasetDesk(store, generation)
    activity = ActivityLog(store)
    comparisons = ComparisonDesk(store, generation)
    example = Example(store, library, registry, generation, datasets)
    return Services(
        settings=settings,
        store=store,
        library=library,
        retrieval=retrieval,
        retrieval_bench=RetrievalBench(store, index, embeddings, vectors, settings),
        example=example,
        registry=registry,
        prompts=PromptDesk(store, retriever.contexts),
        generation=generation,
        datasets=datasets,
        annotation=AnnotationDesk(store),
        records=RecordDesk(store, datasets, settings),
        review=ReviewDesk(store),
        query_lists=QueryLists(store),
        local=local,
        tuner=_tuner(settings, store, index, registry, generation, local_models, activity),
        comparisons=comparisons,
        live=LiveDesk(store, generation, comparisons),
        **_results(store, comparisons),
        judge=JudgeDesk(store, comparisons, registry, generation, settings.concurrency),
        vote_files=VoteDesk(store, settings.max_upload_mb * 1_000_000),
        proposals=ProposalDesk(store, registry, generation, settings.concurrency, settings.home),
        activity=activity,
        limits=RateLimit(settings.rate),
        **_people(settings, store, comparisons, activity),
        background=background,
        replicas=replicas,
        backup=Backup(store, settings),
        claim=held,
    )


def _results(store: Store, comparisons: ComparisonDesk) -> dict[str, object]:
    """Return what tells the results of comparisons, by its name."""
    details = ResultDetails(store, comparisons)
    return {
        "result_details": details,
        "standings": StandingsDesk(store, comparisons),
        "reports": ReportDesk(store, comparisons, details),
        "shared_results": SharedResults(store, comparisons),
        "corrections": CorrectionDesk(store, comparisons),
        "vote_list": VoteList(store, comparisons),
        "lineage": LineageDesk(store, comparisons),
    }


def _people(settings: Settings, store: Store, comparisons: ComparisonDesk, activity: ActivityLog) -> dict[str, object]:
    """Return what people come in by and work together with, by its name."""
    people = PeopleDesk(store, settings.entry, activity)
    return {
        "people": people,
        "entrance": Entrance(store, settings.entry, people, activity),
        "tokens": TokenDesk(store, people, activity),
        "team": TeamDesk(store, comparisons, people),
        "sprints": SprintDesk(store, comparisons, activity),
        "workspaces": WorkspaceDesk(store, settings, people, activity),
    }


def _tuner(
    settings: Settings,
    store: Store,
    index: LexicalIndex,
    registry: Registry,
    generation: Generation,
    local_models: LocalModels,
    activity: ActivityLog,
) -> Tuner:
    """Return the tuner with all trainers, and follow the jobs that went on while the app was stopped."""
    trainers = (
        EmbeddedTrainer(index),
        LocalTrainer(settings.home, local_models, token=settings.hf_token),
        OpenAITrainer(registered(registry), store.models.get),
        HubJobsTrainer(settings.hf_endpoint, settings.hf_token, store.models.get),
    )
    runner = JobRunner(store, trainers, generation.background, activity=activity)
    runner.follow_left()
    return Tuner(store, runner)
