"""Synthetic queries: proposed from passages by a chat model or from headings, reviewed by people, then made a query list.

What the appendix of Argilla's tutorial does with LlamaIndex's ``generate_question_context_pairs`` (Argilla, "Fine-tuning and
evaluating a RAG system with Argilla and LlamaIndex"): a query for each of some passages, which is the gold passage of that
query. There, whatever the model writes is used; here nothing is that no person has accepted, and the metadata of an accepted
query names its passage (``gold_chunk``, ``gold_document``, ``gold_passage``), so that retrieval can be measured on it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.batch import run_batch
from pipeline.cleaning import clean, normal
from pipeline.errors import ModelError, PipelineError, QueryFileError
from pipeline.generation import Generation
from pipeline.naming import free_name
from pipeline.prices import price
from pipeline.proposed_queries import MAX_CHARACTERS, SEPARATOR, SYSTEM, USER, Known, from_heading, read_reply, standing
from pipeline.query_lists import AddedList, divide
from pipeline.records import IMPORTED, Answer, Document, JobState, Model, Split
from pipeline.registry import Registry
from pipeline.store import Store
from pipeline.store.documents import DocumentSummary
from pipeline.store.proposals import ACCEPTED, PROPOSED, REJECTED, Passage, Proposal

log = logging.getLogger(__name__)
# A model is asked once for each; a person reads each.
MOST = 200
# A shorter passage holds little that could be asked.
LEAST_CHARACTERS = 120
# So much has to stand below a heading that becomes a query.
LEAST_BODY = 60
GOLD_CHUNK, GOLD_DOCUMENT, GOLD_PASSAGE, PROPOSED_BY = "gold_chunk", "gold_document", "gold_passage", "proposed_by"
HEADINGS = "headings"
SHOWN = 200
ELSEWHERE = "Another copy of the app is asking a model for queries already: wait for its end."
CANCEL_ELSEWHERE = "Another copy of the app is asking the model: it can be cancelled there only."
_STOPPED = "An unexpected error ended this; the log of the app says which. What was proposed before is kept."


@dataclass(slots=True)
class Progress:
    """How far a proposer is: ``asked`` of ``total`` passages. ``cost`` is in US dollars, None where no price is known.

    ``same`` are queries that there were already, ``nothing`` passages that gave none, ``failures`` counts by reason; ``more``
    could have been proposed.
    """

    proposer: str
    total: int
    asked: int = 0
    proposed: int = 0
    same: int = 0
    nothing: int = 0
    more: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    cost: float | None = None
    state: JobState = JobState.RUNNING
    error: str = ""


class ProposalDesk:
    """Proposes queries, one proposer at a time, and keeps what people decide about them."""

    def __init__(
        self, store: Store, registry: Registry, generation: Generation, concurrency: int, folder: Path | None = None
    ) -> None:
        self._store = store
        self._registry = registry
        self._generation = generation
        self._concurrency = concurrency
        self._starting = threading.Lock()
        # What came of it is told after a restart too; of this copy of the app alone.
        self._kept = folder / "proposing.json" if folder else None
        self._progress = self._left()
        self._cancelled = threading.Event()
        # What a copy of the app that was killed has left: this is the same one, and it asks nobody now.
        self._store.proposals.end()

    def proposers(self) -> list[Model]:
        """Return the chat models that can be asked."""
        return [model for model in self._registry.answering() if model.provider not in ("extractive", IMPORTED)]

    def documents(self) -> list[DocumentSummary]:
        """Return the documents to choose from."""
        return self._store.documents.summaries()

    def progress(self) -> Progress | None:
        """Return how far the proposer is that was started last on this copy of the app, or None."""
        return self._progress

    def asked_elsewhere(self) -> bool:
        """Say whether another copy of the app that shares the store asks a model for proposals, so that none can begin here."""
        return not self._is_running() and self._store.proposals.asked_elsewhere()

    def counts(self) -> dict[str, int]:
        """Return how many proposals wait, are accepted, are rejected, and are in a list."""
        return self._store.proposals.counts()

    def from_headings(self, document_ids: Sequence[str], count: int) -> Progress:
        """Propose queries from headings and from questions that stand in the documents; return what came of it.

        Raises:
            QueryFileError: ``count`` cannot be used, or there is no passage.
        """
        # Every reply is paid for: no other copy of the app begins between the look and the start.
        with self._starting, self._store.database.alone("proposals"):
            self._refuse_second()
            places = self._places(document_ids, count, None)
            known = self._known()
            found: list[tuple[str, str]] = []
            progress = Progress(HEADINGS, len(places))
            for passage, document in self._with_documents(places):
                progress.asked += 1
                made = _made_of(passage, document)
                progress.nothing += not made
                for text in made:
                    new = known.add(text)
                    progress.same += not new
                    found += [(passage.chunk_id, text)] if new else []
            progress.proposed = self._store.proposals.add(_spread(found, count), None)
            progress.more = len(found) - progress.proposed
            progress.state = JobState.DONE
            self._progress = progress
            self._keep()
            return progress

    def start(self, document_ids: Sequence[str], count: int, model_id: str) -> None:
        """Begin to ask a model for a query of each of ``count`` passages, spread over the documents, in the background.

        Raises:
            ModelError: it is no chat model.
            QueryFileError: ``count`` cannot be used, or there is no passage it was not asked about.
        """
        model = self._store.models.get(model_id)
        if all(other.id != model_id for other in self.proposers()):
            raise ModelError(f"{model.name} cannot propose queries: choose a chat model, or headings.")
        answerer = self._registry.answerer(model_id)
        # Every reply is paid for: no other copy of the app begins between the look and the start.
        with self._starting, self._store.database.alone("proposals"):
            self._refuse_second()
            places = _spread(self._places(document_ids, count, model_id), count)
            self._store.proposals.begin()
            self._cancelled = threading.Event()
            self._progress = Progress(model.name, len(places))
            self._keep()
        self._generation.background(self._ask(model, answerer, places))

    def cancel(self) -> None:
        """Stop asking; what was proposed is kept.

        Raises:
            QueryFileError: another copy of the app asks.
        """
        self._cancelled.set()
        if not self._is_running() and self._store.proposals.asked_elsewhere():
            raise QueryFileError(CANCEL_ELSEWHERE)

    def waiting(self) -> list[Proposal]:
        """Return the proposals that wait for somebody, oldest first."""
        return self._store.proposals.of_state(PROPOSED, SHOWN)

    def decided(self, state: str) -> list[Proposal]:
        """Return proposals that were accepted and are in no list yet, or that were rejected."""
        return self._store.proposals.of_state(state, SHOWN, listed=False if state == ACCEPTED else None)

    def passage(self, proposal: Proposal) -> Passage:
        """Return the passage that a query was made of."""
        return next(self._store.proposals.passages([proposal.chunk_id]))

    def accept(self, proposal_id: str, text: str, member_id: str) -> bool:
        """Accept a proposal as it was written or as a person made it; False where it was decided before.

        Raises:
            NotFoundError: there is no such proposal.
            QueryFileError: the query is empty or too long.
        """
        text = " ".join(clean(text).split())
        if not text or len(text) > MAX_CHARACTERS:
            raise QueryFileError(f"A query has 1 to {MAX_CHARACTERS} characters.")
        proposal = self._store.proposals.get(proposal_id)
        return self._store.proposals.decide(proposal_id, ACCEPTED, member_id, text if text != proposal.text else None)

    def reject(self, proposal_id: str, member_id: str) -> bool:
        """Reject a proposal; False where it was decided before.

        Raises:
            NotFoundError: there is no such proposal.
        """
        return self._store.proposals.decide(proposal_id, REJECTED, member_id)

    def undo(self, member_id: str) -> str:
        """Take back this person's newest decision; return its proposal.

        Raises:
            QueryFileError: there is none, or it is in a query list already.
        """
        proposal_id = self._store.proposals.undo_last(member_id)
        if proposal_id is None:
            raise QueryFileError("There is no decision of yours to take back.")
        return proposal_id

    def make_list(self, name: str, hold_out: bool) -> AddedList:
        """Make a query list of all accepted proposals; each query names its passage in its metadata.

        Raises:
            QueryFileError: nothing is accepted, or the name is too long.
        """
        name = clean(name).strip() or "Proposed queries"
        if len(name) > 120:
            raise QueryFileError("The name of a list takes at most 120 characters.")
        with self._starting:
            everything = self._store.proposals.of_state(ACCEPTED, 10 * MOST, listed=False)
            if not everything:
                raise QueryFileError("Accept some proposals first: they become the list.")
            # Two may have been made into the same words: one query is asked once, and is in one part only.
            alike: dict[str, list[Proposal]] = {}
            for proposal in everything:
                alike.setdefault(normal(proposal.query), []).append(proposal)
            accepted = [some[0] for some in alike.values()]
            splits = divide([None] * len(accepted), hold_out)
            name = free_name(name, {query_set.name for query_set in self._store.queries.sets()})
            models = {model.id: model.name for model in self._store.models.all()}
            chunk_ids = list(dict.fromkeys(proposal.chunk_id for proposal in accepted))
            passages = {passage.chunk_id: passage for passage in self._store.proposals.passages(chunk_ids)}
            items = [
                (
                    proposal,
                    split,
                    _metadata(proposal, passages[proposal.chunk_id], models.get(proposal.model_id or "", HEADINGS)),
                )
                for proposal, split in zip(accepted, splits, strict=True)
            ]
            list_id = self._store.proposals.make_list(name, items, [some[1:] for some in alike.values()])
        test = splits.count(Split.TEST)
        return AddedList(list_id, name, len(splits) - test, test, len(everything) - len(accepted))

    def _refuse_second(self) -> None:
        if self._is_running():
            raise QueryFileError("Queries are being proposed already: wait for their end, or cancel that first.")
        if self._store.proposals.asked_elsewhere():
            raise QueryFileError(ELSEWHERE)

    def _is_running(self) -> bool:
        return self._progress is not None and self._progress.state is JobState.RUNNING

    def _places(self, document_ids: Sequence[str], count: int, model_id: str | None) -> list[str]:
        if not 1 <= count <= MOST:
            raise QueryFileError(f"Propose 1 to {MOST} queries at a time.")
        places = self._store.proposals.places(document_ids, model_id, LEAST_CHARACTERS)
        if not places:
            raise QueryFileError(
                "There is no passage left that no query was proposed for. Add documents, or choose others."
                if self._store.documents.summaries()
                else "There are no documents yet: add some under Documents first."
            )
        return places

    def _with_documents(self, places: Sequence[str]) -> Iterator[tuple[Passage, Document]]:
        """Yield passages, which come document by document, with their documents."""
        document: Document | None = None
        for passage in self._store.proposals.passages(places):
            if document is None or document.id != passage.document_id:
                document = self._store.documents.get(passage.document_id)
            yield passage, document

    def _known(self) -> Known:
        return Known([*self._store.proposals.query_texts(), *self._store.proposals.texts()])

    async def _ask(self, model: Model, answerer, places: Sequence[str]) -> None:
        progress, known = self._progress, Known([])

        async def ask(passage: Passage) -> Answer:
            where = " › ".join(part for part in (passage.document, passage.heading) if part)
            messages = [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": USER.format(where=where, text=passage.text.strip())},
            ]
            return await answerer.chat(messages)

        def keep(results: Sequence[tuple[Passage, Answer | ModelError]]) -> None:
            for passage, result in results:
                progress.asked += 1
                if isinstance(result, ModelError):
                    progress.failures[str(result)] += 1
                else:
                    _count(progress, model, result)
                    self._take_in(passage, result.text, model, known)
            self._keep()

        state, error = JobState.FAILED, _STOPPED
        try:
            known = await asyncio.to_thread(self._known)
            passages = await asyncio.to_thread(list, self._store.proposals.passages(places))
            state = await run_batch(passages, ask, keep, self._concurrency, self._cancelled)
            error = ""
        except PipelineError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            state, error = JobState.INTERRUPTED, ""
            raise
        finally:
            self._end()
            # After it: whoever sees that this has ended may begin again, and that is not ended here.
            progress.state, progress.error = state, error
            self._keep()

    def _end(self) -> None:
        try:
            self._store.proposals.end()
        except PipelineError:
            # The others wait until this copy of the app asks again or is gone.
            log.warning("That no queries are being proposed any more could not be kept.", exc_info=True)

    def _left(self) -> Progress | None:
        """Return how far the proposer was when the app was stopped, or None."""
        if self._kept is None or not self._kept.is_file():
            return None
        try:
            found = Progress(**json.loads(self._kept.read_text("utf-8")))
        except (OSError, TypeError, ValueError):
            return None
        state = JobState.INTERRUPTED if found.state == JobState.RUNNING else JobState(found.state)
        return replace(found, state=state, failures=Counter(found.failures))

    def _keep(self) -> None:
        if self._kept is None or self._progress is None:
            return
        fresh = self._kept.with_suffix(".new")
        try:
            told = {name: getattr(self._progress, name) for name in Progress.__slots__}
            fresh.write_text(json.dumps(told), "utf-8")
            fresh.replace(self._kept)
        except OSError:
            # The proposals themselves are in the store.
            log.warning("How far the proposing of queries is could not be kept.", exc_info=True)

    def _take_in(self, passage: Passage, reply: str, model: Model, known: Known) -> None:
        progress = self._progress
        try:
            text = read_reply(reply)
        except ValueError as problem:
            progress.failures[f"A reply was no query: {problem}."] += 1
            return
        if not text:
            progress.nothing += 1
        elif not known.add(text):
            progress.same += 1
        else:
            progress.proposed += self._store.proposals.add([(passage.chunk_id, text)], model.id)


def _made_of(passage: Passage, document: Document) -> list[str]:
    """Return the questions that stand in a passage, and those that the headings within it stand for."""
    found = standing(passage.text)
    ends = [section.start for section in document.sections[1:]] + [len(document.text)]
    for section, end in zip(document.sections, ends, strict=True):
        body = " ".join(document.text[section.start : end].split())
        # A heading with nothing below it is answered nowhere; one whose text begins elsewhere is answered there.
        begins = passage.start <= section.start < passage.end
        if begins and section.heading and len(body) - len(section.heading.split(SEPARATOR)[-1]) >= LEAST_BODY:
            query = from_heading(section.heading)
            found += [query] if query else []
    return found


def _spread(items: Sequence, count: int) -> list:
    """Return at most ``count`` of the items, evenly over all of them."""
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def _count(progress: Progress, model: Model, answer: Answer) -> None:
    progress.tokens += (answer.prompt_tokens or 0) + (answer.completion_tokens or 0)
    cost = price(model.config, answer.prompt_tokens, answer.completion_tokens)
    if cost is not None:
        progress.cost = (progress.cost or 0.0) + cost


def _metadata(proposal: Proposal, passage: Passage, proposer: str) -> dict[str, str]:
    """Return what an accepted query remembers, in the columns that :mod:`pipeline.retrieval_gold` reads."""
    told = {GOLD_CHUNK: passage.chunk_id, GOLD_DOCUMENT: passage.document, GOLD_PASSAGE: passage.text.strip()}
    return {**told, PROPOSED_BY: proposer}
