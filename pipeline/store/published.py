"""What the workspace publishes: one row for each thing, joined with what is needed to read it alone.

People appear by their member id, as ``annotator_id``, and are given other names before anything leaves the workspace.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from sqlalchemy import Connection, func, select

from pipeline.annotation.settings import QuestionKind
from pipeline.annotation.templates import (
    ANSWER,
    CONTEXT_RATING,
    QUERY_RATING,
    TUTORIAL_CONTEXT_RATING,
    TUTORIAL_QUERY_RATING,
)
from pipeline.records import IMPORTED, Outcome, ResponseStatus, outcome_from_ranks
from pipeline.store.documents import cut_as_in_force
from pipeline.store.engine import Database
from pipeline.store.outbox import rows_by_id
from pipeline.store.schema import (
    adjudications,
    chunks,
    comparison_sets,
    comparisons,
    completions,
    datasets,
    documents,
    guideline_versions,
    models,
    queries,
    query_sets,
    records,
    responses,
    retrievals,
    suggestions,
    votes,
)

Row = dict[str, Any]
# The ratings of a review, and what Argilla's tutorial calls them.
_RATINGS = {QUERY_RATING: TUTORIAL_QUERY_RATING, CONTEXT_RATING: TUTORIAL_CONTEXT_RATING}


class PublishedStore:
    """Rows of the published tables, as plain values with times in UTC. A text that is missing is None, never ""."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def documents(self) -> list[Row]:
        """Return the documents that are searched; what was deleted is not published."""
        with self._db.read() as connection:
            mine = (chunks.c.document_id == documents.c.id) & cut_as_in_force(connection)
        pieces = select(func.count()).where(mine).scalar_subquery().label("chunks")
        return [
            {**row, "sections": [_place(section) for section in row["sections"]], "characters": len(row["text"])}
            for row in self._rows(select(documents, pieces).where(documents.c.deleted_at.is_(None)))
        ]

    def queries(self) -> list[Row]:
        """Return all queries with the list each is in."""
        columns = (query_sets.c.name.label("query_set"), query_sets.c.kind.label("asked_in"))
        return [
            {**row, "query": row["text"], "metadata": [{"name": n, "value": v} for n, v in row["metadata"].items()]}
            for row in self._rows(select(queries, *columns).select_from(queries.join(query_sets)))
        ]

    def completions(self) -> list[Row]:
        """Return all answers of models, and the errors that stand in the place of some."""
        parent = models.alias("parent")
        query = (
            select(
                completions,
                *_asked(),
                *_retrieved(),
                models.c.name.label("model"),
                models.c.provider,
                models.c.config,
                models.c.template.label("prompt_template"),
                parent.c.name.label("parent_model"),
            )
            .select_from(completions)
            .join(queries, completions.c.query_id == queries.c.id)
            .join(retrievals, completions.c.retrieval_id == retrievals.c.id)
            .join(models, completions.c.model_id == models.c.id)
            .outerjoin(parent, models.c.parent_id == parent.c.id)
        )
        return [_completion(row) for row in self._rows(query)]

    def records(self) -> list[Row]:
        """Return the records of all datasets with what is shown of them, and what is suggested for them."""
        given: dict[str, list[Row]] = {}
        for row in self._rows(select(suggestions).order_by(suggestions.c.question)):
            given.setdefault(row["record_id"], []).append(row)
        rows = self._rows(_with_record(select(records, *_shown()).select_from(records)))
        return [_record(row, given.get(row["id"], [])) for row in rows]

    def responses(self) -> list[Row]:
        """Return the submitted and the discarded responses; drafts never count, and are not published."""
        query = _with_record(select(responses, *_shown()).select_from(responses.join(records)))
        counted = (ResponseStatus.SUBMITTED.value, ResponseStatus.DISCARDED.value)
        return [_response(row) for row in self._rows(query.where(responses.c.status.in_(counted)))]

    def adjudications(self) -> list[Row]:
        """Return what was decided where annotators disagreed; what was withdrawn is not published."""
        query = (
            select(adjudications, datasets.c.name.label("dataset"))
            .select_from(adjudications.join(records))
            .join(datasets, records.c.dataset_id == datasets.c.id)
            .where(adjudications.c.withdrawn_at.is_(None))
        )
        return [
            {**row, "annotator_id": row["member_id"], "values": _json(row["values"]), "reason": row["reason"] or None}
            for row in self._rows(query)
        ]

    def guidelines(self) -> list[Row]:
        """Return every wording of every dataset's guidelines."""
        query = select(guideline_versions, datasets.c.name.label("dataset"))
        return self._rows(query.select_from(guideline_versions.join(datasets)))

    def comparisons(self) -> list[Row]:
        """Return all comparisons with both completions."""
        query = _with_completions(
            select(comparisons, *_asked(), *_retrieved(), comparison_sets.c.name.label("comparison_set"))
            .add_columns(comparison_sets.c.created_at, comparison_sets.c.settings)
            .select_from(comparisons.join(comparison_sets)),
            one=comparisons.c.completion_1_id,
            two=comparisons.c.completion_2_id,
        )
        rows = self._rows(query)
        more = self._sides([item for row in rows for item in row["more_completion_ids"] or ()])
        return [_comparison(row, more) for row in rows]

    def votes(self, set_ids: Collection[str] | None = None) -> list[Row]:
        """Return the votes that stand, automatic ties included, of all comparison sets or of some.

        A vote on a pair is one row, a ranking one for each pair in it, in order: the first has ``number`` 0.
        ``model_a`` is what was shown on the left, or first.
        """
        asked = select(votes, comparisons.c.comparison_set_id, comparisons.c.query_id, comparison_sets.c.settings)
        asked = asked.add_columns(*_asked(), *_retrieved()).select_from(votes.join(comparisons).join(comparison_sets))
        asked = asked.where(votes.c.undone_at.is_(None))
        if set_ids is not None:
            asked = asked.where(comparison_sets.c.id.in_(set_ids))
        rows = self._rows(
            _with_completions(asked, a=votes.c.left_completion_id, b=votes.c.right_completion_id).order_by(votes.c.id)
        )
        sides = self._sides([item for row in rows for item in row["shown"] or ()])
        return [_vote(pair) for row in rows for pair in _pairwise(row, sides)]

    def _sides(self, completion_ids: Sequence[str]) -> dict[str, Row]:
        """Return what is told of completions beside a comparison, by their ids."""
        if not completion_ids:
            return {}
        with self._db.read() as connection:
            return _sides(connection, completion_ids)

    def _rows(self, query) -> list[Row]:
        """Return rows with times as times and contexts as published."""
        with self._db.read() as connection:
            return [_plain(row) for row in connection.execute(query).mappings()]


def _asked() -> tuple:
    return queries.c.text.label("query"), queries.c.split


def _retrieved() -> tuple:
    return retrievals.c.contexts, retrievals.c.retriever


def _shown() -> tuple:
    """Return the columns of a record that a person sees, and where it is from."""
    return (
        *_asked(),
        *_retrieved(),
        records.c.query_id,
        records.c.completion_id,
        completions.c.text.label("suggestion"),
        models.c.name.label("model"),
        datasets.c.name.label("dataset"),
        datasets.c.template.label("prompt_template"),
        datasets.c.settings,
    )


def _with_record(query):
    return (
        query.join(datasets, records.c.dataset_id == datasets.c.id)
        .outerjoin(queries, records.c.query_id == queries.c.id)
        .outerjoin(completions, records.c.completion_id == completions.c.id)
        .outerjoin(models, completions.c.model_id == models.c.id)
        .outerjoin(retrievals, completions.c.retrieval_id == retrievals.c.id)
    )


def _with_completions(query, **references):
    """Join a comparison with its query and contexts, and with the completions under these names."""
    query = query.join(queries, comparisons.c.query_id == queries.c.id)
    query = query.join(retrievals, comparisons.c.retrieval_id == retrievals.c.id)
    for name, reference in references.items():
        completion, model = completions.alias(f"completion_{name}"), models.alias(f"model_of_{name}")
        columns = [completion.c[column].label(f"{column}_{name}") for column in ("id", "text", "refused", "citations")]
        columns += [model.c.name.label(f"model_{name}"), model.c.template.label(f"prompt_template_{name}")]
        columns += [model.c.id.label(f"model_id_{name}")]
        query = query.join(completion, reference == completion.c.id).join(model, completion.c.model_id == model.c.id)
        query = query.add_columns(*columns)
    return query


def _plain(row: Mapping[str, Any]) -> Row:
    values = {name: _time(value) if name.endswith("_at") else value for name, value in row.items()}
    if "contexts" in values:
        values["contexts"] = [_context(context) for context in values["contexts"] or []]
    return values


def _time(value: float | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value, UTC)


def _place(row: Mapping[str, Any]) -> Row:
    return {"start": row["start"], "heading": row["heading"] or None, "page": row["page"]}


def _context(row: Mapping[str, Any]) -> Row:
    return {
        "document_id": row["document_id"],
        "document": row["document_name"],
        "heading": row["heading"] or None,
        "page": row["page"],
        "start": row["start"],
        "end": row["end"],
        "text": row["text"],
        "score": row["score"],
    }


def _completion(row: Row) -> Row:
    # An endpoint's address stays in the workspace: it may name a machine of the team's own network.
    model_id = row["config"].get("model_id")
    # Of an imported vote the answer may not be known, and the prompt never is.
    unknown = row["error"] or (row["provider"] == IMPORTED and not row["text"])
    answer, template = None if unknown else row["text"], row["prompt_template"] or None
    told = {"endpoint_model": model_id, "answer": answer, "error": row["error"] or None}
    return {**row, **told, "prompt_template": template}


def _record(row: Row, given: list[Row]) -> Row:
    made_of_run = row["query_id"] is not None
    proposed = {
        item["question"]: {name: item[name] for name in ("question", "value", "agent", "score")} for item in given
    }
    question = _answer_question(row)
    if row["suggestion"] is not None and question:
        answer = {"question": question, "value": row["suggestion"], "agent": row["model"], "score": None}
        proposed = {question: answer, **proposed}
    return {
        **row,
        "prompt_template": row["prompt_template"] or None,
        # What is shown of a run's records has columns of its own.
        "fields": None if made_of_run else _json(row["fields"] or {}),
        "metadata": _json(row["metadata"] or {}),
        "suggestions": _json(list(proposed.values())),
    }


def _response(row: Row) -> Row:
    values = row["values"]
    texts = {"values": _json(values), "marks": _json(row["marks"]) if row["marks"] else None}
    given = {QUERY_RATING: None, CONTEXT_RATING: None, ANSWER: None}
    if row["query_id"] is not None:
        ratings = {name: values.get(name, values.get(other)) for name, other in _RATINGS.items()}
        given = {**{n: v if isinstance(v, int) else None for n, v in ratings.items()}, ANSWER: _answer(row, values)}
    edited = None if row["suggestion"] is None else (given[ANSWER] or "").split() != row["suggestion"].split()
    return {**row, **texts, **given, "edited": edited, "reason": row["reason"] or None}


def _answer(row: Row, values: Mapping[str, Any]) -> str | None:
    answer = values.get(_answer_question(row))
    return answer if isinstance(answer, str) else None


def _answer_question(row: Row) -> str:
    """Return the question that a model's answer is corrected in; the first version's datasets have no settings."""
    if not row["settings"]:
        return ANSWER
    # Not by from_plain, which looks at every value: this is asked for every row of a dataset.
    texts = (item["name"] for item in row["settings"]["questions"] if item["type"] == QuestionKind.TEXT.value)
    return next(texts, "")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _side(row: Row, name: str) -> Row:
    side = {key: row[f"{key}_{name}"] for key in ("model", "refused", "citations")}
    return {"completion_id": row[f"id_{name}"], "answer": row[f"text_{name}"], **side}


def _comparison(row: Row, more: Mapping[str, Row]) -> Row:
    further = [_side(more[item], "x") for item in row["more_completion_ids"] or ()]
    return {**row, "kind": _kind(row), "completions": [_side(row, "one"), _side(row, "two"), *further]}


def _kind(row: Row) -> str:
    """Return where the comparisons of a set come from; the first version's sets have no settings."""
    return (row["settings"] or {}).get("kind", "prepared")


def _sides(connection: Connection, completion_ids: Sequence[str]) -> dict[str, Row]:
    found = rows_by_id(connection, completions, list(dict.fromkeys(completion_ids)))
    named = rows_by_id(connection, models, list({str(row["model_id"]) for row in found.values()}))
    sides = {}
    for item, row in found.items():
        model = named[str(row["model_id"])]
        told = {key: row[key] for key in ("id", "text", "refused", "citations")}
        told |= {"model": model["name"], "prompt_template": model["template"], "model_id": model["id"]}
        sides[item] = {f"{key}_x": value for key, value in told.items()}
    return sides


def _pairwise(row: Row, sides: Mapping[str, Row]) -> Iterator[Row]:
    """Yield a vote as verdicts on pairs; of a ranking the one that was shown first is A."""
    if not row["ranks"]:
        yield {**row, "vote_id": row["id"], "number": 0, "rank_a": None, "rank_b": None}
        return
    for number, (i, j) in enumerate(combinations(range(len(row["ranks"])), 2)):
        ranks = row["ranks"][i], row["ranks"][j]
        pair = {
            key.replace("_x", f"_{side}"): value
            for side, place in (("a", i), ("b", j))
            for key, value in sides[row["shown"][place]].items()
        }
        told = {"outcome": outcome_from_ranks(*ranks).value, "rank_a": ranks[0], "rank_b": ranks[1], "number": number}
        yield {**row, **pair, **told, "vote_id": row["id"], "id": f"{row['id']}-{i + 1}-{j + 1}"}


def _vote(row: Row) -> Row:
    outcome = Outcome(row["outcome"])
    winner = {Outcome.MODEL_A: row["model_a"], Outcome.MODEL_B: row["model_b"]}.get(outcome)
    texts = {name: row[name] or None for name in ("reason", "correction")}
    criteria = [{"name": name, "outcome": value} for name, value in (row["criteria"] or {}).items()]
    answers = {"answer_a": row["text_a"], "answer_b": row["text_b"]}
    return {**row, **texts, **answers, "winner": winner, "criteria": criteria, "kind": _kind(row)}
