"""What the workspace publishes, as files: every table, and the card that explains them."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipeline.export import chat_row
from pipeline.hub.card import NO_LICENCE, card
from pipeline.hub.tables import TABLES, parquet
from pipeline.prompts import get_template, render_messages
from pipeline.records import Context, Outcome, ResponseStatus, Split
from pipeline.store import Store
from pipeline.store.members import AUTOMATIC
from pipeline.store.published import PublishedStore

Row = dict[str, Any]
_LOSERS = {
    Outcome.MODEL_A: ("b",),
    Outcome.MODEL_B: ("a",),
    # A correction is "a better answer" than both where neither is the better one.
    Outcome.TIE: ("a", "b"),
    Outcome.BOTH_BAD: ("a", "b"),
}


def published_files(
    store: Store,
    repo_id: str,
    *,
    salt: str,
    licence: str = NO_LICENCE,
    show_names: bool = False,
    scrub: Callable[[str], str] = lambda text: text,
) -> dict[str, bytes]:
    """Return the published tables and the card by path in the repo; the same workspace gives the same bytes.

    Annotators are pseudonyms that stay the same as long as ``salt``, a secret of the workspace, does; ``show_names`` puts
    the names that people gave themselves in their place. ``licence`` is an identifier of the Hub. ``scrub`` takes secrets
    out of a text.
    """
    rows = published_rows(store, salt, show_names)
    text = card(repo_id, {name: len(found) for name, found in rows.items()}, licence, show_names)
    # Rows are let go as soon as they are written: with their contexts they are the largest thing here.
    files = {table.path: parquet(table, rows.pop(table.name), scrub) for table in TABLES}
    return {**files, "README.md": scrub(text).encode()}


def published_rows(store: Store, salt: str, show_names: bool = False) -> dict[str, list[Row]]:
    """Return the rows of every table by its name, with annotators as pseudonyms or under their names."""
    published = PublishedStore(store.database)
    # What refers to others is read first: a row that is stored meanwhile is then never referred to without being there.
    people = published.votes(), published.responses(), published.adjudications()
    names = annotators(store, salt, show_names)
    votes, responses, adjudications = (
        [{**row, "annotator": names[row["annotator_id"]]} for row in rows] for rows in people
    )
    submitted = [row for row in responses if row["status"] == ResponseStatus.SUBMITTED.value]
    # Only answers to the queries of a run are trained on; records from elsewhere are on no side of the border.
    reviews = [row for row in submitted if row["split"] == Split.TRAIN.value and row["answer"]]
    return {
        "votes": votes,
        "responses": responses,
        "adjudications": adjudications,
        "sft": [*map(_reviewed, reviews), *(_corrected(vote) for vote in votes if vote["correction"])],
        "preferences": [*_preferred_in_reviews(reviews), *_preferred_in_votes(votes)],
        "comparisons": published.comparisons(),
        "records": published.records(),
        "guidelines": published.guidelines(),
        "completions": published.completions(),
        "queries": published.queries(),
        "documents": published.documents(),
    }


def annotators(store: Store, salt: str, show_names: bool = False) -> dict[str, str]:
    """Return what each member is called in the published tables, by id; no two are called the same."""
    members = store.members.names()
    pseudonyms = {member: _pseudonym(member, salt) for member in members if member != AUTOMATIC}
    automatic = {AUTOMATIC: AUTOMATIC}
    if not show_names:
        return {**pseudonyms, **automatic}
    shared = Counter([*members.values(), AUTOMATIC])
    told_apart = {
        member: members[member] if shared[members[member]] == 1 else f"{members[member]} ({pseudonym})"
        for member, pseudonym in pseudonyms.items()
    }
    return {**told_apart, **automatic}


def _pseudonym(member_id: str, salt: str) -> str:
    return f"annotator-{hmac.new(salt.encode(), member_id.encode(), hashlib.sha256).hexdigest()[:10]}"


def _reviewed(response: Row) -> Row:
    messages = chat_row(_prompt(response, response["prompt_template"]), response["answer"])["messages"]
    return {**_review_lineage(response), "id": response["id"], "messages": messages}


def _corrected(vote: Row) -> Row:
    template = vote[f"prompt_template_{_LOSERS[Outcome(vote['outcome'])][0]}"]
    messages = chat_row(_prompt(vote, template), vote["correction"])["messages"]
    lineage = _vote_lineage(vote, "correction", template)
    return {**lineage, "id": vote["id"], "messages": messages, "model": None}


def _preferred_in_reviews(responses: Sequence[Row]) -> Iterator[Row]:
    """Yield the submitted answers that changed the suggestion, over the suggestion."""
    for response in responses:
        if response["edited"]:
            pair = _pair(_prompt(response, response["prompt_template"]), response["answer"], response["suggestion"])
            models = {"chosen_model": None, "rejected_model": response["model"]}
            yield {**_review_lineage(response), **pair, **models, "id": f"{response['id']}-review"}


def _preferred_in_votes(votes: Sequence[Row]) -> Iterator[Row]:
    """Yield the winner over the loser, and a correction over each answer that did not win."""
    for vote in votes:
        for side in _LOSERS[Outcome(vote["outcome"])]:
            winner = {"a": "b", "b": "a"}[side]
            if vote["winner"] is not None:
                yield _preferred(vote, "vote", vote[f"answer_{winner}"], vote["winner"], side)
            if vote["correction"] and vote["correction"].split() != vote[f"answer_{side}"].split():
                yield _preferred(vote, "correction", vote["correction"], None, side)


def _preferred(vote: Row, source: str, chosen: str, chosen_model: str | None, side: str) -> Row:
    template = vote[f"prompt_template_{side}"]
    return {
        **_vote_lineage(vote, source, template),
        **_pair(_prompt(vote, template), chosen, vote[f"answer_{side}"]),
        "id": f"{vote['id']}-{source}-over-{side}",
        "chosen_model": chosen_model,
        "rejected_model": vote[f"model_{side}"],
    }


def _pair(prompt: list[dict[str, str]], chosen: str, rejected: str) -> Row:
    return {
        "prompt": prompt,
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


def _review_lineage(response: Row) -> Row:
    return {**response, "source": "review", "comparison_id": None, "created_at": response["updated_at"]}


def _vote_lineage(vote: Row, source: str, template: str) -> Row:
    return {**vote, "source": source, "record_id": None, "prompt_template": template}


def _prompt(row: Row, template: str) -> list[dict[str, str]]:
    contexts = [_context(context) for context in row["contexts"]]
    return render_messages(get_template(template), row["query"], contexts)


def _context(row: Row) -> Context:
    """Return a published context as the prompt needs it."""
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
