"""Models as judges of a comparison: asked in the background, in both orders; shown to those who have opened its results.

Their verdicts are kept apart from the votes of people, and count in no result, standing or file of votes.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline import judge_prompt
from pipeline.batch import run_batch
from pipeline.cleaning import clean
from pipeline.comparison_settings import RevealPolicy
from pipeline.comparisons import ComparisonDesk
from pipeline.errors import ComparisonError, ModelError, PipelineError
from pipeline.generation import Generation
from pipeline.judge_questions import Material, Question, Questions, in_parts, questions_of
from pipeline.judge_report import Report, report_of
from pipeline.judgement_files import NamedJudgement, judgements_csv
from pipeline.models.judges import LEXICAL
from pipeline.records import Answer, JobState, Model, new_id
from pipeline.registry import BASE_NAME, Registry
from pipeline.store import Store
from pipeline.store.comparisons import Comparison
from pipeline.store.judgements import Judgement, JudgeRun

NOTHING = "There is nothing to judge: no pair of this comparison has two answers that differ."
STOPPED = "An unexpected error ended this run; the log of the app says which."
ELSEWHERE = "Another copy of the app is asking this model about this comparison already: wait for its end."
CANCEL_ELSEWHERE = "Another copy of the app is asking this model, on another machine: it can be cancelled there only."
SHOWN_ERRORS = 3
# Whether a machine lives that shares the dataset repo alone, nobody here can know: of one that asks, something is heard.
SILENT_SECONDS = 1800.0
# What a language model makes of a text is known to its endpoint only; four characters a token is usual for English.
CHARACTERS_PER_TOKEN, REPLY_TOKENS = 4, 70
# So many prompts tell how long they are.
MEASURED = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What a judge would be asked: ``calls`` now, of ``total`` for ``pairs`` in both orders; ``identical`` pairs are none.

    ``prompt_tokens`` and ``completion_tokens`` of the calls are estimates, and 0 for a judge that is no language model.
    ``own`` says that the judge wrote some of the answers itself.
    """

    pairs: int
    identical: int
    calls: int
    total: int
    prompt_tokens: int
    completion_tokens: int
    own: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a judge is with a comparison: ``done`` of ``total`` questions, ``failed`` at the last attempt.

    ``here`` says that this copy of the app asks it now, or one that shares the store, and so it can be cancelled here.
    """

    run: JudgeRun | None
    here: bool
    done: int
    total: int
    failed: int
    errors: tuple[str, ...]

    @property
    def running(self) -> bool:
        """Whether it is being asked now, by this copy of the app or another one."""
        return self.run is not None and self.run.state is JobState.RUNNING


class JudgeDesk:
    """Asks judges, and tells what they said to those who have opened the results."""

    def __init__(
        self,
        store: Store,
        comparisons: ComparisonDesk,
        registry: Registry,
        generation: Generation,
        concurrency: int,
    ) -> None:
        self._store = store
        self._comparisons = comparisons
        self._registry = registry
        self._generation = generation
        self._concurrency = concurrency
        self._starting = threading.Lock()
        self._cancels: dict[str, threading.Event] = {}
        # What there is to ask about a set, with the list of comparisons that it was made of.
        self._known: dict[str, tuple[list[Comparison], Questions]] = {}

    def judges(self) -> list[Model]:
        """Return the models that can judge: the embedded one, which counts words, and all chat models."""
        chatting = {model.id for model in self._registry.chatting()}
        return [model for model in self._registry.all() if model.id in chatting or model.name == BASE_NAME]

    def plan(self, set_id: str, model_id: str, member_id: str) -> Plan:
        """Count what this judge would be asked.

        Raises:
            ComparisonError: the results are not open to this person.
        """
        self._check_open(set_id, member_id)
        questions = self._questions(set_id)
        waiting = self._waiting(set_id, model_id)
        item, model = self._store.comparisons.set(set_id), self._store.models.get(model_id)
        # Where names are never shown, this would tell that of two strangers one is the judge.
        own = model_id in item.model_ids and item.settings.reveal is not RevealPolicy.NEVER
        asked = model.provider == "openai"
        return Plan(
            pairs=len(questions.asked) // 2,
            identical=questions.identical,
            calls=len(waiting),
            total=len(questions.asked),
            prompt_tokens=self._prompt_tokens(waiting) if asked else 0,
            completion_tokens=len(waiting) * REPLY_TOKENS if asked else 0,
            own=own,
        )

    def start(self, set_id: str, model_id: str, member_id: str) -> str:
        """Begin to ask a judge in the background; return the run's id, or that of the one that is under way here.

        What it has said of this comparison under the same instructions is not asked again.

        Raises:
            ComparisonError: the results are not open to this person, there is nothing to ask, or another copy of the app asks.
            ModelError: there is no such judge, or its endpoint is not configured.
        """
        self._check_open(set_id, member_id)
        self._check_judge(model_id)
        self._registry.judge(model_id)
        # Every reply is paid for: no other copy of the app begins between the look and the new run.
        with self._starting, self._store.database.alone("judge"):
            asked = next((run for run in self._runs(set_id, model_id) if self._is_asked(run)), None)
            if asked is not None and asked.id in self._cancels:
                return asked.id
            if asked is not None:
                raise ComparisonError(ELSEWHERE)
            waiting = self._waiting(set_id, model_id)
            if not waiting:
                some = self._questions(set_id).asked
                raise ComparisonError("This model has judged every pair already." if some else NOTHING)
            run_id = self._begin(set_id, model_id)
        self._generation.background(self._execute(run_id, model_id, waiting))
        return run_id

    def cancel(self, set_id: str, model_id: str, member_id: str) -> None:
        """Stop asking a judge; what it said stays. Nothing happens where it is not being asked.

        A copy of the app that shares the store sees so when it stores its next reply.

        Raises:
            ComparisonError: the results are not open to this person, or another machine asks that does not share the store.
        """
        self._check_open(set_id, member_id)
        for run in self._runs(set_id, model_id):
            if event := self._cancels.get(run.id):
                event.set()
                return
            if self._is_asked(run):
                if not self._shares_store(run):
                    raise ComparisonError(CANCEL_ELSEWHERE)
                self._store.judgements.end_elsewhere(run.id)
                return

    def take_over(self, replica: str) -> None:
        """Go on asking where a replica asked that is gone; what was answered or has failed in its runs is not asked again."""
        for run in self._store.judgements.left_by(replica):
            if run.id in self._cancels:
                continue
            questions = self._left_of(run)
            # Only now: what cannot be read at this moment stays the other's, and is taken over at the next look. The event is
            # there before the row is this copy's, as in _begin.
            self._cancels[run.id] = threading.Event()
            taken = False
            try:
                taken = self._store.judgements.take_over(run.id, replica) and questions is not None
                if questions is None:
                    self._store.judgements.finish(run.id, JobState.INTERRUPTED)
            finally:
                if not taken:
                    self._cancels.pop(run.id, None)
            if taken:
                self._generation.background(self._execute(run.id, run.model_id, questions))

    def progress(self, set_id: str, model_id: str, member_id: str) -> Progress:
        """Return how far a judge is.

        Raises:
            ComparisonError: the results are not open to this person.
        """
        self._check_open(set_id, member_id)
        questions = self._questions(set_id).asked
        mine = set(self._cancels)
        run = self._shown(set_id, model_id)
        said = self._said(set_id, model_id)
        done = {item.order for item in said if not item.error}
        failed = {
            item.order: item.error for item in said if item.error and run is not None and item.judge_run_id == run.id
        }
        open_errors = [error for order, error in failed.items() if order not in done]
        return Progress(
            run=run,
            # It may have begun since it was looked at first.
            here=run is not None
            and run.state is JobState.RUNNING
            and (run.id in mine | set(self._cancels) or self._shares_store(run)),
            done=sum(question.order in done for question in questions),
            total=len(questions),
            failed=len(open_errors),
            errors=tuple(dict.fromkeys(open_errors))[:SHOWN_ERRORS],
        )

    def report(self, set_id: str, model_id: str, member_id: str) -> Report | None:
        """Return the numbers on a judge, or None where it has said nothing of this comparison.

        Raises:
            ComparisonError: the results are not open to this person.
        """
        revealed = self._comparisons.results(set_id, member_id)
        said = self._said(set_id, model_id)
        return report_of(revealed, self._questions(set_id), said) if said else None

    def csv(self, set_id: str, member_id: str) -> str:
        """Return all that any judge said of a comparison as CSV; models have the names that results give them.

        Raises:
            ComparisonError: the results are not open to this person, or no judge was asked.
        """
        revealed = self._comparisons.results(set_id, member_id)
        runs = {run.id: run for run in self._store.judgements.runs(set_id)}
        said = self._store.judgements.of_runs(list(runs))
        if not said:
            raise ComparisonError("No model has judged this comparison yet.")
        models = self._questions(set_id).models
        query_of = {item.id: item.query_id for item in self._store.comparisons.in_set(set_id)}
        queries = in_parts(self._store.queries.by_ids, (query_of[item.comparison_id] for item in said))
        judges = {model.id: model.name for model in self._registry.all()}
        return judgements_csv(
            NamedJudgement(
                judge=judges[runs[item.judge_run_id].model_id],
                instructions=runs[item.judge_run_id].instructions.partition("\n")[0],
                query=queries[query_of[item.comparison_id]].text,
                model_a=revealed.models[models[item.left_completion_id]],
                model_b=revealed.models[models[item.right_completion_id]],
                judgement=item,
            )
            for item in said
        )

    def _check_open(self, set_id: str, member_id: str) -> None:
        if not self._comparisons.is_revealed(set_id, member_id):
            raise ComparisonError("Open the results first: a judge's verdicts are shown after your own votes only.")

    def _check_judge(self, model_id: str) -> None:
        if model_id not in {model.id for model in self.judges()}:
            raise ModelError("This model cannot judge. Choose another one.")

    def _instructions(self, model_id: str) -> str:
        chat = self._store.models.get(model_id).provider == "openai"
        return judge_prompt.instructions() if chat else LEXICAL

    def _runs(self, set_id: str, model_id: str) -> list[JudgeRun]:
        told = self._instructions(model_id)
        runs = self._store.judgements.runs(set_id)
        return [run for run in runs if run.model_id == model_id and run.instructions == told]

    def _begin(self, set_id: str, model_id: str) -> str:
        run_id = new_id()
        # Before the row: a run of this copy that is in the store and not here is one that was left behind.
        self._cancels[run_id] = threading.Event()
        begun = False
        try:
            self._store.judgements.start(run_id, set_id, model_id, self._instructions(model_id))
            begun = True
        finally:
            if not begun:
                self._cancels.pop(run_id, None)
        return run_id

    def _is_asked(self, run: JudgeRun) -> bool:
        """Say whether a run goes on, here or at another copy of the app."""
        if run.state is not JobState.RUNNING or run.id in self._cancels:
            return run.state is JobState.RUNNING
        by, heard = self._store.judgements.asked_by(run.id)
        if by == self._store.replica:
            return False
        # Those that share the store see to what one of them leaves behind.
        return by in self._store.others() or heard > time.time() - SILENT_SECONDS

    def _shares_store(self, run: JudgeRun) -> bool:
        """Say whether a run is one of another replica of this store, which sees here what becomes of it."""
        by, _ = self._store.judgements.asked_by(run.id)
        return by != self._store.replica and by in self._store.others()

    def _left_of(self, run: JudgeRun) -> list[Question] | None:
        """Return what is still to be asked in a run, or None where this version would ask it otherwise."""
        if run.instructions != self._instructions(run.model_id):
            return None
        failed = {item.order for item in self._store.judgements.of_runs([run.id]) if item.error}
        return [item for item in self._waiting(run.comparison_set_id, run.model_id) if item.order not in failed]

    def _shown(self, set_id: str, model_id: str) -> JudgeRun | None:
        """Return the run that goes on, or else the newest; what was left behind and goes on nowhere is interrupted."""
        runs = self._runs(set_id, model_id)
        asked = next((run for run in runs if self._is_asked(run)), None)
        if asked is not None or not runs:
            return asked
        # Once more: it may have ended, and been stored as that, between the two looks.
        newest = self._store.judgements.get(runs[0].id)
        return replace(newest, state=JobState.INTERRUPTED) if newest.state is JobState.RUNNING else newest

    def _said(self, set_id: str, model_id: str) -> list[Judgement]:
        return self._store.judgements.of_runs([run.id for run in self._runs(set_id, model_id)])

    def _questions(self, set_id: str) -> Questions:
        """Return what there is to ask; what was found is kept while the comparison stays as it was."""
        items = self._store.comparisons.in_set(set_id)
        known = self._known.get(set_id)
        if known is None or known[0] is not items:
            known = self._known[set_id] = (items, questions_of(self._store, items))
        return known[1]

    def _waiting(self, set_id: str, model_id: str) -> list[Question]:
        done = {item.order for item in self._said(set_id, model_id) if not item.error}
        return [question for question in self._questions(set_id).asked if question.order not in done]

    def _prompt_tokens(self, questions: Sequence[Question]) -> int:
        """Estimate the tokens of all prompts from some of them."""
        some = questions[:: len(questions) // MEASURED + 1]
        if not some:
            return 0
        material = Material(self._store, some)
        messages = (judge_prompt.judge_messages(*material.of(question)) for question in some)
        characters = sum(len(message["content"]) for pair in messages for message in pair)
        return round(characters / CHARACTERS_PER_TOKEN * len(questions) / len(some))

    async def _execute(self, run_id: str, model_id: str, questions: Sequence[Question]) -> None:
        """Ask, and store how it ended; each reply is stored as soon as it is there."""
        state, error, cancelled = JobState.FAILED, STOPPED, self._cancels[run_id]

        def keep(results: Sequence[tuple[Question, Answer | ModelError]]) -> None:
            # Of a run that another replica has ended or taken over since, nothing more is asked here.
            if not self._store.judgements.add([_judgement(run_id, *result) for result in results]):
                cancelled.set()

        try:
            judge = self._registry.judge(model_id)
            material = await asyncio.to_thread(Material, self._store, questions)
            state = await run_batch(
                questions,
                lambda question: judge.judge(*material.of(question)),
                keep,
                self._concurrency,
                cancelled,
            )
            error = ""
        except PipelineError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            state, error = JobState.INTERRUPTED, ""
            raise
        finally:
            # In this order: a run that is not under way any more has stored how it ended, or could not.
            try:
                self._store.judgements.finish(run_id, state, error)
            finally:
                self._cancels.pop(run_id, None)


def _judgement(run_id: str, question: Question, result: Answer | ModelError) -> Judgement:
    about = (new_id(), run_id, question.comparison_id, question.left, question.right)
    if isinstance(result, ModelError):
        return Judgement(*about, outcome=None, error=str(result))
    reply = clean(result.text)
    tokens = result.prompt_tokens, result.completion_tokens
    return Judgement(*about, judge_prompt.read_verdict(reply), reply, "", result.seconds, *tokens)
