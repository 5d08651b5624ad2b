"""What votes give for training: corrections as answers to learn, preferences, and answers that are wanted or not.

The rows are those of the published tables, made of published votes with an ``annotator``; ``find`` finds the prompt
templates. Nothing is made of a vote on answers or on a query that an import did not give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.export import chat_row
from pipeline.prompts import FindTemplate, render_messages
from pipeline.records import NO_QUERY, Context, Outcome

Row = dict[str, Any]
Message = dict[str, str]
SIDES = ("a", "b")


def corrected(votes: Sequence[Row], find: FindTemplate) -> list[Row]:
    """Return the better answers that were written in votes, as chats: once for each vote, of a ranking too."""
    return [_corrected(vote, find) for vote in votes if vote["number"] == 0 and vote["correction"] and _asked(vote)]


def preferred(votes: Sequence[Row], find: FindTemplate) -> list[Row]:
    """Return winners over losers, and corrections over each answer that is not the only best one."""
    return list(_preferred(votes, find))


def unpaired(votes: Sequence[Row], find: FindTemplate) -> list[Row]:
    """Return answers with whether they are wanted.

    Wanted are corrections and the answers that won; unwanted those that lost, and both of ``both_bad``. Of a ranking it is
    the best and the last. A tie says that neither is better, not whether they are good: nothing is made of it.
    """
    return list(_unpaired(votes, find))


def prompt_of(row: Mapping[str, Any], template: str | None, find: FindTemplate) -> list[Message]:
    """Return what a model was given; of an imported answer the prompt is not known, and it is the query alone."""
    if not template:
        return [{"role": "user", "content": row["query"]}]
    contexts = [context_of(context) for context in row["contexts"]]
    return render_messages(find(template), row["query"], contexts)


def pair_of(prompt: list[Message], chosen: str, rejected: str) -> Row:
    """Return a preference pair as TRL reads it."""
    return {"prompt": prompt, "chosen": _said(chosen), "rejected": _said(rejected)}


def _corrected(vote: Row, find: FindTemplate) -> Row:
    losing = [side for side in SIDES if _is_beaten(vote, side)]
    template = vote[f"prompt_template_{losing[0] if losing else 'a'}"] or None
    messages = chat_row(prompt_of(vote, template, find), vote["correction"])["messages"]
    return {**_lineage(vote, "correction", template), "id": vote["vote_id"], "messages": messages, "model": None}


def _preferred(votes: Sequence[Row], find: FindTemplate) -> Iterator[Row]:
    told: set[tuple[str, str]] = set()
    for vote in filter(_asked, votes):
        for side in SIDES:
            other = {"a": "b", "b": "a"}[side]
            answers = vote[f"answer_{other}"], vote[f"answer_{side}"]
            if vote["outcome"] == f"model_{other}" and all(answers):
                yield _pair(vote, "vote", other, side, find)
            key = (vote["vote_id"], vote[f"id_{side}"])
            if not vote["correction"] or key in told or not _is_beaten(vote, side) or not answers[1]:
                continue
            told.add(key)
            if vote["correction"].split() != answers[1].split():
                yield _pair(vote, "correction", "", side, find)


def _pair(vote: Row, source: str, winner: str, loser: str, find: FindTemplate) -> Row:
    """Return a pair; ``winner`` is the side that was preferred, or "" for the correction."""
    template = vote[f"prompt_template_{loser}"] or None
    chosen = vote[f"answer_{winner}"] if winner else vote["correction"]
    return {
        **_lineage(vote, source, template),
        **pair_of(prompt_of(vote, template, find), chosen, vote[f"answer_{loser}"]),
        "id": _pair_id(vote, source, loser),
        "chosen_model": vote[f"model_{winner}"] if winner else None,
        "chosen_model_id": vote[f"model_id_{winner}"] if winner else None,
        "rejected_model": vote[f"model_{loser}"],
        "rejected_model_id": vote[f"model_id_{loser}"],
    }


def _pair_id(vote: Row, source: str, loser: str) -> str:
    # Of a ranking each pair of answers has an id of its own.
    return f"{vote['id']}-{source}-over-{loser}"


def _unpaired(votes: Sequence[Row], find: FindTemplate) -> Iterator[Row]:
    told: set[tuple[str, str]] = set()
    for vote in filter(_asked, votes):
        if vote["number"] == 0 and vote["correction"]:
            yield _single(vote, "", True, find)
        for side in SIDES:
            key, label = (vote["vote_id"], vote[f"id_{side}"]), _is_wanted(vote, side)
            if label is not None and key not in told and vote[f"answer_{side}"]:
                told.add(key)
                yield _single(vote, side, label, find)


def _single(vote: Row, side: str, label: bool, find: FindTemplate) -> Row:
    losing = [other for other in SIDES if _is_beaten(vote, other)]
    template = vote[f"prompt_template_{side or (losing[0] if losing else 'a')}"] or None
    source = "vote" if side else "correction"
    return {
        **_lineage(vote, source, template),
        "id": f"{vote['vote_id']}-{vote[f'id_{side}'] if side else 'correction'}",
        "prompt": prompt_of(vote, template, find),
        "completion": _said(vote[f"answer_{side}"] if side else vote["correction"]),
        "label": label,
        "outcome": "ranking" if vote["ranks"] else vote["outcome"],
        "model": vote[f"model_{side}"] if side else None,
        "model_id": vote[f"model_id_{side}"] if side else None,
    }


def _is_beaten(vote: Row, side: str) -> bool:
    """Say whether an answer is not the only best one of its vote."""
    ranks = vote["ranks"]
    if ranks:
        return vote[f"rank_{side}"] > 1 or ranks.count(1) > 1
    return vote["outcome"] != f"model_{side}"


def _is_wanted(vote: Row, side: str) -> bool | None:
    """Say whether a vote wants an answer, or None where it does not tell."""
    ranks = vote["ranks"]
    if ranks:
        rank, last = vote[f"rank_{side}"], max(ranks)
        return None if last == 1 or 1 < rank < last else rank == 1
    if vote["outcome"] == Outcome.BOTH_BAD:
        return False
    return None if vote["outcome"] == Outcome.TIE else vote["outcome"] == f"model_{side}"


def _asked(vote: Row) -> bool:
    return not vote["query"].startswith(NO_QUERY)


def _lineage(vote: Row, source: str, template: str | None) -> Row:
    return {**vote, "source": source, "record_id": None, "prompt_template": template}


def _said(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]


def context_of(row: Mapping[str, Any]) -> Context:
    """Return a published context as a prompt needs it."""
    return Context(
        chunk_id="",
        document_id=row["document_id"],
        document_name=row["document"],
        text=row["text"],
        start=row["start"],
        end=row["end"],
        score=row["score"],
        heading=row["heading"] or "",
        page=row["page"],
    )
