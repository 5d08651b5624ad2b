"""The API's work on comparisons: blind until a person opens the results, as on the screen."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from components.api import models as api
from components.api.datasets import passages
from components.results.share import votes_of
from pipeline.comparisons import BlindPair
from pipeline.errors import AccessError, ComparisonError, NotFoundError
from pipeline.records import Role
from pipeline.report import PairResult, Report
from pipeline.services import Services
from pipeline.store.comparisons import ComparisonSet
from pipeline.vote_files import arena_jsonl, votes_csv, votes_jsonl

# Pairs that are on somebody's screen, with the moment at which they were sent.
KEPT = 10_000
CLOSED = "Open the results first, by POST to /comparisons/{id}/reveal: that ends your voting on this comparison."
FORMS = ("csv", "jsonl", "arena")


class ComparisonApi:
    """Pairs, votes and results. ``me`` is who asks; each method checks their role."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.comparisons
        self._shown: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()
        self._undoing = [threading.Lock() for _ in range(16)]

    def comparisons(self, me: str) -> api.Comparisons:
        """List the comparisons under names that tell no model until this person has opened the results."""
        self._services.people.needs(me, Role.VIEWER)
        return api.Comparisons(comparisons=[self._summary(me, item) for item in self._desk.sets()])

    def next_pair(self, me: str, set_id: str) -> api.NextPair:
        """Hand out the answers that wait for this person, blind."""
        self._services.people.needs(me, Role.ANNOTATOR)
        item = self._services.store.comparisons.set(set_id)
        if item.state != "open":
            raise ComparisonError(f"This comparison is not open for votes. {self._desk.blind_error(item)}".strip())
        pair = self._desk.next_pair(set_id, me)
        if pair is not None:
            self._note_shown(me, pair.comparison_id)
        judged, total = self._desk.progress(set_id, me)
        return api.NextPair(pair=_blind(pair) if pair else None, judged=judged, total=total)

    def ask_live(self, me: str, set_id: str, query: str) -> api.Asked:
        """Have the two models of a live comparison answer a query of this person."""
        self._services.people.needs(me, Role.ANNOTATOR)
        self._services.limits.take(me)
        return api.Asked(shown=self._services.live.ask(set_id, me, query))

    def vote(self, me: str, set_id: str, given: api.GivenVote) -> api.Voted:
        """Store a verdict or a ranking; the time for it is counted from when the pair was sent."""
        self._services.people.needs(me, Role.ANNOTATOR)
        if self._services.store.comparisons.get(given.pair).comparison_set_id != set_id:
            raise NotFoundError("This pair is not in this comparison.")
        requests, sent = self._services.store.requests, ("vote", me, given.pair, given.token)
        with self._locked(me):
            repeated = bool(given.token) and requests.is_done(*sent)
            counted = False
            if not repeated:
                counted = self._vote(me, given)
                if given.token:
                    requests.done(*sent)
        judged, total = self._desk.progress(set_id, me)
        names = self._names(me, given.pair)
        return api.Voted(
            pair=given.pair, counted=counted, repeated=repeated, models=list(names), judged=judged, total=total
        )

    def undo(self, me: str, set_id: str, token: str = "") -> api.Undone:
        """Take back this person's newest vote on a comparison."""
        self._services.people.needs(me, Role.ANNOTATOR)
        requests, sent = self._services.store.requests, ("undo", me, set_id, token)
        with self._locked(me):
            repeated = bool(token) and requests.is_done(*sent)
            pair = "" if repeated else self._desk.undo(set_id, me).comparison_id
            if token and not repeated:
                requests.done(*sent)
        judged, total = self._desk.progress(set_id, me)
        return api.Undone(pair=pair, repeated=repeated, judged=judged, total=total)

    def reveal(self, me: str, set_id: str) -> api.Opened:
        """Open the results to this person, which ends their voting on this comparison."""
        self._services.people.needs(me, Role.VIEWER)
        self._desk.reveal(set_id, me)
        return api.Opened(comparison=set_id, opened=True)

    def results(self, me: str, set_id: str) -> api.Results:
        """Return the results with the models' names, to whoever has opened them."""
        self._services.people.needs(me, Role.VIEWER)
        self._refuse_closed(me, set_id)
        return _results(set_id, self._services.reports.report(set_id))

    def export(self, me: str, set_id: str, form: str) -> tuple[str, bytes]:
        """Return the votes as a file: its name and its content."""
        self._services.people.needs(me, Role.ADMIN)
        self._services.limits.take(me)
        self._refuse_closed(me, set_id)
        found = votes_of(self._services, set_id, me)
        if form == "arena":
            name, text = "pairloop-votes-lmarena.jsonl", arena_jsonl(*found[:3])
        elif form == "jsonl":
            name, text = "pairloop-votes.jsonl", votes_jsonl(*found)
        else:
            name, text = "pairloop-votes.csv", votes_csv(*found)
        item = self._services.store.comparisons.set(set_id)
        self._services.activity.note(me, "votes.exported", self._desk.blind_name(item), {"format": form})
        return name, text.encode()

    def _vote(self, me: str, given: api.GivenVote) -> bool:
        with self._lock:
            at = self._shown.get((me, given.pair))
        texts = (given.reason, given.better_answer, None if at is None else time.monotonic() - at)
        if given.outcome is None:
            counted = self._desk.rank(given.pair, me, given.ranks or [], *texts)
        else:
            counted = self._desk.vote(given.pair, me, given.outcome, *texts, criteria=given.criteria)
        with self._lock:
            self._shown.pop((me, given.pair), None)
        return counted

    def _names(self, me: str, pair: str) -> tuple[str, ...]:
        try:
            return self._desk.names_after(pair, me)
        except ComparisonError:
            # The vote was taken back in the meantime.
            return ()

    def _note_shown(self, me: str, pair: str) -> None:
        with self._lock:
            self._shown.setdefault((me, pair), time.monotonic())
            while len(self._shown) > KEPT:
                self._shown.popitem(last=False)

    def _locked(self, me: str) -> threading.Lock:
        return self._undoing[hash(me) % len(self._undoing)]

    def _refuse_closed(self, me: str, set_id: str) -> None:
        if not self._desk.is_revealed(set_id, me):
            raise AccessError(CLOSED)

    def _summary(self, me: str, item: ComparisonSet) -> api.ComparisonSummary:
        judged, total = self._desk.progress(item.id, me)
        return api.ComparisonSummary(
            id=item.id,
            name=self._desk.name(item, me),
            kind=item.settings.kind.value,
            form=item.settings.form.value,
            reveal=item.settings.reveal.value,
            state=item.state,
            error=self._desk.blind_error(item),
            criteria=list(item.settings.criteria),
            judged=judged,
            total=total,
            opened=self._desk.is_revealed(item.id, me),
        )


def _blind(pair: BlindPair) -> api.BlindPair:
    return api.BlindPair(
        id=pair.comparison_id,
        query=pair.query,
        contexts=passages(pair.contexts),
        answers=[api.Side(side=chr(ord("A") + place), text=text) for place, text in enumerate(pair.texts)],
        number=pair.number,
        total=pair.total,
        form=pair.settings.form.value,
        criteria=list(pair.settings.criteria),
        min_read_seconds=pair.settings.min_read_seconds,
    )


def _results(set_id: str, report: Report) -> api.Results:
    return api.Results(
        comparison=set_id,
        name=report.title,
        models=list(report.models),
        pairs=[_pair(number, pair) for number, pair in enumerate(report.pairs) if pair.verdict is not None],
        ratings=[
            api.Rated(model=one.model, rank=one.rank, rating=one.rating, low=one.low, high=one.high)
            for one in report.board.ratings
        ],
    )


def _pair(number: int, pair: PairResult) -> api.PairResult:
    found = pair.verdict
    counts, rate = found.counts, found.rate
    return api.PairResult(
        number=number,
        first=pair.first,
        second=pair.second,
        headline=found.headline,
        level=found.level.value,
        wins=counts.wins,
        ties=counts.ties,
        both_bad=counts.both_bad,
        losses=counts.losses,
        votes=counts.votes,
        automatic_ties=pair.automatic_ties,
        queries=counts.queries,
        annotators=counts.annotators,
        win_rate=rate.rate,
        low=rate.low,
        high=rate.high,
        confidence=rate.confidence,
        sign_p=found.sign.p_value,
        anytime_p=found.anytime.p_value,
    )
