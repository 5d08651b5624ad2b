"""Rounds and lineage: which model came of which, what each was trained on, what it answered, and how it was judged.

A model page names no comparison whose results its reader has not opened, and of runs that such a comparison rests on
nothing that would tell a model's answers apart: no tokens, no seconds, no cost.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.comparison_settings import RevealPolicy
from pipeline.comparisons import ComparisonDesk
from pipeline.errors import NotFoundError
from pipeline.hub.publish import annotators
from pipeline.prompts import Template
from pipeline.ranking import OutcomeCounts, WinRate, count_outcomes, win_rate
from pipeline.records import Context, Model, Split, Vote
from pipeline.store import Store
from pipeline.store.comparisons import ComparisonSet
from pipeline.store.lineage import LinedRow, RunUse, TrainingData
from pipeline.store.training import TrainingJob

PAGE = 20
# What was counted for so many pages is kept while the votes behind it stay as they are.
KEPT = 32
TUNED, CHANGED, FIRST = "tuned", "changed", ""


@dataclass(frozen=True, slots=True)
class Node:
    """A model in the tree of rounds: ``depth`` steps from the first one, ``how`` it came of the one above it.

    ``round`` counts how often it was tuned since its first model.
    """

    model: Model
    depth: int
    how: str
    round: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class Against:
    """How a model stands against another one, over the comparisons that the reader has opened."""

    other: Model
    is_parent: bool
    counts: OutcomeCounts
    rate: WinRate
    sets: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run as the reader may see it: ``taken`` is False where what it took is kept back."""

    run: RunUse
    taken: bool


@dataclass(frozen=True, slots=True)
class ModelPage:
    """All about one model. ``closed`` counts the comparisons of the workspace that are not opened: they are not in here."""

    model: Model
    prompt: Template | None
    round: int
    parent: Model | None
    children: tuple[Model, ...]
    replaces: Model | None
    replaced_by: tuple[Model, ...]
    job: TrainingJob | None
    data: TrainingData | None
    runs: tuple[ShownRun, ...]
    single: int
    against: tuple[Against, ...]
    opened: int
    closed: int


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some of the training rows of a job. ``blind`` holds those whose text is kept back from the reader."""

    rows: tuple[LinedRow, ...]
    blind: frozenset[str]
    page: int
    pages: int
    total: int


@dataclass(frozen=True, slots=True)
class WholeRow:
    """A training row with what is behind it. ``blind`` says that its texts are kept back.

    ``person`` is a pseudonym, the same as in published tables. ``may_read`` says whether the reader has opened the results of
    the comparison that its vote is in.
    """

    row: LinedRow
    number: int
    model: Model | None
    job: TrainingJob
    person: str
    contexts: tuple[Context, ...]
    blind: bool
    may_read: bool
    before: str | None
    after: str | None


class LineageDesk:
    """The tree of models, their pages, and training rows with what is behind them."""

    def __init__(self, store: Store, comparisons: ComparisonDesk) -> None:
        self._store = store
        self._comparisons = comparisons
        self._lock = threading.Lock()
        self._counted: OrderedDict[Hashable, tuple[Hashable, tuple[Against, ...]]] = OrderedDict()

    def tree(self) -> list[Node]:
        """Return all models, each below the one that it came of, in the order in which they were made."""
        models = self._store.models.all()
        known = {model.id: model for model in models}
        rows = self._store.lineage.rows_per_job()
        below: dict[str | None, list[Model]] = {}
        for model in models:
            below.setdefault(_origin(model, known), []).append(model)
        nodes: list[Node] = []

        def add(model: Model, depth: int, tuned: int) -> None:
            how = _how(model, known)
            tuned += how == TUNED
            nodes.append(Node(model, depth, how, tuned, rows.get(model.job_id or "")))
            for child in below.get(model.id, ()):
                add(child, depth + 1, tuned)

        for model in below.get(None, ()):
            add(model, 0, 0)
        return nodes

    def page(self, model_id: str, member_id: str) -> ModelPage:
        """Return what is known of a model.

        Raises:
            NotFoundError: there is no such model.
        """
        model = self._store.models.get(model_id)
        models = self._store.models.all()
        known = {item.id: item for item in models}
        sets = [item for item in self._comparisons.sets() if item.state == "open"]
        opened = [item for item in sets if self._is_open(item, member_id)]
        job = self._job(model)
        return ModelPage(
            model=model,
            prompt=self._prompt(model),
            round=next(node.round for node in self.tree() if node.model.id == model.id),
            parent=known.get(model.parent_id or ""),
            children=tuple(item for item in models if item.parent_id == model.id),
            replaces=known.get(model.replaces_id or ""),
            replaced_by=tuple(item for item in models if item.replaces_id == model.id),
            job=job,
            data=self._store.lineage.data_of(job.id) if job else None,
            runs=self._runs(model, sets, opened, member_id),
            single=self._store.lineage.apart_from_runs(model.id),
            against=self._against(model, known, [item for item in opened if model.id in item.model_ids], member_id),
            opened=sum(model.id in item.model_ids for item in opened),
            closed=len(sets) - len(opened),
        )

    def rows(self, job_id: str, member_id: str, search: str = "", number: int = 0) -> RowPage:
        """Return a page of the rows of a training job."""
        number = max(number, 0)
        total, rows = self._store.lineage.rows_of(job_id, search, number * PAGE, PAGE)
        pages = max(1, -(-total // PAGE))
        if number >= pages:
            return self.rows(job_id, member_id, search, pages - 1)
        blind = self._comparisons.judged_blind({row.query_id: row.query for row in rows}, member_id)
        return RowPage(tuple(rows), frozenset(row.id for row in rows if row.query_id in blind), number, pages, total)

    def row(self, row_id: str, member_id: str) -> WholeRow:
        """Return one training row with what is behind it.

        Raises:
            NotFoundError: there is no such row.
        """
        row = self._store.lineage.row(row_id)
        job = next(job for job in self._store.training.jobs() if job.id == row.job_id)
        blind = bool(self._comparisons.judged_blind({row.query_id: row.query}, member_id))
        names = annotators(self._store, self._store.values.pseudonym_salt())
        _, around = self._store.lineage.rows_of(job.id, "", max(row.position - 1, 0), 3)
        beside = {item.position: item.id for item in around}
        return WholeRow(
            row=row,
            number=row.position + 1,
            model=self._store.models.get(job.model_id) if job.model_id else None,
            job=job,
            person=names.get(row.annotator_id or "", ""),
            contexts=self._store.lineage.contexts_of(row),
            blind=blind,
            may_read=bool(row.set_id) and self._comparisons.is_revealed(row.set_id, member_id),
            before=beside.get(row.position - 1),
            after=beside.get(row.position + 1),
        )

    def _prompt(self, model: Model) -> Template | None:
        try:
            return self._store.templates.find(model.template)
        except NotFoundError:
            # Imported models have none, and one of another replica may still be on its way.
            return None

    def _job(self, model: Model) -> TrainingJob | None:
        return (
            next((job for job in self._store.training.jobs() if job.id == model.job_id), None) if model.job_id else None
        )

    def _is_open(self, item: ComparisonSet, member_id: str) -> bool:
        named = item.settings.reveal is not RevealPolicy.NEVER
        return named and self._comparisons.is_revealed(item.id, member_id)

    def _runs(
        self, model: Model, sets: Collection[ComparisonSet], opened: Collection[ComparisonSet], member_id: str
    ) -> tuple[ShownRun, ...]:
        """Return the runs of a model that the reader may know of.

        A run over test queries was made for a comparison: it is told of where one over its list is opened. A run with answers
        that are withheld from the reader is told of without what it took: a sum would tell what one of them took.
        """
        told = {item.query_set_id for item in opened if model.id in item.model_ids}
        hidden = {item.query_set_id for item in self._preparing() if model.id in item.model_ids}
        hidden |= {item.query_set_id for item in sets if item not in opened and model.id in item.model_ids}
        runs = self._store.lineage.runs_of(model.id)
        withheld = self._withheld_parts(model, {run.query_set_id for run in runs}, member_id)
        shown = []
        for run in runs:
            kept_back = run.query_set_id in hidden and run.split is not Split.TRAIN
            kept_back |= any(run.split in (None, split) for split in withheld[run.query_set_id])
            if run.split is not Split.TEST or (run.query_set_id in told and not kept_back):
                shown.append(ShownRun(run, not kept_back))
        return tuple(shown)

    def _withheld_parts(self, model: Model, list_ids: Collection[str], member_id: str) -> dict[str, set[Split]]:
        """Return by list which of its parts hold queries whose answers by this model are withheld from the reader."""
        queries = [query for list_id in sorted(list_ids) for query in self._store.queries.in_set(list_id)]
        withheld = self._comparisons.withheld(queries, model.id, member_id)
        parts: dict[str, set[Split]] = {list_id: set() for list_id in list_ids}
        for query in queries:
            if query.id in withheld:
                parts[query.query_set_id].add(query.split)
        return parts

    def _preparing(self) -> list[ComparisonSet]:
        return [item for item in self._comparisons.sets() if item.state == "preparing"]

    def _against(
        self, model: Model, known: Mapping[str, Model], sets: Sequence[ComparisonSet], member_id: str
    ) -> tuple[Against, ...]:
        """Return how a model stands against each it met, its parent first; counted again only when votes came or went."""
        counts = self._store.votes.counts()
        stamp = tuple((item.id, counts.get(item.id)) for item in sets)
        # The names of models stand in it, which never change.
        with self._lock:
            kept = self._counted.get(model.id)
            if kept is None or kept[0] != stamp:
                kept = stamp, self._count(model, known, sets, member_id)
            self._counted[model.id] = kept
            self._counted.move_to_end(model.id)
            while len(self._counted) > KEPT:
                self._counted.popitem(last=False)
        return kept[1]

    def _count(
        self, model: Model, known: Mapping[str, Model], sets: Sequence[ComparisonSet], member_id: str
    ) -> tuple[Against, ...]:
        votes: dict[str, list[Vote]] = {}
        met: dict[str, list[tuple[str, str]]] = {}
        for item in sets:
            for other in item.model_ids:
                if other == model.id or other not in known:
                    continue
                revealed = self._comparisons.results(item.id, member_id, (model.id, other))
                met.setdefault(other, []).append((item.id, item.name))
                # Names as they stand in votes; two models that met bear two names.
                votes.setdefault(other, []).extend(revealed.votes)
        found = []
        for other, several in met.items():
            pair = model.name, known[other].name
            given = votes[other]
            found.append(
                Against(
                    known[other],
                    other == model.parent_id,
                    count_outcomes(given, *pair),
                    win_rate(given, *pair),
                    tuple(several),
                )
            )
        return tuple(sorted(found, key=lambda one: (not one.is_parent, -one.counts.votes, one.other.name)))


def _origin(model: Model, known: Mapping[str, Model]) -> str | None:
    """Return the model that one came of; None for a first one, and where its origin leads round to itself."""
    above, passed = _above(model), {model.id}
    while above in known:
        if above in passed:
            return None
        passed.add(above)
        above = _above(known[above])
    return _above(model) if _above(model) in known else None


def _above(model: Model) -> str | None:
    # A version stands below the one that it replaces, whatever that was tuned from.
    return model.replaces_id or model.parent_id


def _how(model: Model, known: Mapping[str, Model]) -> str:
    if model.replaces_id in known:
        return CHANGED
    return TUNED if model.parent_id in known else FIRST
