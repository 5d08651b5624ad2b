"""Votes one by one, for those who have opened the results: what was asked, who won, why, and what became of it.

From a vote one can walk to its comparison (the query, the answers, their models), to the correction, to the training rows that
came of it, their job and the model that was trained; :mod:`pipeline.lineage` walks back.

What a person still judges blind elsewhere is left out (:meth:`ComparisonDesk.judged_blind`), and where names are never
shown, no answer stands beside the name that takes its model's place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.comparison_settings import RevealPolicy
from pipeline.comparisons import ComparisonDesk
from pipeline.errors import ComparisonError
from pipeline.records import Context, Outcome
from pipeline.revealed import Revealed
from pipeline.store import Store
from pipeline.store.lineage import RowUse
from pipeline.store.members import AUTOMATIC
from pipeline.store.votes import StoredVote

PAGE = 25
# Filters beside the ids of models, whose wins they show.
ALL, TIE, BOTH_BAD, REASON, CORRECTION, TRAINED = "", "tie", "both_bad", "reason", "correction", "trained"
CLOSED = "Open the results of this comparison first: its votes are shown then, one by one."
KEPT_TEXTS = 4


@dataclass(frozen=True, slots=True)
class VoteLine:
    """One vote of a list. ``winners`` are the names of the preferred models, none where neither was; ``uses`` counts rows."""

    id: str
    pair: int
    query: str
    names: tuple[str, ...]
    winners: tuple[str, ...]
    outcome: str
    reason: str
    correction: str
    person: str
    seconds: float | None
    created_at: float
    uses: int


@dataclass(frozen=True, slots=True)
class VotePage:
    """Some of the votes that were searched for; ``blind`` were left out, as their queries wait for this person's own vote."""

    lines: tuple[VoteLine, ...]
    page: int
    pages: int
    total: int
    blind: int
    models: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer as it was judged, in the order of the screen. ``text`` and ``model_id`` are None where they are not shown."""

    model: str
    model_id: str | None
    text: str | None
    won: bool
    rank: int | None
    citations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WholeVote:
    """A vote with all that it is about, and the training rows that came of it."""

    line: VoteLine
    set_id: str
    set_name: str
    answers: tuple[JudgedAnswer, ...]
    criteria: Mapping[str, str]
    contexts: tuple[Context, ...]
    uses: tuple[tuple[RowUse, str], ...]


class VoteList:
    """Lists votes, and shows one of them."""

    def __init__(self, store: Store, comparisons: ComparisonDesk) -> None:
        self._store = store
        self._comparisons = comparisons
        # The texts of queries by the list that they are in: they never change, lists only grow.
        self._texts: OrderedDict[str, dict[str, str]] = OrderedDict()

    def page(self, set_id: str, member_id: str, search: str = "", kind: str = ALL, number: int = 0) -> VotePage:
        """Return a page of the votes of a comparison, newest first.

        Raises:
            ComparisonError: its results are not open to this person.
        """
        revealed = self._revealed(set_id, member_id)
        given = [vote for vote in self._store.votes.log(set_id).votes if vote.annotator_id != AUTOMATIC]
        texts = self._query_texts(set_id, given)
        blind = self._comparisons.judged_blind(texts, member_id)
        shown = [vote for vote in reversed(given) if vote.query_id not in blind]
        left_out = len(given) - len(shown)
        people = self._store.members.names()
        chosen = [vote for vote in self._of_kind(shown, kind) if _matches(vote, search, texts, people)]
        pages = max(1, -(-len(chosen) // PAGE))
        number = min(max(number, 0), pages - 1)
        some = chosen[number * PAGE : (number + 1) * PAGE]
        lines = self._lines(set_id, some, revealed, texts, people)
        return VotePage(lines, number, pages, len(chosen), left_out, revealed.models)

    def open(self, vote_id: str, member_id: str) -> WholeVote:
        """Return one vote with all that it is about.

        Raises:
            ComparisonError: the results are not open to this person, the vote was taken back, or its query still waits for
                this person's own blind vote.
            NotFoundError: there is no such vote.
        """
        set_id = self._store.lineage.set_of_vote(vote_id)
        revealed = self._revealed(set_id, member_id)
        vote = next((vote for vote in self._store.votes.log(set_id).votes if vote.id == vote_id), None)
        if vote is None or vote.annotator_id == AUTOMATIC:
            raise ComparisonError("This vote was taken back, or nobody gave it: it does not count.")
        texts = self._query_texts(set_id, [vote])
        if self._comparisons.judged_blind({vote.query_id: texts[vote.query_id]}, member_id):
            raise ComparisonError(
                "You are to judge this query blind in another comparison: what others said of it is shown after that."
            )
        item = self._store.comparisons.set(set_id)
        named = revealed.settings.reveal is not RevealPolicy.NEVER
        pair = self._store.comparisons.get(vote.comparison_id)
        retrieval = self._store.queries.retrievals_by_id([pair.retrieval_id])[pair.retrieval_id]
        names = {model.id: model.name for model in self._store.models.all()}
        uses = self._store.lineage.uses(vote_ids=[vote.id]).get(vote.id, [])
        return WholeVote(
            line=self._lines(set_id, [vote], revealed, texts, self._store.members.names())[0],
            set_id=set_id,
            set_name=self._comparisons.name(item, member_id),
            answers=self._answers(vote, revealed, named),
            criteria={name: _verdict(outcome, vote, revealed.models) for name, outcome in vote.criteria.items()},
            contexts=retrieval.contexts,
            uses=tuple((use, names.get(use.model_id or "", "")) for use in uses),
        )

    def set_of(self, vote_id: str) -> str:
        """Return the comparison that a vote was given in.

        Raises:
            NotFoundError: there is no such vote.
        """
        return self._store.lineage.set_of_vote(vote_id)

    def may_read(self, set_id: str, member_id: str) -> bool:
        """Say whether this person has opened the results of a comparison."""
        return self._comparisons.is_revealed(set_id, member_id)

    def _revealed(self, set_id: str, member_id: str) -> Revealed:
        if not self._comparisons.is_revealed(set_id, member_id):
            raise ComparisonError(CLOSED)
        return self._comparisons.results(set_id, member_id)

    def _of_kind(self, given: Sequence[StoredVote], kind: str) -> Sequence[StoredVote]:
        if kind == TRAINED:
            # Few votes hold a correction, and only these become rows by themselves; a preference may be any.
            used = self._store.lineage.votes_in_rows()
            return [vote for vote in given if vote.id in used]
        tests = {
            ALL: lambda vote: True,
            TIE: lambda vote: not _winners(vote) and vote.outcome is not Outcome.BOTH_BAD,
            BOTH_BAD: lambda vote: not vote.ranks and vote.outcome is Outcome.BOTH_BAD,
            REASON: lambda vote: bool(vote.reason),
            CORRECTION: lambda vote: bool(vote.correction),
        }
        test = tests.get(kind, lambda vote: kind in _winners(vote))
        return [vote for vote in given if test(vote)]

    def _lines(
        self,
        set_id: str,
        some: Sequence[StoredVote],
        revealed: Revealed,
        texts: Mapping[str, str],
        people: Mapping[str, str],
    ) -> tuple[VoteLine, ...]:
        places = {item.id: item.position + 1 for item in self._store.comparisons.in_set(set_id)}
        uses = self._store.lineage.uses(vote_ids=[vote.id for vote in some])
        return tuple(
            VoteLine(
                id=vote.id,
                pair=places[vote.comparison_id],
                query=texts[vote.query_id],
                names=tuple(revealed.models[model] for model in _shown(vote)),
                winners=tuple(revealed.models[model] for model in _winners(vote)),
                outcome="ranking" if vote.ranks else vote.outcome.value,
                reason=vote.reason,
                correction=vote.correction,
                person=people.get(vote.annotator_id, "") or "Somebody",
                seconds=vote.seconds,
                created_at=vote.created_at,
                uses=len(uses.get(vote.id, ())),
            )
            for vote in some
        )

    def _answers(self, vote: StoredVote, revealed: Revealed, named: bool) -> tuple[JudgedAnswer, ...]:
        pair = self._store.comparisons.get(vote.comparison_id)
        answers = {answer.model_id: answer for answer in self._store.runs.by_ids(pair.completion_ids).values()}
        winners, ranks = _winners(vote), vote.ranks or (None,) * len(_shown(vote))
        return tuple(
            JudgedAnswer(
                model=revealed.models[model],
                model_id=model if named else None,
                text=answers[model].text if named else None,
                won=model in winners,
                rank=rank,
                citations=answers[model].citations if named else (),
            )
            for model, rank in zip(_shown(vote), ranks, strict=True)
        )

    def _query_texts(self, set_id: str, given: Sequence[StoredVote]) -> dict[str, str]:
        """Return the texts of the queries of votes; of those that were asked for before, only new ones are read."""
        known = self._texts.setdefault(set_id, {})
        self._texts.move_to_end(set_id)
        while len(self._texts) > KEPT_TEXTS:
            self._texts.popitem(last=False)
        missing = list({vote.query_id for vote in given if vote.query_id not in known})
        if missing:
            known.update({query.id: query.text for query in self._store.queries.by_ids(missing).values()})
        return known


def _shown(vote: StoredVote) -> tuple[str, ...]:
    return vote.shown if vote.ranks else (vote.left_model_id, vote.right_model_id)


def _winners(vote: StoredVote) -> tuple[str, ...]:
    """Return the preferred models: of a ranking those in the first place, where not all share it."""
    if vote.ranks:
        best = tuple(model for model, rank in zip(vote.shown, vote.ranks, strict=True) if rank == 1)
        return best if len(best) < len(vote.shown) else ()
    sides = {Outcome.MODEL_A: (vote.left_model_id,), Outcome.MODEL_B: (vote.right_model_id,)}
    return sides.get(vote.outcome, ())


def _verdict(outcome: Outcome, vote: StoredVote, names: Mapping[str, str]) -> str:
    words = {Outcome.TIE: "tie", Outcome.BOTH_BAD: "both bad"}
    sides = {Outcome.MODEL_A: names[vote.left_model_id], Outcome.MODEL_B: names[vote.right_model_id]}
    return words.get(outcome) or sides[outcome]


def _matches(vote: StoredVote, search: str, texts: Mapping[str, str], people: Mapping[str, str]) -> bool:
    words = search.casefold().split()
    if not words:
        return True
    found = (texts[vote.query_id], vote.reason, vote.correction, people.get(vote.annotator_id, ""))
    text = "\n".join(found).casefold()
    return all(word in text for word in words)
