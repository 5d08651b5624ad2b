"""Blind comparison: who sees which answers next and in which order, the votes, and the reveal.

Nothing that this module hands out for a vote tells which model wrote which side: a :class:`BlindPair` holds texts, an id
that is the same for everybody, and counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.cleaning import clean, normal
from pipeline.comparison_settings import ComparisonSettings, Kind, RevealPolicy, VoteForm
from pipeline.errors import ComparisonError
from pipeline.generation import Generation
from pipeline.makers import masked
from pipeline.orders import any_order, balanced_order
from pipeline.preparation import Preparation, Preview, maker_names
from pipeline.records import Context, Outcome, Query, Split, outcome_from_ranks
from pipeline.revealed import ResultsReader, Revealed
from pipeline.store import Store
from pipeline.store.comparisons import Comparison, ComparisonSet
from pipeline.store.vote_rows import Cast
from pipeline.store.votes import StoredVote

WITHHELD = "Test query: kept for Compare; shown after the results of its comparison are opened."
MAX_TEXT_CHARACTERS = 50_000
# A vote is timed from the moment the pair was sent; longer than this is a break.
MAX_VOTE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class BlindPair:
    """What a person sees before a vote: the answers in their order, A first. ``number`` of ``total`` counts their pairs.

    In a ranking ``texts`` are all answers to the query that differ; otherwise there are two.
    """

    comparison_id: str
    query: str
    contexts: tuple[Context, ...]
    texts: tuple[str, ...]
    number: int
    total: int
    settings: ComparisonSettings

    @property
    def text_a(self) -> str:
        """The answer on the left."""
        return self.texts[0]

    @property
    def text_b(self) -> str:
        """The answer on the right."""
        return self.texts[1]


class ComparisonDesk:
    """Comparisons from their creation to the reveal."""

    def __init__(self, store: Store, generation: Generation) -> None:
        self._store = store
        self._preparation = Preparation(store, generation)
        self._reader = ResultsReader(store, self._preparation)

    def preview(self, settings: ComparisonSettings, query_set_id: str) -> Preview:
        """Count what a comparison over the test queries of a list would hold."""
        return self._preparation.preview(settings, query_set_id)

    def create(self, settings: ComparisonSettings, query_set_id: str) -> str:
        """Begin a comparison, or return the one that is the same; see :meth:`Preparation.create`."""
        return self._preparation.create(settings, query_set_id)

    def sets(self) -> list[ComparisonSet]:
        """Return all comparisons, newest first."""
        return self._store.comparisons.sets()

    def blind_name(self, item: ComparisonSet) -> str:
        """Return a name for a set that can be shown before the reveal: it holds no model's name."""
        number = sorted(other.id for other in self.sets()).index(item.id) + 1
        return f"Comparison {number} · {self._store.queries.set_name(item.query_set_id)}"

    def name(self, item: ComparisonSet, member_id: str) -> str:
        """Return the name of a set for this person: with the models' names where its results are open to them."""
        named = self.is_revealed(item.id, member_id) and item.settings.reveal is not RevealPolicy.NEVER
        return item.name if named else self.blind_name(item)

    def blind_error(self, item: ComparisonSet) -> str:
        """Return why a set could not be prepared, in words that name no model."""
        error = item.error
        # The longest first: one name may be a part of another.
        for name in sorted(maker_names(self._store.models.all()), key=len, reverse=True):
            error = error.replace(name, "a model")
        return error

    def next_pair(self, set_id: str, annotator_id: str) -> BlindPair | None:
        """Return what waits for this person next, or None when all is judged or the results are open to them.

        What is drawn for them and has no vote yet comes first, so that a reload or an undo shows it again in the same order;
        then what has the fewest votes; of three models and more the pair whose order is least certain; ties are broken
        in an order of the person's own.
        """
        item = self._store.comparisons.set(set_id)
        if item.settings.kind is Kind.IMPORTED or self.is_revealed(set_id, annotator_id):
            return None
        shown = self._shown_to(item, annotator_id)
        mine = self._store.votes.judged_by(set_id, annotator_id)
        waiting = [comparison for comparison in shown if comparison.id not in mine]
        if not waiting:
            return None
        first = self._first(waiting, item, annotator_id)
        done = len(shown) - len(waiting)
        return self._blind(first, item.settings, annotator_id, (done + 1, len(shown)))

    def vote(
        self,
        comparison_id: str,
        annotator_id: str,
        outcome: Outcome,
        reason: str = "",
        correction: str = "",
        seconds: float | None = None,
        criteria: Mapping[str, Outcome] | None = None,
    ) -> bool:
        """Store a verdict on the pair as this person saw it; False where they had voted on it already.

        Raises:
            ComparisonError: the pair was never shown to this person, it was not there long enough, or their voting has ended.
        """
        item, settings, shown = self._on_screen(comparison_id, annotator_id)
        if settings.form is VoteForm.RANKING:
            raise ComparisonError("These answers are ranked: give each of them a place.")
        cast = Cast(shown, Outcome(outcome), reason, correction, seconds, criteria=criteria or {})
        return self._store.votes.add(item, annotator_id, _checked(cast, settings))

    def rank(
        self,
        comparison_id: str,
        annotator_id: str,
        ranks: Sequence[int],
        reason: str = "",
        correction: str = "",
        seconds: float | None = None,
    ) -> bool:
        """Store a ranking: the rank of each text of the :class:`BlindPair`, 1 is best and ties share one.

        Raises:
            ComparisonError: as :meth:`vote`; or a rank is missing.
        """
        item, settings, shown = self._on_screen(comparison_id, annotator_id)
        if settings.form is not VoteForm.RANKING:
            raise ComparisonError("These answers are judged as a pair.")
        groups = self._alike(shown)
        if len(ranks) != len(set(groups)) or not all(1 <= rank <= len(ranks) for rank in ranks):
            raise ComparisonError("Give every answer a place, from 1 for the best; answers that are equal share one.")
        # Answers with one text are one card, and share its place.
        places = tuple(ranks[group] for group in groups)
        all_ranks = tuple(1 + sum(other < place for other in places) for place in places)
        cast = Cast(shown, outcome_from_ranks(*all_ranks[:2]), reason, correction, seconds, all_ranks)
        return self._store.votes.add(item, annotator_id, _checked(cast, settings))

    def undo(self, set_id: str, annotator_id: str) -> StoredVote:
        """Take back this person's newest vote; it is shown again, in the order as before.

        Raises:
            ComparisonError: there is no vote to take back, or the names were shown to this person.
        """
        if self._store.comparisons.set(set_id).settings.reveal is RevealPolicy.VOTE:
            raise ComparisonError("The names were shown after your vote, which made it final.")
        vote = self._store.votes.undo_last(set_id, annotator_id)
        if vote is None:
            raise ComparisonError("There is no vote to take back.")
        return vote

    def places(self, vote: StoredVote) -> tuple[int, ...]:
        """Return the ranks that a ranking gave to the cards of its person's screen, in their order."""
        shown = self._store.votes.drawn(vote.comparison_id, vote.annotator_id)
        cards = self._alike(shown)
        ranks = [vote.ranks[cards.index(card)] for card in sorted(set(cards))] if vote.ranks else []
        # A card of two answers takes two ranks, and one place.
        return tuple(sorted(set(ranks)).index(rank) + 1 for rank in ranks)

    def names_after(self, comparison_id: str, annotator_id: str) -> tuple[str, ...]:
        """Return who wrote the answers, in the order of the screen, where that is shown after each vote; else ().

        A card of a ranking that holds the one text of several models has all their names.

        Raises:
            ComparisonError: this person has not voted on it.
        """
        item = self._store.comparisons.get(comparison_id)
        settings = self._store.comparisons.set(item.comparison_set_id).settings
        if settings.reveal is not RevealPolicy.VOTE:
            return ()
        if comparison_id not in self._store.votes.judged_by(item.comparison_set_id, annotator_id):
            raise ComparisonError("The names are shown after your vote.")
        shown = self._store.votes.drawn(comparison_id, annotator_id)
        answers = self._store.runs.by_ids(shown)
        names = [self._store.models.get(answers[answer].model_id).name for answer in shown]
        cards = self._alike(shown) if settings.form is VoteForm.RANKING else list(range(len(shown)))
        by_card: dict[int, list[str]] = {card: [] for card in sorted(set(cards))}
        for name, card in zip(names, cards, strict=True):
            by_card[card].append(name)
        return tuple(" and ".join(some) for some in by_card.values())

    def progress(self, set_id: str, annotator_id: str) -> tuple[int, int]:
        """Return (what this person has judged, what there is to judge)."""
        shown = self._shown_to(self._store.comparisons.set(set_id), annotator_id)
        mine = self._store.votes.judged_by(set_id, annotator_id)
        return sum(item.id in mine for item in shown), len(shown)

    def is_revealed(self, set_id: str, member_id: str) -> bool:
        """Say whether this person has opened the results; those of imported votes are open to everybody."""
        if self._store.comparisons.revealed(set_id, member_id):
            return True
        return self._store.comparisons.set(set_id).settings.kind is Kind.IMPORTED

    def reveal(self, set_id: str, member_id: str) -> None:
        """Open the results to this person. Their votes are final from now on, and they give no more.

        Raises:
            ComparisonError: it is not open for votes yet, or never was.
            NotFoundError: there is no such comparison.
        """
        item = self._store.comparisons.set(set_id)
        if item.state != "open":
            raise ComparisonError("This comparison has no results: it is not open for votes.")
        self._store.comparisons.reveal(item.id, member_id)

    def withheld(self, queries: Sequence[Query], model_id: str, member_id: str) -> frozenset[str]:
        """Return the ids of those queries whose answers by this model this person may not see beside its name.

        These are the queries that they are judging blind, and test queries that this model has answered in no comparison
        whose results they have opened: whoever has read a model's answer cannot judge it blind. Results that never show
        the names open nothing: an answer beside a name would tell which model is "Model 1". It is the text that counts, in
        whatever list it stands.
        """
        texts = self._withheld_texts(model_id, member_id)
        return frozenset(query.id for query in queries if normal(query.text) in texts)

    def judged_blind(self, queries: Mapping[str, str], member_id: str) -> frozenset[str]:
        """Return the ids of those queries, given as texts by id, that this person may still judge blind somewhere.

        Whoever reads what others say of the answers to one of them, also in a comparison that is opened, can tell which
        answer is whose where it is not.
        """
        waiting = [item for item in self.sets() if item.state in ("preparing", "open")]
        waiting = [item for item in waiting if not self.is_revealed(item.id, member_id)]
        texts = set().union(*(self._texts_of(item, member_id) for item in waiting))
        return (
            frozenset(query_id for query_id, text in queries.items() if normal(text) in texts) if texts else frozenset()
        )

    def refuse_withheld_query(self, text: str, model_id: str, member_id: str) -> None:
        """Refuse to let a model answer a query in the open whose answer :meth:`withheld` would withhold.

        Raises:
            ComparisonError: it is one of those.
        """
        if normal(text) in self._withheld_texts(model_id, member_id):
            raise ComparisonError(WITHHELD)

    def results(self, set_id: str, member_id: str, pair: tuple[str, str] | None = None) -> Revealed:
        """Return the votes with the models' names; ``pair`` are the ids of two models, the first two where it is None.

        Where the names are never shown they are "Model 1", "Model 2" and so on, in an order that tells nothing.

        Raises:
            ComparisonError: the results are not open to this person yet, or the pair is not in the set.
        """
        if not self.is_revealed(set_id, member_id):
            raise ComparisonError("Open the results first: that ends your voting on this comparison.")
        return self.results_of(set_id, pair)

    def results_of(self, set_id: str, pair: tuple[str, str] | None = None) -> Revealed:
        """Return what :meth:`results` returns, without asking whom for: for links to results, and for the app itself.

        Raises:
            ComparisonError: the pair is not in the set.
        """
        return self._reader.read(self._store.comparisons.set(set_id), self._store.comparisons.in_set(set_id), pair)

    def _shown_to(self, item: ComparisonSet, annotator_id: str) -> list[Comparison]:
        """Return what this person judges of a set: all that differs, of a live one what they asked themselves."""
        shown = [comparison for comparison in self._store.comparisons.in_set(item.id) if not comparison.identical]
        if item.settings.kind is not Kind.LIVE:
            return shown
        asked = self._store.votes.drawn_for(item.id, annotator_id)
        return [comparison for comparison in shown if comparison.id in asked]

    def _on_screen(
        self, comparison_id: str, annotator_id: str
    ) -> tuple[Comparison, ComparisonSettings, tuple[str, ...]]:
        """Return what a person votes on: the comparison, its settings, and the completions as this person sees them."""
        item = self._store.comparisons.get(comparison_id)
        shown = self._store.votes.drawn(comparison_id, annotator_id)
        if not shown:
            raise ComparisonError("This pair was not shown to you. Reload the page.")
        return item, self._store.comparisons.set(item.comparison_set_id).settings, shown

    def _first(self, waiting: Sequence[Comparison], item: ComparisonSet, annotator_id: str) -> Comparison:
        by_id = {one.id: one for one in waiting}
        for drawn in self._store.votes.open_draws(item.id, annotator_id):
            if drawn in by_id:
                return by_id[drawn]
        count = self._store.votes.per_comparison(item.id)
        fewest = min(count[one.id] for one in waiting)
        ties = [one for one in waiting if count[one.id] == fewest]
        if item.settings.form is VoteForm.PAIRS and len(item.model_ids) > 2 and (certain := self._certainty(item)):
            pairs = self._model_pairs(ties)
            sure = {one.id: certain.get(pairs[one.id], 0.0) for one in ties}
            least = min(sure.values())
            ties = [one for one in ties if sure[one.id] == least]
        return min(ties, key=lambda one: hashlib.sha256(f"{annotator_id}{one.id}".encode()).digest())

    def _certainty(self, item: ComparisonSet) -> dict[frozenset[str], float]:
        """Return for each pair of models how far apart they are: the lead in decisive votes in standard errors."""
        wins = self._store.votes.wins(item.id)
        pairs = {frozenset(pair) for pair in wins}
        lead = {pair: [wins[one, two] for one, two in _both_ways(pair)] for pair in pairs}
        return {pair: abs(one - two) / (one + two) ** 0.5 for pair, (one, two) in lead.items()}

    def _model_pairs(self, items: Sequence[Comparison]) -> dict[str, frozenset[str]]:
        answers = self._store.votes.models_of([answer for item in items for answer in item.completion_ids])
        return {item.id: frozenset(answers[answer] for answer in item.completion_ids) for item in items}

    def _blind(
        self, item: Comparison, settings: ComparisonSettings, annotator_id: str, place: tuple[int, int]
    ) -> BlindPair:
        shown = self.draw(item, settings, annotator_id)
        answers = self._store.runs.by_ids(shown)
        names = maker_names(self._store.models.all())
        texts = [masked(answers[answer].text, names) for answer in shown]
        if settings.form is VoteForm.RANKING:
            texts = [texts[self._alike(shown).index(group)] for group in sorted(set(self._alike(shown)))]
        query = self._store.queries.by_ids([item.query_id])[item.query_id]
        retrieval = self._store.queries.retrievals_by_id([item.retrieval_id])[item.retrieval_id]
        return BlindPair(item.id, query.text, retrieval.contexts, tuple(texts), *place, settings)

    def draw(self, item: Comparison, settings: ComparisonSettings, annotator_id: str) -> tuple[str, ...]:
        """Return the completions in the order in which this person sees them; drawn once and then kept.

        Balance is foreseeable by whoever knows what was drawn before: after one pair with the tuned model on the left comes
        one with it on the right. So only what this person knows nothing of is counted, and where the names are shown after
        each vote, chance alone decides.
        """
        if settings.reveal is RevealPolicy.VOTE:
            return self._store.votes.draw(item.id, annotator_id, any_order)
        known = self._store.comparisons.opened_by(annotator_id)
        told = {other.id for other in self.sets() if other.settings.reveal is RevealPolicy.VOTE}
        return self._store.votes.draw(item.id, annotator_id, balanced_order, known | told)

    def _alike(self, shown: Sequence[str]) -> list[int]:
        """Return for each completion the number of the card that it is on: those with one text share a card."""
        answers = self._store.runs.by_ids(shown)
        cards: dict[tuple[str, ...], int] = {}
        return [cards.setdefault(tuple(answers[answer].text.split()), len(cards)) for answer in shown]

    def _withheld_texts(self, model_id: str, member_id: str) -> set[str]:
        """Return the queries of :meth:`withheld` as normal texts."""
        blind: set[str] = set()
        opened: set[str] = set()
        for item in self.sets():
            if item.state in ("preparing", "open"):
                texts = self._texts_of(item, member_id)
                if not self.is_revealed(item.id, member_id):
                    blind |= texts
                elif model_id in item.model_ids and item.settings.reveal is not RevealPolicy.NEVER:
                    opened |= texts
        return blind | ({normal(text) for text in self._store.queries.test_texts(live=False)} - opened)

    def _texts_of(self, item: ComparisonSet, member_id: str) -> set[str]:
        """Return the test queries of a set as normal texts; of a live one those that this person asked themselves."""
        found = self._store.queries.in_set(item.query_set_id, Split.TEST)
        if item.settings.kind is Kind.LIVE:
            mine = {comparison.query_id for comparison in self._shown_to(item, member_id)}
            found = [query for query in found if query.id in mine]
        return {normal(query.text) for query in found}


def _both_ways(pair: Collection[str]) -> tuple[tuple[str, str], tuple[str, str]]:
    one, two = sorted(pair)
    return (one, two), (two, one)


def _checked(cast: Cast, settings: ComparisonSettings) -> Cast:
    """Return a vote as it is stored.

    Raises:
        ComparisonError: a text is too long, a criterion is unknown, or the answers were not there long enough.
    """
    if max(len(cast.reason), len(cast.correction)) > MAX_TEXT_CHARACTERS:
        raise ComparisonError(f"A reason or an answer takes at most {MAX_TEXT_CHARACTERS:,} characters.")
    unknown = sorted(cast.criteria.keys() - set(settings.criteria))
    if unknown:
        raise ComparisonError(f"This comparison has no criterion {unknown[0][:80]!r}. Reload the page.")
    if settings.min_read_seconds and (cast.seconds is None or cast.seconds < settings.min_read_seconds):
        raise ComparisonError(
            f"Read the answers first: a vote counts from {settings.min_read_seconds:g} seconds after they came."
        )
    timed = None if cast.seconds is None else min(max(cast.seconds, 0.0), MAX_VOTE_SECONDS)
    criteria = {name: Outcome(outcome) for name, outcome in cast.criteria.items()}
    texts = clean(cast.reason).strip(), clean(cast.correction).strip()
    return replace(cast, reason=texts[0], correction=texts[1], seconds=timed, criteria=criteria)
