"""The rows of the comparison that imported votes become."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from pipeline import ulid
from pipeline.cleaning import normal
from pipeline.comparison_settings import ComparisonSettings, Kind, VoteForm, to_plain
from pipeline.naming import free_name
from pipeline.records import IMPORTED, NO_QUERY, Context, Model, Split, id_of
from pipeline.store.imports import ImportedRows
from pipeline.store.members import UNNAMED
from pipeline.store.rows import contexts_to_json
from pipeline.store.vote_rows import Cast, vote_row
from pipeline.vote_import.conversion import ImportedVote

RETRIEVER = "imported"
NOT_NAMED = "not named in the file"
MAX_PERSON = 80


def build(
    name: str,
    list_id: str,
    votes: Sequence[ImportedVote],
    models: Collection[Model],
    test_texts: Collection[str],
) -> ImportedRows:
    """Return the rows of the comparison ``name`` and everything that it refers to.

    ``models`` are those of the workspace: one that was imported before is the same one again. ``test_texts`` are the
    test queries of the workspace: where the same was asked elsewhere it is a test query too, all others are not.
    """
    return _Building(name, list_id, votes, models, {normal(text) for text in test_texts}).rows()


class _Building:
    """Rows of one import, while they are made."""

    def __init__(
        self,
        name: str,
        list_id: str,
        votes: Sequence[ImportedVote],
        models: Collection[Model],
        held_out: Collection[str],
    ) -> None:
        self._name, self._list_id, self._held_out = name, list_id, held_out
        self._votes = votes
        self._now = time.time()
        self._ids = _ids(self._now)
        self._set_id = next(self._ids)
        self._models, self._new_models = _models(_model_names(votes), models, self._now)
        self._place = {name: number for number, name in enumerate(self._models)}
        self._queries: dict[str, dict[str, object]] = {}
        self._retrievals: dict[str, dict[str, object]] = {}
        self._retrieval_ids: dict[str, str] = {}
        self._completions: dict[tuple[str, str, str], dict[str, object]] = {}
        self._comparisons: dict[tuple[tuple[str, ...], int], dict[str, object]] = {}
        self._members: dict[str, dict[str, object]] = {}
        self._judged: Counter[tuple[tuple[str, ...], str]] = Counter()

    def rows(self) -> ImportedRows:
        """Return all rows."""
        # Ids sort as the votes came: what is computed vote by vote sees them in that order.
        timed = sorted(self._votes, key=self._when)
        votes = [self._vote(vote) for vote in timed]
        self._describe()
        return ImportedRows(
            set_id=self._set_id,
            models=self._new_models,
            query_set={"id": self._list_id, "name": self._name, "kind": IMPORTED, "created_at": self._now},
            queries=list(self._queries.values()),
            retrievals=list(self._retrievals.values()),
            completions=list(self._completions.values()),
            members=list(self._members.values()),
            comparison_set=self._set(len(votes)),
            comparisons=list(self._comparisons.values()),
            votes=votes,
        )

    def _when(self, vote: ImportedVote) -> tuple[float, str]:
        """Return what votes are put in order by.

        A file may give days only, and may be sorted by who won: votes of one moment come in an order that tells nothing of
        their verdicts, or the anytime-valid p would take the sorting for a run of wins.
        """
        if vote.at is None:
            return self._now, ""
        return vote.at, id_of("order of imported votes", self._list_id, vote.place)

    def _set(self, votes: int) -> dict[str, object]:
        ids = tuple(self._models.values())
        ranked = any(vote.ranks for vote in self._votes)
        settings = ComparisonSettings(ids, Kind.IMPORTED, VoteForm.RANKING if ranked else VoteForm.PAIRS)
        return {
            "id": self._set_id,
            "name": self._name,
            "model_1_id": ids[0],
            "model_2_id": ids[1],
            "query_set_id": self._list_id,
            "state": "open",
            "error": "",
            "summary": {"queries": len(self._queries), "pairs": len(self._comparisons), "imported": votes}
            | self._untimed(),
            "created_at": self._now,
            "settings": to_plain(settings),
        }

    def _untimed(self) -> dict[str, int]:
        count = sum(vote.at is None for vote in self._votes)
        return {"untimed": count} if count else {}

    def _vote(self, vote: ImportedVote) -> dict[str, object]:
        query_id = self._query(vote)
        answers = [self._completion(query_id, *side) for side in zip(vote.models, vote.answers, strict=True)]
        person = self._person(vote.annotator)
        comparison_id = self._comparison(query_id, vote.models, answers, person)
        cast = Cast(tuple(answers), vote.outcome, vote.reason, vote.correction, vote.seconds, tuple(vote.ranks))
        at = self._now if vote.at is None else vote.at
        return {**vote_row(comparison_id, person, cast), "id": next(self._ids), "created_at": at, "undone_at": None}

    def _query(self, vote: ImportedVote) -> str:
        # What the file gives no query for is nobody's query but its own.
        text = self._text(vote)
        row = self._queries.get(text)
        if row is None:
            split = Split.TEST if self._held_out and normal(text) in self._held_out else Split.TRAIN
            row = self._queries[text] = {
                "id": next(self._ids),
                "query_set_id": self._list_id,
                "position": len(self._queries),
                "text": text,
                "split": split.value,
                "metadata": dict(vote.metadata),
            }
            self._retrievals[text] = found = self._retrieval(str(row["id"]), vote.contexts)
            self._retrieval_ids[str(row["id"])] = str(found["id"])
        return str(row["id"])

    def _text(self, vote: ImportedVote) -> str:
        return vote.query or f"{NO_QUERY} {self._name}, {vote.place}"

    def _retrieval(self, query_id: str, passages: Sequence[str]) -> dict[str, object]:
        contexts = [Context("", "", RETRIEVER, text, 0, len(text), 0.0) for text in passages]
        return {
            "id": id_of("retrieval", query_id, RETRIEVER),
            "query_id": query_id,
            "retriever": RETRIEVER,
            "contexts": contexts_to_json(contexts),
            "created_at": self._now,
        }

    def _completion(self, query_id: str, model: str, text: str) -> str:
        key = (query_id, model, text)
        row = self._completions.get(key)
        if row is None:
            row = self._completions[key] = {
                "id": next(self._ids),
                "run_id": None,
                "model_id": self._models[model],
                "query_id": query_id,
                "retrieval_id": self._retrieval_ids[query_id],
                "text": text,
                "refused": False,
                "citations": [],
                "seconds": 0.0,
                "prompt_tokens": None,
                "completion_tokens": None,
                "error": "",
                "created_at": self._now,
            }
        return str(row["id"])

    def _person(self, name: str) -> str:
        member_id = id_of("imported member", self._set_id, name) if name else UNNAMED
        if name not in self._members:
            shown = name[:MAX_PERSON] or NOT_NAMED
            row = {"id": member_id, "name": shown, "token_hash": None, "created_at": self._now}
            self._members[name] = row
        return member_id

    def _comparison(self, query_id: str, models: Sequence[str], answers: Sequence[str], person: str) -> str:
        """Return the comparison of these answers that this person has not voted on yet.

        One vote of a person stands on a comparison: who judged the same answers twice did so in two of them.
        """
        order = sorted(range(len(answers)), key=lambda n: self._place[models[n]])
        ids = tuple(answers[n] for n in order)
        turn = self._judged[ids, person]
        self._judged[ids, person] += 1
        row = self._comparisons.get((ids, turn))
        if row is None:
            row = self._comparisons[ids, turn] = {
                "id": next(self._ids),
                "comparison_set_id": self._set_id,
                "position": len(self._comparisons),
                "query_id": query_id,
                "retrieval_id": self._retrieval_ids[query_id],
                "completion_1_id": ids[0],
                "completion_2_id": ids[1],
                # Whatever was judged was shown, and its tie is one that somebody gave.
                "identical": False,
                "more_completion_ids": list(ids[2:]) or None,
            }
        return str(row["id"])

    def _describe(self) -> None:
        """Put a query's place in the file in the order of the file, whatever the times of its votes."""
        places = dict.fromkeys(map(self._text, self._votes))
        for position, text in enumerate(places):
            self._queries[text]["position"] = position


def _model_names(votes: Sequence[ImportedVote]) -> list[str]:
    """Return the names of the models: those that met most often first, in the order of the file's first such row."""
    met: Counter[frozenset[str]] = Counter()
    first: dict[frozenset[str], tuple[str, ...]] = {}
    times: defaultdict[str, int] = defaultdict(int)
    for vote in votes:
        pair = frozenset(vote.models)
        met[pair] += 1
        first.setdefault(pair, vote.models)
        for name in vote.models:
            times[name] += 1
    most = first[max(met, key=lambda pair: met[pair])]
    return list(dict.fromkeys([*most, *sorted(times, key=lambda name: -times[name])]))


def _models(
    names: Sequence[str], known: Collection[Model], now: float
) -> tuple[dict[str, str], list[dict[str, object]]]:
    """Return the ids of models by their names in the file, and the rows of those that are new."""
    stored = {model.id for model in known}
    taken = {model.name for model in known}
    ids: dict[str, str] = {}
    rows: list[dict[str, object]] = []
    for name in names:
        # Whoever imports votes on a model of this name again means the same one.
        ids[name] = id_of("model", name, IMPORTED)
        if ids[name] not in stored:
            shown = name if name not in taken else free_name(f"{name} (imported)", taken, f"{name} (imported {{n}})")
            taken.add(shown)
            row = {"id": ids[name], "name": shown, "provider": IMPORTED, "config": {}, "template": ""}
            rows.append({**row, "parent_id": None, "job_id": None, "created_at": now})
    return ids, rows


def _ids(now: float) -> Iterator[str]:
    """Yield new ids that sort in the order in which they are given out."""
    number = int(now * 1000) << 80 | int.from_bytes(os.urandom(5), "big") << 40
    while True:
        number += 1
        yield ulid.text(number)
